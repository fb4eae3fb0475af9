"""What can be found where models are scored."""

from typing import Literal

from recontour.cohort.findings import listed
from recontour.findings import Finding, FitToStore, finding
from recontour.wording import plural

KnownBy = Literal["same CT", "nearly equal CT", "PatientID"]


@finding
class TrainedOnTestPatients(Finding):
    """A model was trained on patients it is to be scored on.

    model: the name under which scores and report show it. which: these patients, each by the first
    of its cases. known_by: what shows it. With "PatientID", the model was trained on another CT
    under the same ID.
    """

    model: FitToStore[str]
    trained_on: int
    patients: int
    known_by: KnownBy
    which: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        """Say how many patients and which, and what their scores are worth."""
        patients = f"{self.trained_on} of {plural(self.patients, 'patient')}"
        if self.which and self.trained_on < self.patients:
            patients += f" ({listed(self.which)})"
        is_one = self.trained_on == 1
        nothing = "their scores say nothing about new patients"
        match self.known_by:
            case "same CT":
                were = "was" if is_one else "were"
                return f"{patients} {were} used to train {self.model}; {nothing}"
            case "nearly equal CT":
                have = "has" if is_one else "have"
                return (
                    f"{patients} {have} a CT that nearly equals one used to train {self.model}, as "
                    f"if it had been exported twice; {nothing}"
                )
            case "PatientID":
                share = "shares" if is_one else "share"
                return (
                    f"{patients} {share} a PatientID with someone whose other CT was used to train "
                    f"{self.model}; {nothing}, unless two centres gave out that ID"
                )


@finding
class TrainedOnThisPatient(Finding):
    """A model contours a CT of a patient that it was trained on.

    known_by: what shows it. With "PatientID", it was trained on another CT under the same ID.
    """

    known_by: KnownBy

    def sentence(self) -> str:
        """Say what is known, and what the contours are worth."""
        nothing = "how well it contours this CT says nothing about new patients"
        match self.known_by:
            case "same CT":
                return f"the model was trained on this CT; {nothing}"
            case "nearly equal CT":
                return (
                    "the model was trained on a CT that nearly equals this one, as if it had been "
                    f"exported twice; {nothing}"
                )
            case "PatientID":
                return (
                    f"the model was trained on another CT under this PatientID; {nothing}, unless "
                    "two centres gave out that ID"
                )


@finding
class IncomparableKeys(Finding):
    """A model's patient keys have other salts than those of the patients it meets.

    model: the name under which scores and report show it, on a cohort of the centre that it learnt
    from; None: the only model, on CTs.
    """

    model: FitToStore[str | None] = None

    def sentence(self) -> str:
        """Say whose keys have another salt, and who is not recognised."""
        if self.model:
            return (
                f"{self.model} learnt from patients of this centre whose keys were made with "
                "another salt: a patient who is here with another CT is not recognised"
            )
        return (
            "the keys of the model's patients were made with a salt that is not yours: one of them "
            "who comes with another CT is not recognised"
        )

    def remedy(self) -> str:
        if self.model:
            return "import both cohorts with one salt, and train again"
        return "if they may be your patients, contour as the user who imported them"


@finding
class NotReplaceable(Finding):
    """A file stands where a cohort's page is to go, and is not its earlier page, unchanged.

    why: "no id": it is a cohort's page, but an earlier version made the cohort, and gave it no id.
    """

    why: Literal["not ours", "edited", "another cohort", "no id", "link"]

    def sentence(self) -> str:
        """Say what the file is."""
        match self.why:
            case "not ours":
                return "exists, and is not a cohort's page that recontour wrote"
            case "edited":
                return "exists, and was edited after recontour wrote it"
            case "another cohort":
                return "exists, and is the page of another cohort"
            case "no id":
                return (
                    "exists, and may be the page of another cohort: this one was made by an "
                    "earlier recontour, and has no id by which its page could be known"
                )
            case "link":
                return "is a link"

    def remedy(self) -> str:
        """Say what to do."""
        if self.why == "link":
            return "name the file it leads to"
        return "choose another file name, or move that file away"


@finding
class SidesExchanged(Finding):
    """What a model draws on one side is the case's contour on the other, and the reverse.

    model: the name under which scores and report show it. left, right: TG-263 names.
    """

    model: FitToStore[str]
    left: FitToStore[str]
    right: FitToStore[str]
    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Say in which cases, and what that means."""
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        return (
            f"in {cases}, {self.left} of {self.model} lies on {self.right} of the case, and the "
            "reverse: left and right are swapped in the case, in what the model learnt from, or in "
            "contours from elsewhere"
        )

    def remedy(self) -> str:
        """Say what to look at."""
        return "check the names of the case's structure set, and of the others"


@finding
class PhantomAndPatient(Finding):
    """A model of the phantom meets patients, or a model of patients meets the phantom.

    model: the name under which scores and report show it, on a cohort; None: the only model, on one
    CT.
    """

    model: FitToStore[str | None] = None
    model_of_phantom: bool

    def sentence(self) -> str:
        """Say which is which."""
        model = self.model or "the model"
        if self.model_of_phantom:
            those = "these are patients" if self.model else "this CT is not of it"
            return f"{model} was trained on recontour's phantom; {those}"
        those = "these patients are" if self.model else "this CT is of"
        return f"{those} recontour's phantom; {model} was trained on patients"


@finding
class SameAsReference(Finding):
    """Contours from elsewhere equal the cohort's own to the voxel, in every organ of some cases.

    model: the name under which scores and report show them.
    """

    model: FitToStore[str]
    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        return (
            f"in {cases}, the contours of {self.model} equal the cohort's own to the voxel: they "
            "may be the structure sets that were imported, and their scores say nothing"
        )

    def remedy(self) -> str:
        return "check the folder that was given"
