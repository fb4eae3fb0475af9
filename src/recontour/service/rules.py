"""Which rule takes a series, and why the others do not."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recontour.service.findings import RuleDoesNotHold
from recontour.service.settings import Condition, Rule


@dataclass(frozen=True, slots=True)
class Arrived:
    """What rules may ask about a series. Texts are as DICOM has them; empty where it is silent."""

    calling_ae: str
    called_ae: str
    description: str
    body_part: str
    manufacturer: str
    slices: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Which rule takes a series; None: none does. against: why each rule before it does not."""

    rule: Rule | None
    against: tuple[RuleDoesNotHold, ...]


TEXTS = ("calling_ae", "called_ae", "description", "body_part", "manufacturer")


def decide(rules: Sequence[Rule], arrived: Arrived) -> Decision:
    """Return the first rule whose conditions all hold.

    >>> from recontour.service.settings import Condition, When
    >>> neck = Rule("neck", "north", When(description=Condition(contains=("neck",))))
    >>> found = decide([neck], Arrived("CT1", "RECONTOUR", "Neck 2 mm", "", "", 90))
    >>> found.rule.name, found.against
    ('neck', ())
    """
    against: list[RuleDoesNotHold] = []
    for rule in rules:
        reasons = list(reasons_against(rule, arrived))
        if not reasons:
            return Decision(rule, tuple(against))
        against += reasons
    return Decision(None, tuple(against))


def reasons_against(rule: Rule, arrived: Arrived) -> Iterator[RuleDoesNotHold]:
    """Yield each condition of a rule that does not hold."""
    for name in TEXTS:
        condition = getattr(rule.when, name)
        seen = getattr(arrived, name)
        if condition is not None:
            for expected in _broken(condition, seen):
                yield _against(rule, name, expected, seen)
    least, most = rule.when.least_slices, rule.when.most_slices
    if least is not None and arrived.slices < least:
        yield _against(rule, "least_slices", str(least), str(arrived.slices))
    if most is not None and arrived.slices > most:
        yield _against(rule, "most_slices", str(most), str(arrived.slices))


def _against(rule: Rule, condition: str, expected: str, seen: str) -> RuleDoesNotHold:
    return RuleDoesNotHold(rule=rule.name, condition=condition, expected=expected, seen=seen)


def _broken(condition: Condition, seen: str) -> Iterator[str]:
    """Yield in words what a text should have been and is not."""
    text = _folded(seen)
    wanted = (*condition.equals, *condition.contains, *condition.matches)
    is_equal = any(text == _folded(one) for one in condition.equals)
    is_within = any(_folded(one) in text for one in condition.contains)
    is_matched = any(re.search(one, seen, re.IGNORECASE) for one in condition.matches)
    if wanted and not (is_equal or is_within or is_matched):
        yield _asked(condition)
    if any(text == _folded(one) for one in condition.none_of):
        yield _is_none_of(condition)


def _folded(words: str) -> str:
    return " ".join(words.split()).casefold()


def in_words(condition: Condition) -> str:
    """Say what a condition asks of a text.

    >>> in_words(Condition(contains=("neck", "hals"), none_of=("scout",)))
    'contains neck or hals, is none of scout'
    """
    asked = [_asked(condition)] if _asked(condition) else []
    if condition.none_of:
        asked.append(_is_none_of(condition))
    return ", ".join(asked)


def _is_none_of(condition: Condition) -> str:
    return f"is none of {', '.join(condition.none_of)}"


def _asked(condition: Condition) -> str:
    asked = []
    for verb in ("equals", "contains", "matches"):
        values = getattr(condition, verb)
        if values:
            asked.append(f"{verb} {' or '.join(values)}")
    return " or ".join(asked)
