"""One phantom patient: how its head differs from the common one, and where voxels lie in it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from recontour.geometry import Grid
from recontour.phantom.shapes import Field, Position, Triple, triple

Window = tuple[slice, slice, slice]

COARSE = 4


@dataclass(frozen=True, slots=True)
class Patient:
    """How one patient differs from the common head; lengths in mm, angles in degrees.

    waves: the soft deformation, (3 axes, modes, 7): amplitude, wave numbers and phases.
    """

    size: Triple  # across, front to back, along
    turn_degrees: Triple  # nod, tilt, rotation
    flexion_mm: float  # how far the lower neck leans to the back
    place_mm: Triple  # of the head's origin on the scanner's table
    waves: npt.NDArray[np.float64]
    fat_mm: float
    neck: float  # width of the neck
    ventricle: float  # size of the brain's ventricles
    parotid: tuple[float, float]  # size, left and right
    parotid_hu: float
    pituitary: float
    nerve_mm: float  # radius of the optic nerves
    larynx_mm: float  # how far down the larynx sits
    teeth: npt.NDArray[np.bool_]  # (2 jaws, 14): which are there
    metal: tuple[int, ...]  # crowned teeth, as numbers into teeth.ravel()

    @classmethod
    def born(cls, rng: np.random.Generator) -> Self:
        """Draw a patient."""
        modes = 4
        waves = np.empty((3, modes, 7))
        waves[..., 0] = rng.normal(0, 1.1, (3, modes))
        waves[..., 1:4] = 2 * np.pi / rng.uniform(110, 260, (3, modes, 3))
        waves[..., 4:] = rng.uniform(0, 2 * np.pi, (3, modes, 3))
        overall = rng.normal(1, 0.035)
        missing = rng.uniform(0, 0.35) if rng.uniform() < 0.8 else 0.95
        teeth = rng.uniform(size=(2, 14)) > missing
        crowned = rng.uniform(size=28) < 0.12 if rng.uniform() < 0.4 else np.zeros(28, dtype=bool)
        metal = np.flatnonzero(crowned & teeth.ravel())
        return cls(
            size=triple(np.clip(overall * rng.normal(1, 0.025, 3), 0.88, 1.12)),
            turn_degrees=triple(np.clip(rng.normal(0, (5, 2, 3)), -9, 9)),
            flexion_mm=float(rng.uniform(-10, 12)),
            place_mm=triple(rng.normal(0, (5, 5, 4))),
            waves=waves,
            fat_mm=float(rng.uniform(3, 11)),
            neck=float(rng.uniform(0.9, 1.12)),
            ventricle=float(rng.uniform(0.75, 1.35)),
            parotid=(float(rng.uniform(0.88, 1.12)), float(rng.uniform(0.88, 1.12))),
            parotid_hu=float(rng.uniform(-45, 20)),
            pituitary=float(rng.uniform(0.9, 1.15)),
            nerve_mm=float(rng.uniform(1.9, 2.4)),
            larynx_mm=float(rng.uniform(-5, 6)),
            teeth=teeth,
            metal=tuple(metal.tolist()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The phantom's coordinates (u, v, w) of every voxel in mm: float32 (slice, row, column).

    The origin lies between the ears at the height of the foramen magnum; u runs to the left, v to
    the back, w to the head.
    """

    u: Field
    v: Field
    w: Field
    coarse: Position  # every COARSE-th row and column

    @classmethod
    def of(cls, patient: Patient, grid: Grid) -> Self:
        """Return where each voxel of a grid lies in a patient."""
        x, y, z = _axes(grid, patient.place_mm)
        nod, tilt, rotation = np.radians(patient.turn_degrees)
        turn = _rotation(0, nod) @ _rotation(1, tilt) @ _rotation(2, rotation)
        fields = []
        for row, size in zip(turn.astype(np.float32), patient.size, strict=True):
            turned = x * row[0] + y * row[1] + z * row[2]
            fields.append(turned / np.float32(size))
        u, v, w = fields
        v -= np.float32(patient.flexion_mm) * (np.minimum(w + 5, 0) / 80) ** 2
        for field, modes in zip(fields, patient.waves.astype(np.float32), strict=True):
            for amplitude, kx, ky, kz, px, py, pz in modes:
                wave = np.sin(kz * z + pz) * np.sin(ky * y + py) * np.sin(kx * x + px)
                np.add(field, amplitude * wave, out=field)
        return cls(u, v, w, (_coarse(u), _coarse(v), _coarse(w)))

    def window(self, low: Triple, high: Triple) -> Window:
        """Return the voxels that may lie between two corners.

        They are found on coarse steps, then widened by more than one.
        """
        inside = np.ones(self.coarse[0].shape, dtype=bool)
        for field, below, above in zip(self.coarse, low, high, strict=True):
            inside &= (field > below - 6) & (field < above + 6)
        if not inside.any():
            return slice(0), slice(0), slice(0)
        slices = _extent(inside, (1, 2), 1)
        rows = _extent(inside, (0, 2), COARSE)
        cols = _extent(inside, (0, 1), COARSE)
        return slices, rows, cols

    def __getitem__(self, window: Window) -> Position:
        """Return the coordinates in a window."""
        return self.u[window], self.v[window], self.w[window]


def _coarse(field: Field) -> Field:
    """Return every COARSE-th row and column."""
    return np.ascontiguousarray(field[:, ::COARSE, ::COARSE])


def _extent(
    inside: npt.NDArray[np.bool_],
    others: tuple[int, int],
    step: int,
) -> slice:
    """Return the stretch along one axis in which voxels are inside.

    others: the other axes. step: voxels per value.
    """
    found = np.flatnonzero(inside.any(axis=others))
    first = int(found[0])
    last = int(found[-1])
    return slice(first * step, (last + 1) * step)


def _axes(grid: Grid, place_mm: Triple) -> Position:
    """Return the grid's x, y and z, as fields that broadcast, relative to the head's place."""
    x = grid.origin_mm[0] + np.arange(grid.shape[2]) * grid.spacing_mm[1] - place_mm[0]
    y = grid.origin_mm[1] + np.arange(grid.shape[1]) * grid.spacing_mm[0] - place_mm[1]
    z = np.asarray(grid.slice_z_mm) - place_mm[2]
    return (
        x.astype(np.float32)[None, None, :],
        y.astype(np.float32)[None, :, None],
        z.astype(np.float32)[:, None, None],
    )


def _rotation(axis: int, angle: float) -> npt.NDArray[np.float64]:
    """Return a turn about one axis."""
    turn = np.eye(3)
    i = (axis + 1) % 3
    j = (axis + 2) % 3
    turn[i, i] = turn[j, j] = np.cos(angle)
    turn[i, j] = -np.sin(angle)
    turn[j, i] = np.sin(angle)
    return turn
