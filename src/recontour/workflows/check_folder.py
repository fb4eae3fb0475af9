"""The folder of `adapt --check`; nothing here loads torch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recontour.training.folder import RunFolder

USUAL_FOLDS = 3  # unless the user says how many
MODEL = "fold-{}.safetensors"


@dataclass(frozen=True, slots=True)
class CheckFolder:
    """Where a check keeps its folds' models, and the run of the fold in progress, while it lasts.

    An interrupted check goes on after the last fold whose model is here.
    """

    path: Path

    @classmethod
    def beside(cls, model: Path) -> "CheckFolder":
        """Return the folder of the check before an adaptation that will write a model file.

        >>> CheckFolder.beside(Path("north.safetensors")).path
        PosixPath('north.safetensors.check')
        """
        return cls(model.with_name(model.name + ".check"))

    def model(self, fold: int) -> Path:
        """Return the file of a fold's model. fold: its number, from 1."""
        return self.path / MODEL.format(fold)

    def models(self) -> Sequence[Path]:
        """Return the models of the folds that are finished."""
        return sorted(self.path.glob(MODEL.format("*")))

    @property
    def cases(self) -> Path:
        """Return the file that says of which cases, in which version, the check is."""
        return self.path / "cases.json"

    def has_begun(self) -> bool:
        """Return whether there is something to go on from."""
        return bool(self.models() or any(run.checkpoint.exists() for run in self._runs()))

    def close(self) -> None:
        """Remove all that the check wrote here, and the folder unless something else is in it."""
        for run in self._runs():
            run.close()
        for written in (*self.models(), self.cases, *self.path.glob(".*.partial")):
            written.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty, or was never made
            self.path.rmdir()

    def _runs(self) -> Sequence[RunFolder]:
        any_run = RunFolder.beside(Path(MODEL.format("*")))
        return [RunFolder(path) for path in self.path.glob(any_run.path.name)]
