"""The contours on the CT that a study's report shows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from recontour.evaluation.figures import Overlay, Picture, draw
from recontour.evaluation.numbers import number
from recontour.evaluation.report import picture_cases
from recontour.study.cells import Cell, Triple
from recontour.study.tables import TARGET, ModelsTable, StudyTables

PICTURED = ("Model_T", "Model_ST")  # as in the paper's figure 2

OverlayOf = Callable[[str, str, Mapping[str, Cell]], Overlay]  # of case, organ, and cell by model


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """One overlay and its caption."""

    organ: str
    case: str
    picture: Picture
    dsc: Mapping[str, str]  # by model, of the contours that are shown
    seed: int


def pictured(
    main: ModelsTable, tables: StudyTables, overlay_of: OverlayOf
) -> Iterator[CaptionedPicture]:
    """Each organ's median case by the last model's DSC, of one seed;

    one overlay in memory at a time.
    """
    seeds = [_finished(tables, triple) for triple in tables.plan.models]
    there = max(seeds, key=len, default={})  # the first seed with both models, or else with one
    scores = {
        (row.organ, row.case, model): replace(row, model=model)
        for model, cell in there.items()
        for row in tables.results[cell.id].scores.get(TARGET, ())
    }
    cases = picture_cases(scores.values(), list(there))
    for organ, ranks in ((organ, cases[organ]) for organ in main.organs if organ in cases):
        case = ranks.get("median") or ranks.get("worst") or ranks["only"]
        of_case = {
            model: scores[organ, case, model] for model in there if (organ, case, model) in scores
        }
        dsc = {
            model: "missed" if row.is_missed else number(row.dsc, 2)
            for model, row in of_case.items()
        }
        seed = next(iter(there.values())).seed
        yield CaptionedPicture(organ, case, draw(overlay_of(case, organ, there)), dsc, seed)


def _finished(tables: StudyTables, triple: Triple) -> dict[str, Cell]:
    """The pictured models of a seed that have a result."""
    cells = dict(zip(PICTURED, (triple.t, triple.st), strict=True))
    return {model: cell for model, cell in cells.items() if cell.id in tables.results}
