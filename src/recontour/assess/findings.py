"""What can be found where models are scored."""

from recontour.findings import Finding, FitToStore, finding
from recontour.wording import plural


@finding
class DraftContours(Finding):
    """Contours to learn from, or to score against, were drawn by recontour itself."""

    drafts: int
    cases: int

    def sentence(self) -> str:
        """Say how many, and why it matters."""
        cases = f"{self.drafts} of {plural(self.cases, 'case')}"
        return (
            f"the contours of {cases} are recontour's own: "
            "a model learns nothing from them, and scores against them prove nothing"
        )


@finding
class TrainedOnTestPatients(Finding):
    """A model was trained on patients it is to be scored on.

    model: the name under which scores and report show it. same_ct: trained on the very CT; if not,
    on another CT with the same PatientID.
    """

    model: FitToStore[str]
    trained_on: int
    patients: int
    same_ct: bool

    def sentence(self) -> str:
        """Say how many patients, and what their scores are worth."""
        patients = f"{self.trained_on} of {plural(self.patients, 'patient')}"
        nothing = "their scores say nothing about new patients"
        if self.same_ct:
            were = "was" if self.trained_on == 1 else "were"
            return f"{patients} {were} used to train {self.model}; {nothing}"
        have = "shares" if self.trained_on == 1 else "share"
        return (
            f"{patients} {have} a PatientID with someone whose other CT was used to train "
            f"{self.model}; {nothing}, unless two centres gave out that ID"
        )
