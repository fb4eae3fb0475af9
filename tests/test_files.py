"""Outputs appear whole or not at all, and replace nothing.

An output that cannot be made is refused before the work begins.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from recontour.errors import FaultError, OutputError
from recontour.files import (
    is_name,
    output_error,
    read_file,
    refuse_existing,
    whole_file,
    whole_folder,
    write_text,
)
from recontour.wording import printable


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Lens_L, 左 é", "Lens_L, 左 é"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\x1b[31mred\x00\x7f\x9b", "\ufffd[31mred\ufffd\ufffd\ufffd"),
        ("\u202egpj.exe\udcff", "\ufffdgpj.exe\ufffd"),
    ],
)
def test_words_are_made_fit_for_a_screen(words: str, shown: str) -> None:
    assert printable(words) == shown


def test_a_secret_is_for_its_owner_alone_while_it_is_written(tmp_path: Path) -> None:
    with whole_file(tmp_path / "key", mode=0o600) as partial:
        assert partial.stat().st_mode & 0o077 == 0


def test_what_is_synced_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to sync a file that is open for reading alone."""
    modes = []

    def noted(at: int) -> None:
        if not stat.S_ISDIR(os.fstat(at).st_mode):
            modes.append(fcntl.fcntl(at, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(tmp_path / "a.txt", "whole")
    assert modes == [os.O_RDWR]


def test_a_file_appears_whole_with_the_mode_of_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("whole")
        partial.chmod(0o600)
        assert not path.exists()
    (tmp_path / "other").touch()
    assert path.read_text() == "whole"
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert path.stat().st_nlink == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appeared_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))  # as vfat says it

    if not hard_links:
        monkeypatch.setattr(os, "link", refused)
    write_text(tmp_path / "a", "first")
    assert (tmp_path / "a").read_text() == "first"

    def write_while_another_does(path: Path) -> None:
        with whole_file(path) as partial:
            partial.write_text("ours")
            path.write_text("theirs")

    with pytest.raises(OutputError, match="does not overwrite"):
        write_while_another_does(tmp_path / "b")
    assert (tmp_path / "b").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_replacing_is_asked_for(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "first")
    write_text(tmp_path / "a", "second", replace=True)
    assert (tmp_path / "a").read_text() == "second"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_folder_is_not_put_over_what_appeared_meanwhile(tmp_path: Path, is_folder: bool) -> None:
    out = tmp_path / "out"
    theirs = out / "theirs" if is_folder else out

    def write_while_another_does() -> None:
        with whole_folder(out) as partial:
            (partial / "ours").touch()
            theirs.parent.mkdir(exist_ok=True)
            theirs.write_text("precious")

    with pytest.raises(OutputError):
        write_while_another_does()
    assert theirs.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_the_real_error_is_told_though_the_partial_cannot_be_removed(
    tmp_path: Path, whole: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    """The folder turns into a file while we write: removing the partial fails too."""
    folder = tmp_path / "sub"
    folder.mkdir()

    def fail() -> None:
        with whole(folder / "a"):
            shutil.rmtree(folder)
            folder.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FaultError, match="No space left"):
        fail()


@pytest.mark.parametrize(
    "number", ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "EEXIST", "ENOTEMPTY"]
)
def test_what_another_place_mends_is_an_output_error(number: str) -> None:
    error = OSError(getattr(errno, number), "why")
    assert isinstance(output_error(Path("out"), error), OutputError)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        ("ENOSPC", "free some space"),
        ("EDQUOT", "free some space"),
        ("EIO", "have it checked"),
        ("EFBIG", "ulimit -f"),
        ("EMFILE", "ulimit -n"),
        ("ENFILE", "close other programs"),
        ("ENOMEM", "memory is full"),
        ("ESTALE", "mount it again"),
        ("ENOLCK", "no locks"),
        ("ENOEXEC", "look up what the system reports"),
    ],
)
def test_what_no_other_name_mends_is_a_fault_with_its_own_remedy(number: str, remedy: str) -> None:
    """Only a full disk is mended by space."""
    fault = output_error(Path("out"), OSError(getattr(errno, number), "why"))
    assert isinstance(fault, FaultError)
    assert remedy in str(fault)
    assert ("space" in str(fault)) == (number in ("ENOSPC", "EDQUOT"))


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
@pytest.mark.parametrize("name", ["腫" * 81, "x" * 255, "é" * 127])
def test_a_name_of_as_many_bytes_as_a_file_may_have_is_an_output(
    tmp_path: Path, whole: Callable[[Path], AbstractContextManager[Path]], name: str
) -> None:
    with whole(tmp_path / name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("words", ["north", "Köln", "腫" * 64, "a b", "-x", "St. Mary's", "a..b"])
def test_words_that_may_become_a_name(words: str) -> None:
    assert is_name(words)


@pytest.mark.parametrize(
    "words",
    [
        "",
        " ",
        ".",
        "..",
        ".hidden",
        "../x",
        "a/b",
        "/a",
        "a\\b",
        "..\\x",
        "x" * 65,
        "a\nb",
        "a\0",
        "\x1b[2J",
        "\udcff",
    ],
)
def test_words_that_lead_elsewhere_or_cannot_be_shown_are_no_name(words: str) -> None:
    assert not is_name(words)


def test_what_should_be_a_small_file_is_read_only_if_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("small")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    assert read_file(tmp_path / "small", 3) == b"abc"
    assert read_file(tmp_path / "link", 3) == b"abc"
    with pytest.raises(ValueError, match="larger than 2 bytes"):
        read_file(tmp_path / "small", 2)
    for name in ("pipe", "device", "."):
        with pytest.raises(ValueError, match=r"not a plain file|a folder"):
            read_file(tmp_path / name, 2)


def test_an_output_that_cannot_be_made_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in ("file", "file/a", "file/a/b", "nowhere", "nowhere/a", "a" * 300, "a" * 300 + "/b"):
        with pytest.raises(OutputError, match=path):
            refuse_existing(tmp_path / path)
    refuse_existing(tmp_path / "new" / "deep" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "nowhere"]


def test_a_folder_that_may_not_be_written_to_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's answer is made up: whoever runs the tests as root may write anywhere."""
    monkeypatch.setattr(os, "access", lambda folder, _mode: Path(folder) != tmp_path)
    with pytest.raises(OutputError, match=rf"not in a folder that you may write to \({tmp_path}"):
        refuse_existing(tmp_path / "new" / "out")
    assert not list(tmp_path.iterdir())
