"""A report's page: its template filled in, over the frame and the marks that all reports share."""

from collections.abc import Callable, Mapping

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recontour.wording import printable


def render(
    package: str,
    template: str,
    contents: Mapping[str, object],
    filters: Mapping[str, Callable[..., str]] | None = None,
) -> str:
    """Fill in a template of a package, which may build on page.html and marks.html beside this
    file.
    """
    loader = ChoiceLoader([PackageLoader(package, ""), PackageLoader("recontour.evaluation", "")])
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(contents)


def _shown(value: object) -> object:
    """A value as a page may have it: text from a file without what steers, turns or is no text."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
