"""How many of the target's cases suffice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.study.cells import Cell, Plan
from recontour.study.tables.finished import CellCount, Results, count_cells, finished, organs_of
from recontour.study.tables.scores import TARGET, Interval, Level, gain_of, level_of


@dataclass(frozen=True, slots=True)
class CasesRow:
    """Model_T and Model_ST with so many of the target's cases."""

    cases: int  # patients, with all of their CTs
    draws: int  # finished, of either model
    t: Level
    st: Level
    st_less_t: Interval
    t_draws: Mapping[str, float]  # mean DSC by draw and seed, "0_seed0"; NaN: not finished
    st_draws: Mapping[str, float]
    st_less_t_draws: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CasesTable:
    """The study of the number of cases."""

    count: CellCount
    organs: Sequence[str]  # that every finished model learnt: what means are over
    s: Level  # Model_S, with no target case, of the seeds that are there
    rows: Sequence[CasesRow]  # the fewest cases first

    @property
    def caught_up(self) -> CasesRow | None:
        """The fewest cases from which on the interval of ST - T is never above 0;

        None if there are none.
        """
        found = None
        for row in reversed([row for row in self.rows if np.isfinite(row.st_less_t.low)]):
            if row.st_less_t.low > 0:
                break
            found = row
        return found


def cases_of(plan: Plan, results: Results) -> CasesTable | None:
    """T and ST by the number of target cases."""
    every = [cell for pairs in plan.cases.values() for pair in pairs for cell in pair]
    there = finished(results, every)
    scored = [{row.organ for row in results[cell.id].scores.get(TARGET, ())} for cell in there]
    organs = [organ for organ in organs_of(plan) if all(organ in of_cell for of_cell in scored)]
    seeds = {cell.seed for cell in there}
    s = level_of(
        results, [triple.s for triple in plan.models if triple.s.seed in seeds], TARGET, organs
    )
    rows = [
        row
        for number, pairs in plan.cases.items()
        if (row := _row(results, number, pairs, organs)).draws
    ]
    return CasesTable(count_cells(results, every), organs, s, rows) if rows else None


def _row(
    results: Results, number: int, pairs: Sequence[tuple[Cell, Cell]], organs: Collection[str]
) -> CasesRow:
    """Over some organs: few cases may lack one, and a mean without it is another's."""
    t, st = (finished(results, [pair[side] for pair in pairs]) for side in (0, 1))
    both = [(a, b) for a, b in pairs if a in t and b in st]
    return CasesRow(
        cases=number,
        draws=len({cell.draw for cell in (*t, *st)}),
        t=level_of(results, t, TARGET, organs),
        st=level_of(results, st, TARGET, organs),
        st_less_t=gain_of(results, [a for a, _ in both], [b for _, b in both], organs),
        t_draws={_draw(a): level_of(results, [a], TARGET, organs).dsc.mean for a, _ in pairs},
        st_draws={_draw(b): level_of(results, [b], TARGET, organs).dsc.mean for _, b in pairs},
        st_less_t_draws={_draw(a): gain_of(results, [a], [b], organs).mean for a, b in pairs},
    )


def _draw(cell: Cell) -> str:
    return f"{cell.draw}_seed{cell.seed}"
