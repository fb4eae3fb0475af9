"""A run that survives interruptions, on any accelerator.

It keeps checkpoints, resumes to the bit, and logs for TensorBoard.
"""

import io
import logging
import math
import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from recontour.errors import FaultError, RecontourError, ResumeError, SettingsError
from recontour.files import MachineFault, output_error, write_bytes
from recontour.findings import Finding, log_finding
from recontour.network import Network
from recontour.processes import FolderInUse, HeldError, Interrupted, cores, held
from recontour.syncing import make_folders
from recontour.training import checkpoint
from recontour.training.batches import Batches
from recontour.training.features import for_learning
from recontour.training.findings import (
    DamagedCheckpoint,
    DifferentRun,
    DivergedLoss,
    FailedRun,
    FolderNotShared,
    KeptIterations,
    LostIterations,
    NothingToResume,
    ResumedRun,
    UnfinishedRun,
)
from recontour.training.folder import RunFolder
from recontour.training.log import ScalarLog
from recontour.training.loop import Position, Step, learn, optimiser_of
from recontour.training.precision import (
    computed_precision,
    precision_said,
    trains_on_cpu,
)
from recontour.training.recipe import Precision
from recontour.training.together import (
    agreed,
    any_of,
    are_together,
    count,
    is_first_process,
    noticing_loss,
    shared,
    strategy,
)

if TYPE_CHECKING:  # importing it takes two seconds; contouring does without
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 60.0
PROCESSES = "processes"  # of a run's identity: how many train together
CASE_IDS = "case ids"  # of a run's identity: only says which cases came; "cases" decides
LOG_EVERY = 10  # iterations
MOST_HELPERS = 8  # processes that prepare batches for a GPU
LIGHTNINGS_WORDS: dict[Precision, Any] = {
    "float32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a run may use: one device of the best accelerator, in each process that trains.

    accelerator: "cpu", "cuda" and so on.
    precision: fp16 is for GPUs: a CPU that goes on with such a run computes in float32.
    deterministic: the same bits again on the same machine. A GPU gives them at some cost in speed,
        a CPU in any case.
    """

    accelerator: str = "auto"
    precision: Precision = "float32"
    deterministic: bool = False

    def fabric(self) -> "Fabric":
        """Return Lightning's handle on it."""
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment

        # It would say on the screen that it uses mixed precision; we say so ourselves.
        logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
        # Without an environment Fabric looks for Slurm and others, and warns or fails with one.
        alone = {"devices": 1, "plugins": [LightningEnvironment()]}
        together = {"strategy": strategy(self.accelerator)} if are_together() else None
        on_cpu = self.accelerator == "cpu" or trains_on_cpu()
        precision = computed_precision(self.precision, on_cpu=on_cpu)
        return Fabric(
            accelerator=self.accelerator,
            precision=LIGHTNINGS_WORDS[precision],
            **(together or alone),
        )

    @contextmanager
    def kernels(self) -> Iterator[None]:
        """Make PyTorch choose only deterministic kernels during the run, if that is wanted."""
        before = torch.are_deterministic_algorithms_enabled()
        if self.deterministic:
            # cuBLAS needs this before its first call.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


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
    resume: go on from the folder's checkpoint; if there is none, start at the beginning.
    On a CPU, a run that was killed and resumed ends in the same bits as one that was not.
    Raises: ResumeError, SettingsError, FaultError.
    """
    fabric = hardware.fabric()
    fabric.launch()
    first = is_first_process()
    identity = {**identity, PROCESSES: count()}
    position = Position(0)
    with (
        hardware.kernels(),
        ExitStack() as stack,
        _gone_at_the_end(folder.features),
        noticing_loss(),
        position.unbroken if are_together() else nullcontext(),
    ):
        with agreed():
            if first:
                stack.enter_context(_held(folder))
            state = _read_checkpoint(folder, identity, batches.recipe.iterations, resume=resume)
        done = state["done"] if state else 0
        position.done = done
        first_done = shared(done)
        with agreed():
            if done != first_done:
                raise SettingsError(FolderNotShared(path=folder.path))
        if resume and first:
            log_finding(log, logging.INFO, _resuming(folder, done))
        batches.rank = fabric.global_rank
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        optimiser = optimiser_of(network, batches.recipe)
        wrapped, optimiser = fabric.setup(network, optimiser)
        if state:
            with _refusing_damage(folder):
                checkpoint.restore(state, network, optimiser)
        for method in ("features", "logits"):
            wrapped.mark_forward_method(method)
        alone = fabric.world_size == 1
        lessons = for_learning(network, batches, folder.features if alone else None)
        steps = learn(fabric, wrapped, optimiser, lessons, position, workers=_helpers(fabric))
        with closing(steps):
            if first:
                keeper = _Keeper(
                    folder=folder,
                    network=network,
                    optimiser=optimiser,
                    identity=identity,
                    position=position,
                    iterations=batches.recipe.iterations,
                    seconds=checkpoint_seconds,
                )
                yield from _recorded(steps, keeper)
            else:
                yield from _followed(steps, folder, position)


def precision_begun_with(folder: RunFolder) -> Precision | None:
    """Return what the unfinished run in a folder computes in; None if there is none.

    Of a checkpoint that makes no sense this is float32; `run` will say what is wrong with it.
    Raises: OutputError, FaultError: the file cannot be read.
    """
    try:
        if not folder.checkpoint.exists():
            return None
        state = checkpoint.read(folder.checkpoint)
    except checkpoint.DamagedError:
        return "float32"
    except OSError as error:
        raise output_error(folder.path, error) from error
    return precision_said(state["identity"].get("precision"))


def _helpers(fabric: "Fabric") -> int:
    """Return how many processes prepare batches."""
    return 1 if fabric.device.type == "cpu" else min(MOST_HELPERS, cores())


def _resuming(folder: RunFolder, done: int) -> Finding:
    if done:
        return ResumedRun(iterations_done=done)
    return NothingToResume(path=folder.path)


def _recorded(steps: Iterator[Step], keeper: "_Keeper") -> Generator[Step]:
    """Yield the steps of the first process, which writes logs and checkpoints."""
    folder, position = keeper.folder, keeper.position
    with closing(ScalarLog(folder.log, position.done)) as scalars:
        try:
            for step in steps:
                _refuse_diverged(step, folder)
                if step.iteration % LOG_EVERY == 0:
                    values = {"loss": step.loss, "learning rate": step.learning_rate}
                    scalars.write(step.iteration, values)
                keeper.keep_in_time(last=step.iteration == keeper.iterations)
                yield step
                _heed(position)
        except (KeyboardInterrupt, GeneratorExit):
            keeper.keep_what_there_is()
            raise
        except FaultError as error:
            raise stopped(error, keeper.kept, keeper.iterations) from error


def stopped(error: FaultError, kept: int, of: int) -> FaultError:
    """Return a fault of a disk as one of the run, which says what is kept; another as it is.

    kept: how many iterations the checkpoint has. of: all of the run.
    """
    why = error.finding
    if not isinstance(why, MachineFault):
        return error
    return FaultError(
        FailedRun(
            path=why.path,
            why=why,
            kept=kept,
            of=of,
        )
    )


def _followed(
    steps: Iterator[Step],
    folder: RunFolder,
    position: Position,
) -> Generator[Step]:
    """Yield the steps of a process that trains with the first one."""
    for step in steps:
        _refuse_diverged(step, folder)
        yield step
        _heed(position)


def _heed(position: Position) -> None:
    """Act on a signal that was held back: in all processes after the same iteration."""
    if any_of(position.unbroken.came):
        position.unbroken.heed()
        raise Interrupted  # it came to another process


def _refuse_diverged(step: Step, folder: RunFolder) -> None:
    if not math.isfinite(step.loss):
        loss = str(step.loss)
        raise FaultError(
            DivergedLoss(
                path=folder.path,
                iteration=step.iteration,
                loss=loss,
            )
        )


@contextmanager
def _held(folder: RunFolder) -> Iterator[None]:
    """Keep other processes out of the folder while this one trains there, even if it is killed."""
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
    """Remove a file that serves only this run, also one that a kill has left."""
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@dataclass
class _Keeper:
    """Keeps a run's checkpoint.

    iterations: of the whole run. seconds: between two checkpoints. kept: iterations in the last
    checkpoint.
    """

    folder: RunFolder
    network: Network
    optimiser: Optimizer
    identity: Mapping[str, Any]
    position: Position
    iterations: int
    seconds: float
    kept: int = 0

    def __post_init__(self) -> None:
        self.kept = self.position.done
        self._kept_at = time.monotonic()

    def keep_in_time(self, *, last: bool) -> None:
        """Save a checkpoint if one is due, or at the run's end.

        Raises: OutputError, FaultError.
        """
        if last or time.monotonic() - self._kept_at >= self.seconds:
            self._keep()

    def keep_what_there_is(self) -> None:
        """Save a checkpoint of a run that is interrupted, and say how far it has come.

        If that fails, the last one stays, and a warning says how much is lost.
        """
        try:
            if not self.position.unbroken.broken and self.position.done != self.kept:
                self._keep()
            if 0 < self.kept < self.iterations:
                kept = KeptIterations(iterations=self.kept, of=self.iterations)
                log_finding(log, logging.INFO, kept)
        except RecontourError as error:
            lost = self.position.done - self.kept
            why = error.finding
            finding = LostIterations(
                path=why.path,
                iterations=lost,
                why=why,
            )
            log_finding(log, logging.WARNING, finding)

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
        self.kept = self.position.done
        self._kept_at = time.monotonic()


def _read_checkpoint(
    folder: RunFolder,
    identity: Mapping[str, Any],
    iterations: int,
    *,
    resume: bool,
) -> dict[str, Any] | None:
    """Return the folder's checkpoint, or None. Raises: SettingsError, ResumeError."""
    if not folder.checkpoint.exists():
        return None
    if not resume:
        raise SettingsError(UnfinishedRun(path=folder.path))
    with _refusing_damage(folder):
        state = checkpoint.read(folder.checkpoint)
    before, now = {PROCESSES: 1, **state["identity"]}, dict(identity)
    ids_before, ids_now = before.pop(CASE_IDS, None), now.pop(CASE_IDS, ())
    if before != now:
        changed = [name for name in sorted(now) if before.get(name) != now[name]]
        # Checkpoints of earlier versions do not name their cases.
        came = () if ids_before is None else sorted(set(ids_now).difference(ids_before))
        gone = set(ids_before or ()).difference(ids_now)
        raise ResumeError(
            DifferentRun(
                path=folder.path,
                changed=tuple(changed),
                came=tuple(came),
                gone=len(gone),
            )
        )
    with _refusing_damage(folder):
        checkpoint.refuse_beyond(state, iterations)
    return state


@contextmanager
def _refusing_damage(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except checkpoint.DamagedError as error:
        finding = DamagedCheckpoint(
            path=folder.checkpoint,
            flaw=error.flaw,
            weight=error.weight,
        )
        raise ResumeError(finding) from error
