"""What further patients to learn from brought, and what as many again may bring.

Models that learnt from more and more patients, each set inside the next one, score the same
patients. What a step brought is the mean over the patients of each one's own difference, with a
90 % t interval (intervals.py).

No curve is drawn on from there: on real patients, none foretold the next score better than the last
score did (docs/decisions/061-how-many-more.md). The next step, by the same factor, is only said to
lie between two answers: it brings nothing, or as much as the last one. Its interval reaches from
the lower to the higher of the two, and beyond both by the half-width of the last step's interval
times the square root of 2, since both steps scatter.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from recontour.evaluation.findings import GainOfMore, LittleIsKnown
from recontour.evaluation.intervals import (
    Dsc,
    Interval,
    count_patients,
    difference,
    half_width,
    interval_of,
    mean_of,
    of_organs,
)

CONFIDENCE = 0.90
# A gain in mean DSC that is worth the contouring of further patients, unless the user says.
USEFUL = 0.01
# Of so many patients or fewer, reports say how little is known.
FEW = 10
MOST_PATIENTS = 1000  # no larger number is named as needed for an answer


class Advice(Enum):
    """Whether to contour further patients; the value is how reports and `--json` call it."""

    STOP = "stop"
    GO_ON = "go on"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Step:
    """What learning from more patients brought, by the patients who were scored.

    fewer, more: how many patients the models learnt from; 0: the model as it was given. patients:
    how many were scored by both. gain: in mean DSC, with its 90 % interval.
    """

    fewer: int
    more: int
    patients: int
    gain: Interval

    @property
    def half(self) -> float:
        """Return the half-width of the interval before it was cut to what is possible."""
        return max(self.gain.high - self.gain.mean, self.gain.mean - self.gain.low)


@dataclass(frozen=True, slots=True)
class Gains:
    """How the mean DSC grew with the number of patients to learn from.

    dsc: mean by number of patients, fewest first, over the patients and organs that all models have
    scored. steps: one less. organs: the last step by organ. useful: the smallest gain in mean DSC
    that is worth further patients.

    Examples:
        >>> gain = Interval(0.03, 0.01, 0.05)
        >>> step = Step(3, 6, 8, gain)
        >>> Gains({3: 0.7, 6: 0.73}, [step], {"Brainstem": step}, useful=0.01).advice
        <Advice.GO_ON: 'go on'>
    """

    dsc: Mapping[int, float]
    steps: Sequence[Step]
    organs: Mapping[str, Step]
    useful: float

    @property
    def last(self) -> Step:
        """Return the last step, from which the next one is judged."""
        return self.steps[-1]

    @property
    def next_patients(self) -> int:
        """Return how many patients the next step would learn from: as many times more again."""
        return next_number(self.last.fewer, self.last.more)

    @property
    def next_gain(self) -> Interval:
        """Return the 90 % interval of the next step; its mean is "it stays as it is", 0."""
        low, high = _next(self.last.gain.mean, self.last.half)
        return Interval(0.0, low, high)

    @property
    def advice(self) -> Advice:
        """Return whether to contour further patients."""
        return _advice(self.last.gain.mean, self.last.half, self.useful)

    @property
    def patients_to_tell(self) -> int | None:
        """Return how many scored patients would settle the advice if they scatter as these do.

        None: it is settled, or not even 1000 patients would do, or a single one was scored.
        """
        if self.advice != Advice.NOT_KNOWN or math.isnan(self.last.half):
            return None
        return _patients_to_tell(self.last, self.useful)

    def finding(self) -> GainOfMore:
        """Return the last step, the next one and the advice, to be put into words."""
        gain, following = self.last.gain, self.next_gain
        return GainOfMore(
            fewer=self.last.fewer,
            more=self.last.more,
            next_patients=self.next_patients,
            patients=self.last.patients,
            gain=gain.mean,
            low=gain.low,
            high=gain.high,
            next_low=following.low,
            next_high=following.high,
            useful=self.useful,
            advice=self.advice.value,
            patients_to_tell=self.patients_to_tell,
        )

    def little_is_known(self) -> LittleIsKnown | None:
        """Return what to warn of if few patients were scored."""
        if self.last.patients > FEW:
            return None
        return LittleIsKnown(patients=self.last.patients, unseen=self.last.half)


def gains_of(dsc_by_number: Mapping[int, Dsc], useful: float = USEFUL) -> Gains | None:
    """Compare models that learnt from more and more patients.

    dsc_by_number: the DSC of the same patients, by how many others the model learnt from.
    useful: the smallest gain in mean DSC that is worth further patients.
    Returns: None if there are no two numbers with a score of one patient's organ.

    >>> few = {("p", "Brainstem"): 0.5, ("q", "Brainstem"): 0.5}
    >>> many = {("p", "Brainstem"): 0.625, ("q", "Brainstem"): 0.625}
    >>> gains = gains_of({2: few, 4: many})
    >>> gains.last.gain.mean, gains.next_patients, gains.advice
    (0.125, 8, <Advice.GO_ON: 'go on'>)
    """
    common = _in_common(dsc_by_number)
    numbers = sorted(common)
    if len(numbers) < 2 or not common[numbers[0]]:
        return None
    steps = []
    for fewer, more in pairwise(numbers):
        steps.append(_step(fewer, more, common[fewer], common[more]))
    fewer, more = numbers[-2:]
    organs = {}
    for organ in dict.fromkeys(organ for _, organ in common[more]):
        of_fewer, of_more = of_organs(common[fewer], [organ]), of_organs(common[more], [organ])
        organs[organ] = _step(fewer, more, of_fewer, of_more)
    return Gains(
        dsc={number: mean_of(common[number]) for number in numbers},
        steps=tuple(steps),
        organs=organs,
        useful=useful,
    )


def next_number(fewer: int, more: int) -> int:
    """Return what follows two numbers of patients by the same factor.

    >>> next_number(3, 6), next_number(0, 6)
    (12, 12)
    """
    return round(more * more / fewer) if fewer else 2 * more


def _in_common(dsc_by_number: Mapping[int, Dsc]) -> dict[int, Dsc]:
    """Keep the patients and organs that the models of every number have scored."""
    everywhere = set.intersection(*map(set, dsc_by_number.values())) if dsc_by_number else set()
    common: dict[int, Dsc] = {}
    for number, dsc in dsc_by_number.items():
        common[number] = {key: value for key, value in dsc.items() if key in everywhere}
    return common


def _step(fewer: int, more: int, before: Dsc, after: Dsc) -> Step:
    change = difference(before, after)
    gain = interval_of(change, confidence=CONFIDENCE)
    return Step(fewer, more, count_patients(change), gain)


def _next(gain: float, half: float) -> tuple[float, float]:
    """Return the interval of the next step. gain, half: of the last one."""
    wider = math.sqrt(2) * half
    return min(0.0, gain) - wider, max(0.0, gain) + wider


def _advice(gain: float, half: float, useful: float) -> Advice:
    """Stop if the next step cannot be useful; go on if the last one certainly brought something."""
    _, highest = _next(gain, half)
    if highest < useful:
        return Advice.STOP
    if gain - half > 0:
        return Advice.GO_ON
    return Advice.NOT_KNOWN


def _patients_to_tell(step: Step, useful: float) -> int | None:
    """Return the fewest scored patients with which there would be an advice."""
    sd = step.half / half_width(1.0, step.patients, CONFIDENCE)
    for patients in range(step.patients + 1, MOST_PATIENTS + 1):
        half = half_width(sd, patients, CONFIDENCE)
        if _advice(step.gain.mean, half, useful) != Advice.NOT_KNOWN:
            return patients
    return None
