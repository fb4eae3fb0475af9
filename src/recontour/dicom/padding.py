"""Pixels that were not measured: they become air."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from recontour.dicom.ct_findings import PaddingInside
from recontour.dicom.slices import Slice

AIR_HU = -1000
DENSEST_HU = 3071  # what 12 bits hold: no tissue is denser, and metal hardly
NEAR_AIR_HU = 200  # what air may differ by from AIR_HU
LEAST_AIR_AT_BORDER = 0.05  # of its pixels
INNER = 0.8  # of the half axes: what lies within is no corner outside a round field of view


def with_air_as_padding(image: Slice, dataset: Dataset) -> Slice:
    """A slice whose padding, where it would be denser than air, is air: nothing was measured there.

    What lies within the image, or reaches into it from its border beside air that was measured,
    stays as it is where tissue may have that value.
    """
    first, last = map(
        dataset.get, ("PixelPaddingValue", "PixelPaddingRangeLimit")
    )  # "US or SS": the rest says which
    if first is None:
        return image
    kind, (slope, intercept) = image.stored.dtype, image.rescale
    ends = np.array([first, first if last is None else last]).astype(
        kind
    )  # its VR may not know their sign
    ends_hu = ends * slope + intercept
    if np.max(ends_hu) <= AIR_HU:
        return image
    padding = (image.stored >= ends.min()) & (image.stored <= ends.max())
    if not padding.any():
        return image
    measured_air = (image.stored * slope + intercept <= AIR_HU + NEAR_AIR_HU) & ~padding
    holds_air = bool(np.min(ends_hu) <= AIR_HU and np.max(ends_hu) > AIR_HU + NEAR_AIR_HU)
    outside = _outside(padding, measured_air, holds_air)
    within = int(np.count_nonzero(padding) - np.count_nonzero(outside))
    is_kept = bool(np.min(ends_hu) <= DENSEST_HU)
    air = np.clip(
        round((AIR_HU - intercept) / slope), np.iinfo(kind).min, np.iinfo(kind).max
    ).astype(kind)
    stored = np.where(outside if is_kept else padding, air, image.stored)
    return replace(
        image,
        stored=stored,
        padding_within=within,
        padding_hu=float(np.min(ends_hu)),
        padding_kept=is_kept,
    )


def _outside(
    padding: npt.NDArray[np.bool_], measured_air: npt.NDArray[np.bool_], holds_air: bool
) -> npt.NDArray[np.bool_]:
    """The pixels of padding that lie outside what was measured: lumps that are joined to the
    image's border.

    A lump that reaches far into the image while there is measured air at the border is no outside:
    a body that is wider than the image touches its border as well. Nor is any such lump where the
    padding's range of values holds air.
    padding, measured_air: of each pixel, (row, column).
    """
    from scipy import ndimage  # here: few series have such padding

    labels, _ = ndimage.label(padding)
    joined = np.setdiff1d(_border(labels), [0])
    if holds_air or _border(measured_air).mean() >= LEAST_AIR_AT_BORDER:
        rows, columns = (np.linspace(-1, 1, count) for count in padding.shape)
        inner = np.hypot(rows[:, None], columns) < INNER
        joined = np.setdiff1d(joined, labels[inner])
    outside: npt.NDArray[np.bool_] = np.isin(labels, joined)
    return outside


def _border(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values at the border of an image."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def padding_inside(slices: Sequence[Slice]) -> PaddingInside | None:
    """Return the finding on padding inside the images of a series; None if there is none."""
    found = [image for image in slices if image.padding_within]
    if not found:
        return None
    count = sum(image.padding_within for image in found)
    share = count / sum(image.stored.size for image in slices)
    became_hu = None if found[0].padding_kept else AIR_HU
    return PaddingInside(voxels=count, share=share, hu=found[0].padding_hu, became_hu=became_hu)
