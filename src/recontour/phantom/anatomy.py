"""The phantom's tissues, painted in Hounsfield units from the skin inwards."""

import numpy as np
from scipy import ndimage

from recontour.phantom import organs
from recontour.phantom.patient import Patient, Space, Window
from recontour.phantom.shapes import (
    Field,
    Position,
    Triple,
    bump,
    column,
    ellipsoid,
    joined,
    ramp,
    slab,
    triple,
    tube,
    within,
)

# Hounsfield units
AIR = -1000.0
MASTOID_CELLS = -700.0
FAT = -100.0
FLUID = 10.0
MUSCLE = 55.0
MARROW = 280.0
CORTEX = 1150.0
BRAIN_FLUID = 8.0
WHITE = 28.0
GREY = 38.0

TEETH = 14  # in one jaw
EVERYWHERE = (slice(None), slice(None), slice(None))


class Canvas:
    """A CT in the making: Hounsfield units, float32 (slice, row, column), and voxel places."""

    def __init__(
        self,
        space: Space,
        contrast: bool,
        rng: np.random.Generator,
    ) -> None:
        self.space = space
        self.hu = np.full(space.u.shape, AIR, dtype=np.float32)
        self.vessel_hu = 190.0 if contrast else 48.0
        self.gland_hu = 20.0 if contrast else 0.0  # what contrast medium adds
        self.fine = _texture(space.u.shape, rng, 2, 1.0)
        self.coarse = _texture(space.u.shape, rng, 4, 1.3)

    def paint(
        self,
        window: Window,
        shape: Field,
        hu: float | Field,
        edge_mm: float = 1.4,
    ) -> None:
        """Fill a shape; across its surface, old and new values mix over edge_mm."""
        share = np.clip(np.float32(0.5) - shape / np.float32(edge_mm), 0, 1)
        self.hu[window] += share * (hu - self.hu[window])

    def around(
        self,
        low: Triple,
        high: Triple,
    ) -> tuple[Window, Position]:
        """Return a window and the positions in it."""
        window = self.space.window(low, high)
        return window, self.space[window]

    def around_twins(
        self,
        low: Triple,
        high: Triple,
    ) -> tuple[Window, Position]:
        """Return a window over both sides and the positions in it, as seen from either side.

        low and high: corners on the left side.
        """
        window = self.space.window((-high[0], *low[1:]), high)
        return window, organs.twin(self.space[window])

    def twin_tube(
        self,
        points: list[Triple],
        radii: list[float],
        hu: float,
        sheath_mm: float = 0.0,
    ) -> None:
        """Paint a tube on either side, in a sheath of fat."""
        reach = max(radii) + sheath_mm
        corners = np.array(points, dtype=np.float64)
        low = triple(corners.min(axis=0) - reach)
        high = triple(corners.max(axis=0) + reach)
        window, at = self.around_twins(low, high)
        shape = tube(at, points, radii)
        if sheath_mm:
            self.paint(window, shape - np.float32(sheath_mm), FAT)
        self.paint(window, shape, hu)

    def twin_ellipsoid(
        self,
        centre: Triple,
        radii: Triple,
        hu: float,
        shell_mm: float = 0.0,
        shell: float = 0,
    ) -> None:
        """Paint an ellipsoid on either side, in a shell."""
        middle = np.array(centre)
        reach = np.array(radii) + shell_mm
        window, at = self.around_twins(triple(middle - reach), triple(middle + reach))
        shape = ellipsoid(at, centre, radii)
        if shell_mm:
            self.paint(window, shape - np.float32(shell_mm), shell)
        self.paint(window, shape, hu)


def _texture(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    coarseness: int,
    smooth: float,
) -> Field:
    """Return smooth noise with a standard deviation of 1."""
    slices, rows, cols = shape
    small_rows = -(-rows // coarseness)
    small_cols = -(-cols // coarseness)
    noise = rng.standard_normal((slices, small_rows, small_cols), dtype=np.float32)
    small = ndimage.gaussian_filter(noise, (1.2, smooth, smooth))
    small /= small.std()
    large = np.repeat(small, coarseness, axis=1)
    large = np.repeat(large, coarseness, axis=2)
    large = large[:, :rows, :cols]
    large = ndimage.uniform_filter(large, (1, coarseness, coarseness))
    return np.asarray(large, dtype=np.float32)


def paint_patient(
    space: Space,
    skin: Field,
    patient: Patient,
    contrast: bool,
    rng: np.random.Generator,
) -> Field:
    """Return a patient's CT without the scanner's effects, in Hounsfield units.

    skin: the body's implicit surface.
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
    """Paint skin, fat under it, muscles with fat between them."""
    canvas.paint(EVERYWHERE, skin, FAT)
    canvas.paint(EVERYWHERE, slab(skin + 1, 1), 15.0)
    _, v, w = canvas.space[EVERYWHERE]
    of_neck = (patient.fat_mm - 2.5) * (1 - ramp(w, -25, 10))
    of_face = 5 * (1 - ramp(v, -80, -45)) * (1 - ramp(w, 10, 30))
    fat_mm = 2.5 + of_neck + of_face
    canvas.paint(EVERYWHERE, skin + fat_mm, MUSCLE + 5 * canvas.fine)
    septa = np.abs(canvas.coarse + 0.3) * 4 - 0.5
    window, (u, v, _) = canvas.around((-110, -60, -110), (110, 70, 8))
    canvas.paint(window, within(septa[window], skin[window] + 6), -75.0)
    nuchal_septum = within(slab(u, 0.8), 30 - v)
    canvas.paint(window, nuchal_septum, -60.0)
    canvas.twin_ellipsoid((27.0, -23.0, -14.0), (9.0, 10.0, 18.0), FAT)  # parapharyngeal space
    canvas.twin_ellipsoid((46.0, -58.0, -18.0), (10.0, 12.0, 16.0), FAT)  # cheek


def _glands_and_vessels(canvas: Canvas, patient: Patient) -> None:
    """Paint the named muscles, carotids and jugular veins, and the glands."""
    sternocleidomastoid: list[Triple] = [(57, 20, -6), (50, 4, -42), (28, -28, -92)]
    canvas.twin_tube(sternocleidomastoid, [7.0, 9.0, 8.0], 60.0, 1.8)
    # masseter, medial and lateral pterygoid, temporalis
    canvas.twin_ellipsoid((55.5, -33.0, -25.0), (6.5, 15.0, 24.0), 60.0, 1.2, FAT)
    canvas.twin_ellipsoid((38.5, -29.0, -24.0), (6.0, 11.0, 18.0), 58.0, 1.2, FAT)
    canvas.twin_ellipsoid((45.0, -36.0, 2.0), (7.0, 14.0, 10.0), 55.0)
    canvas.twin_ellipsoid((60.0, -26.0, 24.0), (6.0, 24.0, 22.0), 58.0)
    carotid: list[Triple] = [(25, -2, 2), (27, -9, -32), (24, -12, -92)]
    canvas.twin_tube(carotid, [2.8, 3.6, 3.4], canvas.vessel_hu + 10, 2.0)
    jugular: list[Triple] = [(29, 5, 0), (33, -2, -40), (31, -10, -92)]
    canvas.twin_tube(jugular, [4.0, 5.0, 6.0], canvas.vessel_hu - 15, 1.5)
    # submandibular gland, thyroid
    canvas.twin_ellipsoid((33.0, -43.0, -49.0), (8.5, 13.0, 10.0), 38 + canvas.gland_hu, 1.0, FAT)
    canvas.twin_ellipsoid((17.0, -24.0, -92.0), (8.0, 9.0, 13.0), 110 + canvas.gland_hu)
    left_size, right_size = patient.parotid
    left, _ = canvas.around((30.0, -60.0, -56.0), (76.0, 24.0, 22.0))
    _parotid(canvas, patient, left, 1, left_size)
    right, _ = canvas.around((-76.0, -60.0, -56.0), (-30.0, 24.0, 22.0))
    _parotid(canvas, patient, right, -1, right_size)


def _parotid(
    canvas: Canvas,
    patient: Patient,
    window: Window,
    side: int,
    size: float,
) -> None:
    """Paint one parotid gland with its capsule, and the retromandibular vein in it."""
    at = organs.mirrored(canvas.space[window], side)
    hu = patient.parotid_hu + canvas.gland_hu + 14 * canvas.fine[window]
    gland = joined(organs.parotid(at, size), organs.accessory_parotid(at))
    canvas.paint(window, gland - 1.2, -85.0)
    canvas.paint(window, gland, np.asarray(hu, dtype=np.float32))
    vein = tube(at, [(51, -4, 8), (52, -3, -45)], [1.8, 2.2])
    canvas.paint(window, vein, canvas.vessel_hu - 10)


def _airway(canvas: Canvas, patient: Patient) -> None:
    """Paint tongue, pharynx, larynx with its cartilages, trachea, hyoid."""
    window, (u, v, w) = canvas.around((-30, -92, -60), (30, -15, -5))
    tongue = ellipsoid((u, v, w), (0.0, -53.0, -31.0), (25.0, 31.0, 21.0))
    canvas.paint(window, tongue, 58 + 6 * canvas.coarse[window])
    canvas.paint(window, within(slab(u, 1.0), tongue + 4), -20.0)
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
    canvas.paint(window, within(air - 3, w - 8), 60.0)
    a = np.abs(u)
    wings = (a - (v + 49) * 0.62) * 0.85
    thyroid_cartilage = within(slab(wings, 1.8), slab(low + 73, 9), v + 16, a - 22)
    canvas.paint(window, thyroid_cartilage, 230 + 90 * canvas.fine[window])
    cricoid = within(slab(air - 4.5, 1.8), slab(low + 87, 4))
    canvas.paint(window, cricoid, 260 + 80 * canvas.fine[window])
    arch = np.hypot(u, v + 28) - 19
    hyoid = within(slab(arch, 2.2), slab(low + 57, 3), v + 22)
    canvas.paint(window, hyoid, 550.0)
    canvas.paint(window, within(air, w - 10), AIR)


def _spine(canvas: Canvas) -> None:
    """Paint vertebrae and discs, arches, spinous and transverse processes, atlas and dens."""
    window, at = canvas.around((-45, -25, -115), (45, 62, 2))
    u, v, w = at
    a = np.abs(u)
    canal = organs.canal(at)
    centre_v = organs.middle_v(w, organs.CANAL)
    front = v - (centre_v - 17.5)
    level = np.mod(w + 34, 17.0)  # 0 in a disc, 8.5 in the middle of a vertebra
    disc = slab(np.minimum(level, 17 - level), 2.2)
    below_axis = w + 16
    below_arch = w + 17
    body = (np.hypot(u / 12.5, front / 8.6) - 1) * 9
    canvas.paint(window, within(body, below_axis), CORTEX - 450)
    canvas.paint(window, within(body + 1.6, below_axis), MARROW + 40 * canvas.fine[window])
    canvas.paint(window, within(body, disc, w + 28), 95.0)
    arch = within(slab(canal - 2.6, 2.6), centre_v - 6 - v, 5 - np.abs(level - 2))
    canvas.paint(window, within(arch, below_arch), 620.0)
    spinous = within(a - 2.8, slab(v - centre_v - 22, 12), 4.5 - np.abs(level - 1))
    canvas.paint(window, within(spinous, below_arch), 520.0)
    transverse = np.hypot(front - 9, slab(level - 8.5, 2) * 1.2) - 5
    canvas.paint(window, within(transverse, slab(a - 19, 8), below_arch), 480.0)
    vertebral_arteries = np.hypot(a - 20, front - 8) - 2.6
    canvas.paint(window, within(vertebral_arteries, below_arch), 60.0)
    atlas = within(slab(canal - 3.0, 2.6), slab(w + 9, 5.0))
    lateral_mass = ellipsoid(organs.twin(at), (19.0, 8.0, -9.0), (8.0, 9.0, 7.0))
    canvas.paint(window, joined(atlas, lateral_mass), 700.0)
    dens = tube(at, [(0, -0.5, -3), (0, 0, -24)], [4.2, 5.0])
    canvas.paint(window, dens, 650.0)


def _skull_and_brain(canvas: Canvas, patient: Patient) -> None:
    """Paint the skull with its petrous bones and mastoids, and the brain with its fluid spaces."""
    window, at = canvas.around((-80, -95, -30), (80, 100, 120))
    u, v, w = at
    a = np.abs(u)
    inside = organs.cavity(at)
    ridge = organs.behind_ridge(at)
    of_vault = 4.5 + 2.0 * ramp(w, 30, 60)
    of_ridge = 13 * bump(ridge, 9) * ramp(a, 14, 22) * (1 - ramp(w, 20, 34))
    thick = of_vault + of_ridge
    canvas.paint(window, inside - thick, 900.0)
    spongy = within(slab(inside - 3.3, 1.3), 34 - w)
    canvas.paint(window, spongy, 520.0)
    petrous = within(inside - thick + 1.0, slab(ridge + 2, 10), 14 - a, w - 30)
    canvas.paint(window, petrous, 1050 + 160 * canvas.fine[window])
    canvas.paint(window, inside, _brain_hu(canvas, patient, window, at, inside))
    falx = within(a - 0.9, 48 - w, inside + 1)
    canvas.paint(window, falx, 52.0)
    above_tentorium = w - organs.tentorium_height(at)
    tentorium = within(slab(above_tentorium, 1.0), inside + 1, 22 - a, 14 - v)
    canvas.paint(window, tentorium, 48.0)
    above_fissure = w - organs.sylvian_height(v)
    sylvian = within(slab(above_fissure, 1.6 * patient.ventricle), 30 - a, inside + 1)
    canvas.paint(window, within(sylvian, slab(v + 8, 28)), BRAIN_FLUID)
    _inside_brain(canvas, patient)
    _mastoids(canvas)


def _brain_hu(
    canvas: Canvas,
    patient: Patient,
    window: Window,
    at: Position,
    inside: Field,
) -> Field:
    """Return the HU of grey and white matter, cerebellum, and fluid around them."""
    _, v, w = at
    fine = canvas.fine[window]
    coarse = canvas.coarse[window]
    brain = np.where(inside > -4.5 + 1.5 * coarse, GREY, WHITE) + 2.2 * fine
    is_cerebellum = (organs.tentorium_height(at) > w) & (v > 12)
    brain = np.where(is_cerebellum, 40 + 3 * fine, brain)
    is_sulcus = (np.abs(coarse) < 0.16 * patient.ventricle) & (inside > -14)
    is_fluid = is_sulcus | (inside > -1.4 * patient.ventricle)
    brain = np.where(is_fluid, BRAIN_FLUID + 6, brain)
    return brain.astype(np.float32)


def _mastoids(canvas: Canvas) -> None:
    """Paint the mastoid processes with their cells, and the ear canals."""
    canvas.twin_ellipsoid((54.0, 20.0, -5.0), (11.0, 13.0, 17.0), 750.0)
    window, at = canvas.around_twins((44.0, 8.0, -20.0), (64.0, 32.0, 12.0))
    process = ellipsoid(at, (54.0, 20.0, -3.0), (8.0, 10.0, 13.0))
    holes = 1.2 * (0.1 - canvas.fine[window])
    canvas.paint(window, within(process, holes), MASTOID_CELLS)
    canvas.twin_tube([(80, 3, 3), (46, 3, 7)], [3.6, 3.0], AIR)


def _inside_brain(canvas: Canvas, patient: Patient) -> None:
    """Paint ventricles, cisterns and the brain stem between them."""
    s = patient.ventricle
    lateral: list[Triple] = [(9, -28, 66), (11, 5, 68), (15, 30, 64)]
    canvas.twin_tube(lateral, [5.5 * s, 5.0 * s, 6.0 * s], BRAIN_FLUID)
    temporal_horn: list[Triple] = [(26, -2, 30), (30, 22, 36)]
    canvas.twin_tube(temporal_horn, [1.6 * s, 2.6 * s], BRAIN_FLUID)
    window, at = canvas.around((-32, -30, -24), (32, 42, 62))
    _, v, w = at
    stem = organs.brainstem(at)
    ahead = v - organs.middle_v(w, organs.BRAINSTEM)
    around_stem = within(slab(stem - 1.5, 1.7 * s), joined(ahead - 3, 33 - w))
    canvas.paint(window, within(around_stem, organs.cavity(at), w - 52), BRAIN_FLUID)
    above_sella = ellipsoid(at, (0.0, -11.0, 41.5), (14.0, 10.0, 6.0))
    canvas.paint(window, above_sella, BRAIN_FLUID)
    fourth = ellipsoid(at, (0.0, 21.5, 22.0), (6.5 * s, 4.5 * s, 10.0))
    canvas.paint(window, fourth, BRAIN_FLUID)
    third = ellipsoid(at, (0.0, 3.0, 56.0), (2.8 * s, 14.0, 9.0))
    canvas.paint(window, within(third, 45 - w), BRAIN_FLUID)
    canvas.paint(window, within(stem, w - 54, -w - 12), 33 + 2 * canvas.fine[window], 2.0)


def _face(canvas: Canvas) -> None:
    """Paint sinuses in their bony walls, nasal cavity, palate, cheek bones."""
    zygoma: list[Triple] = [(42, -72, 6), (60, -54, 6), (67, -28, 8), (63, -8, 9)]
    canvas.twin_tube(zygoma, [5.5, 4.0, 2.8, 3.5], 850.0)
    canvas.twin_tube([(46, -66, 16), (46, -62, 46)], [3.8, 4.2], 900.0)
    canvas.twin_tube([(14, -36, 18), (16, -35, -14)], [3.0, 2.4], 600.0)
    window, at = canvas.around((-34, -105, -22), (34, -28, 40))
    u, v, w = at
    a = np.abs(u)
    arch = (np.hypot(u / 24, (v + 62) / 30) - 1) * 24
    palate = within(slab(w + 9, 2.4), arch)
    canvas.paint(window, palate, 700.0)
    canvas.twin_ellipsoid((28.0, -63.0, 5.0), (14.0, 15.0, 15.0), -960.0, 1.6, 520.0)
    canvas.twin_ellipsoid((9.0, -33.0, 20.0), (8.0, 12.0, 9.0), -960.0, 3.0, 420.0)
    cavity = ellipsoid(at, (0.0, -70.0, 6.0), (12.0, 32.0, 19.0))
    canvas.paint(window, within(cavity - 1.5, v + 36), 300.0)
    canvas.paint(window, cavity, -960.0)
    canvas.paint(window, within(a - 1.1, cavity), 120.0)
    for height in (-2.0, 10.0):
        turbinate = ellipsoid((a, v, w), (7.5, -68.0, height), (3.4, 22.0, 4.5))
        canvas.paint(window, turbinate, 60.0)
    ethmoid = ellipsoid((a, v, w), (7.0, -62.0, 31.0), (8.0, 23.0, 10.0))
    canvas.paint(window, ethmoid - 1.3, 450.0)
    walls = 0.55 - 2 * np.abs(np.sin(v / 4.5))
    canvas.paint(window, within(ethmoid, walls), -900.0)
    canvas.paint(window, within(a - 1.0, ethmoid), 250.0)
    canvas.twin_ellipsoid((9.0, -86.0, 50.0), (11.0, 3.6, 9.0), -940.0, 1.5, 800.0)


def _orbits(canvas: Canvas, patient: Patient) -> None:
    """Paint fat in bony walls, eye muscles, eyeballs with lenses, optic nerves."""
    window, at = canvas.around_twins((0.0, -90.0, 12.0), (54.0, -14.0, 54.0))
    cone = tube(at, [(31.5, -70, 33), (27, -54, 33.5), (14, -30, 36.5)], [15.5, 14.0, 3.2])
    _, v, _ = at
    canvas.paint(window, within(cone - 1.8, -66 - v), 600.0)
    canvas.paint(window, within(cone, -82 - v), -90.0)
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
    canvas.paint(window, within(nerve, eye * -1), 40.0, 1.0)


def _sella(canvas: Canvas, patient: Patient) -> None:
    """Paint the pituitary and its stalk, cavernous sinuses beside it."""
    window, at = canvas.around((-20, -30, 20), (20, -4, 46))
    cavernous_sinus = ellipsoid(organs.twin(at), (11.5, -16.0, 30.0), (3.6, 8.0, 5.5))
    canvas.paint(window, cavernous_sinus, canvas.vessel_hu - 10)
    canvas.paint(window, organs.pituitary(at, patient), 52 + 1.5 * canvas.gland_hu, 1.0)
    stalk = tube(at, [(0, -15, 34), (0, -13, 41)], [1.2, 1.0])
    canvas.paint(window, stalk, 45.0)


def _jaws(canvas: Canvas, patient: Patient) -> None:
    """Paint the mandible with cortex and marrow, the upper jaw's rim, and teeth."""
    window, at = canvas.around((-64, -100, -64), (64, 2, 12))
    jaw = organs.mandible(at, organs.ALVEOLUS_MM)
    canvas.paint(window, jaw, CORTEX)
    canvas.paint(window, jaw + 2.3, MARROW + 40 * canvas.fine[window])
    u, v, w = at
    rim = within(organs.arch_distance(at, 0.94) - 5.0, slab(w + 9, 4), v + 42)
    canvas.paint(window, rim, 750.0)
    lower_teeth, upper_teeth = patient.teeth
    lower_hu, upper_hu = _teeth_hu(patient)
    place = (np.arctan2(u, -(v + 38)) / np.radians(78) + 1) * 7  # 14 teeth from right to left
    number = np.clip(place, 0, TEETH - 1).astype(np.intp)
    gaps = slab(place - number - 0.5, 0.43) * 8
    inside = within(gaps, v + 40)
    lower = within(organs.arch_distance(at, 1.0) - 3.6, slab(w - -31.0 - 2, 6), inside)
    lower = np.where(lower_teeth[number], lower, 9.0).astype(np.float32)
    canvas.paint(window, lower, lower_hu[number])
    upper = within(organs.arch_distance(at, 0.94) - 3.6, slab(w - -18.0 - 0, 6), inside)
    upper = np.where(upper_teeth[number], upper, 9.0).astype(np.float32)
    canvas.paint(window, upper, upper_hu[number])


def _teeth_hu(patient: Patient) -> tuple[Field, Field]:
    """Return the Hounsfield units of the lower and of the upper teeth: enamel, or metal crowns."""
    hu = np.full(2 * TEETH, 2000.0, dtype=np.float32)
    hu[list(patient.metal)] = 9000.0
    return hu[:TEETH], hu[TEETH:]


def _cord(canvas: Canvas) -> None:
    """Paint fat and fluid in the spinal canal, and the cord."""
    window, at = canvas.around((-18, -2, -115), (18, 36, 6))
    _, _, w = at
    below = w - 2
    canal = organs.canal(at)
    canvas.paint(window, within(canal, below), -30.0)
    canvas.paint(window, within(canal + 1.8, below), FLUID + 4)
    canvas.paint(window, within(organs.cord(at), w + 4), 40.0)
    canvas.paint(window, within(organs.brainstem(at), below, -8 - w), 36.0)
