"""Three of the nine mistakes, on real patients of one centre and on a real CT of the trunk."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dicom.conftest import SHARED_DATA
from tests.journeys.mistakes import SHORT, SWAPPED, Command, Mistake

from recontour.cli import main

pytestmark = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason=f"the real data of {SHARED_DATA} are not here"
)
PATIENTS = ["SRC001", "SRC021", "SRC026"]  # few slices; their brain stems end on the last one


@pytest.fixture
def mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Mistake]:
    made = Mistake(tmp_path, capsys)
    yield made
    assert made.silent == []


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DICOM of three patients, a cohort of them, and a model that was trained on them."""
    folder = tmp_path_factory.mktemp("real")
    script = str(SHARED_DATA / "make_dicom.py")
    dicom, cohort = str(folder / "dicom"), str(folder / "cohort")
    command = [sys.executable, script, dicom, "--cases", *PATIENTS]
    subprocess.run(command, check=True, capture_output=True)
    assert main(["import", dicom, cohort]) == 0
    assert main(["train", cohort, "--out", str(folder / "model"), *map(str, SHORT)]) == 0
    return folder


def test_another_region(mistake: Mistake, real: Path) -> None:
    name = "partialbody_siemens_j2k"
    with tarfile.open(SHARED_DATA / "interop" / f"{name}.tar.xz") as archive:
        archive.extractall(mistake.folder, filter="data")
    trunk = mistake.folder / name
    mistake.is_said_by(
        lambda out: ["contour", real / "model", trunk, "--out", f"{out}.dcm"],
        "the body on this CT is unlike those that the model learnt from",
        "body_unlike_training",
    )


def test_left_and_right_swapped(mistake: Mistake, real: Path) -> None:
    names = mistake.folder / "swapped.toml"
    names.write_text(SWAPPED)
    dicom, cohort = real / "dicom", mistake.folder / "cohort"
    assert main(["import", str(dicom), str(cohort), "--names", str(names)]) == 0
    commands: list[Command] = [
        lambda out: ["import", dicom, out, "--names", names],
        lambda _: ["inspect", cohort],
        lambda out: ["evaluate", cohort, real / "model", "--out", out],
    ]
    for command in commands:
        mistake.is_said_by(command, "left and right look swapped in 3 cases", "doubtful_sides")
    mistake.is_said_by(
        lambda out: ["deidentify", dicom, out, "--names", names],
        "the name says Parotid_L",
        "swapped_sides",
    )


def test_a_wide_cord_and_brain_stems_cut_by_the_scan(mistake: Mistake, real: Path) -> None:
    cohort = real / "cohort"
    said = {
        "cord_like_canal": "as wide as the spinal canal in 1 of 3 cases",
        "cut_by_scan": "Brainstem: reaches the upper end of the scan in 3 of 3 cases",
    }
    commands: list[Command] = [
        lambda out: ["import", real / "dicom", out],
        lambda _: ["inspect", cohort],
        lambda out: ["train", cohort, "--out", out, *SHORT],
    ]
    for command in commands:
        mistake.are_said_by(command, said)
