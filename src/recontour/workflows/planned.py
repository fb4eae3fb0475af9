"""Say what a long command uses, and how long it will take once its first part was timed."""

import logging
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from recontour.cohort import Case, by_patient
from recontour.findings import log_finding
from recontour.network import Model
from recontour.progress import Progress
from recontour.training.loop import Step
from recontour.training.recipe import Recipe
from recontour.training.together import is_first_process
from recontour.workflows.findings import Planned

# How long iterations are timed, after the first one, before it is said how long all will take.
TIMED_SECONDS = 3.0

log = logging.getLogger(__name__)


def counted(cases: Sequence[Case], organs: Sequence[str]) -> dict[str, Any]:
    """Return what a `Planned` finding says of the cases: patients, cases, organs and counts."""
    having: Counter[str] = Counter()
    for case in cases:
        having.update(set(case.organs).intersection(organs))
    return {
        "patients": len(by_patient(cases)),
        "cases": len(cases),
        "organs": tuple(organs),
        "counts": tuple(having[organ] for organ in organs),
    }


@dataclass
class TrainingTeller:
    """Logs the plan of a training, once, with the time that is left.

    slices: of the CTs that are learnt from. runs_after: how many trainings as long as this one
    follow, and are part of the plan.
    """

    plan: Planned
    recipe: Recipe
    slices: int
    runs_after: int = 0
    _begun: bool = False
    _told: bool = False
    _timed: list[Step] = field(default_factory=list)

    def hear(self, step: Step) -> None:
        """Take an iteration into account; log the plan when enough of them were timed."""
        if self._told:
            return
        if self._begun:
            # The first iteration takes longer: it allocates memory.
            self._timed.append(step)
        self._begun = True
        spent = sum(timed.seconds for timed in self._timed)
        left = self.recipe.iterations - step.iteration
        if left == 0 or spent >= TIMED_SECONDS:
            self._told = True
            plan = self.plan
            if self._timed and (left or self.runs_after):
                plan = replace(plan, seconds=self._seconds_with_runs_after(left))
            log_finding(log, logging.INFO, plan)

    def _seconds_with_runs_after(self, left: int) -> float:
        after = self.runs_after * self._seconds(self.recipe.iterations)
        return self._seconds(left) + after

    def _seconds(self, left: int) -> float:
        """Return how long the iterations that are left will take.

        A frozen trunk's features are computed for each view of a slice once, then kept.
        """
        count = len(self._timed)
        whole = sum(step.seconds for step in self._timed) / count
        features = sum(step.features for step in self._timed) / count
        with_features = left
        if self.recipe.views:
            views = self.slices * self.recipe.views
            with_features = min(left, views // self.recipe.batch)
        return (whole - features) * left + features * with_features


def follow(
    steps: Generator[Step, None, Model],
    teller: TrainingTeller,
    what: str,
    iterations: int,
    progress: Progress,
) -> Model:
    """Run a training to its end, and say how far it is. what: the training, in a few words.

    Returns: the trained model.
    """
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                trained: Model = end.value
                return trained
            if is_first_process():
                teller.hear(step)
                words = f"loss {step.loss:.3f}, learning rate {step.learning_rate:.2e}"
                progress(what, step.iteration, iterations, words)
