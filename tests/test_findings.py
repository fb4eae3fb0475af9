"""Facts before words: what may be stored, and what is for the screen only."""

import logging
import pickle
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

import recontour
from recontour.errors import MissingSliceError, RecontourError
from recontour.findings import (
    FIT_TO_STORE,
    SCREEN_ONLY,
    Finding,
    FitToStore,
    ScreenOnly,
    as_json,
    finding,
    fit_to_store,
    kind,
    log_finding,
    name_in_json,
    stored_words,
    words,
)

NAME = "MUSTERMANN"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "findings.md"


@finding
class NoNumber(Finding):
    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"no number ({self.reason})"


@finding
class OddSlope(Finding):
    keyword: FitToStore[str]
    names: ScreenOnly[tuple[str, ...]]
    below_mm: float
    why: Finding

    def sentence(self) -> str:
        return f"{self.keyword} {self.below_mm} {', '.join(self.names)}: {self.why.sentence()}"

    def remedy(self) -> str:
        return "export it again"


FOUND = OddSlope(
    path=Path(f"/data/{NAME}"),
    case="centre-1",
    organ="Parotid_L",
    keyword="RescaleSlope",
    names=(NAME, f"{NAME}2"),
    below_mm=1.5,
    why=NoNumber(reason=NAME),
)


def test_the_line_says_where_what_and_what_to_do() -> None:
    assert words(FOUND) == (
        "/data/MUSTERMANN: centre-1: Parotid_L: RescaleSlope 1.5 MUSTERMANN, MUSTERMANN2: "
        "no number (MUSTERMANN); export it again"
    )


def test_what_is_stored_is_built_of_what_may_be() -> None:
    assert stored_words(FOUND) == (
        "centre-1: Parotid_L: RescaleSlope 1.5 [hidden]: no number ([hidden]); export it again"
    )
    assert NAME not in repr(fit_to_store(FOUND))
    assert fit_to_store(fit_to_store(FOUND)) == fit_to_store(FOUND)


def test_json_keeps_the_two_apart() -> None:
    found = as_json(FOUND)
    assert found["kind"] == kind(FOUND) == "odd_slope"
    assert found["message"] == words(FOUND)
    assert found["facts"]["below_mm"] == 1.5
    assert found["facts"]["organ"] == "Parotid_L"
    assert NAME not in repr(found["facts"])
    assert found["facts"]["why"] == {"kind": "no_number"}
    assert found["screen_only"] == {
        "path": f"/data/{NAME}",
        "names": [NAME, f"{NAME}2"],
        "why": {"reason": NAME},
    }


def test_json_keeps_the_two_apart_in_several_findings_too() -> None:
    @finding
    class Several(Finding):
        reasons: tuple[Finding, ...]

        def sentence(self) -> str:
            return "; ".join(reason.sentence() for reason in self.reasons)

    reasons = (NoNumber(path=Path(NAME), reason=NAME), NoNumber(reason="none"))
    found = as_json(Several(reasons=reasons))
    assert found["facts"] == {"reasons": [{"kind": "no_number"}, {"kind": "no_number"}]}
    assert found["screen_only"] == {"reasons": [{"path": NAME, "reason": NAME}, {"reason": "none"}]}


def test_the_log_names_nobody_but_its_handler_knows(caplog: pytest.LogCaptureFixture) -> None:
    log_finding(logging.getLogger("recontour.test"), logging.WARNING, FOUND)
    (record,) = caplog.records
    assert NAME not in record.getMessage()
    assert vars(record)["finding"] == FOUND


def test_a_number_cannot_be_hidden() -> None:
    @finding
    class Wrong(Finding):
        age: ScreenOnly[int]

    with pytest.raises(TypeError, match="cannot be hidden"):
        stored_words(Wrong(age=3))


def test_an_error_is_its_finding_also_in_another_process() -> None:
    error = MissingSliceError(FOUND)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, MissingSliceError)
    assert again.finding == FOUND
    assert str(again) == str(error) == words(FOUND)
    assert isinstance(again, RecontourError)


BASES = {"RoiFinding", "MalformedContour", "Planned"}  # they have no words of their own


def every_kind() -> list[type[Finding]]:
    """Every kind of finding in the package, once."""
    found = []
    for name in (module.name for module in walk_packages(recontour.__path__, "recontour.")):
        if not name.endswith("__main__"):
            own = vars(import_module(name)).values()
            found += [one for one in own if is_kind(one) and one.__module__ == name]
    return found


def is_kind(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Finding) and thing is not Finding


def holds_text(hint: Any) -> bool:
    """Whether a type without a mark can hold text from anywhere."""
    if hint in (str, bytes, Path, Any, object):
        return True
    if hasattr(hint, "__metadata__"):
        return False
    is_literal = str(hint).startswith("typing.Literal")
    return not is_literal and any(map(holds_text, get_args(hint)))


def test_every_text_of_every_finding_says_whether_it_may_be_stored() -> None:
    found = every_kind()
    assert len(found) > 10
    for one in found:
        hints = get_type_hints(one, include_extras=True)
        unmarked = [field.name for field in fields(one) if holds_text(hints[field.name])]
        assert not unmarked, f"{one.__module__}.{one.__name__}: {unmarked}"
        for field in fields(one):
            marks = getattr(hints[field.name], "__metadata__", (FIT_TO_STORE,))
            assert marks in ((FIT_TO_STORE,), (SCREEN_ONLY,))


def test_kinds_have_names_of_their_own() -> None:
    names = [one.__name__ for one in every_kind()]
    assert sorted(names) == sorted(set(names))


def room(one: type[Finding]) -> str:
    """The room of a kind, or the module of one that belongs to no room: "dicom", "files"."""
    return one.__module__.split(".")[1]


def first_sentence(one: type[Finding]) -> str:
    """What a kind is, as the page says it."""
    first_line = (one.__doc__ or "").split("\n")[0]
    return re.split(r"(?<=\.) ", first_line)[0]


def tables() -> str:
    """The tables of the page, as the kinds are now."""
    rooms: dict[str, list[str]] = {}
    for one in sorted(every_kind(), key=name_in_json):
        if one.__name__ not in BASES:
            row = f"| `{name_in_json(one)}` | {first_sentence(one)} |"
            rooms.setdefault(room(one), []).append(row)
    parts = []
    for name in sorted(rooms):
        rows = "\n".join(rooms[name])
        parts.append(f"## {name}\n\n| kind | what was found |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def test_the_page_lists_every_kind() -> None:
    """`python tests/test_findings.py` writes its tables again."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == introduction() + tables()


def introduction() -> str:
    """The page's text above the tables."""
    text, _, _ = PAGE.read_text(encoding="utf-8").partition("## ")
    return text


def every_choice(hint: Any, mark: str = FIT_TO_STORE) -> list[Any]:
    """Values of a type, one for each sentence; text for the screen only names a person."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return every_choice(inside[0], inside[1])
    if origin in (Union, UnionType):
        return every_choice(inside[0], mark)
    if origin is tuple:
        types = [inside[0]] * 2 if Ellipsis in inside else inside
        return [tuple(every_choice(one, mark)[-1] for one in types)]
    if origin is Literal:
        return list(inside)
    if issubclass(hint, Finding):
        return [example(NoNumber if hint is Finding else hint)]
    text = NAME if mark == SCREEN_ONLY else "word"
    known: dict[Any, list[Any]] = {
        bool: [False, True],
        int: [3],
        float: [2.5],
        str: [text],
        Path: [Path(NAME, NAME)],
    }
    return known[hint] if hint in known else list(hint)


def example(one: type[Finding], **given: Any) -> Finding:
    """One finding of a kind, every field set."""
    hints = get_type_hints(one, include_extras=True)
    values = {field.name: every_choice(hints[field.name])[-1] for field in fields(one)}
    return one(**{**values, **given})


def examples(one: type[Finding]) -> Iterator[Finding]:
    """Findings of a kind, each with another choice in one of its fields."""
    hints = get_type_hints(one, include_extras=True)
    for field in fields(one):
        for value in every_choice(hints[field.name]):
            yield example(one, **{field.name: value})


@pytest.mark.parametrize("one", every_kind(), ids=lambda one: one.__name__)
def test_what_is_stored_of_any_finding_names_nobody_and_reads_well(one: type[Finding]) -> None:
    if one.__name__ in BASES:
        pytest.skip("a base class")
    for found in examples(one):
        assert NAME not in stored_words(found)
        assert NAME not in repr(as_json(found)["facts"])
        for line in (words(found), stored_words(found)):
            assert "None" not in line
            assert "  " not in line


def test_what_a_log_prints_of_a_finding_names_nobody() -> None:
    for printed in (str(FOUND), repr(FOUND), f"{FOUND}", repr([FOUND])):
        assert NAME not in printed
        assert "RescaleSlope" in printed
    assert NAME in words(FOUND)


def test_json_has_the_screen_only_fields_of_several_findings_and_no_odd_numbers() -> None:
    @finding
    class Several(Finding):
        mistakes: tuple[Finding, ...]
        mean: float

        def sentence(self) -> str:
            return "; ".join(one.sentence() for one in self.mistakes)

    found = as_json(Several(mistakes=(NoNumber(reason=NAME),), mean=float("nan")))
    assert found["facts"]["mean"] is None
    assert found["screen_only"] == {"mistakes": [{"reason": NAME}]}


if __name__ == "__main__":
    PAGE.write_text(introduction() + tables(), encoding="utf-8")
