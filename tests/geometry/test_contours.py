import numpy as np
import pytest
from tests.geometry.conftest import ellipse, make_grid

from recontour.geometry import Contour, Structure, StructureSet, planes, rasterise


def test_structures_are_found_by_name() -> None:
    cord = Structure("SpinalCord", (Contour(np.zeros((3, 2)), 1.0),))
    structures = StructureSet((Structure("Brainstem", ()), cord))
    assert structures.names == ("Brainstem", "SpinalCord")
    assert structures["SpinalCord"] is cord
    with pytest.raises(KeyError, match="Larynx"):
        structures["Larynx"]


def test_contours_of_one_plane_may_differ_in_z_by_what_rounding_does() -> None:
    z_mm = [3.0, 0.04, 0.0, -0.04, 3.06, 0.1]
    drawn = planes(Contour(np.zeros((3, 2)), z) for z in z_mm)
    assert [[one.z_mm for one in plane] for plane in drawn] == [
        [-0.04, 0.0, 0.04],
        [0.1],
        [3.0],
        [3.06],
    ]
    assert planes([]) == []


def test_a_plane_between_two_slices_is_not_torn() -> None:
    """Its contours lie a hair below and above the middle; the hole stays with its ring."""
    grid = make_grid((3, 64, 64))
    ring = [
        Contour(ellipse((20, 20)), 1.51),
        Contour(ellipse((9, 9)), 1.49),
        Contour(ellipse((3, 3)), 1.5),
    ]
    level = [Contour(one.points_mm, 1.5) for one in ring]
    np.testing.assert_array_equal(rasterise(ring, grid), rasterise(level, grid))
