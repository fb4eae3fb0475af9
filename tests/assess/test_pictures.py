"""The planes that a report may show, one bit per pixel."""

import numpy as np

from recontour.assess.pictures import Planes
from recontour.cohort import Cohort
from recontour.evaluation.planes import largest_plane, upright
from recontour.geometry.arrays import Mask


def test_planes_come_back_as_they_were_kept(north: Cohort) -> None:
    """The first model decides: the planes where the reference is largest, then its worst slice.

    Sagittal and coronal planes come back with the head up.
    """
    case = next(iter(north))
    reference = case.mask("Brainstem")
    first = reference.copy()
    first[0] = first[1]
    second = np.zeros_like(reference)
    planes = Planes()
    planes.keep(case, "Brainstem", "ST", first)
    planes.keep(case, "Brainstem", "S", second)
    column = largest_plane(reference, "sagittal").index
    row = largest_plane(reference, "coronal").index
    slices, height_mm = upright(case.grid)
    assert slices.tolist() == list(range(len(reference)))[::-1]
    row_mm, column_mm = case.grid.spacing_mm

    def cuts(mask: Mask) -> list[Mask]:
        return [mask[1], mask[::-1, :, column], mask[::-1, row], mask[0]]

    shown = list(planes.overlays(case, "Brainstem"))
    assert [overlay.view for overlay in shown] == ["axial", "sagittal", "coronal", "axial"]
    assert [shown[0].at_mm, shown[3].at_mm] == [case.grid.slice_z_mm[1], case.grid.slice_z_mm[0]]
    assert shown[1].spacing_mm == (height_mm, row_mm)
    assert shown[2].spacing_mm == (height_mm, column_mm)
    for overlay, expected, st, hu in zip(
        shown, cuts(reference), cuts(first), cuts(case.hu), strict=True
    ):
        np.testing.assert_array_equal(overlay.hu, hu)
        np.testing.assert_array_equal(overlay.reference, expected)
        np.testing.assert_array_equal(overlay.predicted["ST"], st)
        assert overlay.predicted["S"].shape == expected.shape
        assert not overlay.predicted["S"].any()
