"""How much the parent is to say beside an adapted model: what the centre's own patients favour.

The parent's answer helps where centres contour alike, and costs where they do not; which of the two
holds, no rule can know beforehand (docs/decisions/055-parents-say.md). So models that were adapted
without a patient contour that patient, with the parent's answer mixed in as it would be if the
parent counted as so many patients, and the best number is taken.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.cohort import Case
from recontour.contouring.contourer import Contourer
from recontour.evaluation.intervals import Dsc, mean_of
from recontour.evaluation.metrics import dice
from recontour.geometry.arrays import Mask
from recontour.transfer.models import parent_shares

# How many patients the parent may count as, besides what the preset says.
WORTHS = (0.0, 1.0, 10.0)


@dataclass(frozen=True, slots=True)
class FoldDsc:
    """The DSC of two models on a fold's patients.

    parent: of the parent alone. adapted: of the adapted model, by how many patients the parent
    counts as beside it; 0 stands for the adapted model alone.
    """

    parent: Dsc
    adapted: Mapping[float, Dsc]


def worths_to_try(preset: float, *, never_none: bool) -> Sequence[float]:
    """Return as how many patients the parent may count, the preset's number first.

    preset: 0 if the parent is to have no say; then nothing else is tried. never_none: the parent
        must have a say.

    >>> worths_to_try(3.0, never_none=False)
    (3.0, 0.0, 1.0, 10.0)
    """
    if not preset:
        return (0.0,)
    others = [worth for worth in WORTHS if worth != preset and (worth or not never_none)]
    return (preset, *others)


def fold_dsc(
    adapted: Contourer,
    parent: Contourer,
    tested: Sequence[Case],
    others: Sequence[Case],
    worths: Sequence[float],
    names: Mapping[str, str],
) -> FoldDsc:
    """Score an adapted model on patients it has not seen, once for each say of its parent.

    adapted: without a say of the parent. tested, others: the cases to score, and those that it
        learnt from. names: the patient of each case.
    """
    shares = {}
    for worth in worths:
        shares[worth] = parent_shares(worth, adapted.model.organs, others)
    of_parent = _Scored()
    of_adapted = {worth: _Scored() for worth in worths}
    for case in tested:
        organs = [organ for organ in adapted.model.organs if organ in case.organs]
        if not organs:
            continue
        who = names[case.id]
        own = adapted.answer(case.hu, case.grid, organs)
        known = [organ for organ in organs if organ in parent.model.organs]
        theirs = parent.answer(case.hu, case.grid, known)
        for organ in known:
            of_parent.add(who, case, organ, theirs.mask(organ))
        for worth in worths:
            both = own.mixed(theirs, shares[worth])
            for organ, mask in both.masks():
                of_adapted[worth].add(who, case, organ, mask)
    by_worth = {worth: scored.dsc() for worth, scored in of_adapted.items()}
    return FoldDsc(of_parent.dsc(), by_worth)


class _Scored:
    """The DSC of a model, as they come."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, who: str, case: Case, organ: str, mask: Mask) -> None:
        """Score one mask of one case. who: the case's patient."""
        scored = case.where_known(organ, mask)
        value = dice(case.mask(organ), scored, case.grid)
        if np.isfinite(value):
            self._values[who, organ].append(value)

    def dsc(self) -> Dsc:
        """Return a patient's mean over their CTs, by patient and organ."""
        return {key: float(np.mean(values)) for key, values in self._values.items()}


def best_worth(folds: Sequence[FoldDsc]) -> float:
    """Return as how many patients the parent counts where the adapted models score best.

    Of equals, the first that was tried.
    """
    worths = list(folds[0].adapted)
    return max(worths, key=lambda worth: np.nan_to_num(mean_with(worth, folds)))


def mean_with(worth: float, folds: Sequence[FoldDsc]) -> float:
    """Return the adapted models' mean DSC over all folds if the parent counts as so many patients.

    It is NaN if nothing was scored.
    """
    return mean_of(joined([fold.adapted[worth] for fold in folds]))


def unbiased(folds: Sequence[FoldDsc]) -> Dsc:
    """Return the adapted models' DSC, each fold's with the say that is best on the other folds.

    So no patient has helped to choose what contours them.
    """
    parts = []
    for fold in folds:
        others = [other for other in folds if other is not fold]
        parts.append(fold.adapted[best_worth(others)])
    return joined(parts)


def joined(parts: Sequence[Dsc]) -> Dsc:
    """Return the DSC of several folds as one."""
    together: dict[tuple[str, str], float] = {}
    for part in parts:
        together.update(part)
    return together
