"""Real clinical DICOM at native resolution, with its quirks.

See interop/README.md of the shared data.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recontour.dicom import (
    Authorship,
    read_archive,
    read_scan,
    read_series,
    read_structure_set,
    write_structure_set,
)
from recontour.errors import DicomError
from recontour.geometry import Structure, StructureSet, rasterise, trace

Unpack = Callable[[str], Path]


def test_a_planning_ct_without_patient_position_or_instance_numbers(interop: Unpack) -> None:
    scan = read_scan(interop("hn_ct_picker_no_rtstruct"))
    assert scan.grid.shape == (90, 511, 511)
    assert scan.grid.spacing_mm == (1, 1)
    assert scan.grid.slice_z_mm == tuple(range(-267, 1, 3))
    assert scan.hu.dtype == np.int16
    assert scan.hu.min() == -1024


@pytest.mark.parametrize(
    ("name", "shape", "structures"),
    [
        ("lung_pinnacle", (99, 512, 512), ("Tumor_c40", "LN_c40", "Carina_c40", "Vertebra_c40")),
        ("lung_varian_aria", (73, 512, 512), ("GTVp_test_auto", "GTVp_test_man")),
    ],
)
def test_structure_sets_of_planning_systems_survive_the_round_trip(
    interop: Unpack,
    tmp_path: Path,
    name: str,
    shape: tuple[int, int, int],
    structures: tuple[str, ...],
) -> None:
    archive = read_archive(interop(name))
    (pair,) = archive.pairs
    scan = read_series(pair.series.files)
    assert scan.grid.shape == shape
    drawn = read_structure_set(pair.structure_set.path, scan)
    assert drawn.names == structures
    masks = {one.name: rasterise(one.contours, scan.grid) for one in drawn.structures}
    assert all(mask.any() for mask in masks.values())
    traced = StructureSet(
        tuple(Structure(name, trace(mask, scan.grid)) for name, mask in masks.items())
    )
    write_structure_set(tmp_path / "rs.dcm", traced, scan, Authorship("test"))
    back = read_structure_set(tmp_path / "rs.dcm", scan)
    for organ, mask in masks.items():
        np.testing.assert_array_equal(rasterise(back[organ].contours, scan.grid), mask)


def test_a_tumour_of_a_feet_first_patient_lies_in_soft_tissue(interop: Unpack) -> None:
    """Contours and CT agree as read, and less so if any axis of one were turned."""
    (pair,) = read_archive(interop("lung_varian_aria")).pairs
    scan = read_series(pair.series.files)
    assert scan.grid.slice_z_mm == tuple(-165 + 1.25 * index for index in range(73))
    mask = rasterise(
        read_structure_set(pair.structure_set.path, scan)["GTVp_test_man"].contours, scan.grid
    )
    soft = [
        np.mean(scan.hu[turned] > -300)
        for turned in (mask, *(np.flip(mask, axis) for axis in range(3)))
    ]
    assert soft[0] > max(soft[1:])


def test_an_empty_structure_and_absent_slices(interop: Unpack) -> None:
    folder = interop("breast_dicompyler")
    scan = read_scan(folder)
    assert scan.grid.shape == (1, 512, 512)
    drawn = read_structure_set(folder / "rtss.dcm", scan)
    assert drawn["Areola"].contours == ()
    assert len(drawn["BODY"].contours) >= 97
    assert rasterise(drawn["BODY"].contours, scan.grid).any()


def test_jpeg_2000_without_uids_is_read_but_cannot_carry_a_structure_set(
    interop: Unpack, tmp_path: Path
) -> None:
    scan = read_scan(interop("partialbody_siemens_j2k"))
    assert scan.grid.shape == (20, 512, 512)
    assert set(np.diff(scan.grid.slice_z_mm)) == {2.0}  # though SliceThickness says 3
    assert scan.hu.min() == -1024
    assert not scan.source.series_instance_uid
    with pytest.raises(DicomError, match="does not invent one"):
        write_structure_set(tmp_path / "rs.dcm", StructureSet(()), scan, Authorship("test"))
    assert not (tmp_path / "rs.dcm").exists()
