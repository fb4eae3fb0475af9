"""Which case is for training, validation or testing: decided once, the same for every model.

All cases of one patient are in one fold, as far as it is known who is who.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, permutations
from pathlib import Path
from typing import Literal, cast

import numpy as np

from recontour.cohort import Case, Cohort, by_patient, patient_names, with_equal_cts
from recontour.cohort.folds import folds_of
from recontour.cohort.patients import doubt, of_one_patient, with_one_key
from recontour.cohort.traits import doubtful_sides
from recontour.errors import CohortError, SettingsError
from recontour.files import SystemReason, UnreadableError, UnreadableFile, write_text
from recontour.findings import Finding
from recontour.study.findings import (
    FOLDS,
    CasesInSeveralFolds,
    CasesSince,
    CrossValidated,
    CtOfBothCentres,
    EditedSplitFile,
    EmptyFold,
    Fold,
    PatientsInDoubt,
    PatientsInTwoFolds,
    PatientsOfBothCentres,
    RepeatedCase,
    ReplacedCases,
    Role,
    RowsOfNeitherCentre,
    UnknownCase,
    UnknownFold,
    WrongSplitColumns,
)
from recontour.study.settings import CentreSettings, Study
from recontour.texts import NotCsv, as_it_was, csv_text, read_text

ROLES: tuple[Role, ...] = ("source", "target")
COLUMNS = ("centre", "case", "fold", "version", "patient")
Split = Mapping[str, Sequence[str]]  # case ids by fold
Patients = Mapping[str, str]  # the id of the patient's first case, by case id
Row = Mapping[str, str]  # a line of a table, by column
Cohorts = Mapping[str, Cohort]  # by role
Splits = Mapping[str, Split]  # by role


def split_of(name: str, centre: CentreSettings, cohort: Cohort) -> Split:
    """Return the split that a study file declares for a centre: read from a file, or drawn.

    name: "source" or "target".
    Raises:
        SettingsError: the file names unknown cases or folds, a fold that is needed would be empty,
            or one CT or one patient would be in two folds.
        CohortError: a cross-validation has more folds than patients.
    """
    if centre.split:
        path = centre.split
        split = read_split(path, name, cohort)
        _refuse_doubtful_sides(cohort, split)
    elif centre.folds:
        return _dealt(centre, centre.folds, _with_certain_sides(cohort))
    else:
        path = cohort.path
        split = _drawn(centre, _with_certain_sides(cohort))
    needed: tuple[Fold, ...] = ("train", "test")
    empty = tuple(fold for fold in needed if not split[fold])
    if empty:
        raise SettingsError(
            EmptyFold(
                path=path,
                folds=empty,
                cases=len(cohort),
            )
        )
    folds = _folds(split)
    cases = [cohort[case] for case in folds]
    for alike in with_equal_cts(cases):
        _refuse_several_folds("CT", _ids(alike), folds, path)
    for alike in with_one_key(cases):
        _refuse_several_folds("patient", _ids(alike), folds, path)
    return split


def _with_certain_sides(cohort: Cohort) -> Cohort:
    for found in doubtful_sides(cohort):
        cohort = cohort.without(found.cases)
    return cohort


def _refuse_doubtful_sides(cohort: Cohort, split: Split) -> None:
    """Raise SettingsError if a split file has cases whose left and right look swapped."""
    for found in doubtful_sides(_opened(cohort, _folds(split))):
        raise SettingsError(found)


def left_out_for_sides(cohorts: Cohorts, splits: Splits) -> tuple[Finding, ...]:
    """Find the cases in no fold of a split because their left and right look swapped."""
    found: list[Finding] = []
    for centre in ROLES:
        used = _folds(splits[centre])
        unused = []
        for case_id in cohorts[centre].case_ids:
            if case_id not in used:
                with suppress(CohortError):  # a damaged case that nothing uses
                    unused.append(cohorts[centre][case_id])
        found += doubtful_sides(unused, left_out=True)
    return tuple(found)


def _refuse_several_folds(
    shared: Literal["CT", "patient"],
    cases: Sequence[str],
    folds: Mapping[str, Fold],
    path: Path,
) -> None:
    placed = tuple(filter(folds.__contains__, cases))
    at = tuple(map(folds.__getitem__, placed))
    if len(set(at)) > 1:
        raise SettingsError(
            CasesInSeveralFolds(
                path=path,
                shared=shared,
                cases=placed,
                folds=at,
            )
        )


def _folds(split: Split) -> dict[str, Fold]:
    """Return the fold of each case."""
    folds: dict[str, Fold] = {}
    for fold, cases in split.items():
        folds |= dict.fromkeys(cases, cast(Fold, fold))
    return folds


def _drawn(centre: CentreSettings, cohort: Cohort) -> Split:
    """Draw patients, with all of their cases, for testing and validation; the rest train."""
    patients = by_patient(cohort)
    order = np.random.default_rng(centre.split_seed).permutation(len(patients))
    drawn = [patients[place] for place in order]
    first_to_train = centre.test + centre.validation
    parts = {
        "train": drawn[first_to_train:],
        "validation": drawn[centre.test : first_to_train],
        "test": drawn[: centre.test],
    }
    split = {}
    for fold, some in parts.items():
        split[fold] = _ids(chain.from_iterable(some))
    return split


def _ids(cases: Iterable[Case]) -> list[str]:
    return [case.id for case in cases]


# Cross-validation: a split into folds "fold 1", "fold 2" and so on, which take turns


def _dealt(
    centre: CentreSettings,
    count: int,
    cohort: Cohort,
) -> Split:
    """Deal the patients out into folds, each of which is tested on once."""
    folds = folds_of(cohort, count, seed=centre.split_seed, cohort=cohort.path)
    return dict(zip(fold_names(centre), map(_ids, folds), strict=True))


def fold_names(centre: CentreSettings) -> Sequence[str]:
    """Return what the folds of a centre's split are called.

    >>> fold_names(CentreSettings(cohort=Path("north"), folds=2))
    ['fold 1', 'fold 2']
    """
    if not centre.folds:
        return FOLDS
    return [_fold_name(number) for number in range(1, centre.folds + 1)]


def _fold_name(number: int) -> str:
    return f"fold {number}"


def turns_of(split: Split) -> Sequence[int | None]:
    """Return the folds to hold out one by one, counted from 1; None alone without folds."""
    if "train" in split:
        return (None,)
    return range(1, len(split) + 1)


def ids_to_learn(split: Split, held_out: int | None = None) -> list[str]:
    """Return the cases to train on: in a cross-validation those of all folds but one, or of all.

    >>> ids_to_learn({"fold 1": ["a"], "fold 2": ["b"], "fold 3": ["c"]}, held_out=2)
    ['a', 'c']
    """
    if "train" in split:
        return list(split["train"])
    others = [cases for fold, cases in split.items() if fold != _fold_name(held_out or 0)]
    return list(chain.from_iterable(others))


def ids_to_test(split: Split, held_out: int | None = None) -> list[str]:
    """Return the cases to test on: in a cross-validation those of one fold, or of all.

    >>> ids_to_test({"fold 1": ["a"], "fold 2": ["b"], "fold 3": ["c"]}, held_out=2)
    ['b']
    """
    if "train" in split:
        return list(split["test"])
    if held_out:
        return list(split[_fold_name(held_out)])
    return list(chain.from_iterable(split.values()))


# Checks between the centres, and against what a study keeps


def refuse_shared(cohorts: Cohorts, splits: Splits) -> None:
    """Refuse a CT that one centre trains on and the other tests on, even under another name.

    Raises: SettingsError.
    """
    for trainer, tester in permutations(ROLES):
        for_training = _opened(cohorts[trainer], ids_to_learn(splits[trainer]))
        for_testing = _opened(cohorts[tester], ids_to_test(splits[tester]))
        for alike in with_equal_cts([*for_training, *for_testing]):
            trained_on = next(filter(for_training.__contains__, alike), None)
            tested_on = next(filter(for_testing.__contains__, alike), None)
            if trained_on and tested_on:
                path = cohorts[tester].path
                found = CtOfBothCentres(
                    path=path,
                    case=tested_on.id,
                    trainer=trainer,
                    trained_on=trained_on.id,
                )
                raise SettingsError(found)


def refuse_edited(
    kept: Split,
    name: str,
    centre: CentreSettings,
    cohort: Cohort,
) -> None:
    """Refuse a centre's split file that no longer says what the study keeps of it.

    A file that is gone, or cannot be read, is no matter.
    Raises: SettingsError.
    """
    if not (centre.split and os.access(centre.split, os.R_OK)):
        return
    before = _folds(kept)
    now = _folds(read_split(centre.split, name, cohort))
    differences = before.items() ^ now.items()
    if differences:
        moved = sorted(dict(differences))
        raise SettingsError(EditedSplitFile(path=centre.split, cases=tuple(moved)))


def refuse_replaced(path: Path, cohorts: Cohorts) -> None:
    """Refuse a case that is no longer what it was when `write_split` wrote this file.

    path: a file that `read_split` has read, so that its cases are there.
    Raises: SettingsError.
    """
    replaced = []
    for row in _table(path)[1]:
        cohort = cohorts.get(row.get("centre", ""))
        version = row.get("version")  # an earlier recontour wrote none
        if cohort is not None and version and cohort[row["case"]].version != version:
            replaced.append(row["case"])
    if replaced:
        raise SettingsError(ReplacedCases(path=path, cases=tuple(replaced)))


def cases_since(
    study: Study,
    cohorts: Cohorts,
    splits: Splits,
) -> tuple[Finding, ...]:
    """Find the cases that came into a cohort after its split was drawn; no cell uses them.

    A split that the user wrote may leave out any case, and a drawn one those with swapped sides.
    """
    found: list[Finding] = []
    for centre in ROLES:
        if getattr(study, centre).split:
            continue
        known = _folds(splits[centre])
        usable = _with_certain_sides(cohorts[centre])
        came = tuple(case for case in usable.case_ids if case not in known)
        if came:
            found.append(CasesSince(centre=centre, cases=came))
    return tuple(found)


# What a reader must know of the patients


def cross_validated(splits: Splits, patients: Mapping[str, Patients]) -> tuple[Finding, ...]:
    """Find the centres whose patients are tested in turns. patients: by role, then by case."""
    found = []
    for centre in ROLES:
        turns = turns_of(splits[centre])
        if len(turns) > 1:
            tested_patients = {patients[centre][case] for case in ids_to_test(splits[centre])}
            found.append(
                CrossValidated(
                    centre=centre,
                    folds=len(turns),
                    patients=len(tested_patients),
                )
            )
    return tuple(found)


def on_both_sides(cohorts: Cohorts, splits: Splits) -> tuple[Finding, ...]:
    """Find patients, by key or CT, who are used both for training and for testing."""
    found: list[Finding] = []
    for centre in ROLES:
        both = _on_both_sides(cohorts[centre], splits[centre])
        if both:
            found.append(
                PatientsInTwoFolds(
                    centre=centre,
                    patients=len(both),
                    pairs=_in_words(both),
                )
            )
    for trainer, tester in permutations(ROLES):
        for_training = _opened(cohorts[trainer], ids_to_learn(splits[trainer]))
        for_testing = _opened(cohorts[tester], ids_to_test(splits[tester]))
        both = of_one_patient(for_training, for_testing)
        if both:
            common = PatientsOfBothCentres(
                tester=tester,
                trainer=trainer,
                patients=len(both),
                pairs=_in_words(both),
            )
            found.append(common)
    return tuple(found)


def _on_both_sides(cohort: Cohort, split: Split) -> list[tuple[Case, Case]]:
    """Return the patients of a centre who are learnt from and tested on in one turn."""
    pairs: list[tuple[Case, Case]] = []
    for held_out in turns_of(split):
        seen = [*ids_to_learn(split, held_out), *split.get("validation", ())]
        for_testing = _opened(cohort, ids_to_test(split, held_out))
        pairs += of_one_patient(_opened(cohort, seen), for_testing)
    return pairs


def _in_words(pairs: Iterable[tuple[Case, Case]]) -> tuple[str, ...]:
    """Return the ids of the two cases of each pair."""
    return tuple(f"{one.id} and {other.id}" for one, other in pairs)


def patients_in_doubt(cohorts: Cohorts, splits: Splits) -> tuple[Finding, ...]:
    """Find the centres where the patients of some CTs are unknown."""
    found = []
    for centre in ROLES:
        why = doubt(_opened(cohorts[centre], _folds(splits[centre])))
        if why:
            found.append(PatientsInDoubt(centre=centre, why=why))
    return tuple(found)


def _opened(cohort: Cohort, ids: Iterable[str]) -> list[Case]:
    return [cohort[case] for case in ids]


# The file


def read_split(
    path: Path,
    name: str,
    cohort: Cohort,
    known: Sequence[str] = FOLDS,
) -> Split:
    """Read a centre's split from a file; rows of the other centre are skipped.

    name: "source" or "target". known: what its folds may be called (`fold_names`).
    Raises: SettingsError: not such a table, no row of either centre, an unknown case or fold, or a
        case in two folds.
    """
    rows = _checked_rows(path)
    there = set(cohort.case_ids)
    folds: dict[str, Fold] = {}
    for line, row in enumerate(rows, start=2):
        if row.get("centre", name) != name:
            continue
        case, fold = row["case"], row["fold"]
        if case not in there:
            raise SettingsError(
                UnknownCase(
                    path=path,
                    line=line,
                    name=case,
                )
            )
        if fold not in known:
            raise SettingsError(
                UnknownFold(
                    path=path,
                    line=line,
                    fold=fold,
                )
            )
        if case in folds:
            raise SettingsError(
                RepeatedCase(
                    path=path,
                    line=line,
                    case=case,
                    fold=folds[case],
                )
            )
        folds[case] = cast(Fold, fold)
    split: dict[str, list[str]] = {}
    for fold in known:
        split[fold] = [case for case in folds if folds[case] == fold]
    return split


def _unreadable(path: Path, why: Finding) -> SettingsError:
    unreadable = UnreadableFile(
        path=path,
        what="split file",
        why=why,
        help="give a table with the columns case and fold",
    )
    return SettingsError(unreadable)


def _checked_rows(path: Path) -> list[Row]:
    """Read the rows of a split file, and refuse any other file.

    Raises: SettingsError.
    """
    try:
        columns, rows = _table(path)
    except UnreadableError as error:
        raise _unreadable(path, error.finding) from error
    except OSError as error:
        raise _unreadable(path, SystemReason(number=error.errno)) from error
    except csv.Error as error:
        raise _unreadable(path, NotCsv(reason=str(error))) from error
    if not {"case", "fold"} <= set(columns):
        raise SettingsError(WrongSplitColumns(path=path, columns=tuple(columns)))
    centres = {row["centre"] for row in rows if "centre" in row}
    if centres and centres.isdisjoint(ROLES):
        raise SettingsError(RowsOfNeitherCentre(path=path, centre=min(centres)))
    return rows


def _table(path: Path) -> tuple[Sequence[str], list[Row]]:
    """Read a table's columns and its rows; a cell that a row lacks is empty.

    Raises: UnreadableError, OSError, csv.Error.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    rows: list[Row] = []
    for row in reader:
        # DictReader keeps cells beyond the last column under None.
        rows.append({name: as_it_was(cell) for name, cell in row.items() if name})
    return list(reader.fieldnames or ()), rows


def write_split(path: Path, splits: Splits, cohorts: Cohorts) -> None:
    """Write down each case's centre, fold, version and patient, for `read_split`."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for centre, split in splits.items():
        rows += _written_rows(centre, split, cohorts[centre])
    write_text(path, csv_text(rows), replace=True)


def _written_rows(
    centre: str,
    split: Split,
    cohort: Cohort,
) -> Iterator[tuple[str, ...]]:
    patients = patients_of(cohort, split)
    for fold, cases in split.items():
        for case in cases:
            yield centre, case, fold, cohort[case].version, patients[case]


def patients_of(cohort: Cohort, split: Split) -> Patients:
    """Return the patient of each case of a split, as the cohort knows them."""
    return patient_names(cohort[case] for case in sorted(_folds(split)))


def read_patients(
    path: Path,
    name: str,
    cohort: Cohort,
    split: Split,
) -> Patients:
    """Return the patient of each case of a split, as `write_split` wrote them down.

    A file of an earlier recontour has none; then they are as the cohort knows them.
    """
    rows = [row for row in _table(path)[1] if row.get("centre", name) == name]
    known = _folds(split)
    patients = {}
    for row in rows:
        patient = row.get("patient")
        if patient is None:
            return patients_of(cohort, split)
        patients[row["case"]] = patient if patient in known else row["case"]
    return patients
