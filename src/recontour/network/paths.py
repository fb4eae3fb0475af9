"""Where a model is: one file, or a model's and a head's as in TRUNK+HEAD. Nothing is read here."""

import errno
from collections.abc import Iterator
from pathlib import Path

from recontour.errors import FaultError, ModelFileError
from recontour.files import (
    MENDABLE,
    NotFound,
    SystemReason,
    UnreadableFile,
    machine_fault,
    similar_path,
)

JOINT = "+"  # between a model's path and a head's


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the paths in TRUNK+HEAD, or the one path.

    A head that was adapted from TRUNK+HEAD itself follows that: TRUNK+HEAD+HEAD. A plus sign may
    also be part of a file's name: the files that exist decide.

    >>> parts_of(Path("south.safetensors"))
    (PosixPath('south.safetensors'),)
    """
    if _exists(path):
        return (path,)
    pairs = list(_pairs(str(path)))
    for model, head in pairs:
        parts = parts_of(model) if _exists(head) else ()
        if parts and all(map(_exists, parts)):
            return (*parts, head)
    for model, head in pairs:
        if _exists(model) or _exists(head):
            return model, head  # reading names the one that is missing
    return (path,)


def name_of(path: Path) -> str:
    """Return the name by which reports call a model: its file's, or both files' names.

    >>> name_of(Path("models/south.safetensors"))
    'south'
    """
    return JOINT.join(part.stem for part in parts_of(path))


def refuse_no_model(path: Path) -> None:
    """Raise ModelFileError if there is nothing at a model's path, or at a part of TRUNK+HEAD.

    Raises: FaultError: the machine cannot tell.
    """
    for part in parts_of(path):
        try:
            part.stat()
        except OSError as error:
            raise unreadable(part, error) from error


def unreadable(path: Path, error: OSError) -> ModelFileError | FaultError:
    """Return what the operating system reported about a model file as an error of ours."""
    if error.errno == errno.ENOENT:
        make = "make one with `recontour train`, or check the path"
        similar = similar_path(path)
        found = NotFound(
            path=path,
            expected="a model file",
            otherwise=make,
            similar=similar,
        )
        return ModelFileError(found)
    if error.errno in MENDABLE:
        refused = UnreadableFile(
            path=path,
            what="model",
            why=SystemReason(number=error.errno),
            help="check the path and its permissions",
        )
        return ModelFileError(refused)
    return machine_fault(path, error)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, because it is two
        return False


def _pairs(words: str) -> Iterator[tuple[Path, Path]]:
    pieces = words.split(JOINT)
    for at in range(1, len(pieces)):
        first = JOINT.join(pieces[:at])
        last = JOINT.join(pieces[at:])
        if first and last:
            yield Path(first), Path(last)
