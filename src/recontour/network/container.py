"""The safetensors file as such: its header is read and checked first, its tensors when the caller
knows their shapes.

A header may claim anything: more bytes than there are, shapes of exabytes, nested lists without
    end. It is bounded before it is read, and nothing is allocated by what it claims. Whether
    offsets overlap or leave gaps is safetensors' own check, which comes with the tensors.
"""

import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import safetensors.torch
from pydantic import Field, Strict, TypeAdapter, ValidationError
from torch import Tensor

from recontour.errors import FaultError, ModelFileError
from recontour.files import MENDABLE, did_you_mean, machine_fault
from recontour.network.cost import BYTES, MOST_PARAMETERS
from recontour.network.description import NotJsonError, strict_json

MOST_HEADER_BYTES = (
    8 << 20
)  # a model of a thousand tensors and of ten thousand patients has less than one MiB
MOST_BYTES = BYTES * MOST_PARAMETERS + (
    64 << 20
)  # normalisation statistics and the header come on top
MOST_TENSORS = 20_000  # `paper` with its parent whole has 1300
LENGTH = struct.Struct("<Q")  # of the header, before it
DTYPES = {"F32": "torch.float32", "I64": "torch.int64"}  # all that a network has

Text = Annotated[str, Strict()]
Side = Annotated[int, Strict(), Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says of one tensor."""

    dtype: Text
    shape: Annotated[tuple[Side, ...], Field(max_length=8)]
    data_offsets: tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class Container:
    """A safetensors file whose header is sound as far as it can be told without the tensors."""

    path: Path
    metadata: Mapping[str, str]
    claims: Mapping[str, Claim]  # by the tensor's name

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, in memory.

        Raises: ModelFileError: offsets overlap, leave gaps or do not suit the shapes.
        """
        try:
            views = safetensors.torch.load(
                self.path.read_bytes()
            )  # by name it reads only paths that are UTF-8
            return {
                name: views.pop(name).clone() for name in list(views)
            }  # where torch would have put them itself
        except (safetensors.SafetensorError, ValueError, TypeError, KeyError) as error:
            raise damaged(self.path, str(error)) from error
        except OSError as error:
            raise unreadable(self.path, error) from error


_CLAIMS = TypeAdapter(dict[Text, Claim])
_METADATA = TypeAdapter(dict[Text, Text])


def open_container(path: Path) -> Container:
    """Read and check a file's header.

    Raises: ModelFileError: no such file, not to be read, larger than any model, or not a sound
        safetensors file.
    """
    try:
        _refuse_what_is_no_file(path)
        with path.open("rb") as file:
            raw = _raw_header(path, file)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        header = strict_json(raw)
        if not isinstance(header, dict):
            raise NotJsonError("its header is not a JSON object")
        if len(header) > MOST_TENSORS:
            raise NotJsonError(
                f"its header names {len(header)} tensors, and no model has more than {MOST_TENSORS}"
            )
        metadata = _METADATA.validate_python(header.pop("__metadata__", {}))
        return Container(path, metadata, _CLAIMS.validate_python(header))
    except NotJsonError as error:
        raise damaged(path, str(error)) from error
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        raise damaged(
            path, f"its header: {finding['msg'][0].lower()}{finding['msg'][1:]}"
        ) from error


def damaged(path: Path, reason: str) -> ModelFileError:
    """A file that cannot be a model, in words."""
    first_line = (reason.splitlines() or [""])[0][:200]
    return ModelFileError(
        f"{path} is damaged, or not a model file ({first_line}); ask for the file again"
    )


def unreadable(path: Path, error: OSError) -> ModelFileError | FaultError:
    """What the operating system said about a model file, in words."""
    reason = error.strerror or str(error)
    if error.errno in {*MENDABLE, errno.ENOENT}:
        return ModelFileError(
            f"{path} cannot be read ({reason}); check the path and its permissions"
        )
    return machine_fault(path, error)


def _refuse_what_is_no_file(path: Path) -> None:
    if path.is_dir():
        raise ModelFileError(
            f"{path} is a folder, and a model is a file; check the order of what you name (--help)"
        )
    if not path.exists():
        hint = did_you_mean(path) or "; make one with `recontour train`, or check the path"
        raise ModelFileError(f"{path}: no such model file{hint}")
    if not path.is_file():  # a pipe or a device would be waited for
        raise ModelFileError(f"{path} is no plain file; copy the model to one")
    if not os.access(path, os.R_OK):
        raise ModelFileError(f"{path} may not be read; check its permissions")


def _raw_header(path: Path, file: BinaryIO) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        raise damaged(
            path, f"it has {size / 1e9:.1f} GB, and no model has more than {MOST_BYTES / 1e9:.1f}"
        )
    first = file.read(LENGTH.size)
    if len(first) < LENGTH.size:
        raise damaged(path, f"it has {size} bytes")
    (length,) = LENGTH.unpack(first)
    if length > min(size - LENGTH.size, MOST_HEADER_BYTES):
        raise damaged(path, f"it claims a header of {length} bytes, and has {size} bytes in all")
    return file.read(length)
