"""What is found while ROI names become organs."""

from enum import Enum
from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words
from recontour.validation import Invalid
from recontour.wording import did_you_mean, enumerated, plural

SAY_WHICH = "say which with --names"
EXAMPLE = 'write [names] and below it lines such as "Stamm" = "Brainstem"'
NEW_ORGAN = "--new-organ"
TOLERANCES_EXAMPLE = "write one line per organ, such as Brainstem = 2.0 (in mm)"
MISTAKES_SHOWN = 5


# Why an ROI name is an organ's, or not: `NameRow.reason`


class Evidence(Enum):
    """By what an ROI name is known, the weakest first."""

    SPELLING = "a known spelling"
    TG263 = "TG-263"
    MAP_SPELLED_ANOTHER_WAY = "the user's map, spelled another way"
    MAP = "the user's map"

    @property
    def strength(self) -> int:
        """Of two claims on one organ, the one with the greater strength counts."""
        return list(Evidence).index(self)


@finding
class KnownRoiName(Finding):
    """A name is an organ's."""

    by: Evidence

    def sentence(self) -> str:
        return self.by.value


@finding
class IgnoredRoiName(Finding):
    """The user's map says to leave a name out."""

    def sentence(self) -> str:
        return "ignored by the user's map"


@finding
class NotAnOrgan(Finding):
    """A name is that of a target, a margin, a part or the like. what: in the table's words."""

    what: FitToStore[str]

    def sentence(self) -> str:
        return self.what


@finding
class UnknownRoiName(Finding):
    """A name says nothing to recontour."""

    def sentence(self) -> str:
        return "unknown ROI name"

    def remedy(self) -> str:
        return "if it is an organ, map it with --names"


@finding
class AmbiguousRoiName(Finding):
    """A name may mean several organs, mostly because its side is missing."""

    meanings: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"may be {' or '.join(self.meanings)}"

    def remedy(self) -> str:
        return SAY_WHICH


@finding
class WeakerClaim(Finding):
    """Another ROI of the same patient has the better claim on an organ."""

    claimed: FitToStore[str]

    def sentence(self) -> str:
        return f"another ROI is {self.claimed}"


@finding
class EqualClaims(Finding):
    """Several ROIs of one patient have an equal claim on an organ."""

    claimed: FitToStore[str]
    rois: int
    of_one_name: bool

    def sentence(self) -> str:
        return f"{self.rois} ROIs would be {self.claimed}"

    def remedy(self) -> str:
        if self.of_one_name:  # a map cannot tell them apart
            return "they have the same name, so rename all but one where they were drawn"
        return SAY_WHICH


@finding
class NotApplied(Finding):
    """A name that was imported as another organ, or as none. now: what it would be; empty: none."""

    now: FitToStore[str]

    def sentence(self) -> str:
        now = self.now or "left out"
        return f"as it was imported; not applied: the current names would make it {now}"


@finding
class NoDrawnArea(Finding):
    """A ROI encloses no area."""

    def sentence(self) -> str:
        return "no area is drawn"


# A user's map that cannot be used


@finding
class NoNamesTable(Finding):
    """A user's map lacks [names] or has an unknown table. found: what is at the top of the file."""

    found: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        found = ", ".join(self.found) or "nothing"
        return (
            f"a table [names] is expected, beside it only [output] and [protocol] (found {found})"
        )

    def remedy(self) -> str:
        return EXAMPLE


@finding
class NotTg263(Finding):
    """A user's map leads to what cannot be a TG-263 name."""

    roi_name: ScreenOnly[str]
    mapped_to: ScreenOnly[str]

    def sentence(self) -> str:
        return (
            f"a name is mapped to what is not a TG-263 name ({self.roi_name} to {self.mapped_to})"
        )

    def remedy(self) -> str:
        return "write one in quotes, of at most 16 characters: A-Z, a-z, 0-9, _, ~, ^ and -"


@finding
class MisspeltOrgan(Finding):
    """A user's map leads to a known organ in another spelling. usual: TG-263's."""

    roi_name: ScreenOnly[str]
    mapped_to: ScreenOnly[str]
    usual: FitToStore[str]

    def sentence(self) -> str:
        return f"a name is mapped to a misspelt organ ({self.roi_name} to {self.mapped_to})"

    def remedy(self) -> str:
        return f"TG-263 spells it '{self.usual}'"


@finding
class NewOrgans(Finding):
    """A user's map leads to organs that nobody knows, and does not say that they are new.

    mapped_to: the organs. meant: the listed organs that some of them resemble.
    """

    mapped_to: ScreenOnly[tuple[str, ...]]
    meant: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        organs = "an organ" if len(self.mapped_to) == 1 else "organs"
        return f"leads to {organs} that TG-263 does not list ({', '.join(self.mapped_to)})"

    def remedy(self) -> str:
        options = " ".join(f"{NEW_ORGAN} {organ}" for organ in self.mapped_to)
        new = f"a new organ needs {options}"
        question = did_you_mean(self.meant)
        return f"{question} {new}" if question else new


@finding
class UnusedNewOrgans(Finding):
    """An organ was declared new, but no line of a map leads to it."""

    organs: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        return f"{NEW_ORGAN}: no line of a map leads to {', '.join(self.organs)}"

    def remedy(self) -> str:
        return "check the spelling, and give the map with --names"


@finding
class MappedTwice(Finding):
    """A user's map leads from two spellings of one name to different organs."""

    roi_name: ScreenOnly[str]
    mapped_to: ScreenOnly[tuple[str, str]]

    def sentence(self) -> str:
        return f"a name is mapped twice ({self.roi_name}, to {' and '.join(self.mapped_to)})"

    def remedy(self) -> str:
        return "keep one"


# How a centre wants its structure sets written


@finding
class WrongTemplate(Finding):
    """The tables [output] or [protocol.NAME] hold something unknown or impossible."""

    mistakes: tuple[Invalid, ...]

    def sentence(self) -> str:
        named = list(map(words, self.mistakes[:MISTAKES_SHOWN]))
        more = len(self.mistakes) - len(named)
        if more:
            named.append(f"{more} more")
        return "; ".join(named)


@finding
class UnknownProtocol(Finding):
    """A protocol was asked for that the file does not have."""

    asked: ScreenOnly[str]
    known: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        return f"there is no table [protocol.NAME] of this name ({self.asked})"

    def remedy(self) -> str:
        if not self.known:
            return "write one, or omit --protocol"
        return f"choose {' or '.join(self.known)}"


@finding
class ProtocolWithoutMap(Finding):
    """A protocol was asked for, but no file in which it could be."""

    def sentence(self) -> str:
        return "--protocol is given without --names MAP.toml, which holds the protocols"


@finding
class UnknownOutputOrgan(Finding):
    """A line on the output names what is an organ neither in TG-263 nor of the model.

    table: of the file, such as "output.names". meant: organs that are alike.
    """

    table: ScreenOnly[str]
    name: ScreenOnly[str]
    meant: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"[{self.table}]: {self.name} is an organ neither in TG-263 nor of the model"

    def remedy(self) -> str:
        return did_you_mean(self.meant) or "correct the name, or take the line out"


@finding
class OutputLinesOfOtherModels(Finding):
    """Lines on the names or colours of the output are of organs that the model does not contour.

    organs: TG-263 names.
    """

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        organs = enumerated(self.organs, "and")
        return f"names or colours are given for {organs}, which the model does not contour"

    def remedy(self) -> str:
        return "this is right if other models do; if not, check the spelling"


@finding
class LongName(Finding):
    """The output's name of an organ is longer than DICOM allows. most: characters."""

    roi_name: ScreenOnly[str]
    most: int

    def sentence(self) -> str:
        return f"the name in the output is longer than {self.most} characters ({self.roi_name})"

    def remedy(self) -> str:
        return "shorten it in [names], or the prefix or suffix"


@finding
class ClashingNames(Finding):
    """Two organs would have one name in the output, or names that differ in case alone.

    tables: those of the file that the names are from.
    """

    organs: FitToStore[tuple[str, str]]
    roi_name: ScreenOnly[str]
    tables: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        both = " and ".join(self.organs)
        return f"{both} would have the same name in the output ({self.roi_name})"

    def remedy(self) -> str:
        tables = [f"[{table}]" for table in self.tables]
        return f"give each a name of its own in {enumerated(tables or ['[names]'], 'or')}"


@finding
class AmbiguousOutputNames(Finding):
    """A map has several names for organs, and does not say which the output is to have.

    choices: the names of each organ.
    """

    organs: FitToStore[tuple[str, ...]]
    choices: ScreenOnly[tuple[tuple[str, ...], ...]]

    def sentence(self) -> str:
        """Say which organs, with the names of each."""
        several = []
        for organ, names in zip(self.organs, self.choices, strict=True):
            several.append(f"{organ} ({' or '.join(names)})")
        return f"several names for {enumerated(several, 'and')}"

    def remedy(self) -> str:
        """Say which line to add, and where."""
        line = f'{self.organs[0]} = "NAME"'
        return f"add `{line}` to the table [output.names], or to the protocol's names"


# What a person may have misspelt in a map that can be used


@finding
class UnmatchedMapNames(Finding):
    """A user's map has names that no ROI has. count: how many."""

    roi_names: ScreenOnly[tuple[str, ...]]
    count: int

    def sentence(self) -> str:
        names = ", ".join(self.roi_names)
        return f"no ROI here is called by {plural(self.count, 'name')} of the map ({names})"

    def remedy(self) -> str:
        return "this is right if only other patients have them; if not, check the spelling"


@finding
class ContradictoryMapLine(Finding):
    """A user's map leads from an ROI name to the opposite of what it says.

    mapped_to, says: TG-263 names.
    """

    roi_name: ScreenOnly[str]
    mapped_to: FitToStore[str]
    says: FitToStore[str]

    def sentence(self) -> str:
        return f"the map makes {self.roi_name} {self.mapped_to}, but the name says {self.says}"

    def remedy(self) -> str:
        return "check this line of the map"


@finding
class MappedMargin(Finding):
    """A user's map makes an organ of a structure that, by its name, is larger than that organ.

    mapped_to: a TG-263 name. what: the structure is, in the table's words.
    """

    roi_name: ScreenOnly[str]
    mapped_to: FitToStore[str]
    what: FitToStore[str]

    def sentence(self) -> str:
        return f"the map makes {self.roi_name} {self.mapped_to}, but the name says: {self.what}"

    def remedy(self) -> str:
        return "look at its contours, and leave this line out unless they show the organ itself"


# Organs as they lie


@finding
class SwappedSides(Finding):
    """A left organ lies to the right of its right twin. left, right: TG-263 names."""

    left: FitToStore[str]
    right: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.left} lies to the right of {self.right}: left and right may be swapped"


@finding
class MisplacedOrgan(Finding):
    """A left organ lies on the patient's right, or a right one on the left.

    side: where it lies. past_mm: how far from the middle, as other organs show it.
    """

    side: Literal["left", "right"]
    past_mm: float

    def sentence(self) -> str:
        return (
            f"lies {self.past_mm:.0f} mm to the {self.side} of the patient's middle: "
            "left and right may be swapped"
        )


# Tolerances of the surface DSC


@finding
class NoTolerances(Finding):
    """A file of tolerances is empty."""

    def sentence(self) -> str:
        return "the file has no tolerance"

    def remedy(self) -> str:
        return TOLERANCES_EXAMPLE


@finding
class ToleranceOfUnknownOrgan(Finding):
    """A file of tolerances names something that is no organ. meant: TG-263 names that are alike."""

    name: ScreenOnly[str]
    meant: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"{self.name} is neither an organ's name in TG-263 nor an organ of the cohort"

    def remedy(self) -> str:
        return did_you_mean(self.meant) or TOLERANCES_EXAMPLE


@finding
class InvalidTolerance(Finding):
    """A tolerance is not a length that a surface DSC can be measured at."""

    seen: ScreenOnly[str]
    largest_mm: float

    def sentence(self) -> str:
        expected = f"a number above 0 and up to {self.largest_mm:g} (mm) is expected"
        return f"the tolerance is {self.seen}; {expected}"

    def remedy(self) -> str:
        return TOLERANCES_EXAMPLE


@finding
class GivenTolerances(Finding):
    """The surface DSC and the added path length of organs were measured at the user's tolerances.

    tolerances_mm: in the order of the organs. unused: organs with a tolerance that were not scored.
    """

    organs: FitToStore[tuple[str, ...]]
    tolerances_mm: tuple[float, ...]
    unused: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        given = []
        for organ, mm in zip(self.organs, self.tolerances_mm, strict=True):
            given.append(f"{organ} {mm:g} mm")
        unused = f"not scored: {', '.join(self.unused)}" if self.unused else ""
        if not given:
            return f"no organ with a tolerance from the file given was scored ({unused})"
        used = f"tolerances from the file given: {', '.join(given)}"
        return f"{used}; {unused}" if unused else used
