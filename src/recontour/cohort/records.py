"""cohort.json and case.json: what may stand in them, and how they are read and refused.

A cohort may come from elsewhere. Each file is checked whole before anything is built from it: every
number has bounds, every name that becomes a path stays within its folder, and a pipe in place of a
file is not waited for.
"""

import errno
from math import prod
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from recontour.errors import CohortError, FaultError
from recontour.files import is_name, machine_fault, read_file
from recontour.organs import is_tg263
from recontour.validation import PatientKey, Sha256

FORMAT = "recontour cohort"
MOST_BYTES = 1 << 22  # of a JSON file: the grid of 4096 slices takes 100 kB
MOST_ALONG = 4096  # voxels along one axis
MOST_VOXELS = 1024 * 512 * 512  # as of the CTs that are imported
MOST_ORGANS = 500
WORDS_SHOWN = 200  # of what is wrong
NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
MOVE_AWAY = "move the case's folder out of the cohort, then import the patient again"


def _organ(words: str) -> str:
    if not is_tg263(words):
        raise ValueError("not a TG-263 name")
    return words


def _centre(words: str) -> str:
    if not is_name(words):
        raise ValueError("a centre's label becomes part of file names, and this one cannot be")
    return words


def _few(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if prod(shape) > MOST_VOXELS:
        raise ValueError(f"more than {MOST_VOXELS:,} voxels")
    return shape


Along = Annotated[int, Field(ge=1, le=MOST_ALONG)]
Place = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]  # mm
Step = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]  # mm
Volume = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]  # cc
Organ = Annotated[str, AfterValidator(_organ)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class CohortRecord(_Record):
    """cohort.json."""

    centre: Annotated[str, AfterValidator(_centre)]
    notices: (
        Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=100)] | None
    ) = None


class FormatRecord(_Record):
    """What cohort.json says of itself:

    looked at first, since a newer one may hold anything else.
    """

    format: str = ""
    version: int = 0


class GridRecord(_Record):
    """A case's grid; all of it in mm."""

    shape: Annotated[tuple[Along, Along, Along], AfterValidator(_few)]
    spacing_mm: tuple[Step, Step]
    slice_z_mm: Annotated[tuple[Place, ...], Field(max_length=MOST_ALONG)]
    origin_mm: tuple[Place, Place]


class Digests(_Record):
    """SHA-256 of a case's files, in hexadecimal, as `sha256sum` prints it."""

    ct: Annotated[Sha256, Field(alias="ct.npy")]
    masks: Annotated[Sha256, Field(alias="masks.npy")]


class CaseRecord(_Record):
    """case.json. Cases that were imported before there were digests have none."""

    grid: GridRecord
    volumes_cc: Annotated[dict[Organ, Volume], Field(max_length=MOST_ORGANS)]
    source_hash: Annotated[str, Field(max_length=128)]
    draft: bool = False
    sha256: Digests | None = None
    patient: PatientKey | None = None


Record = TypeVar("Record", bound=_Record)


def read_record(kind: type[Record], path: Path) -> Record:
    """A record that a file holds. Raises: as `refused`."""
    try:
        return kind.model_validate_json(read_file(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise refused(path, error) from error


def refused(path: Path, error: OSError | ValueError) -> CohortError | FaultError:
    """Why a file of a cohort cannot be used.

    Only of one that is damaged itself it is said how to replace it.
    """
    if isinstance(error, ValidationError):
        return damaged(path, _first(error))
    if not isinstance(error, OSError):
        return damaged(path, str(error))
    if isinstance(error, PermissionError):
        return CohortError(
            f"{path} may not be read; check its permissions, and those of the folders above it"
        )
    if error.errno in NOT_THERE:
        return damaged(path, error.strerror or str(error))
    return machine_fault(path, error)


def damaged(path: Path, why: str) -> CohortError:
    """The error of a file that is not what was written."""
    remedy = (
        "restore it from a copy, or import into a new cohort"
        if path.name == "cohort.json"
        else MOVE_AWAY
    )
    return CohortError(f"{path} is damaged ({why}); {remedy}")


def _first(error: ValidationError) -> str:
    """The first thing that is wrong with a record, and where."""
    found = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, found["loc"]))
    why = found["msg"].removeprefix("Value error, ")
    return (f"{where}: {why}" if where else why)[:WORDS_SHOWN]
