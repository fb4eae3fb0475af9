"""What pydantic refuses becomes findings that keep the file's own words for the screen."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

from recontour.findings import HIDDEN, stored_words, words
from recontour.validation import (
    ExpectedError,
    Invalid,
    PatientKey,
    first_mistake,
    mistakes,
)

SECRET = "XYLOPHAGUS"


def _even(number: int) -> int:
    if number % 2:
        raise ExpectedError("an even number")
    return number


def _telling(text: str) -> str:
    raise ValueError(f"{text} is not what it was")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    even: Annotated[int, AfterValidator(_even)] = 0
    file: Annotated[int, Field(alias="a.file", ge=1)] = 1
    talks: Annotated[str, AfterValidator(_telling)] = ""


@dataclass(frozen=True)
class Outer:
    inner: Inner
    by_name: dict[str, Inner]
    sizes: tuple[int, ...] | Literal["all"] = ()


def refused(value: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Outer).validate_python(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        ({"by_name": {}}, Invalid(problem="missing", field="inner")),
        (
            {"inner": {"even": 3}, "by_name": {}},
            Invalid(problem="wrong", field="inner.even", seen="3", rule="expected an even number"),
        ),
        (
            {"inner": {"a.file": 0}, "by_name": {}},
            Invalid(
                problem="wrong",
                field="inner.a.file",
                seen="0",
                rule="input should be greater than or equal to 1",
            ),
        ),
        (
            {"inner": {}, "by_name": {SECRET: {"even": 3}}},
            Invalid(
                problem="wrong",
                field="by_name",
                key=f"{SECRET}.even",
                seen="3",
                rule="expected an even number",
            ),
        ),
        (
            {"inner": {SECRET: 1}, "by_name": {}},
            Invalid(
                problem="unknown", field="inner", key=SECRET, known=("even", "a.file", "talks")
            ),
        ),
        (
            {"inner": {"talks": SECRET}, "by_name": {}},
            Invalid(
                problem="wrong",
                field="inner.talks",
                seen=f"'{SECRET}'",
                reason=f"{SECRET} is not what it was",
            ),
        ),
    ],
)
def test_a_mistake_keeps_what_is_ours_apart_from_what_is_the_file_s(
    value: Any, finding: Invalid
) -> None:
    assert first_mistake(refused(value), Outer) == finding
    assert SECRET not in stored_words(finding)


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")

    radius: int


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")

    side: int


@dataclass(frozen=True)
class Drawing:
    shapes: tuple[
        Annotated[
            Annotated[Circle, Tag("family-round")] | Annotated[Square, Tag("family-square")],
            Discriminator(lambda shape: "family-" + shape["family"]),
        ],
        ...,
    ]


@pytest.mark.parametrize(("family", "known"), [("round", "radius"), ("square", "side")])
def test_the_known_names_are_those_of_the_member_that_the_file_chose(
    family: str, known: str
) -> None:
    drawing = {"shapes": [{"family": family, known: 1}]}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Drawing).validate_python(drawing)
    found = Invalid(problem="unknown", field="shapes.0", key="family", known=(known,))
    assert first_mistake(caught.value, Drawing) == found


def test_all_mistakes_are_found_once_without_pydantic_s_names_for_a_union() -> None:
    error = refused({"inner": {}, "by_name": {}, "sizes": ["x"]})
    found = mistakes(error, Outer)
    assert [one.field for one in found] == ["sizes.0", "sizes"]
    assert len(mistakes(error, Outer)) == len(set(found))


def test_a_mistake_of_a_whole_file_is_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Outer).validate_json(SECRET)
    finding = first_mistake(caught.value, Outer)
    assert words(finding).startswith("not valid: invalid JSON")
    assert stored_words(finding) == f"not valid: {HIDDEN}"


def test_a_key_that_would_steer_a_terminal_is_quoted() -> None:
    error = refused({"inner": {"\x1b[2J": 1}, "by_name": {}})
    assert first_mistake(error, Outer).key == "'\\x1b[2J'"


def test_a_patient_key_has_one_pattern() -> None:
    keys = TypeAdapter(PatientKey)
    assert keys.validate_python("0123abcd-0123456789abcdef")
    for wrong in ("0123abcd-0123456789abcdeX", "0123abcd", 1):
        with pytest.raises(ValidationError):
            keys.validate_python(wrong)
