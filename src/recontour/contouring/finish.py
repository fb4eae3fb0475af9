"""From raw masks to what a person would accept as a first draft."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from recontour.geometry.arrays import Mask
from recontour.geometry.raster import box_of

# An island (26-connected in 3D) is kept when it has at least this share of the largest part's
# voxels. Compact organs are one piece: of share 1 only the largest stays. Long or thin ones break
# where a slice is missed.
KEPT_SHARE: Mapping[str, float] = {
    "SpinalCord": 0.02,
    "SpinalCanal": 0.02,
    "Esophagus": 0.05,
    "Bone_Mandible": 0.05,
    "OpticNrv_L": 0.2,
    "OpticNrv_R": 0.2,
    "OpticChiasm": 0.2,
    "Brainstem": 1.0,
    "Larynx": 1.0,
    "Lens_L": 1.0,
    "Lens_R": 1.0,
    "Lobe_Temporal_L": 1.0,
    "Lobe_Temporal_R": 1.0,
    "Parotid_L": 1.0,
    "Parotid_R": 1.0,
    "Pituitary": 1.0,
}
KEPT_SHARE_ELSE = 0.1


def drop_islands(mask: Mask, organ: str) -> Mask:
    """A mask (slice, row, column) without islands smaller than KEPT_SHARE of its largest part."""
    box = box_of(mask)  # labelling the whole CT would take seconds an organ
    if box is None:
        return mask
    labels, count = ndimage.label(mask[box], structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels[mask[box]])
    share = KEPT_SHARE.get(organ, KEPT_SHARE_ELSE)
    kept = sizes >= share * sizes.max() if share < 1 else np.arange(len(sizes)) == sizes.argmax()
    kept[0] = False
    result = np.zeros_like(mask)
    result[box] = kept[labels]
    return result
