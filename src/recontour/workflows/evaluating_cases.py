"""Score models, and contours from elsewhere, on case after case: here or in other processes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch

from recontour.assess.looks import Look, Looker
from recontour.assess.other_sides import Exchanged, OtherSides
from recontour.assess.pictures import Planes
from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case
from recontour.contouring.contourer import Contourer
from recontour.errors import FaultError
from recontour.evaluation import CaseScore
from recontour.exchange.given import GivenContours
from recontour.executors import DeadWorker, Place, answers
from recontour.geometry.arrays import Mask
from recontour.network import Model
from recontour.network.ranges import Ranges
from recontour.progress import Progress
from recontour.workflows.model_elsewhere import ModelElsewhere


class LoadedModel(NamedTuple):
    """A model, and the path from which it was loaded."""

    path: Path
    model: Model


@dataclass(frozen=True, slots=True)
class Compared:
    """What is scored on each case.

    models, given: by name; the models come first. tolerances_mm: by organ, in place of its own.
    closely: whether each contour is looked at, too, and not only scored.
    """

    models: Mapping[str, LoadedModel]
    given: Mapping[str, GivenContours]
    tolerances_mm: Mapping[str, float]
    closely: bool = False

    @property
    def names(self) -> list[str]:
        """Return the names of models and contours, in their order."""
        return [*self.models, *self.given]


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """What came of a case: all that a report needs of it.

    rows: in the order of the models. planes: those worth a picture. exchanged: on which sides a
    model's left is the case's right. seconds: how long it took. looks: a closer look at each
    contour, if that was asked for.
    """

    case_id: str
    rows: tuple[CaseScore, ...]
    planes: Planes
    exchanged: tuple[Exchanged, ...]
    seconds: float
    looks: tuple[Look, ...] = ()


def score_cases(
    cases: Sequence[Case],
    compared: Compared,
    place: Place | None,
    tell_plan: Callable[[float], None],
    progress: Progress,
) -> list[ScoredCase]:
    """Return what came of each case, in the order of the cases.

    place: None: in this process, one after another. tell_plan: called once, with the seconds that
    the first case took.
    Raises: RecontourError: a case or a model cannot be used. FaultError: a case killed its
        processes, or the machine failed.
    """
    models = len(compared.names)
    total = len(cases) * models
    begun = count()

    def begin(what: str) -> None:
        progress("contouring", next(begun), total, what)

    tasks = [_Task.of(case, compared.given) for case in cases]
    if place is None:
        contourers = {name: Contourer(one.model) for name, one in compared.models.items()}
        function = partial(
            _scored,
            contourers,
            compared.tolerances_mm,
            begin,
            closely=compared.closely,
        )
    else:
        function = partial(_scored_elsewhere, _Order.of(compared))
    found: list[ScoredCase] = []
    with closing(answers(function, tasks, place, torch.cuda.device_count())) as answered:
        for case, answer in zip(cases, answered, strict=True):
            if place:
                progress("contouring", len(found) * models, total, case.id)
            found.append(_heard(answer, case))
            if len(found) == 1:
                tell_plan(found[0].seconds)
    return found


def _heard(answer: Callable[[], ScoredCase], case: Case) -> ScoredCase:
    """Wait for what came of a case. Raises: FaultError: with the case that killed its processes."""
    try:
        return answer()
    except FaultError as error:
        if isinstance(error.finding, DeadWorker):
            raise FaultError(replace(error.finding, case=case.id)) from error
        raise


@dataclass(frozen=True, slots=True)
class _Task:
    """One case to score. given: contours of it from elsewhere, by name."""

    case: Case
    given: Mapping[str, GivenContours]

    @classmethod
    def of(cls, case: Case, given: Mapping[str, GivenContours]) -> "_Task":
        return cls(case, {name: one.only(case) for name, one in given.items()})


def _scored(
    contourers: Mapping[str, Contourer],
    tolerances_mm: Mapping[str, float],
    begin: Callable[[str], None],
    task: _Task,
    *,
    closely: bool,
) -> ScoredCase:
    """Score what each model, or contours from elsewhere, drew on a case.

    begin: called before each of them, with words. closely: look at each contour, too.
    """
    case = task.case
    planes = Planes()
    sides = OtherSides()
    looker = Looker(case)
    looks: list[Look] = []
    rows: list[CaseScore] = []
    began = time.monotonic()
    # The last one decides which planes are worth a picture, and comes first.
    for name, masks in reversed(list(_drawn(contourers, task))):
        begin(f"{case.id} with {name}")
        ranges = _ranges_of(contourers, name)
        of_one = []
        for row, mask in score_masks(case, name, masks, tolerances_mm):
            of_one.append(row)
            planes.keep(case, row.organ, name, mask)
            sides.look(case, row, mask)
            if closely:
                looks.append(looker.look(row.organ, name, mask, ranges))
        rows = of_one + rows
    seconds = time.monotonic() - began
    return ScoredCase(
        case_id=case.id,
        rows=tuple(rows),
        planes=planes,
        exchanged=tuple(sides.exchanged),
        seconds=seconds,
        looks=tuple(looks),
    )


def _ranges_of(contourers: Mapping[str, Contourer], name: str) -> Ranges | None:
    """Return what a model's own patients measured; None for contours from elsewhere."""
    contourer = contourers.get(name)
    return contourer.model.provenance.ranges if contourer else None


def _drawn(
    contourers: Mapping[str, Contourer], task: _Task
) -> Iterator[tuple[str, Iterator[tuple[str, Mask]]]]:
    """Yield each name with the organs and masks that it has of a case; models come first.

    A mask is made when it is asked for.
    """
    for name, contourer in contourers.items():
        yield name, contour_case(contourer, task.case)
    for name, one in task.given.items():
        yield name, one.masks(task.case)


# In another process


@dataclass(frozen=True, slots=True)
class _Order:
    """How to score each case, for a process that has no models yet. models: by name."""

    models: Mapping[str, ModelElsewhere]
    tolerances_mm: Mapping[str, float]
    closely: bool

    @classmethod
    def of(cls, compared: Compared) -> "_Order":
        models = {name: ModelElsewhere.of(*one) for name, one in compared.models.items()}
        return cls(models, compared.tolerances_mm, compared.closely)


def _scored_elsewhere(order: _Order, task: _Task) -> ScoredCase:
    contourers = {name: model.loaded() for name, model in order.models.items()}
    return _scored(contourers, order.tolerances_mm, _unheard, task, closely=order.closely)


def _unheard(_words: str) -> None:
    """Take words that nobody would see."""
