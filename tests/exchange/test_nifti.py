"""Two foreign readers, of ITK and of nibabel, must find every voxel at the same place."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from tests.geometry.conftest import make_grid

from recontour.errors import GridMismatchError
from recontour.exchange.findings import UnevenSlices
from recontour.exchange.nifti import affine_ras, write_nifti
from recontour.geometry.findings import WrongShape

GRID = make_grid(
    (4, 5, 7),
    spacing_mm=(1.25, 0.9765625),
    z_mm=(-10.0, -7.5, -5.0, -2.5),
    origin_mm=(-120.5, 33.25),
)
HU = np.random.default_rng(1).integers(-1024, 3072, GRID.shape).astype(np.int16)
FLOAT32_MM = 1e-4  # the affine's precision, at some hundred mm


def test_itk_finds_the_voxels_where_dicom_has_them(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii.gz", HU, GRID)
    image = sitk.ReadImage(str(tmp_path / "ct.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), HU)
    for index in np.ndindex(GRID.shape):
        slice_, row, column = index
        expected = (*GRID.to_mm(np.array([[column, row]], dtype=float))[0], GRID.slice_z_mm[slice_])
        assert image.TransformIndexToPhysicalPoint((column, row, slice_)) == pytest.approx(
            expected, abs=FLOAT32_MM
        )


def test_nibabel_finds_left_where_left_is(tmp_path: Path) -> None:
    """In RAS the patient's left, back and foot have the lower coordinates."""
    write_nifti(tmp_path / "ct.nii", HU, GRID)
    image = nibabel.load(tmp_path / "ct.nii")
    assert isinstance(image, nibabel.Nifti1Image)
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.header.get_zooms() == pytest.approx((0.9765625, 1.25, 2.5))
    np.testing.assert_array_equal(np.asarray(image.dataobj), HU.transpose(2, 1, 0))
    for form in (image.get_qform(), image.get_sform()):
        np.testing.assert_allclose(form, affine_ras(GRID), atol=FLOAT32_MM)
    np.testing.assert_allclose(
        image.affine @ [0, 0, 0, 1], [120.5, -33.25, -10.0, 1], atol=FLOAT32_MM
    )


def test_a_mask_is_written_as_zeros_and_ones(tmp_path: Path) -> None:
    write_nifti(tmp_path / "mask.nii.gz", HU > 0, GRID)
    read = sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
    assert read.GetPixelIDTypeAsString() == "8-bit unsigned integer"
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), HU > 0)


def test_uneven_slices_are_refused_and_not_resampled(tmp_path: Path) -> None:
    grid = make_grid((4, 5, 7), z_mm=(0.0, 3.0, 6.0, 12.0))
    with pytest.raises(GridMismatchError) as caught:
        write_nifti(tmp_path / "ct.nii.gz", HU, grid)
    assert caught.value.finding == UnevenSlices(least_mm=3.0, most_mm=6.0)
    assert list(tmp_path.iterdir()) == []


def test_voxels_of_another_grid_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii.gz"
    with pytest.raises(GridMismatchError) as caught:
        write_nifti(path, HU[1:], GRID)
    expected = WrongShape(path=path, what="array", shape=HU[1:].shape, expected=GRID.shape)
    assert caught.value.finding == expected
