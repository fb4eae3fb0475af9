from dataclasses import replace
from pathlib import Path

import pytest

from recontour.cohort import Cohort
from recontour.errors import SettingsError
from recontour.study.settings import Centre
from recontour.study.split import read_split, refuse_shared, split_of, write_split


def test_a_drawn_split_covers_every_case_once_and_follows_its_seed(north: Cohort) -> None:
    centre = Centre(cohort=north.path, validation=1, test=1)
    split = split_of("source", centre, north)
    assert sorted(case for fold in split.values() for case in fold) == list(north.case_ids)
    assert {fold: len(cases) for fold, cases in split.items()} == {"train": 1, "validation": 1, "test": 1}
    assert split == split_of("source", centre, north)
    assert any(split != split_of("source", replace(centre, split_seed=seed), north) for seed in range(1, 6))


def test_a_split_file_says_which_case_goes_where(north: Cohort, tmp_path: Path) -> None:
    first, second, third = north.case_ids
    path = tmp_path / "split.csv"
    path.write_text(f"case,fold\n{second},test\n{first},train\n{third},validation\n")
    split = split_of("source", Centre(cohort=north.path, split=path), north)
    assert split == {"train": [first], "validation": [third], "test": [second]}
    write_split(tmp_path / "kept.csv", {"source": split}, {"source": north})
    assert read_split(tmp_path / "kept.csv", "source", north) == split
    assert split_of("source", Centre(cohort=north.path, split=tmp_path / "kept.csv"), north) == split
    with pytest.raises(SettingsError, match="no case for train and test"):
        split_of("target", Centre(cohort=north.path, split=tmp_path / "kept.csv"), north)


def test_a_split_is_read_back_whatever_a_centre_is_called(north: Cohort, tmp_path: Path) -> None:
    case = north[north.case_ids[0]]
    cohort = Cohort.open_or_create(tmp_path / "mary", 'St. "Mary", London')
    names = [f"{cohort.centre}-{number}" for number in range(2)]
    for name in names:
        cohort.add(name, case.hu, case.grid, {organ: case.mask(organ) for organ in case.organs}, "hash")
    split = {"train": names[:1], "validation": [], "test": names[1:]}
    write_split(tmp_path / "split.csv", {"source": split}, {"source": cohort})
    assert read_split(tmp_path / "split.csv", "source", cohort) == split


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("nobody,test", "line 2: .*north has no case 'nobody'"),
        ("{0},tset", "line 2: fold 'tset' is unknown; choose train, validation, test"),
        ("{0},test\n{0},train", "line 3: case '.*' is in test already"),
        ("{0},train", "no case for test, of 3 cases"),
    ],
)
def test_a_wrong_split_file_is_one_line(north: Cohort, tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "split.csv"
    path.write_text("case,fold\n" + rows.format(north.case_ids[0]) + "\n")
    with pytest.raises(SettingsError, match=said):
        split_of("source", Centre(cohort=north.path, split=path), north)


def test_rows_of_neither_centre_are_told(north: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("centre,case,fold\n" + "".join(f"north,{name},train\n" for name in north.case_ids))
    with pytest.raises(SettingsError, match="as its centre is neither source nor target but 'north'"):
        split_of("source", Centre(cohort=north.path, split=path), north)


def test_a_split_file_as_a_spreadsheet_writes_it(north: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    rows = [f"{name},{fold}" for name, fold in zip(north.case_ids, ("test", "train", "train"), strict=True)]
    path.write_text("\n".join(["case,fold", *rows]), encoding="utf-8-sig")
    assert split_of("source", Centre(cohort=north.path, split=path), north)["test"] == [north.case_ids[0]]
    path.write_text("\n".join(["case,fold", *rows]).replace(",", ";"))
    with pytest.raises(SettingsError, match="its first line is 'case;fold'; columns case and fold, with commas"):
        split_of("source", Centre(cohort=north.path, split=path), north)


def test_a_patient_who_is_there_twice_is_not_trained_on_and_tested(north: Cohort, tmp_path: Path) -> None:
    case = north[north.case_ids[0]]
    twice = Cohort.open_or_create(tmp_path / "twice", "north")
    for name in ("a", "b", "c"):
        hu = case.hu if name != "c" else case.hu + 1
        twice.add(name, hu, case.grid, {organ: case.mask(organ) for organ in case.organs}, "hash")
    path = tmp_path / "split.csv"
    path.write_text("case,fold\na,train\nb,train\nc,test\n")
    assert split_of("target", Centre(cohort=twice.path, split=path), twice)["train"] == ["a", "b"]
    path.write_text("case,fold\na,train\nb,test\nc,train\n")
    with pytest.raises(SettingsError, match=r"one CT would be in two folds \(a for train, b for test\)"):
        split_of("target", Centre(cohort=twice.path, split=path), twice)


def test_a_ct_of_both_centres_is_not_trained_on_and_tested(north: Cohort, tmp_path: Path) -> None:
    south = Cohort.open_or_create(tmp_path / "south", "south")
    for name in north.case_ids[:2]:
        case = north[name]
        south.add(f"s-{name}", case.hu, case.grid, {organ: case.mask(organ) for organ in case.organs}, "hash")
    first, second, third = north.case_ids
    cohorts = {"source": north, "target": south}
    apart = {"train": [f"s-{first}"], "test": [f"s-{second}"]}
    refuse_shared(cohorts, {"source": {"train": [third], "test": [second]}, "target": apart})
    refuse_shared(cohorts, {"source": {"train": [first], "test": [third]}, "target": apart})
    with pytest.raises(
        SettingsError, match=rf"s-{second} is for testing, and source trains on the same CT \({second}\)"
    ):
        refuse_shared(cohorts, {"source": {"train": [third, second], "test": []}, "target": apart})
    with pytest.raises(SettingsError, match=rf"{first} is for testing, and target trains on the same CT \(s-{first}\)"):
        refuse_shared(cohorts, {"source": {"train": [third], "test": [first]}, "target": apart})


def test_a_cohort_too_small_for_its_split_is_refused(north: Cohort) -> None:
    with pytest.raises(SettingsError, match="no case for train, of 3 cases"):
        split_of("source", Centre(cohort=north.path, test=3), north)
