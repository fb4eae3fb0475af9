"""A user's own tolerances of the surface DSC: a TOML file of lines such as Brainstem = 2.0."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from recontour.errors import SettingsError
from recontour.organs.findings import (
    TOLERANCES_EXAMPLE,
    InvalidTolerance,
    NoTolerances,
    ToleranceOfUnknownOrgan,
)
from recontour.organs.table import listed_organs
from recontour.organs.vocabulary import organs_meant
from recontour.texts import read_users_toml
from recontour.wording import shown

LARGEST_TOLERANCE_MM = 50.0


def read_tolerances(path: Path, organs: Collection[str] = ()) -> dict[str, float]:
    """Read tolerances in mm by organ.

    organs: of the cohort, known besides those that are listed.
    Raises: SettingsError: no such file, not TOML, no line, an organ that nobody knows, or a value
        that is no number above 0 and up to 50 mm.

    >>> written = Path("tolerances.toml").write_text("Brainstem = 2")
    >>> read_tolerances(Path("tolerances.toml"))
    {'Brainstem': 2.0}
    """
    known = (*listed_organs(), *organs)
    tolerances = {}
    for organ, value in read_tolerances_file(path).items():
        if organ not in known:
            raise SettingsError(
                ToleranceOfUnknownOrgan(
                    path=path,
                    name=shown(organ),
                    meant=organs_meant(organ, known),
                )
            )
        if not _is_tolerance(value):
            raise SettingsError(
                InvalidTolerance(
                    path=path,
                    organ=organ,
                    seen=shown(value),
                    largest_mm=LARGEST_TOLERANCE_MM,
                )
            )
        tolerances[organ] = float(value)
    return tolerances


def read_tolerances_file(path: Path) -> Mapping[str, Any]:
    """Return the lines of a file of tolerances, unchecked.

    Raises: SettingsError: no such file, not TOML, or no line.

    >>> written = Path("tolerances.toml").write_text("Brainstem = 2")
    >>> read_tolerances_file(Path("tolerances.toml"))
    {'Brainstem': 2}
    """
    content = read_users_toml(
        path,
        "file of tolerances",
        option="--tolerances",
        example=TOLERANCES_EXAMPLE,
        refusal=SettingsError,
    )
    if not content:
        raise SettingsError(NoTolerances(path=path))
    return content


def _is_tolerance(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= LARGEST_TOLERANCE_MM
