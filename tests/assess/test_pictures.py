"""The planes that a report may show, one bit per pixel."""

import numpy as np

from recontour.assess.pictures import Planes
from recontour.cohort import Cohort


def test_planes_come_back_as_they_were_kept(north: Cohort) -> None:
    """The first model decides: the slice where the reference is largest, then its worst slice."""
    case = next(iter(north))
    reference = case.mask("Brainstem")
    first = reference.copy()
    first[0] = first[1]
    second = np.zeros_like(reference)
    planes = Planes()
    planes.keep(case, "Brainstem", "ST", first)
    planes.keep(case, "Brainstem", "S", second)
    shown = list(planes.overlays(case, "Brainstem"))
    assert [overlay.z_mm for overlay in shown] == [case.grid.slice_z_mm[1], case.grid.slice_z_mm[0]]
    for overlay, index in zip(shown, (1, 0), strict=True):
        np.testing.assert_array_equal(overlay.reference, reference[index])
        np.testing.assert_array_equal(overlay.predicted["ST"], first[index])
        assert not overlay.predicted["S"].any()
