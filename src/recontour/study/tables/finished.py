"""Which of a study's cells are finished."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recontour.study.cells import Cell, Grid, Triple
from recontour.study.results import Result, Training

Results = Mapping[str, Result]  # by the cell's id

MODELS = ("Model_S", "Model_T", "Model_ST")


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of an experiment is there."""

    finished: int
    asked: int


def progress(results: Results, cells: Iterable[Cell]) -> Progress:
    """Count cells, each once."""
    ids = {cell.id for cell in cells}
    return Progress(len(ids & results.keys()), len(ids))


def finished(results: Results, cells: Iterable[Cell]) -> list[Cell]:
    """Those with a result."""
    return [cell for cell in cells if cell.id in results]


def by_model(triples: Sequence[Triple]) -> dict[str, list[Cell]]:
    """The cells of each model, a seed each."""
    return {
        "Model_S": [triple.s for triple in triples],
        "Model_T": [triple.t for triple in triples],
        "Model_ST": [triple.st for triple in triples],
    }


def finished_by_model(results: Results, triples: Sequence[Triple]) -> dict[str, list[Cell]]:
    """The same, those with a result; a model that has none is left out."""
    there = {model: finished(results, cells) for model, cells in by_model(triples).items()}
    return {model: cells for model, cells in there.items() if cells}


def trained(results: Results, cells: Iterable[Cell]) -> list[Training]:
    """How the training of finished cells went."""
    return [results[cell.id].training for cell in cells]


def organs_of(grid: Grid) -> tuple[str, ...]:
    """The organs of the joint models, in the study's order."""
    return grid.models[0].s.organs if grid.models else ()
