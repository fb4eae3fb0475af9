"""A report's page: a template, filled in over the frame and the marks that all reports share."""

from collections.abc import Callable, Mapping

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recontour.findings import Finding, stored_words
from recontour.wording import printable


def render(
    package: str,
    template: str,
    contents: Mapping[str, object],
    filters: Mapping[str, Callable[..., str]] | None = None,
) -> str:
    """Fill in a template of a package.

    The template may extend page.html and import marks.html, which lie beside this file.
    """
    loader = ChoiceLoader([PackageLoader(package, ""), PackageLoader("recontour.evaluation", "")])
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=_fit_to_show,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(contents)


def as_notice(finding: Finding) -> str:
    """Return a finding as a sentence of a report, which names no patient, folder or file."""
    line = stored_words(finding)
    begins_with_name = bool(finding.case) and line.startswith(str(finding.case))
    first = line[0] if begins_with_name else line[0].upper()
    end = "" if line.endswith("?") else "."
    return f"{first}{line[1:]}{end}"


def _fit_to_show(value: object) -> object:
    """Return a value as a page may hold it: text from a file must not steer the browser."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value
