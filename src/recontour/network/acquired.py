"""How the CTs of a centre's patients were acquired: what their headers say, in how many patients.

A model file holds these counts, so that `recontour compare` can show them beside another centre's.
Nothing in them names anybody: see "How a CT was acquired" in docs/reference/files.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, Strict

from recontour.validation import in_one_line

Setting = Literal["maker", "model", "kernel", "kvp", "slice_thickness_mm"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
SETTING_WORDS: Mapping[Setting, str] = {
    "maker": "manufacturer",
    "model": "model",
    "kernel": "kernel",
    "kvp": "tube voltage in kV",
    "slice_thickness_mm": "slice thickness in mm",
}
NOT_KEPT = "not kept: the model was made before models kept how their CTs were acquired"
MOST_VALUES = 100  # of a setting; the most frequent are kept
MOST_LETTERS = 64


PatientCount = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Said = Annotated[
    str,
    Strict(),
    Field(min_length=1, max_length=MOST_LETTERS),
    AfterValidator(in_one_line),
]
Counts = Annotated[Mapping[Said, PatientCount], Field(max_length=MOST_VALUES)]


@dataclass(frozen=True, slots=True)
class Acquired:
    """How one CT of each of so many patients was acquired.

    settings: by setting, how many patients' headers say what. Patients whose header does not say
    are in none of the counts.

    >>> acquired = Acquired(3, {"kvp": {"120": 2}})
    >>> acquired.in_words("kvp"), acquired.in_words("kernel")
    ('120 (2), unknown (1)', 'unknown (3)')
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    patients: PatientCount
    settings: Mapping[Setting, Counts]

    def in_words(self, setting: Setting) -> str:
        """Return what the headers say of a setting, with the number of patients in brackets."""
        counts = self.settings.get(setting, {})
        parts = [f"{said} ({count})" for said, count in counts.items()]
        unknown = self.patients - sum(counts.values())
        if unknown > 0:
            parts.append(f"unknown ({unknown})")
        return ", ".join(parts)

    def says(self, setting: Setting) -> bool:
        """Return whether any header says anything of a setting."""
        return bool(self.settings.get(setting))


@dataclass(frozen=True, slots=True)
class SettingInPrint:
    """What the headers of two centres' CTs say of a setting; home is empty if nobody knows."""

    setting: str
    own: str
    home: str


def in_print(own: Acquired, home: Acquired | None) -> list[SettingInPrint]:
    """Return the settings of which a header of either centre says anything, in words.

    >>> in_print(Acquired(2, {"kernel": {"B30f": 2}}), None)
    [SettingInPrint(setting='kernel', own='B30f (2)', home='')]
    """
    rows = []
    for setting, name in SETTING_WORDS.items():
        if own.says(setting) or (home and home.says(setting)):
            at_home = home.in_words(setting) if home else ""
            rows.append(SettingInPrint(name, own.in_words(setting), at_home))
    return rows


def acquired_in(headers: Sequence[Mapping[Setting, str]]) -> Acquired:
    """Count what the headers of patients' CTs say, the most frequent first.

    headers: of one CT of each patient, at least one; what a header does not say is missing.

    >>> acquired_in([{"kernel": "B30f"}, {"kernel": "H30s"}, {"kernel": "B30f"}]).settings
    {'kernel': {'B30f': 2, 'H30s': 1}}
    """
    counters: dict[Setting, Counter[str]] = {}
    for header in headers:
        for setting, said in header.items():
            counters.setdefault(setting, Counter())[said[:MOST_LETTERS]] += 1
    settings = {}
    for setting in SETTINGS:
        if setting in counters:
            settings[setting] = dict(counters[setting].most_common(MOST_VALUES))
    return Acquired(len(headers), settings)
