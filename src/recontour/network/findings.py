"""What can be wrong with a model file, and with settings of the network."""

from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import plural

ASK_AGAIN = "ask for the file again"
FOLDS_SHARE_PATIENTS = (
    "models of different folds share training patients, so intervals look somewhat more certain "
    "than with independent models"
)


# The file as such


@finding
class NotModelFile(Finding):
    """Something else lies where a model file is expected. why: None for a file of another kind."""

    why: Finding | None = None

    def sentence(self) -> str:
        what = "not a recontour model file"
        return f"{what}: {self.why.sentence()}" if self.why else what

    def remedy(self) -> str:
        return "check the path, and the order of the arguments (--help)"


@finding
class ForeignModel(Finding):
    """A safetensors file that another program wrote."""

    def sentence(self) -> str:
        return "a safetensors file, but not a model of recontour"

    def remedy(self) -> str:
        return "check the path"


@finding
class UnsupportedModelFormat(Finding):
    """A model file in another format than the one that this recontour reads."""

    seen: int
    read: int

    def sentence(self) -> str:
        return f"model format {self.seen}; this recontour reads format {self.read}"

    def remedy(self) -> str:
        if self.seen > self.read:
            return "update recontour"
        return "train or adapt the model again with this recontour"


@finding
class NewerModel(Finding):
    """A model file with a setting that this recontour does not have."""

    why: Finding

    def sentence(self) -> str:
        return f"written by a newer recontour: {self.why.sentence()}"

    def remedy(self) -> str:
        return "update recontour"


@finding
class DamagedModel(Finding):
    """A model file that cannot be what was saved."""

    why: Finding

    def sentence(self) -> str:
        return f"the model file is damaged: {self.why.sentence()}"

    def remedy(self) -> str:
        return ASK_AGAIN


# Why a file is damaged


@finding
class WrongModelSize(Finding):
    """A file, its header, or the header's list of tensors is too small or too large."""

    part: Literal["file", "header", "list of tensors"]
    seen: int
    least: int
    most: int

    def sentence(self) -> str:
        unit = "tensors" if self.part == "list of tensors" else "bytes"
        return (
            f"its {self.part} has {self.seen:,} {unit}, and {self.least:,} to {self.most:,} are "
            "expected"
        )


@finding
class NotJson(Finding):
    """A text that is not JSON, or that repeats a key."""

    problem: Literal["no object", "too deep", "key twice", "no number", "syntax"]
    reason: ScreenOnly[str] = ""

    def sentence(self) -> str:
        words = {
            "no object": "it is not a JSON object",
            "too deep": "it is nested too deep",
            "key twice": "one key occurs twice",
            "no number": "a number is not finite",
            "syntax": "it is not JSON",
        }[self.problem]
        return f"{words} ({self.reason})" if self.reason else words


@finding
class DamagedModelPart(Finding):
    """A part of the file does not hold what it should."""

    part: Literal["header", "description"]
    why: Finding

    def sentence(self) -> str:
        return f"{self.part}: {self.why.sentence()}"


@finding
class UnusableTensors(Finding):
    """The tensors cannot be used, for example because they overlap."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"its tensors cannot be used ({self.reason})"


@finding
class UnexpectedTensor(Finding):
    """A tensor that the described network does not have, or has in another shape."""

    name: ScreenOnly[str]
    seen: ScreenOnly[str]
    expected: ScreenOnly[str]

    def sentence(self) -> str:
        return (
            "its tensors are not those of the network that it describes "
            f"({self.name}: {self.seen} seen, {self.expected} expected)"
        )


@finding
class ChangedWeights(Finding):
    """The weights are not those that were saved."""

    part: Literal["model", "trunk", "head"]

    def sentence(self) -> str:
        return f"the weights of the {self.part} do not have the SHA-256 that it states"


@finding
class ImpossibleWeights(Finding):
    """Numbers that no training leaves, and from which only nonsense can be computed."""

    tensor: FitToStore[str]
    problem: Literal["not finite", "negative variance"]

    def sentence(self) -> str:
        if self.problem == "not finite":
            return f"{self.tensor} holds numbers that are not finite"
        return f"{self.tensor} holds variances below 0"


@finding
class ImpossibleNetwork(Finding):
    """A network that PyTorch cannot make, such as groups that do not divide the channels."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"its network cannot be made ({self.reason})"


# Models that are sound, and refused


@finding
class TooCostlyNetwork(Finding):
    """A network beyond the limits of decision 029."""

    unit: FitToStore[str]
    amount: int
    most: int

    def sentence(self) -> str:
        return f"the network takes {self.amount} {self.unit}; at most {self.most} are accepted"

    def remedy(self) -> str:
        return "both presets are far below that: ask the sender what it is"


@finding
class HeadWithoutTrunk(Finding):
    """A file that holds only a head was given without the model it belongs to."""

    centres: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        return f"a head without its trunk (adapted from the model of {' -> '.join(self.centres)})"

    def remedy(self) -> str:
        return "give both as TRUNK+HEAD: that model, then this file"


@finding
class NotAHead(Finding):
    """A whole model was given where a head is expected."""

    def sentence(self) -> str:
        return "a whole model, not a head"

    def remedy(self) -> str:
        return "use it without the model before the +"


@finding
class WrongTrunk(Finding):
    """A head was given with another model than the one it was adapted from."""

    centres: ScreenOnly[tuple[str, ...]]
    model: ScreenOnly[str]
    part: Literal["trunk", "head"]
    sha256: FitToStore[str]

    def sentence(self) -> str:
        return (
            f"this head belongs to another model, whose {self.part} has SHA-256 "
            f"{self.sha256[:12]}... (that of {' -> '.join(self.centres)}, not {self.model})"
        )

    def remedy(self) -> str:
        return "give the model that it was adapted from before the +"


@finding
class DivergedWeights(Finding):
    """Training left numbers that are no weights."""

    why: Finding

    def sentence(self) -> str:
        return f"training diverged: {self.why.sentence()}; no model was written"

    def remedy(self) -> str:
        return "use another seed (--seed, or seeds in a study)"


@finding
class UnwritableModel(Finding):
    """A model whose file could not be read again, found before the training."""

    why: Finding

    def sentence(self) -> str:
        return f"the model's file could not be read again ({self.why.sentence()})"

    def remedy(self) -> str:
        return "choose other settings"


# Settings


@finding
class InvalidView(Finding):
    """A view that the network cannot take."""

    crop_px: int
    pixel_mm: float
    low_hu: float
    high_hu: float

    def sentence(self) -> str:
        return (
            "crop_px must be 8n + 1 and at least 17, pixel_mm positive and the window's low below "
            f"its high; got {self.crop_px} px, {self.pixel_mm} mm, "
            f"{self.low_hu} to {self.high_hu} HU"
        )


@finding
class UnfitCrop(Finding):
    """A crop whose corners the network's coarsest map does not meet. stride: that map's."""

    crop_px: int
    stride: int

    def sentence(self) -> str:
        return f"this network needs a crop_px of {self.stride}n + 1; got {self.crop_px}"


@finding
class WrongSliceCount(Finding):
    """A network that takes another number of slices than its view of a CT has."""

    slices: int
    neighbours: int

    def sentence(self) -> str:
        return (
            "architecture.slices must be one more than there are preprocessing.neighbours_mm; "
            f"got {self.slices}, and {self.neighbours} of these"
        )


@finding
class OnlyOfCohorts(Finding):
    """An option of `inspect` is for cohorts, and a model was given."""

    option: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.option} is for cohorts, and this is a model"

    def remedy(self) -> str:
        return "give a cohort folder"


# What a model file keeps of a check


@finding
class CheckEstimates(Finding):
    """What the numbers of an adaptation's check estimate, and how certain they are.

    iterations: of each fold's model.
    """

    folds: int
    iterations: int

    def sentence(self) -> str:
        """Say which models the numbers are of, and what the folds have in common."""
        others = self.folds - 1
        which = "the other fold" if others == 1 else f"the other {others} of {self.folds} folds"
        learnt = f"learnt from {which} in {plural(self.iterations, 'iteration')}"
        return (
            f"each patient was scored by a model that {learnt}, while the model in this file "
            f"learnt from all patients; {FOLDS_SHARE_PATIENTS}"
        )


@finding
class TriedSays(Finding):
    """What the adapted models scored, over all folds of a check, by the say of their parent.

    worths: as how many patients the parent counted. dscs: the mean DSC with each.
    """

    worths: tuple[float, ...]
    dscs: tuple[float, ...]

    def sentence(self) -> str:
        """List what was tried; the best was taken."""
        tried = []
        for worth, dsc in zip(self.worths, self.dscs, strict=True):
            tried.append(f"{dsc:.3f} if it counts as {plural(round(worth), 'patient')}")
        return f"the parent's say with the best mean DSC was taken: {', '.join(tried)}"
