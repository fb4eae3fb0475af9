"""A centre's archive as a clinic exports it: a few patients, nested, with stray files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from recontour.cli import main
from recontour.contouring.predict import OrganMasks
from recontour.dicom import (
    Authorship,
    Scan,
    ScanIdentity,
    write_scan,
    write_structure_set,
)
from recontour.geometry import Grid, Structure, StructureSet, trace

GRID = Grid((6, 64, 64), (3.0, 3.0), tuple(3.0 * i for i in range(6)), (-94.5, -94.5))
NAME, PATIENT_ID = "Zebedee^Quentin", "MRN-4711"


def write_patient(
    folder: Path, number: int, roi_names: tuple[str, str] = ("Brain Stem", "Lens OS")
) -> Scan:
    """One patient: a bright box in the middle, a brighter ball beside it, both contoured."""
    zz, yy, xx = np.mgrid[:6, :64, :64]
    stem = (abs(yy - 32 - number % 3) <= 5) & (abs(xx - 32) <= 5) & (zz > 0)
    lens = ((xx - 44) ** 2 + (yy - 20) ** 2 <= 9) & (zz > 2)
    body = (xx - 32) ** 2 + (yy - 32) ** 2 < 28**2
    hu = (
        np.where(body, 30, -1000)
        + 150 * stem
        + 300 * lens
        + np.random.default_rng(number).normal(0, 8, GRID.shape)
    )
    identity = ScanIdentity(
        f"journey {number}", patient_id=f"{PATIENT_ID}{number}", patient_name=NAME
    )
    scan = write_scan(folder / "CT", np.round(hu).astype(np.int16), GRID, identity)
    structures = tuple(
        Structure(name, trace(mask, GRID))
        for name, mask in zip(roi_names, (stem, lens), strict=True)
    )
    extra = Structure("PTV 70", structures[0].contours)
    author = Authorship("a person", "HN", algorithm="MANUAL", seed=f"journey {number}")
    write_structure_set(folder / "RS.dcm", StructureSet((*structures, extra)), scan, author)
    return scan


def with_a_square(contour: Callable[..., OrganMasks]) -> Callable[..., OrganMasks]:
    """Find a square in the middle of each organ of `write_patient`, and nothing else.

    Two steps of training find nothing, or what no organ is like.
    """
    middles = {"Brainstem": (32, 32), "Lens_L": (20, 44)}

    def find_something(*arguments: object) -> OrganMasks:
        for organ, mask in contour(*arguments):
            row, column = middles.get(organ, (32, 32))
            found = np.zeros_like(mask)
            found[-1, row - 2 : row + 2, column - 2 : column + 2] = True
            yield organ, found

    return find_something


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients and a text file."""
    folder = tmp_path_factory.mktemp("dicom")
    for number in range(3):
        write_patient(folder / f"{number}" / "deep", number)
    (folder / "readme.txt").write_text("exported on a Friday")
    return folder


@dataclass(frozen=True)
class Journey:
    """What the commands of the README leave behind."""

    archive: Path
    cohort: Path
    model_s: Path
    model_st: Path


@pytest.fixture(scope="session")
def journey(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """import, train, adapt: two steps of training each, the same on every processor."""
    folder = tmp_path_factory.mktemp("journey")
    made = Journey(archive, folder / "north", folder / "S.safetensors", folder / "ST.safetensors")
    short = ["--iterations", "2", "--precision", "float32"]
    assert main(["import", str(archive), str(made.cohort)]) == 0
    assert main(["train", str(made.cohort), "--out", str(made.model_s), *short]) == 0
    assert (
        main(["adapt", str(made.model_s), str(made.cohort), "--out", str(made.model_st), *short])
        == 0
    )
    return made
