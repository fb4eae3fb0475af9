"""A site as a clinic runs it, with a real Orthanc in the place of the PACS."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select
from tests.dicom.conftest import edit
from tests.journeys.conftest import write_patient
from tests.service.small_site import ORGANS, write_model

from recontour import Cohort, contour, import_dicom
from recontour.dicom import read_structure_set
from recontour.service.settings import Site, read_site
from recontour.service.store import TAKEN, Audited, Draft, Job, Series, Store

MOST_S = 120.0  # for anything; a busy machine fails no test
OURS = "RECONTOUR"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something; return what it is."""
    last = time.monotonic() + MOST_S
    while not (found := condition()):
        assert time.monotonic() < last, what
        time.sleep(0.05)
    return found


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Orthanc:
    """A PACS of its own, for this test."""

    dicom_port: int
    http_port: int

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=MOST_S) as answer:
            content: bytes = answer.read()
            return content

    def structure_sets(self) -> list[bytes]:
        """The RTSTRUCTs that it holds."""
        query = {"Level": "Instance", "Query": {"Modality": "RTSTRUCT"}}
        found = json.loads(self.ask("/tools/find", json.dumps(query).encode()))
        return [self.ask(f"/instances/{one}/file") for one in found]


@pytest.fixture(scope="module")
def ports() -> list[int]:
    return free_ports(4)


@pytest.fixture(scope="module")
def orthanc(ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    for program in ("Orthanc", "storescu"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian: orthanc, dcmtk)")
    folder = tmp_path_factory.mktemp("orthanc")
    node, dicom, http, _ = ports
    settings = {
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "HttpPort": http,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
        "DicomModalities": {"recontour": [OURS, "127.0.0.1", node]},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        command = ["Orthanc", str(folder / "orthanc.json")]
        with subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                until(lambda: listens(http) and listens(dicom), "Orthanc starts")
                yield Orthanc(dicom, http)
            finally:
                process.terminate()


SITE = """
folder = "site"
[node]
port = {node}
quiet_s = 0.5
least_free_gib = 0
[models.north]
file = "north.safetensors"
[[destinations]]
name = "pacs"
ae_title = "ORTHANC"
address = "127.0.0.1"
port = {pacs}
[[rules]]
name = "all"
model = "north"
destinations = ["pacs"]
[page]
port = {page}
login = false
[loop]
after = 0
"""


@dataclass(frozen=True)
class Served:
    """A site that is being served. ct: of a patient, not sent yet. health: its address."""

    site: Site
    store: Store
    ct: Path
    health: str

    def rows(self, query: Any) -> list[Any]:
        with self.store.begin() as session:
            return list(session.scalars(query))


@pytest.fixture(scope="module")
def served(
    orthanc: Orthanc, ports: list[int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clinic")
    node, _, _, page = ports
    write_patient(folder / "patient", 0)
    write_model(folder / "north.safetensors")
    file = folder / "SITE.toml"
    file.write_text(SITE.format(node=node, pacs=orthanc.dicom_port, page=page))
    site = read_site(file)
    command = [sys.executable, "-m", "recontour", "serve", str(file)]
    with subprocess.Popen(command) as process:
        try:
            until(lambda: listens(node) and listens(page), "the site starts")
            health = f"http://127.0.0.1:{page}/health"
            yield Served(site, Store.of(site), folder / "patient" / "CT", health)
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def send(folder: Path, port: int) -> None:
    """Send a folder as a scanner does."""
    command = ["storescu", "-aec", OURS, "+sd", "+r", "127.0.0.1", str(port), str(folder)]
    subprocess.run(command, check=True, timeout=MOST_S)


def points(file: Path) -> dict[str, Any]:
    found = {}
    for structure in read_structure_set(file, None).structures:
        found[structure.name] = [(one.z_mm, one.points_mm.tolist()) for one in structure.contours]
    return found


@pytest.fixture(scope="module")
def draft(served: Served, orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What reached Orthanc of a CT that was sent to the node."""
    send(served.ct, served.site.node.port)
    (content,) = until(orthanc.structure_sets, "a structure set in Orthanc")
    file = tmp_path_factory.mktemp("drafts") / "RS.dcm"
    file.write_bytes(content)
    return file


def test_a_ct_that_is_sent_comes_out_as_contours_in_orthanc(
    served: Served, draft: Path, tmp_path: Path
) -> None:
    contour(served.site.models["north"].file, served.ct, tmp_path / "by-hand.dcm")
    assert points(draft) == points(tmp_path / "by-hand.dcm")
    assert set(points(draft)) == set(ORGANS)
    dataset = pydicom.dcmread(draft)
    assert dataset.ApprovalStatus == "UNAPPROVED"
    assert "north version 0" in dataset.SeriesDescription
    is_sent = select(Job).where(Job.kind == "send", Job.state == "done")
    until(lambda: served.rows(is_sent), "the job that sent it is done")
    (row,) = served.rows(select(Draft))
    assert row.sop_instance_uid == dataset.SOPInstanceUID
    events = [one.event for one in served.rows(select(Audited).order_by(Audited.id))]
    assert [one for one in events if one != "learnt"] == ["started", "received", "drawn", "sent"]
    with urllib.request.urlopen(served.health, timeout=MOST_S) as answer:
        said = json.loads(answer.read())
    assert (said["status"], said["destinations"]) == ("ok", {"pacs": True})


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy is not installed (dicom3tools)")
def test_an_independent_judge_finds_no_error_in_what_was_sent(draft: Path) -> None:
    judged = subprocess.run(["dciodvfy", draft], capture_output=True, text=True, check=False)
    assert [line for line in judged.stderr.splitlines() if line.startswith("Error")] == []


def test_what_people_correct_in_ohif_comes_back_and_can_be_imported(
    served: Served, orthanc: Orthanc, draft: Path, tmp_path: Path
) -> None:
    """OHIF's own: no approval status, an empty label, the series UID of what it was drawn from."""
    corrected = tmp_path / "corrected" / "RS.dcm"
    corrected.parent.mkdir()
    shutil.copy(draft, corrected)
    edit(corrected, as_ohif_does)
    stored = json.loads(orthanc.ask("/instances", corrected.read_bytes()))
    orthanc.ask("/modalities/recontour/store", stored["ID"].encode())
    came_back = select(Series).where(Series.modality == "RTSTRUCT", Series.state == TAKEN)
    (row,) = until(lambda: served.rows(came_back), "it comes back to the node")
    assert row.uid == pydicom.dcmread(draft).SeriesInstanceUID
    received = tmp_path / "received"
    for series in served.rows(select(Series)):
        kept = served.site.folder / "received"
        for file in kept.glob("*/*.dcm"):
            if pydicom.dcmread(file).SeriesInstanceUID == series.uid:
                received.mkdir(exist_ok=True)
                shutil.copy(file, received)
    report = import_dicom(received, tmp_path / "cohort", centre="site")
    (case_id,) = report.added
    case = Cohort.open(tmp_path / "cohort")[case_id]
    assert set(case.volumes_cc) == {"Brainstem"}  # the other one was deleted in OHIF
    drafts = served.rows(select(Draft))
    assert len(drafts) == 1


def as_ohif_does(dataset: pydicom.Dataset) -> None:
    """Make a structure set like one that OHIF stored after a person deleted a structure."""
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StructureSetLabel = ""
    dataset.Manufacturer = "OHIF"
    dataset.SeriesDescription = "corrected"
    del dataset.ApprovalStatus
    for sequence in ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"):
        setattr(dataset, sequence, dataset[sequence].value[:1])
