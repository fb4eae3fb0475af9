"""How many of the target's patients suffice: cases.csv."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.evaluation.gains import Gains, gains_of
from recontour.evaluation.intervals import Dsc, Interval, dsc_of, of_organs
from recontour.study.cells import Cell, Cells, Pair, Pairs, Plan
from recontour.study.tables.finished import (
    CellCount,
    Results,
    column,
    count_cells,
    finished,
    flat,
    organs_of,
)
from recontour.study.tables.scores import TARGET, Level, gain_of, level_of, rows_of


@dataclass(frozen=True, slots=True)
class CasesRow:
    """Model_T and Model_ST trained on so many of the target's patients, with all of their CTs.

    draws: finished ones, of either model. t_draws, st_draws, st_less_t_draws: mean DSC by draw and
    seed, such as "0_seed0"; NaN where a draw is not finished.
    """

    cases: int
    draws: int
    t: Level
    st: Level
    st_less_t: Interval
    t_draws: Mapping[str, float]
    st_draws: Mapping[str, float]
    st_less_t_draws: Mapping[str, float]

    @property
    def is_found(self) -> bool:
        """Return whether any of the models found any organ."""
        return self.t.is_found or self.st.is_found


@dataclass(frozen=True, slots=True)
class CasesTable:
    """The fewest patients first.

    organs: those that every finished model learnt, which the means are over. s: Model_S, trained on
    no patient of the target, with the seeds that are there. gains: what more patients brought to
    Model_ST; None if fewer than two numbers are finished.
    """

    count: CellCount
    organs: Sequence[str]
    s: Level
    rows: Sequence[CasesRow]
    gains: Gains | None = None

    @property
    def caught_up(self) -> CasesRow | None:
        """Return the fewest patients from which the interval of ST - T is never above 0.

        Return None if it still is with the most patients. Rows where no model found any organ
        show nothing.
        """
        earliest = None
        for row in reversed(self.rows):
            if row.st_less_t.low > 0:
                break
            if np.isfinite(row.st_less_t.low) and row.is_found:
                earliest = row
        return earliest


def cases_table(plan: Plan, results: Results) -> CasesTable | None:
    """Compare Model_T and Model_ST by the number of target patients; None: no cell is finished."""
    every = flat(map(flat, plan.cases.values()))
    there = finished(results, every)
    organs = _learnt_by_all(plan, results, there)
    rows = []
    for number, pairs in plan.cases.items():
        if finished(results, flat(pairs)):
            rows.append(_row(results, number, pairs, organs))
    if not rows:
        return None
    seeds = set(column(there, "seed"))
    s = [triple.s for triple in plan.models if triple.s.seed in seeds]
    return CasesTable(
        count=count_cells(results, every),
        organs=organs,
        s=level_of(results, s, TARGET, organs),
        rows=rows,
        gains=_gains(plan, results, organs),
    )


def _gains(plan: Plan, results: Results, organs: Collection[str]) -> Gains | None:
    """Return what more patients brought to Model_ST; within a draw, each number holds the last."""
    dsc_by_number: dict[int, Dsc] = {}
    for number, pairs in plan.cases.items():
        _, every_st = _sides(pairs)
        st = finished(results, every_st)
        if st:
            dsc_by_number[number] = of_organs(dsc_of(rows_of(results, st, TARGET)), organs)
    return gains_of(dsc_by_number)


def _learnt_by_all(
    plan: Plan,
    results: Results,
    cells: Cells,
) -> list[str]:
    """Return the organs that all cells have a score of, in the study's order.

    Few patients may lack an organ; a mean without it could not be compared.
    """
    organs = list(organs_of(plan))
    for cell in cells:
        scores = results[cell.id].scores.get(TARGET, ())
        scored = set(column(scores, "organ"))
        organs = list(filter(scored.__contains__, organs))
    return organs


def _row(
    results: Results,
    number: int,
    pairs: Pairs,
    organs: Collection[str],
) -> CasesRow:
    t, st = _sides(pairs)
    t, st = finished(results, t), finished(results, st)
    whole = [pair for pair in pairs if len(finished(results, pair)) == len(pair)]
    whole_t, whole_st = _sides(whole)
    draws = set(column((*t, *st), "draw"))
    t_draws, st_draws, st_less_t_draws = {}, {}, {}
    for draw, alike in _by_draw(pairs).items():
        of_t, of_st = _sides(alike)
        t_draws[draw] = level_of(results, of_t, TARGET, organs).dsc.mean
        st_draws[draw] = level_of(results, of_st, TARGET, organs).dsc.mean
        st_less_t_draws[draw] = gain_of(results, of_t, of_st, organs).mean
    return CasesRow(
        cases=number,
        draws=len(draws),
        t=level_of(results, t, TARGET, organs),
        st=level_of(results, st, TARGET, organs),
        st_less_t=gain_of(results, whole_t, whole_st, organs),
        t_draws=t_draws,
        st_draws=st_draws,
        st_less_t_draws=st_less_t_draws,
    )


def _by_draw(pairs: Pairs) -> dict[str, list[Pair]]:
    """Group pairs by draw and seed: one pair, or one of each fold."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        t, _ = pair
        groups.setdefault(f"{t.draw}_seed{t.seed}", []).append(pair)
    return groups


def _sides(pairs: Pairs) -> tuple[list[Cell], list[Cell]]:
    """Return the Model_T and the Model_ST of several pairs."""
    every_t, every_st = [], []
    for t, st in pairs:
        every_t.append(t)
        every_st.append(st)
    return every_t, every_st
