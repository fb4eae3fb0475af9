"""Jobs that kill their process; it loads them without the libraries of a test."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cohort import Cohort, importing

if TYPE_CHECKING:
    from recontour.workflows import SeriesContoured, contouring_many, evaluating_cases


def die_at_one(
    _order: "contouring_many._Order", task: "contouring_many._Task"
) -> "SeriesContoured":
    """Contour a series, as it were, but die if it is number 3's turn."""
    from recontour.workflows import SeriesContoured

    if task.place.parent.name == "3":
        os.kill(os.getpid(), signal.SIGKILL)
    return SeriesContoured(task.place, task.out)


def import_apart_and_die_at_first(
    task: importing._Task, scratch: Path, patient: importing._Patient
) -> tuple[importing._CaseImport, Cohort]:
    """Import a patient but, at the first attempt, die before anybody knows."""
    made = importing._import_apart(task, scratch, patient)
    _die_at_first(scratch.parent.parent / f"{patient.case_id} has died")
    return made


def score_and_die_at_first(
    order: "evaluating_cases._Order", task: "evaluating_cases._Task"
) -> "evaluating_cases.ScoredCase":
    """Score a case but, if it is the first one, die before anybody knows."""
    from recontour.workflows import evaluating_cases

    scored = evaluating_cases._scored_elsewhere(order, task)
    _die_at_first(task.case.path.parents[2] / "one has died")
    return scored


def _die_at_first(mark: Path) -> None:
    """Die, unless an earlier attempt has left a mark."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
