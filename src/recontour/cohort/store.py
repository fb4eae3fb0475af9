"""The cohort folder: one centre's patients, without anything that names them.

    COHORT/
      cohort.json            the centre's label and the format's version
      names.csv              what became of each ROI name
      left_out.csv           which patients could not be used, and why
      cases/CASE/case.json   grid, organs with volumes, hash of the structure set they came from, whether it is a draft,
                             and, where it is known, the patient's key
      cases/CASE/ct.npy      HU, (slice, row, column), exactly as rescaled
      cases/CASE/masks.npy   one bit a voxel, (organ, slice, row, column / 8)

Arrays are memory-mapped: a single slice is read without the rest. An organ that the patient's structure set does not
have is not in `Case.organs`: it is unknown, never background.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.dicom import is_tg263
from recontour.errors import CohortError, GridMismatchError, OrganError
from recontour.files import did_you_mean, whole_folder, write_text
from recontour.geometry import Grid

Mask = npt.NDArray[np.bool_]
FORMAT = "recontour cohort"
VERSION = 1
PATIENT_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{16}")  # the name of a salt, and a hash with it: cohort/patients.py
MOST_MAPPED = 400  # arrays at a time, two a case: each is an open file, of which a process often may have 1024


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
    is_draft: bool = False  # its contours are recontour's own: a model learns and proves nothing by them
    patient: str | None = None  # the patient's key, SALT-HASH, the same in all of the patient's cases; None: unknown

    @property
    def organs(self) -> tuple[str, ...]:
        """The organs that were contoured; any other is unknown."""
        return tuple(self.volumes_cc)

    @property
    def hu(self) -> npt.NDArray[Any]:
        """Hounsfield units, (slice, row, column), int16 or float32, memory-mapped read-only."""
        return _mapped(self, "ct.npy")

    @property
    def _bits(self) -> npt.NDArray[np.uint8]:
        return _mapped(self, "masks.npy")

    @cached_property
    def fingerprint(self) -> str:
        """What tells this CT from others in whatever cohort it lies: 16 hex digits of a hash of its voxels.

        It leads back to nothing: only who has the same CT can compute it.
        """
        return hashlib.sha256(self.hu.tobytes()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """Another one where the case was imported anew with another CT or other contours: 16 hex digits of a hash."""
        return hashlib.sha256((self.path / "case.json").read_bytes()).hexdigest()[:16]

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


class Cohort:
    """One centre's cases, in the order of their names."""

    def __init__(self, path: Path, centre: str, notices: Sequence[str] = ()) -> None:
        self.path = path
        self.centre = centre
        self.notices = tuple(notices)  # what everyone who uses it must know, such as that the patients are synthetic

    @classmethod
    def open(cls, path: Path) -> "Cohort":
        """Open a cohort folder.

        Raises: CohortError: no cohort there, or one of a newer recontour.
        """
        if not path.exists():
            hint = did_you_mean(path) or "; check the path, or make a cohort with `recontour import`"
            raise CohortError(f"{path}: no such folder{hint}")
        if path.is_file():
            raise CohortError(f"{path} is a file, and a cohort is a folder; check the order of what you name (--help)")
        about = _read_json(
            path / "cohort.json", f"{path} is not a cohort; make one with `recontour import {path} COHORT`"
        )
        if about.get("format") != FORMAT or not isinstance(about.get("centre"), str):
            raise CohortError(f"{path}/cohort.json is not a cohort's; make one with `recontour import`")
        if about.get("version") != VERSION:
            raise CohortError(
                f"{path} has cohort format {about.get('version')}, this recontour reads {VERSION}; "
                "import the DICOM again, or use the recontour that wrote it"
            )
        return cls(path, about["centre"], [str(notice) for notice in about.get("notices") or ()])

    @classmethod
    def open_or_create(cls, path: Path, centre: str, notices: Sequence[str] = ()) -> "Cohort":
        """Open a cohort folder, or make an empty one.

        Raises: CohortError: the folder holds something else, or the cohort of another centre.
        """
        if (path / "cohort.json").exists():
            cohort = cls.open(path)
            if cohort.centre != centre:
                raise CohortError(
                    f"{path} is the cohort of centre '{cohort.centre}', not of '{centre}'; "
                    "keep one folder a centre, or leave --centre out"
                )
            return cohort
        is_name = centre.strip() and len(centre) <= 64 and centre == Path(centre).name and centre[0] != "."
        if not is_name or not centre.isprintable() or "\\" in centre:  # DICOM parts text at a backslash
            raise CohortError(
                f"a centre's label becomes part of file names and of DICOM; {centre!r} cannot. Choose another --centre"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise CohortError(f"{path} exists and is not a cohort; choose a new folder")
        if path.exists():
            path.rmdir()  # empty: it comes back whole
        cohort = cls(path, centre, notices)
        with whole_folder(path) as folder:
            (folder / "cases").mkdir()
            cohort._describe(folder)
        return cohort

    def _describe(self, folder: Path) -> None:
        """Say in a folder whose cohort it is, unless it does."""
        if not (folder / "cohort.json").exists():
            about = {"format": FORMAT, "version": VERSION, "centre": self.centre, "notices": list(self.notices)}
            write_text(folder / "cohort.json", _to_json(about), replace=True)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The cases' names, sorted."""
        return tuple(sorted(entry.parent.name for entry in self.path.glob("cases/[!.]*/case.json")))

    def __contains__(self, case_id: str) -> bool:
        return (self.path / "cases" / case_id / "case.json").exists()

    def __len__(self) -> int:
        return len(self.case_ids)

    def __iter__(self) -> Iterator[Case]:
        return (self[case_id] for case_id in self.case_ids)

    def __getitem__(self, case_id: str) -> Case:
        """Raise CohortError where a case's files are missing or contradict each other."""
        path = self.path / "cases" / case_id
        about = _read_json(path / "case.json", f"{self.path} has no case '{case_id}'")
        try:
            grid = Grid(
                shape=tuple(about["grid"]["shape"]),
                spacing_mm=tuple(about["grid"]["spacing_mm"]),
                slice_z_mm=tuple(about["grid"]["slice_z_mm"]),
                origin_mm=tuple(about["grid"]["origin_mm"]),
            )
            volumes = {str(organ): float(volume) for organ, volume in about["volumes_cc"].items()}
            if not all(map(is_tg263, volumes)):
                raise ValueError("organs that are no TG-263 names")
            patient = _patient_key(about.get("patient"))
            return Case(case_id, path, grid, volumes, str(about["source_hash"]), bool(about.get("draft")), patient)
        except (KeyError, TypeError, ValueError, AttributeError, GridMismatchError) as error:
            raise CohortError(f"{path}/case.json is damaged ({error}); delete {path} and import again") from error

    @property
    def organs(self) -> tuple[str, ...]:
        """Every organ that at least one case has, sorted."""
        return tuple(sorted({organ for case in self for organ in case.organs}))

    @property
    def twins(self) -> list[tuple[str, ...]]:
        """Cases that have one CT to the voxel, as a patient exported twice has: their names, by CT."""
        return [tuple(case.id for case in alike) for alike in with_one_ct(self)]

    def chosen_organs(self, organs: Sequence[str] | None) -> tuple[str, ...]:
        """The organs to work on, each of which at least one case has; all there are if None.

        Raises: CohortError: no case, or none with contours. OrganError: organs that no case has.
        """
        present = self.organs  # read from every case: asked once
        if not present:
            raise CohortError(f"{self.path} has no contoured case; import some with `recontour import`")
        wanted = tuple(dict.fromkeys(present if organs is None else organs))
        if unknown := [organ for organ in wanted if organ not in present]:
            raise OrganError(f"{self.path} has no case with {', '.join(unknown)}; it has {', '.join(present)}")
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
        is_draft: whether they are recontour's own contours, as it wrote them. patient: the patient's key, if known.
        Raises: GridMismatchError: hu or a mask does not lie on the grid. CohortError: the case is there already.
        """
        for what, array in {"the CT": hu, **masks}.items():
            if array.shape != grid.shape:
                raise GridMismatchError(f"{case_id}: {what} has shape {array.shape}, its grid {grid.shape}")
        if case_id in self:
            raise CohortError(f"{self.path} has a case '{case_id}' already; delete its folder to replace it")
        about: dict[str, Any] = {
            "grid": {name: getattr(grid, name) for name in ("shape", "spacing_mm", "slice_z_mm", "origin_mm")},
            "volumes_cc": {organ: round(grid.volume_cc(mask), 4) for organ, mask in masks.items()},
            "source_hash": source_hash,
        }
        if is_draft:
            about["draft"] = True  # said of drafts alone, so that a person's contours keep their version
        if patient:
            about["patient"] = _patient_key(patient)
        with whole_folder(self.path / "cases" / case_id) as folder:
            np.save(folder / "ct.npy", np.ascontiguousarray(hu))
            np.save(folder / "masks.npy", np.stack([np.packbits(mask, axis=-1) for mask in masks.values()]))
            write_text(folder / "case.json", _to_json(about))
        self._describe(self.path)  # an import that found nobody may have removed a cohort without cases meanwhile
        return self[case_id]


def with_one_ct(cases: Iterable[Case]) -> list[list[Case]]:
    """Those of the cases, of whatever cohorts, that share their CT to the voxel with another: by CT."""
    by_grid: dict[Grid, list[Case]] = {}
    for case in cases:
        by_grid.setdefault(case.grid, []).append(case)
    by_ct: dict[str, list[Case]] = {}
    for case in (case for alike in by_grid.values() if len(alike) > 1 for case in alike):  # only these are read
        by_ct.setdefault(case.fingerprint, []).append(case)
    return [alike for alike in by_ct.values() if len(alike) > 1]


def _patient_key(key: Any) -> str | None:
    if key is not None and not (isinstance(key, str) and PATIENT_KEY.fullmatch(key)):
        raise ValueError("a patient key that is none")
    return key


def _to_json(what: Mapping[str, Any]) -> str:
    return json.dumps(what, indent=1) + "\n"


def _read_json(path: Path, if_absent: str) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CohortError(if_absent) from None
    except ValueError as error:
        raise CohortError(f"{path} is damaged ({error}); delete its folder and import again") from error
    if not isinstance(about, dict):
        raise CohortError(f"{path} is damaged (a JSON object is expected); delete its folder and import again")
    return about


@lru_cache(maxsize=MOST_MAPPED)
def _mapped(case: Case, name: str) -> npt.NDArray[Any]:
    """One of a case's arrays, memory-mapped; those that are used most stay so, in this process."""
    path, (slices, rows, columns) = case.path / name, case.grid.shape
    shape = {"ct.npy": case.grid.shape, "masks.npy": (len(case.organs), slices, rows, -(-columns // 8))}[name]
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except PermissionError as error:
        raise CohortError(f"{path} may not be read; check its permissions") from error
    except (OSError, ValueError) as error:
        raise CohortError(f"{path} cannot be read ({error}); delete its folder and import again") from error
    if array.shape != shape:
        raise CohortError(f"{path} has shape {array.shape}, case.json says {shape}; delete and import again")
    return array
