"""The planes that a report may show, kept small until it asks for them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recontour.cohort import Case
from recontour.evaluation.figures import Overlay
from recontour.evaluation.planes import Plane, planes_to_show, upright
from recontour.geometry.arrays import Mask

Bits = npt.NDArray[np.uint8]


class Planes:
    """The planes of each organ of a case that are worth a picture, one bit per pixel.

    The first model that is kept decides which planes these are.
    """

    def __init__(self) -> None:
        # By organ, plane, and model.
        self._kept: dict[str, dict[Plane, dict[str, Bits]]] = {}

    def keep(
        self,
        case: Case,
        organ: str,
        model: str,
        mask: Mask,
    ) -> None:
        """Keep what a model drew on these planes. mask: (slice, row, column)."""
        if organ not in self._kept:
            scored = case.where_known(organ, mask)
            planes = planes_to_show(case.mask(organ), scored)
            self._kept[organ] = {plane: {} for plane in planes}
        for plane, by_model in self._kept[organ].items():
            by_model[model] = np.packbits(plane.cut(mask), axis=-1)

    def overlays(self, case: Case, organ: str) -> Iterator[Overlay]:
        """Yield the planes of an organ, with every model's mask. case: whose planes they are."""
        _, rows, columns = case.grid.shape
        for plane, by_model in self._kept[organ].items():
            width = rows if plane.view == "sagittal" else columns
            predicted = {}
            for model, bits in by_model.items():
                predicted[model] = np.unpackbits(bits, axis=-1, count=width).view(np.bool_)
            yield overlay_of(case, organ, plane, predicted)


def overlay_of(
    case: Case,
    organ: str,
    plane: Plane,
    predicted: Mapping[str, Mask],
) -> Overlay:
    """Return one plane of a case's CT with its own contour of an organ and the models'.

    predicted: by model, as the plane cuts it from a mask. Slices on which nobody knows whether they
    show the organ are marked as not scored.
    """
    if plane.view == "axial":
        reference = case.slice_mask(organ, plane.index)
    else:
        reference = plane.cut(case.mask(organ))
    overlay = overlay_on(case, plane, reference, predicted)
    if plane.view == "axial":
        return overlay
    slices, _ = upright(case.grid)
    return replace(overlay, is_scored=case.known_slices(organ)[slices])


def overlay_on(
    case: Case,
    plane: Plane,
    reference: Mask,
    contours: Mapping[str, Mask],
    around: Mask | None = None,
) -> Overlay:
    """Return one plane of a case's CT with contours.

    reference, contours, around: as the plane cuts them from masks; the second by name, the third as
    in `Overlay`.
    """
    row_mm, column_mm = case.grid.spacing_mm
    hu = np.asarray(plane.cut(case.hu))
    if plane.view == "axial":
        return Overlay(
            hu=hu,
            at_mm=plane.at_mm(case.grid),
            spacing_mm=(row_mm, column_mm),
            reference=reference,
            predicted=contours,
            around=around,
        )
    slices, height_mm = upright(case.grid)
    return Overlay(
        hu=hu[slices],
        at_mm=plane.at_mm(case.grid),
        spacing_mm=(height_mm, row_mm if plane.view == "sagittal" else column_mm),
        reference=reference[slices],
        predicted={name: mask[slices] for name, mask in contours.items()},
        view=plane.view,
        around=None if around is None else around[slices],
    )
