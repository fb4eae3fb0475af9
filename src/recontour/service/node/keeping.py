"""Keep what arrives: on the disk, under its name, before anybody is told so.

received/SERIES/UID.dcm is the first instance of a UID. One that has the same UID and other content
lies beside it as UID-2.dcm: neither is preferred, and reading the series names both.
"""

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

from recontour.dicom.received import MODALITIES, Received, is_copy, read_received
from recontour.errors import FaultError, NotDicomError
from recontour.files import SystemReason
from recontour.findings import Finding
from recontour.service.folder import SiteFolder
from recontour.service.node.findings import ForeignObject, LittleDiskLeft, NotKept
from recontour.service.settings import GIB
from recontour.syncing import make_folders, sync_folder

# What a C-STORE is answered with (PS3.4 B.2.3).
SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
OTHER_SOP_CLASS = 0xA900
NOT_UNDERSTOOD = 0xC000
ARRIVING_FILE = ".arriving-"  # how the names of files begin that are not whole yet
BESIDE = "-"  # in the names of files that have a UID in common with another: UID-2.dcm
PROPER_UID = re.compile(r"[0-9][0-9.]{0,63}")  # it becomes a file's name
OWNER_ALONE = 0o600
LOCKS = 64


class NotKeptError(Exception):
    """An instance that is not acknowledged. status: the answer."""

    def __init__(self, status: int, finding: Finding) -> None:
        super().__init__(finding)
        self.status = status
        self.finding = finding


class Keeper:
    """Keeps instances in a site's folder."""

    def __init__(self, folder: SiteFolder, least_free_gib: float) -> None:
        self._folder = folder
        self._least_free = int(least_free_gib * GIB)
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def refuse_little_disk(self) -> None:
        """Raise NotKeptError if little of the disk is left."""
        free = shutil.disk_usage(self._folder.all_received).free
        if free < self._least_free:
            raise NotKeptError(
                OUT_OF_RESOURCES, LittleDiskLeft(free_bytes=free, least_bytes=self._least_free)
            )

    @contextmanager
    def written(self, *parts: bytes | memoryview) -> Iterator[tuple[Path, int]]:
        """Give a file with what came, and its descriptor; `place` gives it its name.

        When the block ends, a file without a name is gone.
        Raises: NotKeptError: the disk failed, here or in the block.
        """
        partial = self._folder.all_received / f"{ARRIVING_FILE}{uuid4().hex}"
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ALONE)
            try:
                for part in parts:
                    _write_all(descriptor, memoryview(part))
                yield partial, descriptor
            finally:
                os.close(descriptor)
                with suppress(FileNotFoundError):
                    partial.unlink()
        except OSError as error:
            reason = SystemReason(number=error.errno)
            raise NotKeptError(OUT_OF_RESOURCES, NotKept(reason=reason)) from error

    def place(self, partial: Path, received: Received) -> bool:
        """Give a file its name, and wait until that is on the disk.

        Its content must be there already. Return whether it is new: False for a copy of one that
        was there.
        Raises: OSError: the disk failed.
        """
        place = self._folder.received(received.series_uid)
        make_folders(place)
        with self._lock_of(received):
            path = _free_name(place, received.sop_instance_uid, partial)
            if path is not None:
                partial.rename(path)
        sync_folder(place)
        return path is not None

    def _lock_of(self, received: Received) -> threading.Lock:
        return self._locks[hash(received.sop_instance_uid) % LOCKS]


def _free_name(place: Path, uid: str, arrived: Path) -> Path | None:
    """Return a name for a file that arrived; None if it is a copy of one of its UID."""
    path = place / f"{uid}.dcm"
    for number in count(2):
        if not path.exists():
            return path
        if is_copy(path, arrived):
            return None
        path = place / f"{uid}{BESIDE}{number}.dcm"
    return None


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def looked_at(partial: Path, sop_class: str, sop_instance: str) -> Received:
    """Return what a file says of itself, if it is what was announced, and whole.

    Raises: NotKeptError.
    """
    try:
        received = read_received(partial)
    except NotDicomError as error:
        raise NotKeptError(NOT_UNDERSTOOD, NotKept(reason=error.finding)) from error
    except FaultError as error:
        raise NotKeptError(OUT_OF_RESOURCES, NotKept(reason=error.finding)) from error
    if received.sop_class_uid != sop_class:
        raise NotKeptError(OTHER_SOP_CLASS, ForeignObject())
    if received.sop_instance_uid != sop_instance or not is_proper(received):
        raise NotKeptError(NOT_UNDERSTOOD, ForeignObject())
    return received


def is_proper(received: Received) -> bool:
    """Return whether an instance is of a kind that is kept, and has UIDs that may be one.

    >>> from dataclasses import replace
    >>> one = Received("1.2.840.10008.5.1.4.1.1.2", "1.2", "1.3", "1.4", "CT", "", "", "", "", "")
    >>> is_proper(one), is_proper(replace(one, series_uid="../1.3"))
    (True, False)
    """
    uids = (received.sop_instance_uid, received.series_uid)
    return received.modality in MODALITIES.values() and all(map(PROPER_UID.fullmatch, uids))


def instances_in(place: Path) -> tuple[frozenset[str], int]:
    """Return the UIDs of the instances in the folder of a series, and how many have rivals.

    A rival has an instance's UID and other content.
    """
    uids = set()
    rivalled = set()
    with suppress(FileNotFoundError):
        for path in place.iterdir():
            uid, beside, _ = path.stem.partition(BESIDE)
            if path.suffix == ".dcm" and not path.name.startswith("."):
                uids.add(uid)
                if beside:
                    rivalled.add(uid)
    return frozenset(uids), len(rivalled)


def remove_unfinished(folder: SiteFolder) -> None:
    """Remove what was being written when the receiver was killed."""
    for partial in folder.all_received.glob(f"{ARRIVING_FILE}*"):
        with suppress(OSError):
            partial.unlink()
