"""Which of a study's cells are finished, and which of them can be compared."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from recontour.study.cells import Cell, Cells, Plan, Triples
from recontour.study.results import Result, Training

Results = Mapping[str, Result]  # by the cell's id

Key = TypeVar("Key")
Given = TypeVar("Given")
Made = TypeVar("Made")

MODELS = ("Model_S", "Model_T", "Model_ST")


@dataclass(frozen=True, slots=True)
class CellCount:
    """How many cells of a section are finished, and how many there are."""

    finished: int
    asked: int


def count_cells(results: Results, cells: Cells) -> CellCount:
    """Count cells, each once."""
    ids = set(column(cells, "id"))
    return CellCount(len(ids & results.keys()), len(ids))


def column(records: Iterable[object], name: str) -> list[Any]:
    """Return one field of several records."""
    return [getattr(record, name) for record in records]


def flat(groups: Iterable[Iterable[Cell]]) -> list[Cell]:
    """Return the cells of several groups in one list."""
    return list(chain.from_iterable(groups))


def by_key(make: Callable[[Given], Made], given: Mapping[Key, Given]) -> dict[Key, Made]:
    """Make a value of each value, under the same key.

    >>> by_key(len, {"Model_S": "ab"})
    {'Model_S': 2}
    """
    return {key: make(value) for key, value in given.items()}


def finished(results: Results, cells: Cells) -> list[Cell]:
    """Return the cells that have a result."""
    return [cell for cell in cells if cell.id in results]


def of_started(results: Results, groups: Iterable[Cells]) -> list[Cell]:
    """Return the cells of those groups in which any cell is finished."""
    return flat(cells for cells in groups if finished(results, cells))


def of_common_seeds(
    results: Results,
    cells: Cells,
    among: Cells,
) -> list[Cell]:
    """Return the finished cells of those seeds with which all of `among` are finished.

    Then models that are compared do not differ by a seed's luck. If no seed is whole, the seed
    with most finished cells is taken.
    """
    asked = _by_seed(among)
    there = _by_seed(finished(results, among))
    incomplete = asked - there
    seeds = asked.keys() - incomplete.keys()
    if not seeds:
        seeds = set(dict(there.most_common(1)))
    return [cell for cell in finished(results, cells) if cell.seed in seeds]


def _by_seed(cells: Cells) -> Counter[int]:
    return Counter(column(cells, "seed"))


def by_model(triples: Triples) -> dict[str, list[Cell]]:
    """Return the cells of each model, one per seed."""
    cells: dict[str, list[Cell]] = {}
    for triple in triples:
        for model, cell in zip(MODELS, triple, strict=True):
            cells.setdefault(model, []).append(cell)
    return cells


def finished_by_model(
    results: Results,
    triples: Triples,
    among: Cells,
) -> dict[str, list[Cell]]:
    """Return each model's finished cells of common seeds; a model without any is left out."""
    there: dict[str, list[Cell]] = {}
    for model, cells in by_model(triples).items():
        compared = of_common_seeds(results, cells, among)
        if compared:
            there[model] = compared
    return there


def trained(results: Results, cells: Cells) -> list[Training]:
    """Return how the training of finished cells went."""
    return [results[cell.id].training for cell in cells]


def organs_of(plan: Plan) -> tuple[str, ...]:
    """Return the organs of the joint models, in the study's order."""
    return plan.models[0].s.organs if plan.models else ()
