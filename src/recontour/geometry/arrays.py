"""The arrays that every stage passes on, and how much of them is worked on at once."""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]  # an organ's voxels (slice, row, column), or its pixels (row, column)
Points = npt.NDArray[np.float64]  # (n, 2) or (n, 3), in mm
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

PIXELS_AT_ONCE = 2**20  # of the tall plane that slices are stacked into
