import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from recontour.cohort import Cohort
from recontour.cohort.findings import DoubtfulSides, UnknownPatients
from recontour.errors import SettingsError
from recontour.findings import stored_words
from recontour.study.cells import Cell
from recontour.study.findings import (
    CasesSince,
    CrossValidated,
    PatientsInDoubt,
    PatientsInTwoFolds,
    PatientsOfBothCentres,
)
from recontour.study.perform import Workspace, training_cases
from recontour.study.settings import CentreSettings, ModelsSettings, Study
from recontour.study.split import (
    Split,
    cases_since,
    cross_validated,
    fold_names,
    ids_to_learn,
    ids_to_test,
    left_out_for_sides,
    on_both_sides,
    patients_in_doubt,
    patients_of,
    read_patients,
    read_split,
    refuse_shared,
    split_of,
    write_split,
)

EMPTY: Split = {"validation": [], "test": []}
JANE, JOHN = "0123abcd-0123456789abcdef", "0123abcd-fedcba9876543210"


def test_a_drawn_split_covers_every_case_once_and_follows_its_seed(north: Cohort) -> None:
    centre = CentreSettings(cohort=north.path, validation=1, test=1)
    split = split_of("source", centre, north)
    assert sorted(case for fold in split.values() for case in fold) == list(north.case_ids)
    assert {fold: len(cases) for fold, cases in split.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    assert split == split_of("source", centre, north)
    assert any(
        split != split_of("source", replace(centre, split_seed=seed), north) for seed in range(1, 6)
    )


def test_cases_that_came_after_a_split_was_drawn_are_named(
    north: Cohort, south: Cohort, tmp_path: Path
) -> None:
    centre = CentreSettings(cohort=north.path, validation=0, test=1)
    by_hand = CentreSettings(cohort=south.path, split=tmp_path / "split.csv")
    cohorts = {"source": north, "target": south}
    split = split_of("source", centre, north)
    whole = {"source": split, "target": {"train": [], "validation": [], "test": []}}
    study = Study(source=centre, target=by_hand, models=ModelsSettings(iterations=1))
    assert cases_since(study, cohorts, whole) == ()
    before = {**whole, "source": {**split, "test": []}}
    came = CasesSince(centre="source", cases=tuple(split["test"]))
    assert cases_since(study, cohorts, before) == (came,)


def test_cases_with_swapped_sides_are_in_no_fold_and_that_is_said(
    north: Cohort, tmp_path: Path
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "north", "north")
    for case in north:
        masks = {organ: case.mask(organ) for organ in case.organs}
        cohort.add(case.id, case.hu, case.grid, masks, source_hash=case.source_hash)
    swapped = {"Lens_L": case.mask("Lens_R"), "Lens_R": case.mask("Lens_L")}
    wrong = cohort.add("north-0badc0de", case.hu, case.grid, swapped, source_hash="wrong").id
    drawn = CentreSettings(cohort=cohort.path, validation=0, test=1)
    split = split_of("source", drawn, cohort)
    assert sorted(case for fold in split.values() for case in fold) == list(north.case_ids)
    cohorts, nobody = {"source": cohort, "target": north}, CentreSettings(cohort=north.path, test=0)
    splits = {"source": split, "target": {"train": list(north.case_ids), **EMPTY}}
    (found,) = left_out_for_sides(cohorts, splits)
    assert isinstance(found, DoubtfulSides)
    assert (found.cases, found.left_out) == ((wrong,), True)
    study = Study(source=drawn, target=nobody, models=ModelsSettings(iterations=1))
    assert cases_since(study, cohorts, splits) == ()  # it did not come since
    path = tmp_path / "split.csv"
    path.write_text(f"case,fold\n{wrong},train\n{north.case_ids[0]},test\n")
    with pytest.raises(SettingsError, match="look swapped in 1 case"):
        split_of("source", CentreSettings(cohort=cohort.path, split=path), cohort)


def test_with_folds_every_patient_is_tested_once_on_models_of_the_others(
    north: Cohort, tmp_path: Path
) -> None:
    centre = CentreSettings(cohort=north.path, folds=3)
    split = split_of("target", centre, north)
    assert list(split) == ["fold 1", "fold 2", "fold 3"]
    everyone = set(north.case_ids)
    for held_out in (1, 2, 3):
        assert {*ids_to_learn(split, held_out)} == everyone - {*ids_to_test(split, held_out)}
    assert sorted(ids_to_test(split)) == sorted(everyone) == sorted(ids_to_learn(split))
    path = tmp_path / "split.csv"
    write_split(path, {"target": split}, {"target": north})
    assert read_split(path, "target", north, fold_names(centre)) == split
    with pytest.raises(SettingsError, match=r"unknown fold \('fold 1'\)"):
        read_split(path, "target", north)
    ordinary = split_of("source", CentreSettings(cohort=north.path, test=1), north)
    splits = {"source": ordinary, "target": split}
    cohorts = {"source": north, "target": north}
    patients = {role: patients_of(north, splits[role]) for role in splits}
    said = CrossValidated(centre="target", folds=3, patients=3)
    assert cross_validated(splits, patients) == (said,)
    with pytest.raises(SettingsError, match="trains on the same CT"):
        refuse_shared(cohorts, splits)


@pytest.mark.parametrize("beside", [{"test": 1}, {"validation": 1}, {"split": "split.csv"}])
def test_folds_stand_alone(beside: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either folds, or a split"):
        CentreSettings(cohort=Path("north"), folds=3, **beside)  # type: ignore[arg-type]


def test_the_source_has_no_folds() -> None:
    crossed = CentreSettings(cohort=Path("north"), folds=3)
    with pytest.raises(ValidationError, match=r"folds under \[target\] only"):
        Study(source=crossed, target=crossed, models=ModelsSettings(iterations=1))


def test_a_split_file_says_which_case_goes_where(north: Cohort, tmp_path: Path) -> None:
    first, second, third = north.case_ids
    path = tmp_path / "split.csv"
    path.write_text(f"case,fold\n{second},test\n{first},train\n{third},validation\n")
    split = split_of("source", CentreSettings(cohort=north.path, split=path), north)
    assert split == {"train": [first], "validation": [third], "test": [second]}
    write_split(tmp_path / "kept.csv", {"source": split}, {"source": north})
    assert read_split(tmp_path / "kept.csv", "source", north) == split
    assert (
        split_of("source", CentreSettings(cohort=north.path, split=tmp_path / "kept.csv"), north)
        == split
    )
    with pytest.raises(SettingsError, match="no case for train and test"):
        split_of("target", CentreSettings(cohort=north.path, split=tmp_path / "kept.csv"), north)


def test_a_split_is_read_back_whatever_a_centre_is_called(north: Cohort, tmp_path: Path) -> None:
    case = north[north.case_ids[0]]
    cohort = Cohort.open_or_create(tmp_path / "mary", 'St. "Mary", London')
    names = [f"{cohort.centre}-{number}" for number in range(2)]
    for name in names:
        cohort.add(
            name, case.hu, case.grid, {organ: case.mask(organ) for organ in case.organs}, "hash"
        )
    split = {"train": names[:1], "validation": [], "test": names[1:]}
    write_split(tmp_path / "split.csv", {"source": split}, {"source": cohort})
    assert read_split(tmp_path / "split.csv", "source", cohort) == split


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("nobody,test", r"line 2: the cohort has no such case \('nobody'\)"),
        ("{0},tset", r"line 2: unknown fold \('tset'\); choose train, validation, test"),
        ("{0},test\n{0},train", "north-.*: line 3: this case is in test already"),
        ("{0},train", "no case for test, of 3 cases"),
    ],
)
def test_a_wrong_split_file_is_one_line(
    north: Cohort, tmp_path: Path, rows: str, said: str
) -> None:
    path = tmp_path / "split.csv"
    path.write_text("case,fold\n" + rows.format(north.case_ids[0]) + "\n")
    with pytest.raises(SettingsError, match=said):
        split_of("source", CentreSettings(cohort=north.path, split=path), north)


@pytest.mark.parametrize("rows", ["case,fold\nDOE,test", "case,fold\n{0},DOE", "DOE;fold", "DOE"])
def test_a_wrong_split_file_is_stored_without_its_own_words(
    north: Cohort, tmp_path: Path, rows: str
) -> None:
    path = tmp_path / "DOE.csv"
    path.write_text(rows.format(north.case_ids[0]) + "\n")
    with pytest.raises(SettingsError, match=r"DOE\.csv: .*DOE") as caught:
        read_split(path, "source", north)
    assert "DOE" not in stored_words(caught.value.finding)


def test_rows_of_neither_centre_are_refused(north: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text(
        "centre,case,fold\n" + "".join(f"north,{name},train\n" for name in north.case_ids)
    )
    with pytest.raises(
        SettingsError, match=r"no row has the centre source or target \(one has 'north'\)"
    ):
        split_of("source", CentreSettings(cohort=north.path, split=path), north)


def test_a_split_file_as_a_spreadsheet_writes_it(north: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    rows = [
        f"{name},{fold}"
        for name, fold in zip(north.case_ids, ("test", "train", "train"), strict=True)
    ]
    path.write_text("\n".join(["case,fold", *rows]), encoding="utf-8-sig")
    assert split_of("source", CentreSettings(cohort=north.path, split=path), north)["test"] == [
        north.case_ids[0]
    ]
    path.write_text("\n".join(["case,fold", *rows]).replace(",", ";"))
    with pytest.raises(
        SettingsError,
        match=r"expected columns case and fold, with commas \(the first line is 'case;fold'\)",
    ):
        split_of("source", CentreSettings(cohort=north.path, split=path), north)


def test_a_patient_who_is_there_twice_is_not_trained_on_and_tested(
    north: Cohort, tmp_path: Path
) -> None:
    case = north[north.case_ids[0]]
    twice = Cohort.open_or_create(tmp_path / "twice", "north")
    for name in ("a", "b", "c"):
        hu = case.hu if name != "c" else case.hu + 1
        twice.add(name, hu, case.grid, {organ: case.mask(organ) for organ in case.organs}, "hash")
    path = tmp_path / "split.csv"
    path.write_text("case,fold\na,train\nb,train\nc,test\n")
    assert split_of("target", CentreSettings(cohort=twice.path, split=path), twice)["train"] == [
        "a",
        "b",
    ]
    path.write_text("case,fold\na,train\nb,test\nc,train\n")
    with pytest.raises(
        SettingsError, match=r"one CT would be in several folds \(a for train, b for test\)"
    ):
        split_of("target", CentreSettings(cohort=twice.path, split=path), twice)


def test_a_ct_of_both_centres_is_not_trained_on_and_tested(north: Cohort, tmp_path: Path) -> None:
    south = Cohort.open_or_create(tmp_path / "south", "south")
    for name in north.case_ids[:2]:
        case = north[name]
        south.add(
            f"s-{name}",
            case.hu,
            case.grid,
            {organ: case.mask(organ) for organ in case.organs},
            "hash",
        )
    first, second, third = north.case_ids
    cohorts = {"source": north, "target": south}
    apart = {"train": [f"s-{first}"], "test": [f"s-{second}"]}
    refuse_shared(cohorts, {"source": {"train": [third], "test": [second]}, "target": apart})
    refuse_shared(cohorts, {"source": {"train": [first], "test": [third]}, "target": apart})
    with pytest.raises(
        SettingsError,
        match=rf"s-{second}: is for testing, and the source trains on the same CT \({second}\)",
    ):
        refuse_shared(cohorts, {"source": {"train": [third, second], "test": []}, "target": apart})
    with pytest.raises(
        SettingsError,
        match=rf"{first}: is for testing, and the target trains on the same CT \(s-{first}\)",
    ):
        refuse_shared(cohorts, {"source": {"train": [third], "test": [first]}, "target": apart})


def keyed(north: Cohort, folder: Path, keys: dict[str, str | None], *, brighter: int = 0) -> Cohort:
    """Cases with those keys, each of another CT."""
    case = north[north.case_ids[0]]
    cohort = Cohort.open_or_create(folder, folder.name)
    masks = {organ: case.mask(organ) for organ in case.organs}
    for number, (name, key) in enumerate(keys.items()):
        cohort.add(name, case.hu + brighter + number, case.grid, masks, "hash", patient=key)
    return cohort


def of_ten(north: Cohort, folder: Path) -> Cohort:
    """Twelve cases of ten patients: c0 and c5 are Jane's, c1 and c7 John's; of the others nothing
    is known.
    """
    keys: dict[str, str | None] = {f"c{number:x}": None for number in range(12)}
    return keyed(north, folder, keys | {"c0": JANE, "c5": JANE, "c1": JOHN, "c7": JOHN})


def test_no_split_seed_splits_a_patient(north: Cohort, tmp_path: Path) -> None:
    cohort = of_ten(north, tmp_path / "ten")
    seen = set()
    for seed in range(20):
        split = split_of(
            "target",
            CentreSettings(cohort=cohort.path, validation=2, test=3, split_seed=seed),
            cohort,
        )
        fold = {case: name for name, cases in split.items() for case in cases}
        assert set(fold) == set(cohort.case_ids)
        assert fold["c0"] == fold["c5"]
        assert fold["c1"] == fold["c7"]
        patients = patients_of(cohort, split)
        counted = {name: len({patients[case] for case in cases}) for name, cases in split.items()}
        assert counted == {"train": 5, "validation": 2, "test": 3}
        seen.add(fold["c0"])
    assert seen == {"train", "validation", "test"}


def test_cts_without_keys_are_split_as_before(north: Cohort, tmp_path: Path) -> None:
    """The split of a seed that an earlier recontour drew, from the ids alone."""
    cohort = keyed(north, tmp_path / "n", {f"c{number}": None for number in range(6)})
    split = split_of(
        "target", CentreSettings(cohort=cohort.path, validation=1, test=2, split_seed=3), cohort
    )
    assert split == {"train": ["c1", "c3", "c0"], "validation": ["c4"], "test": ["c2", "c5"]}


def test_a_split_file_that_splits_a_patient_is_refused(north: Cohort, tmp_path: Path) -> None:
    cohort = keyed(north, tmp_path / "n", {"a": JANE, "b": JOHN, "c": JANE})
    path = tmp_path / "split.csv"
    path.write_text("case,fold\na,train\nb,train\nc,test\n")
    with pytest.raises(
        SettingsError,
        match=r"one patient would be in several folds \(a for train, c for test\)",
    ):
        split_of("target", CentreSettings(cohort=cohort.path, split=path), cohort)
    path.write_text("case,fold\na,test\nb,train\nc,test\n")
    assert split_of("target", CentreSettings(cohort=cohort.path, split=path), cohort)["test"] == [
        "a",
        "c",
    ]


def test_who_is_whom_is_written_down(north: Cohort, tmp_path: Path) -> None:
    cohort = keyed(north, tmp_path / "n", {"a": JANE, "b": JOHN, "c": JANE})
    split = {"train": ["b"], "validation": [], "test": ["c", "a"]}
    path = tmp_path / "split.csv"
    write_split(path, {"source": split}, {"source": cohort})
    assert read_split(path, "source", cohort) == split
    assert read_patients(path, "source", cohort, split) == {"a": "a", "b": "b", "c": "a"}
    path.write_text(path.read_text().replace("c,test", "x,test").replace(",a\n", ",nobody\n"))
    assert read_patients(path, "source", cohort, split)["a"] == "a", (
        "a patient who is no case is the case"
    )
    # of an earlier recontour
    path.write_text("centre,case,fold\nsource,b,train\nsource,c,test\nsource,a,test\n")
    assert read_patients(path, "source", cohort, split) == {"a": "a", "b": "b", "c": "a"}


@pytest.mark.parametrize("number", range(1, 5))
def test_a_number_of_cases_is_a_number_of_patients(
    north: Cohort, tmp_path: Path, number: int
) -> None:
    cohort = of_ten(north, tmp_path / "ten")
    split = {"train": ["c0", "c1", "c2", "c5", "c7", "c3"], "validation": [], "test": ["c4"]}
    patients = {"target": patients_of(cohort, split)}
    study = Study(
        CentreSettings(cohort.path), CentreSettings(cohort.path), ModelsSettings(iterations=1)
    )
    workspace = Workspace(study, tmp_path, {"target": cohort}, {"target": split}, patients)
    for draw in range(5):
        cell = Cell("T", ("Brainstem",), 1, 0, cases=number, draw=draw)
        drawn = [case.id for case in training_cases(cell, workspace, "target")]
        assert len({patients["target"][case] for case in drawn}) == number
        assert ("c0" in drawn) == ("c5" in drawn)
        assert ("c1" in drawn) == ("c7" in drawn)


def test_patients_of_both_centres_and_of_an_older_split_are_reported(
    north: Cohort, tmp_path: Path
) -> None:
    source = keyed(north, tmp_path / "south", {"s0": JANE, "s1": None, "s2": JANE})
    target = keyed(north, tmp_path / "north", {"n0": JANE, "n1": JOHN, "n2": JOHN}, brighter=9)
    cohorts = {"source": source, "target": target}
    apart = {"train": ["n1", "n2"], "validation": [], "test": []}
    splits = {"source": {"train": ["s1"], "validation": [], "test": ["s0", "s2"]}, "target": apart}
    assert on_both_sides(cohorts, splits) == ()
    across = {"train": ["n0"], "validation": [], "test": ["n1", "n2"]}
    assert on_both_sides(cohorts, splits | {"target": across}) == (
        PatientsOfBothCentres(tester="source", trainer="target", patients=1, pairs=("n0 and s0",)),
    )
    within = {"train": [], "validation": ["n1"], "test": ["n2"]}
    assert on_both_sides(cohorts, splits | {"target": within}) == (
        PatientsInTwoFolds(centre="target", patients=1, pairs=("n1 and n2",)),
    )
    assert patients_in_doubt(cohorts, splits) == (
        PatientsInDoubt(centre="source", why=UnknownPatients(unknown=1, cts=3)),
    )


def test_nearly_equal_cts_stay_together_unless_a_split_file_parts_them(
    north: Cohort, tmp_path: Path
) -> None:
    """A file is obeyed, since someone may know better, and the doubt is said."""
    names: list[str] = [f"c{number}" for number in range(6)]
    cohort = keyed(north, tmp_path / "north", dict.fromkeys(names))
    profile = list(range(0, 200, 10))
    for name in ("c0", "c5"):
        path = cohort[name].path / "case.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tissue_hu": profile}))
    for seed in range(10):
        drawn = split_of("source", CentreSettings(cohort.path, test=2, split_seed=seed), cohort)
        (fold,) = [fold for fold, cases in drawn.items() if "c0" in cases]
        assert "c5" in drawn[fold]
    path = tmp_path / "split.csv"
    path.write_text("case,fold\nc0,train\nc1,train\nc5,test\n")
    split = split_of("source", CentreSettings(cohort.path, split=path), cohort)
    other: Split = {"train": [], "validation": [], "test": []}
    found = on_both_sides({"source": cohort, "target": cohort}, {"source": split, "target": other})
    assert found == (PatientsInTwoFolds(centre="source", patients=1, pairs=("c0 and c5",)),)


def test_a_cohort_too_small_for_its_split_is_refused(north: Cohort) -> None:
    with pytest.raises(SettingsError, match="no case for train, of 3 cases"):
        split_of("source", CentreSettings(cohort=north.path, test=3), north)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"case;fold\na;b\n"])
def test_an_empty_or_foreign_split_file_is_one_line(
    north: Cohort, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=r"split\.csv: .*columns case and fold"):
        read_split(tmp_path / "split.csv", "source", north)


def test_a_split_file_that_is_a_pipe_is_not_waited_for(north: Cohort, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "split.csv")
    with pytest.raises(SettingsError, match="not a plain file"):
        read_split(tmp_path / "split.csv", "source", north)
