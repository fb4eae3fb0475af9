"""A case's arrays are what case.json says, or are refused; faults of the machine are told apart."""

import errno
import hashlib
import io
import mmap
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import largest_file

from recontour.cohort import Case, Cohort, arrays, open_arrays
from recontour.cohort.arrays import write_array
from recontour.errors import CohortError, FaultError
from recontour.geometry import Grid

GRID = Grid((2, 3, 5), (1.0, 2.0), (0.0, 2.5), (-4.0, 7.0))
HU = np.arange(30, dtype=np.int16).reshape(GRID.shape)
MASK = HU % 3 == 0


@pytest.fixture
def case(tmp_path: Path) -> Case:
    cohort = Cohort.open_or_create(tmp_path / "c", "north")
    return cohort.add("north-1", HU, GRID, {"Brainstem": MASK}, "")


def again(case: Case) -> Case:
    return Cohort.open(case.path.parents[1])[case.id]


def saved(array: "np.ndarray[Any, Any]") -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "array", [HU, HU.astype(np.float32), MASK.view(np.uint8), HU.T, HU[:, ::-1]]
)
def test_an_array_is_written_as_numpy_does_and_its_digest_is_the_file_s(
    tmp_path: Path, array: "np.ndarray[Any, Any]"
) -> None:
    digest = write_array(tmp_path / "a.npy", array)
    content = (tmp_path / "a.npy").read_bytes()
    assert content == saved(np.ascontiguousarray(array))
    assert digest == hashlib.sha256(content).hexdigest()


def test_an_array_that_finds_no_space_ends_in_the_system_s_error(tmp_path: Path) -> None:
    """`numpy.save` would hide the reason."""
    with largest_file(100), pytest.raises(OSError, match="File too large") as caught:
        write_array(tmp_path / "a.npy", np.zeros((2, 100, 100), np.int16))
    assert caught.value.errno == errno.EFBIG


WHOLE = saved(HU)
BENT: dict[str, Callable[[], bytes]] = {
    "it is empty": lambda: b"",
    "it does not begin like an array that recontour writes": lambda: WHOLE[:9],
    "its header is not one that recontour writes": lambda: WHOLE[:60],
    "it has 128 bytes, expected 188": lambda: WHOLE[:128],
    "it has 187 bytes, expected 188": lambda: WHOLE[:-1],
    "it has 189 bytes, expected 188": lambda: WHOLE + b"\0",
    r"it holds \|u1 numbers": lambda: saved(HU.astype(np.uint8)),
    "its header .*float64": lambda: saved(HU.astype(np.float64)),
    "its header .*fortran": lambda: saved(np.asfortranarray(HU)),
    "its header .*object": lambda: saved(np.full(GRID.shape, None)),
    "its header .*big-endian": lambda: saved(HU.astype(">i2")),
    "its header .*flat": lambda: saved(HU[0]),
    r"the array has shape \(3, 2, 5\); case.json says \(2, 3, 5\)": lambda: saved(
        HU.reshape(3, 2, 5)
    ),
    "its header .*negative": lambda: WHOLE.replace(b"(2, 3, 5), }  ", b"(-2, 3, -5), }"),
    "its header .*code": lambda: WHOLE.replace(b"'<i2'", b"f(1) "),
    "its header .*nested": lambda: WHOLE[:10] + b"(" * 118,
    "it does not begin .*version": lambda: WHOLE.replace(b"NUMPY\x01", b"NUMPY\x02"),
    "it does not begin .*a long header": lambda: b"\x93NUMPY\x01\x00\xff\xff" + b"1" * 70_000,
}


@pytest.mark.parametrize("says", BENT)
def test_an_array_that_is_not_what_case_json_says_is_refused_where_it_is_opened(
    case: Case, says: str
) -> None:
    (case.path / "ct.npy").write_bytes(BENT[says]())
    with pytest.raises(
        CohortError,
        match=rf"ct\.npy is damaged \({says.split('.*')[0]}.*take the case out",
    ):
        again(case)


def test_masks_are_checked_as_the_ct_is(case: Case) -> None:
    (case.path / "masks.npy").write_bytes(saved(np.zeros((2, 2, 3, 1), np.uint8)))
    with pytest.raises(
        CohortError,
        match=r"masks\.npy is damaged \(the array has shape \(2, 2, 3, 1\); case.json says",
    ):
        again(case)


@pytest.mark.parametrize("name", ["ct.npy", "masks.npy"])
def test_changed_voxels_are_noticed_when_they_are_first_used(case: Case, name: str) -> None:
    content = bytearray((case.path / name).read_bytes())
    content[-1] ^= 1
    (case.path / name).write_bytes(content)
    opened = again(case)
    with pytest.raises(
        CohortError, match=rf"{name} is damaged \(its voxels changed after the import"
    ):
        opened.examine()
    with pytest.raises(CohortError, match=name):
        opened.hu if name == "ct.npy" else opened.mask("Brainstem")


def test_a_worker_process_of_the_user_checks_voxels_too(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = type(multiprocessing.current_process())  # as the workers of a Pool are
    monkeypatch.setattr(daemon, "daemon", True)
    content = bytearray((case.path / "ct.npy").read_bytes())
    content[-1] ^= 1
    (case.path / "ct.npy").write_bytes(content)
    with pytest.raises(CohortError, match=r"the checksum differs"):
        again(case).examine()
    monkeypatch.setattr(arrays._checks, "are_left_to_parent", False)  # and back, after the test
    arrays.leave_voxels_to_parent()
    again(case).examine()


def test_voxels_are_read_whole_once_in_a_process(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    verify = arrays._verify

    def counted(*given: Any) -> None:
        looked.append(1)
        verify(*given)

    monkeypatch.setattr(arrays, "_verify", counted)
    for _ in range(3):
        again(case).examine()
    assert len(looked) == 2  # the CT, and the masks
    (case.path / "ct.npy").write_bytes((case.path / "ct.npy").read_bytes())
    again(case).examine()
    assert len(looked) == 3  # written since


def test_a_case_from_before_there_were_digests_is_opened(case: Case) -> None:
    about = case.path / "case.json"
    text = about.read_text()
    about.write_text(text[: text.index(',\n "sha256"')] + "\n}\n")
    old = again(case)
    assert old.sha256 == {}
    assert (old.hu == HU).all()
    assert (old.mask("Brainstem") == MASK).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    hu = HU.astype(np.float32)
    hu[1, 2, 3] = value
    case = Cohort.open_or_create(tmp_path / "c", "north").add(
        "north-1", hu, GRID, {"Brainstem": MASK}, ""
    )
    with pytest.raises(CohortError, match="some of its voxels are not finite numbers"):
        case.examine()


@pytest.mark.parametrize("how", ["pipe", "folder", "zero", "nowhere", "loop", "gone"])
@pytest.mark.parametrize("name", ["ct.npy", "masks.npy", "case.json"])
def test_what_lies_in_a_file_s_place_is_not_waited_for(case: Case, name: str, how: str) -> None:
    path = case.path / name
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how != "gone":
        path.symlink_to({"zero": "/dev/zero", "nowhere": "/nowhere", "loop": name}[how])
    with pytest.raises(CohortError, match=f"{name} is damaged"):
        again(case)


def test_a_link_to_the_array_is_followed(case: Case, tmp_path: Path) -> None:
    (case.path / "ct.npy").rename(tmp_path / "elsewhere.npy")
    (case.path / "ct.npy").symlink_to(tmp_path / "elsewhere.npy")
    assert (again(case).hu == HU).all()


def refusing(number: int, how_often: int = 1000) -> Callable[..., Any]:
    """Return a `mmap` that fails so often, and then works."""
    left = [number] * how_often
    real = mmap.mmap

    def refused(*given: Any, **options: Any) -> Any:
        if left:
            raise OSError(left.pop(), os.strerror(number))
        return real(*given, **options)

    return refused


@pytest.mark.parametrize(("how_often", "is_mapped"), [(1, True), (1000, False)])
@pytest.mark.parametrize("number", [errno.ENODEV, errno.EINVAL])
def test_a_share_that_maps_no_files_is_read(
    case: Case, monkeypatch: pytest.MonkeyPatch, number: int, how_often: int, is_mapped: bool
) -> None:
    """Some shares map files for one process only (9p), some not at all."""
    monkeypatch.setattr(mmap, "mmap", refusing(number, how_often))
    opened = again(case)
    assert (opened.hu == HU).all()
    assert isinstance(opened.hu, np.memmap) == is_mapped
    assert not opened.hu.flags.writeable
    assert (opened.mask("Brainstem") == MASK).all()


@pytest.mark.parametrize("number", ["EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE"])
def test_faults_of_the_machine_are_not_the_case_s(
    case: Case, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setattr(mmap, "mmap", refusing(getattr(errno, number)))
    with pytest.raises(FaultError) as caught:
        again(case).hu.max()
    assert "move" not in str(caught.value)
    assert "delete" not in str(caught.value)


def test_arrays_that_are_not_in_use_give_way_to_others(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmap, "mmap", refusing(errno.EMFILE, 1))
    assert (again(case).hu == HU).all()


@contextmanager
def open_files(most: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("most", "mapped"), [(4, 2), (256, 102), (1024, 400), (4096, 400)])
def test_as_many_arrays_are_mapped_as_the_limit_of_open_files_allows(
    most: int, mapped: int
) -> None:
    real = resource.getrlimit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "getrlimit", lambda _what: (most, real(resource.RLIMIT_NOFILE)[1]))
        assert open_arrays.most_mapped() == mapped


def test_more_cases_than_a_process_may_open_files_are_read(tmp_path: Path) -> None:
    cohort = Cohort.open_or_create(tmp_path / "c", "north")
    for number in range(40):
        cohort.add(f"north-{number}", HU, GRID, {"Brainstem": MASK}, "")
    with open_files(60):
        cases = list(cohort)
        assert all(
            (case.hu == HU).all() and (case.mask("Brainstem") == MASK).all()
            for case in [*cases, *cases]
        )
    open_arrays.mapped.forget()


def test_two_cases_of_one_folder_share_a_mapping(case: Case) -> None:
    assert again(case).hu is again(case).hu


@pytest.mark.parametrize("has_digest", [True, False])
def test_a_case_that_was_imported_again_is_not_the_old_one(case: Case, has_digest: bool) -> None:
    """The old one, held by somebody, stays what it was."""
    cohort = Cohort.open(case.path.parents[1])
    old = again(case)
    if not has_digest:
        old = replace(old, sha256={})
    assert (old.hu == HU).all()
    case.path.rename(case.path.parents[2] / "moved away")
    cohort.add(case.id, HU + 1, GRID, {"Brainstem": MASK}, "")
    new = again(case)
    if not has_digest:
        new = replace(new, sha256={})
    assert (new.hu == HU + 1).all()
    assert (old.hu == HU).all()


def test_any_number_of_threads_may_open_arrays(tmp_path: Path) -> None:
    """With room for fewer arrays than there are."""
    cohort = Cohort.open_or_create(tmp_path / "c", "north")
    cases = []
    for number in range(8):
        hu = HU + np.int16(number)
        cases.append(cohort.add(f"north-{number}", hu, GRID, {"Brainstem": MASK}, ""))
    recent = open_arrays.RecentArrays(arrays.map_array, most=3)

    def first_voxel(number: int) -> int:
        return int(recent.get(cases[number % 8].expected_ct).flat[0])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(first_voxel, range(800)))
    assert found == [int(HU.flat[0]) + number % 8 for number in range(800)]
    assert len(recent._arrays) == 3
