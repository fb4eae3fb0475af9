"""What can be found at a site: in its file, its folder, what arrives and what is sent."""

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


@finding
class SitePartMissing(Finding):
    """The packages of recontour[site] are not installed. package: the first that is missing."""

    package: FitToStore[str]

    def sentence(self) -> str:
        return f"a site needs the package {self.package}"

    def remedy(self) -> str:
        return "pip install 'recontour[site]'"


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


# The folder


@finding
class NewerSite(Finding):
    """A site's database was made by a newer recontour, or by something else."""

    version: int

    def sentence(self) -> str:
        return f"the site's database has format {self.version}, which this recontour does not know"

    def remedy(self) -> str:
        return "install the recontour that made it, or a newer one"
