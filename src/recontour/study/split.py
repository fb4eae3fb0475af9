"""Which case is for training, for validation or for testing: decided once, written down, the same for every model."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recontour.cohort import Cohort, with_one_ct
from recontour.errors import SettingsError
from recontour.files import write_text
from recontour.study.settings import Centre

FOLDS = ("train", "validation", "test")
Split = Mapping[str, Sequence[str]]  # fold -> case ids


def split_of(name: str, centre: Centre, cohort: Cohort) -> Split:
    """The split that a study file declares for a centre: read from a file, or drawn at random by its seed.

    name: "source" or "target".

    Raises: SettingsError: the file names unknown cases or folds, a needed fold would be empty, or two have one CT.
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
    return split


def refuse_edited(kept: Split, name: str, centre: Centre, cohort: Cohort) -> None:
    """Raise SettingsError where a centre's split file, if it is still there, is no longer what a study keeps of it."""
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
    """Raise SettingsError where a CT that one centre trains on is tested on at the other, under whatever name."""
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


def _drawn(centre: Centre, cohort: Cohort) -> Split:
    ids = list(cohort.case_ids)
    order = [ids[i] for i in np.random.default_rng(centre.split_seed).permutation(len(ids))]
    test, rest = order[: centre.test], order[centre.test :]
    return {"train": rest[centre.validation :], "validation": rest[: centre.validation], "test": test}


def read_split(path: Path, name: str, cohort: Cohort) -> Split:
    """A centre's split as a file has it; rows of the other centre, if the file says whose they are, are passed over.

    name: "source" or "target".
    Raises: SettingsError: not such a table, no row of either centre, an unknown case or fold, or a case in two folds.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(
            f"{path}: cannot be read as a table ({error}); columns case and fold are expected"
        ) from error
    if not {"case", "fold"} <= set(reader.fieldnames or ()):
        found = ",".join(reader.fieldnames or ()) or "nothing"
        raise SettingsError(f"{path}: its first line is '{found}'; columns case and fold, with commas, are expected")
    whose = {row["centre"] or "" for row in rows if "centre" in row}
    if whose and whose.isdisjoint(("source", "target")):
        raise SettingsError(
            f"{path}: every row was passed over, as its centre is neither source nor target but {sorted(whose)[0]!r}; "
            "write source or target there, or leave out the column"
        )
    there = set(cohort.case_ids)
    split: dict[str, list[str]] = {fold: [] for fold in FOLDS}
    folds: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if row.get("centre", name) != name:
            continue
        case, fold = row.get("case") or "", row.get("fold") or ""
        if case not in there:
            raise SettingsError(
                f"{path}, line {line}: {cohort.path} has no case '{case}'; `recontour inspect` lists them"
            )
        if fold not in FOLDS:
            raise SettingsError(f"{path}, line {line}: fold '{fold}' is unknown; choose {', '.join(FOLDS)}")
        if case in folds:
            raise SettingsError(f"{path}, line {line}: case '{case}' is in {folds[case]} already; a case has one fold")
        folds[case] = fold
        split[fold].append(case)
    return split


def write_split(path: Path, splits: Mapping[str, Split], cohorts: Mapping[str, Cohort]) -> None:
    """Write down which case of which centre went where, and its version; read back by `read_split`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("centre", "case", "fold", "version"))
    writer.writerows(
        (centre, case, fold, cohorts[centre][case].version)
        for centre, split in splits.items()
        for fold in FOLDS
        for case in split[fold]
    )
    write_text(path, text.getvalue(), replace=True)


def refuse_replaced(path: Path, cohorts: Mapping[str, Cohort]) -> None:
    """Raise SettingsError where a case is no longer what it was when `write_split` wrote this file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("version")]  # an earlier recontour wrote none
    if replaced := [row["case"] for row in rows if cohorts[row["centre"]][row["case"]].version != row["version"]]:
        raise SettingsError(
            f"{path}: {', '.join(replaced)} was imported anew since the study began, and models would be scored "
            "against different contours; put the case back as it was, or begin the study in another --out"
        )
