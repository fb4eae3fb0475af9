"""How the training of the main models went on."""

from dataclasses import dataclass

from recontour.study.cells import Plan
from recontour.study.tables.finished import Results, by_model, finished


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A point of a main model's training curve."""

    model: str
    seed: int
    curve: str  # loss, validation
    iteration: int
    seconds: float
    value: float


def curves_of(plan: Plan, results: Results) -> list[CurveRow]:
    """Loss, and mean DSC on the target's validation cases, as training went on."""
    return [
        CurveRow(model, cell.seed, name, point.iteration, point.seconds, point.value)
        for model, cells in by_model(plan.models).items()
        for cell in finished(results, cells)
        for name, points in (
            ("loss", results[cell.id].training.loss),
            ("validation", results[cell.id].training.validation),
        )
        for point in points
    ]
