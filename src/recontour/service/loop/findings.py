"""What can be found while a site learns from its corrections."""

from recontour.findings import Finding, FitToStore, finding
from recontour.wording import plural


@finding
class NoVersion(Finding):
    """A site has no version of a model that it could use."""

    model: FitToStore[str]

    def sentence(self) -> str:
        return f"no version of the model {self.model} is in use"

    def remedy(self) -> str:
        return "check its file in SITE.toml, and start the site again"


@finding
class NoSuchVersion(Finding):
    """There is no version of that number in the database. version_id: its row's."""

    version_id: int

    def sentence(self) -> str:
        return f"there is no model version with the id {self.version_id}"


@finding
class NotACandidate(Finding):
    """A version is to be promoted that the gate has not found good enough, or no longer."""

    version: FitToStore[str]
    state: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.version} is {self.state}, not a candidate"

    def remedy(self) -> str:
        return "only a version that was accepted against the one in use can be promoted"


@finding
class NothingBefore(Finding):
    """A model is to be rolled back, and no other version of it was ever in use."""

    version: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.version} is the first that was in use; there is none to go back to"


@finding
class NotReviewed(Finding):
    """A structure set is a draft that nobody has reviewed; a model must not learn from it."""

    def sentence(self) -> str:
        return "the structure set is a draft of recontour's own that nobody has approved"

    def remedy(self) -> str:
        return "approve it first"


@finding
class NotCollected(Finding):
    """An approved structure set and its CT do not belong together any more."""

    def sentence(self) -> str:
        return "the approved structure set has no CT in the site's folder"

    def remedy(self) -> str:
        return "send the CT again"


@finding
class NobodyToLearnFrom(Finding):
    """No case was collected for a model, or all that were are kept aside."""

    def sentence(self) -> str:
        return "nobody was corrected from whom the model could learn"

    def remedy(self) -> str:
        return "approve patients first"


@finding
class TooFewAside(Finding):
    """So few patients are kept aside that no candidate could be accepted."""

    patients: int
    more: int

    def sentence(self) -> str:
        return f"{plural(self.patients, 'patient')} to test with cannot show that a model is better"

    def remedy(self) -> str:
        return f"{self.more} more must be kept aside; approve more patients"


@finding
class OrgansNotCorrected(Finding):
    """Organs that the site's rules ask for have contours in none of the cases to learn from."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"nobody was corrected in {', '.join(self.organs)}, so a new model would lack it"

    def remedy(self) -> str:
        return "approve a patient who has it, or name the other organs in the site's rules"
