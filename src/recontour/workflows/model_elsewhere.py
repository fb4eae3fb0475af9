"""A model for another process, which loads it once and keeps it for job after job."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from recontour.contouring.contourer import Contourer
from recontour.errors import ModelFileError
from recontour.network import Model
from recontour.network.model import sha256_of
from recontour.workflows.findings import AnotherModel


@dataclass(frozen=True, slots=True)
class ModelElsewhere:
    """Where a model lies, and the SHA-256 of its weights."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, model: Model) -> Self:
        """Describe a model that is loaded here."""
        return cls(path, sha256_of(model.network))

    def loaded(self) -> Contourer:
        """Return the model; each process loads it once.

        Raises: ModelFileError: it is not the one that was described.
        """
        return _loaded(self)


@cache  # a process works for one command, and ends with it
def _loaded(model: ModelElsewhere) -> Contourer:
    contourer = Contourer.load(model.path)
    if sha256_of(contourer.model.network) != model.sha256:
        raise ModelFileError(AnotherModel(path=model.path))
    return contourer
