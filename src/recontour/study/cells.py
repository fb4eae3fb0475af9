"""The plan of a study: its cells, each one training run and its scoring.

A cell is plain data. Its id is made of everything that sets it apart within the study, so that a
finished cell is recognised, is shared by the sections that ask for it, and is never computed twice.
Cells depend on nothing but their parents: any machine that sees the study's folder can take one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Literal

from recontour.study.settings import All, Norm, Study

# random: weights that are never trained, as a control
ModelKind = Literal["S", "T", "ST", "random"]
Pair = tuple["Cell", "Cell"]
Cells = Sequence["Cell"]
Triples = Sequence["Triple"]
Pairs = Sequence[Pair]
Organs = Sequence[str]
PAPERS_DEPTH = 10  # layers that Model_ST retrains


@dataclass(frozen=True, slots=True)
class Cell:
    """One model of the study: what it is trained on, how, and from which other model it starts.

    retrain_last: None retrains all layers. cases: how many of the target's patients to train on;
    None: all. draw: which draw of that many. batch, norm: None takes the preset's. plain:
    fine-tuning as in the paper, where the parent does not contribute and views are always new.
    held_out: the target's fold, counted from 1, that a cross-validation tests it on and that it
    does not learn from; None: there are no folds, or it learns from none of the target's cases and
    is tested on all of them.
    """

    model: ModelKind
    organs: tuple[str, ...]
    iterations: int
    seed: int
    parent: "Cell | None" = None
    retrain_last: int | None = None
    cases: int | None = None
    draw: int = 0
    batch: int | None = None
    norm: Norm | None = None
    validate_every: int | None = None
    plain: bool = False
    held_out: int | None = None

    @property
    def id(self) -> str:
        """Name the cell's folder by what the cell is.

        >>> Cell("S", ("Brainstem",), iterations=100, seed=0).id
        'S-Brainstem-100it-seed0'
        """
        parts = [
            self.model,
            self.organs[0] if len(self.organs) == 1 else f"{len(self.organs)}organs",
            f"last{self.retrain_last}" if self.retrain_last else "",
            f"{self.cases}cases-draw{self.draw}" if self.cases else "",
            f"batch{self.batch}" if self.batch else "",
            self.norm or "",
            "plain" if self.plain else "",
            f"fold{self.held_out}" if self.held_out else "",
            f"{self.iterations}it",
            f"seed{self.seed}",
            f"on-{self.parent.id}" if self.parent else "",
        ]
        return "-".join(filter(None, parts))

    @property
    def lineage(self) -> tuple["Cell", ...]:
        """Return the cells it starts from, the first one first, and itself."""
        ancestors = self.parent.lineage if self.parent else ()
        return (*ancestors, self)


@dataclass(frozen=True, slots=True)
class Triple:
    """Model_S, Model_T and Model_ST that differ in nothing but what they learn from."""

    s: Cell
    t: Cell
    st: Cell

    @property
    def held_out(self) -> int | None:
        """Return the fold that T and ST do not learn from."""
        return self.t.held_out

    def __iter__(self) -> Iterator[Cell]:
        return iter((self.s, self.t, self.st))


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's cells by section. Sections may share a cell.

    models: by seed, and by fold in a cross-validation; then all of a seed's have one Model_S, which
    sees no fold. separately: by organ. depth: by number of retrained layers. controls: by name,
    "random trunk" or "head first". normalisation: by norm and batch, Model_S and Model_ST of each
    seed and fold. cases: by number of target patients, Model_T and Model_ST of each draw, seed and
    fold.
    """

    models: Triples
    separately: Mapping[str, Triples]
    depth: Mapping[int, Cells]
    controls: Mapping[str, Cells]
    normalisation: Mapping[tuple[str, int], Pairs]
    cases: Mapping[int, Pairs]

    @property
    def cells(self) -> list[Cell]:
        """Return every cell once, parents before their children.

        The first of two with one id is taken: a main model is validated while it trains, the same
        model in another section is not.
        """
        once: dict[str, Cell] = {}
        for cell in chain.from_iterable(self._groups()):
            for step in cell.lineage:
                once.setdefault(step.id, step)
        return list(once.values())

    def _groups(self) -> Iterator[Iterable[Cell]]:
        yield from self.models
        yield from chain.from_iterable(self.cases.values())
        yield from self.depth.values()
        yield from self.controls.values()
        yield from chain.from_iterable(self.separately.values())
        yield from chain.from_iterable(self.normalisation.values())


@dataclass(frozen=True, slots=True)
class Lengths:
    """The iterations of Model_S, Model_T and Model_ST."""

    s: int
    t: int
    st: int

    @classmethod
    def of_all(cls, iterations: int) -> "Lengths":
        """Return the lengths of three models that train equally long."""
        return cls(iterations, iterations, iterations)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a study's cohorts and preset settle about its plan.

    organs: those the joint models learn. layers: of the preset's network. retrain_last: layers of
    Model_ST that retrain; papers_depth: the same where the study does as the paper does.
    target_patients: how many there are to train on.
    """

    organs: Organs
    layers: int
    retrain_last: int
    papers_depth: int
    lengths: Lengths
    target_patients: int


def plan_of(study: Study, extent: Extent) -> Plan:
    """Lay a study out."""
    organs, layers = extent.organs, extent.layers
    last, papers = extent.retrain_last, extent.papers_depth
    models = _triples(study, organs, extent.lengths, last, study.models.validate_every)
    return Plan(
        models=models,
        separately=_separately(study, organs, last),
        depth=_depth(study, models, layers),
        controls=_controls(study, models, papers, layers),
        normalisation=_normalisation(study, organs, papers),
        cases=_cases(study, models, extent),
    )


def _triples(
    study: Study,
    organs: Organs,
    lengths: Lengths,
    last: int,
    validate_every: int | None = None,
) -> list[Triple]:
    """Lay out Model_S, Model_T and Model_ST of every seed and fold.

    last: layers of Model_ST to retrain.
    """
    triples = []
    for seed, held_out in product(study.seeds, _folds(study)):
        s = Cell("S", tuple(organs), lengths.s, seed, validate_every=validate_every)
        t = replace(s, model="T", iterations=lengths.t, held_out=held_out)
        child = _main_child(study, s, lengths.st, last, held_out)
        st = replace(child, validate_every=validate_every)
        triples.append(Triple(s, t, st))
    return triples


def _folds(study: Study) -> Sequence[int | None]:
    """Return the folds to hold out one by one, counted from 1; without folds None alone."""
    count = study.target.folds
    return range(1, count + 1) if count else (None,)


def _separately(study: Study, organs: Organs, last: int) -> dict[str, list[Triple]]:
    triples: dict[str, list[Triple]] = {}
    wanted = study.separately
    if wanted:
        lengths = Lengths.of_all(wanted.iterations)
        for organ in organs if wanted.organs == "all" else wanted.organs:
            triples[organ] = _triples(study, (organ,), lengths, last)
    return triples


def _depth(
    study: Study,
    models: Triples,
    layers: int,
) -> dict[int, list[Cell]]:
    cells: dict[int, list[Cell]] = {}
    wanted = study.depth
    if wanted:
        for depth in _numbers(wanted.layers, layers):
            cells[depth] = []
            for triple in models:
                cell = _tuned(triple.s, wanted.iterations, depth, triple.held_out)
                cells[depth].append(cell)
    return cells


def _controls(
    study: Study,
    models: Triples,
    last: int,
    layers: int,
) -> dict[str, list[Cell]]:
    """Lay out the controls that the depth curve is compared with.

    Random trunk: frozen random weights show what the head can do alone. Head first: the last layer,
    then all layers (LP-FT), for half of the iterations each.
    """
    controls: dict[str, list[Cell]] = {}
    wanted = study.depth
    if not wanted:
        return controls
    half = wanted.iterations // 2
    for triple in models:
        if "random trunk" in wanted.controls:
            drawn = Cell("random", triple.s.organs, 0, triple.s.seed)
            cell = _tuned(drawn, wanted.iterations, last, triple.held_out)
            controls.setdefault("random trunk", []).append(cell)
        if "head first" in wanted.controls and half:
            head = _tuned(triple.s, half, 1, triple.held_out)
            cell = _tuned(head, wanted.iterations - half, layers, triple.held_out)
            controls.setdefault("head first", []).append(cell)
    return controls


def _normalisation(study: Study, organs: Organs, last: int) -> dict[tuple[str, int], list[Pair]]:
    pairs: dict[tuple[str, int], list[Pair]] = {}
    wanted = study.normalisation
    if not wanted:
        return pairs
    each = product(wanted.norms, wanted.batches, study.seeds, _folds(study))
    for norm, batch, seed, held_out in each:
        iterations = max(1, wanted.slices // batch)
        s = Cell("S", tuple(organs), iterations, seed, batch=batch, norm=norm)
        tuned = _tuned(s, iterations, last, held_out)
        st = replace(tuned, batch=batch, norm=norm)
        pairs.setdefault((norm, batch), []).append((s, st))
    return pairs


def _cases(
    study: Study,
    models: Triples,
    extent: Extent,
) -> dict[int, list[Pair]]:
    """Lay out each number of target patients; fewer than there are get several draws."""
    pairs: dict[int, list[Pair]] = {}
    wanted = study.cases
    if not wanted:
        return pairs
    lengths = extent.lengths
    there = extent.target_patients
    for number in _numbers(wanted.numbers, there):
        few = number if number < there else None
        for draw, triple in product(range(wanted.draws if few else 1), models):
            of_t = wanted.iterations or lengths.t
            of_st = wanted.iterations or lengths.st
            t = replace(triple.t, iterations=of_t, validate_every=None, cases=few, draw=draw)
            child = _main_child(study, triple.s, of_st, extent.retrain_last, triple.held_out)
            st = replace(child, cases=few, draw=draw)
            pairs.setdefault(number, []).append((t, st))
    return pairs


def _numbers(wanted: Iterable[int | All], most: int) -> list[int]:
    """Return the numbers that are wanted, sorted; "all" and any number above `most` are `most`."""
    numbers = set()
    for number in wanted:
        numbers.add(most if number == "all" else min(number, most))
    return sorted(numbers)


def _main_child(
    study: Study,
    parent: Cell,
    iterations: int,
    last: int,
    held_out: int | None,
) -> Cell:
    """Adapt a model as the study's main models are adapted."""
    adapt = _tuned if study.models.plain else _adapted
    return adapt(parent, iterations, last, held_out)


def _adapted(
    parent: Cell,
    iterations: int,
    last: int,
    held_out: int | None,
) -> Cell:
    """Adapt a model to the target; last: how many layers retrain."""
    return Cell(
        model="ST",
        organs=parent.organs,
        iterations=iterations,
        seed=parent.seed,
        parent=parent,
        retrain_last=last,
        held_out=held_out,
    )


def _tuned(
    parent: Cell,
    iterations: int,
    last: int,
    held_out: int | None,
) -> Cell:
    """Adapt a model as the paper does."""
    return replace(_adapted(parent, iterations, last, held_out), plain=True)
