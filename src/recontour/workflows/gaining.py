"""Measure what a centre's last patients brought, and whether further ones may be worth it.

The patients are dealt out into folds, as for a check (checking.py). For each fold, the parent is
adapted to more and more of the other patients, each set inside the next one, and the models contour
the fold: so every patient is scored once with every number, by models that never saw them.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from recontour.cohort import Case, by_patient, notices_of, patient_names
from recontour.cohort.folds import folds_of
from recontour.errors import CohortError, SettingsError
from recontour.evaluation.gain_report import GainHeader, write_gain_report
from recontour.evaluation.gains import USEFUL, Gains, gains_of
from recontour.evaluation.intervals import Dsc
from recontour.evaluation.plotting import refuse_unplottable
from recontour.files import whole_folder
from recontour.launched import launched
from recontour.progress import Progress, quiet
from recontour.workflows.check_folder import USUAL_FOLDS, CheckFolder
from recontour.workflows.checking import Adaptation, Fold, begin_check, scored_folds
from recontour.workflows.findings import (
    GainBySeveral,
    ImpossibleSizes,
    NothingToGain,
    PlannedGain,
    TooFewForGain,
)
from recontour.workflows.learning import adaptation_to, say_before_adapting
from recontour.workflows.parents_say import FoldDsc, joined, unbiased, worths_to_try
from recontour.workflows.planned import counted
from recontour.workflows.wanted import refuse_folds, refuse_useful


def gain(
    model: Path | str,
    cohort: Path | str,
    out: Path | str,
    *,
    sizes: Sequence[int] | None = None,
    folds: int | None = None,
    useful: float = USEFUL,
    retrain_last: int | None = None,
    organs: Sequence[str] | None = None,
    iterations: int | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: Progress = quiet,
) -> Gains:
    """Measure what the last patients of a cohort brought to an adaptation, and advise on more.

    Writes gains.csv, learnt_scores.csv and report.html into a new folder. The adaptations are meant
    to be compared with each other: by default they are half as long as that of `adapt`.

    Args:
        model: The model file to adapt, or TRUNK+HEAD.
        cohort: The cohort folder of the patients to adapt to.
        out: The folder to write; it must not exist.
        sizes: Numbers of patients to learn from, at least two. If None, half and all of those that
            every fold leaves.
        folds: At least 2; 3 if None. With more, the models learn from more of the patients.
        useful: The smallest gain in mean DSC that is worth contouring further patients.
        retrain_last: As of `adapt`.
        organs: As of `adapt`.
        iterations: Of each adaptation; if None, half as many as `adapt` takes.
        seed: Seed for the order of the patients, new weights and batches.
        resume: Continue a run that was interrupted.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The mean DSC by number of patients, what each step brought, and the advice.

    Raises:
        RecontourError: The model, the cohort, the settings or the output cannot be used.

    Examples:
        >>> import recontour
        >>> gains = recontour.gain("south.safetensors", "north", "gain", iterations=2)
        >>> gains.last.fewer, gains.last.more, gains.last.patients
        (1, 2, 4)
    """
    model, cohort, out = Path(model), Path(cohort), Path(out)
    _refuse_companions()
    refuse_folds(folds)
    refuse_useful(useful)
    refuse_unplottable()
    adaptation, cases = adaptation_to(
        model,
        cohort,
        out,
        head_only=False,
        retrain_last=retrain_last,
        plain=False,
        organs=organs,
        iterations=iterations,
        seed=seed,
        precision="auto",
        deterministic=False,
    )
    _refuse_untakeable(adaptation, cases)
    say_before_adapting(adaptation, cases, Path(model), chose_organs=organs is not None)
    dealt = _dealt(adaptation, cases, folds or USUAL_FOLDS)
    numbers = _numbers(dealt, sizes)
    nested = _nested(adaptation, dealt, numbers, shortened=iterations is None)
    begin_check(adaptation, cases, (), resume=resume)
    names = patient_names(cases)
    dsc_by_number = _scored(adaptation, nested, names, resume=resume, progress=progress)
    gains = gains_of(dsc_by_number, useful)
    if gains is None:
        raise CohortError(NothingToGain(path=cohort))
    header = GainHeader(
        centre=adaptation.cohort.centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        lineage=adaptation.parent.provenance.lineage,
        preset=adaptation.parent.provenance.preset,
        folds=len(dealt),
        iterations=nested[0].fold.recipe.iterations,
        seed=seed,
        notices=_notices(adaptation, cases),
    )
    with whole_folder(out) as folder:
        write_gain_report(folder, gains, dsc_by_number, header)
    CheckFolder.beside(out).close()
    return gains


def _refuse_companions() -> None:
    """Raise SettingsError if a launcher has started several processes: each would write."""
    us = launched()
    if us is not None:
        raise SettingsError(GainBySeveral(processes=us.count))


def _refuse_untakeable(adaptation: Adaptation, cases: Sequence[Case]) -> None:
    """Raise SettingsError for an impossible seed or depth, before anything is written."""
    recipe = adaptation.recipe_for(len(by_patient(cases)))
    adaptation.taken_over(cases, adaptation.organs, recipe)


def _notices(adaptation: Adaptation, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return what a reader must know first, each once."""
    of_cohort = notices_of(adaptation.cohort.notices, cases)
    return tuple(dict.fromkeys([*of_cohort, *adaptation.parent.provenance.notices]))


@dataclass(frozen=True, slots=True)
class Dealt:
    """One fold, and the others in the order in which they are learnt from.

    tested: the cases of the fold. others: patients, each with all of their cases.
    """

    tested: Sequence[Case]
    others: Sequence[Sequence[Case]]


@dataclass(frozen=True, slots=True)
class NestedFold:
    """A fold with so many of the others to learn from."""

    patients: int
    fold: Fold


def _dealt(adaptation: Adaptation, cases: Sequence[Case], count: int) -> list[Dealt]:
    """Deal patients out into folds, each with an order of its own of the other patients.

    Raises: CohortError: a fold leaves fewer than two patients.
    """
    path = adaptation.cohort.path
    patients = len(by_patient(cases))
    dealt = []
    if patients >= count:
        for number, tested in enumerate(folds_of(cases, count, cohort=path)):
            others = by_patient([case for case in cases if case not in tested])
            order = np.random.default_rng([adaptation.seed, number]).permutation(len(others))
            dealt.append(Dealt(tested, [others[place] for place in order]))
    if not dealt or _most(dealt) < 2:
        # So that every fold leaves two: two folds need four patients, more folds one each.
        needed = 4 if count == 2 else count
        raise CohortError(TooFewForGain(path=path, patients=patients, folds=count, needed=needed))
    return dealt


def _most(dealt: Sequence[Dealt]) -> int:
    """Return how many patients every fold leaves to learn from."""
    return min(len(fold.others) for fold in dealt)


def _numbers(dealt: Sequence[Dealt], sizes: Sequence[int] | None) -> tuple[int, ...]:
    """Return how many patients to learn from, fewest first.

    Raises: SettingsError: they are not at least two of the possible numbers.
    """
    most = _most(dealt)
    if sizes is None:
        return most // 2, most
    numbers = tuple(sorted(set(sizes)))
    if len(numbers) < 2 or numbers[0] < 1 or numbers[-1] > most:
        raise SettingsError(ImpossibleSizes(sizes=tuple(sizes), most=most))
    return numbers


def _nested(
    adaptation: Adaptation,
    dealt: Sequence[Dealt],
    numbers: Sequence[int],
    *,
    shortened: bool,
) -> list[NestedFold]:
    """Return every fold with every number of patients to learn from, fold by fold.

    shortened: to half the iterations.
    """
    folder = CheckFolder.beside(adaptation.out)
    nested: list[NestedFold] = []
    for place, one in enumerate(dealt):
        for patients in numbers:
            recipe = replace(adaptation.recipe_for(patients), parent_patients=0.0)
            if shortened:
                recipe = replace(recipe, iterations=-(-recipe.iterations // 2))
            fold = Fold(
                name=f"fold {place + 1} of {len(dealt)}, learning from {patients}",
                tested=one.tested,
                others=list(chain.from_iterable(one.others[:patients])),
                recipe=recipe,
                out=folder.model(len(nested) + 1),
            )
            nested.append(NestedFold(patients, fold))
    return nested


def _scored(
    adaptation: Adaptation,
    nested: Sequence[NestedFold],
    names: Mapping[str, str],
    *,
    resume: bool,
    progress: Progress,
) -> dict[int, Dsc]:
    """Return the DSC by number of patients learnt from; 0: the parent, if it knows all organs."""
    preset = adaptation.recipe_for(nested[0].patients).parent_patients
    folds = [one.fold for one in nested]
    scored, _ = scored_folds(
        adaptation,
        folds,
        worths_to_try(preset, never_none=False),
        names,
        partial(_planned, adaptation, nested),
        resume=resume,
        progress=progress,
    )
    of_number: dict[int, list[FoldDsc]] = {}
    for one, dsc in zip(nested, scored, strict=True):
        of_number.setdefault(one.patients, []).append(dsc)
    dsc_by_number: dict[int, Dsc] = {}
    if set(adaptation.organs) <= set(adaptation.parent.organs):
        dsc_by_number[0] = joined([fold.parent for fold in of_number[nested[-1].patients]])
    for number, dsc_of_folds in of_number.items():
        dsc_by_number[number] = unbiased(dsc_of_folds)
    return dsc_by_number


def _planned(adaptation: Adaptation, nested: Sequence[NestedFold], first: Fold) -> PlannedGain:
    """Return what is to be done. first: of the folds that are not finished."""
    folds = [one.fold for one in nested]
    numbers = tuple(dict.fromkeys(one.patients for one in nested))
    tested = list(chain.from_iterable(_tested_once(folds)))
    return PlannedGain(
        numbers=numbers,
        folds=len(folds) // len(numbers),
        left=len(folds) - folds.index(first),
        iterations=first.recipe.iterations,
        **counted(tested, adaptation.organs),
    )


def _tested_once(folds: Sequence[Fold]) -> Iterator[Sequence[Case]]:
    """Yield the tested cases of each fold once."""
    before: Sequence[Case] = ()
    for fold in folds:
        if fold.tested is not before:
            yield fold.tested
        before = fold.tested
