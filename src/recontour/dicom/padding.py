"""Pixels of the padding value, which stand for what was not measured: they become air."""

from dataclasses import dataclass

import numpy as np

from recontour.dicom.pixels import Pixels
from recontour.geometry.arrays import Mask

AIR_HU = -1000
DENSEST_HU = 3071  # the most that 12 bits hold: no tissue is denser
NEAR_AIR_HU = 200  # how far air may differ from AIR_HU
LEAST_AIR_AT_BORDER = 0.05  # share of the border's pixels
INNER = 0.8  # share of the half axes: the corners outside a round field of view lie farther out


@dataclass(frozen=True, slots=True)
class Padding:
    """The pixels of one image that hold the padding value and may be tissue.

    hu: the lowest HU that counts as padding. is_kept: whether they stay as stored, or become air.
    """

    pixels: int
    hu: float
    is_kept: bool


NO_PADDING = Padding(0, 0.0, True)


def air_for_padding(
    stored: Pixels,
    rescale: tuple[float, float],
    first: int | None,
    last: int | None,
) -> tuple[Pixels, Padding]:
    """Set the padding of an image to air where it would be denser than air.

    Padding inside the image, or padding that reaches into it beside measured air, stays as it is
    where tissue may have that value.

    rescale: slope and intercept. first, last: PixelPaddingValue and PixelPaddingRangeLimit; None if
    the image has none.
    """
    if first is None:
        return stored, NO_PADDING
    kind, (slope, intercept) = stored.dtype, rescale
    # the VR of the two attributes may not know their sign
    ends = np.array([first, first if last is None else last]).astype(kind)
    lowest_hu, highest_hu = sorted((ends * slope + intercept).tolist())
    padding = (stored >= ends.min()) & (stored <= ends.max())
    if highest_hu <= AIR_HU or not padding.any():
        return stored, NO_PADDING
    is_air = stored * slope + intercept <= AIR_HU + NEAR_AIR_HU
    range_holds_air = lowest_hu <= AIR_HU and highest_hu > AIR_HU + NEAR_AIR_HU
    outside = _outside(padding, is_air & ~padding, range_holds_air)
    inside = int(np.count_nonzero(padding) - np.count_nonzero(outside))
    is_kept = lowest_hu <= DENSEST_HU
    limits = np.iinfo(kind)
    air = np.clip(round((AIR_HU - intercept) / slope), limits.min, limits.max).astype(kind)
    with_air = np.where(outside if is_kept else padding, air, stored)
    return with_air, Padding(inside, lowest_hu, is_kept)


def _outside(padding: Mask, measured_air: Mask, range_holds_air: bool) -> Mask:
    """Return the padding that lies outside what was measured: lumps joined to the image's border.

    A lump that reaches far into the image does not count if there is measured air at the border: a
    body wider than the image touches its border as well. Nor does it count if the range of padding
    values holds air.

    padding, measured_air: (row, column).
    """
    from scipy import ndimage  # here, since few series have such padding

    labels, _ = ndimage.label(padding)
    joined = np.setdiff1d(_border(labels), [0])
    if range_holds_air or _border(measured_air).mean() >= LEAST_AIR_AT_BORDER:
        rows, columns = (np.linspace(-1, 1, count) for count in padding.shape)
        is_inner = np.hypot(rows[:, None], columns) < INNER
        joined = np.setdiff1d(joined, labels[is_inner])
    outside: Mask = np.isin(labels, joined)
    return outside


def _border(plane: Pixels) -> Pixels:
    """Return the values along the border of an image."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
