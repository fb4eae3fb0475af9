"""A power cut right after a command that ended well takes nothing:

benchmarks/power_cut.py does it to a real disk.
"""

from pathlib import Path

import pytest
from tests.durable import Disk
from tests.journeys.conftest import Journey

from recontour.cli import main

SHORT = ["--iterations", "2"]


def commands(journey: Journey, out: Path) -> dict[str, list[str]]:
    """Every command that writes, by the name of its output;

    each into folders that are not there yet.
    """
    cohort, model, ct = (
        str(journey.cohort),
        str(journey.model_s),
        str(journey.archive / "0" / "deep" / "CT"),
    )
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
    out = tmp_path / "new" / "deep" / name
    assert main(commands(journey, out)[name]) == 0
    assert out.exists()
    lost = [
        path
        for path in disk.lost(tmp_path)
        if "S.run" not in str(path) and "ST.run" not in str(path)
    ]
    assert lost == []
    assert disk.named_before_synced == []


def test_an_import_that_adds_to_a_cohort_is_on_the_disk(
    journey: Journey, tmp_path: Path, disk: Disk
) -> None:
    (tmp_path / "cohort").mkdir()  # an empty folder is filled in its place
    assert (
        main(["import", str(journey.archive / "0"), str(tmp_path / "cohort"), "--centre", "north"])
        == 0
    )
    assert main(["import", str(journey.archive), str(tmp_path / "cohort")]) == 0
    assert [path for path in disk.lost(tmp_path) if path != tmp_path] == []
