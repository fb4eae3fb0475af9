"""A site whose model needs no training, and a CT that it has received."""

import shutil
from pathlib import Path

import torch
from sqlalchemy.orm import Session
from tests.conftest import TINY
from tests.journeys.conftest import NAME, write_patient

from recontour.dicom import Scan
from recontour.network import Model, Network, Preprocessing, Provenance, save_model
from recontour.network.model import versions
from recontour.service.folder import SiteFolder
from recontour.service.jobs import put
from recontour.service.settings import Destination, Rule, Site, SiteModel
from recontour.service.store import TAKEN, Job, Series, now

ORGANS = ("Brainstem", "Lens_L")
TPS = Destination("tps", "TPS", "127.0.0.1", 104)


def write_model(path: Path) -> None:
    """Write a model that finds two organs somewhere on a CT of `write_patient`.

    It has learnt nothing, so that nothing counts as unlike what it learnt from.
    """
    torch.manual_seed(5)
    counts = dict.fromkeys(ORGANS, 5)
    provenance = Provenance("compact", "north", 5, counts, 0, "2026-12-01", versions())
    window = Preprocessing(3.0, 33, (-200.0, 400.0))
    save_model(Model(Network(TINY, 2), ORGANS, window, {}, provenance), path)


def small_site(folder: Path, keep_days: float | None = None) -> Site:
    """Return a site with a model and one rule, which takes everything and sends it to `tps`."""
    file = folder / "north.safetensors"
    if not file.exists():
        write_model(file)
    rule = Rule("all", "north", destinations=("tps",), keep_days=keep_days)
    return Site(folder / "site", {"north": SiteModel(file)}, (rule,), destinations=(TPS,))


def receive(session: Session, site: Site, folder: Path, number: int = 0) -> Series:
    """Put a patient's CT where the receiver does, and note that the rule took it."""
    scan: Scan = write_patient(folder / f"patient {number}", number)
    uid = scan.source.series_instance_uid
    shutil.copytree(folder / f"patient {number}" / "CT", SiteFolder(site.folder).received(uid))
    series = Series(
        uid=uid,
        study_uid=str(scan.source.header.StudyInstanceUID),
        modality="CT",
        patient_id=str(scan.source.header.PatientID),
        patient_name=NAME,
        first_at=now(),
        last_at=now(),
        instances=len(scan.grid.slice_z_mm),
        state=TAKEN,
        rule="all",
    )
    session.add(series)
    session.flush()
    return series


def order(session: Session, series: Series, *, anyway: bool = False) -> Job:
    """Put a job that contours a series."""
    key = f"contour {series.id} {series.generation} all"
    subject = {"rule": "all", "anyway": anyway}
    return put(session, "contour", key, subject, series_id=series.id)
