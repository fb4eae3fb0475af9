"""The organs' true surfaces in the common head, as implicit shapes; lengths in mm.

Functions of a paired organ take positions that are mirrored so that the organ lies at positive u.
"""

from collections.abc import Sequence

import numpy as np

from recontour.phantom.patient import Patient, Space
from recontour.phantom.shapes import (
    Field,
    Position,
    along,
    between,
    bump,
    column,
    ellipsoid,
    joined,
    ramp,
    tube,
    within,
)

BRAINSTEM = (  # w, centre v, radius u, radius v
    (-20.0, 17.0, 6.2, 4.8),
    (-5.0, 16.5, 6.8, 5.4),
    (4.0, 14.5, 8.8, 7.0),
    (12.0, 10.5, 12.0, 9.5),
    (20.0, 6.5, 15.5, 12.8),
    (28.0, 5.0, 16.0, 13.2),
    (35.0, 6.0, 14.0, 11.0),
    (42.0, 8.0, 15.5, 11.5),
    (54.0, 10.0, 16.0, 12.0),
)
CORD = (
    (-95.0, 22.0, 6.6, 4.5),
    (-70.0, 17.0, 7.0, 4.8),
    (-45.0, 15.5, 6.8, 4.8),
    (-20.0, 17.0, 6.2, 4.8),
    (-5.0, 16.5, 6.8, 5.4),
)
CANAL = (
    (-95.0, 22.0, 11.6, 8.4),
    (-45.0, 15.5, 11.8, 8.4),
    (-22.0, 16.8, 12.4, 9.0),
    (-8.0, 17.0, 13.5, 11.0),
    (4.0, 16.0, 14.0, 13.0),
)
NERVE = (
    (30.5, -58.0, 33.5),
    (26.0, -47.0, 34.2),
    (18.5, -36.0, 35.2),
    (12.5, -27.0, 36.6),
    (2.0, -19.0, 38.5),
)
ALVEOLUS_MM = -31.0  # the top of the jaw under the lower teeth
ARCH = (-88.0, 64.0, 46.0)  # the jaw seen from above: v at the chin, depth, half width


def mirrored(at: Position, side: int) -> Position:
    """Return the position as an organ of the left (1) or right (-1) sees it."""
    return (at[0] * np.float32(side), at[1], at[2])


def twin(at: Position) -> Position:
    """Return the position as a shape that is alike on both sides sees it."""
    return (np.abs(at[0]), at[1], at[2])


def middle_v(w: Field, knots: Sequence[tuple[float, float, float, float]]) -> Field:
    """Return the centre v of a column at height w. knots: as in `column`."""
    heights, centres_v, *_ = zip(*knots, strict=True)
    return between(w, heights, centres_v)


def skin(space: Space, patient: Patient) -> Field:
    """Shape head, neck and the start of the shoulders, for the whole scan."""
    n = patient.neck
    whole = column(
        (space.u, space.v, space.w),
        (
            (-98.0, 6.0, 118.0, 70.0),
            (-84.0, 4.0, 84.0 * n, 65.0),
            (-70.0, 0.0, 63.0 * n, 60.0 * n),
            (-64.0, -5.0, 63.0 * n, 61.0),
            (-57.0, -15.0, 64.0 * n, 75.0),
            (-44.0, -21.0, 67.0, 78.0),
            (-25.0, -21.0, 70.0, 82.0),
            (0.0, -11.0, 75.0, 91.0),
            (20.0, -4.0, 77.0, 97.0),
            (50.0, 0.0, 77.0, 98.0),
            (80.0, 1.0, 73.0, 91.0),
        ),
    )
    window = space.window((-22, -125, -24), (22, -70, 36))
    nose = ellipsoid(space[window], (0.0, -98.0, 6.0), (15.0, 20.0, 22.0))
    whole[window] = np.minimum(whole[window], nose)
    for side in (1, -1):
        first, last = sorted((side * 64, side * 90))
        window = space.window((first, -14, -24), (last, 30, 44))
        ear = ellipsoid(mirrored(space[window], side), (77.0, 8.0, 10.0), (5.0, 15.0, 27.0))
        whole[window] = np.minimum(whole[window], ear)
    return whole


def behind_ridge(at: Position) -> Field:
    """Return how far behind the petrous ridges, between the middle and the back fossa."""
    a, v, _ = twin(at)
    return np.asarray(v + 14 - 0.62 * a, dtype=np.float32)


def floor_of_skull(at: Position) -> Field:
    """Return the height w of the cranial cavity's floor: fossae, sella, clivus, petrous ridges."""
    a, v, _ = twin(at)
    behind = behind_ridge(at)
    fossae = 43 - 30 * ramp(v, -46, -36)  # front fossa, then middle fossa, 13
    fossae = fossae + 0.012 * (a - 40) ** 2 - 14 * ramp(behind, -2, 10) + 13 * bump(behind, 6)
    fossae = fossae + 24 * ramp(v, 25, 80)
    middle = along(
        v,
        (
            (-90, 42),
            (-45, 40),
            (-30, 37),
            (-25, 36),
            (-22, 26),
            (-13, 26),
            (-10, 35),
            (-6, 28),
            (8, -2),
            (28, -3),
        ),
    )
    middle = middle + 28 * ramp(v, 30, 82)
    beside = ramp(a, 10, 21)
    return np.asarray(middle * (1 - beside) + fossae * beside, dtype=np.float32)


def cavity(at: Position) -> Field:
    """Shape the cranial cavity."""
    vault = ellipsoid(at, (0.0, 3.0, 40.0), (67.0, 86.0, 92.0))
    above_floor = (floor_of_skull(at) - at[2]) * np.float32(0.8)
    return np.asarray(within(vault, above_floor), dtype=np.float32)


def brainstem(at: Position) -> Field:
    """Shape medulla, pons and midbrain, without ends."""
    return column(at, BRAINSTEM)


def cord(at: Position) -> Field:
    """Shape the cervical cord, without ends."""
    return column(at, CORD)


def canal(at: Position) -> Field:
    """Shape the bony spinal canal, without ends."""
    return column(at, CANAL)


def eye(at: Position) -> Field:
    """Shape one eyeball."""
    return ellipsoid(at, (32.0, -70.0, 33.0), (12.2, 12.2, 12.2))


def lens(at: Position) -> Field:
    """Shape one lens."""
    return ellipsoid(at, (32.0, -78.3, 33.0), (4.8, 2.5, 4.6))


def optic_nerve(at: Position, patient: Patient) -> Field:
    """Shape one optic nerve from the eyeball through its canal to the chiasm."""
    r = patient.nerve_mm
    return tube(at, NERVE, (r + 0.3, r, r, r, r + 0.2))


def pituitary(at: Position, patient: Patient) -> Field:
    """Shape the gland in the sella."""
    s = patient.pituitary
    return ellipsoid(at, (0.0, -17.3, 30.5), (6.5 * s, 4.6 * s, 4.3 * s))


def parotid(at: Position, size: float) -> Field:
    """Shape one parotid gland: superficial lobe, deep lobe behind the jaw, tail."""
    superficial = ellipsoid(at, (60.5, -6.0, -13.0), (9.0 * size, 20.0 * size, 27.0 * size))
    deep = ellipsoid(at, (50.0, 1.0, -15.0), (12.0 * size, 9.0 * size, 19.0 * size))
    tail = ellipsoid(at, (57.0, 4.0, -37.0), (8.0 * size, 9.0 * size, 13.0 * size))
    return np.asarray(joined(superficial, deep, tail), dtype=np.float32)


def accessory_parotid(at: Position) -> Field:
    """Shape the accessory lobe along the duct, on the masseter."""
    return ellipsoid(at, (62.0, -34.0, -9.0), (4.5, 14.0, 7.0))


def arch_distance(at: Position, depth_scale: float = 1.0) -> Field:
    """Return the unsigned distance from the curve of the jaw, seen from above."""
    a, v, _ = twin(at)
    chin, depth, half_width = ARCH
    half_width *= depth_scale
    s = np.minimum(a / np.float32(half_width), 1.25)
    curve = chin + (1 - depth_scale) * 30 + depth * s**2.2
    slope = 2.2 * depth / half_width * s**1.2
    return np.asarray(np.abs(v - curve) / np.sqrt(1 + slope**2), dtype=np.float32)


def mandible(at: Position, top_mm: float) -> Field:
    """Shape the lower jaw up to a height: body, ramus, coronoid process and condyle."""
    a, v, w = both = twin(at)
    lower = -56 + 13 * ramp(v, -65, -25)
    arch = arch_distance(at) - np.float32(5.2)
    bar = within(arch, lower - w, w - np.float32(top_mm), v + 22)
    plate_u = 45.5 + 5 * ramp(w, -35, 2)
    top = along(v, ((-39, -8), (-34, -3), (-23, -12), (-13, 1), (-6, 0)))
    front = -39 + 2 * ramp(w, -40, -10)
    back = -17 + 10 * ramp(w, -45, 0)
    sheet = np.abs(a - plate_u) - np.float32(3.8)
    plate = within(sheet, front - v, v - back, w - top, -44 - w)
    condyle = ellipsoid(both, (50.0, -10.0, 1.5), (9.0, 4.5, 5.5))
    return np.asarray(joined(bar, plate, condyle), dtype=np.float32)


def sylvian_height(v: Field) -> Field:
    """Return the height of the Sylvian fissure, the temporal lobe's roof."""
    return np.asarray(39 + 0.22 * (v + 20), dtype=np.float32)


def tentorium_height(at: Position) -> Field:
    """Return the height of the tentorium, between cerebellum and cerebrum.

    In front of the petrous ridge it lies far down.
    """
    back = np.maximum(at[1] - 20, 0)
    height = -40 + 66 * ramp(behind_ridge(at), -8, 2) + 0.12 * back
    return np.asarray(height, dtype=np.float32)


def temporal_lobe(at: Position, back_mm: float, raise_mm: float) -> Field:
    """Shape one temporal lobe: back to back_mm, up to raise_mm above the Sylvian fissure."""
    u, v, w = at
    medial = along(v, ((-40, 20), (-15, 19), (5, 23), (30, 27), (60, 28)))
    medial = medial + 5 * ramp(w, 34, 46)
    brain = cavity(at) + np.float32(1.5)
    under_roof = w - sylvian_height(v) - np.float32(raise_mm)
    in_front = v - np.float32(back_mm)
    above_tentorium = tentorium_height(at) - w
    lobe = within(brain, medial - u, under_roof, in_front, above_tentorium)
    return np.asarray(lobe, dtype=np.float32)
