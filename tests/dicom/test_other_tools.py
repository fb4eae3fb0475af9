"""What recontour writes, judged by others: is it DICOM (dciodvfy), what does plastimatch see?"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which

import numpy as np
import pydicom
import pytest
from tests.dicom.conftest import block, dciodvfy, make_scan, needs_dciodvfy
from tests.geometry.conftest import dice, ellipse, make_grid, turned

from recontour.dicom import (
    Authorship,
    Scan,
    read_archive,
    read_series,
    read_structure_set,
    write_structure_set,
)
from recontour.geometry import Contour, Structure, StructureSet, rasterise, trace
from recontour.geometry.arrays import Mask, Points

needs_plastimatch = pytest.mark.skipif(
    which("plastimatch") is None, reason="plastimatch is not installed"
)

GRID = make_grid((11, 64, 64), z_mm=tuple(float(z) for z in range(-5, 6)))


def ball(*radii_mm: float) -> list[tuple[Points, float]]:
    """An ellipsoid's rings, off the pixels' centres."""
    found = []
    for z in GRID.slice_z_mm:
        if (share := 1 - ((z - 0.3) / radii_mm[2]) ** 2) > 0:
            found.append(
                (
                    ellipse(
                        (radii_mm[0] * share**0.5, radii_mm[1] * share**0.5), (0.37, -0.21), 120
                    ),
                    z,
                )
            )
    return found


def on_slices(z_mm: range, *rings: Points) -> list[tuple[Points, float]]:
    return [(points, float(z)) for z in z_mm for points in rings]


NERVE = turned(np.array([[-12.5, -1.5], [12.5, -1.5], [12.5, 1.5], [-12.5, 1.5]]), 31) + 0.3
SHAPES = {
    "lens": ball(4, 4, 4),
    "optic nerve": on_slices(range(-1, 2), NERVE),
    "pituitary": ball(6.5, 4.5, 4),
    "parotid": ball(19, 11, 10.5),
    "ring": on_slices(range(-3, 4), ellipse((12.3, 12.3)), ellipse((7.2, 7.2))),
    "two holes": on_slices(
        range(2), ellipse((16, 9)), ellipse((3, 4), (-7, 0.4)), ellipse((2.4, 5), (7, -0.3))
    ),
    "rings within rings": on_slices(
        range(2), *(ellipse((r, r), (0.2, 0.1)) for r in (22.1, 16.2, 11.3, 5.4))
    ),
    "islands": on_slices(
        range(-3, 4), ellipse((5.2, 4.1), (-9.6, 0.2)), ellipse((3.3, 3.3), (8.3, 2.7))
    ),
    "one slice": on_slices(range(1), ellipse((6.4, 5.1), (0.2, 0.4))),
}


def mask_of(rings: list[tuple[Points, float]]) -> Mask:
    return rasterise([Contour(points, z) for points, z in rings], GRID)


def problems(path: Path) -> list[str]:
    """What dciodvfy has to say beside the kind of the object."""
    return [line for line in dciodvfy(path) if line != "RTStructureSet"]


def written(path: Path, scan: Scan, structures: dict[str, tuple[Contour, ...]]) -> Path:
    drawn = StructureSet(tuple(Structure(name, contours) for name, contours in structures.items()))
    write_structure_set(path, drawn, scan, Authorship("test"))
    return path


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CT and, in rs.dcm, all shapes, traced from their masks."""
    folder = tmp_path_factory.mktemp("shapes")
    scan = make_scan(folder / "ct", GRID)
    written(
        folder / "rs.dcm",
        scan,
        {name: trace(mask_of(rings), GRID) for name, rings in SHAPES.items()},
    )
    return folder


@pytest.fixture(scope="module")
def seen_by_plastimatch(shapes: Path) -> Callable[[str], Mask]:
    command = ["plastimatch", "convert", "--input", "rs.dcm", "--referenced-ct", "ct"]
    command += ["--output-prefix", "masks", "--prefix-format", "mha"]
    subprocess.run(command, cwd=shapes, check=True, capture_output=True)

    def read(name: str) -> Mask:
        data = (shapes / "masks" / f"{name}.mha").read_bytes()
        header, _, voxels = data.partition(b"ElementDataFile = LOCAL\n")
        assert b"ElementType = MET_UCHAR" in header
        return np.frombuffer(voxels, dtype=np.uint8).reshape(GRID.shape).astype(bool)

    return read


@needs_plastimatch
@pytest.mark.parametrize("name", SHAPES)
def test_plastimatch_sees_the_mask(seen_by_plastimatch: Callable[[str], Mask], name: str) -> None:
    """Its rasteriser fills every contour by itself, so holes must be keyholes."""
    assert dice(seen_by_plastimatch(name), mask_of(SHAPES[name])) >= 0.99


@needs_dciodvfy
def test_shapes_are_valid_dicom(shapes: Path) -> None:
    assert problems(shapes / "rs.dcm") == []


def exact(scan: Scan) -> dict[str, tuple[Contour, ...]]:
    """Contours with as many decimals as there are, on odd places."""
    return {
        "Lens_L": tuple(
            Contour(ellipse((2.1, 1.3), (1 / 3, 1e-9)), z) for z in scan.grid.slice_z_mm
        )
    }


def odd_names(scan: Scan) -> dict[str, tuple[Contour, ...]]:
    return {"Tronc cérébral": trace(block(scan.grid), scan.grid), "左晶体": (), "x" * 64: ()}


def many_points(scan: Scan) -> dict[str, tuple[Contour, ...]]:
    """More than the 65 534 bytes that an explicit VR holds."""
    return {"BODY": (Contour(ellipse((3.0, 2.0), corners=20_000), 0.0),)}


@needs_dciodvfy
@pytest.mark.parametrize("structures", [exact, odd_names, many_points])
def test_odd_structure_sets_are_valid_dicom(
    tmp_path: Path, structures: Callable[[Scan], dict[str, tuple[Contour, ...]]]
) -> None:
    scan = make_scan(tmp_path / "ct")
    assert problems(written(tmp_path / "rs.dcm", scan, structures(scan))) == []


@needs_dciodvfy
@pytest.mark.parametrize("name", ["lung_pinnacle", "lung_varian_aria"])
def test_structure_sets_on_clinical_ct_are_valid_dicom(
    interop: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    (pair,) = read_archive(interop(name)).pairs
    scan = read_series(pair.series.files)
    drawn = read_structure_set(pair.structure_set.path, scan)
    traced = {
        one.name: trace(rasterise(one.contours, scan.grid), scan.grid) for one in drawn.structures
    }
    said = problems(written(tmp_path / "rs.dcm", scan, traced))
    assert [line for line in said if line.startswith("Error")] == []


def test_a_contour_of_any_number_of_points_comes_back(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    path = written(tmp_path / "rs.dcm", scan, many_points(scan))
    (contour,) = read_structure_set(path, scan)["BODY"].contours
    # four decimals
    assert np.abs(contour.points_mm - ellipse((3.0, 2.0), corners=20_000)).max() <= 0.5001e-4
    item = pydicom.dcmread(path).ROIContourSequence[0].ContourSequence[0]
    assert item["ContourData"].VR == "DS"
    assert item.NumberOfContourPoints == 20_000
