"""Small words of every message."""

import pytest

from recontour.wording import plural, printable, shown, size_in_words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("plain", "plain"),
        ("a\tb\nc", "a b c"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("left\u202eright", "left\ufffdright"),
        ("half \udcff", "half \ufffd"),
    ],
)
def test_nothing_steers_a_terminal(words: str, expected: str) -> None:
    assert printable(words) == expected


def test_values_are_shown_short() -> None:
    assert shown("x") == "'x'"
    assert len(shown("x" * 1000)) < 70
    assert shown(10**5000) == "too long to show"


def test_counts_and_sizes() -> None:
    assert plural(1, "CT") == "1 CT"
    assert plural(0, "CT") == "0 CTs"
    assert [size_in_words(count) for count in (0, 1, 35e6, 1.6e9)] == [
        "0 MB",
        "1 MB",
        "35 MB",
        "1.6 GB",
    ]
