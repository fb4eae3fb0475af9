"""The safetensors file as such: its header is checked first, its tensors are read when needed.

A header may claim anything: more bytes than there are, shapes of exabytes, nested lists without
end. It is bounded before it is read, and nothing is allocated by what it claims. safetensors itself
checks, with the tensors, whether offsets overlap or leave gaps.
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import safetensors.torch
from pydantic import Field, Strict, TypeAdapter, ValidationError
from torch import Tensor

from recontour.errors import ModelFileError
from recontour.files import UnreadableError, refuse_no_file
from recontour.findings import Finding
from recontour.network.cost import BYTES, MOST_PARAMETERS
from recontour.network.findings import (
    DamagedModel,
    DamagedModelPart,
    NotModelFile,
    UnusableTensors,
    WrongModelSize,
)
from recontour.network.paths import unreadable
from recontour.network.strict_json import read_strict_json
from recontour.validation import first_mistake

# A model of a thousand tensors and ten thousand patients has less than one MiB.
MOST_MODEL_HEADER_BYTES = 8 << 20
# Normalisation statistics and the header come on top of the parameters.
MOST_MODEL_BYTES = BYTES * MOST_PARAMETERS + (64 << 20)
MOST_TENSORS = 20_000  # `paper` with its parent whole has 1300
LENGTH = struct.Struct("<Q")  # of the header, before it
LONGEST_REASON = 200

Text = Annotated[str, Strict()]
Side = Annotated[int, Strict(), Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says about one tensor."""

    dtype: Text
    shape: Annotated[tuple[Side, ...], Field(max_length=8)]
    data_offsets: tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class Container:
    """A safetensors file whose header is sound as far as it shows without the tensors.

    claims: by the tensor's name.
    """

    path: Path
    metadata: Mapping[str, str]
    claims: Mapping[str, Claim]

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors, in memory.

        Raises: ModelFileError: offsets overlap, leave gaps or do not suit the shapes.
        """
        try:
            # safetensors opens only paths that are UTF-8, so it is given the bytes
            views = safetensors.torch.load(self.path.read_bytes())
            tensors = {}
            for name in list(views):
                # a copy lies where torch would have put the tensor itself
                tensors[name] = views.pop(name).clone()
            return tensors
        except (safetensors.SafetensorError, ValueError, TypeError, KeyError) as error:
            raise damaged(self.path, UnusableTensors(reason=first_line(error))) from error
        except OSError as error:
            raise unreadable(self.path, error) from error


_CLAIMS = TypeAdapter(dict[Text, Claim])
_METADATA = TypeAdapter(dict[Text, Text])


def open_container(path: Path) -> Container:
    """Read and check a file's header.

    Raises: ModelFileError: there is no such file, or it is not a sound safetensors file, cannot be
        read, or is larger than any model. FaultError: the machine cannot read it.
    """
    try:
        refuse_no_file(path)
        with path.open("rb") as file:
            if not _begins_like_safetensors(file):
                raise ModelFileError(NotModelFile(path=path))
            raw = _raw_header(file)
    except UnreadableError as error:
        raise ModelFileError(NotModelFile(path=path, why=error.finding)) from error
    except _OddSizeError as error:
        raise damaged(path, error.finding) from error
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        return _container(path, read_strict_json(raw))
    except UnreadableError as error:
        why = DamagedModelPart(part="header", why=error.finding)
        raise damaged(path, why) from error
    except _OddSizeError as error:
        raise damaged(path, error.finding) from error


def _container(path: Path, header: dict[str, Any]) -> Container:
    if len(header) > MOST_TENSORS:
        raise _OddSizeError("list of tensors", len(header), 1, MOST_TENSORS)
    metadata = header.pop("__metadata__", {})
    try:
        return Container(path, _METADATA.validate_python(metadata), _CLAIMS.validate_python(header))
    except ValidationError as error:
        raise UnreadableError(first_mistake(error, dict[Text, Claim])) from error


def damaged(path: Path, why: Finding) -> ModelFileError:
    """Return the error for a file that cannot be a model."""
    return ModelFileError(DamagedModel(path=path, why=why))


class _OddSizeError(Exception):
    """A file, or a part of it, is too small or too large to be a model's."""

    def __init__(
        self,
        part: Any,
        seen: int,
        least: int,
        most: int,
    ) -> None:
        super().__init__(part)
        self.finding = WrongModelSize(
            part=part,
            seen=seen,
            least=least,
            most=most,
        )


def _begins_like_safetensors(file: BinaryIO) -> bool:
    """Return whether a header could follow its length; also of a file that is cut off before it."""
    beginning = file.read(LENGTH.size + 1)
    file.seek(0)
    return len(beginning) <= LENGTH.size or beginning.endswith(b"{")


def _raw_header(file: BinaryIO) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if not LENGTH.size <= size <= MOST_MODEL_BYTES:
        raise _OddSizeError("file", size, LENGTH.size, MOST_MODEL_BYTES)
    (length,) = LENGTH.unpack(file.read(LENGTH.size))
    most = min(size - LENGTH.size, MOST_MODEL_HEADER_BYTES)
    if length > most:
        raise _OddSizeError("header", length, 2, most)
    return file.read(length)


def first_line(error: Exception) -> str:
    """Return the beginning of what a library reports."""
    first, *_ = str(error).splitlines() or [""]
    return first[:LONGEST_REASON]
