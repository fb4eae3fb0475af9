"""Jobs of a real Slurm queue, on two nodes that are this machine."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.executors.conftest import REPOSITORY
from tests.executors.slurm import in_slurm
from tests.executors.test_executors import (
    die_at_first,
    environment,
    go_on_until_interrupted,
    meet,
    wait_for,
)

from recontour.errors import SettingsError
from recontour.executors import executor_at, place_of
from recontour.executors.findings import RefusedJobs

PAGE = REPOSITORY / "docs" / "how-to" / "run-on-a-cluster.md"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "slurm"
    folder.mkdir()
    with in_slurm(folder, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}:{REPOSITORY / 'src'}")
        yield


def queue() -> list[str]:
    """The jobs that Slurm knows of and has not ended."""
    said = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()


@pytest.mark.usefixtures("slurm")
def test_jobs_run_in_a_queue_as_they_do_here(tmp_path: Path) -> None:
    import dask

    one, two, begun, kept = (tmp_path / name for name in ("one", "two", "begun", "kept"))
    settings = {"interface": "lo", "log-directory": str(tmp_path), "local-directory": str(tmp_path)}
    with (
        dask.config.set({f"jobqueue.slurm.{name}": value for name, value in settings.items()}),
        executor_at(place_of("slurm:2"), threads=2) as executor,
    ):
        first = executor.submit(meet, one, two)
        second = executor.submit(meet, two, one)
        assert first.result() != second.result()
        assert len(queue()) == 2
        assert executor.submit(environment, "OMP_NUM_THREADS").result() == ("2", False)
        assert executor.submit(die_at_first, tmp_path / "mark").result() != os.getpid()
        executor.submit(go_on_until_interrupted, begun, kept)
        wait_for(begun)
    assert kept.exists()
    while queue():
        time.sleep(0.2)
    with (
        dask.config.set({"jobqueue.slurm.queue": "nowhere"}),
        pytest.raises(SettingsError) as error,
        executor_at(place_of("slurm:2"), threads=2),
    ):
        pass
    assert isinstance(error.value.finding, RefusedJobs)
    assert "invalid partition specified: nowhere" in error.value.finding.reason


def go_on_in_the_next_job(begun: Path, kept: Path) -> str:
    """Go on until interrupted; a second attempt finds what the first one has kept."""
    if not kept.exists():
        go_on_until_interrupted(begun, kept)
    return os.environ["SLURM_JOB_ID"]


@pytest.mark.usefixtures("slurm")
def test_a_job_ends_before_its_time_is_up_and_the_next_one_goes_on(tmp_path: Path) -> None:
    import dask

    settings = {
        "interface": "lo",
        "log-directory": str(tmp_path),
        "local-directory": str(tmp_path),
        "walltime": "00:01:00",  # so its worker ends after 45 s
    }
    with (
        dask.config.set({f"jobqueue.slurm.{name}": value for name, value in settings.items()}),
        executor_at(place_of("slurm:1"), threads=1) as executor,
    ):
        going = executor.submit(go_on_in_the_next_job, tmp_path / "begun", tmp_path / "kept")
        wait_for(tmp_path / "begun")
        assert int(going.result()) > 1
    assert "TIMEOUT" not in (tmp_path / "slurm" / "slurmctld.log").read_text()


RECONTOUR = """#!/bin/bash
# Stands for a study: its first attempt goes on until it is asked to end.
if [ -e kept ]; then echo "$@" > finished; exit 0; fi
trap 'touch kept; exit 2' TERM
touch begun
while true; do sleep 0.1; done
"""


@pytest.mark.usefixtures("slurm")
def test_the_how_to_s_script_queues_itself_again_before_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "study.sh"
    shown = re.search(r"```bash\n(#!/bin/bash\n.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown
    script.write_text(shown[1].replace("--cpus-per-task=4", "--cpus-per-task=1"))
    program = tmp_path / "recontour"
    program.write_text(RECONTOUR)
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    submit = ["sbatch", "--parsable", "--array=1", "--mem=0", str(script)]
    job = subprocess.run(submit, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    wait_for(tmp_path / "begun")
    subprocess.run(["scancel", "--batch", "--signal=USR1", job.strip()], check=True)
    wait_for(tmp_path / "kept")
    while "PD" not in " ".join(queue()):  # a job that was queued again begins a while later
        time.sleep(0.2)
    subprocess.run(["scontrol", "update", f"JobId={job.strip()}", "StartTime=now"], check=True)
    wait_for(tmp_path / "finished")
    said = (tmp_path / "finished").read_text()
    assert said == "study STUDY.toml --out study --resume --on local:1\n"
