"""A run that survives:

checkpoints, resuming to the bit, TensorBoard logs, whatever accelerator there is.
"""

import io
import logging
import math
import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from recontour.errors import FaultError, RecontourError, ResumeError, SettingsError
from recontour.files import output_error, write_bytes
from recontour.network import Network
from recontour.processes import FolderInUse, HeldError, cores, held
from recontour.syncing import make_folders
from recontour.training import checkpoint
from recontour.training.batches import Batches
from recontour.training.features import for_learning
from recontour.training.log import ScalarLog
from recontour.training.loop import Position, Step, learn, optimiser_of

if TYPE_CHECKING:  # two seconds, which contouring need not wait
    from lightning_fabric import Fabric

CHECKPOINT_SECONDS = 60.0
LOG_EVERY = 10  # iterations


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its checkpoint and a frozen trunk's features while it lasts, and its logs
    for good.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Weights, optimiser, iterations done, and what the run is."""
        return self.path / "checkpoint.ckpt"

    @property
    def features(self) -> Path:
        """What a frozen trunk makes of the slices;

        gone when the run ends in whatever way but a kill.
        """
        return self.path / "features.bin"

    def close(self) -> None:
        """Forget the checkpoint, and what a kill left of one: the run's result is written."""
        for path in (self.checkpoint, self.path / "lock", *self.path.glob(".*.partial")):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a run may use:

    all devices of the best accelerator, with mixed precision where it helps, unless told.
    """

    accelerator: str = "auto"  # "cpu", "cuda", ...
    devices: int | str = "auto"
    # Lightning's word: "32-true", "bf16-mixed", "16-mixed"; None: what the accelerator does best
    precision: Any = None
    deterministic: bool = (
        False  # the same bits on the same GPU again, for some speed; a CPU gives them anyway
    )

    def fabric(self) -> "Fabric":
        """Lightning's handle on it."""
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment

        best: Any = "32-true"
        if torch.cuda.is_available() and self.accelerator != "cpu":
            best = (
                "bf16-mixed"
                if torch.cuda.is_bf16_supported(including_emulation=False)
                else "16-mixed"
            )
        return Fabric(
            accelerator=self.accelerator,
            devices=self.devices,
            precision=self.precision or best,
            plugins=[
                LightningEnvironment()
            ],  # else it looks for Slurm and others, and warns or fails where it finds one
        )

    @contextmanager
    def kernels(self) -> Iterator[None]:
        """Let PyTorch choose deterministic kernels alone, if that is wanted, until the run ends."""
        before = torch.are_deterministic_algorithms_enabled()
        if self.deterministic:
            os.environ.setdefault(
                "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
            )  # cuBLAS asks for it, before its first call
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def is_first_process() -> bool:
    """Whether this process is the one that writes, among those that train together."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def run(
    network: Network,
    batches: Batches,
    folder: RunFolder,
    identity: Mapping[str, Any],
    *,
    resume: bool,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    hardware: Hardware = Hardware(),
) -> Generator[Step]:
    """Train a network in place, yielding after each iteration.

    identity: everything that makes this run what it is, as JSON; a checkpoint of another run is
        refused.
    resume: go on from the folder's checkpoint; without one, start at the beginning.
    On a CPU a run that was killed and resumed ends in the same bits as one that was not.
    Raises: ResumeError, SettingsError, FaultError.
    """
    fabric = hardware.fabric()
    fabric.launch()
    first = is_first_process()
    with (
        hardware.kernels(),
        _held(folder) if first else nullcontext(),
        _gone_at_the_end(folder.features),
    ):
        state = _read_checkpoint(folder, identity, batches.recipe.iterations, resume=resume)
        done = state["done"] if state else 0
        if resume and first:
            goes_on, anew = (
                f"going on from iteration {done}",
                f"no checkpoint in {folder.path} yet: starting anew",
            )
            logging.getLogger(__name__).info(goes_on if state else anew)
        batches.rank = fabric.global_rank
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        optimiser = optimiser_of(network, batches.recipe)
        wrapped, optimiser = fabric.setup(network, optimiser)
        if state:
            with _damage_told(folder):
                checkpoint.restore(state, network, optimiser)
        for method in ("features", "logits"):
            wrapped.mark_forward_method(method)
        lessons = for_learning(
            network, batches, folder.features if fabric.world_size == 1 else None
        )
        workers = 1 if fabric.device.type == "cpu" else min(8, cores())

        position = Position(done)
        keeper = (
            _Keeper(folder, network, optimiser, identity, position, checkpoint_seconds)
            if first
            else None
        )
        steps = learn(fabric, wrapped, optimiser, lessons, position, workers=workers)
        with (
            closing(steps),
            closing(ScalarLog(folder.path / "tensorboard", done))
            if first
            else nullcontext() as log,
        ):
            try:
                for step in steps:
                    _refuse_diverged(step, folder)
                    if log and step.iteration % LOG_EVERY == 0:
                        log.write(
                            step.iteration, {"loss": step.loss, "learning rate": step.learning_rate}
                        )
                    if keeper:
                        keeper.keep_in_time(last=step.iteration == batches.recipe.iterations)
                    yield step
                    position.unbroken.heed()
            except (KeyboardInterrupt, GeneratorExit):
                if keeper:
                    keeper.keep_what_there_is()
                raise


def _refuse_diverged(step: Step, folder: RunFolder) -> None:
    if not math.isfinite(step.loss):
        raise FaultError(
            f"training diverged: the loss of iteration {step.iteration} is {step.loss}. No model was "
            f"written; delete {folder.path}, which leads there again, and take another seed (--seed, or a "
            "study's seeds)"
        )


@contextmanager
def _held(folder: RunFolder) -> Iterator[None]:
    """Keep other processes out of the folder for as long as this one trains there, and no longer,
    even if killed.
    """
    try:
        make_folders(folder.path)
        with held(folder.path / "lock"):
            yield
    except HeldError as error:
        raise SettingsError(FolderInUse(path=folder.path, mark=error.mark)) from None
    except OSError as error:
        raise output_error(folder.path, error) from error


@contextmanager
def _gone_at_the_end(path: Path) -> Iterator[None]:
    """A file that is of use to this run alone, and that a kill may have left."""
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@dataclass
class _Keeper:
    """Keeps a run's checkpoint."""

    folder: RunFolder
    network: Network
    optimiser: Optimizer
    identity: Mapping[str, Any]
    position: Position
    seconds: float  # between two of them

    def __post_init__(self) -> None:
        self._kept, self._at = self.position.done, time.monotonic()

    def keep_in_time(self, *, last: bool) -> None:
        """Keep where the run is, if it is time or the run's end.

        Raises: OutputError, FaultError.
        """
        if last or time.monotonic() - self._at >= self.seconds:
            self._keep()

    def keep_what_there_is(self) -> None:
        """Keep where a run is that is broken off;

        where that fails, the last checkpoint stays, and that is said.
        """
        if self.position.unbroken.broken or self.position.done == self._kept:
            return
        try:
            self._keep()
        except RecontourError as error:
            lost = self.position.done - self._kept
            logging.getLogger(__name__).warning(f"the last {lost} iterations are lost: {error}")

    def _keep(self) -> None:
        """Replace the checkpoint whole: a kill at any moment leaves the old or the new one."""
        state = {
            "identity": dict(self.identity),
            "done": self.position.done,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(self.folder.checkpoint, content.getbuffer(), replace=True)
        self._kept, self._at = self.position.done, time.monotonic()


def _read_checkpoint(
    folder: RunFolder, identity: Mapping[str, Any], iterations: int, *, resume: bool
) -> dict[str, Any] | None:
    if not folder.checkpoint.exists():
        return None
    if not resume:
        raise SettingsError(
            f"{folder.path} holds an unfinished run; go on with --resume, or delete that folder"
        )
    with _damage_told(folder):
        state = checkpoint.read(folder.checkpoint)
    before = state["identity"]
    if before != dict(identity):
        changed = sorted(name for name in identity if before.get(name) != identity[name])
        raise ResumeError(
            f"{folder.path} is a run that differs in {', '.join(changed) or 'its settings'}; "
            "repeat the command as it was, or delete that folder to start anew"
        )
    with _damage_told(folder):
        checkpoint.refuse_beyond(state, iterations)
    return state


@contextmanager
def _damage_told(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except checkpoint.DamagedError as error:
        raise ResumeError(
            f"{folder.checkpoint} is damaged ({error}); delete {folder.path} and start again"
        ) from error
