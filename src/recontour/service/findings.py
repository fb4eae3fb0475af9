"""What can be found at a site: in its file, its folder, what arrives and what is sent."""

from recontour.files import system_words
from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words
from recontour.validation import Invalid
from recontour.wording import plural

MOST_MISTAKES = 5  # of a site file that one line names
EXAMPLE = "`recontour serve --example` prints a site file"


# SITE.toml


@finding
class WrongSite(Finding):
    """Settings of a site are missing, unknown or impossible."""

    mistakes: tuple[Invalid, ...]

    def sentence(self) -> str:
        named = list(map(words, self.mistakes[:MOST_MISTAKES]))
        more = len(self.mistakes) - len(named)
        if more:
            named.append(f"{more} more")
        return "; ".join(named)


@finding
class SiteIsServed(Finding):
    """Another process serves the site."""

    def sentence(self) -> str:
        return "another recontour serves this site"

    def remedy(self) -> str:
        return "end that one first, or give this site a folder of its own"


# What arrives


@finding
class NoRuleTakes(Finding):
    """No rule of the site takes a series. It is kept, and listed."""

    rules: int

    def sentence(self) -> str:
        return f"none of {plural(self.rules, 'rule')} takes this series"

    def remedy(self) -> str:
        return "`recontour serve SITE.toml --dry-run DICOM_DIR` says why"


@finding
class RuleDoesNotHold(Finding):
    """Why a rule does not take a series.

    condition: the line under [rules.when]. expected: what the rule asks. seen: what the series
    says.
    """

    rule: FitToStore[str]
    condition: FitToStore[str]
    expected: FitToStore[str]
    seen: ScreenOnly[str]

    def sentence(self) -> str:
        seen = repr(self.seen) if self.seen else "nothing"
        return f"rule {self.rule}: {self.condition} {self.expected}, found {seen}"


# Accounts


@finding
class UnsuitableAccount(Finding):
    """A name that no account can have."""

    def sentence(self) -> str:
        return "an account's name is 1 to 64 letters, digits and . _ @ -, a letter or digit first"

    def remedy(self) -> str:
        return "choose another name"


@finding
class UnsuitablePassword(Finding):
    """A password that is too short, or absurdly long. shortest, longest: in characters."""

    shortest: int
    longest: int

    def sentence(self) -> str:
        return f"a password has {self.shortest} to {self.longest} characters"

    def remedy(self) -> str:
        return "choose another one: a few words in a row are easy to keep in mind"


@finding
class NoSuchAccount(Finding):
    """An account that does not exist."""

    def sentence(self) -> str:
        return "there is no such account"

    def remedy(self) -> str:
        return "check its spelling, or give --role to make it"


# The folder


@finding
class NewerSite(Finding):
    """A site's database was made by a newer recontour, or by something else."""

    version: int

    def sentence(self) -> str:
        return f"the site's database has format {self.version}, which this recontour does not know"

    def remedy(self) -> str:
        return "install the recontour that made it, or a newer one"


# The worker


@finding
class RuleGone(Finding):
    """The site file no longer has the rule that took a series."""

    rule: FitToStore[str]

    def sentence(self) -> str:
        return f"the site has no rule {self.rule} any more"

    def remedy(self) -> str:
        return "give the site file that rule again, and try this series again"


@finding
class SeriesOfGoneRule(Finding):
    """Series that are kept name a rule that the site file no longer has."""

    rule: FitToStore[str]
    series: int

    def sentence(self) -> str:
        return (
            f"{self.series} series went to the rule {self.rule}, which the site does not have any "
            "more: what is approved on them is sent nowhere, and the site's own keep_days holds"
        )

    def remedy(self) -> str:
        return f"give the site file the rule {self.rule} again, if you did not mean this"


@finding
class ChangedModel(Finding):
    """A model file is not the one that the site knows by this version."""

    version: int

    def sentence(self) -> str:
        return f"this file is not the model that the site knows as version {self.version}"

    def remedy(self) -> str:
        return "put the file back; a new model gets a new name in the site file"


@finding
class KeptDying(Finding):
    """A process died again and again at one job."""

    times: int

    def sentence(self) -> str:
        return f"the process that did this died {plural(self.times, 'time')}"

    def remedy(self) -> str:
        return "look into its log, and whether the machine has memory enough; then try again"


# Deleting a patient's data


@finding
class NoSuchPatient(Finding):
    """A site knows nothing of a patient. patient_id: as it was typed."""

    patient_id: ScreenOnly[str]

    def sentence(self) -> str:
        return f"the site has no data of a patient with the ID {self.patient_id!r}"

    def remedy(self) -> str:
        return "check the ID; the page lists all patients"


@finding
class PatientInUse(Finding):
    """A job of a patient runs, so that the data cannot be deleted yet."""

    kind: FitToStore[str]

    def sentence(self) -> str:
        return f"a job ({self.kind}) of this patient is running; nothing was deleted"

    def remedy(self) -> str:
        return "repeat this when it has ended"


# How a site fares


@finding
class FullDisk(Finding):
    """The disk of a site is nearly full, so that nothing more is received."""

    free_gib: float
    least_gib: float

    def sentence(self) -> str:
        free = f"{self.free_gib:.1f} GiB are free"
        return f"{free}; with less than {self.least_gib:g}, nothing is received"

    def remedy(self) -> str:
        return "free some space on the disk of the site's folder"


@finding
class NotServed(Finding):
    """No process serves a site."""

    def sentence(self) -> str:
        return "no process serves this site"

    def remedy(self) -> str:
        return "start `recontour serve SITE.toml`"


@finding
class DyingProcess(Finding):
    """A process of a site dies again and again."""

    process: FitToStore[str]
    times: int

    def sentence(self) -> str:
        return f"the {self.process} died {plural(self.times, 'time')} in a row"

    def remedy(self) -> str:
        return "the lines of `recontour serve` say why"


@finding
class FailedJobs(Finding):
    """Jobs have failed and wait for a person."""

    kind: FitToStore[str]
    jobs: int

    def sentence(self) -> str:
        return f"{plural(self.jobs, 'job')} ({self.kind}) failed"

    def remedy(self) -> str:
        return "the page says why, and tries again"


@finding
class LateJob(Finding):
    """A job has waited long that could have been done."""

    minutes: int

    def sentence(self) -> str:
        return f"a job has waited for {plural(self.minutes, 'minute')}"

    def remedy(self) -> str:
        return "look whether the worker and the courier run, and whether the machine is too slow"


@finding
class DestinationAway(Finding):
    """A destination did not take what was sent to it last."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return f"the destination {self.destination} did not take what was sent last"

    def remedy(self) -> str:
        return "`recontour serve SITE.toml --check` asks it"


@finding
class DatabaseAway(Finding):
    """The database of a site cannot be read."""

    def sentence(self) -> str:
        return "the database cannot be read"

    def remedy(self) -> str:
        return "look whether its disk is full, or its server runs"


# What `--check` finds


@finding
class TakenPort(Finding):
    """Something listens at a port that a site is to have, or the address is not this machine's."""

    what: FitToStore[str]
    address: FitToStore[str]
    port: int
    number: int | None  # errno

    def sentence(self) -> str:
        reason = system_words(self.number)
        return f"the {self.what} cannot listen at {self.address} port {self.port} ({reason})"

    def remedy(self) -> str:
        return "end what listens there (it may be this site), or choose another port or address"


@finding
class NoAccount(Finding):
    """A page with a login has no account."""

    def sentence(self) -> str:
        return "nobody can log in to the page yet"

    def remedy(self) -> str:
        return "`recontour account SITE.toml NAME --role admin` makes an account"


@finding
class OpenToAll(Finding):
    """The receiver hears other machines, and takes from whoever calls it."""

    def sentence(self) -> str:
        return "the receiver hears other machines, and names no callers: it refuses all of them"

    def remedy(self) -> str:
        return "name who may send: callers under [node]"


@finding
class SiteCheckFailed(Finding):
    """A site cannot be served as its file says."""

    problems: int

    def sentence(self) -> str:
        return f"{plural(self.problems, 'problem')} found; the lines above say which"
