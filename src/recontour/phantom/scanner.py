"""What a centre's scanner adds to the patient: couch, blur, grain, streaks, calibration."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recontour.geometry import Grid
from recontour.phantom.anatomy import AIR
from recontour.phantom.shapes import Field

METAL_HU = 5000.0
TOOTH_HU = 1800.0
STORED_HU = (-1024, 3071)  # what 12 bits hold


@dataclass(frozen=True, slots=True)
class Scanner:
    """One centre's scanner and habits."""

    model: str
    kernel: str
    pixel_mm: float
    slice_mm: float
    from_mm: float  # the scan's first slice
    to_mm: float
    blur_px: float  # spread of the kernel
    sharpen: float  # edge enhancement of the kernel
    noise_hu: float
    grain_px: float  # size of the noise's grain
    slope: float  # calibration: HU seen = slope * HU + offset
    offset_hu: float
    couch_curve: float  # 1/mm: 0 is a flat couch
    contrast: float  # share of patients with contrast medium
    size_px: int = 256

    def grid(self, shift_mm: tuple[float, float]) -> Grid:
        """Return the voxels of one scan; the patient never lies in the same place twice."""
        count = int((self.to_mm - self.from_mm) / self.slice_mm) + 1
        reach = self.pixel_mm * (self.size_px - 1) / 2
        left_mm, back_mm = shift_mm
        return Grid(
            shape=(count, self.size_px, self.size_px),
            spacing_mm=(self.pixel_mm, self.pixel_mm),
            slice_z_mm=tuple(round(self.from_mm + k * self.slice_mm, 3) for k in range(count)),
            origin_mm=(round(left_mm - reach, 3), round(back_mm - 10 - reach, 3)),
        )

    def expose(
        self,
        hu: Field,
        skin: Field,
        grid: Grid,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.int16]:
        """Scan a painted patient. hu, skin: (slice, row, column); hu is overwritten."""
        self._lay_on_couch(hu, skin, grid)
        streaks = _streaks(hu, rng)
        np.clip(hu, AIR, STORED_HU[1], out=hu)
        seen = ndimage.gaussian_filter(hu, (0, self.blur_px, self.blur_px), truncate=3)
        if self.sharpen:
            seen += self.sharpen * (seen - ndimage.uniform_filter(seen, (0, 3, 3)))
        grain = rng.standard_normal(hu.shape, dtype=np.float32)
        grain = ndimage.gaussian_filter(grain, (0, self.grain_px, self.grain_px), truncate=3)
        dose = np.float32(rng.uniform(0.85, 1.2))
        grain *= np.float32(self.noise_hu) * dose / grain[0].std()
        grain *= np.where(skin < 0, np.float32(1), np.float32(0.5))
        seen += grain
        for index, streak in streaks.items():
            seen[index] += streak
        seen = seen * np.float32(self.slope) + np.float32(self.offset_hu)
        return np.clip(np.rint(seen), *STORED_HU).astype(np.int16)

    def _lay_on_couch(
        self,
        hu: Field,
        skin: Field,
        grid: Grid,
    ) -> None:
        """Add a couch and a head rest behind the patient, outside the skin."""
        _, rows, cols = grid.shape
        x_mm, y_mm = grid.origin_mm
        step = np.float32(self.pixel_mm)
        x = np.arange(cols, dtype=np.float32) * step + np.float32(x_mm)
        y = np.arange(rows, dtype=np.float32) * step + np.float32(y_mm)
        rows_with_body = np.flatnonzero((skin < 0).any(axis=(0, 2)))
        back_mm = float(y[rows_with_body[-1]])
        couch_top = back_mm + 6 - np.float32(self.couch_curve) * x**2
        below = y[:, None] - couch_top[None, :]
        is_core = (below > 0) & (below < 24)
        is_shell = (np.abs(below - 1.5) < 1.5) | (np.abs(below - 24) < 1.5)
        is_head_rest = (below > -16) & (below <= 0) & (np.abs(x)[None, :] < 75)
        plate = np.full(below.shape, AIR, dtype=np.float32)
        plate[is_core] = -940.0
        plate[is_shell] = -250.0
        plate[is_head_rest] = -960.0
        np.maximum(hu, np.where(skin > 1.5, plate, AIR), out=hu)


def _streaks(hu: Field, rng: np.random.Generator) -> dict[int, Field]:
    """Return, by slice, bright and dark rays from metal, and weaker ones from many teeth."""
    streaks = {}
    rows, cols = np.indices(hu.shape[1:], dtype=np.float32)
    for index in np.flatnonzero((hu > TOOTH_HU).any(axis=(1, 2))):
        metal = hu[index] > METAL_HU
        has_metal = bool(metal.any())
        source = metal if has_metal else hu[index] > TOOTH_HU
        source_rows, source_cols = np.nonzero(source)
        down = rows - float(np.mean(source_rows))
        across = cols - float(np.mean(source_cols))
        strength = min(150.0, 8.0 * np.count_nonzero(metal)) if has_metal else 12.0
        angle = np.arctan2(down, across)
        rays = np.cos(9 * angle + rng.uniform(0, 6)) * np.cos(16 * angle + rng.uniform(0, 6))
        fading = 1 / (1 + np.hypot(down, across) / 28)
        in_body = hu[index] > -500
        streaks[int(index)] = np.asarray(strength * rays * fading * in_body, dtype=np.float32)
    return streaks
