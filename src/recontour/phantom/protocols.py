"""How a centre's physicians contour: where an organ begins and ends, how tight, how steady the
hand.

Contours follow the organs' implicit surfaces between the pixels; they are not the edges of voxels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import contourpy
import numpy as np
from scipy import ndimage

from recontour.geometry import Contour, Grid
from recontour.geometry.arrays import Points
from recontour.phantom import organs
from recontour.phantom.patient import Patient, Space, Window
from recontour.phantom.shapes import Field, Position, Triple, ellipsoid, triple

OPEN = 1000.0  # no end


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
    """Every organ's contours on a patient, by TG-263 name."""
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
    return {
        name: trace(sketch, space, grid, protocol.hand_mm, rng) for name, sketch in sketches.items()
    }


def draw_others(
    space: Space, skin: Field, grid: Grid, protocol: Protocol, rng: np.random.Generator
) -> dict[str, tuple[Contour, ...]]:
    """What else stands in a clinic's structure set:

    the skin, targets, a margin round the brain stem, an empty one.
    """
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
    drawn = {
        name: trace(sketch, space, grid, protocol.hand_mm, rng) for name, sketch in sketches.items()
    }
    return {**drawn, "empty": ()}


def _column(
    space: Space, shape: Callable[[Position], Field], ends_mm: tuple[float, float]
) -> _Sketch:
    """A column along the middle of the body."""
    window = space.window((-22, -14, ends_mm[0] - 8), (22, 36, ends_mm[1] + 8))
    return _Sketch(window, shape(space[window]), ends_mm)


def _cord(space: Space, protocol: Protocol) -> _Sketch:
    grow_mm = np.float32(protocol.cord_grow_mm)
    column = organs.canal if protocol.cord_is_canal else organs.cord
    return _column(space, lambda at: column(at) - grow_mm, protocol.cord_mm)


def _mandible(space: Space, protocol: Protocol) -> _Sketch:
    window = space.window((-66, -100, -62), (66, 4, 12))
    return _Sketch(
        window, organs.mandible(space[window], protocol.jaw_top_mm) - np.float32(0.2), unsteady=0.5
    )


def _pituitary(space: Space, patient: Patient, protocol: Protocol) -> _Sketch:
    window = space.window((-14, -30, 20), (14, -4, 42))
    gland = organs.pituitary(space[window], patient) - np.float32(protocol.pituitary_grow_mm)
    return _Sketch(window, gland, unsteady=0.4, smooth_px=0.4)


def _side_window(space: Space, side: int, low: Triple, high: Triple) -> tuple[Window, Position]:
    """A window on one side, and its positions as seen by an organ of that side;

    low and high tell the left.
    """
    if side < 0:
        low, high = (-high[0], *low[1:]), (-low[0], *high[1:])
    window = space.window(low, high)
    return window, organs.mirrored(space[window], side)


def _parotid(space: Space, skin: Field, patient: Patient, protocol: Protocol, side: int) -> _Sketch:
    """The gland within skin, jaw, masseter and mastoid."""
    window, at = _side_window(space, side, (28, -56, -60), (78, 30, 24))
    gland = organs.parotid(at, patient.parotid[0 if side > 0 else 1])
    masseter = ellipsoid(at, (55.5, -33.0, -25.0), (6.5, 15.0, 24.0))
    mastoid = ellipsoid(at, (54.0, 20.0, -5.0), (11.0, 13.0, 17.0))
    grow_mm = np.float32(protocol.parotid_grow_mm)
    gland = np.maximum(gland - grow_mm, -masseter)
    if protocol.parotid_accessory:
        gland = np.minimum(gland, organs.accessory_parotid(at) - grow_mm)
    gland = np.maximum(gland, np.maximum(skin[window] + 3, -mastoid))
    return _Sketch(
        window, np.maximum(gland, -organs.mandible(at, organs.ALVEOLUS_MM)), (-OPEN, 5.0)
    )


def _lens(space: Space, side: int) -> _Sketch:
    window, at = _side_window(space, side, (22, -86, 24), (42, -70, 42))
    return _Sketch(window, organs.lens(at), unsteady=0.25, smooth_px=0.0)


def _optic_nerve(space: Space, patient: Patient, protocol: Protocol, side: int) -> _Sketch:
    window, at = _side_window(space, side, (0, -66, 26), (40, -10, 46))
    nerve = organs.optic_nerve(at, patient) - np.float32(protocol.nerve_grow_mm)
    nerve = np.maximum(
        nerve, np.maximum(-organs.eye(at), at[1] - np.float32(protocol.nerve_back_mm))
    )
    return _Sketch(window, np.maximum(nerve, 1 - at[0]), unsteady=0.25, smooth_px=0.0)


def _temporal_lobe(space: Space, protocol: Protocol, side: int) -> _Sketch:
    window, at = _side_window(space, side, (12, -50, 0), (74, 70, 66))
    return _Sketch(
        window,
        organs.temporal_lobe(at, protocol.lobe_back_mm, protocol.lobe_raise_mm),
        smooth_px=3.0,
    )


def trace(
    sketch: _Sketch, space: Space, grid: Grid, hand_mm: float, rng: np.random.Generator
) -> tuple[Contour, ...]:
    """Follow a shape's surface on every slice with an unsteady hand;

    between its ends, on whole slices.
    """
    slices, rows, cols = sketch.window
    x = grid.origin_mm[0] + np.arange(grid.shape[2], dtype=np.float64)[cols] * grid.spacing_mm[1]
    y = grid.origin_mm[1] + np.arange(grid.shape[1], dtype=np.float64)[rows] * grid.spacing_mm[0]
    z = np.asarray(grid.slice_z_mm, dtype=np.float64)[slices]
    shape = sketch.shape
    if sketch.smooth_px:
        shape = np.asarray(
            ndimage.gaussian_filter(shape, (0, sketch.smooth_px, sketch.smooth_px)),
            dtype=np.float32,
        )
    unsteady_mm = hand_mm * sketch.unsteady
    low, high = (end + float(rng.normal(0, 2 * unsteady_mm)) for end in sketch.ends_mm)
    shape = shape + _wobble(x, y, z, unsteady_mm, rng)
    contours = []
    for k, z_mm in enumerate(z):
        inside = shape[k] < 0
        if not inside.any() or not low <= space.w[sketch.window][k][inside].mean() <= high:
            continue
        plane = np.pad(shape[k][1:-1, 1:-1], 1, constant_values=1.0)
        for line in contourpy.contour_generator(x=x, y=y, z=plane).lines(0.0):
            points = np.asarray(line, dtype=np.float64)[:-1]
            if _area_mm2(points) >= 3.0:
                contours.append(Contour(points, float(z_mm)))
    return tuple(contours)


def _wobble(
    x: Points, y: Points, z: Points, amplitude_mm: float, rng: np.random.Generator
) -> Field:
    """Smooth noise: a few waves of 14 to 50 mm in the slice, and a little of each slice's own."""
    total = np.zeros((len(z), len(y), len(x)), dtype=np.float32)
    for _ in range(3):
        kx, ky, kz = 2 * np.pi / rng.uniform((14, 14, 12), (50, 50, 40))
        px, py, pz = rng.uniform(0, 2 * np.pi, 3)
        total += _outer(np.sin(kz * z + pz), np.sin(ky * y + py), np.sin(kx * x + px))
    total += 0.5 * rng.standard_normal(len(z), dtype=np.float32)[:, None, None]
    return np.asarray(total * np.float32(amplitude_mm), dtype=np.float32)


def _outer(a: Points, b: Points, c: Points) -> Field:
    return np.asarray(a[:, None, None] * b[None, :, None] * c[None, None, :], dtype=np.float32)


def _area_mm2(points: Points) -> float:
    """Area of a polygon (n, 2)."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
