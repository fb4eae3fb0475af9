"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import recontour

MODULES = [
    module.name
    for module in walk_packages(recontour.__path__, "recontour.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", ["recontour", *MODULES])
def test_the_examples_of_a_module_hold(name: str) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
