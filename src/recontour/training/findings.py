"""What can be found before, during and after a training."""

from enum import Enum
from typing import Literal

from recontour.files import system_words
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.processes import how_ended
from recontour.wording import plural, size_in_words

RESUME = "then repeat with --resume"


# The run's folder


@finding
class UnfinishedRun(Finding):
    """A run's folder holds a checkpoint, and nobody asked to resume it."""

    def sentence(self) -> str:
        return "an unfinished run is in this folder"

    def remedy(self) -> str:
        return "go on with --resume, or delete the folder"


@finding
class DifferentRun(Finding):
    """A checkpoint belongs to another run.

    changed: the names of the settings that differ. came: cases that came into the cohort since.
    gone: how many of the run's cases are not there any more.
    """

    changed: FitToStore[tuple[str, ...]]
    came: FitToStore[tuple[str, ...]] = ()
    gone: int = 0

    def sentence(self) -> str:
        return f"the run in this folder differs in {', '.join(self.changed) or 'its settings'}"

    def remedy(self) -> str:
        if self.came:
            return (
                f"since it began, {', '.join(self.came)} came into the cohort: take them out with "
                "`recontour remove`, or delete the folder to start again"
            )
        if self.gone:
            gone = f"since it began, {plural(self.gone, 'case')} left the cohort"
            return f"{gone}; delete the folder to start again"
        return "repeat the command as it was, or delete the folder to start again"


class Flaw(Enum):
    """What is wrong with a checkpoint."""

    COMPRESSED = "its parts are compressed"
    NOT_READABLE = "PyTorch cannot read it"
    PARTS_MISSING = "parts of it are missing"
    IDENTITY = "it does not say which run it is"
    ITERATIONS = "the number of iterations is impossible"
    OTHER_WEIGHTS = "the weights do not fit the network"
    NO_OPTIMISER_STATE = "the optimiser's state is missing"
    OTHER_PARAMETERS = "the optimiser has other parameters"
    OTHER_OPTIMISER = "it comes from another optimiser"
    OTHER_MOMENTS = "the optimiser's moments do not fit the network"
    OTHER_STEPS = "the optimiser's steps are not the iterations done"


@finding
class DamagedCheckpoint(Finding):
    """No run has written this checkpoint. weight: the first one that does not fit, by its name."""

    flaw: Flaw
    weight: FitToStore[str | None] = None

    def sentence(self) -> str:
        why = f"{self.flaw.value}: {self.weight}" if self.weight else self.flaw.value
        return f"the checkpoint is damaged ({why})"

    def remedy(self) -> str:
        return "delete its folder and start again"


@finding
class ResumedRun(Finding):
    """A run goes on from its checkpoint."""

    iterations_done: int

    def sentence(self) -> str:
        return f"going on from iteration {self.iterations_done}"


@finding
class NothingToResume(Finding):
    """A run should be resumed, and has no checkpoint yet."""

    def sentence(self) -> str:
        return "no checkpoint yet; starting from the first iteration"


@finding
class KeptIterations(Finding):
    """A run was interrupted, and a checkpoint keeps what it did. of: all its iterations."""

    iterations: int
    of: int

    def sentence(self) -> str:
        return f"the checkpoint keeps {self.iterations} of {plural(self.of, 'iteration')}"


@finding
class LostIterations(Finding):
    """A run was interrupted, and its last iterations could not be saved."""

    iterations: int
    why: Finding

    def sentence(self) -> str:
        lost = plural(self.iterations, "iteration")
        return f"the last {lost} could not be saved: {self.why.sentence()}"

    def remedy(self) -> str:
        return self.why.remedy()


@finding
class FailedRun(Finding):
    """A disk or share failed a run. kept: how many iterations its checkpoint has. of: all."""

    why: Finding
    kept: int
    of: int

    def sentence(self) -> str:
        stopped = f"{self.why.sentence()}, so the training has stopped"
        if not self.kept:
            return f"{stopped} and nothing is kept"
        return f"{stopped}; the checkpoint keeps {self.kept} of {plural(self.of, 'iteration')}"

    def remedy(self) -> str:
        mended = self.why.remedy()
        if not self.kept:
            return mended
        return f"{mended} with --resume to go on from there".lstrip()


# In what it computes


@finding
class ChosenPrecision(Finding):
    """A step was timed in float32 and in bf16. gain: how many times as fast bf16 is."""

    precision: FitToStore[Literal["float32", "bf16"]]
    gain: float

    def sentence(self) -> str:
        ratio = f"a step takes {self.gain:.2f} times as long in float32 as in bf16"
        return f"training in {self.precision}: {ratio} on this processor"


@finding
class EmulatedBf16(Finding):
    """A training computes in bf16, without instructions for it."""

    def sentence(self) -> str:
        return (
            "training in bf16, for which this machine has no instructions: "
            "PyTorch emulates them, and a step takes longer than in float32"
        )


# Learning


@finding
class DivergedLoss(Finding):
    """A loss is not finite. loss: as Python prints it, such as "nan"."""

    iteration: int
    loss: FitToStore[str]

    def sentence(self) -> str:
        where = f"the loss of iteration {self.iteration} is {self.loss}"
        return f"training diverged: {where}; no model was written"

    def remedy(self) -> str:
        return "delete this folder and choose another seed (--seed, or the study's seeds)"


@finding
class CachingFeatures(Finding):
    """A file in this folder will keep the frozen layers' features during the training."""

    most_bytes: int
    free_bytes: int

    def sentence(self) -> str:
        most, free = size_in_words(self.most_bytes), size_in_words(self.free_bytes)
        return f"caching up to {most} of the frozen layers' features; {free} are free"


@finding
class NoRoomForFeatures(Finding):
    """The disk is too full to cache the frozen layers' features in this folder."""

    most_bytes: int
    free_bytes: int

    def sentence(self) -> str:
        most, free = size_in_words(self.most_bytes), size_in_words(self.free_bytes)
        return (
            "the frozen layers' features are computed again in each iteration: "
            f"caching them takes {most}, and at most half of the {free} that are free is used"
        )


@finding
class FeaturesNotShared(Finding):
    """Several processes train together, and none caches the frozen layers' features."""

    def sentence(self) -> str:
        return (
            "the frozen layers' features are computed again in each iteration, "
            "because several processes train together"
        )


# Several processes that train together


@finding
class OneOfSeveralGpus(Finding):
    """A training uses one of the GPUs that it sees."""

    gpus: int

    def sentence(self) -> str:
        return (
            f"training on one of {self.gpus} GPUs; `torchrun --nproc-per-node {self.gpus} "
            "--no-python recontour ...` uses all of them"
        )


@finding
class NoMeeting(Finding):
    """Processes that a launcher started do not find each other. reason: PyTorch's words."""

    processes: int
    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return (
            f"the {self.processes} processes that are to train together do not find each other "
            f"({self.reason})"
        )

    def remedy(self) -> str:
        return (
            "see that all of them run, and that MASTER_ADDR names the first one's machine and "
            "MASTER_PORT a free port of it"
        )


@finding
class FailedCompanion(Finding):
    """Another process, of those that were to train together, cannot begin. process: from 1."""

    process: int
    why: Finding

    def sentence(self) -> str:
        return f"process {self.process} cannot begin: {self.why.sentence()}"

    def remedy(self) -> str:
        return self.why.remedy()


@finding
class FolderNotShared(Finding):
    """A process that trains with others does not see the first one's checkpoint."""

    def sentence(self) -> str:
        return "this folder is not the same one in all processes that train together"

    def remedy(self) -> str:
        return "choose an --out that each of their machines sees"


@finding
class LostCompanion(Finding):
    """Another process, of those that train together, has ended."""

    processes: int

    def sentence(self) -> str:
        return f"one of the {self.processes} processes that train together has ended"

    def remedy(self) -> str:
        return f"see what it said last, {RESUME}"


# Batches from other processes


@finding
class NoHelper(Finding):
    """No process could be started to prepare batches. number: errno."""

    number: int | None

    def sentence(self) -> str:
        return (
            f"no process could be started to prepare batches ({system_words(self.number)}); "
            "this process prepares them, and training takes longer"
        )


@finding
class NoBatchInTime(Finding):
    """No batch came, although its process lives."""

    minutes: float

    def sentence(self) -> str:
        return (
            f"no batch was prepared within {self.minutes:.0f} minutes: "
            "the cohort's disk or share does not answer"
        )

    def remedy(self) -> str:
        return f"check the disk or share, {RESUME}"


@finding
class KilledHelper(Finding):
    """The system killed a process that prepared batches."""

    def sentence(self) -> str:
        return "the system killed a process that prepares batches: probably the memory is full"

    def remedy(self) -> str:
        return f"close other programs, or choose a smaller --preset, {RESUME}"


@finding
class TruncatedCaseFile(Finding):
    """A case's file ended, or its disk failed, while a process read it."""

    def sentence(self) -> str:
        what = "it" if self.path else "a file of the cohort"
        return (
            f"{what} could not be read to its end during the training: "
            "it was cut off or replaced, or its disk or share failed"
        )

    def remedy(self) -> str:
        return f"check the file and the disk, {RESUME}"


@finding
class EndedHelper(Finding):
    """A process that prepared batches ended too early. exit_code: see `how_ended`."""

    exit_code: int | None

    def sentence(self) -> str:
        return f"a process that prepares batches ended early ({how_ended(self.exit_code)})"

    def remedy(self) -> str:
        return "repeat with --resume, and report it if it happens again"
