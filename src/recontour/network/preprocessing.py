"""From a CT's slices to what the network sees, and back: the only place where pixels are resampled.

The network's view of a slice is a square of crop_px pixels of pixel_mm, centred on the body.
Training views it through a random similarity transform; contouring through none. Both go through
`view`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import AfterValidator, ConfigDict, Field, Strict
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from recontour.errors import SettingsError
from recontour.geometry import Grid

BODY_HU = -250.0  # above: tissue; below: air and most couches
BODY_STEP_MM = 4.0  # the body is sought on pixels of about this size

# What a model file may say. The presets have pixels of 1.0 and 1.25 mm, crops of 225 and 417 px,
# -200 ... 400 HU.
PixelMm = Annotated[float, Strict(), Field(ge=0.1, le=20, allow_inf_nan=False)]
CropPx = Annotated[int, Strict(), Field(ge=17, le=833)]
Hu = Annotated[float, Strict(), Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
NARROWEST_HU = 1.0


def _opens(window_hu: tuple[float, float]) -> tuple[float, float]:
    low, high = window_hu
    if high - low < NARROWEST_HU:
        raise ValueError(
            f"a window from low to high, at least {NARROWEST_HU:.0f} HU wide, is expected"
        )
    return window_hu


Window = Annotated[tuple[Hu, Hu], AfterValidator(_opens)]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a CT is brought before the network; part of the model file.

    The bounds hold for what is read from a file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    pixel_mm: PixelMm
    crop_px: CropPx  # 8n + 1
    window_hu: Window  # goes to -1 ... 1; what lies beyond is cut off

    def __post_init__(self) -> None:
        """Raise SettingsError for a view that the network cannot take."""
        if self.crop_px % 8 != 1 or self.crop_px < 17:
            raise SettingsError(
                f"crop_px must be 8n + 1 (417, 225, ...), at least 17; got {self.crop_px}"
            )
        if not self.pixel_mm > 0 or not self.window_hu[0] < self.window_hu[1]:
            raise SettingsError(
                f"pixel_mm > 0 and window low < high are needed; got {self.pixel_mm}, {self.window_hu}"
            )

    def windowed(self, hu: Tensor) -> Tensor:
        """HU -> -1 ... 1."""
        low, high = self.window_hu
        return ((hu - low) * (2 / (high - low)) - 1).clamp(-1, 1)


@dataclass(frozen=True, slots=True)
class Similarity:
    """A turn, zoom and shift of the network's view about the body's centre."""

    degrees: float = 0.0
    zoom: float = 1.0  # above 1: the patient looks larger
    shift_mm: tuple[float, float] = (0.0, 0.0)  # x, y


def body_centre_mm(hu: npt.NDArray[np.generic], grid: Grid) -> tuple[float, float]:
    """The middle of the body, x and y mm: over the slices the median of the largest tissue region's
    centroid.

    A slice without tissue does not count; a CT without any has its middle at the middle of its
    grid.
    """
    rows, columns = (max(1, round(BODY_STEP_MM / spacing)) for spacing in grid.spacing_mm)
    centroids = []
    for plane in hu:
        labels, count = ndimage.label(
            np.asarray(plane[::rows, ::columns], dtype=np.float32) > BODY_HU
        )
        if count:
            largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
            centroids.append(ndimage.center_of_mass(labels == largest))
    _, height, width = grid.shape
    middle = (
        np.median(centroids, axis=0) * (rows, columns)
        if centroids
        else ((height - 1) / 2, (width - 1) / 2)
    )
    x, y = grid.to_mm(np.array([[middle[1], middle[0]]]))[0]
    return float(x), float(y)


def view(
    planes_CHW: Tensor,
    grid: Grid,
    centre_mm: tuple[float, float],
    preprocessing: Preprocessing,
    transform: Similarity | None = None,
) -> Tensor:
    """What the network sees of planes that lie on a CT's grid: (C, rows, columns) float32 -> (C,
    crop_px, crop_px).

    Bilinear; where the view is coarser than the grid, pixels are averaged first. Beyond the CT its
    edge goes on.
    """
    transform = transform or Similarity()
    steps_mm = preprocessing.pixel_mm / transform.zoom
    average = tuple(
        min(max(1, round(steps_mm / spacing)), side)
        for spacing, side in zip(grid.spacing_mm, planes_CHW.shape[1:], strict=True)
    )
    planes_CHW = F.avg_pool2d(planes_CHW, average) if max(average) > 1 else planes_CHW
    half = preprocessing.crop_px // 2
    offsets = torch.arange(-half, half + 1, dtype=torch.float32) * steps_mm
    turn = np.deg2rad(transform.degrees)
    x0, y0 = centre_mm[0] - transform.shift_mm[0], centre_mm[1] - transform.shift_mm[1]
    x_HW = x0 + np.cos(turn) * offsets[None, :] - np.sin(turn) * offsets[:, None]
    y_HW = y0 + np.sin(turn) * offsets[None, :] + np.cos(turn) * offsets[:, None]
    columns_HW = _averaged((x_HW - grid.origin_mm[0]) / grid.spacing_mm[1], average[1])
    rows_HW = _averaged((y_HW - grid.origin_mm[1]) / grid.spacing_mm[0], average[0])
    return _sample(planes_CHW, rows_HW, columns_HW)


def unview(
    logits_Nhw: npt.NDArray[np.float32],
    grid: Grid,
    centre_mm: tuple[float, float],
    preprocessing: Preprocessing,
) -> npt.NDArray[np.bool_]:
    """The way back from plain views of some slices: where logits are positive on the CT's own grid.

    logits_Nhw: (N, h, w) points spread evenly over the view, from the centre of its first pixel to
        that of its last. Bilinear between points; a view of every pixel made from them first would
        say the same, as 8n + 1 pixels meet them.
    Returns: (N, rows, columns); outside the view nothing is.
    """
    _, height, width = grid.shape
    masks = np.zeros((len(logits_Nhw), height, width), dtype=np.bool_)
    span_mm = preprocessing.pixel_mm * (preprocessing.crop_px - 1)
    y_mm = grid.origin_mm[1] + grid.spacing_mm[0] * np.arange(height) - centre_mm[1]
    x_mm = grid.origin_mm[0] + grid.spacing_mm[1] * np.arange(width) - centre_mm[0]
    rows_H = (y_mm / span_mm + 0.5) * (logits_Nhw.shape[1] - 1)
    columns_W = (x_mm / span_mm + 0.5) * (logits_Nhw.shape[2] - 1)
    for mask, logits_hw in zip(masks, logits_Nhw, strict=True):
        positive_hw = logits_hw > 0
        if positive_hw.any():
            rows, columns = (
                _near(positive_hw.any(axis=1), rows_H),
                _near(positive_hw.any(axis=0), columns_W),
            )
            lines_Hw = _interpolated(logits_hw, rows_H[rows])
            mask[rows, columns] = _interpolated(lines_Hw.T, columns_W[columns]).T > 0
    return masks


def _near(positive: npt.NDArray[np.bool_], index: npt.NDArray[np.float64]) -> slice:
    """Pixels within the view of which any can be positive: those less than one point from a
    positive one.

    positive: by point. index: the pixels' places among the points, ascending.
    """
    first, last = np.flatnonzero(positive)[[0, -1]]
    begin = np.searchsorted(index, max(first - 1, 0), side="left")
    return slice(begin, np.searchsorted(index, min(last + 1, len(positive) - 1), side="right"))


def _interpolated(
    values: npt.NDArray[np.float32], index: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Linear between rows: (points, M) -> (len(index), M)."""
    below = np.clip(index.astype(np.intp), 0, len(values) - 2)
    share = (index - below).astype(np.float32)[:, None]
    return values[below] * (1 - share) + values[below + 1] * share


def _averaged(index: Tensor, step: int) -> Tensor:
    """A pixel index after each `step` pixels have become one."""
    return (index - (step - 1) / 2) / step


def _sample(planes_CHW: Tensor, rows_HW: Tensor, columns_HW: Tensor) -> Tensor:
    """Bilinear samples at fractional indices; the edge goes on beyond the planes."""
    _, height, width = planes_CHW.shape
    to_unit = torch.stack(
        [columns_HW * (2 / max(width - 1, 1)) - 1, rows_HW * (2 / max(height - 1, 1)) - 1], dim=-1
    )
    return F.grid_sample(
        planes_CHW[None], to_unit[None], padding_mode="border", align_corners=True
    )[0]
