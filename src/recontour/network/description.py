"""What a model file says about its network, decoded and bounded before anything is built from it.

A model file comes from elsewhere: none of its texts may steer a terminal or become a path, and no
number may be absurd.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)

from recontour.errors import SettingsError
from recontour.files import NAME_LETTERS, UnreadableError, is_name
from recontour.network.architecture import Architecture, UNet
from recontour.network.baseline import Baseline
from recontour.network.check import Check
from recontour.network.preprocessing import Preprocessing
from recontour.network.ranges import Ranges
from recontour.organs import OrganName
from recontour.texts import NumberOutOfRange
from recontour.validation import (
    ExpectedError,
    Invalid,
    PatientKey,
    Sha256,
    TissueProfile,
    first_mistake,
    in_one_line,
)
from recontour.wording import shown

MODEL_FORMAT = 2
MOST_MODEL_ORGANS = 128  # the longest published lists of contours have about as many
MOST_HEADS = 16
LARGEST_NUMBER = 1e12  # in a recipe, whose numbers only the reader uses
LONGEST_LIST = 100  # in a recipe
LONGEST_WORD = 100  # in a recipe
SHARE_ERROR = 1e-5  # shares are float32


# What texts and numbers may be


def _label(text: str) -> str:
    if not is_name(text):
        raise ExpectedError("a centre's label, which may become part of a file's name")
    return text


def _no_organ_twice(organs: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(map(str.casefold, organs))) < len(organs):
        raise ExpectedError("each organ once, in lower or upper case")
    return organs


def _names_recontour(versions: Mapping[str, str]) -> Mapping[str, str]:
    if "recontour" not in versions:
        raise ExpectedError("the version of recontour among them")
    return versions


def _iso_date(text: str) -> str:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        raise ExpectedError("a date such as 2026-11-30") from None
    return text


def _recipe_part(value: Any) -> Any:
    """Accept a setting, or a section of settings like the augmentation."""
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else [value]
    if not all(map(_is_setting, parts)):
        raise ExpectedError("a number up to 1e12, a short word or a list of those")
    return value


def _is_setting(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return len(items) <= LONGEST_LIST and all(map(_is_plain, items))


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_WORD and value.isprintable()
    if isinstance(value, int | float):
        return -LARGEST_NUMBER <= value <= LARGEST_NUMBER  # false for NaN
    return value is None


Organs = Annotated[
    tuple[OrganName, ...], Field(max_length=MOST_MODEL_ORGANS), AfterValidator(_no_organ_twice)
]
Label = Annotated[str, Strict(), Field(max_length=NAME_LETTERS), AfterValidator(_label)]
Word = Annotated[str, Strict(), Field(min_length=1, max_length=100), AfterValidator(in_one_line)]
Sentence = Annotated[str, Strict(), Field(max_length=2000), AfterValidator(in_one_line)]
Count = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]
CountByOrgan = Annotated[Mapping[OrganName, Count], Field(max_length=MOST_MODEL_ORGANS)]
Share = Annotated[
    float,
    Strict(),
    Field(
        ge=0,
        le=1,
        allow_inf_nan=False,
    ),
]
ShareByOrgan = Annotated[Mapping[OrganName, Share], Field(max_length=MOST_MODEL_ORGANS)]
Layers = Annotated[int, Strict(), Field(ge=1, le=10_000)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Day = Annotated[str, Strict(), Field(max_length=10), AfterValidator(_iso_date)]
Fingerprint = Annotated[str, Strict(), Field(pattern="^[0-9a-f]{16}$")]
Versions = Annotated[Mapping[Word, Word], Field(max_length=50), AfterValidator(_names_recontour)]
# Not training's own class: other recontours have other settings, and nothing is computed from them.
RecipeRecord = Annotated[
    dict[Word, Annotated[Any, AfterValidator(_recipe_part)]], Field(max_length=LONGEST_LIST)
]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a head comes from. The bounds apply to what is read from a file.

    centre: label of the cohort that it was last trained on. cases: the CTs in it, and
    cases_per_organ those with an organ. created: ISO date.
    parent_sha256: of the adapted model's weights; None if trained from scratch. parent_centres:
    the centres before, oldest first. retrained_layers: None if trained from scratch.
    fresh_organs: organs whose scores the adaptation started from random weights. dropped_organs:
    organs of the adapted model that this one does not contour.
    notices: what a reader must know, for example that the patients are synthetic, or that some come
    from elsewhere than the others.
    trained_on, trained_on_patients, trained_on_tissue_hu: fingerprints of all CTs, keys of all
    known patients, and tissue profiles of all CTs learnt from, those of the parents included.
    patients: number of patients in the cohort; CTs of an unknown patient count one by one.
    ranges: what bodies and organs measured in all patients learnt from, those of the parents
    included if these have ranges, too; None in a model from before there were ranges.
    check: what a cross-validation of the adaptation found; None without one.
    baseline: how far the centre's own contours lie from the model's; None in a model from before
    there were baselines.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    preset: Word
    centre: Label
    cases: Count
    cases_per_organ: CountByOrgan
    seed: Seed
    created: Day
    versions: Versions
    parent_sha256: Sha256 | None = None
    parent_centres: Annotated[tuple[Label, ...], Field(max_length=100)] = ()
    retrained_layers: Layers | None = None
    fresh_organs: Organs = ()
    dropped_organs: Organs = ()
    notices: Annotated[tuple[Sentence, ...], Field(max_length=100)] = ()
    trained_on: tuple[Fingerprint, ...] = ()
    trained_on_patients: tuple[PatientKey, ...] = ()
    patients: Count | None = None
    trained_on_tissue_hu: tuple[TissueProfile, ...] = ()
    ranges: Ranges | None = None
    check: Check | None = None
    baseline: Baseline | None = None

    @property
    def lineage(self) -> str:
        """Return the centres that the head learnt from, oldest first."""
        return " -> ".join((*self.parent_centres, self.centre))


@dataclass(frozen=True, slots=True)
class HeadDescription:
    """What a model file says about one head.

    share: by organ of the model, the head's part of the answer; organs with none are left out.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    organs: Annotated[Organs, Field(min_length=1)]
    share: ShareByOrgan
    recipe: RecipeRecord
    provenance: Provenance
    sha256: Sha256


def _answer_together(heads: tuple[HeadDescription, ...]) -> tuple[HeadDescription, ...]:
    organs = heads[0].organs
    for head in heads:
        if not set(head.share) <= set(organs) & set(head.organs):
            raise ExpectedError("shares only of organs that both the head and the model have")
    for organ in organs:
        total = sum(head.share.get(organ, 0.0) for head in heads)
        if abs(total - 1) > SHARE_ERROR:
            raise ExpectedError("shares that add up to 1 for each organ")
    return heads


Heads = Annotated[
    tuple[HeadDescription, ...],
    Field(min_length=1, max_length=MOST_HEADS),
    AfterValidator(_answer_together),
]


def _family(described: Any) -> str:
    """Return which kind of architecture is described: the paper's if no family is named.

    Raises: UnreadableError: a family that this recontour does not know.
    """
    if not isinstance(described, dict) or "family" not in described:
        return "family-paper"
    family = described["family"]
    if family != "unet":
        unknown = Invalid(problem="unknown", field="architecture.family", key=shown(family))
        raise UnreadableError(unknown)
    return "family-unet"


AnyDescribed = Annotated[
    Annotated[Architecture, Tag("family-paper")] | Annotated[UNet, Tag("family-unet")],
    Discriminator(_family),
]


def _stage(name: str, info: ValidationInfo) -> str:
    """Accept a stage of the network; `info` lacks the architecture if that is wrong itself."""
    architecture = info.data.get("architecture")
    if architecture and name not in architecture.strides:
        raise ExpectedError(f"a stage of this network ({', '.join(architecture.strides)})")
    return name


@dataclass(frozen=True, slots=True)
class Description:
    """All that a model file says, apart from the weights, and the card, which is made from it.

    branch: the stage with which heads begin. weights_sha256: of the whole model. heads: the
    model's own first, then those it asks.
    head_only: the file has only the first head's weights; trunk and other heads are in the model
    that it was adapted from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    format: Annotated[int, Strict(), Field(ge=MODEL_FORMAT, le=MODEL_FORMAT)]
    head_only: Annotated[bool, Strict()]
    architecture: AnyDescribed
    preprocessing: Preprocessing
    branch: Annotated[str, Strict(), AfterValidator(_stage)]
    weights_sha256: Sha256
    trunk_sha256: Sha256
    heads: Heads

    def __post_init__(self) -> None:
        """Raise SettingsError if the network takes another number of slices than it is shown."""
        self.preprocessing.refuse_other_input(self.architecture)


_DESCRIPTION = TypeAdapter(Description)


def decoded(about: Any) -> Description:
    """Return a description from JSON.

    Raises: UnreadableError: it lacks something, or holds impossible values.
    """
    try:
        return _DESCRIPTION.validate_python(about)
    except ValidationError as error:
        raise UnreadableError(first_mistake(error, Description)) from error
    except SettingsError as error:  # a view that no network, or not this one, can take
        raise UnreadableError(error.finding) from error
    except OverflowError as error:  # hundreds of digits where a fraction may be
        raise UnreadableError(NumberOutOfRange(reason=str(error))) from error
