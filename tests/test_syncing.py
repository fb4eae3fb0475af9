"""Files are synced to the disk after their last change, and before they get their name."""

import errno
import os
from pathlib import Path

import pytest
from tests.durable import Disk

from recontour.files import whole_file, whole_folder, write_bytes, write_text
from recontour.syncing import sync_folder


@pytest.mark.parametrize("replace", [True, False])
def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, disk: Disk, replace: bool
) -> None:
    write_text(tmp_path / "new" / "deep" / "a.txt", "whole", replace=replace)
    assert disk.lost(tmp_path) == []
    assert disk.named_before_synced == []


def test_a_folder_with_all_in_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, disk: Disk
) -> None:
    with whole_folder(tmp_path / "new" / "out") as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "c.txt").write_text("whole")
        (folder / "d.txt").write_text("whole")
        write_bytes(folder / "a" / "e", b"whole")
    assert disk.lost(tmp_path) == []
    assert disk.named_before_synced == []


def test_what_is_not_synced_is_lost(tmp_path: Path, disk: Disk) -> None:
    """The check itself sees what it should."""
    write_text(tmp_path / "kept", "whole")
    (tmp_path / "lost").write_text("whole")
    assert disk.lost(tmp_path) == [tmp_path, tmp_path / "lost"]
    with whole_file(tmp_path / "late") as partial:
        partial.write_text("whole")
    (tmp_path / "late").write_text("more than was there")
    assert tmp_path / "late" in disk.lost(tmp_path)


@pytest.mark.parametrize(
    ("number", "raises"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_share_that_cannot_sync_folders_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raises: bool
) -> None:
    def refused(_at: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refused)
    if raises:
        with pytest.raises(OSError, match=os.strerror(number)):
            sync_folder(tmp_path)
    else:
        sync_folder(tmp_path)
