"""The folder that a run works in."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its checkpoint, its features and its log while it lasts."""

    path: Path

    @classmethod
    def beside(cls, model: Path) -> "RunFolder":
        """Return the folder of the run that will write a model file.

        >>> RunFolder.beside(Path("north.safetensors")).path
        PosixPath('north.safetensors.run')
        """
        return cls(model.with_name(model.name + ".run"))

    @property
    def checkpoint(self) -> Path:
        """Return the file of weights, optimiser, iterations done, and what the run is."""
        return self.path / "checkpoint.ckpt"

    @property
    def features(self) -> Path:
        """Return the file of a frozen trunk's features. Only a kill leaves it behind."""
        return self.path / "features.bin"

    @property
    def log(self) -> Path:
        """Return the folder that TensorBoard reads."""
        return self.path / "tensorboard"

    def close(self, *, keep_log: bool = False) -> None:
        """Remove all that the run wrote here, and the folder unless something else is in it."""
        written = [self.checkpoint, self.features, self.path / "lock"]
        written += self.path.glob(".*.partial")
        if not keep_log:
            written += self.log.glob("events*")
        for path in written:
            path.unlink(missing_ok=True)
        for folder in (self.log, self.path):
            with suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()
