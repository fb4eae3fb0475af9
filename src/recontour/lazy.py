"""What a package offers, loaded only when it is asked for: torch takes seconds to load."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, module_of: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's `__getattr__` (PEP 562).

    package: its name. module_of: by the name of what it offers, the module that holds it.

    >>> get = lazily("recontour", {"plural": "recontour.wording"})
    >>> get("plural")(2, "case")
    '2 cases'
    """

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name]), name)

    return get
