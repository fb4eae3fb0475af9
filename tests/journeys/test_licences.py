"""Every dependency's licence lets an Apache-2.0 package be passed on with it."""

import re
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "docs" / "reference" / "licences.md"
FINE = {  # any other one is a decision to be made
    "0BSD",
    "Apache",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "MIT",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Zlib",
}
WORDS = {  # of licences that are not told as SPDX identifiers
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
}


def needed(
    name: str, extras: tuple[str, ...] = (), found: dict[str, Distribution] | None = None
) -> dict[str, str]:
    """Every package that an installation of one brings along, and its licence."""
    found = {} if found is None else found
    for line in distribution(name).requires or []:
        wanted = Requirement(line)
        if wanted.marker and not any(
            wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            continue
        key = canonicalize_name(wanted.name)
        if key not in found or wanted.extras:
            is_new = key not in found
            found[key] = distribution(wanted.name)
            if is_new or wanted.extras:
                needed(wanted.name, tuple(wanted.extras), found)
    return {key: licence_of(one) for key, one in found.items()}


def licence_of(package: Distribution) -> str:
    """Return the licence in a package's metadata: an SPDX expression, classifiers or free text."""
    told = package.metadata
    if "License-Expression" in told:
        return told["License-Expression"]
    classifiers = [
        line for line in told.get_all("Classifier") or [] if line.startswith("License ::")
    ]
    words = [line.rpartition(" :: ")[2] for line in classifiers] or [
        told["License"].partition("\n")[0]
    ]
    return " AND ".join(WORDS.get(word, word) for word in words)


def rows() -> dict[str, str]:
    table = PAGE.read_text(encoding="utf-8").partition("|---|---|\n")[2]
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| (.+?) \|$", table, flags=re.MULTILINE))


def parts(licence: str) -> set[str]:
    return {part.strip(" ()") for part in re.split(" AND | OR ", licence)}


def test_every_package_that_recontour_brings_along_is_listed_with_its_licence() -> None:
    """What another Python or platform needs besides may be listed too, if it is locked."""
    listed = rows()
    of_cuda = (REPO / "constraints-cuda.txt").read_text(encoding="utf-8")
    here = {
        key: licence for key, licence in needed("recontour").items() if f"\n{key}==" not in of_cuda
    }
    assert len(here) > 40
    assert here.items() <= listed.items(), {
        key: here[key] for key in here if listed.get(key) != here[key]
    }
    locked = "".join(path.read_text(encoding="utf-8") for path in REPO.glob("constraints*.txt"))
    assert [key for key in listed if f"\n{key}==" not in locked] == []


@pytest.mark.parametrize("package", sorted(rows()))
def test_each_licence_lets_an_apache_package_be_passed_on(package: str) -> None:
    assert parts(rows()[package]) <= FINE


@pytest.mark.parametrize(
    "told", ["GPL V3.0", "GNU General Public License v3 (GPLv3)", "MIT AND GPL-3.0-only", ""]
)
def test_others_do_not(told: str) -> None:
    assert not parts(told) <= FINE


def test_every_locked_package_has_a_hash() -> None:
    for path in REPO.glob("constraints*.txt"):
        entries = re.split(r"\n(?=[a-z])", path.read_text(encoding="utf-8"))[1:]
        assert entries, path.name
        assert all(" \\\n    --hash=sha256:" in entry for entry in entries), path.name
