"""How many layers to retrain."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.evaluation.patients import mean
from recontour.study.cells import Cell, Plan
from recontour.study.tables.finished import (
    CellCount,
    Results,
    count_cells,
    finished,
    of_common_seeds,
    trained,
)
from recontour.study.tables.scores import SOURCE, TARGET, Interval, Level, gain_of, level_of

PAPERS_DEPTH = 10


@dataclass(frozen=True, slots=True)
class DepthRow:
    """Model_ST with some layers retrained; or a control."""

    control: str  # "" on the curve
    layers: int
    all_layers: bool
    retrained_parameters: int
    iterations: int
    seconds: float  # of all steps after Model_S
    seconds_per_iteration: float
    target: Level
    source: Level
    over_papers: Interval  # the target's DSC less that of the paper's depth


@dataclass(frozen=True, slots=True)
class DepthTable:
    """The depth study."""

    count: CellCount
    rows: Sequence[DepthRow]

    @property
    def curve(self) -> list[DepthRow]:
        """Without the controls."""
        return [row for row in self.rows if not row.control]

    @property
    def controls(self) -> list[DepthRow]:
        """What gives the curve a meaning."""
        return [row for row in self.rows if row.control]

    @property
    def scored(self) -> list[DepthRow]:
        """The part of the curve that has a DSC on the target."""
        return [row for row in self.curve if row.target.patients]

    @property
    def best(self) -> DepthRow | None:
        """The depth with the highest mean DSC on the target;

        of equals, that with the fewest layers.
        """
        return max(self.scored, key=lambda row: row.target.dsc.mean, default=None)

    @property
    def papers(self) -> DepthRow | None:
        """The paper's depth."""
        return next((row for row in self.scored if row.layers == PAPERS_DEPTH), None)


def depth_of(plan: Plan, results: Results) -> DepthTable | None:
    """DSC on target and source by the number of retrained layers."""
    asked = [*(("", cells) for cells in plan.depth.values()), *plan.controls.items()]
    compared = [cell for _, cells in asked if finished(results, cells) for cell in cells]
    alike = [(control, of_common_seeds(results, cells, compared)) for control, cells in asked]
    papers = of_common_seeds(results, plan.depth.get(PAPERS_DEPTH, ()), compared)
    rows = [_row(results, control, cells, papers) for control, cells in alike if cells]
    return (
        DepthTable(count_cells(results, (cell for _, cells in asked for cell in cells)), rows)
        if rows
        else None
    )


def _row(results: Results, control: str, cells: Sequence[Cell], papers: Sequence[Cell]) -> DepthRow:
    training = results[cells[0].id].training
    earlier = [step for step in cells[0].lineage[:-1] if step.model == "ST"]
    steps = finished(
        results, (step for cell in cells for step in cell.lineage if step.model == "ST")
    )
    return DepthRow(
        control=control,
        layers=cells[0].retrain_last or 0,
        all_layers=training.retrained_parameters == training.parameters,
        retrained_parameters=training.retrained_parameters,
        iterations=training.iterations + sum(step.iterations for step in earlier),
        seconds=sum(one.seconds for one in trained(results, steps)) / len(cells),
        seconds_per_iteration=mean(one.seconds_per_iteration for one in trained(results, cells)),
        target=level_of(results, cells, TARGET),
        source=level_of(results, cells, SOURCE),
        over_papers=gain_of(results, papers, cells),
    )
