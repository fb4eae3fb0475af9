"""contours.json: which contours in a folder are of which CT series, and by what they were made."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from recontour.errors import OutputError
from recontour.files import UnreadableError, is_name, machine_fault, read_file, write_text
from recontour.organs import Template
from recontour.validation import ExpectedError, Sha256, first_mistake
from recontour.workflows.findings import DamagedContourList, OtherContours

LIST = "contours.json"
MOST_LIST_BYTES = 64 * 2**20
_STRICT = ConfigDict(extra="forbid")


def _a_name(words: str) -> str:
    if not is_name(words):
        raise ExpectedError("the name of a file in this folder")
    return words


Key = Annotated[str, Strict(), Field(pattern="^[0-9a-f]{16}$")]
FileName = Annotated[str, Strict(), AfterValidator(_a_name)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class MadeBy:
    """What contours depend on besides the CT.

    model: its SHA-256. organs: TG-263 names. names: the SHA-256 of the template.
    """

    model: Sha256
    organs: tuple[str, ...]
    format: Literal["rtstruct", "seg", "nifti"]
    names: Sha256

    @classmethod
    def of(
        cls,
        model: str,
        organs: tuple[str, ...],
        format: Literal["rtstruct", "seg", "nifti"],
        template: Template,
    ) -> "MadeBy":
        """Return what contours are made by."""
        written = asdict(template) | {"path": None}
        del written["lines"]  # for messages only
        digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode())
        return cls(
            model=model,
            organs=organs,
            format=format,
            names=digest.hexdigest(),
        )


@dataclass(frozen=True, slots=True, config=_STRICT)
class ContourList:
    """The contours of a folder. files: by the hash of a series and its images."""

    made_by: MadeBy
    files: dict[Key, FileName]


def read_list(out: Path, made_by: MadeBy) -> ContourList:
    """Read the list of a folder; an empty one if there is none.

    Raises: OutputError: it is damaged, or contours were made by something else. FaultError: it
        cannot be read.
    """
    path = out / LIST
    try:
        content = json.loads(read_file(path, MOST_LIST_BYTES))
        listed = TypeAdapter(ContourList).validate_python(content)
    except FileNotFoundError:
        return ContourList(made_by=made_by, files={})
    except OSError as error:
        raise machine_fault(path, error) from error
    except UnreadableError as error:
        raise OutputError(DamagedContourList(path=path, why=error.finding)) from error
    except ValidationError as error:
        why = first_mistake(error, ContourList)
        raise OutputError(DamagedContourList(path=path, why=why)) from error
    except (ValueError, RecursionError) as error:
        raise OutputError(DamagedContourList(path=path)) from error
    changed = []
    for field in fields(MadeBy):
        if getattr(listed.made_by, field.name) != getattr(made_by, field.name):
            changed.append(field.name)
    if changed:
        raise OutputError(OtherContours(path=out, changed=tuple(changed)))
    return listed


def write_list(out: Path, listed: ContourList) -> None:
    """Write the list of a folder in place of an earlier one."""
    write_text(out / LIST, json.dumps(asdict(listed), indent=1) + "\n", replace=True)
