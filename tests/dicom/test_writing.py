from pathlib import Path

import numpy as np
import pytest
from tests.dicom.conftest import (
    dciodvfy,
    make_scan,
    needs_dciodvfy,
    numbered,
)
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    ScanIdentity,
    write_scan,
)
from recontour.errors import (
    GridMismatchError,
    OutputError,
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    grid = make_grid(
        (4, 6, 8),
        spacing_mm=(1.171875, 0.9765625),
        z_mm=(-7.5, -4.5, -1.5, 3.0),
        origin_mm=(-249.5, 3.0),
    )
    hu = numbered(grid)
    hu[0, 0, :2] = (-32768, 32767)
    scan = write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))
    assert scan.grid == grid
    assert scan.hu.dtype == np.int16
    np.testing.assert_array_equal(scan.hu, hu)


def test_one_seed_makes_one_series(tmp_path: Path) -> None:
    first, again, other = (
        make_scan(tmp_path / name, seed=seed).source
        for name, seed in [("1", "a"), ("2", "a"), ("3", "b")]
    )
    assert first.sop_instance_uids == again.sop_instance_uids
    assert first.series_instance_uid == again.series_instance_uid
    assert len({*first.sop_instance_uids, *other.sop_instance_uids}) == 10
    assert first.frame_of_reference_uid != other.frame_of_reference_uid


def test_write_scan_refuses_a_folder_that_exists_and_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "ct").mkdir()
    with pytest.raises(OutputError, match="exists"):
        make_scan(tmp_path / "ct")
    assert [entry.name for entry in tmp_path.iterdir()] == ["ct"]


def test_write_scan_refuses_hu_of_another_grid(tmp_path: Path) -> None:
    with pytest.raises(GridMismatchError, match=r"int16 of shape \(5, 6, 8\) is expected"):
        write_scan(
            tmp_path / "ct", np.zeros((5, 6, 7), np.int16), make_grid((5, 6, 8)), ScanIdentity("a")
        )
    assert not list(tmp_path.iterdir())


@needs_dciodvfy
def test_written_images_are_valid_dicom(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    said = "\n".join(dciodvfy(tmp_path / "ct" / "CT0001.dcm"))
    assert "Error" not in said
    assert "CTImage" in said
