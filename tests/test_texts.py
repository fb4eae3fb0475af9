"""Files that others wrote, and tables that a spreadsheet must not run."""

import csv
import io
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recontour.errors import OutputError
from recontour.files import UnreadableError
from recontour.texts import (
    MOST_TOML_BYTES,
    as_it_was,
    csv_rows,
    csv_text,
    harmless,
    open_own,
    read_given,
    read_toml,
)
from recontour.wording import shown, size_in_words

words = st.text(
    st.sampled_from("'=+-@a;,|\t\r\n \"\uff1d") | st.characters(exclude_categories=["Cs"]),
    max_size=9,
)


def toml(folder: Path, content: str | bytes) -> Path:
    path = folder / "given.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("a = " + "{a=" * 5000 + "1" + "}" * 5000, "nested too deep"),
        ("a = " + "1" * 5000, "number or a date that is out of range"),
        ("a." * 1000 + "a = 1", "more than 32 dots in line 1"),
        ("# .......\n[" + "a . " * 1000 + "a]", "more than 32 dots in line 2"),
        ('"a,".' * 1000 + "a = 1", "more than 32 dots in line 1"),
        ("x = '''\n'''\ny = { " + "a." * 1000 + "a = 1 }", "more than 32 dots in line 3"),
        ("a = 1\na = 2\n", "Cannot overwrite a value"),
        ("[a]\n[a]\n", "Cannot declare"),
        ("a = 1\0", "not TOML"),
        ("a = 2026-99-99", "not TOML|out of range"),
        ("#" * (MOST_TOML_BYTES + 1), "larger than 262,144 bytes"),
        ("a = 'Gl\u00e4ser'".encode("latin-1"), "not UTF-8 text .byte 8"),
        ("a = 1".encode("utf-16"), "not UTF-8 text .byte 1"),
    ],
)
def test_hostile_toml_is_one_reason(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=said) as caught:
        read_toml(toml(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_dots_in_text_and_comments_are_no_names(tmp_path: Path) -> None:
    dots = "." * 1000
    lines = [
        f'a = "{dots}" # {dots}',
        f"b = '{dots}'",
        f'c = """{dots}\\"{dots}"""',
        f"d = '''\n{dots}\n'''\n",
    ]
    text = "\n".join(lines)
    assert read_toml(toml(tmp_path, text)) == {
        "a": dots,
        "b": dots,
        "c": f'{dots}"{dots}',
        "d": dots + "\n",
    }


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert read_toml(toml(tmp_path, b"\xef\xbb\xbfa = 1\r\n")) == {"a": 1}


def test_what_is_no_plain_file_is_neither_read_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "itself").symlink_to("itself")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(UnreadableError, match=r"not a plain file|a folder"):
            read_given(path)
    with pytest.raises(UnreadableError):
        read_given(tmp_path / "itself")
    with pytest.raises(FileNotFoundError):
        read_given(tmp_path / "nothing")


@pytest.mark.parametrize(
    "value",
    [1 << 20_000, "a" * 10**6, [[[[[]]]]] * 1000, {"a": "b" * 1000}, b"x" * 1000],
    ids="nabcd",
)
def test_a_value_is_shown_in_a_few_words(value: object) -> None:
    assert len(shown(value)) < 500


@given(words)
def test_no_spreadsheet_sees_a_formula_and_the_text_comes_back(text: str) -> None:
    """The spreadsheet may part cells at a comma, a semicolon or a tab, and ignore quotes."""
    for part in re.split("[;\t\r\n]", harmless(text)):
        assert not re.match(" *[=+\\-@\uff1d]", part)
    assert as_it_was(harmless(text)) == text
    assert csv_rows(csv_text([[text, "x"], ["y", text]])) == [[text, "x"], ["y", text]]


def test_numbers_stay_numbers() -> None:
    assert csv_text([["=1+1", -1, -0.5, "-0.5", float("inf")]]) == "'=1+1,-1,-0.5,'-0.5,inf\n"


def test_half_a_letter_of_a_file_s_name_is_a_question_mark() -> None:
    assert csv_text([["Z\udcfcrich"]]) == "Z?rich\n"


def test_a_table_from_before_is_read_as_it_was() -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [["=1+1", "it's", "-3"], ["'quoted'", "a\nb", ""]]
    )
    assert csv_rows(text.getvalue()) == [["=1+1", "it's", "-3"], ["'quoted'", "a\nb", ""]]


@pytest.mark.parametrize("append", [True, False])
def test_nothing_is_written_through_a_link(tmp_path: Path, append: bool) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "link").symlink_to(mine)
    (tmp_path / "second name").hardlink_to(mine)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "second name", "pipe"):
        with pytest.raises(OutputError, match="a link"):
            open_own(tmp_path / name, append=append)
    assert mine.read_text() == "mine"


def test_a_file_of_ours_is_replaced_or_continued(tmp_path: Path) -> None:
    for append, expected in ((False, "one"), (False, "one"), (True, "oneone")):
        with open_own(tmp_path / "at", append=append) as file:
            file.write("one")
        assert (tmp_path / "at").read_text() == expected


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 MB"),
        (3, "1 MB"),
        (1e6, "1 MB"),
        (28.4e6, "28 MB"),
        (99e6, "99 MB"),
        (1e8, "0.1 GB"),
        (1.64e9, "1.6 GB"),
    ],
)
def test_a_size_is_never_no_gigabytes(count: float, words: str) -> None:
    assert size_in_words(count) == words
