"""Whether a candidate may replace its parent, organ by organ: promote, keep the parent, undecided.

The candidate is promoted where it is shown to be no worse than the parent by more than a margin, in
DSC and in surface DSC. The test is exact: the sign-flip permutation test of the mean of the paired
differences, which assumes that they lie symmetrically about their mean. Holm's correction is over
the organs. docs/decisions/058-promotion-gate.md has the simulations behind these choices.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy import stats

from recontour.evaluation.control_chart import SCORES, ScoreMeasure
from recontour.evaluation.intervals import half_width
from recontour.evaluation.patients import count_missed
from recontour.evaluation.statistics import Pairs, holm, paired_by_organ
from recontour.evaluation.tables import CaseScore
from recontour.geometry.arrays import Floats

ALPHA = 0.05  # one-sided, over all organs together
ENOUGH_POWER = 0.8
MOST_PATIENTS = 1000  # beyond, no number is named
STEP = 1e-4  # differences are compared in steps of this size
LIKELY = 0.8  # how much the interval of the patients needed covers


class Decision(Enum):
    """What becomes of an organ; the value is how reports and `--json` call it."""

    PROMOTE = "promote"
    KEEP = "keep the parent"
    UNDECIDED = "undecided"


class Reason(Enum):
    """Why; the value is how `--json` calls it."""

    NOT_INFERIOR = "not inferior"
    WORSE = "worse"
    MISSED_MORE = "missed more often"
    NOT_SHOWN = "not shown with power enough"
    TOO_FEW = "too few patients"
    FOUND_BY_NEITHER = "found by neither"
    NOT_TESTED = "no contours to test with"
    NO_PARENT = "unknown to the parent"


@dataclass(frozen=True, slots=True)
class Margins:
    """By how much a candidate may be worse than its parent, at most, and be promoted."""

    dsc: float = 0.02
    surface_dsc: float = 0.02

    def of(self, measure: ScoreMeasure) -> float:
        """Return the margin of a measure."""
        return self.dsc if measure == "dsc" else self.surface_dsc


@dataclass(frozen=True, slots=True)
class Shift:
    """How a candidate compares with its parent in one measure of one organ, over patients.

    parent, candidate: their means. mean: of the differences, candidate minus parent; sd: their
    standard deviation; low, high: 95 % t interval. p: that the candidate is worse by the margin or
    more. p_worse: that it is no worse at all. NaN where there are too few patients for a number.
    """

    margin: float
    parent: float
    candidate: float
    mean: float
    sd: float
    low: float
    high: float
    p: float
    p_worse: float


@dataclass(frozen=True, slots=True)
class Needed:
    """How many patients more would probably promote an organ; None: no number would.

    likely: if the means that were seen are the true ones. fewest, most: at the ends of the means'
    80 % intervals.
    """

    likely: int | None
    fewest: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class OrganGate:
    """What becomes of one organ, and the numbers behind it.

    patients: those whom both models contoured. shifts: by measure; none if nothing was tested.
    p_holm: that the candidate is worse by a margin or more in either measure; p_worse_holm: that it
    is worse in neither; both corrected over the organs. missed_parent, missed_candidate: patients
    in whom the model missed the organ. power: the least chance to be promoted with these patients
    of a candidate that is just as good as its parent. needed: only if there are too few patients.
    """

    organ: str
    decision: Decision
    reason: Reason
    patients: int = 0
    shifts: Mapping[ScoreMeasure, Shift] | None = None
    p_holm: float = np.nan
    p_worse_holm: float = np.nan
    missed_parent: int = 0
    missed_candidate: int = 0
    power: float = np.nan
    needed: Needed | None = None


def sign_flip_p(differences: Floats) -> float:
    """Return the exact one-sided p of the sign-flip test that the mean is at most 0.

    The share of all ways to give the differences signs that yield a mean at least as high. The
    distribution of the sum is built by dynamic programming over the differences, in steps of 1e-4.

    Returns: in (0, 1]; NaN if there are no differences.
    References: Fisher 1935, The Design of Experiments, section 21.

    >>> sign_flip_p(np.array([0.1, 0.2, 0.3]))
    0.125
    """
    if not len(differences):
        return np.nan
    steps = np.rint(differences / STEP).astype(np.int64)
    plus = int(steps[steps > 0].sum())
    chance = np.ones(1)  # of each sum of those that are positive
    for size in np.abs(steps):
        grown = np.zeros(len(chance) + size)
        grown[: len(chance)] = chance / 2
        grown[size:] += chance / 2
        chance = grown
    return min(1.0, float(chance[plus:].sum()))


def gate(
    scores: Iterable[CaseScore],
    parent: str,
    candidate: str,
    margins: Margins | None = None,
    *,
    forecast: bool = True,
) -> list[OrganGate]:
    """Decide for every organ that both models have scored, in the order of the scores.

    A missed organ has a DSC of 0 and counts as such. An infinite HD95 does not matter, since HD95
    is not tested; a patient in whom both masks are empty has no DSC, and does not count.

    forecast: whether to say how many patients more would promote an organ.

    >>> same = {"tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> scores = []
    >>> for case in "abcdef":
    ...     scores += [CaseScore(case, "Lens_L", "S", dsc=0.7, surface_dsc=0.8, **same)]
    ...     scores += [CaseScore(case, "Lens_L", "ST", dsc=0.8, surface_dsc=0.9, **same)]
    >>> (found,) = gate(scores, "S", "ST")
    >>> found.decision, found.p_holm
    (<Decision.PROMOTE: 'promote'>, 0.015625)
    """
    margins = margins or Margins()
    pairs = paired_by_organ(scores, parent, candidate)
    pairs = {organ: both for organ, both in pairs.items() if both.of_a}
    shifts = {organ: _shifts(both, margins) for organ, both in pairs.items()}
    p_holm = holm([max(one.p for one in of.values()) for of in shifts.values()])
    p_worse_holm = holm([_p_worse(of) for of in shifts.values()])
    level = ALPHA / max(1, len(pairs))
    found = []
    for place, (organ, both) in enumerate(pairs.items()):
        numbers = OrganGate(
            organ=organ,
            decision=Decision.UNDECIDED,
            reason=Reason.TOO_FEW,
            patients=len(both.of_a),
            shifts=shifts[organ],
            p_holm=p_holm[place],
            p_worse_holm=p_worse_holm[place],
            missed_parent=count_missed(both.of_a),
            missed_candidate=count_missed(both.of_b),
            power=_power(shifts[organ], len(both.of_a), level, equal=True),
            needed=_needed(shifts[organ], len(both.of_a), level) if forecast else None,
        )
        found.append(_decided(numbers))
    return found


def fewest_patients(organs: int) -> int:
    """Return how many patients it takes at least to promote one of so many organs.

    With fewer, the exact test cannot reach the level, whatever the scores are.

    >>> fewest_patients(1), fewest_patients(7)
    (5, 8)
    """
    patients = 1
    while 0.5**patients >= ALPHA / organs:
        patients += 1
    return patients


def not_tested(organ: str, *, has_parent: bool = True) -> OrganGate:
    """Return what becomes of an organ that cannot be compared: it stays undecided."""
    reason = Reason.NOT_TESTED if has_parent else Reason.NO_PARENT
    return OrganGate(organ, Decision.UNDECIDED, reason)


def _decided(numbers: OrganGate) -> OrganGate:
    """Return the same with the decision that follows from the numbers."""
    decision, reason = _decision(numbers)
    may_still_pass = decision is Decision.UNDECIDED and reason is Reason.TOO_FEW
    needed = numbers.needed if may_still_pass else None
    return replace(numbers, decision=decision, reason=reason, needed=needed)


def _decision(numbers: OrganGate) -> tuple[Decision, Reason]:
    assert numbers.shifts
    means = [(one.parent, one.candidate) for one in numbers.shifts.values()]
    if not np.any(means):
        return Decision.UNDECIDED, Reason.FOUND_BY_NEITHER
    if numbers.missed_candidate > numbers.missed_parent:
        return Decision.KEEP, Reason.MISSED_MORE
    if numbers.p_holm < ALPHA:
        return Decision.PROMOTE, Reason.NOT_INFERIOR
    if numbers.p_worse_holm < ALPHA:
        return Decision.KEEP, Reason.WORSE
    if numbers.power >= ENOUGH_POWER:
        return Decision.KEEP, Reason.NOT_SHOWN
    return Decision.UNDECIDED, Reason.TOO_FEW


def _shifts(pairs: Pairs, margins: Margins) -> dict[ScoreMeasure, Shift]:
    return {measure: _shift(pairs, measure, margins.of(measure)) for measure in SCORES}


def _shift(pairs: Pairs, measure: ScoreMeasure, margin: float) -> Shift:
    parent = np.array([getattr(row, measure) for row in pairs.of_a], dtype=np.float64)
    candidate = np.array([getattr(row, measure) for row in pairs.of_b], dtype=np.float64)
    differences = candidate - parent
    mean = float(differences.mean())
    sd = float(differences.std(ddof=1)) if len(differences) > 1 else np.nan
    half = half_width(sd, len(differences))
    return Shift(
        margin=margin,
        parent=float(parent.mean()),
        candidate=float(candidate.mean()),
        mean=mean,
        sd=sd,
        low=mean - half,
        high=mean + half,
        p=sign_flip_p(differences + margin),
        p_worse=sign_flip_p(-differences),
    )


def _p_worse(shifts: Mapping[ScoreMeasure, Shift]) -> float:
    """Return the p that the candidate is worse in neither measure."""
    return min(1.0, len(shifts) * min(one.p_worse for one in shifts.values()))


def _power(
    shifts: Mapping[ScoreMeasure, Shift],
    patients: int,
    level: float,
    *,
    equal: bool = False,
    moved: float = 0.0,
) -> float:
    """Return the least chance that both measures pass, by the t test's power at their spread.

    level: of each organ's test, after Bonferroni. equal: if the candidate is as good as its parent;
    otherwise, if the means that were seen are true, moved by so many standard deviations of
    the differences. NaN: one patient shows no spread.
    """
    if 0.5**patients >= level:
        return 0.0  # the exact test cannot reach the level
    missing = 0.0
    for one in shifts.values():
        mean = 0.0 if equal else one.mean + moved * one.sd
        missing += 1 - _t_power(mean + one.margin, one.sd, patients, level)
    return max(0.0, 1 - missing)


def _t_power(
    ahead: float,
    sd: float,
    patients: int,
    level: float,
) -> float:
    """Return the power of a one-sided t test. ahead: how far the mean lies above the bound."""
    if np.isnan(sd):
        return np.nan
    if sd < STEP / 10:
        return float(ahead > 0)
    freedom = patients - 1
    critical = stats.t.ppf(1 - level, freedom)
    return float(stats.nct.sf(critical, freedom, ahead / sd * np.sqrt(patients)))


def _needed(shifts: Mapping[ScoreMeasure, Shift], patients: int, level: float) -> Needed | None:
    """Return how many patients more would give power enough; None for one patient."""
    if patients < 2:
        return None
    error = half_width(1.0, patients, LIKELY)
    return Needed(
        likely=_more(shifts, patients, level, 0.0),
        fewest=_more(shifts, patients, level, error),
        most=_more(shifts, patients, level, -error),
    )


def _more(
    shifts: Mapping[ScoreMeasure, Shift],
    patients: int,
    level: float,
    moved: float,
) -> int | None:
    """Return the fewest patients more that give power enough, by bisection; None: beyond limits.

    moved: where the true means lie, in the differences' standard deviations from those seen.
    """

    def suffice(total: int) -> bool:
        return _power(shifts, total, level, moved=moved) >= ENOUGH_POWER

    if patients >= MOST_PATIENTS or not suffice(MOST_PATIENTS):
        return None
    low, high = patients, MOST_PATIENTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return high - patients


def counted(gates: Sequence[OrganGate]) -> dict[Decision, list[str]]:
    """Return the organs by decision; every decision is there.

    >>> counted([not_tested("Lens_L")])[Decision.UNDECIDED]
    ['Lens_L']
    """
    found: dict[Decision, list[str]] = {decision: [] for decision in Decision}
    for one in gates:
        found[one.decision].append(one.organ)
    return found
