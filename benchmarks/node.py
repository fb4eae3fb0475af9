#!/usr/bin/env python3
"""Measure a site's node: how fast it receives, how many may send at once, what kills do to it.

    .venv/bin/python benchmarks/node.py speed [--rounds 3]
    .venv/bin/python benchmarks/node.py many [--associations 300]
    .venv/bin/python benchmarks/node.py kills [--series 200] [--kills 30] [--seed 0]

speed: DCMTK's storescu sends slices of 512 x 512 to DCMTK's storescp, which does not wait for the
disk, and to the receiver, which does; in turns, by one association and by eight at once.
many: that many associations, open at once, each with a series of its own.
kills: series are sent by eight associations at once: whole, split over two of them, twice at once,
with a damaged slice, with two slices of one UID, and broken off. Meanwhile receiver, watcher and
courier are killed (-9) at random, and the destination is down half of the time. A worker that makes
a structure set without looking stands in for the real one. Then it is counted: what was lost, what
was doubled, what was contoured and should not have been.

Each prints what it found and writes it to docs/results/node.json, beside what the others wrote.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    generate_uid,
)
from pynetdicom import AE, _config, evt
from sqlalchemy import select, update

from real_centres import RESULTS, cpu_name
from recontour.files import whole_folder
from recontour.service import jobs
from recontour.service.folder import SiteFolder
from recontour.service.node.mended import mend_pynetdicom
from recontour.service.settings import Site, read_site
from recontour.service.store import (
    DONE,
    INCOMPLETE,
    TAKEN,
    WAITING,
    Association,
    Job,
    Series,
    Store,
)

OUT = RESULTS / "node.json"
HERE = "127.0.0.1"
PORT, ARCHIVE_PORT, DCMTK_PORT = 11991, 11992, 11993
TITLE = "RECONTOUR"
QUIET_S = 3.0
SITE = f"""
folder = "site"
[node]
port = {PORT}
quiet_s = {QUIET_S}
least_free_gib = 0.1
[models.none]
file = "none.safetensors"
[[destinations]]
name = "archive"
ae_title = "ARCHIVE"
address = "{HERE}"
port = {ARCHIVE_PORT}
[[rules]]
name = "all"
model = "none"
destinations = ["archive"]
"""
MODULES = {
    "receiver": "recontour.service.node.receive",
    "watcher": "recontour.service.watch",
    "courier": "recontour.service.courier",
}


# Series


def image(series_uid: str, number: int, side: int, rng: np.random.Generator) -> Dataset:
    """Return a slice of noise."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID = CTImageStorage
    one.SOPInstanceUID = f"{series_uid}.{number}"
    one.SeriesInstanceUID = series_uid
    one.StudyInstanceUID = f"{series_uid}.0"
    one.Modality = "CT"
    one.PatientID = series_uid.rpartition(".")[2]
    one.PatientName = "Nobody"
    one.Rows = one.Columns = side
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit = 15
    one.PixelRepresentation = 1
    one.SamplesPerPixel = 1
    one.PhotometricInterpretation = "MONOCHROME2"
    one.ImagePositionPatient = [0, 0, 3 * number]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [1, 1]
    one.PixelData = rng.integers(-1000, 1000, (side, side), dtype=np.int16).tobytes()
    return one


def images(series_uid: str, count: int, side: int, seed: int = 0) -> list[Dataset]:
    """Return the slices of a series."""
    rng = np.random.default_rng(seed)
    return [image(series_uid, number, side, rng) for number in range(1, count + 1)]


# Processes


@contextmanager
def site_in(work: Path) -> Iterator[tuple[Path, Site]]:
    """Give a new site file, and what it says."""
    file = work / "SITE.toml"
    file.write_text(SITE, encoding="utf-8")
    yield file, read_site(file)


@dataclass
class Child:
    """A process of the site, started again whenever it is killed."""

    name: str
    file: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it ends when we do."""
        command = [sys.executable, "-m", MODULES[self.name], str(self.file)]
        log = (self.file.parent / f"{self.name}.log").open("ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)

    def kill(self, store: Store) -> None:
        """Kill it, put back what it was doing, as `recontour serve` does, and start it again."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()
        with store.begin() as session:
            jobs.give_back(session, self.process.pid)
        self.start()

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process
        self.process.terminate()
        code = self.process.wait(30)
        assert self.process.stdin
        self.process.stdin.close()
        return code


def wait_until(is_so: Callable[[], bool], limit_s: float) -> bool:
    """Wait until something is so; return whether it became so."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.2)
    return False


def answers_echo() -> bool:
    """Return whether the receiver listens."""
    ae = AE(ae_title="BENCH")
    ae.add_requested_context("1.2.840.10008.1.1")
    association = ae.associate(HERE, PORT, ae_title=TITLE)
    is_there = association.is_established
    if is_there:
        association.release()
    return bool(is_there)


# Speed


def speed(work: Path, rounds: int) -> dict[str, Any]:
    """Send the same files to storescp and to the receiver, in turns."""
    slices, side, at_once = 60, 512, 8
    for number in range(at_once):
        place = work / f"ct{number}"
        place.mkdir()
        for one in images(f"1.2.826.{number + 1}", slices, side, number):
            one.save_as(place / f"{one.SOPInstanceUID}.dcm", enforce_file_format=True)
    took: dict[str, dict[int, list[float]]] = {}
    with site_in(work) as (file, site):
        receiver = Child("receiver", file)
        receiver.start()
        assert wait_until(answers_echo, 60)
        for _ in range(rounds):
            for senders in (1, at_once):
                with storescp(work / "dcmtk"):
                    seconds = storescu(work, senders, DCMTK_PORT, "STORESCP")
                took.setdefault("storescp", {}).setdefault(senders, []).append(seconds)
                forget_files(site)
                seconds = storescu(work, senders, PORT, TITLE)
                took.setdefault("receiver", {}).setdefault(senders, []).append(seconds)
        receiver.end()
    found: dict[str, Any] = {"slices": slices, "pixels": side, "rounds": rounds}
    for senders in (1, at_once):
        count = slices * senders
        ours, theirs = median(took["receiver"][senders]), median(took["storescp"][senders])
        found[f"by {senders}"] = {
            "receiver: slices a second": round(count / ours, 1),
            "storescp: slices a second": round(count / theirs, 1),
            "ratio": round(theirs / ours, 2),
        }
    return found


@contextmanager
def storescp(out: Path) -> Iterator[None]:
    """Run DCMTK's receiver, one process for each association."""
    out.mkdir(exist_ok=True)
    command = ["storescp", "--quiet", "--fork", "--output-directory", str(out), str(DCMTK_PORT)]
    process = subprocess.Popen(command)
    time.sleep(1)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(out)


def storescu(work: Path, many: int, port: int, title: str) -> float:
    """Send a series by each of so many processes at once; return the seconds."""
    begin = time.perf_counter()
    senders = []
    for number in range(many):
        command = ["storescu", "--quiet", "--call", title, HERE, str(port)]
        command += ["--scan-directories", str(work / f"ct{number}")]
        senders.append(subprocess.Popen(command))
    codes = [sender.wait() for sender in senders]
    assert not any(codes), codes
    return time.perf_counter() - begin


def forget_files(site: Site) -> None:
    """Let every slice be new again."""
    for path in SiteFolder(site.folder).all_received.glob("*/*.dcm"):
        path.unlink()


# Many at once


TEMPLATE = 100_000  # the number in the UID of the series that the others are made from
STATUS = b"\x00\x00\x00\x09\x02\x00\x00\x00"  # what comes before the status in an answer
ACCEPTED, RELEASED = 0x02, 0x06  # kinds of PDU


def many(work: Path, count: int) -> dict[str, Any]:
    """Open so many associations at once; send a series of two slices by each when all are open."""
    with site_in(work) as (file, site):
        receiver = Child("receiver", file)
        receiver.start()
        assert wait_until(answers_echo, 60)
        messages = recorded()
        all_open = threading.Barrier(count)
        begin = time.perf_counter()
        with ThreadPoolExecutor(count) as senders:
            numbers = range(TEMPLATE + 1, TEMPLATE + 1 + count)
            outcomes = Counter(senders.map(lambda n: replayed(messages, n, all_open), numbers))
        seconds = time.perf_counter() - begin
        receiver.end()
        with Store.of(site).begin() as session:
            clean = sum(one.how_ended == "released" for one in session.scalars(select(Association)))
            kept = sum(one.instances for one in session.scalars(select(Series)))
    return {
        "associations": count,
        "outcomes": dict(outcomes),
        "released": clean - 1,
        "instances kept": kept - 2,
        "seconds": round(seconds, 1),
    }


def recorded() -> list[list[bytes]]:
    """Send a series of two slices, and return what was sent: a request, two slices, a release."""
    sent: list[bytes] = []
    ae = AE(ae_title="BENCH")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    handlers: list[Any] = [(evt.EVT_DATA_SENT, lambda event: sent.append(event.data))]
    association = ae.associate(HERE, PORT, ae_title=TITLE, evt_handlers=handlers)
    messages = [[sent[0]]]
    for one in images(f"1.2.826.2.{TEMPLATE}", 2, 64):
        before = len(sent)
        assert association.send_c_store(one).Status == 0
        messages.append(sent[before:])
    before = len(sent)
    association.release()
    return [*messages, sent[before:]]


def replayed(messages: list[list[bytes]], number: int, all_open: threading.Barrier) -> str:
    """Send what was recorded as a series of another number; return what became of it."""
    request, *slices, release = messages
    try:
        with socket.create_connection((HERE, PORT), timeout=120) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if said(connection, request, number)[0] != ACCEPTED:
                all_open.abort()
                return "rejected"
            all_open.wait(120)
            for one in slices:
                answer = said(connection, one, number)
                begin = answer.index(STATUS) + len(STATUS)
                if answer[begin : begin + 2] != bytes(2):
                    return f"answered {answer[begin : begin + 2].hex()}"
            return "stored" if said(connection, release, number)[0] == RELEASED else "not released"
    except (OSError, threading.BrokenBarrierError) as error:
        all_open.abort()
        return type(error).__name__


def said(connection: socket.socket, message: list[bytes], number: int) -> bytes:
    """Send a message, and return the PDU that answers it."""
    theirs = f".2.{TEMPLATE}".encode()
    connection.sendall(b"".join(message).replace(theirs, f".2.{number}".encode()))
    head = exactly(connection, 6)
    return head + exactly(connection, int.from_bytes(head[2:], "big"))


def exactly(connection: socket.socket, count: int) -> bytes:
    """Read so many bytes."""
    read = b""
    while len(read) < count:
        just = connection.recv(count - len(read))
        if not just:
            raise ConnectionError
        read += just
    return read


# Kills


KINDS = ("whole", "split", "twice", "damaged", "mended", "rival", "broken off")
SHARES = (0.55, 0.15, 0.1, 0.05, 0.05, 0.05, 0.05)
NOT_CONTOURED = ("damaged", "rival", "broken off")
SLICES, SIDE = 12, 64
DOWN_S = 8.0  # the destination is down for so long, then up for so long


@dataclass
class Tally:
    """What the senders were told."""

    acknowledged: dict[str, set[str]] = field(default_factory=dict)
    tries: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Part:
    """What one association sends of a series.

    damaged: the slice that is cut off. till: it breaks off after so many slices. again: until all
    is acknowledged.
    """

    series: str
    instances: tuple[Dataset, ...]
    damaged: int | None = None
    till: int | None = None
    again: bool = True


def parts_of(uid: str, kind: str, seed: int) -> list[Part]:
    """Return what is sent of a series, each part by an association, and when it is damaged how."""
    slices = tuple(images(uid, SLICES, SIDE, seed))
    half = SLICES // 2
    if kind == "split":
        return [Part(uid, slices[:half]), Part(uid, slices[half:])]
    if kind == "twice":
        return [Part(uid, slices), Part(uid, slices)]
    if kind in ("damaged", "mended"):
        first = Part(uid, slices, damaged=3, again=False)
        return [first, Part(uid, slices)] if kind == "mended" else [first]
    if kind == "rival":
        other = image(uid, 3, SIDE, np.random.default_rng(seed + 1_000_000))
        return [Part(uid, (*slices, other))]
    if kind == "broken off":
        return [Part(uid, slices, till=half, again=False)]
    return [Part(uid, slices)]


def send(part: Part, tally: Tally) -> None:
    """Send a part as a scanner does: until all of it was acknowledged and the end was, too."""
    while not _sent(part, tally):
        time.sleep(0.5)


def _sent(part: Part, tally: Tally) -> bool:
    """Try once; return whether to leave it at that."""
    ae = AE(ae_title="SCANNER")
    ae.acse_timeout = ae.network_timeout = ae.dimse_timeout = 60
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    with tally.lock:
        tally.tries += 1
    association = ae.associate(HERE, PORT, ae_title=TITLE)
    if not association.is_established:
        return False
    answers = []
    for number, one in enumerate(part.instances):
        if number == part.till:
            association.abort()
            return True
        try:
            status = _store(association, one, is_damaged=number == part.damaged)
        except RuntimeError:  # the association is gone
            return False
        if status is None:
            return False
        answers.append(status)
        if status == 0:
            with tally.lock:
                tally.acknowledged.setdefault(str(one.SOPInstanceUID), set()).add(digest(one))
    association.release()
    is_ended = association.is_released
    return is_ended and (not part.again or not any(answers))


def _store(association: Any, one: Dataset, *, is_damaged: bool) -> int | None:
    """Send an instance, or all but the end of it; return the answer."""
    if not is_damaged:
        answer = association.send_c_store(one)
    else:
        with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
            one.save_as(file.name, enforce_file_format=True)
            os.truncate(file.name, Path(file.name).stat().st_size - 1000)
            answer = association.send_c_store(file.name)
    status = answer.get("Status")
    return None if status is None else int(status)


def digest(one: Dataset) -> str:
    """Return a hash of an instance's pixels."""
    return hashlib.sha256(one.PixelData).hexdigest()[:16]


class Archive:
    """The destination: a process that is down half of the time, and keeps a list of what it got."""

    def __init__(self, work: Path) -> None:
        self._list = work / "archive.txt"
        self._list.touch()
        self._server: Any = None

    def up(self) -> None:
        """Listen."""
        ae = AE(ae_title="ARCHIVE")
        ae.add_supported_context(RTStructureSetStorage)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._keep)]
        with suppress(OSError):
            self._server = ae.start_server((HERE, ARCHIVE_PORT), block=False, evt_handlers=handlers)

    def down(self) -> None:
        """Hang up on everybody, and hear nobody."""
        if self._server:
            for association in self._server.active_associations:
                association.abort()
            self._server.shutdown()
            self._server = None

    def _keep(self, event: Any) -> int:
        with self._list.open("a") as lines:
            lines.write(f"{event.request.AffectedSOPInstanceUID}\n")
        return 0

    def got(self) -> Counter[str]:
        """Return how often each structure set came."""
        return Counter(self._list.read_text().split())


def work_off(site: Site, store: Store, stop: threading.Event) -> None:
    """Do `contour` jobs: make a structure set without looking, and a job to send it."""
    folder = SiteFolder(site.folder)
    while not stop.wait(0.2):
        with store.begin() as session:
            job = jobs.claim(session, "contour", os.getpid())
        if job is None:
            continue
        assert job.series_id is not None
        with store.begin() as session:
            series = session.get_one(Series, job.series_id)
        place = folder.drafts(series.uid) / str(job.id)
        if not place.exists():
            with whole_folder(place) as partial:
                _structures(series.uid).save_as(partial / "RS.dcm", enforce_file_format=True)
        subject = {"file": str((place / "RS.dcm").relative_to(site.folder))}
        with store.begin() as session:
            key = f"send draft {job.id} archive"
            subject["destination"] = "archive"
            jobs.put(session, "send", key, subject, series_id=job.series_id)
            jobs.done(session, job.id)


def _structures(series_uid: str) -> Dataset:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID = RTStructureSetStorage
    one.SOPInstanceUID = generate_uid(prefix=None)
    one.SeriesInstanceUID = generate_uid(prefix=None)
    one.StudyInstanceUID = f"{series_uid}.0"
    one.Modality = "RTSTRUCT"
    return one


def kills(work: Path, count: int, times: int, seed: int) -> dict[str, Any]:
    """Send series, kill processes meanwhile, and count what became of them."""
    mend_pynetdicom()
    _config.STORE_SEND_CHUNKED_DATASET = True  # files as they are, also damaged ones
    rng = random.Random(seed)
    kinds = {}
    for number in range(count):
        kinds[f"1.2.826.3.{number + 1}"] = rng.choices(KINDS, SHARES)[0]
    parts = []
    for number, (uid, kind) in enumerate(kinds.items()):
        parts.append(parts_of(uid, kind, number))
    tally = Tally()
    archive = Archive(work)
    begin = time.perf_counter()
    with site_in(work) as (file, site):
        store = Store.of(site)
        children = [Child(name, file) for name in MODULES]
        for child in children:
            child.start()
        assert wait_until(answers_echo, 60)
        stop = threading.Event()
        calm = threading.Event()
        helpers = [
            threading.Thread(target=work_off, args=(site, store, stop)),
            threading.Thread(target=_up_and_down, args=(archive, calm)),
        ]
        for helper in helpers:
            helper.start()
        killed = Counter[str]()
        with ThreadPoolExecutor(8) as senders:
            sent = [senders.submit(_send_all, of_one, tally) for of_one in _apart(parts)]
            while sum(killed.values()) < times:
                time.sleep(rng.uniform(0.5, 6.0))
                child = rng.choice(children)
                child.kill(store)
                killed[child.name] += 1
            sending_s = [future.result() for future in sent]
        del sending_s
        calm.set()
        helpers[1].join()
        archive.up()
        settled = wait_until(lambda: _is_settled(store), 180)
        stop.set()
        helpers[0].join()
        archive.down()
        codes = {child.name: child.end() for child in children}
        found = counted(site, store, kinds, tally, archive)
    return {
        "series": count,
        "kinds": dict(Counter(kinds.values())),
        "kills": dict(killed),
        "associations tried": tally.tries,
        **found,
        "settled": settled,
        "exit codes": codes,
        "seconds": round(time.perf_counter() - begin),
    }


def _apart(parts: list[list[Part]]) -> list[list[Part]]:
    """Return lots for the senders: parts of one series go to two senders unless in order."""
    lots = []
    for of_series in parts:
        in_order = any(not part.again for part in of_series)
        lots += [of_series] if in_order else [[part] for part in of_series]
    return lots


def _send_all(parts: list[Part], tally: Tally) -> None:
    for part in parts:
        send(part, tally)


def _up_and_down(archive: Archive, calm: threading.Event) -> None:
    while True:
        if calm.wait(DOWN_S):
            return
        archive.up()
        calm.wait(DOWN_S)
        archive.down()


def _is_settled(store: Store) -> bool:
    """Return whether nothing is left to do; what waits for another try need not wait."""
    with store.begin() as session:
        session.execute(
            update(Job).where(Job.state == WAITING, Job.not_before > 0).values(not_before=0.0)
        )
        is_open = session.scalar(select(Job.id).where(Job.state.not_in((DONE, "failed"))).limit(1))
        arriving = session.scalar(select(Series.id).where(Series.state == "arriving").limit(1))
    return is_open is None and arriving is None


def counted(
    site: Site, store: Store, kinds: dict[str, str], tally: Tally, archive: Archive
) -> dict[str, Any]:
    """Count what was lost, doubled, or contoured and should not have been."""
    folder = SiteFolder(site.folder)
    lost = 0
    for uid, digests in tally.acknowledged.items():
        series = uid.rpartition(".")[0]
        on_disk = {
            digest(pydicom.dcmread(path))
            for path in folder.received(series).glob(f"{uid}*.dcm")
            if path.stem.partition("-")[0] == uid
        }
        lost += not digests <= on_disk
    with store.begin() as session:
        rows = {one.uid: one for one in session.scalars(select(Series))}
        drawn: dict[int, list[Job]] = {}
        for job in session.scalars(select(Job).where(Job.kind == "contour")):
            drawn.setdefault(job.series_id or 0, []).append(job)
        sends = list(session.scalars(select(Job).where(Job.kind == "send")))
    whole = [uid for uid, kind in kinds.items() if kind not in NOT_CONTOURED]
    unfit = [uid for uid, kind in kinds.items() if kind in NOT_CONTOURED]
    last = {
        uid: max(drawn.get(rows[uid].id, []), key=lambda job: job.id, default=None) for uid in whole
    }
    got = archive.got()
    sent_uids = Counter(
        str(pydicom.dcmread(site.folder / job.subject["file"]).SOPInstanceUID) for job in sends
    )
    instances = list(folder.all_received.glob("*/*.dcm"))
    return {
        "instances acknowledged": len(tally.acknowledged),
        "acknowledged and lost": lost,
        "files in the folder": len(instances),
        "unfinished files": len(list(folder.all_received.glob(".*"))),
        "whole series": len(whole),
        "whole series contoured from all slices": sum(
            job is not None and job.subject["instances"] == SLICES for job in last.values()
        ),
        "of them contoured from fewer slices first": sum(
            len(drawn.get(rows[uid].id, [])) > 1 for uid in whole
        ),
        "series that must not be contoured": len(unfit),
        "of them contoured": sum(bool(drawn.get(rows[uid].id)) for uid in unfit if uid in rows),
        "of them shown as incomplete": sum(
            rows[uid].state == INCOMPLETE for uid in unfit if uid in rows
        ),
        "states wrong": sum(rows[uid].state != TAKEN for uid in whole),
        "structure sets made": len(sends),
        "structure sets at the destination": len(got),
        "of them unknown here": len(set(got) - set(sent_uids)),
        "structure sets lost": len(set(sent_uids) - set(got)),
        "structure sets doubled": sum(count > 1 for count in sent_uids.values()),
        "sent again, under the same UID, because the answer was lost": sum(
            count - 1 for count in got.values()
        ),
    }


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("speed", "many", "kills"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--associations", type=int, default=300)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="work here, and keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="node") as temporary:
        work = options.keep or Path(temporary)
        work.mkdir(exist_ok=True)
        measure: dict[str, Callable[[], dict[str, Any]]] = {
            "speed": lambda: speed(work, options.rounds),
            "many": lambda: many(work, options.associations),
            "kills": lambda: kills(work, options.series, options.kills, options.seed),
        }
        found = {"machine": cpu_name(), "cores": os.cpu_count(), **measure[options.what]()}
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    known[options.what] = found
    OUT.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
