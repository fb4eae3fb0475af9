"""The cohort folder: one centre's patients, without anything that names them.

    COHORT/
      cohort.json            the centre's label, a random id, and the format's version
      names.csv              what became of each ROI name
      left_out.csv           which patients could not be used, and why
      imports.json           what the last import did, so that it can be undone
      cases/CASE/case.json   grid, organs with volumes, hash of the structure set, whether it is a
                             draft, the CT's tissue profile, and SHA-256 of the two arrays'
                             files; if known, the patient's key, where the CT was made, and how each
                             organ is spelt; what a person should know of the contours (traits.py)
      cases/CASE/ct.npy      HU, (slice, row, column), exactly as rescaled
      cases/CASE/masks.npy   one bit per voxel, (organ, slice, row, column / 8)

Arrays are memory-mapped: a single slice is read without the rest. When a process first opens an
array, all of it is compared with its SHA-256, and a case that has changed is refused. An organ that
the patient's structure set lacks is not in `Case.organs`: it is unknown, never background.
"""

import json
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.cohort.acquisition import UNKNOWN_ACQUISITION, Acquisition
from recontour.cohort.arrays import check_array, write_array
from recontour.cohort.case import (
    CT_FILE,
    MASKS_FILE,
    UNKNOWN_ORIGIN,
    Case,
    Origin,
    similar_case,
    with_one_ct,
)
from recontour.cohort.findings import (
    ExistingCase,
    FileInsteadOfCohort,
    ImpossibleGrid,
    InvalidCaseName,
    InvalidCentreLabel,
    NoContouredCase,
    NoReadPermission,
    NoSuchCase,
    NotACohort,
    NothingContoured,
    OrgansNotInCohort,
    UnreadableFolder,
    UnsupportedCohortFormat,
    WrongCentre,
)
from recontour.cohort.history import read_history
from recontour.cohort.journal import finish
from recontour.cohort.partly import Ends
from recontour.cohort.records import (
    CASE_LETTERS,
    FORMAT,
    AcquisitionRecord,
    CaseRecord,
    CohortRecord,
    FormatRecord,
    OriginRecord,
    TraitsRecord,
    damaged,
    read_record,
    refused,
)
from recontour.cohort.tissue import tissue_profile
from recontour.cohort.traits import NO_ENDS, Traits, as_stored, traits_of
from recontour.errors import CohortError, GridMismatchError, OrganError, OutputError
from recontour.files import (
    NotFound,
    SystemReason,
    is_name,
    output_error,
    similar_path,
    whole_folder,
    write_text,
)
from recontour.findings import Finding
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.geometry.findings import WrongShape
from recontour.organs import organs_meant
from recontour.partials import sweep
from recontour.progress import Progress, quiet
from recontour.syncing import sync_folder
from recontour.wording import printable

VERSION = 1
ID_BYTES = 8
FROM_SYSTEMS = "@#$"  # how the names of a share's index or bin begin
GRID_FIELDS = ("shape", "spacing_mm", "slice_z_mm", "origin_mm")


@dataclass(frozen=True, slots=True)
class DamagedCase:
    """A case that cannot be used, and why."""

    id: str
    finding: Finding


class Cohort:
    """One centre's cases, in the order of their names.

    notices: what everyone who uses it must know, for example that the patients are synthetic. id:
    random, and kept for good, so that its page is known again; None in one of an earlier version.

    Examples:
        >>> import recontour
        >>> cohort = recontour.Cohort.open("north-train")
        >>> cohort.centre, cohort.organs, len(cohort)
        ('north', ('Brainstem', 'Lens_L'), 2)
        >>> case = next(iter(cohort))
        >>> case.hu.shape == case.mask("Brainstem").shape
        True
    """

    def __init__(
        self,
        path: Path,
        centre: str,
        notices: Sequence[str] = (),
        id: str | None = None,
    ) -> None:
        self.path = path
        self.centre = centre
        self.notices = tuple(notices)
        self.id = id
        self._hidden: frozenset[str] = frozenset()

    @classmethod
    def open(cls, path: Path | str) -> "Cohort":
        """Open a cohort folder.

        Raises: CohortError: there is no cohort, or one of another recontour's format.
        """
        path = Path(path)
        _refuse_no_folder(path)
        finish(path)
        place = path / "cohort.json"
        if not os.path.lexists(place):
            raise CohortError(NotACohort(path=path))
        header = read_record(FormatRecord, place)
        if header.format != FORMAT:
            raise CohortError(NotACohort(path=path))
        if header.version != VERSION:
            raise CohortError(
                UnsupportedCohortFormat(path=path, version=header.version, readable=VERSION)
            )
        record = read_record(CohortRecord, place)
        notices = map(printable, record.notices or ())
        return cls(path, record.centre, tuple(notices), record.id)

    @staticmethod
    def is_at(path: Path) -> bool:
        """Return whether a folder holds a cohort, sound or not."""
        return os.path.lexists(path / "cohort.json")

    @classmethod
    def open_or_create(
        cls,
        path: Path,
        centre: str,
        notices: Sequence[str] = (),
    ) -> "Cohort":
        """Open a cohort folder, or make an empty one.

        Raises: CohortError: the folder holds something else, or the cohort of another centre.
        """
        sweep(path)
        sweep(path / "cases")
        if cls.is_at(path):
            cohort = cls.open(path)
            if cohort.centre != centre:
                raise CohortError(
                    WrongCentre(
                        path=path,
                        centre=cohort.centre,
                        wanted=centre,
                    )
                )
            return cohort
        if not is_name(centre):
            raise CohortError(InvalidCentreLabel(label=centre))
        cohort = cls(path, centre, notices, secrets.token_hex(ID_BYTES))
        try:
            cohort._create()
        except OutputError:
            if not cls.is_at(path):
                raise
            return cls.open_or_create(path, centre, notices)  # another import made it meanwhile
        return cohort

    def _create(self) -> None:
        """Make the folder, whole or not at all; or fill an empty one in its place.

        An empty folder may be a link, or a disk of its own, which nothing can replace. There,
        cohort.json comes last, and makes it a cohort.
        """
        if not os.path.lexists(self.path):
            with whole_folder(self.path) as folder:
                (folder / "cases").mkdir()
                self._describe(folder)
            return
        try:
            if not _is_vacant(self.path):
                raise CohortError(NotACohort(path=self.path, is_taken=True))
            (self.path / "cases").mkdir(exist_ok=True)
            sync_folder(self.path)
        except OSError as error:
            raise output_error(self.path, error) from error
        self._describe(self.path)

    def _describe(self, folder: Path) -> None:
        """Write cohort.json into a folder that has none."""
        place = folder / "cohort.json"
        if place.exists():
            return
        content = {
            "format": FORMAT,
            "version": VERSION,
            "centre": self.centre,
            "notices": list(self.notices),
        }
        if self.id:
            content["id"] = self.id
        write_text(place, _to_json(content), replace=True)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Return the cases' names, sorted, also of damaged cases.

        Raises: CohortError: they cannot be listed.
        """
        cases = self.path / "cases"
        try:
            with os.scandir(cases) as entries:
                found = {entry.name for entry in filter(self._is_case, entries)}
                return tuple(sorted(found - self._hidden))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise refused(cases, error) from error

    def _is_case(self, entry: "os.DirEntry[str]") -> bool:
        """Return whether an entry among the cases is one, sound or not.

        Files that systems and shares put into every folder do not count.
        """
        if entry.name.startswith("."):
            return False
        if re.fullmatch(re.escape(self.centre) + "-[0-9a-f]{8}", entry.name):
            return True  # even if it is a file, or a link to nothing
        if entry.name[0] in FROM_SYSTEMS:
            return os.path.lexists(Path(entry.path, "case.json"))
        return entry.is_dir() or entry.is_symlink()

    def __contains__(self, case_id: str) -> bool:
        return is_name(case_id, CASE_LETTERS) and os.path.lexists(self._folder_of(case_id))

    def __len__(self) -> int:
        return len(self.case_ids)

    def __iter__(self) -> Iterator[Case]:
        return map(self.__getitem__, self.case_ids)

    def __getitem__(self, case_id: str) -> Case:
        """Return a case; its voxels are checked when they are first used.

        Raises:
            CohortError: there is no such case, or its files contradict each other.
            FaultError: the machine failed.
        """
        if not is_name(case_id, CASE_LETTERS):
            raise CohortError(InvalidCaseName(path=self.path, name=case_id))
        path = self._folder_of(case_id)
        if not os.path.lexists(path):
            raise CohortError(self._no_such_case(case_id))
        place = path / "case.json"
        record = read_record(CaseRecord, place)
        try:
            grid = Grid(**record.grid.model_dump())
        except GridMismatchError as error:
            raise damaged(place, ImpossibleGrid(why=error.finding)) from error
        digests = record.sha256.model_dump(by_alias=True) if record.sha256 else {}
        case = Case(
            id=case_id,
            path=path,
            grid=grid,
            volumes_cc=record.volumes_cc,
            source_hash=record.source_hash,
            is_draft=record.draft,
            is_phantom=record.phantom,
            sha256=digests,
            patient=record.patient,
            origin=_origin_of(record.origin),
            acquisition=_acquisition_of(record.acquisition),
            roi_names={organ: printable(name) for organ, name in record.roi_names.items()},
            tissue_hu=record.tissue_hu or (),
            traits=_traits_of(record.traits),
        )
        states = {
            CT_FILE: check_array(case.expected_ct),
            MASKS_FILE: check_array(case.expected_masks),
        }
        return replace(case, files=states)

    def _no_such_case(self, name: str) -> NoSuchCase:
        """Return the error for a case that is not here, with the one that may be meant."""
        present = self.case_ids
        meant = similar_case(name, present) or ""
        return NoSuchCase(path=self.path, name=name, present=present, meant=meant)

    def _folder_of(self, case_id: str) -> Path:
        return self.path / "cases" / case_id

    def examined(
        self, progress: Progress = quiet
    ) -> tuple[tuple[Case, ...], tuple[DamagedCase, ...]]:
        """Return the sound cases and the damaged ones, after a check of every voxel."""
        sound: list[Case] = []
        unsound: list[DamagedCase] = []
        names = self.case_ids
        for done, case_id in enumerate(names):
            progress("examining", done, len(names), case_id)
            try:
                case = self[case_id]
                case.examine()
            except CohortError as error:
                unsound.append(DamagedCase(case_id, error.finding))
            else:
                sound.append(case)
        progress("examining", len(names), len(names), "")
        return tuple(sound), tuple(unsound)

    @property
    def readable(self) -> tuple[Case, ...]:
        """Return the cases that can be read; a damaged one is reported where it is used."""
        found = []
        for case_id in self.case_ids:
            with suppress(CohortError):
                found.append(self[case_id])
        return tuple(found)

    @property
    def organs(self) -> tuple[str, ...]:
        """Return every organ that at least one case has, sorted."""
        found: set[str] = set()
        for case in self:
            found.update(case.organs)
        return tuple(sorted(found))

    @property
    def not_applied(self) -> tuple[str, ...]:
        """Return the cases that the last import's map of names would give other organs."""
        with suppress(CohortError):  # an import, not everyone, reports that its history is damaged
            return tuple(filter(self.__contains__, read_history(self.path).not_applied))
        return ()

    @property
    def twins(self) -> list[tuple[str, ...]]:
        """Return the names of cases that share a CT, or nearly: a patient exported twice."""
        found = []
        for alike in with_one_ct(self):
            found.append(tuple(case.id for case in alike))
        return found

    def chosen_organs(self, organs: Sequence[str] | None) -> tuple[str, ...]:
        """Return the organs to work on, each contoured in at least one case; if None, all of them.

        Raises:
            CohortError: no case, or none with contours.
            OrganError: no case has some of the organs.
        """
        present = self.organs
        if not present:
            raise CohortError(NoContouredCase(path=self.path))
        if organs is None:
            return present
        if isinstance(organs, str):
            organs = (organs,)
        wanted = tuple(dict.fromkeys(organs))
        missing = tuple(organ for organ in wanted if organ not in present)
        if missing:
            raise OrganError(
                OrgansNotInCohort(
                    path=self.path,
                    present=present,
                    missing=missing,
                    meant=organs_meant(missing[0], present),
                )
            )
        return wanted

    def without(self, case_ids: Collection[str]) -> "Cohort":
        """Return the same cohort as if it lacked some cases."""
        smaller = Cohort(self.path, self.centre, self.notices, self.id)
        smaller._hidden = self._hidden.union(case_ids)
        return smaller

    def cases_with(self, organs: Collection[str]) -> list[Case]:
        """Return the cases in which at least one of the organs was contoured."""
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
        is_phantom: bool = False,
        patient: str | None = None,
        origin: Origin = UNKNOWN_ORIGIN,
        acquisition: Acquisition = UNKNOWN_ACQUISITION,
        roi_names: Mapping[str, str] | None = None,
        partial: Ends = NO_ENDS,
        shares_uid: bool = False,
        whole: Ends = NO_ENDS,
        sides_confirmed: bool = False,
        cord_confirmed: bool = False,
    ) -> Case:
        """Store a case; it appears whole or not at all.

        hu: int16 or float32, (slice, row, column). masks: bool of the same shape, by TG-263 name.
        is_draft: whether they are recontour's own contours, unchanged. is_phantom: whether the CT
        shows recontour's phantom. patient: the patient's key, if known. origin, acquisition,
        roi_names: as of a `Case`. partial: by organ, the ends beyond which it goes on without
        contours. whole: likewise, those beyond which a person said that it does not. shares_uid:
        another structure set, with other content, has this one's UID. sides_confirmed: a person
        said that left and right are named correctly. cord_confirmed: a person said that SpinalCord
        is the cord, and not the canal.
        Raises:
            GridMismatchError: hu or a mask does not lie on the grid.
            CohortError: the case exists already, or there is no mask, or one that marks nothing.
        """
        _refuse_other_shapes(case_id, hu, grid, masks)
        _refuse_nothing_contoured(case_id, masks)
        if not is_name(case_id, CASE_LETTERS):
            raise CohortError(InvalidCaseName(name=case_id, is_new=True))
        if case_id in self:
            raise CohortError(ExistingCase(path=self.path, case=case_id))
        record: dict[str, Any] = {
            "grid": {name: getattr(grid, name) for name in GRID_FIELDS},
            "volumes_cc": {organ: round(grid.volume_cc(mask), 4) for organ, mask in masks.items()},
            "source_hash": source_hash,
            "tissue_hu": tissue_profile(hu),
        }
        # A person's contours have no such field, so that their version stays what it was.
        if is_draft:
            record["draft"] = True
        if is_phantom:
            record["phantom"] = True
        if patient:
            record["patient"] = patient
        known = {name: value for name, value in asdict(origin).items() if value}
        if known:
            record["origin"] = known
        if acquisition.known():
            record["acquisition"] = acquisition.known()
        if roi_names:
            record["roi_names"] = dict(roi_names)
        confirmed = {organ: ends for organ, ends in whole.items() if organ in masks}
        found = replace(
            traits_of(masks, grid, partial),
            sides_confirmed=sides_confirmed,
            cord_confirmed=cord_confirmed,
            contoured_whole=confirmed,
            shares_uid=shares_uid,
        )
        traits = as_stored(found)
        if traits:
            record["traits"] = traits
        packed = [np.packbits(mask, axis=-1) for mask in masks.values()]
        with whole_folder(self._folder_of(case_id)) as folder:
            record["sha256"] = {
                CT_FILE: write_array(folder / CT_FILE, hu),
                MASKS_FILE: write_array(folder / MASKS_FILE, np.stack(packed)),
            }
            (folder / "case.json").write_text(_to_json(record), encoding="utf-8")
        # An import that found nobody may have removed the cohort meanwhile.
        self._describe(self.path)
        return self[case_id]

    def adopt(self, case_id: str, other: "Cohort") -> None:
        """Take a case over from another cohort on the same disk; it appears whole or not at all.

        Raises: OutputError: the case exists already.
        """
        with whole_folder(self._folder_of(case_id)) as folder:
            for path in other._folder_of(case_id).iterdir():
                path.rename(folder / path.name)
        self._describe(self.path)


def _origin_of(record: OriginRecord) -> Origin:
    return Origin(
        institution=record.institution,
        maker=printable(record.maker),
        model=printable(record.model),
        elsewhere=record.elsewhere,
    )


def _acquisition_of(record: AcquisitionRecord) -> Acquisition:
    return Acquisition(
        kvp=record.kvp,
        slice_thickness_mm=record.slice_thickness_mm,
        field_of_view_mm=record.field_of_view_mm,
        kernel=printable(record.kernel),
        contrast=record.contrast,
    )


def _traits_of(record: TraitsRecord) -> Traits:
    return Traits(
        misplaced=tuple(record.misplaced),
        sides_confirmed=record.sides_confirmed,
        cut={organ: tuple(ends) for organ, ends in record.cut.items()},
        cord_mm2=record.cord_mm2,
        cord_confirmed=record.cord_confirmed,
        partly_contoured={organ: tuple(ends) for organ, ends in record.partly_contoured.items()},
        contoured_whole={organ: tuple(ends) for organ, ends in record.contoured_whole.items()},
        shown=record.shown,
        shares_uid=record.shares_uid,
    )


def _refuse_other_shapes(
    case_id: str,
    hu: npt.NDArray[Any],
    grid: Grid,
    masks: Mapping[str, Mask],
) -> None:
    """Raise GridMismatchError if the CT or a mask does not lie on the grid."""
    if hu.shape != grid.shape:
        wrong = WrongShape(
            case=case_id,
            what="CT",
            shape=hu.shape,
            expected=grid.shape,
        )
        raise GridMismatchError(wrong)
    for organ, mask in masks.items():
        if mask.shape != grid.shape:
            wrong = WrongShape(
                case=case_id,
                organ=organ,
                what="mask",
                shape=mask.shape,
                expected=grid.shape,
            )
            raise GridMismatchError(wrong)


def _refuse_nothing_contoured(case_id: str, masks: Mapping[str, Mask]) -> None:
    """Raise CohortError if there is no mask, or one that marks no voxel."""
    empty = tuple(organ for organ, mask in masks.items() if not mask.any())
    if empty or not masks:
        raise CohortError(NothingContoured(case=case_id, empty=empty))


def _to_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def _refuse_no_folder(path: Path) -> None:
    """Raise CohortError where a path is no folder."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        missing = NotFound(
            path=path,
            expected="a cohort",
            otherwise="check the path, or make a cohort with `recontour import`",
            similar=similar_path(path),
        )
        raise CohortError(missing) from None
    except PermissionError as error:
        raise CohortError(NoReadPermission(path=path)) from error
    except OSError as error:
        reason = SystemReason(number=error.errno)
        raise CohortError(UnreadableFolder(path=path, why=reason)) from error
    if not stat.S_ISDIR(mode):
        raise CohortError(FileInsteadOfCohort(path=path))


def _is_vacant(folder: Path) -> bool:
    """Return whether a folder is empty, except for what an import that was killed early left.

    A newly mounted disk has a folder lost+found. Raises: OSError.
    """
    return folder.is_dir() and all(map(_is_negligible, folder.iterdir()))


def _is_negligible(entry: Path) -> bool:
    if entry.name == "lost+found":
        return True
    return entry.name == "cases" and entry.is_dir() and not any(entry.iterdir())
