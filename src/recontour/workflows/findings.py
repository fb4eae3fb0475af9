"""What can be found where a command puts its inputs together."""

from collections.abc import Sequence
from typing import Literal

from recontour.cohort.findings import listed
from recontour.contouring.findings import OrganUnlikeTraining
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import about, agreeing, enumerated, plural


@finding
class NoCommonOrgan(Finding):
    """A cohort has none of the organs that a model contours.

    present: the cohort's organs. known: the models' organs.
    """

    present: FitToStore[tuple[str, ...]]
    known: FitToStore[tuple[str, ...]]
    purpose: Literal["learn", "score"]

    def sentence(self) -> str:
        """Compare the organs."""
        present = ", ".join(self.present) or "nothing"
        known = ", ".join(self.known)
        return f"the cohort has contours of {present}, the model contours {known}"

    def remedy(self) -> str:
        """Say what follows."""
        if self.purpose == "score":
            return "there is nothing to score"
        return "name the organs to learn with --organs"


@finding
class Planned(Finding):
    """What a long command uses, and how long it will take.

    cases: CT scans; a patient may have several. organs, counts: each organ, and how many of the
    cases have it. seconds: what is left, by the first ones that were timed; None: nothing is.
    """

    patients: int
    cases: int
    organs: FitToStore[tuple[str, ...]]
    counts: tuple[int, ...]
    seconds: float | None = None

    def on_what(self) -> str:
        """Count the patients and their organs."""
        patients = plural(self.patients, "patient")
        if self.cases > self.patients:
            patients += f" ({self.cases} CTs)"
        organs = []
        for organ, count in zip(self.organs, self.counts, strict=False):
            organs.append(f"{organ} ({count})")
        return f"{patients}: {', '.join(organs)}"

    def how_long(self) -> str:
        """Say how long it will take, with a comma before it, if that is known."""
        return "" if self.seconds is None else f", {about(self.seconds)}"


@finding
class PlannedTraining(Planned):
    """What a training learns from, and how long it will be."""

    iterations: int

    def sentence(self) -> str:
        """Say what follows from the cohort, and what from the number of patients."""
        iterations = plural(self.iterations, "iteration")
        return f"training on {self.on_what()}; {iterations}{self.how_long()}"


@finding
class PlannedEvaluation(Planned):
    """What models, and sets of contours from elsewhere, are scored on, and how long that takes."""

    models: int
    contours: int = 0

    def sentence(self) -> str:
        """Say what follows from the cohort and the models."""
        scored = [plural(self.models, "model")] if self.models else []
        if self.contours:
            scored.append(f"{plural(self.contours, 'set')} of contours")
        return f"scoring {' and '.join(scored)} on {self.on_what()}{self.how_long()}"


@finding
class PlannedAdaptation(Planned):
    """What an adaptation learns from, what it retrains, for how long, and what its parent says.

    parent_patients: how many of the centre's patients the parent counts for; 0: it has no say.
    is_chosen: whether that scored best in a check. sisters: how many models of the check are asked,
    too.
    """

    layers: int
    of_layers: int
    iterations: int
    parent_patients: float
    is_chosen: bool = False
    sisters: int = 0

    def sentence(self) -> str:
        """Say what follows from the cohort, the preset, the options and the number of patients."""
        every = self.layers == self.of_layers
        what = f"all {self.layers}" if every else f"the last {self.layers} of {self.of_layers}"
        iterations = plural(self.iterations, "iteration")
        how_long = f"{iterations}{self.how_long()}"
        asked = self._parent()
        if self.sisters:
            asked += f"; {plural(self.sisters, 'model')} of the check will be asked, too"
        return f"retraining {what} layers on {self.on_what()}; {how_long}; {asked}"

    def _parent(self) -> str:
        why = ", which scored best on patients held out" if self.is_chosen else ""
        if not self.parent_patients:
            return f"the parent has no say{why}"
        worth = plural(round(self.parent_patients), "patient")
        return f"in each organ that it knows, the parent's answer counts as much as {worth}{why}"


@finding
class PlannedCheck(Planned):
    """A cross-validation before an adaptation. seconds: until all folds have learnt.

    folds: how many; left: those that are not finished. iterations: of each fold's adaptation.
    """

    folds: int
    left: int
    iterations: int

    def sentence(self) -> str:
        """Say what comes before the adaptation, and how long that takes."""
        iterations = plural(self.iterations, "iteration")
        which = f"{self.folds} folds"
        if self.left < self.folds:
            which = f"the last {self.left} of {which}"
        in_all = f"{self.how_long()} in all" if self.how_long() else ""
        return (
            f"checking in {which} of {self.on_what()}; {iterations} for each fold{in_all} before "
            "the adaptation itself begins"
        )


@finding
class PlannedGain(Planned):
    """Adaptations to more and more patients, fold by fold. seconds: until all of them are done.

    numbers: how many patients are learnt from, fewest first. folds: how many. left: how many
    adaptations are not finished. iterations: of each one.
    """

    numbers: tuple[int, ...]
    folds: int
    left: int
    iterations: int

    def sentence(self) -> str:
        """Say how many adaptations there are, and why."""
        every = plural(len(self.numbers) * self.folds, "adaptation")
        which = f"the last {self.left} of {every}"
        if self.left == len(self.numbers) * self.folds:
            which = every
        numbers = enumerated(list(map(str, self.numbers)), "and")
        iterations = plural(self.iterations, "iteration")
        in_all = f"{self.how_long()} in all" if self.how_long() else ""
        return (
            f"{which}, each in {iterations}, to {numbers} patients in {self.folds} folds of "
            f"{self.on_what()}{in_all}"
        )


@finding
class TooFewForGain(Finding):
    """There are too few patients to learn from several numbers of them and score the others."""

    patients: int
    folds: int
    needed: int

    def sentence(self) -> str:
        """Compare the numbers."""
        return (
            f"{plural(self.patients, 'patient')} in {self.folds} folds leave fewer than 2 patients "
            f"to learn from beside those who are scored (expected at least {self.needed} patients)"
        )

    def remedy(self) -> str:
        """Say what follows."""
        return "import more patients; with so few, each further one is likely to help"


@finding
class ImpossibleSizes(Finding):
    """The numbers of patients to learn from do not fit. most: that every fold leaves."""

    sizes: tuple[int, ...]
    most: int

    def sentence(self) -> str:
        """Say what is possible."""
        seen = ",".join(map(str, self.sizes)) or "nothing"
        return (
            f"--sizes {seen}: at least two different numbers of patients from 1 to {self.most} are "
            "expected, which is how many every fold leaves to learn from"
        )

    def remedy(self) -> str:
        """Say how to learn from more."""
        return "more --folds leave more patients to learn from"


@finding
class GainBySeveral(Finding):
    """A launcher has started several processes, but a gain is measured by one."""

    processes: int

    def sentence(self) -> str:
        """Say how many there are."""
        return f"`gain` was started as {self.processes} processes, but runs as one"

    def remedy(self) -> str:
        """Say how to start it."""
        return "start it without torchrun, or as a step of one task (`srun -n 1`)"


@finding
class NothingToGain(Finding):
    """No organ of any patient was scored by the models of every number of patients."""

    def sentence(self) -> str:
        """Say so."""
        return "no patient's organ could be scored with every number of patients to learn from"

    def remedy(self) -> str:
        """Say what helps."""
        return "name the organs that most patients have with --organs, or give larger --sizes"


@finding
class NothingToCheck(Finding):
    """A check would score nothing: no organ can be learnt from one patient and scored on another.

    organs: that are to be learnt.
    """

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Say why."""
        return (
            "--check would score nothing: in every fold, the patients to learn from have none of "
            f"the organs of those to score ({', '.join(self.organs)})"
        )

    def remedy(self) -> str:
        """Say what a check needs."""
        return "import another patient with one of these organs, or leave out --check"


@finding
class OrgansNotChecked(Finding):
    """Organs that a check will not score: in no fold can they be both learnt and scored."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them, and say why."""
        return (
            f"--check will not score {', '.join(self.organs)}: in no fold do both the patients to "
            "learn from and those to score have it"
        )

    def remedy(self) -> str:
        """Say what a check needs."""
        return "it needs two patients with the organ"


@finding
class NothingToCompare(Finding):
    """A check will not compare: the parent knows none of the organs that are scored."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Say what is missing."""
        return (
            "--check will not compare with the model to adapt, which contours none of the organs "
            f"that are scored ({', '.join(self.organs)})"
        )

    def remedy(self) -> str:
        """Say what is measured nevertheless."""
        return "it scores the adapted models alone"


@finding
class OtherCheck(Finding):
    """A check that was interrupted is of another adaptation, or of contours that changed since."""

    def sentence(self) -> str:
        """Say what does not fit."""
        return (
            "this folder holds an interrupted check of a different adaptation, or the cases have "
            "changed since"
        )

    def remedy(self) -> str:
        """Say how to go on."""
        return "delete the folder to check again from the start"


@finding
class HeadIsWholeModel(Finding):
    """Only the head is to be written, but it would need nothing of the model to adapt."""

    def sentence(self) -> str:
        """Say why."""
        return (
            "--head-only: no stage stays frozen and the parent has no say, so the head would be "
            "the whole model"
        )

    def remedy(self) -> str:
        """Say what can be written."""
        return "write the whole model with --out, or retrain less, as with --retrain-last 10"


@finding
class HeadOfAllLayers(Finding):
    """Only the head is to be written, and no stage stays frozen, but the parent has a say."""

    def sentence(self) -> str:
        """Say what the file holds, and what it still needs."""
        return (
            "--head-only: no stage stays frozen, so the head has as many layers as the whole "
            "network; it needs the model to adapt for the parent's answer alone"
        )

    def remedy(self) -> str:
        """Say how to write less."""
        return "for a smaller head, retrain less, as with --retrain-last 10"


@finding
class OrgansNotLearnt(Finding):
    """A cohort has organs that the model to adapt does not know, and that were not asked for."""

    new: FitToStore[tuple[str, ...]]
    all_organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them."""
        return f"the model does not know {', '.join(self.new)}, which the cohort has"

    def remedy(self) -> str:
        """Say how to learn them too."""
        them = agreeing(len(self.new), "it", "them")
        return f"to learn {them}, too, add --organs {' '.join(self.all_organs)}"


@finding
class OrgansDropped(Finding):
    """A cohort has no contours of organs that the model to adapt contours."""

    dropped: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them."""
        dropped = ", ".join(self.dropped)
        them = "it" if len(self.dropped) == 1 else "them"
        return (
            f"the cohort has no contours of {dropped}, so the adapted model will not contour {them}"
        )

    def remedy(self) -> str:
        """Say what helps if the cohort has them under another name."""
        return (
            "if your patients have such contours under other names, map these and import with "
            "--again; otherwise the model that you began with still contours what is dropped"
        )


@finding
class UnknownPreset(Finding):
    """A model to adapt was made with a preset that this recontour does not have."""

    preset: ScreenOnly[str]
    known: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Compare the presets."""
        known = " and ".join(self.known)
        return f"this recontour has the presets {known}, not the model's (preset '{self.preset}')"

    def remedy(self) -> str:
        """Say what helps."""
        return "adapt it with the recontour that made it, or update"


@finding
class OrgansNotFoundAfterTraining(Finding):
    """A trained model finds nothing of an organ, even on patients it was trained on."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name the organs."""
        return f"not found on the patients that the model was trained on: {', '.join(self.organs)}"

    def remedy(self) -> str:
        """Say what usually helps."""
        return "give more --iterations"


@finding
class SharedModelName(Finding):
    """Several models, or a model and contours, have one name, by which reports call them."""

    names: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them."""
        return f"two models, or a model and contours, have one name ({', '.join(self.names)})"

    def remedy(self) -> str:
        """Say what helps, and why."""
        return (
            "rename a file, or the contours: reports call models by their files' names, and "
            "contours by the name before ="
        )


@finding
class NoOrganFound(Finding):
    """A model found none of its organs on a CT."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name the organs."""
        return f"none of {', '.join(self.organs)} found"

    def remedy(self) -> str:
        """Name the usual causes."""
        return (
            "train longer (--iterations), or check that the CT shows the region the model was "
            "trained on"
        )


@finding
class MostOrgansNotFound(Finding):
    """A model found fewer organs on a CT than it missed."""

    found: int
    not_found: int

    def sentence(self) -> str:
        """Count them."""
        organs = plural(self.found + self.not_found, "organ")
        return f"{self.not_found} of {organs} were not found, so the contours may be wrong"

    def remedy(self) -> str:
        """Say what to check."""
        return "check that the CT shows the region the model was trained on"


@finding
class NoFileName(Finding):
    """NIfTI masks are files named after their organs, and a name cannot be a file's."""

    roi_name: ScreenOnly[str]

    def sentence(self) -> str:
        """Say which name."""
        return f"the name in the output cannot be a file's ({self.roi_name})"

    def remedy(self) -> str:
        """Say what is possible."""
        return "choose one without / and without a dot in front, or write an RTSTRUCT"


@finding
class MayBeParts(Finding):
    """A CT series that was contoured alone may be a part of a CT. series: how many parts."""

    series: int

    def sentence(self) -> str:
        """Say why."""
        return f"{self.series} series of this patient look like the parts of one CT"

    def remedy(self) -> str:
        """Say what helps."""
        return "if they are, export that CT as one series and contour it again"


@finding
class AnotherModel(Finding):
    """A worker process finds another model at the path than the process that started it."""

    def sentence(self) -> str:
        """Say what is seen."""
        return "a worker process finds another model here than the command did"

    def remedy(self) -> str:
        """Say what helps."""
        return "leave the model file alone meanwhile, and keep it in a folder that all workers see"


@finding
class OtherContours(Finding):
    """A folder holds contours that were made in another way. changed: in what it differs."""

    changed: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Say what differs."""
        return f"the contours in this folder were made with other {' and '.join(self.changed)}"

    def remedy(self) -> str:
        """Say what helps."""
        return "choose another --out, or repeat the command as it was"


@finding
class DamagedContourList(Finding):
    """The list of the contours in a folder cannot be read."""

    why: Finding | None = None

    def sentence(self) -> str:
        """Say why, if that is known."""
        return "the list of contours is damaged" + (f" ({self.why.sentence()})" if self.why else "")

    def remedy(self) -> str:
        """Say what helps."""
        return "choose another --out, or remove this folder and contour again"


@finding
class NothingToScore(Finding):
    """Neither a model nor contours were given."""

    def sentence(self) -> str:
        return "nothing to score: neither a model nor contours were given"

    def remedy(self) -> str:
        return "name a model, or contours from elsewhere with --contours NAME=FOLDER"


@finding
class NamesWithoutContours(Finding):
    """A map of ROI names was given to `evaluate`, and no contours from elsewhere."""

    def sentence(self) -> str:
        return "--names is a map of the ROI names of --contours, and there are none"

    def remedy(self) -> str:
        return "leave it out, or add --contours NAME=FOLDER"


@finding
class NamelessContours(Finding):
    """Contours from elsewhere have no name for tables and report."""

    def sentence(self) -> str:
        return "these contours have no name"

    def remedy(self) -> str:
        return "write --contours NAME=FOLDER"


@finding
class ModelNotice(Finding):
    """What everyone who uses a model must know, in the model's own words."""

    notice: ScreenOnly[str]

    def sentence(self) -> str:
        """Repeat it."""
        return f"of the model: {self.notice}"


@finding
class NoRanges(Finding):
    """A model does not say what its patients measured, so nothing can be compared with them."""

    def sentence(self) -> str:
        """Say what was not done."""
        return (
            "this model was made before models kept what their patients measured, so whether the "
            "CT and the contours are like those that it learnt from was not checked"
        )


@finding
class MostUnlikeTraining(Finding):
    """Most of the contours on a CT are unlike those that the model learnt from.

    found: how many contours there are.
    """

    unlike: tuple[OrganUnlikeTraining, ...]
    found: int

    def sentence(self) -> str:
        """Say how many, and how each differs."""
        each = "; ".join(f"{one.organ}: {one.details()}" for one in self.unlike)
        count = f"{len(self.unlike)} of {plural(self.found, 'contour')}"
        are = agreeing(len(self.unlike), "is", "are")
        return f"{count} {are} unlike what the model learnt from ({each})"


@finding
class UnsuitableModel(Finding):
    """A model does not suit a CT, so nothing was written."""

    reasons: tuple[Finding, ...]

    def sentence(self) -> str:
        """Give every reason."""
        return "; ".join(reason.sentence() for reason in self.reasons)

    def remedy(self) -> str:
        """Say what helps."""
        return (
            "nothing was written: give a model of this region and kind of patient, or repeat with "
            "--anyway if you are sure that it fits"
        )


@finding
class SameModel(Finding):
    """A candidate is to replace itself."""

    def sentence(self) -> str:
        """Say what was given."""
        return "the candidate and the model given to --against are the same"

    def remedy(self) -> str:
        """Say what to give."""
        return "give the model in use to --against"


@finding
class NobodyToJudgeBy(Finding):
    """No case is left that proves anything of a model. cases: those with contours of its organs."""

    cases: int

    def sentence(self) -> str:
        """Say why none is left."""
        return (
            f"none of {plural(self.cases, 'case')} can be counted: each is of a patient that one "
            "of the models was trained on, or holds drafts that recontour drew itself"
        )

    def remedy(self) -> str:
        """Say what is needed."""
        return "import patients that no model has seen, with contours that a person drew"


@finding
class NotCounted(Finding):
    """Cases that a decision on a model does not rest on. of: how many there are in all."""

    cases: FitToStore[tuple[str, ...]]
    of: int

    def sentence(self) -> str:
        """Say which, and why."""
        are = "is" if len(self.cases) == 1 else "are"
        return (
            f"{len(self.cases)} of {plural(self.of, 'case')} {are} not counted, since a model was "
            "trained on the patient, or since the contours are drafts that recontour drew itself: "
            f"{listed(self.cases)}"
        )


@finding
class NotAllPromoted(Finding):
    """A candidate may not replace the model in use for every organ.

    promoted, keep, undecided: organs by decision. lacking: those that only the model in use
    contours. per_organ: a model was written that keeps to it.
    """

    promoted: FitToStore[tuple[str, ...]]
    keep: FitToStore[tuple[str, ...]]
    undecided: FitToStore[tuple[str, ...]]
    lacking: FitToStore[tuple[str, ...]] = ()
    per_organ: bool = False

    def sentence(self) -> str:
        """Say which organs stay with the model in use."""
        parts = []
        if self.keep:
            parts.append(f"keep the model in use for {', '.join(self.keep)}")
        if self.undecided:
            parts.append(f"undecided: {', '.join(self.undecided)}")
        if self.lacking:
            parts.append(f"the candidate does not contour {', '.join(self.lacking)}")
        total = len(self.promoted) + len(self.keep) + len(self.undecided)
        promoted = f"{len(self.promoted)} of {plural(total, 'organ')} promoted"
        return f"{promoted}; {'; '.join(parts)}"

    def remedy(self) -> str:
        """Say what helps."""
        nothing_to_join = not self.keep and not self.undecided
        if self.per_organ or not self.promoted or nothing_to_join:
            return ""
        return "--per-organ FILE writes a model that takes only promoted organs from the candidate"


# Monitoring


@finding
class ShortBaseline(Finding):
    """A baseline of too few patients was asked for."""

    baseline: int
    fewest: int

    def sentence(self) -> str:
        """Compare the numbers."""
        return f"--baseline {self.baseline}: at least {self.fewest} patients can say what is usual"


@finding
class TooFewToMonitor(Finding):
    """No patient is left after the baseline, or the baseline has no organ often enough."""

    patients: int
    baseline: int

    def sentence(self) -> str:
        """Count them."""
        patients = plural(self.patients, "patient")
        if not self.patients:
            return "no patient is left to watch"
        if self.patients > self.baseline:
            return f"no organ is contoured in enough of {patients} to say what is usual"
        return f"{patients}, of whom the first {self.baseline} say what is usual: none to watch"

    def remedy(self) -> str:
        """Say what would help."""
        if not self.patients:
            return "give patients whose contours can be compared"
        return "wait for more patients, or give the limits of an acceptance with --limits"


@finding
class LimitsWithoutTheseOrgans(Finding):
    """A file of limits says nothing of any organ that was compared. fewest: that limits need."""

    fewest: int

    def sentence(self) -> str:
        """Say what the limits lack."""
        return (
            "the limits have none of the organs of these patients, or are of fewer than "
            f"{plural(self.fewest, 'patient')}"
        )

    def remedy(self) -> str:
        """Say which to give."""
        return "give the limits of the model that drew these drafts, or none"


@finding
class OrgansNotApproved(Finding):
    """Organs that drafts have and the approved contours lack. counts: in how many CTs, by organ."""

    organs: FitToStore[tuple[str, ...]]
    counts: tuple[int, ...]

    def sentence(self) -> str:
        """Count them by organ."""
        of_each = counted_organs(self.organs, self.counts)
        return f"drafted, but not in the approved contours, so not compared: {of_each}"


@finding
class OrgansNotDrafted(Finding):
    """Approved organs that a draft lacks and others have. counts: in how many CTs, by organ."""

    organs: FitToStore[tuple[str, ...]]
    counts: tuple[int, ...]

    def sentence(self) -> str:
        """Count them by organ."""
        of_each = counted_organs(self.organs, self.counts)
        return f"approved, but missing from the draft, which counts as a DSC of 0: {of_each}"


def counted_organs(organs: Sequence[str], counts: Sequence[int]) -> str:
    """Return organs with how often each was found.

    >>> counted_organs(("Lens_L", "Parotid_L"), (1, 3))
    'Lens_L (1 CT), Parotid_L (3 CTs)'
    """
    pairs = zip(organs, counts, strict=False)
    return ", ".join(f"{organ} ({plural(count, 'CT')})" for organ, count in pairs)


@finding
class CtsOfOnePatient(Finding):
    """Some patients have several CTs."""

    cts: int
    patients: int

    def sentence(self) -> str:
        """Say how each counts."""
        patients = plural(self.patients, "patient")
        return f"{self.cts} CTs are of {patients}: each counts once, with the mean over its CTs"


@finding
class PatientsLeftOut(Finding):
    """A model was trained on some patients, so they do not show how it draws others."""

    model: FitToStore[str]
    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them."""
        cases = ", ".join(self.cases)
        return f"{self.model} was trained on {cases}; left out"


@finding
class OrderOfImports(Finding):
    """A cohort keeps no dates, so its order is only nearly that of time."""

    cohorts: int

    def sentence(self) -> str:
        """Say which order it is."""
        first = "by cohort as given, then " if self.cohorts > 1 else ""
        return (
            f"patients are ordered {first}by import, then by name: a cohort keeps no dates, so "
            "within an import the order is not that of time"
        )


@finding
class LimitsOfAnotherModel(Finding):
    """The limits were measured with another model."""

    def sentence(self) -> str:
        """Say what follows."""
        return "the limits are another model's, so they do not say what is usual of this one"

    def remedy(self) -> str:
        """Say which to give."""
        return "give the limits of this model's acceptance, or none"


@finding
class LimitsOfThesePatients(Finding):
    """The limits were measured on the very patients that are watched."""

    def sentence(self) -> str:
        """Say what follows."""
        return "the limits were measured on these patients, so the charts cannot show a change"

    def remedy(self) -> str:
        """Say whom to watch."""
        return "give patients who came after the acceptance"


@finding
class UncheckedLimits(Finding):
    """Drafts do not hold the hash of their model, so the limits cannot be checked."""

    def sentence(self) -> str:
        """Say what cannot be checked."""
        return "drafts do not say their model's hash: check that the limits are of the same model"


@finding
class UnchangedDrafts(Finding):
    """How many approved structure sets are the draft, to the voxel."""

    unchanged: int
    of: int

    def sentence(self) -> str:
        """Count them."""
        return (
            f"{self.unchanged} of {plural(self.of, 'approved structure set')} unchanged: equal to "
            "the draft to the voxel"
        )


@finding
class AlarmRaised(Finding):
    """Some organs have drifted. organs: which; ALL is the mean over organs."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them."""
        return f"drift: {', '.join(self.organs)}"

    def remedy(self) -> str:
        """Say where it is shown."""
        return "see the report"


@finding
class NoBaseline(Finding):
    """A model file does not say how far its centre's own contours lie from the model's."""

    def sentence(self) -> str:
        """Say what is lacking, and what follows."""
        return (
            "the model was made before models kept how their centre's own contours lie beside "
            "theirs, so nothing can be said of what differs between the centres"
        )

    def remedy(self) -> str:
        """Say what would help."""
        return "give a cohort of the model's centre with --home"


@finding
class HomeOfAnotherCentre(Finding):
    """The cohort given as the model's centre has another label. label: the cohort's. home: its."""

    label: FitToStore[str]
    home: FitToStore[str]

    def sentence(self) -> str:
        """Compare the labels."""
        return (
            f"the cohort given with --home is of {self.label}, and the model of {self.home}; the "
            f"comparison is with {self.label}"
        )


@finding
class OnlyDrafts(Finding):
    """All contours of a cohort that could be compared are recontour's own. drafts: cases."""

    drafts: int

    def sentence(self) -> str:
        """Say so."""
        return (
            f"{plural(self.drafts, 'case')} with organs of the model's, all with contours that "
            "recontour drew; only a person's contours can be compared"
        )
