"""What measures of contours are called: the same words in sentences, tables and pictures.

Files for scripts (CSV, JSON) keep the names of `Measure`: right, anterior, cranial and so on.
"""

from collections.abc import Mapping

from recontour.geometry.offsets import UNITS, Measure

SCORE_NAMES = {
    "dsc": "DSC",
    "surface_dsc": "surface DSC",
}
_NAMES: Mapping[str, str] = {
    **SCORE_NAMES,
    "right": "right side",
    "left": "left side",
    "anterior": "front",
    "posterior": "back",
    "cranial": "upper end",
    "caudal": "lower end",
    "around": "all around",
    "volume": "volume",
}
# What a contour is that lies further out by a measure, and one that lies less far out.
DRAWN: Mapping[Measure, tuple[str, str]] = {
    "right": ("wider on the right", "narrower on the right"),
    "left": ("wider on the left", "narrower on the left"),
    "anterior": ("wider at the front", "narrower at the front"),
    "posterior": ("wider at the back", "narrower at the back"),
    "cranial": ("higher at its upper end", "lower at its upper end"),
    "caudal": ("lower at its lower end", "higher at its lower end"),
    "around": ("wider all around", "narrower all around"),
    "volume": ("larger", "smaller"),
}


def measure_name(measure: str) -> str:
    """Return what to call a score, or a measure of offsets; a name that is not known stays.

    >>> measure_name("surface_dsc"), measure_name("right"), measure_name("caudal")
    ('surface DSC', 'right side', 'lower end')
    """
    return _NAMES.get(measure, measure)


def with_unit(measure: Measure) -> str:
    """Return what to call a measure of offsets, with its unit, as the head of a column.

    >>> with_unit("anterior"), with_unit("volume")
    ('front, mm', 'volume, cc')
    """
    return f"{measure_name(measure)}, {UNITS[measure]}"


def where(direction: str) -> str:
    """Return where a contour lies further out.

    >>> where("left"), where("posterior")
    ('on the left side', 'at the back')
    """
    preposition = "on" if direction in ("right", "left") else "at"
    return f"{preposition} the {measure_name(direction)}"
