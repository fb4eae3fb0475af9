"""Raw masks -> what a person would accept as a first draft."""

import numpy as np
from scipy import ndimage

from recontour.geometry.arrays import Mask
from recontour.geometry.tracing import box_of
from recontour.organs import organ_of

TOUCHING = np.ones((3, 3, 3))  # voxels that share a face, an edge or a corner are one part


def drop_islands(mask: Mask, organ: str) -> Mask:
    """Return a mask without its small islands.

    mask: bool (slice, row, column). organ: its TG-263 name, which says how much smaller than the
    largest part an island may be (`Organ.kept_share`). A mask in one piece is returned as it is.
    """
    box = box_of(mask)  # labelling the whole CT would take seconds per organ
    if box is None:
        return mask
    parts, count = ndimage.label(mask[box], structure=TOUCHING)
    if count < 2:
        return mask
    sizes = np.bincount(parts[mask[box]])
    is_kept = sizes >= organ_of(organ).kept_share * sizes.max()
    if organ_of(organ).kept_share == 1:  # of equal parts the first stays
        is_kept[:] = False
        is_kept[sizes.argmax()] = True
    is_kept[0] = False  # part 0 is the background
    result = np.zeros_like(mask)
    result[box] = is_kept[parts]
    return result
