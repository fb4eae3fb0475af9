"""From a CT's last slice to its RTSTRUCT at the destination: how much does a site add?

    python benchmarks/site_latency.py MODEL.safetensors DICOM_DIR [--patients N] [--json FILE]

Serves a site, sends the CT series of a folder to it one after the other, and takes their structure
sets as a planning system would. What is more than the contouring and the quiet time is the site's
own. Contouring is measured twice: as the site's worker needs it at that moment (reading the CT,
contouring, writing the draft and what the page shows), and as `contour` needs it later, with the
model loaded before; on a busy machine only the first is comparable. It waits until the site has
begun; the first series includes loading the model, and does not count in the median.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydicom.uid import CTImageStorage, RTStructureSetStorage
from pynetdicom import AE, evt

from recontour import Contourer, contour
from recontour.dicom import read_archive
from recontour.service.settings import Site, read_site
from recontour.service.store import Job, Store

QUIET_S = 2.0
ALLOWED_S = 2.0
SITE = """
folder = "site"
[node]
port = {node}
quiet_s = {quiet}
least_free_gib = 0
[models.model]
file = "{model}"
[[destinations]]
name = "here"
ae_title = "HERE"
address = "127.0.0.1"
port = {here}
[[rules]]
name = "all"
model = "model"
destinations = ["here"]
[page]
port = {page}
login = false
[loop]
after = 0
"""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Return whether somebody listens at a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def send(files: list[Path], port: int) -> float:
    """Send files over one association; return when the last one was acknowledged."""
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(CTImageStorage)
    association = ae.associate("127.0.0.1", port, ae_title="RECONTOUR")
    assert association.is_established
    for file in files:
        assert association.send_c_store(file).Status == 0
    last = time.monotonic()
    association.release()
    return last


def worked_s(site: Site) -> list[float]:
    """Return how long each series was with the worker, in their order."""
    with Store.of(site).begin() as session:
        jobs = session.query(Job).filter(Job.kind == "contour", Job.state == "done")
        times = []
        for job in jobs.order_by(Job.id):
            assert job.began_at is not None
            assert job.ended_at is not None
            times.append(job.ended_at - job.began_at)
        return times


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("dicom", type=Path)
    options.add_argument("--patients", type=int, default=4)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    series = sorted(read_archive(given.dicom).series, key=lambda one: one.place)[: given.patients]
    arrived: list[float] = []

    def take(_event: object) -> int:
        arrived.append(time.monotonic())
        return 0

    here = AE(ae_title="HERE")
    here.add_supported_context(RTStructureSetStorage)
    server = here.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)]
    )
    assert server is not None
    node, page = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "SITE.toml"
        ports = {"node": node, "page": page, "here": server.server_address[1]}
        site.write_text(SITE.format(quiet=QUIET_S, model=given.model.resolve(), **ports))
        command = [sys.executable, "-m", "recontour", "serve", str(site)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as serving:
            while not (listens(node) and listens(page)):
                time.sleep(0.1)
            waited = []
            for one in series:
                last = send(sorted(one.files), node)
                before = len(arrived)
                while len(arrived) == before:
                    time.sleep(0.002)
                waited.append(arrived[-1] - last)
            serving.send_signal(signal.SIGTERM)
        by_site = worked_s(read_site(site))
        contouring = []
        contourer = Contourer.load(given.model)
        for number, one in enumerate(series):
            began = time.monotonic()
            out = Path(folder) / f"{number}.dcm"
            contour(given.model, one.place, out, contourer=contourer)
            contouring.append(time.monotonic() - began)
    server.shutdown()
    added = [whole - QUIET_S - own for whole, own in zip(waited, by_site, strict=True)]
    found = {
        "slices": [len(one.files) for one in series],
        "quiet_s": QUIET_S,
        "from_last_slice_to_rtstruct_s": [round(one, 2) for one in waited],
        "contouring_by_the_site_s": [round(one, 2) for one in by_site],
        "contouring_by_hand_later_s": [round(one, 2) for one in contouring],
        "added_s": [round(one, 2) for one in added],
        "added_median_without_the_first_s": round(statistics.median(added[1:] or added), 2),
        "allowed_s": ALLOWED_S,
        "load_average": [round(one, 1) for one in os.getloadavg()],
    }
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
