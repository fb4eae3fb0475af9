"""A run that is killed (kill -9) and resumed gives the same bits as one that is not."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.journeys.conftest import Journey

# the command line, but with a checkpoint after every iteration
LEARN = """
import sys
from recontour.training.run import run
run.__kwdefaults__["checkpoint_seconds"] = 0.0
from recontour.cli import main
sys.exit(main([*sys.argv[1:], "--iterations", "5"]))
"""


def weights_of(path: Path) -> str:
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return str(json.loads(header["__metadata__"]["recontour"])["weights_sha256"])


def changed_ns(path: Path) -> int:
    """Return when a file was last changed; 0 if it does not exist."""
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.parametrize("what", ["train", "adapt"])
def test_a_killed_run_resumes_to_the_same_bits(journey: Journey, tmp_path: Path, what: str) -> None:
    given = [str(journey.cohort)]
    if what == "adapt":
        given.insert(0, str(journey.model_s))

    def command(out: Path, *more: str) -> list[str]:
        options = ["--out", str(out), "--precision", "float32", *more]
        return [sys.executable, "-c", LEARN, what, *given, *options]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)

    checkpoint = tmp_path / "killed.run" / "checkpoint.ckpt"
    for _ in range(2):  # killed twice, each time once it has got further
        before = changed_ns(checkpoint)
        resume = command(tmp_path / "killed", "--resume")
        process = subprocess.Popen(resume, stderr=subprocess.DEVNULL)
        while process.poll() is None and changed_ns(checkpoint) == before:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert not (tmp_path / "killed").exists()
    subprocess.run(command(tmp_path / "killed", "--resume"), check=True, capture_output=True)
    assert weights_of(tmp_path / "killed") == weights_of(tmp_path / "whole")
    assert not checkpoint.parent.exists()
