"""From a CT's slices to what the network sees; `views` is the way back. Nothing else resamples.

The network's view of a slice is a square of crop_px pixels of pixel_mm, centred on the body or near
its centre. Training views it through a random similarity transform; contouring through none. Both
go through `view`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import AfterValidator, ConfigDict, Field, Strict
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name that PyTorch's users know)

from recontour.errors import SettingsError
from recontour.geometry import Grid
from recontour.network.architecture import MOST_SLICES, AnyArchitecture
from recontour.network.body import PointMm
from recontour.network.findings import InvalidView, UnfitCrop, WrongSliceCount
from recontour.validation import ExpectedError

SMALLEST_CROP_PX = 17
NARROWEST_HU = 1.0
TIE_MM = 1e-6  # two slices are equally near if their distances differ by less: it is rounding

# Bounds for model files. The presets have pixels of 1.0 and 1.25 mm, crops of 225 and 417 px,
# -200 to 400 HU, and no neighbours or four up to 12 mm away.
PixelMm = Annotated[
    float,
    Strict(),
    Field(
        ge=0.1,
        le=20,
        allow_inf_nan=False,
    ),
]
CropPx = Annotated[int, Strict(), Field(ge=SMALLEST_CROP_PX, le=833)]
Hu = Annotated[
    float,
    Strict(),
    Field(
        ge=-100_000,
        le=100_000,
        allow_inf_nan=False,
    ),
]


DistanceMm = Annotated[
    float,
    Strict(),
    Field(
        ge=-100,
        le=100,
        allow_inf_nan=False,
    ),
]
Distances = Annotated[tuple[DistanceMm, ...], Field(max_length=MOST_SLICES - 1)]


def _opens(window_hu: tuple[float, float]) -> tuple[float, float]:
    low, high = window_hu
    if high - low < NARROWEST_HU:
        raise ExpectedError(f"a window from low to high, at least {NARROWEST_HU:.0f} HU wide")
    return window_hu


Window = Annotated[tuple[Hu, Hu], AfterValidator(_opens)]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a CT is brought before the network; part of the model file.

    crop_px: 8n + 1; for a U-Net 32n + 1. window_hu: becomes -1 to 1; values beyond it are clipped.
    neighbours_mm: which further slices are seen with a slice, by their distances from it along z;
        positive is above, towards the head. Distances are in mm, so that CTs of any slice spacing
        are seen alike.

    The bounds apply to what is read from a file, not to Python.

    >>> Preprocessing(pixel_mm=1.0, crop_px=417, window_hu=(-200.0, 400.0)).crop_px
    417
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    pixel_mm: PixelMm
    crop_px: CropPx
    window_hu: Window
    neighbours_mm: Distances = ()

    def __post_init__(self) -> None:
        """Raise SettingsError for a view that the network cannot take."""
        low, high = self.window_hu
        meets_corners = self.crop_px % 8 == 1 and self.crop_px >= SMALLEST_CROP_PX
        if not (meets_corners and self.pixel_mm > 0 and low < high):
            raise SettingsError(
                InvalidView(
                    crop_px=self.crop_px,
                    pixel_mm=self.pixel_mm,
                    low_hu=low,
                    high_hu=high,
                )
            )

    @property
    def span_mm(self) -> float:
        """Return the way from the centre of a view's first pixel to that of its last."""
        return self.pixel_mm * (self.crop_px - 1)

    @property
    def slices(self) -> int:
        """Return how many slices are seen at a time: the slice itself and its neighbours."""
        return 1 + len(self.neighbours_mm)

    def refuse_other_input(self, architecture: AnyArchitecture) -> None:
        """Raise SettingsError if a network takes another number of slices, or other crops."""
        deepest = max(architecture.strides.values())
        if self.crop_px % deepest != 1:
            raise SettingsError(UnfitCrop(crop_px=self.crop_px, stride=deepest))
        if architecture.slices != self.slices:
            raise SettingsError(
                WrongSliceCount(
                    slices=architecture.slices,
                    neighbours=len(self.neighbours_mm),
                )
            )

    def planes_seen(self, grid: Grid, plane: int) -> tuple[int, ...]:
        """Return the indices of the slices that are seen with a slice: its own, then neighbours.

        A neighbour is the slice whose z is nearest to its distance; at an end of the CT, that may
        be the last slice, or the slice itself. Of two that are equally near, it is the one farther
        from the slice, as that shows more.

        >>> grid = Grid((4, 1, 1), (1.0, 1.0), (0.0, 3.0, 6.0, 9.0), (0.0, 0.0))
        >>> seen = Preprocessing(1.0, 417, (-200.0, 400.0), neighbours_mm=(4.0, -4.0, 12.0))
        >>> seen.planes_seen(grid, 0), seen.planes_seen(grid, 2)
        ((0, 1, 0, 3), (2, 3, 1, 3))
        """
        z_mm = np.asarray(grid.slice_z_mm)
        planes = [plane]
        for distance_mm in self.neighbours_mm:
            away_mm = np.abs(z_mm - z_mm[plane] - distance_mm)
            nearest = np.flatnonzero(away_mm < away_mm.min() + TIE_MM)
            farther = nearest[-1] if distance_mm > 0 else nearest[0]
            planes.append(int(farther))
        return tuple(planes)

    def windowed(self, hu: Tensor) -> Tensor:
        """Scale HU to the range from -1 to 1; values beyond the window are clipped.

        >>> Preprocessing(1.0, 417, (-200.0, 400.0)).windowed(torch.tensor([-1000.0, 100.0, 400.0]))
        tensor([-1.,  0.,  1.])
        """
        low, high = self.window_hu
        per_hu = 2 / (high - low)
        return ((hu - low) * per_hu - 1).clamp(-1, 1)


@dataclass(frozen=True, slots=True)
class Similarity:
    """A turn, zoom and shift of the network's view about the body's centre.

    zoom: above 1, the patient looks larger. shift_mm: x, y.
    """

    degrees: float = 0.0
    zoom: float = 1.0
    shift_mm: tuple[float, float] = (0.0, 0.0)


def view(
    planes_CHW: Tensor,
    grid: Grid,
    centre_mm: PointMm,
    preprocessing: Preprocessing,
    transform: Similarity | None = None,
) -> Tensor:
    """Return what the network sees of planes that lie on a CT's grid.

    (C, rows, columns) float32 -> (C, crop_px, crop_px). Bilinear; where the view is coarser than
    the grid, pixels are averaged first. The CT's edge continues beyond it.
    """
    transform = transform or Similarity()
    step_mm = preprocessing.pixel_mm / transform.zoom
    row_mm, column_mm = grid.spacing_mm
    _, height, width = planes_CHW.shape
    rows = _pixels_to_average(step_mm / row_mm, height)
    columns = _pixels_to_average(step_mm / column_mm, width)
    if max(rows, columns) > 1:
        planes_CHW = F.avg_pool2d(planes_CHW, (rows, columns))
    x_HW, y_HW = _view_mm(centre_mm, preprocessing.crop_px, step_mm, transform)
    left_mm, top_mm = grid.origin_mm
    columns_HW = _averaged((x_HW - left_mm) / column_mm, columns)
    rows_HW = _averaged((y_HW - top_mm) / row_mm, rows)
    return _sample(planes_CHW, rows_HW, columns_HW)


def _pixels_to_average(step: float, side: int) -> int:
    """Return how many pixels are averaged into one, given the view's step in pixels."""
    nearest = max(1, round(step))
    return min(nearest, side)


def _view_mm(
    centre_mm: PointMm, crop_px: int, step_mm: float, transform: Similarity
) -> tuple[Tensor, Tensor]:
    """Return x and y mm of each of the view's pixels, (crop_px, crop_px)."""
    half = crop_px // 2
    offsets = torch.arange(-half, half + 1, dtype=torch.float32) * step_mm
    across = offsets[None, :]
    down = offsets[:, None]
    turn = np.deg2rad(transform.degrees)
    cosine = np.cos(turn)
    sine = np.sin(turn)
    x, y = centre_mm
    shift_x, shift_y = transform.shift_mm
    x0 = x - shift_x
    y0 = y - shift_y
    x_HW = x0 + cosine * across - sine * down
    y_HW = y0 + sine * across + cosine * down
    return x_HW, y_HW


def _averaged(index: Tensor, step: int) -> Tensor:
    """Return a pixel index after each `step` pixels have become one."""
    return (index - (step - 1) / 2) / step


def _sample(planes_CHW: Tensor, rows_HW: Tensor, columns_HW: Tensor) -> Tensor:
    """Sample bilinearly at fractional indices; the edge continues beyond the planes."""
    _, height, width = planes_CHW.shape
    x_HW = columns_HW * (2 / max(width - 1, 1)) - 1
    y_HW = rows_HW * (2 / max(height - 1, 1)) - 1
    to_unit = torch.stack([x_HW, y_HW], dim=-1)[None]
    sampled = F.grid_sample(planes_CHW[None], to_unit, padding_mode="border", align_corners=True)
    return sampled[0]
