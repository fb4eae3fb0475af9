"""How a centre wants its structure sets written: names, colours, order and labels.

They stand in the same TOML file as the map of ROI names: `[output]` holds for every structure set,
`[protocol.NAME]` says what is different in one protocol.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from recontour.errors import NamesError
from recontour.organs.findings import (
    AmbiguousOutputNames,
    ClashingNames,
    LongName,
    OutputLinesOfOtherModels,
    ProtocolWithoutMap,
    UnknownOutputOrgan,
    UnknownProtocol,
    WrongTemplate,
)
from recontour.organs.table import Colour, is_tg263, listed_organs, organ_of
from recontour.organs.user_map import IGNORE, read_map_file, read_user_map
from recontour.organs.vocabulary import organs_meant
from recontour.validation import ExpectedError, mistakes
from recontour.wording import shown

LONGEST_NAME = 64  # characters of an ROI name: DICOM's LO
LONGEST_LABEL = 16  # of a structure set's label: DICOM's SH
LONGEST_DESCRIPTION = 1024  # of a structure set's description: DICOM's ST
LABEL = "recontour"
NAMES = ".names"  # how the tables of output names end
COLOURS = ".colours"

Item = TypeVar("Item")


# The file


def _fit_for_dicom(words: str) -> str:
    if not words.isprintable() or "\\" in words:
        raise ExpectedError("text on one line without a backslash")
    return words


def _not_blank(words: str) -> str:
    if not words.strip():
        raise ExpectedError("at least one letter")
    return words


def _of_tg263(organ: str) -> str:
    if not is_tg263(organ):
        raise ExpectedError("a TG-263 name: at most 16 of A-z, 0-9, _, ~, ^ and -")
    return organ


def _each_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if not items or len(set(items)) < len(items):
        raise ExpectedError("at least one organ, and each once")
    return items


Text = Annotated[str, Strict(), AfterValidator(_fit_for_dicom)]
Affix = Annotated[str, Strict(), Field(max_length=LONGEST_NAME), AfterValidator(_fit_for_dicom)]
OutputName = Annotated[Affix, AfterValidator(_not_blank)]
Label = Annotated[
    str,
    Strict(),
    Field(max_length=LONGEST_LABEL),
    AfterValidator(_fit_for_dicom),
    AfterValidator(_not_blank),
]
Description = Annotated[
    str, Strict(), Field(max_length=LONGEST_DESCRIPTION), AfterValidator(_fit_for_dicom)
]
OrganName = Annotated[str, Strict(), AfterValidator(_of_tg263)]
Shade = Annotated[int, Strict(), Field(ge=0, le=255)]
Organs = Annotated[tuple[OrganName, ...], AfterValidator(_each_once)]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OutputTable:
    """What `[output]` or `[protocol.NAME]` holds; None where it says nothing."""

    prefix: Affix | None = None
    suffix: Affix | None = None
    label: Label | None = None
    description: Description | None = None
    organs: Organs | None = None
    names: dict[OrganName, OutputName] | None = None
    colours: dict[OrganName, tuple[Shade, Shade, Shade]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="ignore"))
class OutputTables:
    """What the file holds beside the map of names."""

    output: OutputTable = field(default_factory=OutputTable)
    protocol: dict[Text, OutputTable] = field(default_factory=dict)


# What follows from it


@plain_dataclass(frozen=True, slots=True)
class Template:
    """How structures are named, coloured and ordered, and how their structure set is labelled.

    Attributes:
        spellings: The centre's own names of an organ, by TG-263 name. An organ with several cannot
            be written: `refuse_unsuitable`.
        prefix: Text before every name.
        suffix: Text after every name.
        colours: Red, green and blue from 0 to 255, by TG-263 name.
        organs: Those to contour, in this order; None: all of the model's.
        label: Of the structure set, at most 16 characters.
        description: Of the structure set.
        path: Where all this was read; for messages.
        lines: The organs that the file's tables of names and colours name, by table, such as
            "output.names"; the later of two tables wins. For messages.

    Examples:
        >>> import recontour
        >>> ours = recontour.Template(spellings={"Brainstem": ("HIRNSTAMM",)}, suffix="_AI")
        >>> ours.name_of("Brainstem"), ours.name_of("Lens_L")
        ('HIRNSTAMM_AI', 'Lens_L_AI')
    """

    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prefix: str = ""
    suffix: str = ""
    colours: Mapping[str, Colour] = field(default_factory=dict)
    organs: tuple[str, ...] | None = None
    label: str = LABEL
    description: str = ""
    path: Path | None = None
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def name_of(self, organ: str) -> str:
        """Return what an organ is called in the output."""
        first, *_ = self.spellings.get(organ, (organ,))
        return f"{self.prefix}{first}{self.suffix}"

    def colour_of(self, organ: str) -> Colour:
        """Return the colour of an organ in the output, RGB from 0 to 255."""
        return self.colours.get(organ) or organ_of(organ).colour

    def refuse_unknown(self, organs: Collection[str]) -> None:
        """Raise NamesError if a line is of an organ that neither TG-263 nor a model knows.

        organs: the model's.
        """
        listed = listed_organs()
        for table, named in self.lines.items():
            for organ in named:
                if organ not in organs and organ not in listed:
                    meant = organs_meant(organ, organs) or organs_meant(organ, listed)
                    raise NamesError(
                        UnknownOutputOrgan(
                            path=self.path,
                            table=table,
                            name=shown(organ),
                            meant=meant,
                        )
                    )

    def lines_of_others(self, organs: Collection[str]) -> OutputLinesOfOtherModels | None:
        """Return which lines are of no organ of a model's; None if there are none.

        organs: the model's; `refuse_unknown` was content with them.
        """
        others: dict[str, None] = {}
        for named in self.lines.values():
            others |= dict.fromkeys(organ for organ in named if organ not in organs)
        return OutputLinesOfOtherModels(path=self.path, organs=tuple(others)) if others else None

    def refuse_unsuitable(self, organs: Iterable[str]) -> None:
        """Raise NamesError unless each of these organs has one name that no other has.

        Names that differ in case alone count as one. None may be too long for DICOM.
        """
        organs = list(organs)
        self._refuse_several(organs)
        organ_by_key: dict[str, str] = {}
        for organ in organs:
            name = self.name_of(organ)
            if len(name) > LONGEST_NAME:
                long = LongName(
                    path=self.path,
                    organ=organ,
                    roi_name=shown(name),
                    most=LONGEST_NAME,
                )
                raise NamesError(long)
            before = organ_by_key.setdefault(name.casefold(), organ)
            if before != organ:
                clash = ClashingNames(
                    path=self.path,
                    organs=(before, organ),
                    roi_name=shown(name),
                    tables=tuple(dict.fromkeys(self._tables_that_name(before, organ))),
                )
                raise NamesError(clash)

    def _tables_that_name(self, *organs: str) -> Iterator[str]:
        """Yield the table that each of these organs has its name from; none if it keeps its own."""
        for organ in organs:
            tables = ["names"] if organ in self.spellings else []
            for table, named in self.lines.items():
                if table.endswith(NAMES) and organ in named:
                    tables.append(table)
            yield from tables[-1:]

    def _refuse_several(self, organs: Iterable[str]) -> None:
        """Raise NamesError if nobody says which of several names of an organ is to be written."""
        choices = {}
        for organ in organs:
            spellings = self.spellings.get(organ, ())
            if len(spellings) > 1:
                choices[organ] = tuple(map(shown, spellings))
        if choices:
            ambiguous = AmbiguousOutputNames(
                path=self.path,
                organs=tuple(choices),
                choices=tuple(choices.values()),
            )
            raise NamesError(ambiguous)


def read_template(
    path: Path | str | None,
    protocol: str | None = None,
    *,
    new_organs: Collection[str] = (),
) -> Template:
    """Read how structure sets are to be written.

    Args:
        path: A map of ROI names, read backwards, with the tables [output] and [protocol.NAME]. If
            None, structures have TG-263 names.
        protocol: The name of one of the protocols, whose settings win over those of [output].
        new_organs: Names that lines of the map may lead to although TG-263 does not list them.

    Returns:
        The template, to be given to `contour`.

    Raises:
        NamesError: There is no such file or protocol, or a setting is unknown or impossible.

    Examples:
        >>> import recontour
        >>> text = 'names = {"HIRNSTAMM" = "Brainstem"}'
        >>> written = Path("north.toml").write_text(text)
        >>> recontour.read_template("north.toml").name_of("Brainstem")
        'HIRNSTAMM'
    """
    if path is None:
        if protocol is not None:
            raise NamesError(ProtocolWithoutMap())
        return Template()
    path = Path(path)
    content = read_map_file(path)
    names = {}
    if "names" in content or new_organs:
        names = read_user_map(path, new_organs)
    try:
        tables = TypeAdapter(OutputTables).validate_python(content)
    except ValidationError as error:
        wrong = WrongTemplate(path=path, mistakes=mistakes(error, OutputTables))
        raise NamesError(wrong) from error
    plain = Template(spellings=_spellings(names), path=path)
    template = _with_table(plain, "output", tables.output)
    if protocol is None:
        return template
    if protocol not in tables.protocol:
        known = tuple(map(shown, tables.protocol))
        unknown = UnknownProtocol(path=path, asked=shown(protocol), known=known)
        raise NamesError(unknown)
    return _with_table(template, f"protocol.{shown(protocol)}", tables.protocol[protocol])


def _spellings(names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Read a map of ROI names backwards."""
    spellings: dict[str, tuple[str, ...]] = {}
    for roi_name, organ in names.items():
        if organ not in IGNORE:
            spellings[organ] = (*spellings.get(organ, ()), roi_name)
    return spellings


def _with_table(template: Template, key: str, table: OutputTable) -> Template:
    """Return a template with what a table says; names and colours are added one by one.

    key: the table's, as messages show it.
    """
    said: dict[str, Any] = {}
    for name in ("prefix", "suffix", "label", "description", "organs"):
        value = getattr(table, name)
        if value is not None:
            said[name] = value
    spellings = dict(template.spellings)
    for organ, name in (table.names or {}).items():
        spellings[organ] = (name,)
    colours = {**template.colours, **(table.colours or {})}
    lines = dict(template.lines)
    for ending, named in ((NAMES, table.names), (COLOURS, table.colours)):
        if named:
            lines[key + ending] = tuple(named)
    return replace(
        template,
        spellings=spellings,
        colours=colours,
        lines=lines,
        **said,
    )
