"""Contours as a planning system draws them: plain data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One closed planar contour; the last point joins the first.

    points_mm: (n, 2) float64, x and y in the DICOM patient frame (LPS). z_mm: the plane it lies in.
    """

    points_mm: npt.NDArray[np.float64]
    z_mm: float


@dataclass(frozen=True, slots=True)
class Structure:
    """One region of interest: its name and its contours, in any order.

    Contours in one plane combine even-odd: a contour inside another is a hole, one inside the hole an island.
    """

    name: str
    contours: tuple[Contour, ...]


@dataclass(frozen=True, slots=True)
class StructureSet:
    """The structures that were drawn on one CT series."""

    structures: tuple[Structure, ...]

    def __getitem__(self, name: str) -> Structure:
        """Return the structure of that name; KeyError if there is none."""
        for structure in self.structures:
            if structure.name == name:
                return structure
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The structures' names, in their order."""
        return tuple(structure.name for structure in self.structures)
