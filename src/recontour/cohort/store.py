"""The cohort folder: one centre's patients, without anything that names them.

    COHORT/
      cohort.json            the centre's label and the format's version
      names.csv              what became of each ROI name
      left_out.csv           which patients could not be used, and why
      cases/CASE/case.json   grid, organs with volumes, hash of the structure set they came from,
                             whether it is a draft, and SHA-256 of the two arrays' files; where it
                             is known, the patient's key
      cases/CASE/ct.npy      HU, (slice, row, column), exactly as rescaled
      cases/CASE/masks.npy   one bit a voxel, (organ, slice, row, column / 8)

Arrays are memory-mapped: a single slice is read without the rest. When a process first opens an
array, the whole of it is compared with its SHA-256, and a case that is not what it was is refused.
An organ that the patient's structure set does not have is not in `Case.organs`: it is unknown,
never background.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.cohort.arrays import (
    Expected,
    NotMappableError,
    check_array,
    map_array,
    read_array,
    write_array,
)
from recontour.cohort.records import (
    FORMAT,
    MOST_BYTES,
    CaseRecord,
    CohortRecord,
    FormatRecord,
    damaged,
    read_record,
    refused,
)
from recontour.errors import CohortError, FaultError, GridMismatchError, OrganError, OutputError
from recontour.files import did_you_mean, is_name, output_error, read_file, whole_folder, write_text
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.partials import sweep
from recontour.progress import Progress, quiet
from recontour.syncing import sync_folder
from recontour.wording import printable

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

VERSION = 1
CT, MASKS = "ct.npy", "masks.npy"
CASE_LETTERS = 100  # of a case's name: the centre's label and what tells its cases apart
MOST_MAPPED = 400  # arrays at a time, two a case: each is an open file ...
# ... of which the system grants a process 1024 or so, and this share of them goes to arrays
SHARE_MAPPED = 0.4
MOST_READ = 4  # arrays at a time that are in memory whole, where a share maps no files


def most_mapped() -> int:
    """How many arrays may be mapped at a time, by the files that this process may open."""
    if resource is None:
        return MOST_MAPPED
    granted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_MAPPED if granted < 0 else max(2, min(MOST_MAPPED, int(granted * SHARE_MAPPED)))


def case_id_of(centre: str, series_uid: str) -> str:
    """A case's name: the centre's label and eight hex digits that only the series UID leads to."""
    return f"{centre}-{hashlib.sha256(series_uid.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, eq=False)
class Case:
    """One patient: a CT and the organs that were contoured on it."""

    id: str
    path: Path
    grid: Grid
    volumes_cc: Mapping[str, float]  # by organ, in the order of masks.npy
    source_hash: str
    is_draft: bool = (
        False  # its contours are recontour's own: a model learns and proves nothing by them
    )
    sha256: Mapping[str, str] = field(
        default_factory=dict
    )  # of its arrays' files, by name; empty of older cases
    patient: str | None = (
        None  # the patient's key, SALT-HASH, the same in all of the patient's cases; None: unknown
    )

    @property
    def organs(self) -> tuple[str, ...]:
        """The organs that were contoured; any other is unknown."""
        return tuple(self.volumes_cc)

    @property
    def hu(self) -> npt.NDArray[Any]:
        """Hounsfield units, (slice, row, column), int16 or float32, memory-mapped read-only."""
        return _array(self, CT)

    @property
    def _bits(self) -> npt.NDArray[np.uint8]:
        return _array(self, MASKS)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this CT from others in whatever cohort it lies: 16 hex digits of a hash of its
        voxels.

        It leads back to nothing: only who has the same CT can compute it.
        """
        return hashlib.sha256(self.hu.tobytes()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """Another one where the case was imported anew with another CT or other contours:

        16 hex digits of a hash.
        """
        path = self.path / "case.json"
        try:
            return hashlib.sha256(read_file(path, MOST_BYTES)).hexdigest()[:16]
        except (OSError, ValueError) as error:
            raise refused(path, error) from error

    def mask(self, organ: str) -> Mask:
        """One organ's mask, (slice, row, column)."""
        return self.unpacked(self._bits[self.organs.index(organ)])

    def slice_mask(self, organ: str, index: int) -> Mask:
        """One organ's mask on one slice, (row, column)."""
        return self.unpacked(self._bits[self.organs.index(organ), index])

    def slices_with(self, organ: str) -> npt.NDArray[np.intp]:
        """The slices that show an organ."""
        return np.flatnonzero(self._bits[self.organs.index(organ)].any(axis=(1, 2)))

    def unpacked(self, bits: npt.NDArray[np.uint8]) -> Mask:
        """Bits along the columns, as masks.npy has them -> a mask."""
        return np.unpackbits(bits, axis=-1, count=self.grid.shape[2]).view(np.bool_)

    def examine(self) -> None:
        """Look at every voxel of the CT and the masks, unless this process has.

        Raises: CohortError: they are not what case.json says.
        """
        for name in (CT, MASKS):
            _array(self, name)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A case that cannot be used."""

    id: str
    why: str  # for the screen: it holds the path


class Cohort:
    """One centre's cases, in the order of their names."""

    def __init__(self, path: Path, centre: str, notices: Sequence[str] = ()) -> None:
        self.path = path
        self.centre = centre
        self.notices = tuple(
            notices
        )  # what everyone who uses it must know, such as that the patients are synthetic

    @classmethod
    def open(cls, path: Path) -> "Cohort":
        """Open a cohort folder.

        Raises: CohortError: no cohort there, or one of a newer recontour.
        """
        _refuse_no_folder(path)
        place = path / "cohort.json"
        if not os.path.lexists(place):
            raise CohortError(
                f"{path} is not a cohort; make one with `recontour import {path} COHORT`"
            )
        told = read_record(FormatRecord, place)
        if told.format != FORMAT:
            raise CohortError(f"{place} is not a cohort's; make one with `recontour import`")
        if told.version != VERSION:
            raise CohortError(
                f"{path} has cohort format {told.version}, this recontour reads {VERSION}; "
                "import the DICOM again, or use the recontour that wrote it"
            )
        about = read_record(CohortRecord, place)
        return cls(path, about.centre, [printable(notice) for notice in about.notices or ()])

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether there is a cohort, sound or not."""
        return os.path.lexists(path / "cohort.json")

    @classmethod
    def open_or_create(cls, path: Path, centre: str, notices: Sequence[str] = ()) -> "Cohort":
        """Open a cohort folder, or make an empty one.

        Raises: CohortError: the folder holds something else, or the cohort of another centre.
        """
        sweep(path)
        sweep(path / "cases")
        if cls.is_at(path):
            cohort = cls.open(path)
            if cohort.centre != centre:
                raise CohortError(
                    f"{path} is the cohort of centre '{cohort.centre}', not of '{centre}'; "
                    "keep one folder per centre, or leave --centre out"
                )
            return cohort
        if not is_name(centre):
            raise CohortError(
                f"a centre's label becomes part of file names and of DICOM; {centre!r} cannot. Choose another --centre"
            )
        cohort = cls(path, centre, notices)
        try:
            cohort._create()
        except OutputError:
            if not cls.is_at(path):
                raise
            return cls.open_or_create(path, centre, notices)  # another import made it meanwhile
        return cohort

    def _create(self) -> None:
        """Make the folder, whole or not at all; or in an empty one, which may be a link or a disk
        of its own, fill it.

        There, cohort.json comes last, and makes it a cohort.
        """
        if not os.path.lexists(self.path):
            with whole_folder(self.path) as folder:
                (folder / "cases").mkdir()
                self._describe(folder)
            return
        try:
            if not _is_vacant(self.path):
                raise CohortError(f"{self.path} exists and is not a cohort; choose a new folder")
            (self.path / "cases").mkdir(exist_ok=True)
            sync_folder(self.path)
        except OSError as error:
            raise output_error(self.path, error) from error
        self._describe(self.path)

    def _describe(self, folder: Path) -> None:
        """Say in a folder whose cohort it is, unless it does."""
        if not (folder / "cohort.json").exists():
            about = {
                "format": FORMAT,
                "version": VERSION,
                "centre": self.centre,
                "notices": list(self.notices),
            }
            write_text(folder / "cohort.json", _to_json(about), replace=True)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The cases' names, sorted;

        also of those that are damaged. Raises: CohortError: they cannot be listed.
        """
        cases = self.path / "cases"
        try:
            with os.scandir(cases) as entries:
                return tuple(sorted(entry.name for entry in entries if self._is_case(entry)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise refused(cases, error) from error

    def _is_case(self, entry: "os.DirEntry[str]") -> bool:
        """Whether something among the cases is one, sound or not;

        not what systems and shares put into every folder.
        """
        if entry.name.startswith("."):
            return False
        if re.fullmatch(re.escape(self.centre) + "-[0-9a-f]{8}", entry.name):
            return True  # even if it is a file, or a link to nothing
        if entry.name[0] in "@#$":  # as the index of a share, or its bin
            return os.path.lexists(os.path.join(entry.path, "case.json"))
        return entry.is_dir() or entry.is_symlink()

    def __contains__(self, case_id: str) -> bool:
        return is_name(case_id, CASE_LETTERS) and os.path.lexists(self.path / "cases" / case_id)

    def __len__(self) -> int:
        return len(self.case_ids)

    def __iter__(self) -> Iterator[Case]:
        return (self[case_id] for case_id in self.case_ids)

    def __getitem__(self, case_id: str) -> Case:
        """Raise CohortError where there is no such case, or its files are not what they say of one
        another.

        What the arrays hold is looked at when they are first used. Raises FaultError where the
        machine is to blame.
        """
        path = self.path / "cases" / case_id
        if not is_name(case_id, CASE_LETTERS):
            raise CohortError(
                f"{self.path}/cases: {case_id!r} is not a valid name for a case; move it away"
            )
        if not os.path.lexists(path):
            raise CohortError(f"{self.path} has no case '{case_id}'")
        about = read_record(CaseRecord, path / "case.json")
        try:
            grid = Grid(**about.grid.model_dump())
        except GridMismatchError as error:
            raise damaged(path / "case.json", str(error)) from error
        sha256 = about.sha256.model_dump(by_alias=True) if about.sha256 else {}
        case = Case(
            case_id,
            path,
            grid,
            about.volumes_cc,
            about.source_hash,
            about.draft,
            sha256,
            about.patient,
        )
        for name in (CT, MASKS):
            check_array(_expected(case, name))
        return case

    def examined(self, progress: Progress = quiet) -> tuple[tuple[Case, ...], tuple[Damaged, ...]]:
        """The cases that are sound and those that are not, after a look at every voxel."""
        sound: list[Case] = []
        unsound: list[Damaged] = []
        names = self.case_ids
        for done, case_id in enumerate(names):
            progress("examining", done, len(names), case_id)
            try:
                case = self[case_id]
                case.examine()
            except CohortError as error:
                unsound.append(Damaged(case_id, str(error)))
            else:
                sound.append(case)
        progress("examining", len(names), len(names), "")
        return tuple(sound), tuple(unsound)

    @property
    def organs(self) -> tuple[str, ...]:
        """Every organ that at least one case has, sorted."""
        return tuple(sorted({organ for case in self for organ in case.organs}))

    @property
    def twins(self) -> list[tuple[str, ...]]:
        """Cases that have one CT to the voxel, as a patient exported twice has:

        their names, by CT.
        """
        return [tuple(case.id for case in alike) for alike in with_one_ct(self)]

    def chosen_organs(self, organs: Sequence[str] | None) -> tuple[str, ...]:
        """The organs to work on, each of which at least one case has; all there are if None.

        Raises: CohortError: no case, or none with contours. OrganError: organs that no case has.
        """
        present = self.organs  # read from every case: asked once
        if not present:
            raise CohortError(
                f"{self.path} has no contoured case; import some with `recontour import`"
            )
        wanted = tuple(dict.fromkeys(present if organs is None else organs))
        if unknown := [organ for organ in wanted if organ not in present]:
            raise OrganError(
                f"{self.path} has no case with {', '.join(unknown)}; it has {', '.join(present)}"
            )
        return wanted

    def cases_with(self, organs: Collection[str]) -> list[Case]:
        """The cases in which at least one of the organs was contoured."""
        return [case for case in self if not set(organs).isdisjoint(case.organs)]

    def add(
        self,
        case_id: str,
        hu: npt.NDArray[Any],
        grid: Grid,
        masks: Mapping[str, Mask],
        source_hash: str,
        *,
        is_draft: bool = False,
        patient: str | None = None,
    ) -> Case:
        """Store a case; it appears whole or not at all.

        hu: int16 or float32, (slice, row, column). masks: bool of the same shape, by TG-263 name.
        is_draft: whether they are recontour's own contours, as it wrote them. patient: the
            patient's key, if known.
        Raises: GridMismatchError: hu or a mask does not lie on the grid. CohortError: the case is
            there already.
        """
        for what, array in {"the CT": hu, **masks}.items():
            if array.shape != grid.shape:
                raise GridMismatchError(
                    f"{case_id}: {what} has shape {array.shape}, its grid {grid.shape}"
                )
        if not is_name(case_id, CASE_LETTERS):
            raise CohortError(
                f"a case's name becomes a folder's name; {case_id!r} cannot be one. Choose another"
            )
        if case_id in self:
            raise CohortError(
                f"{self.path} has a case '{case_id}' already; move its folder away to replace it"
            )
        about: dict[str, Any] = {
            "grid": {
                name: getattr(grid, name)
                for name in ("shape", "spacing_mm", "slice_z_mm", "origin_mm")
            },
            "volumes_cc": {organ: round(grid.volume_cc(mask), 4) for organ, mask in masks.items()},
            "source_hash": source_hash,
        }
        if is_draft:
            about["draft"] = (
                True  # said of drafts alone, so that a person's contours keep their version
            )
        if patient:
            about["patient"] = patient
        with whole_folder(self.path / "cases" / case_id) as folder:
            bits = np.stack([np.packbits(mask, axis=-1) for mask in masks.values()])
            about["sha256"] = {
                CT: write_array(folder / CT, hu),
                MASKS: write_array(folder / MASKS, bits),
            }
            (folder / "case.json").write_text(_to_json(about), encoding="utf-8")
        self._describe(
            self.path
        )  # an import that found nobody may have removed a cohort without cases meanwhile
        return self[case_id]


def with_one_ct(cases: Iterable[Case]) -> list[list[Case]]:
    """Those of the cases, of whatever cohorts, that share their CT to the voxel with another:

    by CT.
    """
    by_grid: dict[Grid, list[Case]] = {}
    for case in cases:
        by_grid.setdefault(case.grid, []).append(case)
    by_ct: dict[str, list[Case]] = {}
    for case in (
        case for alike in by_grid.values() if len(alike) > 1 for case in alike
    ):  # only these are read
        by_ct.setdefault(case.fingerprint, []).append(case)
    return [alike for alike in by_ct.values() if len(alike) > 1]


def _to_json(what: Mapping[str, Any]) -> str:
    return json.dumps(what, indent=1) + "\n"


def _refuse_no_folder(path: Path) -> None:
    """Raise CohortError where a path is no folder."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        hint = did_you_mean(path) or "; check the path, or make a cohort with `recontour import`"
        raise CohortError(f"{path}: no such folder{hint}") from None
    except OSError as error:
        raise CohortError(f"{path} cannot be opened ({error.strerror}); check the path") from error
    if not stat.S_ISDIR(mode):
        raise CohortError(
            f"{path} is a file, and a cohort is a folder; check the order of what you name (--help)"
        )


def _is_vacant(folder: Path) -> bool:
    """Whether a folder is empty, but for what an import that was killed at its beginning left.
    Raises: OSError.

    A new disk, mounted there, has a folder lost+found.
    """
    if not folder.is_dir():
        return False
    entries = [entry for entry in folder.iterdir() if entry.name != "lost+found"]
    return all(
        entry.name == "cases" and entry.is_dir() and not any(entry.iterdir()) for entry in entries
    )


def _array(case: Case, name: str) -> npt.NDArray[Any]:
    """One of a case's arrays: mapped, or where a share maps no files, read."""
    try:
        return _mapped(case, name)
    except NotMappableError:
        return _read(case, name)


@lru_cache(maxsize=most_mapped())
def _mapped(case: Case, name: str) -> npt.NDArray[Any]:
    """One of a case's arrays, memory-mapped; those that are used most stay so, in this process."""
    try:
        return map_array(_expected(case, name))
    except (
        FaultError
    ):  # of files and memory there are too few: go without those that only may be used again
        _mapped.cache_clear()
        return map_array(_expected(case, name))


@lru_cache(maxsize=MOST_READ)
def _read(case: Case, name: str) -> npt.NDArray[Any]:
    return read_array(_expected(case, name))


def _expected(case: Case, name: str) -> Expected:
    slices, rows, columns = case.grid.shape
    if name == CT:
        kinds, shape = ("<i2", "<f4"), case.grid.shape
        return Expected(case.path / name, kinds, shape, case.sha256.get(name, ""))
    bits = (len(case.organs), slices, rows, -(-columns // 8))
    return Expected(case.path / name, ("|u1",), bits, case.sha256.get(name, ""))
