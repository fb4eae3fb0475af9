"""The contours on the CT that a study's report shows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from recontour.evaluation.figures import Overlay, Picture, draw
from recontour.evaluation.report import picture_cases
from recontour.evaluation.summary import number
from recontour.study.cells import Cell
from recontour.study.tables import Found, Main, finished_by_model

PICTURED = ("Model_T", "Model_ST")  # as in the paper's figure 2

OverlayOf = Callable[[str, str, Mapping[str, Cell]], Overlay]  # of case, organ, and cell by model


@dataclass(frozen=True, slots=True)
class Shown:
    """One overlay and its caption."""

    organ: str
    case: str
    picture: Picture
    dsc: Mapping[str, str]  # by model


def pictured(main: Main, found: Found, overlay_of: OverlayOf) -> Iterator[Shown]:
    """Each organ's median case by the last model's DSC, one overlay in memory at a time."""
    finished = finished_by_model(found.results, found.grid.models)
    there = {model: finished[model][0] for model in PICTURED if model in finished}  # of the first seed
    scores = {(row.organ, row.case, row.model): row for row in main.scores if row.model in there}
    for organ, ranks in picture_cases(scores.values(), list(there)).items():
        case = ranks.get("median") or ranks.get("worst") or ranks["only"]
        of_case = {model: scores[organ, case, model] for model in there if (organ, case, model) in scores}
        dsc = {model: "missed" if row.is_missed else number(row.dsc, 2) for model, row in of_case.items()}
        yield Shown(organ, case, draw(overlay_of(case, organ, there)), dsc)
