"""What can be found while a site learns from its corrections."""

from recontour.findings import Finding, FitToStore, finding


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
