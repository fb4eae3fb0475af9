"""Which of a study's cells are finished."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from recontour.study.cells import Cell, Plan, Triple
from recontour.study.results import Result, Training

Results = Mapping[str, Result]  # by the cell's id

MODELS = ("Model_S", "Model_T", "Model_ST")


@dataclass(frozen=True, slots=True)
class CellCount:
    """How much of an experiment is there."""

    finished: int
    asked: int


def count_cells(results: Results, cells: Iterable[Cell]) -> CellCount:
    """Count cells, each once."""
    ids = {cell.id for cell in cells}
    return CellCount(len(ids & results.keys()), len(ids))


def finished(results: Results, cells: Iterable[Cell]) -> list[Cell]:
    """Those with a result."""
    return [cell for cell in cells if cell.id in results]


def of_common_seeds(results: Results, cells: Iterable[Cell], among: Iterable[Cell]) -> list[Cell]:
    """The finished cells of those seeds with which all `among` are finished; if there are none, of
    that with most.

    So that models are compared that differ by more than a seed's luck.
    """
    among = list(among)
    asked, there = (
        Counter(cell.seed for cell in among),
        Counter(cell.seed for cell in finished(results, among)),
    )
    seeds = [seed for seed in asked if there[seed] == asked[seed]] or [
        seed for seed, _ in there.most_common(1)
    ]
    return [cell for cell in finished(results, cells) if cell.seed in seeds]


def by_model(triples: Sequence[Triple]) -> dict[str, list[Cell]]:
    """The cells of each model, a seed each."""
    return {
        "Model_S": [triple.s for triple in triples],
        "Model_T": [triple.t for triple in triples],
        "Model_ST": [triple.st for triple in triples],
    }


def finished_by_model(
    results: Results, triples: Sequence[Triple], among: Collection[Cell]
) -> dict[str, list[Cell]]:
    """The same, `of_common_seeds` among some; a model that has none is left out."""
    there = {
        model: of_common_seeds(results, cells, among) for model, cells in by_model(triples).items()
    }
    return {model: cells for model, cells in there.items() if cells}


def trained(results: Results, cells: Iterable[Cell]) -> list[Training]:
    """How the training of finished cells went."""
    return [results[cell.id].training for cell in cells]


def organs_of(plan: Plan) -> tuple[str, ...]:
    """The organs of the joint models, in the study's order."""
    return plan.models[0].s.organs if plan.models else ()
