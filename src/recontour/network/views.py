"""The views through which a slice is contoured, and the way back from them to the CT's pixels.

The network's output lies on points a stride apart. The points of a second view, half a stride right
of the first and half a stride below it, lie in the middle between those of the first. Contours
follow the mean of both views' logits (docs/decisions/042-two-views.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Indices, Mask
from recontour.network.body import PointMm
from recontour.network.preprocessing import Preprocessing

Logits = npt.NDArray[np.float32]
Box = tuple[slice, slice]  # rows and columns

# Of the views' centres from the body's centre: strides to the right, and down.
OFFSETS = ((0.0, 0.0), (0.5, 0.5))
VIEWS_OF_A_SLICE = len(OFFSETS)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a CT's pixels lie among a view's points: fractional indices, ascending."""

    rows_H: Floats
    columns_W: Floats


def centres_mm_of(
    body_mm: PointMm,
    preprocessing: Preprocessing,
    points: int,
    views: int,
) -> list[PointMm]:
    """Return the centres of the first so many views, x and y mm.

    body_mm: the body's centre, which is the first view's. points: along a side of the network's
        output, from the centre of a view's first pixel to that of its last.

    >>> centres_mm_of((10.0, 20.0), Preprocessing(1.25, 225, (-200.0, 400.0)), points=29, views=2)
    [(10.0, 20.0), (15.0, 25.0)]
    """
    x, y = body_mm
    stride_mm = preprocessing.span_mm / (points - 1)
    centres_mm = []
    for right, down in OFFSETS[:views]:
        centres_mm.append((x + right * stride_mm, y + down * stride_mm))
    return centres_mm


def unview(
    logits_VNhw: Sequence[Logits],
    grid: Grid,
    centres_mm: Sequence[PointMm],
    preprocessing: Preprocessing,
) -> Mask:
    """Return where the mean logit of a slice's views is positive, on the CT's own grid.

    logits_VNhw: of each view (N, h, w), on points spread evenly over it, from the centre of its
        first pixel to that of its last. Bilinear between points; as 8n + 1 pixels meet them, a view
        of every pixel would give the same. Where one view alone sees a pixel, it decides.
    centres_mm: of each view.
    Returns: (N, rows, columns); False outside all views.
    """
    masks = _empty(logits_VNhw, grid)
    for index, box, total_HW in _totals(logits_VNhw, grid, centres_mm, preprocessing):
        masks[index][box] = total_HW > 0
    return masks


def unview_softly(
    logits_VNhw: Sequence[Logits],
    grid: Grid,
    centres_mm: Sequence[PointMm],
    preprocessing: Preprocessing,
) -> tuple[Mask, float]:
    """Return the same as `unview`, and how decided the network is about it: its soft Dice.

    That is the Dice of the probabilities p with the mask m: 2 sum(pm) / (sum p + sum m), 0 to 1,
    over the pixels near the mask, on the slices that show it. It is 0 where nothing is decided.
    """
    masks = _empty(logits_VNhw, grid)
    inside = within = expected = 0.0
    for index, box, total_HW in _totals(logits_VNhw, grid, centres_mm, preprocessing):
        is_inside = total_HW > 0
        masks[index][box] = is_inside
        p_HW = expit(total_HW / len(logits_VNhw))
        inside += np.count_nonzero(is_inside)
        within += float(p_HW[is_inside].sum())
        expected += float(p_HW.sum())
    return masks, 2 * within / (expected + inside) if inside else 0.0


def _empty(logits_VNhw: Sequence[Logits], grid: Grid) -> Mask:
    _, height, width = grid.shape
    return np.zeros((len(logits_VNhw[0]), height, width), dtype=np.bool_)


def _totals(
    logits_VNhw: Sequence[Logits],
    grid: Grid,
    centres_mm: Sequence[PointMm],
    preprocessing: Preprocessing,
) -> Iterator[tuple[int, Box, Logits]]:
    """Yield for each slice that may show an organ where it may lie, and there `_total`."""
    places = []
    for logits_Nhw, centre_mm in zip(logits_VNhw, centres_mm, strict=True):
        places.append(_places(logits_Nhw, grid, centre_mm, preprocessing))
    for index in range(len(logits_VNhw[0])):
        views = [logits_Nhw[index] for logits_Nhw in logits_VNhw]
        box = _box(views, places)
        if box is not None:
            yield index, box, _total(views, places, box)


def _places(
    logits_Nhw: Logits,
    grid: Grid,
    centre_mm: PointMm,
    preprocessing: Preprocessing,
) -> _Places:
    _, height, width = grid.shape
    _, points_down, points_across = logits_Nhw.shape
    left_mm, top_mm = grid.origin_mm
    row_mm, column_mm = grid.spacing_mm
    centre_x, centre_y = centre_mm
    y_mm = top_mm + row_mm * np.arange(height, dtype=np.float64) - centre_y
    x_mm = left_mm + column_mm * np.arange(width, dtype=np.float64) - centre_x
    return _Places(
        rows_H=(y_mm / preprocessing.span_mm + 0.5) * (points_down - 1),
        columns_W=(x_mm / preprocessing.span_mm + 0.5) * (points_across - 1),
    )


def _box(views: Sequence[Logits], places: Sequence[_Places]) -> Box | None:
    """Return rows and columns that hold every pixel whose mean logit is positive; None: no pixel.

    A mean can only be positive where the logit of a view is. That logit in turn is a weighted mean
    of the four points around the pixel, so one of these is positive.
    """
    rows = []
    columns = []
    for logits_hw, place in zip(views, places, strict=True):
        positive_rows, positive_columns = np.nonzero(logits_hw > 0)
        if positive_rows.size:
            rows.append(_near(positive_rows, place.rows_H))
            columns.append(_near(positive_columns, place.columns_W))
    return (_hull(rows), _hull(columns)) if rows else None


def _near(positive: Indices, index: Floats) -> slice:
    """Return the pixels that lie at most one point from positive points, or between them.

    index: the pixels' places among the points, ascending.
    """
    first = int(positive.min())
    last = int(positive.max())
    return _between(first - 1, last + 1, index)


def _between(lowest: int, highest: int, index: Floats) -> slice:
    """Return the pixels whose places lie between two points, or on them."""
    begin = np.searchsorted(index, lowest, side="left")
    end = np.searchsorted(index, highest, side="right")
    return slice(int(begin), int(end))


def _hull(parts: Sequence[slice]) -> slice:
    """Return the shortest slice that holds all of them."""
    starts = [part.start for part in parts]
    stops = [part.stop for part in parts]
    return slice(min(starts), max(stops))


def _total(views: Sequence[Logits], places: Sequence[_Places], box: Box) -> Logits:
    """Return the sum of the views' logits in a box of pixels: it has the sign of their mean.

    A view adds nothing where it does not see.
    """
    rows, columns = box
    height = rows.stop - rows.start
    width = columns.stop - columns.start
    total_HW = np.zeros((height, width), dtype=np.float32)
    for logits_hw, place in zip(views, places, strict=True):
        points_down, points_across = logits_hw.shape
        rows_H = place.rows_H[rows]
        columns_W = place.columns_W[columns]
        seen_rows = _between(0, points_down - 1, rows_H)
        seen_columns = _between(0, points_across - 1, columns_W)
        lines_Hw = _interpolated(logits_hw, rows_H[seen_rows])
        pixels_WH = _interpolated(lines_Hw.T, columns_W[seen_columns])
        total_HW[seen_rows, seen_columns] += pixels_WH.T
    return total_HW


def _interpolated(values: Logits, index: Floats) -> Logits:
    """Interpolate linearly between rows: (points, M) -> (len(index), M)."""
    below = np.clip(index.astype(np.intp), 0, len(values) - 2)
    share = (index - below).astype(np.float32)[:, None]
    lower = values[below] * (1 - share)
    upper = values[below + 1] * share
    return lower + upper
