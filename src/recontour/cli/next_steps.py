"""The command that comes next, with the paths of the command that is done.

What only the user knows is a word in capitals: COHORT, CT_DIR.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cli.console import say_command
from recontour.wording import printable

if TYPE_CHECKING:
    from recontour.evaluation import CaseScore


def after_learning(model: Path, parent: Path | None = None, head: Path | None = None) -> None:
    """Show how to score a model that was just written, beside its parent if it has one.

    head: what was written in place of the model, if only its head was.
    """
    from recontour.network import name_of

    scored = [model] if parent is None else [parent, model]
    folder = (head or model).with_name(f"{name_of(head or model)}-evaluation")
    paths = list(map(str, scored))
    say_command(
        "next, with a COHORT of patients that it was not trained on:",
        ["recontour", "evaluate", "COHORT", *paths, "--out", str(folder)],
    )


def after_evaluating(scores: "Sequence[CaseScore]", models: Sequence[Path]) -> None:
    """Show how to contour with the model of the highest mean DSC, as printed; none if that is 0.

    A model that was trained on a patient of the test is not proposed.
    """
    best = _best(scores, models)
    if best is None:
        return
    of_several = ", by the model of the highest mean DSC" if len(models) > 1 else ""
    say_command(
        f"next, with a CT_DIR of a new patient{of_several}:",
        ["recontour", "contour", str(best), "CT_DIR", "--out", "contours.dcm"],
    )


def _best(scores: "Sequence[CaseScore]", models: Sequence[Path]) -> Path | None:
    from recontour.evaluation import common_organs, mean_over_organs
    from recontour.network import name_of

    organs = common_organs(scores)
    untested = {row.model for row in scores if row.trained_on}
    best, highest = None, 0.0
    for path in models:
        name = printable(name_of(path))
        dsc = round(mean_over_organs(scores, name, organs), 3)
        # NaN fails this, too.
        if dsc > highest and name not in untested:
            best, highest = path, dsc
    return best
