"""Which case is for training, for validation or for testing: decided once, written down, the same
for every model.

All cases of one patient are in one fold, as far as it is known who is whom.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recontour.cohort import Case, Cohort, by_patient, patient_names, with_one_ct
from recontour.cohort.patients import doubt, of_one_patient
from recontour.errors import SettingsError
from recontour.files import UnreadableError, write_text
from recontour.findings import stored_words
from recontour.study.settings import CentreSettings
from recontour.texts import as_it_was, csv_text, read_text
from recontour.wording import MOST_SHOWN, plural, shown

FOLDS = ("train", "validation", "test")
Split = Mapping[str, Sequence[str]]  # fold -> case ids
Patients = Mapping[str, str]  # case id -> the id of the patient's first case


def split_of(name: str, centre: CentreSettings, cohort: Cohort) -> Split:
    """The split that a study file declares for a centre: read from a file, or drawn at random by
    its seed.

    name: "source" or "target".

    Raises: SettingsError: the file names unknown cases or folds, a needed fold would be empty, or
        two have one CT or one patient.
    """
    split = read_split(centre.split, name, cohort) if centre.split else _drawn(centre, cohort)
    if empty := [fold for fold in ("train", "test") if not split[fold]]:
        raise SettingsError(
            f"{centre.split or cohort.path}: no case for {' and '.join(empty)}, of {len(cohort)} cases; "
            "the split leaves at least one for each"
        )
    folds = _folds(split)
    for names in cohort.twins:
        at = {case: folds[case] for case in names if case in folds}
        if len(set(at.values())) > 1:
            where = ", ".join(f"{case} for {fold}" for case, fold in at.items())
            raise SettingsError(
                f"{centre.split or cohort.path}: one CT would be in two folds ({where}), so the scores would not be of "
                f"new patients; delete the folder of one in {cohort.path}/cases, or give both one fold by a split file"
            )
    for patient in by_patient(cohort[case] for case in folds):
        if len({folds[case.id] for case in patient}) > 1:
            where = ", ".join(f"{case.id} for {folds[case.id]}" for case in patient)
            raise SettingsError(
                f"{centre.split or cohort.path}: one patient would be in two folds ({where}, CTs under one PatientID), "
                "so the scores would not be of new patients; give all of them one fold in the split file"
            )
    return split


def refuse_edited(kept: Split, name: str, centre: CentreSettings, cohort: Cohort) -> None:
    """Raise SettingsError where a centre's split file, if it is still there, is no longer what a
    study keeps of it.
    """
    if not (centre.split and os.access(centre.split, os.R_OK)):
        return
    before, now = _folds(kept), _folds(read_split(centre.split, name, cohort))
    if moved := sorted(case for case in {*before, *now} if before.get(case) != now.get(case)):
        raise SettingsError(
            f"{centre.split}: {', '.join(moved)} had another fold, or none, when the study began, and its models "
            "learnt by that; put the file back as it was, or begin the study in another --out"
        )


def _folds(split: Split) -> dict[str, str]:
    """By case."""
    return {case: fold for fold, cases in split.items() for case in cases}


def refuse_shared(cohorts: Mapping[str, Cohort], splits: Mapping[str, Split]) -> None:
    """Raise SettingsError where a CT that one centre trains on is tested on at the other, under
    whatever name.
    """
    for learning, testing in (("source", "target"), ("target", "source")):
        learnt = [cohorts[learning][name] for name in splits[learning]["train"]]
        tested = [cohorts[testing][name] for name in splits[testing]["test"]]
        for alike in with_one_ct([*learnt, *tested]):
            trained_on = next((case.id for case in alike if case in learnt), None)
            tested_on = next((case.id for case in alike if case in tested), None)
            if trained_on and tested_on:
                raise SettingsError(
                    f"{cohorts[testing].path}: {tested_on} is for testing, and {learning} trains on the same CT "
                    f"({trained_on}), so the scores would not be of new patients; take it out of one of the two"
                )


def on_both_sides(cohorts: Mapping[str, Cohort], splits: Mapping[str, Split]) -> list[str]:
    """What a reader must know of patients, by their keys, who are learnt from and tested on;

    a sentence each.
    """
    found = []
    for name, split in splits.items():
        learnt = _cases(cohorts[name], split, ("train", "validation"))
        if both := of_one_patient(learnt, _cases(cohorts[name], split, ("test",))):
            patients = plural(len(both), "patient")
            found.append(
                f"{patients} of {cohorts[name].centre} had a CT for training or validation and another for "
                "testing when this study began: scores there say nothing of new patients. A study begun now splits "
                "by patient."
            )
    for learning, testing in (("source", "target"), ("target", "source")):
        learnt = _cases(cohorts[learning], splits[learning], ("train",))
        if both := of_one_patient(learnt, _cases(cohorts[testing], splits[testing], ("test",))):
            patients = plural(len(both), "patient")
            found.append(
                f"{patients} of {cohorts[testing].centre} for testing had the PatientID of someone whom "
                f"{cohorts[learning].centre} trains on: unless both centres gave out that ID, scores there say nothing "
                "of new patients."
            )
    return found


def unknown_patients(cohorts: Mapping[str, Cohort], splits: Mapping[str, Split]) -> list[str]:
    """Of each centre a sentence, where it is not known who is whom."""
    sentences = []
    for name, split in splits.items():
        doubtful = doubt(_cases(cohorts[name], split, FOLDS))
        if doubtful:
            sentences.append(f"{cohorts[name].centre}: {stored_words(doubtful)}")
    return sentences


def _cases(cohort: Cohort, split: Split, folds: Sequence[str]) -> list[Case]:
    return [cohort[case] for fold in folds for case in split[fold]]


def _drawn(centre: CentreSettings, cohort: Cohort) -> Split:
    """So many patients, with all of their cases, for testing and for validation;

    the others are for training.
    """
    patients = by_patient(cohort)
    order = [
        patients[i] for i in np.random.default_rng(centre.split_seed).permutation(len(patients))
    ]
    test, rest = order[: centre.test], order[centre.test :]
    return {
        "train": _ids(rest[centre.validation :]),
        "validation": _ids(rest[: centre.validation]),
        "test": _ids(test),
    }


def _ids(patients: Sequence[Sequence[Case]]) -> list[str]:
    return [case.id for patient in patients for case in patient]


def read_split(path: Path, name: str, cohort: Cohort) -> Split:
    """A centre's split as a file has it; rows of the other centre, if the file says whose they are,
    are passed over.

    name: "source" or "target".
    Raises: SettingsError: not such a table, no row of either centre, an unknown case or fold, or a
        case in two folds.
    """
    try:
        columns, rows = _table(path)
    except (OSError, UnreadableError, csv.Error) as error:
        raise SettingsError(
            f"{path}: cannot be read as a table ({error}); columns case and fold are expected"
        ) from error
    if not {"case", "fold"} <= set(columns):
        found = ",".join(columns)[:MOST_SHOWN] or "nothing"
        raise SettingsError(
            f"{path}: its first line is '{found}'; columns case and fold, with commas, are expected"
        )
    whose = {row["centre"] for row in rows if "centre" in row}
    if whose and whose.isdisjoint(("source", "target")):
        other = shown(sorted(whose)[0])
        raise SettingsError(
            f"{path}: every row was passed over, as its centre is neither source nor target but {other}; "
            "write source or target there, or leave out the column"
        )
    there = set(cohort.case_ids)
    split: dict[str, list[str]] = {fold: [] for fold in FOLDS}
    folds: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if row.get("centre", name) != name:
            continue
        case, fold = row["case"], row["fold"]
        if case not in there:
            raise SettingsError(
                f"{path}, line {line}: {cohort.path} has no case {shown(case)}; `recontour inspect` lists them"
            )
        if fold not in FOLDS:
            raise SettingsError(
                f"{path}, line {line}: fold {shown(fold)} is unknown; choose {', '.join(FOLDS)}"
            )
        if case in folds:
            raise SettingsError(
                f"{path}, line {line}: case '{case}' is in {folds[case]} already; a case has one fold"
            )
        folds[case] = fold
        split[fold].append(case)
    return split


def _table(path: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """A table's columns, and its rows by column; a cell that a row lacks is empty."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    rows = [{name: as_it_was(cell) for name, cell in row.items() if name} for row in reader]
    return list(reader.fieldnames or ()), rows


def write_split(path: Path, splits: Mapping[str, Split], cohorts: Mapping[str, Cohort]) -> None:
    """Write down which case of which centre went where, its version and its patient;

    read back by `read_split`.
    """
    rows = []
    for centre, split in splits.items():
        patients = patients_of(cohorts[centre], split)
        for fold in FOLDS:
            for case in split[fold]:
                rows.append((centre, case, fold, cohorts[centre][case].version, patients[case]))
    write_text(
        path, csv_text([("centre", "case", "fold", "version", "patient"), *rows]), replace=True
    )


def patients_of(cohort: Cohort, split: Split) -> Patients:
    """Who is whom among the cases of a split, by the cohort."""
    return patient_names(cohort[case] for case in sorted(_folds(split)))


def read_patients(path: Path, name: str, cohort: Cohort, split: Split) -> Patients:
    """Who is whom among the cases of a split, as `write_split` wrote it down;

    by the cohort, if it did not yet.
    """
    rows = [row for row in _table(path)[1] if row.get("centre", name) == name]
    if any(row.get("patient") is None for row in rows):
        return patients_of(cohort, split)
    known = _folds(split)
    return {row["case"]: row["patient"] if row["patient"] in known else row["case"] for row in rows}


def refuse_replaced(path: Path, cohorts: Mapping[str, Cohort]) -> None:
    """Raise SettingsError where a case is no longer what it was when `write_split` wrote this file.

    The file is one that `read_split` has read: its cases are there.
    """
    rows = [row for row in _table(path)[1] if row.get("version")]  # an earlier recontour wrote none
    rows = [row for row in rows if row.get("centre") in cohorts]
    if replaced := [
        row["case"] for row in rows if cohorts[row["centre"]][row["case"]].version != row["version"]
    ]:
        raise SettingsError(
            f"{path}: {', '.join(replaced)} was imported anew since the study began, and models would be scored "
            "against different contours; put the case back as it was, or begin the study in another --out"
        )
