"""If standard output is closed, full or unread, the work continues and the loss is reported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import fill

from recontour.cohort import Cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return fill(Cohort.open_or_create(tmp_path_factory.mktemp("streams") / "north", "north"), 1)


def run(
    words: str, redirected: str, *, unbuffered: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command under a shell's redirection; 9 is where a test may see what is said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    script = f"{sys.executable} -m recontour {words} {redirected}"
    return subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("redirected", "why", "unbuffered"),
    [
        (">&-", "it is closed", False),
        ("> /dev/full", "No space left on device", False),
        ("> /dev/full", "No space left on device", True),
    ],
)
def test_what_only_shows_fails_in_one_line_where_it_cannot(
    cohort: Cohort, redirected: str, why: str, unbuffered: bool
) -> None:
    done = run(f"inspect {cohort.path}", redirected, unbuffered=unbuffered)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("recontour: standard output could not be written")
    assert why in line


def test_a_reader_that_has_seen_enough_is_no_failure(cohort: Cohort) -> None:
    done = run(f"inspect {cohort.path}", "| true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("redirected", ["2>&-", "2>&- >&- <&-"])
def test_an_error_that_cannot_be_said_has_its_exit_code_still(
    tmp_path: Path, redirected: str
) -> None:
    done = run(f"inspect {tmp_path / 'nothing'}", redirected)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize("redirected", ["> /dev/full", "2> /dev/full", ">&- 2>&- <&-"])
def test_work_is_done_whether_or_not_it_can_be_shown(
    cohort: Cohort, tmp_path: Path, redirected: str
) -> None:
    out = tmp_path / "out"
    done = run(f"export {cohort.path} {out} --format nifti", redirected)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    if redirected.startswith(">") and "2>" not in redirected:
        assert done.stderr.splitlines()[-1].startswith(
            "recontour: done, but the results could not be shown"
        )
    assert len(list(out.rglob("*.nii.gz"))) == 4


def test_files_do_not_take_the_place_of_streams_that_are_closed() -> None:
    script = (
        "from recontour.cli.streams import forgiving_streams as f\n"
        "with f(): print(open('/dev/zero').fileno())"
    )
    done = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "{script}" <&- 2>&-'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 2
