"""cohort.json and case.json: what they may hold, and how they are read.

A cohort may come from elsewhere. Each file is checked whole before anything is built from it: every
number has bounds, every name that becomes a path stays within its folder, and a pipe in place of a
file does not block.
"""

import errno
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from recontour.cohort.acquisition import (
    FIELD_OF_VIEW_MM,
    KVP,
    MOST_KERNEL_LETTERS,
    SLICE_THICKNESS_MM,
    Contrast,
)
from recontour.cohort.findings import DamagedCohortFile, End, NoReadPermission
from recontour.errors import CohortError, FaultError
from recontour.files import SystemReason, UnreadableError, is_name, machine_fault, read_file
from recontour.findings import Finding, Unexpected
from recontour.organs import OrganName
from recontour.validation import (
    ExpectedError,
    PatientKey,
    Sha256,
    TissueProfile,
    first_mistake,
)

FORMAT = "recontour cohort"
MOST_RECORD_BYTES = 1 << 22  # of a JSON file: the grid of 4096 slices takes 100 kB
MOST_ALONG = 4096  # voxels along one axis
MOST_VOXELS = 1024 * 512 * 512  # the largest CT that is imported
MOST_VOLUMES = 500
MOST_CASES = 20_000
CASE_LETTERS = 100  # of a case's name: the centre's label, a hyphen and a hash
MOST_ROI_LETTERS = 64  # as DICOM allows (LO)
# What the system reports about a file that is missing, as opposed to a machine that fails.
NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def _centre(words: str) -> str:
    if not is_name(words):
        raise ExpectedError("a centre's label that can become part of file names")
    return words


def _case_name(words: str) -> str:
    if not is_name(words, CASE_LETTERS):
        raise ExpectedError("a case's name")
    return words


def _few(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if prod(shape) > MOST_VOXELS:
        raise ExpectedError(f"at most {MOST_VOXELS:,} voxels")
    return shape


Along = Annotated[int, Field(ge=1, le=MOST_ALONG)]
Shape = Annotated[tuple[Along, Along, Along], AfterValidator(_few)]
# Place and Step are in mm, Volume is in cc.
Place = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Step = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]
Volume = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Volumes = Annotated[dict[OrganName, Volume], Field(max_length=MOST_VOLUMES)]
Kvp = Annotated[float, Field(ge=KVP[0], le=KVP[1])]
Thickness = Annotated[float, Field(ge=SLICE_THICKNESS_MM[0], le=SLICE_THICKNESS_MM[1])]
FieldOfView = Annotated[float, Field(ge=FIELD_OF_VIEW_MM[0], le=FIELD_OF_VIEW_MM[1])]
RoiName = Annotated[str, Field(max_length=MOST_ROI_LETTERS)]
SliceIndex = Annotated[int, Field(ge=0, lt=MOST_ALONG)]
EndsRecord = Annotated[dict[OrganName, list[End]], Field(max_length=MOST_VOLUMES)]
CaseName = Annotated[str, AfterValidator(_case_name)]
# SALT-HASH of a folder's path; of earlier versions, 8 digits of a hash without a salt.
ARCHIVE_ID = r"[0-9a-f]{8}(-[0-9a-f]{16})?"
ArchiveId = Annotated[str, Field(pattern=f"^{ARCHIVE_ID}$")]
CohortId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
CaseNames = Annotated[list[CaseName], Field(max_length=MOST_CASES)]
TableName = Literal["names.csv", "left_out.csv"]
Notice = Annotated[str, Field(max_length=2000)]
Notices = Annotated[list[Notice], Field(max_length=100)]


def _both_ends(stored: Any) -> Any:
    """Return what a list of organs, as it was stored before the first release, stands for."""
    if not isinstance(stored, list) or not all(isinstance(organ, str) for organ in stored):
        return stored
    return {organ: ["below", "above"] for organ in stored}


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class CohortRecord(_Record):
    """cohort.json. Cohorts of earlier versions have no id."""

    centre: Annotated[str, AfterValidator(_centre)]
    notices: Notices | None = None
    id: CohortId | None = None


class FormatRecord(_Record):
    """The format of cohort.json; it is read first, since a newer one may hold anything else."""

    format: str = ""
    version: int = 0


class GridRecord(_Record):
    """A case's grid; lengths in mm."""

    shape: Shape
    spacing_mm: tuple[Step, Step]
    slice_z_mm: Annotated[tuple[Place, ...], Field(max_length=MOST_ALONG)]
    origin_mm: tuple[Place, Place]


class Digests(_Record):
    """SHA-256 of a case's files in hexadecimal, as `sha256sum` prints it."""

    ct: Annotated[Sha256, Field(alias="ct.npy")]
    masks: Annotated[Sha256, Field(alias="masks.npy")]


class OriginRecord(_Record):
    """Where a CT was made; see `cohort.case.Origin`."""

    institution: PatientKey | None = None
    maker: Annotated[str, Field(max_length=64)] = ""
    model: Annotated[str, Field(max_length=64)] = ""
    elsewhere: bool = False


class AcquisitionRecord(_Record):
    """How a CT was acquired; see cohort/acquisition.py."""

    kvp: Kvp | None = None
    slice_thickness_mm: Thickness | None = None
    field_of_view_mm: FieldOfView | None = None
    kernel: Annotated[str, Field(max_length=MOST_KERNEL_LETTERS)] = ""
    contrast: Contrast | None = None


class TraitsRecord(_Record):
    """What a person should know of a case's contours; see cohort/traits.py."""

    misplaced: Annotated[
        list[OrganName],
        # The name before the first release.
        Field(max_length=MOST_VOLUMES, validation_alias=AliasChoices("misplaced", "swapped")),
    ] = []
    sides_confirmed: bool = False
    cut: EndsRecord = {}
    cord_mm2: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = None
    cord_confirmed: bool = False
    partly_contoured: Annotated[
        EndsRecord,
        # The name before the first release.
        Field(validation_alias=AliasChoices("partly_contoured", "partly_drawn")),
    ] = {}
    contoured_whole: Annotated[EndsRecord, BeforeValidator(_both_ends)] = {}
    shown: Annotated[
        dict[OrganName, tuple[SliceIndex, SliceIndex]], Field(max_length=MOST_VOLUMES)
    ] = {}
    shares_uid: bool = False


class CaseRecord(_Record):
    """case.json. Cases of earlier versions lack what was not stored then."""

    grid: GridRecord
    volumes_cc: Volumes
    source_hash: Annotated[str, Field(max_length=128)]
    draft: bool = False
    phantom: bool = False
    sha256: Digests | None = None
    patient: PatientKey | None = None
    tissue_hu: TissueProfile | None = None
    origin: OriginRecord = OriginRecord()
    acquisition: AcquisitionRecord = AcquisitionRecord()
    roi_names: Annotated[dict[OrganName, RoiName], Field(max_length=MOST_VOLUMES)] = {}
    traits: TraitsRecord = TraitsRecord()


class ChangeRecord(_Record):
    """A change of a cohort that was decided; see cohort/journal.py."""

    removed: CaseNames = []
    replaced: CaseNames = []


class DoneImportRecord(_Record):
    """An import that changed any case; see cohort/history.py.

    added: what it was to add, or added. tables: names.csv and left_out.csv as they were before;
    empty for none, None for one that is too large to keep.
    """

    archive: Annotated[str, Field(max_length=128)] = ""
    is_finished: bool = False
    added: CaseNames = []
    replaced: CaseNames = []
    tables: dict[TableName, str | None] = {}


class ImportsRecord(_Record):
    """imports.json.

    last: the import that is undone next. earlier: those before it, the newest last. not_applied:
    the cases to which the map of the last import was not applied. archives: salted hashes of the
    paths of the folders that were imported.
    """

    last: DoneImportRecord | None = None
    earlier: Annotated[list[DoneImportRecord], Field(max_length=MOST_CASES)] = []
    not_applied: CaseNames = []
    archives: Annotated[list[ArchiveId], Field(max_length=MOST_CASES)] = []


Record = TypeVar("Record", bound=_Record)


def read_record(kind: type[Record], path: Path) -> Record:
    """Read a record from its file.

    Raises:
        CohortError: the file is damaged, or may not be read.
        FaultError: the machine failed.
    """
    try:
        return kind.model_validate_json(read_file(path, MOST_RECORD_BYTES))
    except ValidationError as error:
        raise damaged(path, first_mistake(error, kind)) from error
    except (OSError, ValueError) as error:
        raise refused(path, error) from error


def refused(path: Path, error: OSError | ValueError) -> CohortError | FaultError:
    """Return why a file of a cohort cannot be used.

    The error advises to replace the file only if the file itself is damaged.
    """
    if isinstance(error, UnreadableError):
        return damaged(path, error.finding)
    if not isinstance(error, OSError):
        return damaged(path, Unexpected(reason=str(error)))
    if isinstance(error, PermissionError):
        return CohortError(NoReadPermission(path=path))
    if error.errno in NOT_THERE:
        return damaged(path, SystemReason(number=error.errno))
    return machine_fault(path, error)


def damaged(path: Path, why: Finding) -> CohortError:
    """Return the error of a file that is not what recontour wrote."""
    folder = path.parent
    is_of_a_case = folder.parent.name == "cases"
    return CohortError(
        DamagedCohortFile(
            path=folder,
            case=folder.name if is_of_a_case else None,
            file=path.name,
            why=why,
        )
    )
