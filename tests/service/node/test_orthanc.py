"""The node beside Orthanc: it counts, it takes structure sets, and it commits to keeping them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom import AE
from sqlalchemy import select
from tests.service.node.peers import HERE, free_port, images, saved, structures

from recontour.service import jobs
from recontour.service.child import Ending
from recontour.service.courier import Courier
from recontour.service.node import send
from recontour.service.node.query import images_of_series
from recontour.service.node.receive import Receiver
from recontour.service.node.send import connected, echo
from recontour.service.settings import Destination, Site
from recontour.service.store import DONE, Job, Store

UID = "1.2.826.1"
ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
FILE = "drafts/1/1/RS.dcm"

pytestmark = pytest.mark.skipif(not ORTHANC, reason="Orthanc is not installed")


@pytest.fixture
def orthanc(tmp_path: Path, site: Site) -> Iterator[Destination]:
    """An Orthanc that knows the node."""
    destination = Destination("archive", "ORTHANC", HERE, free_port(), commitment=True)
    settings = {
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "HttpServerEnabled": False,
        "DicomAet": destination.ae_title,
        "DicomPort": destination.port,
        "DicomModalities": {"node": ["RECONTOUR", HERE, site.node.port]},
        "Plugins": [],
    }
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps(settings))
    assert ORTHANC
    process = subprocess.Popen(
        [ORTHANC, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(600):
        if echo("RECONTOUR", destination) is None:
            break
        Ending().wait(0.05)
    yield destination
    process.terminate()
    process.wait()


def test_orthanc_counts_takes_and_commits(
    site: Site,
    store: Store,
    receiver: Receiver,
    orthanc: Destination,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send, "COMMITMENT_S", 0.1)  # Orthanc answers by calling the receiver
    assert images_of_series("RECONTOUR", orthanc, f"{UID}.0", UID) is None
    ae = AE(ae_title="RECONTOUR")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    with connected(ae, orthanc) as association:
        assert [association.send_c_store(one).Status for one in images(UID, 3)] == [0, 0, 0]
    assert images_of_series("RECONTOUR", orthanc, f"{UID}.0", UID) == 3

    saved(site.folder / FILE, structures("1.9", drawn_on=UID))
    subject = {"file": FILE, "destination": orthanc.name}
    with store.begin() as session:
        jobs.put(session, "send", "send draft 1 archive", subject)
    Courier(replace(site, destinations=(orthanc,)), store).do_all()
    for _ in range(600):
        with store.begin() as session:
            job = session.scalars(select(Job)).one()
        if job.state == DONE:
            break
        Ending().wait(0.05)
    assert job.state == DONE
    assert images_of_series("RECONTOUR", orthanc, f"{UID}.0", "1.9") == 1
