"""The planes that a report may show, kept small until it asks for them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from recontour.assess.scoring import overlay_of
from recontour.cohort import Case
from recontour.evaluation.figures import Overlay
from recontour.evaluation.planes import Plane, planes_to_show
from recontour.geometry.arrays import Mask

Bits = npt.NDArray[np.uint8]


class Planes:
    """The planes of each case and organ that are worth a picture, one bit per pixel.

    The first model that is kept decides which planes these are.
    """

    def __init__(self) -> None:
        # By case and organ, plane, and model.
        self._kept: dict[tuple[str, str], dict[Plane, dict[str, Bits]]] = {}

    def keep(
        self,
        case: Case,
        organ: str,
        model: str,
        mask: Mask,
    ) -> None:
        """Keep what a model drew on these planes. mask: (slice, row, column)."""
        place = (case.id, organ)
        if place not in self._kept:
            planes = planes_to_show(case.mask(organ), mask)
            self._kept[place] = {plane: {} for plane in planes}
        for plane, by_model in self._kept[place].items():
            by_model[model] = np.packbits(plane.cut(mask), axis=-1)

    def overlays(self, case: Case, organ: str) -> Iterator[Overlay]:
        """Yield the planes of a case and organ, with every model's mask."""
        _, rows, columns = case.grid.shape
        for plane, by_model in self._kept[case.id, organ].items():
            width = rows if plane.view == "sagittal" else columns
            predicted = {}
            for model, bits in by_model.items():
                predicted[model] = np.unpackbits(bits, axis=-1, count=width).view(np.bool_)
            yield overlay_of(case, organ, plane, predicted)
