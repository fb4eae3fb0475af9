"""How many layers to retrain: depth.csv."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.evaluation.intervals import Interval
from recontour.evaluation.patients import mean
from recontour.study.cells import PAPERS_DEPTH, Cell, Cells, Plan
from recontour.study.tables.finished import (
    CellCount,
    Results,
    column,
    count_cells,
    finished,
    flat,
    of_common_seeds,
    of_started,
    trained,
)
from recontour.study.tables.scores import SOURCE, TARGET, Level, gain_of, level_of


@dataclass(frozen=True, slots=True)
class DepthRow:
    """Model_ST with some layers retrained, or a control.

    control: its name; empty on the curve. seconds: of all steps after Model_S. over_papers: the DSC
    on the target minus that of the paper's depth.
    """

    control: str
    layers: int
    all_layers: bool
    retrained_parameters: int
    iterations: int
    seconds: float
    seconds_per_iteration: float
    target: Level
    source: Level
    over_papers: Interval


@dataclass(frozen=True, slots=True)
class DepthTable:
    """The curve, and the controls that give it a meaning."""

    count: CellCount
    curve: Sequence[DepthRow]
    controls: Sequence[DepthRow]

    @property
    def rows(self) -> list[DepthRow]:
        """Return the curve, then the controls."""
        return [*self.curve, *self.controls]

    @property
    def scored(self) -> list[DepthRow]:
        """Return the part of the curve that has a DSC on the target."""
        return [row for row in self.curve if row.target.patients]

    @property
    def best(self) -> DepthRow | None:
        """Return the depth with the highest mean DSC on the target; of equals, the shallowest.

        A depth that found no organ is not best.
        """
        found = [row for row in self.scored if row.target.is_found]
        return max(found, key=_dsc_on_target, default=None)

    @property
    def papers(self) -> DepthRow | None:
        """Return the depth with as many layers as the paper retrains."""
        for row in self.scored:
            if row.layers == PAPERS_DEPTH:
                return row
        return None


def _dsc_on_target(row: DepthRow) -> float:
    return row.target.dsc.mean


def depth_table(plan: Plan, results: Results) -> DepthTable | None:
    """Compare depths and controls on target and source; None: no cell is finished."""
    asked = [*plan.depth.values(), *plan.controls.values()]
    compared = of_started(results, asked)
    papers = of_common_seeds(results, plan.depth.get(PAPERS_DEPTH, ()), compared)
    curve = []
    for cells in plan.depth.values():
        curve += _rows(results, "", cells, compared, papers)
    controls = []
    for control, cells in plan.controls.items():
        controls += _rows(results, control, cells, compared, papers)
    if not curve and not controls:
        return None
    return DepthTable(count_cells(results, flat(asked)), curve, controls)


def _rows(
    results: Results,
    control: str,
    cells: Cells,
    compared: Cells,
    papers: Cells,
) -> list[DepthRow]:
    """Return the row of some cells, one per seed; none if they cannot be compared."""
    alike = of_common_seeds(results, cells, compared)
    return [_row(results, control, alike, papers)] if alike else []


def _row(
    results: Results,
    control: str,
    cells: Cells,
    papers: Cells,
) -> DepthRow:
    training = results[cells[0].id].training
    earlier = _adaptations(cells[0])[:-1]
    steps = finished(results, flat(map(_adaptations, cells)))
    seconds = sum(column(trained(results, steps), "seconds"))
    per_iteration = column(trained(results, cells), "seconds_per_iteration")
    return DepthRow(
        control=control,
        layers=cells[0].retrain_last or 0,
        all_layers=training.retrained_parameters == training.parameters,
        retrained_parameters=training.retrained_parameters,
        iterations=training.iterations + sum(column(earlier, "iterations")),
        seconds=seconds / len(cells),
        seconds_per_iteration=mean(per_iteration),
        target=level_of(results, cells, TARGET),
        source=level_of(results, cells, SOURCE),
        over_papers=gain_of(results, papers, cells),
    )


def _adaptations(cell: Cell) -> list[Cell]:
    """Return the steps after Model_S: one, or two for head first."""
    return [step for step in cell.lineage if step.model == "ST"]
