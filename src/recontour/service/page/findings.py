"""What can be found when somebody asks the page for something."""

from recontour.findings import Finding, FitToStore, finding
from recontour.wording import plural


@finding
class NotLoggedIn(Finding):
    """Nobody is logged in, or not any more."""

    def sentence(self) -> str:
        return "you are not logged in, or not any more"

    def remedy(self) -> str:
        return "log in again; every stroke that was answered is kept"


@finding
class RoleMissing(Finding):
    """An account may not do something. role: its own. needed: the least that may."""

    role: FitToStore[str]
    needed: FitToStore[str]

    def sentence(self) -> str:
        return f"this needs the role {self.needed}; yours is {self.role}"

    def remedy(self) -> str:
        return "ask whoever runs this site"


@finding
class ApprovedForGoneRule(Finding):
    """What was approved goes nowhere: the rule that took its CT is not there any more."""

    rule: FitToStore[str]

    def sentence(self) -> str:
        gone = f"the site has no rule {self.rule} any more"
        return f"the structure set is kept, but sent nowhere: {gone}"

    def remedy(self) -> str:
        return "ask whoever runs this site, then approve it again"


@finding
class ForeignRequest(Finding):
    """A request without the session's token, or from another site's page."""

    def sentence(self) -> str:
        return "this request did not come from the page as it was opened"

    def remedy(self) -> str:
        return "load the page again"


@finding
class WrongPassword(Finding):
    """No such account, or not its password."""

    def sentence(self) -> str:
        return "the account or the password is wrong"


@finding
class TooManyTries(Finding):
    """Too many wrong passwords. minutes: until the next try."""

    minutes: int

    def sentence(self) -> str:
        return f"there were too many wrong passwords; try again in {plural(self.minutes, 'minute')}"


@finding
class BodyTooLarge(Finding):
    """What was sent is larger than anything the page sends."""

    most_bytes: int

    def sentence(self) -> str:
        return f"this request is larger than {self.most_bytes:,} bytes"


@finding
class BodyTooSlow(Finding):
    """What was sent did not arrive in time."""

    seconds: float

    def sentence(self) -> str:
        return f"this request did not arrive within {self.seconds:g} s"


@finding
class NotUnderstood(Finding):
    """A request that the page does not send. what: which part of it."""

    what: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.what} is missing, or not as expected"

    def remedy(self) -> str:
        return "load the page again"


@finding
class NotThere(Finding):
    """An address, a patient, a draft or a job that does not exist, or no longer."""

    def sentence(self) -> str:
        return "there is nothing here, or not any more"

    def remedy(self) -> str:
        return "go back to the patients"


@finding
class NotYetPossible(Finding):
    """A series that no rule takes, or that is still arriving, is to be contoured."""

    why: FitToStore[str]

    def sentence(self) -> str:
        return self.why


@finding
class WentWrong(Finding):
    """A fault of the page's. kind: of the exception."""

    kind: FitToStore[str]

    def sentence(self) -> str:
        return f"something went wrong ({self.kind})"

    def remedy(self) -> str:
        return "try again; if it stays, whoever runs this site finds more in the log"
