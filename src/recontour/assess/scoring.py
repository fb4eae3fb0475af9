"""Contour a case of a cohort, and compare the masks with the case's own."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType

from recontour.cohort import Case
from recontour.contouring.contourer import Contourer
from recontour.evaluation import CaseScore, score
from recontour.geometry.arrays import Mask
from recontour.organs import organ_of

NO_TOLERANCES: Mapping[str, float] = MappingProxyType({})


def contour_case(contourer: Contourer, case: Case) -> Iterator[tuple[str, Mask]]:
    """Contour those of the model's organs that the case's structure set has.

    Yields: organ and mask, bool (slice, row, column), in the model's order.
    """
    shared = [organ for organ in contourer.model.organs if organ in case.organs]
    if shared:
        yield from contourer.contour(case.hu, case.grid, shared)


def score_masks(
    case: Case,
    name: str,
    masks: Iterable[tuple[str, Mask]],
    tolerances_mm: Mapping[str, float] = NO_TOLERANCES,
) -> Iterator[tuple[CaseScore, Mask]]:
    """Compare a model's masks with the case's own.

    name: the model's, as the scores show it. tolerances_mm: by organ, in place of its own.
    Where an organ is partly contoured, only the slices count on which it is known.
    Yields: for each organ the scores, and the model's whole mask.
    """
    for organ, mask in masks:
        scored = case.where_known(organ, mask)
        tolerance_mm = tolerances_mm.get(organ, organ_of(organ).tolerance_mm)
        measured = score(case.mask(organ), scored, case.grid, tolerance_mm)
        yield CaseScore(case.id, organ, name, **asdict(measured)), mask
