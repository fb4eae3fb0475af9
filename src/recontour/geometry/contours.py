"""Contours as a planning system draws them: plain data."""

from collections.abc import Iterable
from dataclasses import dataclass

from recontour.geometry.arrays import Points

SAME_PLANE_MM = 0.05  # contours closer than this in z were drawn in one plane


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One closed planar contour; the last point joins the first.

    points_mm: (n, 2) float64, x and y in the DICOM patient frame (LPS). z_mm: the plane it lies in.
    """

    points_mm: Points
    z_mm: float


@dataclass(frozen=True, slots=True)
class Structure:
    """One region of interest: its name and its contours, in any order.

    Contours in one plane combine even-odd: a contour inside another is a hole, one inside the hole
    an island.
    """

    name: str
    contours: tuple[Contour, ...]


@dataclass(frozen=True, slots=True)
class StructureSet:
    """The structures that were drawn on one CT series.

    >>> drawn = StructureSet((Structure("Lens_L", ()), Structure("Lens_R", ())))
    >>> drawn.names, drawn["Lens_R"].contours
    (('Lens_L', 'Lens_R'), ())
    """

    structures: tuple[Structure, ...]

    def __getitem__(self, name: str) -> Structure:
        """Return the structure of that name; KeyError if there is none."""
        for structure in self.structures:
            if structure.name == name:
                return structure
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the structures' names, in their order."""
        return tuple(structure.name for structure in self.structures)


def planes(contours: Iterable[Contour]) -> list[list[Contour]]:
    """Group contours by plane, upwards.

    Each lies within SAME_PLANE_MM of the next one of its plane.

    >>> import numpy as np
    >>> contours = [Contour(np.zeros((3, 2)), z_mm) for z_mm in (3.0, 0.0, 3.01)]
    >>> [len(plane) for plane in planes(contours)]
    [1, 2]
    """
    found: list[list[Contour]] = []
    for contour in sorted(contours, key=lambda one: one.z_mm):
        if found and contour.z_mm - found[-1][-1].z_mm <= SAME_PLANE_MM:
            found[-1].append(contour)
        else:
            found.append([contour])
    return found


def height_mm(plane: list[Contour]) -> float:
    """Return the z of a plane as `planes` gives it: that of its middle contour.

    >>> import numpy as np
    >>> height_mm([Contour(np.zeros((3, 2)), 2.5)])
    2.5
    """
    return plane[len(plane) // 2].z_mm
