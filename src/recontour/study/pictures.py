"""The contours on the CT that a study's report shows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from recontour.evaluation import CaseScore
from recontour.evaluation.figures import Overlay, Picture, draw
from recontour.evaluation.numbers import number
from recontour.evaluation.report import picture_cases
from recontour.study.cells import Cell
from recontour.study.tables import TARGET, ModelsTable, StudyTables

# Of case, organ, and cell by model.
OverlaysOf = Callable[[str, str, Mapping[str, Cell]], Iterable[Overlay]]


@dataclass(frozen=True, slots=True)
class CaptionedPictures:
    """One organ's overlays and their caption. dsc: by model, of the contours that are shown."""

    organ: str
    case: str
    pictures: list[Picture]
    dsc: Mapping[str, str]
    seed: int


def captioned_pictures(
    models: ModelsTable, tables: StudyTables, overlays_of: OverlaysOf
) -> Iterator[CaptionedPictures]:
    """Draw each organ's median case by the last model's DSC, all of one seed.

    The seed is the first one with both models or, failing that, with one. One overlay is in
    memory at a time.
    """
    seed, cells = _first_with_most(tables)
    scores: list[CaseScore] = []
    by_case: dict[str, dict[str, Cell]] = {}  # with folds, others have scored another case
    for model, several in cells.items():
        for cell in several:
            for row in tables.results[cell.id].scores.get(TARGET, ()):
                scores.append(replace(row, model=model))
                by_case.setdefault(row.case, {})[model] = cell
    cases = picture_cases(scores, list(cells))
    for organ in filter(cases.__contains__, models.organs):
        ranks = cases[organ]
        case = ranks.get("median") or ranks.get("worst") or ranks["only"]
        pictures = list(map(draw, overlays_of(case, organ, by_case[case])))
        yield CaptionedPictures(organ, case, pictures, _dsc(scores, organ, case), seed)


def _first_with_most(tables: StudyTables) -> tuple[int, dict[str, list[Cell]]]:
    """Return the first seed with most models of T and ST, as in the paper's figure 2.

    Its finished cells are given by model, with folds one for each.
    """
    by_seed: dict[int, dict[str, list[Cell]]] = {}
    for triple in tables.plan.models:
        cells = by_seed.setdefault(triple.s.seed, {})
        if triple.t.id in tables.results:
            cells.setdefault("Model_T", []).append(triple.t)
        if triple.st.id in tables.results:
            cells.setdefault("Model_ST", []).append(triple.st)
    return max(by_seed.items(), key=lambda found: len(found[1]))


def _dsc(
    scores: list[CaseScore],
    organ: str,
    case: str,
) -> dict[str, str]:
    """Print the DSC of each model in one case."""
    dsc = {}
    for row in scores:
        if (row.organ, row.case) == (organ, case):
            dsc[row.model] = "missed" if row.is_missed else number(row.dsc, 2)
    return dsc
