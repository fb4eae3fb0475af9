import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recontour.cohort import Cohort, case_id_of, open_arrays, store
from recontour.cohort.arrays import map_array
from recontour.cohort.open_arrays import RecentArrays
from recontour.errors import CohortError, FaultError, GridMismatchError, RecontourError
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.partials import _sibling

GRID = Grid((2, 3, 5), (1.0, 2.0), (0.0, 2.5), (-4.0, 7.0))
HU = np.arange(30, dtype=np.int16).reshape(GRID.shape)
MASK = HU % 3 == 0


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return Cohort.open_or_create(tmp_path / "c", "north")


@given(
    hnp.arrays(
        st.sampled_from([np.int16, np.float32]), GRID.shape, elements=st.integers(-1024, 3071)
    ),
    hnp.arrays(np.bool_, GRID.shape),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_hu_and_masks_come_back_as_they_were(
    cohort: Cohort, hu: np.ndarray, mask: np.ndarray
) -> None:
    assume(mask.any())
    assume(not mask.all())
    case_id = f"north-{len(cohort)}"
    cohort.add(case_id, hu, GRID, {"Larynx": ~mask, "Brainstem": mask}, "hash")
    case = Cohort.open(cohort.path)[case_id]
    assert case.hu.dtype == hu.dtype
    assert (case.hu == hu).all()
    assert case.grid == GRID
    assert case.organs == ("Larynx", "Brainstem")
    assert (case.mask("Brainstem") == mask).all()
    assert (case.slice_mask("Larynx", 1) == ~mask[1]).all()
    assert case.slices_with("Brainstem").tolist() == np.flatnonzero(mask.any(axis=(1, 2))).tolist()


def test_reading_one_slice_leaves_the_others_on_disk(cohort: Cohort) -> None:
    case = cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    assert isinstance(case.hu, np.memmap)
    assert not case.hu.flags.writeable


def test_the_case_id_is_the_series_uid_s_and_does_not_show_it() -> None:
    assert (
        case_id_of("north", "1.2.3") == case_id_of("north", "1.2.3") != case_id_of("north", "1.2.4")
    )
    assert "1.2.3" not in case_id_of("north", "1.2.3")


def test_a_case_is_added_once(cohort: Cohort) -> None:
    cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    with pytest.raises(CohortError, match="already"):
        cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    assert cohort.case_ids == ("north-1",)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({}, "no mask was given"),
        ({"Brainstem": MASK, "Larynx": MASK & ~MASK}, "the mask of Larynx marks no voxel"),
    ],
)
def test_a_case_without_contours_is_one_line_and_nothing_is_written(
    cohort: Cohort, masks: dict[str, Mask], said: str
) -> None:
    with pytest.raises(CohortError, match=f"north-1: {said}"):
        cohort.add("north-1", HU, GRID, masks, "")
    assert list((cohort.path / "cases").iterdir()) == []


def test_an_array_beside_the_grid_is_refused_and_nothing_written(cohort: Cohort) -> None:
    with pytest.raises(GridMismatchError, match="Brainstem: the mask has shape"):
        cohort.add("north-1", HU, GRID, {"Brainstem": MASK[:1]}, "")
    assert list((cohort.path / "cases").iterdir()) == []


def test_a_full_disk_leaves_no_half_case(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(store, "write_array", full)
    with pytest.raises(FaultError, match="No space left"):
        cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    assert list((cohort.path / "cases").iterdir()) == []


def test_organs_with_counts_of_cases(cohort: Cohort) -> None:
    cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    cohort.add("north-2", HU, GRID, {"Lens_L": MASK}, "")
    assert cohort.organs == ("Brainstem", "Lens_L")
    assert [case.id for case in cohort.cases_with(["Lens_L"])] == ["north-2"]


def test_another_centre_s_cohort_is_not_mixed_in(cohort: Cohort) -> None:
    with pytest.raises(CohortError, match="one folder per centre"):
        Cohort.open_or_create(cohort.path, "south")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(CohortError, match="exists and is not a cohort"):
        Cohort.open_or_create(tmp_path, "north")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "centre", ["", "  ", "../x", "a/b", ".hidden", "line\nbreak", "x" * 65, "North\\ENT"]
)
def test_a_label_that_is_no_file_name_is_refused(tmp_path: Path, centre: str) -> None:
    with pytest.raises(CohortError, match="label"):
        Cohort.open_or_create(tmp_path / "c", centre)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "recontour import"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "not a cohort"),
        (json.dumps({"format": "recontour cohort", "version": 99, "centre": "x"}), "format 99"),
    ],
)
def test_what_is_no_cohort_says_so(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "cohort.json").write_text(text)
    with pytest.raises(CohortError, match=says):
        Cohort.open(tmp_path)


@pytest.mark.parametrize("name", ["ct.npy", "masks.npy", "case.json"])
def test_a_damaged_case_is_named(cohort: Cohort, name: str) -> None:
    case = cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    (case.path / name).write_bytes((case.path / name).read_bytes()[:60])
    with pytest.raises(RecontourError, match=name):
        cohort["north-1"].hu.sum() + cohort["north-1"].mask("Brainstem").sum()


def test_a_cohort_that_another_import_removed_meanwhile_comes_back(cohort: Cohort) -> None:
    about = (cohort.path / "cohort.json").read_text()
    shutil.rmtree(cohort.path)
    cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    assert (cohort.path / "cohort.json").read_text() == about
    assert Cohort.open(cohort.path).case_ids == ("north-1",)


def test_only_the_case_of_a_draft_says_so(cohort: Cohort) -> None:
    """A case.json without the field is a person's."""
    person = cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    draft = cohort.add("north-2", HU, GRID, {"Brainstem": MASK}, "", is_draft=True)
    assert [case.is_draft for case in cohort] == [False, True]
    told = [json.loads((case.path / "case.json").read_text()) for case in (person, draft)]
    assert "draft" not in told[0]
    assert told[1] == told[0] | {"draft": True}
    assert person.version != draft.version


def test_an_organ_that_would_be_a_path_is_refused(cohort: Cohort) -> None:
    case = cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    about = (case.path / "case.json").read_text()
    (case.path / "case.json").write_text(about.replace("Brainstem", "../../Brainstem"))
    with pytest.raises(CohortError, match=r"case\.json is damaged \(.*: expected a TG-263 name"):
        cohort["north-1"]


def test_a_case_goes_to_another_process_without_its_arrays(cohort: Cohort) -> None:
    case = cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    before = len(pickle.dumps(case))
    assert case.hu.any()
    assert case.mask("Brainstem").any()
    assert len(pickle.dumps(case)) == before
    assert (pickle.loads(pickle.dumps(case)).hu == HU).all()


def test_however_many_cases_are_held_few_files_stay_open(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may open about 1024 files, and each case has two arrays."""

    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    monkeypatch.setattr(open_arrays, "mapped", RecentArrays(map_array, most=4))
    cases = [
        cohort.add(f"north-{number}", HU, GRID, {"Brainstem": MASK}, "") for number in range(6)
    ]
    before = open_files()
    for case in [*cases, *cases]:
        assert (case.hu == HU).all()
        assert (case.mask("Brainstem") == MASK).all()
    assert open_files() <= before + 4


def test_a_new_cohort_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("recontour.cohort.store.write_text", full)
    with pytest.raises(FaultError):
        Cohort.open_or_create(tmp_path / "c", "north")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["empty", "link", "new disk", "killed at its beginning"])
def test_an_empty_folder_becomes_a_cohort_where_it_is(tmp_path: Path, what: str) -> None:
    """It may be a link, or a disk of its own, which no other folder can replace."""
    place = tmp_path / "place"
    place.mkdir()
    before = place.stat().st_ino
    path = place
    if what == "link":
        path = tmp_path / "link"
        path.symlink_to("place")
    elif what != "empty":
        (place / ("lost+found" if what == "new disk" else "cases")).mkdir()
    Cohort.open_or_create(path, "north").add("north-1", HU, GRID, {"Brainstem": MASK}, "")
    assert Cohort.open(place).case_ids == ("north-1",)
    assert place.stat().st_ino == before
    assert path.is_symlink() == (what == "link")


def test_an_import_sweeps_what_a_killed_one_left_in_its_cohort(cohort: Cohort) -> None:
    """Also where it has nothing to add."""
    left = [_sibling(cohort.path / "names.csv"), _sibling(cohort.path / "cases" / "north-1")]
    # a number none has
    gone = [path.with_name(path.name.replace(f"-{os.getpid()}-", "-4194305-")) for path in left]
    for path in gone:
        path.mkdir()
    Cohort.open_or_create(cohort.path, "north")
    assert not any(path.exists() for path in gone)
