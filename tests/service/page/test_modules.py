"""What the browser loads: whole, the site's own, and well typed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import recontour.service

PAGE = Path(recontour.service.__file__).parent / "page"
STATIC = PAGE / "static"
MODULES = sorted(STATIC.glob("*.js"))
TEMPLATES = sorted((PAGE / "templates").glob("*.html"))
OPTIONS = "--noEmit --allowJs --checkJs --strict --target es2022 --module es2022"
LIBRARIES = "--moduleResolution bundler --lib es2023,dom,dom.iterable"
XML = "http://www.w3.org/2000/svg"  # names a language; nothing is fetched from it


def imported(module: Path) -> set[str]:
    """Return the names of the modules that one imports, types aside."""
    return set(
        re.findall(r'^(?:import|export) .*?from "\./(\w+)\.js";', module.read_text(), re.M | re.S)
    )


def reached(name: str) -> set[str]:
    """Return all modules that a browser fetches for one."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting |= imported(STATIC / f"{one}.js") - found
    return found


@pytest.mark.skipif(shutil.which("tsc") is None, reason="tsc (npm package typescript) is not here")
def test_the_modules_types_hold() -> None:
    command = ["tsc", *OPTIONS.split(), *LIBRARIES.split(), *map(str, MODULES)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.stdout == ""
    assert checked.returncode == 0


def test_modules_import_modules_that_are_there() -> None:
    names = {module.stem for module in MODULES}
    for module in MODULES:
        assert imported(module) <= names, module.name


def test_the_review_page_asks_for_all_of_its_modules_at_once() -> None:
    template = (PAGE / "templates" / "review.html").read_text()
    (listed,) = re.findall(r"{% for name in \[(.*?)\] %}", template, re.S)
    assert set(re.findall(r'"(\w+)"', listed)) == reached("review") - {"review"}


@pytest.mark.parametrize(
    "file", [*MODULES, *TEMPLATES, *STATIC.glob("*.css")], ids=lambda f: f.name
)
def test_nothing_comes_from_elsewhere(file: Path) -> None:
    text = file.read_text().replace(XML, "")
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text)
    assert "@import" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_templates_have_no_inline_script_or_style(template: Path) -> None:
    """The page's own policy would refuse it."""
    text = template.read_text()
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
    assert "|safe" not in text


@pytest.mark.parametrize(
    "name", ["list.html", "login.html", "message.html", "models.html", "review.html"]
)
def test_every_page_is_a_whole(name: str) -> None:
    text = (PAGE / "templates" / name).read_text()
    assert 'id="main"' in text
    assert "{% block title %}" in text
