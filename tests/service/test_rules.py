import pytest

from recontour.service.rules import Arrived, decide
from recontour.service.settings import Condition, Rule, When

SERIES = Arrived("CT1", "RECONTOUR", "Hals  2mm", "NECK", "Siemens", 90)


@pytest.mark.parametrize(
    ("when", "is_taken"),
    [
        (When(), True),
        (When(description=Condition(equals=("hals 2MM",))), True),
        (When(description=Condition(contains=("neck", "hals"))), True),
        (When(description=Condition(equals=("x",), contains=("hals",))), True),
        (When(description=Condition(contains=("neck",))), False),
        (When(body_part=Condition(matches=("^(head|neck)$",))), True),
        (When(manufacturer=Condition(none_of=("SIEMENS",))), False),
        (When(manufacturer=Condition(none_of=("GE",))), True),
        (When(calling_ae=Condition(equals=("CT1",)), least_slices=91), False),
        (When(most_slices=90), True),
        (When(most_slices=89), False),
    ],
)
def test_all_conditions_of_a_rule_must_hold(when: When, is_taken: bool) -> None:
    found = decide([Rule("one", "north", when)], SERIES)
    assert (found.rule is not None) == is_taken
    assert bool(found.against) != is_taken


def test_the_first_rule_decides_and_earlier_ones_say_why_not() -> None:
    first = Rule("chest", "south", When(description=Condition(contains=("thorax",))))
    found = decide([first, Rule("rest", "north"), Rule("never", "north")], SERIES)
    assert found.rule is not None
    assert found.rule.name == "rest"
    assert [one.sentence() for one in found.against] == [
        "rule chest: description contains thorax, found 'Hals  2mm'"
    ]
