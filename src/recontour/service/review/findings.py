"""What can be found while a draft is corrected and approved."""

from datetime import datetime

from recontour.findings import Finding, FitToStore, finding
from recontour.wording import plural


@finding
class LockedByAnother(Finding):
    """Another person edits the draft. who: their account. until: seconds since 1970."""

    who: FitToStore[str]
    until: float

    def sentence(self) -> str:
        time = datetime.fromtimestamp(self.until).strftime("%H:%M:%S")
        return f"{self.who} is editing this draft, until {time} at least"

    def remedy(self) -> str:
        return "ask them, or wait"


@finding
class NewerEdits(Finding):
    """What was sent is about contours that have changed since."""

    revision: int
    current: int

    def sentence(self) -> str:
        return "these contours were changed meanwhile, in another window"

    def remedy(self) -> str:
        return "load the page again"


@finding
class OtherDraft(Finding):
    """A window shows a draft whose number another one has now."""

    def sentence(self) -> str:
        return "the contours in this window are of another draft"

    def remedy(self) -> str:
        return "load the page again"


@finding
class OrganNotOfDraft(Finding):
    """An organ that the draft's model does not contour."""

    def sentence(self) -> str:
        return "this draft has no such organ"

    def remedy(self) -> str:
        return "load the page again"


@finding
class LayerNotThere(Finding):
    """A layer that does not exist, or is of another series."""

    def sentence(self) -> str:
        return "this patient has no such layer"

    def remedy(self) -> str:
        return "load the page again"


@finding
class NothingToApprove(Finding):
    """No organ with contours was chosen."""

    def sentence(self) -> str:
        return "none of the chosen organs has contours"

    def remedy(self) -> str:
        return "choose at least one organ with contours"


@finding
class OtherThanShown(Finding):
    """The structure set, read back, encloses other voxels than the page showed. It was deleted."""

    voxels: int

    def sentence(self) -> str:
        return (
            f"the structure set differs from the page by {plural(self.voxels, 'voxel')} and was "
            "not kept"
        )

    def remedy(self) -> str:
        return "draw over this organ's contours once more, and report this"


@finding
class ApprovedMeanwhile(Finding):
    """A draft was approved twice at the same time; one of the two counts."""

    def sentence(self) -> str:
        return "this draft was approved just now"

    def remedy(self) -> str:
        return "load the page again"


@finding
class OutdatedDraft(Finding):
    """Slices came, or were refused, since a draft was made."""

    def sentence(self) -> str:
        return "the CT has changed since this draft was made"

    def remedy(self) -> str:
        return "review the draft that is made of all slices, or send the series again"
