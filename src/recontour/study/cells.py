"""The plan of a study: its cells, each one training run and its scoring.

A cell is plain data. Its id is made of everything that sets it apart within the study, so that a
finished cell is found again, is shared by the experiments that ask for it, and is never computed
twice. Cells depend on nothing but their
parents: any machine that sees the study's folder can take one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from recontour.study.settings import Study

ModelKind = Literal[
    "S", "T", "ST", "random"
]  # random: weights as they are drawn, never trained; a control


@dataclass(frozen=True, slots=True)
class Cell:
    """One model of the study: what it is trained on, how, and from which other model it starts."""

    model: ModelKind
    organs: tuple[str, ...]
    iterations: int
    seed: int
    parent: "Cell | None" = None
    retrain_last: int | None = None  # None: all layers
    cases: int | None = None  # how many of the target's patients to train on; None: all
    draw: int = 0  # which draw of that many
    batch: int | None = None  # None: the preset's
    norm: Literal["batch", "group", "frozen"] | None = None  # None: the preset's
    validate_every: int | None = None
    plain: bool = (
        False  # fine-tuning as in the paper: its parent has no say, and views are always new
    )

    @property
    def id(self) -> str:
        """A folder's name that says what the cell is."""
        parts = [
            self.model,
            self.organs[0] if len(self.organs) == 1 else f"{len(self.organs)}organs",
            f"last{self.retrain_last}" if self.retrain_last else "",
            f"{self.cases}cases-draw{self.draw}" if self.cases else "",
            f"batch{self.batch}" if self.batch else "",
            self.norm or "",
            "plain" if self.plain else "",
            f"{self.iterations}it",
            f"seed{self.seed}",
            f"on-{self.parent.id}" if self.parent else "",
        ]
        return "-".join(part for part in parts if part)

    @property
    def lineage(self) -> tuple["Cell", ...]:
        """The cells it starts from, the first one first, and itself."""
        return (*(self.parent.lineage if self.parent else ()), self)


@dataclass(frozen=True, slots=True)
class Triple:
    """Model_S, Model_T and Model_ST that differ in nothing but what they learn from."""

    s: Cell
    t: Cell
    st: Cell

    def __iter__(self) -> Iterator[Cell]:
        return iter((self.s, self.t, self.st))


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's cells by experiment. The same cell may stand in several."""

    models: Sequence[Triple]  # by seed
    separately: Mapping[str, Sequence[Triple]]  # by organ
    depth: Mapping[int, Sequence[Cell]]  # by number of retrained layers
    controls: Mapping[str, Sequence[Cell]]  # "random trunk", "head first"
    normalisation: Mapping[
        tuple[str, int], Sequence[tuple[Cell, Cell]]
    ]  # by norm and batch: Model_S and Model_ST
    cases: Mapping[
        int, Sequence[tuple[Cell, Cell]]
    ]  # by number of target patients: Model_T and Model_ST of each draw

    @property
    def cells(self) -> list[Cell]:
        """Every cell once, parents before their children."""
        asked = [
            *(cell for triple in self.models for cell in triple),
            *(cell for pairs in self.cases.values() for pair in pairs for cell in pair),
            *(cell for cells in self.depth.values() for cell in cells),
            *(cell for cells in self.controls.values() for cell in cells),
            *(
                cell
                for triples in self.separately.values()
                for triple in triples
                for cell in triple
            ),
            *(cell for pairs in self.normalisation.values() for pair in pairs for cell in pair),
        ]
        once: dict[str, Cell] = {}
        for cell in (cell for one in asked for cell in one.lineage):
            once.setdefault(
                cell.id, cell
            )  # the first one: a main model is watched, its like in a sweep is not
        return list(once.values())


def plan_of(
    study: Study, organs: Sequence[str], layers: int, target_cases: int, batch: int
) -> Plan:
    """Lay a study out.

    organs: that the joint models learn. layers: of the preset's network. target_cases: patients
        there are to train on.
    batch: the preset's.
    """
    joint = tuple(organs)
    last = study.models.retrain_last
    models = [
        _triple(
            joint, study.models.iterations, seed, last, validate_every=study.models.validate_every
        )
        for seed in study.seeds
    ]
    separately: dict[str, list[Triple]] = {}
    if study.separately:
        alone = joint if study.separately.organs == "all" else study.separately.organs
        for organ in alone:
            separately[organ] = [
                _triple((organ,), study.separately.iterations, seed, last) for seed in study.seeds
            ]
    return Plan(
        models=models,
        separately=separately,
        depth=_depth(study, models, layers),
        controls=_controls(study, models, layers),
        normalisation=_normalisation(study, joint, batch),
        cases=_cases(study, models, target_cases),
    )


def _triple(
    organs: tuple[str, ...],
    iterations: int,
    seed: int,
    last: int,
    validate_every: int | None = None,
) -> Triple:
    s = Cell("S", organs, iterations, seed, validate_every=validate_every)
    st = Cell(
        "ST", organs, iterations, seed, parent=s, retrain_last=last, validate_every=validate_every
    )
    return Triple(s, replace(s, model="T"), st)


def _depth(study: Study, models: Sequence[Triple], layers: int) -> dict[int, list[Cell]]:
    if not study.depth:
        return {}
    depths = sorted(
        {layers if depth == "all" else min(depth, layers) for depth in study.depth.layers}
    )
    iterations = study.depth.iterations
    return {
        depth: [_adapted(triple.s, iterations, depth, plain=True) for triple in models]
        for depth in depths
    }


def _controls(study: Study, models: Sequence[Triple], layers: int) -> dict[str, list[Cell]]:
    """Frozen random weights:

    what the head can do alone. Head first, then all layers (LP-FT), in half the time each.
    """
    controls: dict[str, list[Cell]] = {}
    if not study.depth:
        return controls
    iterations = study.depth.iterations
    if "random trunk" in study.depth.controls:
        drawn = [Cell("random", triple.s.organs, 0, triple.s.seed) for triple in models]
        controls["random trunk"] = [
            _adapted(start, iterations, study.models.retrain_last, plain=True) for start in drawn
        ]
    if "head first" in study.depth.controls and iterations > 1:
        heads = [_adapted(triple.s, iterations // 2, 1, plain=True) for triple in models]
        controls["head first"] = [
            _adapted(head, iterations - iterations // 2, layers, plain=True) for head in heads
        ]
    return controls


def _normalisation(
    study: Study, organs: tuple[str, ...], batch: int
) -> dict[tuple[str, int], list[tuple[Cell, Cell]]]:
    wanted = study.normalisation
    cells: dict[tuple[str, int], list[tuple[Cell, Cell]]] = {}
    for norm in wanted.norms if wanted else ():
        for size in wanted.batches if wanted else (batch,):
            assert wanted
            iterations = max(1, wanted.slices // size)
            starts = [
                Cell("S", organs, iterations, seed, batch=size, norm=norm) for seed in study.seeds
            ]
            cells[norm, size] = [
                (
                    start,
                    replace(
                        start,
                        model="ST",
                        parent=start,
                        retrain_last=study.models.retrain_last,
                        plain=True,
                    ),
                )
                for start in starts
            ]
    return cells


def _cases(
    study: Study, models: Sequence[Triple], there: int
) -> dict[int, list[tuple[Cell, Cell]]]:
    if not study.cases:
        return {}
    iterations, last = study.cases.iterations, study.models.retrain_last
    cells: dict[int, list[tuple[Cell, Cell]]] = {}
    for number in sorted(
        {there if number == "all" else min(number, there) for number in study.cases.numbers}
    ):
        some = number if number < there else None
        for draw in range(study.cases.draws if some else 1):
            for triple in models:
                t = replace(
                    triple.t, iterations=iterations, cases=some, draw=draw, validate_every=None
                )
                st = replace(_adapted(triple.s, iterations, last), cases=some, draw=draw)
                cells.setdefault(number, []).append((t, st))
    return cells


def _adapted(parent: Cell, iterations: int, last: int, *, plain: bool = False) -> Cell:
    return Cell(
        "ST", parent.organs, iterations, parent.seed, parent=parent, retrain_last=last, plain=plain
    )
