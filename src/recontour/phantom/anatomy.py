"""The phantom's tissues, painted in Hounsfield units from the skin inwards."""

import numpy as np
from scipy import ndimage

from recontour.phantom import organs
from recontour.phantom.patient import Patient, Space, Window
from recontour.phantom.shapes import (
    Field,
    Position,
    Triple,
    along,
    bump,
    column,
    ellipsoid,
    ramp,
    tube,
)

AIR, LUNG_OF_CELLS, FAT, FLUID, MUSCLE, MARROW, CORTEX = (
    -1000.0,
    -700.0,
    -100.0,
    10.0,
    55.0,
    280.0,
    1150.0,
)
BRAIN_FLUID, WHITE, GREY = 8.0, 28.0, 38.0


class Canvas:
    """A CT in the making:

    Hounsfield units, float32 (slice, row, column), and where its voxels lie.
    """

    def __init__(self, space: Space, contrast: bool, rng: np.random.Generator) -> None:
        self.space = space
        self.hu = np.full(space.u.shape, AIR, dtype=np.float32)
        self.vessel_hu = 190.0 if contrast else 48.0
        self.gland_hu = 20.0 if contrast else 0.0  # what contrast medium adds
        self.fine = _texture(space.u.shape, rng, 2, 1.0)
        self.coarse = _texture(space.u.shape, rng, 4, 1.3)

    def paint(self, window: Window, shape: Field, hu: float | Field, edge_mm: float = 1.4) -> None:
        """Fill a shape; across its surface the old and the new mix over edge_mm."""
        share = np.clip(np.float32(0.5) - shape / np.float32(edge_mm), 0, 1)
        self.hu[window] += share * (hu - self.hu[window])

    def around(self, low: Triple, high: Triple) -> tuple[Window, Position]:
        """A window and the positions in it."""
        window = self.space.window(low, high)
        return window, self.space[window]

    def around_twins(self, low: Triple, high: Triple) -> tuple[Window, Position]:
        """A window over both sides and the positions in it as seen from either;

        low and high tell the left side.
        """
        window = self.space.window((-high[0], *low[1:]), high)
        return window, organs.twin(self.space[window])

    def twin_tube(
        self, points: list[Triple], radii: list[float], hu: float, sheath_mm: float = 0.0
    ) -> None:
        """A tube on either side, in a sheath of fat."""
        low, high = (tuple(f(p[i] for p in points) for i in range(3)) for f in (min, max))
        reach = max(radii) + sheath_mm
        window, at = self.around_twins(
            (low[0] - reach, low[1] - reach, low[2] - reach),
            (high[0] + reach, high[1] + reach, high[2] + reach),
        )
        shape = tube(at, points, radii)
        if sheath_mm:
            self.paint(window, shape - np.float32(sheath_mm), FAT)
        self.paint(window, shape, hu)

    def twin_ellipsoid(
        self, centre: Triple, radii: Triple, hu: float, shell_mm: float = 0.0, shell: float = 0
    ) -> None:
        """An ellipsoid on either side, in a shell."""
        low, high = (
            tuple(c + sign * (r + shell_mm) for c, r in zip(centre, radii, strict=True))
            for sign in (-1, 1)
        )
        window, at = self.around_twins((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        shape = ellipsoid(at, centre, radii)
        if shell_mm:
            self.paint(window, shape - np.float32(shell_mm), shell)
        self.paint(window, shape, hu)


def _texture(
    shape: tuple[int, ...], rng: np.random.Generator, coarseness: int, smooth: float
) -> Field:
    """Smooth noise of unit spread."""
    rows, cols = -(-shape[1] // coarseness), -(-shape[2] // coarseness)
    small = ndimage.gaussian_filter(
        rng.standard_normal((shape[0], rows, cols), dtype=np.float32), (1.2, smooth, smooth)
    )
    small /= small.std()
    large = np.repeat(np.repeat(small, coarseness, axis=1), coarseness, axis=2)[
        :, : shape[1], : shape[2]
    ]
    return np.asarray(ndimage.uniform_filter(large, (1, coarseness, coarseness)), dtype=np.float32)


def paint_patient(
    space: Space, skin: Field, patient: Patient, contrast: bool, rng: np.random.Generator
) -> Field:
    """The CT of a patient without its scanner, Hounsfield units;

    skin is the body's implicit surface.
    """
    canvas = Canvas(space, contrast, rng)
    _soft_tissue(canvas, skin, patient)
    _glands_and_vessels(canvas, patient)
    _airway(canvas, patient)
    _spine(canvas)
    _skull_and_brain(canvas, patient)
    _face(canvas)
    _orbits(canvas, patient)
    _sella(canvas, patient)
    _jaws(canvas, patient)
    _cord(canvas)
    canvas.hu[skin > 0.7] = AIR
    return canvas.hu


def _soft_tissue(canvas: Canvas, skin: Field, patient: Patient) -> None:
    """Skin, fat under it, muscles with fat between them."""
    everything = (slice(None), slice(None), slice(None))
    canvas.paint(everything, skin, FAT)
    canvas.paint(everything, np.abs(skin + 1) - 1, 15.0)
    _, v, w = canvas.space[everything]
    fat_mm = (
        2.5
        + (patient.fat_mm - 2.5) * (1 - ramp(w, -25, 10))
        + 5 * (1 - ramp(v, -80, -45)) * (1 - ramp(w, 10, 30))
    )
    canvas.paint(everything, skin + fat_mm, MUSCLE + 5 * canvas.fine)
    septa = np.abs(canvas.coarse + 0.3) * 4 - 0.5
    window, inner = canvas.around((-110, -60, -110), (110, 70, 8))
    canvas.paint(window, np.maximum(septa[window], skin[window] + 6), -75.0)
    canvas.paint(window, np.maximum(np.abs(inner[0]) - 0.8, 30 - inner[1]), -60.0)  # nuchal septum
    canvas.twin_ellipsoid((27.0, -23.0, -14.0), (9.0, 10.0, 18.0), FAT)  # parapharyngeal space
    canvas.twin_ellipsoid((46.0, -58.0, -18.0), (10.0, 12.0, 16.0), FAT)  # cheek


def _glands_and_vessels(canvas: Canvas, patient: Patient) -> None:
    """Muscles one knows by name, parotids, submandibular and thyroid glands, carotids and jugular
    veins.
    """
    canvas.twin_tube([(57, 20, -6), (50, 4, -42), (28, -28, -92)], [7.0, 9.0, 8.0], 60.0, 1.8)
    canvas.twin_ellipsoid((55.5, -33.0, -25.0), (6.5, 15.0, 24.0), 60.0, 1.2, FAT)  # masseter
    canvas.twin_ellipsoid(
        (38.5, -29.0, -24.0), (6.0, 11.0, 18.0), 58.0, 1.2, FAT
    )  # medial pterygoid
    canvas.twin_ellipsoid((45.0, -36.0, 2.0), (7.0, 14.0, 10.0), 55.0)  # lateral pterygoid
    canvas.twin_ellipsoid((60.0, -26.0, 24.0), (6.0, 24.0, 22.0), 58.0)  # temporalis
    canvas.twin_tube(
        [(25, -2, 2), (27, -9, -32), (24, -12, -92)], [2.8, 3.6, 3.4], canvas.vessel_hu + 10, 2.0
    )
    canvas.twin_tube(
        [(29, 5, 0), (33, -2, -40), (31, -10, -92)], [4.0, 5.0, 6.0], canvas.vessel_hu - 15, 1.5
    )
    canvas.twin_ellipsoid((33.0, -43.0, -49.0), (8.5, 13.0, 10.0), 38 + canvas.gland_hu, 1.0, FAT)
    canvas.twin_ellipsoid((17.0, -24.0, -92.0), (8.0, 9.0, 13.0), 110 + canvas.gland_hu)
    for side, size in zip((1, -1), patient.parotid, strict=True):
        reach = (30.0, -60.0, -56.0), (76.0, 24.0, 22.0)
        window, _ = canvas.around(
            *(reach if side > 0 else ((-76.0, *reach[0][1:]), (-30.0, *reach[1][1:])))
        )
        at = organs.mirrored(canvas.space[window], side)
        hu = np.asarray(
            patient.parotid_hu + canvas.gland_hu + 14 * canvas.fine[window], dtype=np.float32
        )
        gland = np.asarray(
            np.minimum(organs.parotid(at, size), organs.accessory_parotid(at)), dtype=np.float32
        )
        canvas.paint(window, gland - 1.2, -85.0)
        canvas.paint(window, gland, hu)
        canvas.paint(
            window, tube(at, [(51, -4, 8), (52, -3, -45)], [1.8, 2.2]), canvas.vessel_hu - 10
        )


def _airway(canvas: Canvas, patient: Patient) -> None:
    """Tongue, pharynx, larynx with its cartilages, trachea, hyoid."""
    window, (u, v, w) = canvas.around((-30, -92, -60), (30, -15, -5))
    tongue = ellipsoid((u, v, w), (0.0, -53.0, -31.0), (25.0, 31.0, 21.0))
    canvas.paint(window, tongue, 58 + 6 * canvas.coarse[window])
    canvas.paint(window, np.maximum(np.abs(u) - 1.0, tongue + 4), -20.0)
    window, (u, v, w) = canvas.around((-34, -60, -110), (34, 12, 14))
    low = w - np.float32(patient.larynx_mm) * (1 - ramp(w, -45, -30))
    air = column(
        (u, v, low),
        (
            (-100.0, -22.0, 8.0, 8.5),
            (-82.0, -29.0, 7.5, 9.0),
            (-77.0, -32.0, 2.5, 8.5),
            (-71.0, -31.0, 7.0, 8.0),
            (-60.0, -21.0, 12.0, 6.0),
            (-45.0, -17.0, 12.0, 5.0),
            (-30.0, -20.0, 11.0, 6.0),
            (-14.0, -26.0, 8.0, 5.0),
            (0.0, -33.0, 11.0, 8.0),
            (12.0, -36.0, 9.0, 7.0),
        ),
    )
    canvas.paint(window, np.maximum(air - 3, w - 8), 60.0)
    a = np.abs(u)
    shield = np.abs((a - (v + 49) * 0.62) * 0.85) - 1.8
    shield = np.maximum(np.maximum(shield, np.abs(low + 73) - 9), np.maximum(v + 16, a - 22))
    canvas.paint(window, shield, 230 + 90 * canvas.fine[window])
    ring = np.maximum(np.abs(air - 4.5) - 1.8, np.abs(low + 87) - 4)
    canvas.paint(window, ring, 260 + 80 * canvas.fine[window])
    hyoid = np.maximum(
        np.abs(np.hypot(u, v + 28) - 19) - 2.2, np.maximum(np.abs(low + 57) - 3, v + 22)
    )
    canvas.paint(window, hyoid, 550.0)
    canvas.paint(window, np.maximum(air, w - 10), AIR)


def _spine(canvas: Canvas) -> None:
    """Vertebral bodies and discs, arches, spinous and transverse processes, the atlas and the dens."""
    window, at = canvas.around((-45, -25, -115), (45, 62, 2))
    u, v, w = at
    a = np.abs(u)
    canal = organs.canal(at)
    centre_v = along(w, [(k[0], k[1]) for k in organs.CANAL])
    front = v - (centre_v - 17.5)
    level = np.mod(w + 34, 17.0)  # 0 in a disc, 8.5 in the middle of a vertebra
    disc = np.abs(np.minimum(level, 17 - level)) - 2.2
    below_axis = w + 16
    body = np.hypot(u / 12.5, front / 8.6)
    body = (body - 1) * 9
    canvas.paint(window, np.maximum(body, below_axis), CORTEX - 450)
    canvas.paint(window, np.maximum(body + 1.6, below_axis), MARROW + 40 * canvas.fine[window])
    canvas.paint(window, np.maximum(np.maximum(body, disc), w + 28), 95.0)
    arch = np.maximum(
        np.abs(canal - 2.6) - 2.6, np.maximum(centre_v - 6 - v, 5 - np.abs(level - 2))
    )
    canvas.paint(window, np.maximum(arch, w + 17), 620.0)
    spinous = np.maximum(
        np.maximum(a - 2.8, np.abs(v - centre_v - 22) - 12), 4.5 - np.abs(level - 1)
    )
    canvas.paint(window, np.maximum(spinous, w + 17), 520.0)
    wing = np.maximum(np.hypot(front - 9, (np.abs(level - 8.5) - 2) * 1.2) - 5, np.abs(a - 19) - 8)
    canvas.paint(window, np.maximum(wing, w + 17), 480.0)
    canvas.paint(
        window, np.maximum(np.hypot(a - 20, front - 8) - 2.6, w + 17), 60.0
    )  # vertebral arteries
    atlas = np.maximum(np.abs(canal - 3.0) - 2.6, np.abs(w + 9) - 5.0)
    mass = ellipsoid(organs.twin(at), (19.0, 8.0, -9.0), (8.0, 9.0, 7.0))
    canvas.paint(window, np.minimum(atlas, mass), 700.0)
    canvas.paint(window, tube(at, [(0, -0.5, -3), (0, 0, -24)], [4.2, 5.0]), 650.0)


def _skull_and_brain(canvas: Canvas, patient: Patient) -> None:
    """Vault, base, petrous bones with mastoid cells;

    brain with grey, white and fluid, cisterns and ventricles.
    """
    window, at = canvas.around((-80, -95, -30), (80, 100, 120))
    u, v, w = at
    a = np.abs(u)
    inside = organs.cavity(at)
    ridge = organs.behind_ridge(at)
    thick = (
        4.5 + 2.0 * ramp(w, 30, 60) + 13 * bump(ridge, 9) * ramp(a, 14, 22) * (1 - ramp(w, 20, 34))
    )
    canvas.paint(window, inside - thick, 900.0)
    spongy = np.maximum(np.abs(inside - 3.3) - 1.3, 34 - w)
    canvas.paint(window, spongy, 520.0)
    petrous = np.maximum(inside - thick + 1.0, np.maximum(np.abs(ridge + 2) - 10, 14 - a))
    canvas.paint(window, np.maximum(petrous, w - 30), 1050 + 160 * canvas.fine[window])
    fine, coarse = canvas.fine[window], canvas.coarse[window]
    brain = np.where(inside > -4.5 + 1.5 * coarse, GREY, WHITE) + 2.2 * fine
    brain = np.where((organs.tentorium_height(at) > w) & (v > 12), 40 + 3 * fine, brain)
    sulci = (np.abs(coarse) < 0.16 * patient.ventricle) & (inside > -14)
    brain = np.where(sulci | (inside > -1.4 * patient.ventricle), BRAIN_FLUID + 6, brain).astype(
        np.float32
    )
    canvas.paint(window, inside, brain)
    canvas.paint(window, np.maximum(a - 0.9, np.maximum(48 - w, inside + 1)), 52.0)
    tentorium = np.maximum(
        np.abs(w - organs.tentorium_height(at)) - 1.0, np.maximum(inside + 1, 22 - a)
    )
    canvas.paint(window, np.maximum(tentorium, 14 - v), 48.0)
    sylvian = np.maximum(
        np.abs(w - organs.sylvian_height(v)) - 1.6 * patient.ventricle,
        np.maximum(30 - a, inside + 1),
    )
    canvas.paint(window, np.maximum(sylvian, np.abs(v + 8) - 28), BRAIN_FLUID)
    _inside_brain(canvas, patient)
    canvas.twin_ellipsoid((54.0, 20.0, -5.0), (11.0, 13.0, 17.0), 750.0)
    cells_window, cells_at = canvas.around_twins((44.0, 8.0, -20.0), (64.0, 32.0, 12.0))
    cells = np.maximum(
        ellipsoid(cells_at, (54.0, 20.0, -3.0), (8.0, 10.0, 13.0)),
        1.2 * (0.1 - canvas.fine[cells_window]),
    )
    canvas.paint(cells_window, cells, LUNG_OF_CELLS)
    canvas.twin_tube([(80, 3, 3), (46, 3, 7)], [3.6, 3.0], AIR)


def _inside_brain(canvas: Canvas, patient: Patient) -> None:
    """Ventricles, cisterns and the brain stem between them."""
    s = patient.ventricle
    canvas.twin_tube(
        [(9, -28, 66), (11, 5, 68), (15, 30, 64)], [5.5 * s, 5.0 * s, 6.0 * s], BRAIN_FLUID
    )
    canvas.twin_tube(
        [(26, -2, 30), (30, 22, 36)], [1.6 * s, 2.6 * s], BRAIN_FLUID
    )  # temporal horns
    window, at = canvas.around((-32, -30, -24), (32, 42, 62))
    _, v, w = at
    stem = organs.brainstem(at)
    ahead = v - along(w, [(k[0], k[1]) for k in organs.BRAINSTEM])
    cistern = np.maximum(np.abs(stem - 1.5) - 1.7 * s, np.minimum(ahead - 3, 33 - w))
    cistern = np.maximum(np.maximum(cistern, organs.cavity(at)), w - 52)
    canvas.paint(window, cistern, BRAIN_FLUID)
    canvas.paint(
        window, ellipsoid(at, (0.0, -11.0, 41.5), (14.0, 10.0, 6.0)), BRAIN_FLUID
    )  # above the sella
    canvas.paint(
        window, ellipsoid(at, (0.0, 21.5, 22.0), (6.5 * s, 4.5 * s, 10.0)), BRAIN_FLUID
    )  # fourth ventricle
    canvas.paint(
        window,
        np.maximum(ellipsoid(at, (0.0, 3.0, 56.0), (2.8 * s, 14.0, 9.0)), 45 - w),
        BRAIN_FLUID,
    )
    canvas.paint(
        window, np.maximum(np.maximum(stem, w - 54), -w - 12), 33 + 2 * canvas.fine[window], 2.0
    )


def _face(canvas: Canvas) -> None:
    """Sinuses in their bony walls, nasal cavity, palate, cheek bones."""
    canvas.twin_tube(
        [(42, -72, 6), (60, -54, 6), (67, -28, 8), (63, -8, 9)], [5.5, 4.0, 2.8, 3.5], 850.0
    )
    canvas.twin_tube([(46, -66, 16), (46, -62, 46)], [3.8, 4.2], 900.0)
    canvas.twin_tube([(14, -36, 18), (16, -35, -14)], [3.0, 2.4], 600.0)
    window, at = canvas.around((-34, -105, -22), (34, -28, 40))
    u, v, w = at
    a = np.abs(u)
    palate = np.maximum(np.abs(w + 9) - 2.4, (np.hypot(u / 24, (v + 62) / 30) - 1) * 24)
    canvas.paint(window, palate, 700.0)
    canvas.twin_ellipsoid((28.0, -63.0, 5.0), (14.0, 15.0, 15.0), -960.0, 1.6, 520.0)
    canvas.twin_ellipsoid((9.0, -33.0, 20.0), (8.0, 12.0, 9.0), -960.0, 3.0, 420.0)
    cavity = ellipsoid(at, (0.0, -70.0, 6.0), (12.0, 32.0, 19.0))
    canvas.paint(window, np.maximum(cavity - 1.5, v + 36), 300.0)
    canvas.paint(window, cavity, -960.0)
    canvas.paint(window, np.maximum(a - 1.1, cavity), 120.0)
    for height in (-2.0, 10.0):
        turbinate = ellipsoid((a, v, w), (7.5, -68.0, height), (3.4, 22.0, 4.5))
        canvas.paint(window, turbinate, 60.0)
    ethmoid = ellipsoid((a, v, w), (7.0, -62.0, 31.0), (8.0, 23.0, 10.0))
    canvas.paint(window, ethmoid - 1.3, 450.0)
    canvas.paint(window, np.maximum(ethmoid, 0.55 - 2 * np.abs(np.sin(v / 4.5))), -900.0)
    canvas.paint(window, np.maximum(a - 1.0, ethmoid), 250.0)
    canvas.twin_ellipsoid((9.0, -86.0, 50.0), (11.0, 3.6, 9.0), -940.0, 1.5, 800.0)


def _orbits(canvas: Canvas, patient: Patient) -> None:
    """Fat in bony walls, eye muscles, eyeballs with lenses, optic nerves to the chiasm."""
    window, at = canvas.around_twins((0.0, -90.0, 12.0), (54.0, -14.0, 54.0))
    cone = tube(at, [(31.5, -70, 33), (27, -54, 33.5), (14, -30, 36.5)], [15.5, 14.0, 3.2])
    v = at[1]
    canvas.paint(window, np.maximum(cone - 1.8, -66 - v), 600.0)
    canvas.paint(window, np.maximum(cone, -82 - v), -90.0)
    muscles: list[list[Triple]] = [
        [(19, -66, 33), (18, -50, 34), (14, -34, 36)],
        [(43.5, -66, 33), (38, -50, 34), (19, -34, 36)],
        [(31, -66, 45), (28, -50, 44), (16, -34, 39)],
        [(31, -66, 21), (28, -50, 23), (16, -34, 34)],
    ]
    for path in muscles:
        canvas.paint(window, tube(at, path, [1.3, 2.4, 1.4]), 52.0)
    eye = organs.eye(at)
    canvas.paint(window, eye, 48.0)
    canvas.paint(window, eye + 1.3, 8.0)
    canvas.paint(window, organs.lens(at), 85.0, 1.0)
    nerve = organs.optic_nerve(at, patient)
    canvas.paint(window, np.maximum(nerve, eye * -1), 40.0, 1.0)


def _sella(canvas: Canvas, patient: Patient) -> None:
    """The pituitary and its stalk, cavernous sinuses beside it."""
    window, at = canvas.around((-20, -30, 20), (20, -4, 46))
    canvas.paint(
        window,
        ellipsoid(organs.twin(at), (11.5, -16.0, 30.0), (3.6, 8.0, 5.5)),
        canvas.vessel_hu - 10,
    )
    canvas.paint(window, organs.pituitary(at, patient), 52 + 1.5 * canvas.gland_hu, 1.0)
    canvas.paint(window, tube(at, [(0, -15, 34), (0, -13, 41)], [1.2, 1.0]), 45.0)


def _jaws(canvas: Canvas, patient: Patient) -> None:
    """The mandible with cortex and marrow, the upper jaw's rim, and teeth."""
    window, at = canvas.around((-64, -100, -64), (64, 2, 12))
    jaw = organs.mandible(at, organs.ALVEOLUS_MM)
    canvas.paint(window, jaw, CORTEX)
    canvas.paint(window, jaw + 2.3, MARROW + 40 * canvas.fine[window])
    u, v, w = at
    rim = np.maximum(organs.arch_distance(at, 0.94) - 5.0, np.maximum(np.abs(w + 9) - 4, v + 42))
    canvas.paint(window, rim, 750.0)
    place = (np.arctan2(u, -(v + 38)) / np.radians(78) + 1) * 7  # 14 teeth from right to left
    number = np.clip(place, 0, 13).astype(np.intp)
    between = (np.abs(place - number - 0.5) - 0.43) * 8
    for row, (jaw_teeth, height, scale) in enumerate(
        zip(patient.teeth, (-31.0, -18.0), (1.0, 0.94), strict=True)
    ):
        crown = np.maximum(
            organs.arch_distance(at, scale) - 3.6, np.abs(w - height - (2 if row == 0 else 0)) - 6
        )
        crown = np.maximum(np.maximum(crown, between), v + 40)
        crown = np.where(jaw_teeth[number], crown, 9.0).astype(np.float32)
        hu = np.full(14, 2000.0, dtype=np.float32)
        hu[[n - 14 * row for n in patient.metal if n // 14 == row]] = 9000.0
        canvas.paint(window, crown, hu[number])


def _cord(canvas: Canvas) -> None:
    """Fat and fluid in the spinal canal, and the cord."""
    window, at = canvas.around((-18, -2, -115), (18, 36, 6))
    below = at[2] - 2
    canal = organs.canal(at)
    canvas.paint(window, np.maximum(canal, below), -30.0)
    canvas.paint(window, np.maximum(canal + 1.8, below), FLUID + 4)
    canvas.paint(window, np.maximum(organs.cord(at), at[2] + 4), 40.0)
    canvas.paint(window, np.maximum(np.maximum(organs.brainstem(at), below), -8 - at[2]), 36.0)
