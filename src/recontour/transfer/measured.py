"""What bodies and organs measure in the patients that a model learns from."""

from collections.abc import Iterator, Sequence

from recontour.cohort import Case
from recontour.network.ranges import Measured, Ranges, ranges_of
from recontour.network.traits import body_of, organ_traits


def measured(cases: Sequence[Case], organs: Sequence[str]) -> Ranges:
    """Measure the bodies, and those of the organs that were contoured.

    >>> from pathlib import Path
    >>> from recontour.cohort import Cohort
    >>> cases = list(Cohort.open(Path("south")))
    >>> measured(cases, ["Brainstem"]).organs["Brainstem"]["mean_hu"].cts == len(cases)
    True
    """
    return ranges_of(_traits(cases, organs))


def _traits(
    cases: Sequence[Case],
    organs: Sequence[str],
) -> Iterator[Measured]:
    for case in cases:
        body = body_of(case.hu, case.grid)
        of_organs = {}
        for organ in organs:
            mask = case.mask(organ) if organ in case.organs else None
            if mask is not None and mask.any():
                of_organs[organ] = organ_traits(
                    case.hu,
                    case.grid,
                    mask,
                    body,
                    is_partial=organ in case.traits.partly_contoured,
                )
        yield body.traits(), of_organs
