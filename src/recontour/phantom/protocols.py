"""How a centre's physicians contour: where organs begin and end, how tightly, how steadily.

Contours follow the organs' implicit surfaces between the pixels; they are not the edges of voxels.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import contourpy
import numpy as np
from scipy import ndimage

from recontour.geometry import Contour, Grid
from recontour.geometry.arrays import Points
from recontour.phantom import organs
from recontour.phantom.patient import Patient, Space, Window
from recontour.phantom.shapes import Field, Position, Triple, ellipsoid, joined, triple, within

OPEN = 1000.0  # mm: no end
SPECK_MM2 = 3.0
WAVES = 3


@dataclass(frozen=True, slots=True)
class Protocol:
    """One centre's contouring; heights are w of the common head, lengths mm."""

    brainstem_mm: tuple[float, float]  # caudal and cranial end
    cord_mm: tuple[float, float]
    cord_is_canal: bool  # the canal within its bone rather than the cord
    cord_grow_mm: float
    parotid_grow_mm: float
    parotid_accessory: bool  # with the accessory lobe on the masseter
    pituitary_grow_mm: float
    lobe_back_mm: float  # the temporal lobe's back end, v
    lobe_raise_mm: float  # above the Sylvian fissure
    nerve_grow_mm: float
    nerve_back_mm: float  # the optic nerve's back end, v: at the canal, or at the chiasm
    jaw_top_mm: float  # with or without the part that bears the teeth
    hand_mm: float  # unsteadiness of the hand


@dataclass(frozen=True, slots=True)
class _Sketch:
    """What is about to be traced: a shape in a window, kept between two heights."""

    window: Window
    shape: Field
    ends_mm: tuple[float, float] = (-OPEN, OPEN)
    unsteady: float = 1.0  # share of the protocol's unsteadiness
    smooth_px: float = 0.8


def draw(
    patient: Patient,
    space: Space,
    skin: Field,
    grid: Grid,
    protocol: Protocol,
    rng: np.random.Generator,
) -> dict[str, tuple[Contour, ...]]:
    """Return every organ's contours on a patient, by TG-263 name."""
    sketches = {
        "Brainstem": _column(space, organs.brainstem, protocol.brainstem_mm),
        "SpinalCord": _cord(space, protocol),
        "Bone_Mandible": _mandible(space, protocol),
        "Pituitary": _pituitary(space, patient, protocol),
    }
    for side, mark in ((1, "L"), (-1, "R")):
        sketches[f"Parotid_{mark}"] = _parotid(space, skin, patient, protocol, side)
        sketches[f"Lens_{mark}"] = _lens(space, side)
        sketches[f"OpticNrv_{mark}"] = _optic_nerve(space, patient, protocol, side)
        sketches[f"Lobe_Temporal_{mark}"] = _temporal_lobe(space, protocol, side)
    return _traced(sketches, space, grid, protocol, rng)


def _traced(
    sketches: Mapping[str, _Sketch],
    space: Space,
    grid: Grid,
    protocol: Protocol,
    rng: np.random.Generator,
) -> dict[str, tuple[Contour, ...]]:
    contours = {}
    for name, sketch in sketches.items():
        contours[name] = trace(sketch, space, grid, protocol.hand_mm, rng)
    return contours


def draw_others(
    space: Space,
    skin: Field,
    grid: Grid,
    protocol: Protocol,
    rng: np.random.Generator,
) -> dict[str, tuple[Contour, ...]]:
    """Return the other structures of a clinic: skin, targets, a margin, and an empty one."""
    everything = (slice(None), slice(None, None, 2), slice(None, None, 2))
    side = int(rng.choice((-1, 1)))
    centre = (
        side * float(rng.uniform(8, 22)),
        float(rng.uniform(-45, -20)),
        float(rng.uniform(-60, -25)),
    )
    window = space.window((-60, -80, -100), (60, 20, 10))
    gross = ellipsoid(space[window], centre, triple(rng.uniform(9, 16, 3)))
    stem = _column(space, organs.brainstem, protocol.brainstem_mm)
    sketches = {
        "body": _Sketch(everything, skin[everything], unsteady=0.0, smooth_px=0.0),
        "gross": _Sketch(window, gross),
        "planning": _Sketch(window, gross - np.float32(8)),
        "margin": _Sketch(stem.window, stem.shape - np.float32(3), stem.ends_mm),
    }
    return {**_traced(sketches, space, grid, protocol, rng), "empty": ()}


def _column(
    space: Space,
    shape: Callable[[Position], Field],
    ends_mm: tuple[float, float],
) -> _Sketch:
    """Sketch a column along the middle of the body."""
    low, high = ends_mm
    window = space.window((-22, -14, low - 8), (22, 36, high + 8))
    return _Sketch(window, shape(space[window]), ends_mm)


def _cord(space: Space, protocol: Protocol) -> _Sketch:
    grow_mm = np.float32(protocol.cord_grow_mm)
    column = organs.canal if protocol.cord_is_canal else organs.cord
    return _column(space, lambda at: column(at) - grow_mm, protocol.cord_mm)


def _mandible(space: Space, protocol: Protocol) -> _Sketch:
    window = space.window((-66, -100, -62), (66, 4, 12))
    jaw = organs.mandible(space[window], protocol.jaw_top_mm) - np.float32(0.2)
    return _Sketch(window, jaw, unsteady=0.5)


def _pituitary(space: Space, patient: Patient, protocol: Protocol) -> _Sketch:
    window = space.window((-14, -30, 20), (14, -4, 42))
    gland = organs.pituitary(space[window], patient) - np.float32(protocol.pituitary_grow_mm)
    return _Sketch(window, gland, unsteady=0.4, smooth_px=0.4)


def _side_window(
    space: Space,
    side: int,
    low: Triple,
    high: Triple,
) -> tuple[Window, Position]:
    """Return a window on one side, and its positions as seen by an organ of that side.

    low and high: corners on the left side.
    """
    if side < 0:
        mirrored_low = (-high[0], *low[1:])
        mirrored_high = (-low[0], *high[1:])
        low, high = mirrored_low, mirrored_high
    window = space.window(low, high)
    return window, organs.mirrored(space[window], side)


def _parotid(
    space: Space,
    skin: Field,
    patient: Patient,
    protocol: Protocol,
    side: int,
) -> _Sketch:
    """Sketch the gland within skin, jaw, masseter and mastoid."""
    window, at = _side_window(space, side, (28, -56, -60), (78, 30, 24))
    gland = organs.parotid(at, patient.parotid[0 if side > 0 else 1])
    masseter = ellipsoid(at, (55.5, -33.0, -25.0), (6.5, 15.0, 24.0))
    mastoid = ellipsoid(at, (54.0, 20.0, -5.0), (11.0, 13.0, 17.0))
    grow_mm = np.float32(protocol.parotid_grow_mm)
    gland = within(gland - grow_mm, -masseter)
    if protocol.parotid_accessory:
        gland = joined(gland, organs.accessory_parotid(at) - grow_mm)
    jaw = organs.mandible(at, organs.ALVEOLUS_MM)
    gland = within(gland, skin[window] + 3, -mastoid, -jaw)
    return _Sketch(window, gland, (-OPEN, 5.0))


def _lens(space: Space, side: int) -> _Sketch:
    window, at = _side_window(space, side, (22, -86, 24), (42, -70, 42))
    return _Sketch(window, organs.lens(at), unsteady=0.25, smooth_px=0.0)


def _optic_nerve(
    space: Space,
    patient: Patient,
    protocol: Protocol,
    side: int,
) -> _Sketch:
    window, at = _side_window(space, side, (0, -66, 26), (40, -10, 46))
    nerve = organs.optic_nerve(at, patient) - np.float32(protocol.nerve_grow_mm)
    u, v, _ = at
    in_front = v - np.float32(protocol.nerve_back_mm)
    nerve = within(nerve, -organs.eye(at), in_front, 1 - u)
    return _Sketch(window, nerve, unsteady=0.25, smooth_px=0.0)


def _temporal_lobe(space: Space, protocol: Protocol, side: int) -> _Sketch:
    window, at = _side_window(space, side, (12, -50, 0), (74, 70, 66))
    lobe = organs.temporal_lobe(at, protocol.lobe_back_mm, protocol.lobe_raise_mm)
    return _Sketch(window, lobe, smooth_px=3.0)


def trace(
    sketch: _Sketch,
    space: Space,
    grid: Grid,
    hand_mm: float,
    rng: np.random.Generator,
) -> tuple[Contour, ...]:
    """Follow a shape's surface with an unsteady hand, on whole slices between its two ends."""
    x, y, z = _axes_mm(grid, sketch.window)
    shape = sketch.shape
    if sketch.smooth_px:
        sigma = (0, sketch.smooth_px, sketch.smooth_px)
        shape = np.asarray(ndimage.gaussian_filter(shape, sigma), dtype=np.float32)
    unsteady_mm = hand_mm * sketch.unsteady
    first_end, last_end = sketch.ends_mm
    low = first_end + float(rng.normal(0, 2 * unsteady_mm))
    high = last_end + float(rng.normal(0, 2 * unsteady_mm))
    shape = shape + _wobble(x, y, z, unsteady_mm, rng)
    heights = space.w[sketch.window]
    contours: list[Contour] = []
    for k, z_mm in enumerate(z):
        inside = shape[k] < 0
        if inside.any() and low <= heights[k][inside].mean() <= high:
            contours.extend(_outlines(x, y, shape[k], float(z_mm)))
    return tuple(contours)


def _axes_mm(grid: Grid, window: Window) -> tuple[Points, Points, Points]:
    """Return x of a window's columns, y of its rows and z of its slices."""
    slices, rows, cols = window
    _, row_count, col_count = grid.shape
    row_mm, col_mm = grid.spacing_mm
    left, back = grid.origin_mm
    x = left + np.arange(col_count, dtype=np.float64)[cols] * col_mm
    y = back + np.arange(row_count, dtype=np.float64)[rows] * row_mm
    z = np.asarray(grid.slice_z_mm, dtype=np.float64)[slices]
    return x, y, z


def _outlines(
    x: Points,
    y: Points,
    shape: Field,
    z_mm: float,
) -> Iterator[Contour]:
    """Yield a shape's contours on one slice; specks are left out."""
    plane = np.pad(shape[1:-1, 1:-1], 1, constant_values=1.0)
    for line in contourpy.contour_generator(
        x=x,
        y=y,
        z=plane,
    ).lines(0.0):
        points = np.asarray(line, dtype=np.float64)[:-1]
        if _area_mm2(points) >= SPECK_MM2:
            yield Contour(points, z_mm)


def _wobble(
    x: Points,
    y: Points,
    z: Points,
    amplitude_mm: float,
    rng: np.random.Generator,
) -> Field:
    """Return smooth noise: a few waves of 14 to 50 mm in the slice, and an offset per slice."""
    total = np.zeros((len(z), len(y), len(x)), dtype=np.float32)
    for _ in range(WAVES):
        kx, ky, kz = 2 * np.pi / rng.uniform((14, 14, 12), (50, 50, 40))
        px, py, pz = rng.uniform(0, 2 * np.pi, 3)
        total += _outer(np.sin(kz * z + pz), np.sin(ky * y + py), np.sin(kx * x + px))
    total += 0.5 * rng.standard_normal(len(z), dtype=np.float32)[:, None, None]
    return np.asarray(total * np.float32(amplitude_mm), dtype=np.float32)


def _outer(a: Points, b: Points, c: Points) -> Field:
    return np.asarray(a[:, None, None] * b[None, :, None] * c[None, None, :], dtype=np.float32)


def _area_mm2(points: Points) -> float:
    """Return the area of a polygon (n, 2)."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
