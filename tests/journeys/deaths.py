"""Jobs that kill their process; it loads them without the libraries of a test."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cohort import Cohort, importing

if TYPE_CHECKING:
    from recontour.workflows import SeriesContoured
    from recontour.workflows.contouring_many import _Order, _Task


def die_at_one(_order: "_Order", task: "_Task") -> "SeriesContoured":
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
    mark = scratch.parent.parent / f"{patient.case_id} has died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return made
