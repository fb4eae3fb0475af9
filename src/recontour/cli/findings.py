"""What can be found where a command begins and ends."""

from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import plural

SMALLER = "close other programs, or use a smaller --preset"
# What may be full: what it is called, and what helps.
FULL: dict[str, tuple[str, str]] = {
    "memory": ("the memory is full", SMALLER),
    "threads": ("no more threads can be started", f"raise the limit (ulimit -u), or {SMALLER}"),
    "shared memory": (
        "the shared memory is full",
        "enlarge /dev/shm (for a container: --shm-size=8g)",
    ),
}

Resource = Literal["memory", "threads", "shared memory"]


@finding
class InterruptedRun(Finding):
    """A person or the system ended the command.

    kept: what stays, if that is not plain. goes_on: how to go on, if there is a way; with_command:
    by which command.
    """

    kept: FitToStore[str] = ""
    goes_on: FitToStore[str] = ""
    with_command: ScreenOnly[str] = ""

    def sentence(self) -> str:
        """Say that no output is broken, and what stays."""
        whole = "interrupted; nothing was left half written"
        return f"{whole}; {self.kept}" if self.kept else whole

    def remedy(self) -> str:
        """Say how to go on."""
        return f"{self.goes_on}: {self.with_command}" if self.with_command else self.goes_on


@finding
class ExhaustedResource(Finding):
    """The machine ran out of something."""

    what: Resource

    def sentence(self) -> str:
        """Say what is full."""
        return FULL[self.what][0]

    def remedy(self) -> str:
        """Say what helps."""
        return FULL[self.what][1]


@finding
class SystemFailure(Finding):
    """The operating system refused something that recontour did not expect."""

    said: ScreenOnly[str]
    number: int | None
    helps: FitToStore[str] = ""

    def sentence(self) -> str:
        """Repeat what the system said."""
        return f"the system reports: {self.said}"

    def remedy(self) -> str:
        """Say what helps, if it is known."""
        return self.helps


@finding
class UnloadableLibrary(Finding):
    """A library that recontour needs cannot be loaded."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        """Repeat why."""
        return f"a library cannot be loaded ({self.reason})"

    def remedy(self) -> str:
        """Say what helps."""
        return "install recontour again"


@finding
class LostOutput(Finding):
    """Standard output could not be written. nothing_else: the command only shows something."""

    reason: ScreenOnly[str]
    nothing_else: bool

    def sentence(self) -> str:
        """Say what was lost."""
        lost = "standard output could not be written"
        if self.nothing_else:
            return f"{lost}, and this command does nothing else ({self.reason})"
        return f"done, but the results could not be shown: {lost} ({self.reason})"


@finding
class OneFile(Finding):
    """A CT was contoured into a file whose name may have been meant for a folder."""

    def sentence(self) -> str:
        return "a file was written, as the folder holds one series"

    def remedy(self) -> str:
        return "for a folder of drafts, make the folder first, and give it as --out"


@finding
class OneFolder(Finding):
    """Masks were written into a folder whose name may have been meant for a file."""

    def sentence(self) -> str:
        return "this is a folder, with a NIfTI file for each organ"


@finding
class NoOrganNamed(Finding):
    """`--organs` was given without an organ, as when a shell variable is empty."""

    def sentence(self) -> str:
        """Say so."""
        return "--organs names no organ"

    def remedy(self) -> str:
        """Say what is possible."""
        return "give TG-263 names, or omit it for all"


@finding
class NoCohortNamed(Finding):
    """`recontour import` lacks a folder."""

    def sentence(self) -> str:
        """Say what is expected."""
        return "DICOM_DIR and COHORT are expected, or DICOM_DIR --dry-run, or --undo COHORT"


@finding
class NoStudyNamed(Finding):
    """`recontour study` lacks its file or its folder."""

    def sentence(self) -> str:
        """Say what is expected."""
        return "STUDY.toml and --out DIR are expected"

    def remedy(self) -> str:
        """Say where an example is."""
        return "`recontour study --example` prints a study file"


@finding
class NoSiteNamed(Finding):
    """`recontour serve` lacks its file."""

    def sentence(self) -> str:
        """Say what is expected."""
        return "SITE.toml is expected"

    def remedy(self) -> str:
        """Say where an example is."""
        return "`recontour serve --example` prints a site file"


@finding
class SitePartMissing(Finding):
    """The packages of recontour[site] are not installed. package: the first that is missing."""

    package: FitToStore[str]

    def sentence(self) -> str:
        """Say which."""
        return f"a site needs the package {self.package}"

    def remedy(self) -> str:
        """Say how to install it."""
        return "pip install 'recontour[site]'"


@finding
class WhoInJson(Finding):
    """`--who` was given with `--json`: names of patients are for the screen only."""

    def sentence(self) -> str:
        return "--who and --json do not go together: who is a case is for the screen only"

    def remedy(self) -> str:
        return "leave one of them out"


@finding
class DamagedCases(Finding):
    """Some cases of a cohort cannot be used."""

    damaged: int
    cases: int

    def sentence(self) -> str:
        """Count them."""
        return f"{self.damaged} of {plural(self.cases, 'case')} cannot be used"


@finding
class FailedCells(Finding):
    """Some cells of a study failed."""

    failed: int

    def sentence(self) -> str:
        """Count them."""
        return f"{plural(self.failed, 'cell')} failed, the rest is done"

    def remedy(self) -> str:
        """Say how to go on."""
        return "fix what they report, then continue with --resume"


@finding
class FailedSeries(Finding):
    """Some CT series of many were not contoured, or files beside them could not be read."""

    failed: int
    series: int

    def sentence(self) -> str:
        """Count them."""
        return f"{self.failed} of {self.series} failed, the rest is done"

    def remedy(self) -> str:
        """Say how to go on."""
        return "fix what the lines report, then repeat the command: what is done is kept"


@finding
class DamagedTable(Finding):
    """A table in a cohort folder, which is only shown, is no table."""

    def sentence(self) -> str:
        """Say so."""
        return "this table is damaged"

    def remedy(self) -> str:
        """Say that nothing depends on it."""
        return "move it away: the cohort can be used without it"


@finding
class SharedContoursName(Finding):
    """Two --contours have one name."""

    names: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"several --contours are called {', '.join(self.names)}"

    def remedy(self) -> str:
        return "give each a name of its own"


@finding
class PasswordsDiffer(Finding):
    """A new password was not typed twice alike."""

    def sentence(self) -> str:
        return "the two passwords differ"

    def remedy(self) -> str:
        return "repeat the command, and type the same one twice"


@finding
class NoPassword(Finding):
    """No new password was given."""

    def sentence(self) -> str:
        return "no password was given"

    def remedy(self) -> str:
        return "type one at a terminal, or give it as one line of standard input"
