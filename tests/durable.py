"""A disk whose power may be cut: it knows what was synced, and when."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """Notes each sync of this process, and each name that a file or folder gets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._synced: dict[
            int, tuple[int, int]
        ] = {}  # by inode, what it was like: last change in ns, bytes
        self.named_before_synced: list[
            str
        ] = []  # outputs that were renamed or linked before they were on the disk
        self._sync = os.fsync
        monkeypatch.setattr(os, "fsync", self._fsync)
        for name in ("rename", "replace", "link"):
            monkeypatch.setattr(os, name, self._naming(getattr(os, name)))

    def lost(self, folder: Path) -> list[Path]:
        """The files and folders, from a folder down, that a power cut would now take or leave half
        written.
        """
        within = (
            Path(place, name)
            for place, folders, files in os.walk(folder)
            for name in (*folders, *files)
        )
        return [path for path in (folder, *sorted(within)) if not self._is_kept(path)]

    def _fsync(self, descriptor: int) -> None:
        self._sync(descriptor)
        state = os.fstat(descriptor)
        self._synced[state.st_ino] = _like(state)

    def _naming(self, give_name: Callable[..., None]) -> Callable[..., None]:
        def named(source: Any, target: Any, **options: Any) -> None:
            if not self._is_kept(Path(source)):
                self.named_before_synced.append(str(target))
            give_name(source, target, **options)

        return named

    def _is_kept(self, path: Path) -> bool:
        state = path.lstat()
        return self._synced.get(state.st_ino) == _like(state)


def _like(state: os.stat_result) -> tuple[int, int]:
    return state.st_mtime_ns, 0 if stat.S_ISDIR(state.st_mode) else state.st_size
