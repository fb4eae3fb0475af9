"""A power cut right after a command that ended well loses nothing.

benchmarks/power_cut.py does the same to a real disk.
"""

from pathlib import Path

import pytest
from tests.durable import Disk
from tests.journeys.conftest import Journey

from recontour.cli import main

SHORT = ["--iterations", "2"]


def commands(journey: Journey, out: Path) -> dict[str, list[str]]:
    """Return every command that writes, by the name of its output, which goes to new folders."""
    cohort = str(journey.cohort)
    model = str(journey.model_s)
    ct = str(journey.archive / "0" / "deep" / "CT")
    return {
        "cohort": ["import", str(journey.archive), str(out)],
        "clean": ["deidentify", str(journey.archive), str(out)],
        "Dataset001_North": ["export", cohort, str(out), "--format", "nnunet"],
        "nifti": ["export", cohort, str(out), "--format", "nifti"],
        "S": ["train", cohort, "--out", str(out), *SHORT],
        "ST": ["adapt", model, cohort, "--out", str(out), *SHORT],
        "RS.dcm": ["contour", model, ct, "--out", str(out)],
        "SEG.dcm": ["contour", model, ct, "--out", str(out), "--format", "seg"],
        "masks": ["contour", model, ct, "--out", str(out), "--format", "nifti"],
        "report": ["evaluate", cohort, model, "--out", str(out)],
    }


OUTPUTS = [
    "cohort",
    "clean",
    "Dataset001_North",
    "nifti",
    "S",
    "ST",
    "RS.dcm",
    "SEG.dcm",
    "masks",
    "report",
]


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_command_wrote_is_on_the_disk_when_it_ends(
    journey: Journey, tmp_path: Path, disk: Disk, name: str
) -> None:
    out = tmp_path / name
    assert main(commands(journey, out)[name]) == 0
    assert out.exists()
    # Run folders are of no use once the model is written.
    lost = [str(path) for path in disk.lost(tmp_path) if path != tmp_path]
    assert [path for path in lost if "S.run" not in path and "ST.run" not in path] == []
    assert disk.named_before_synced == []


def test_an_import_that_adds_to_a_cohort_is_on_the_disk(
    journey: Journey, tmp_path: Path, disk: Disk
) -> None:
    cohort = tmp_path / "cohort"
    cohort.mkdir()  # an empty folder is filled in its place
    first = str(journey.archive / "0")
    assert main(["import", first, str(cohort), "--centre", "north"]) == 0
    assert main(["import", str(journey.archive), str(cohort)]) == 0
    assert [path for path in disk.lost(tmp_path) if path != tmp_path] == []
