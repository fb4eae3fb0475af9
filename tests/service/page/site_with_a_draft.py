"""A site with one contoured series, made without the node: for tests, and to look at the page.

    python tests/service/page/site_with_a_draft.py FOLDER

makes FOLDER/SITE.toml with a patient of recontour's phantom and the accounts of `PEOPLE`, whose
password is their name and `-long-enough`. Then `python -m recontour.service.page.main` serves it.
"""

import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from recontour.dicom import Authorship, Scan, ScanIdentity, read_structure_set, write_scan
from recontour.dicom.rtstruct_out import write_structure_set
from recontour.findings import as_json
from recontour.geometry import Grid, Structure, StructureSet, traced
from recontour.geometry.arrays import Mask
from recontour.phantom import SOURCE, make_case
from recontour.service import accounts
from recontour.service.folder import SiteFolder, hashed
from recontour.service.review.prepared import STRUCTURES, prepare
from recontour.service.settings import Site, read_site
from recontour.service.store import TAKEN, Draft, ModelVersion, Series, Store, now

PEOPLE = {"viewer": "view", "editor": "edit", "doctor": "approve", "boss": "admin"}
NAMES = {"Brainstem": "HIRNSTAMM", "Lens_L": "Linse links", "Lens_R": "Linse rechts"}
SETTINGS = """
folder = "site"
[models.north]
file = "north.safetensors"
[[destinations]]
name = "tps"
ae_title = "TPS"
address = "127.0.0.1"
port = {port}
[[rules]]
name = "all"
model = "north"
destinations = ["tps"]
[page]
port = {port}
login = {login}
"""
GRID = Grid((6, 64, 64), (2.0, 2.0), tuple(3.0 * index for index in range(6)), (-63.0, -63.0))


def write_site(folder: Path, *, port: int = 8080, login: bool = True) -> Path:
    """Write SITE.toml; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "SITE.toml"
    path.write_text(SETTINGS.format(port=port, login=str(login).lower()))
    return path


def add_people(store: Store) -> None:
    """Add an account of each role."""
    with store.begin() as session:
        for name, role in PEOPLE.items():
            accounts.add(session, name, password_of(name), role)


def password_of(name: str) -> str:
    return f"{name}-long-enough"


def small_case() -> tuple[npt.NDArray[np.int16], StructureSet]:
    """Return a body with a brain stem that has a hole on one slice, and a lens on each side."""
    z, y, x = np.mgrid[:6, :64, :64]
    hu = np.where((x - 32) ** 2 + (y - 32) ** 2 < 28**2, 40, -1000).astype(np.int16)
    stem = ((x - 32) ** 2 + (y - 32) ** 2 <= 10**2) & (z > 0)
    stem &= ~(((x - 33) ** 2 + (y - 31) ** 2 <= 3**2) & (z == 3))
    left = ((x - 46) ** 2 + (y - 16) ** 2 <= 3**2) & (z > 2)
    masks: dict[str, Mask] = {"Brainstem": stem, "Lens_L": left}
    for mask in masks.values():
        hu[mask] += 150
    return hu, traced(masks.items(), GRID)


def add_small_draft(site: Site, store: Store, *, uid: str = "small") -> int:
    """Add a small series with a draft; return the draft's id."""
    hu, structures = small_case()
    return add_draft(site, store, hu, GRID, structures, uid=uid)


def add_phantom_draft(site: Site, store: Store, case: int = 0) -> int:
    """Add a patient of the phantom with a draft; return the draft's id."""
    made = make_case(SOURCE, case)
    organ_by_name = {name: organ for organ, name in SOURCE.roi_names.items()}
    drawn = []
    for structure in made.structures.structures:
        organ = organ_by_name[structure.name]
        if organ[0].isupper() and structure.contours:
            drawn.append(Structure(organ, structure.contours))
    return add_draft(
        site, store, made.hu, made.grid, StructureSet(tuple(drawn)), uid=f"phantom {case}"
    )


def add_draft(
    site: Site,
    store: Store,
    hu: npt.NDArray[np.int16],
    grid: Grid,
    structures: StructureSet,
    *,
    uid: str,
    patient: tuple[str, str] = ("PHANTOM^Ada", "P-1"),
    description: str = "Head and neck",
) -> int:
    """Add a series that was received and contoured; return the draft's id."""
    folder = SiteFolder(site.folder)
    name, patient_id = patient
    identity = ScanIdentity(uid, patient_id=patient_id, patient_name=name)
    written = write_scan(site.folder / "new", hu, grid, identity)
    series_uid = written.source.series_instance_uid
    received = folder.received(series_uid)
    (site.folder / "new").rename(received)
    with store.begin() as session:
        series = Series(
            uid=series_uid,
            study_uid=str(written.source.header.StudyInstanceUID),
            modality="CT",
            patient_id=patient_id,
            patient_name=name,
            description=description,
            first_at=now(),
            last_at=now(),
            instances=grid.shape[0],
            state=TAKEN,
            rule="all",
        )
        session.add(series)
        session.flush()
        series_id = series.id
    return add_another_draft(site, store, series_id, written, structures)


def add_another_draft(
    site: Site, store: Store, series_id: int, scan: Scan, structures: StructureSet
) -> int:
    """Add a draft to a series; return the draft's id."""
    with store.begin() as session:
        series = session.get_one(Series, series_id)
        version = session.query(ModelVersion).filter_by(name="north").first()
        if version is None:
            version = ModelVersion(
                name="north", number=0, file="north.safetensors", sha256="0", state="in use",
                made_at=now(),
            )  # fmt: skip
            session.add(version)
            session.flush()
        number = session.query(Draft).count() + 1
        relative = Path("drafts") / hashed(series.uid) / str(number)
        organs = {organ: NAMES.get(organ, organ) for organ in structures.names}
        folder = site.folder / relative
        folder.mkdir(parents=True)
        author = Authorship("north version 0", is_draft=True, made=datetime(2026, 12, 1, 8))
        called = tuple(Structure(organs[one.name], one.contours) for one in structures.structures)
        drawn_uid = write_structure_set(folder / STRUCTURES, StructureSet(called), scan, author)
        prepare(folder, scan, read_structure_set(folder / STRUCTURES, scan))
        draft = Draft(
            series_id=series_id,
            generation=0,
            rule="all",
            model_id=version.id,
            folder=str(relative),
            sop_instance_uid=drawn_uid,
            made_at=now(),
            organs=organs,
            review_order=_review_order(structures.names),
            findings=[],
        )
        session.add(draft)
        session.flush()
        return draft.id


def add_returned(
    site: Site, store: Store, file: Path, series_id: int, *, uid: str, status: str, label: str
) -> int:
    """Add a structure set that OHIF saved anew and sent back; return its series' id.

    file: what it was made from. series_id: of its CT. uid: its new SOP Instance UID. status: of its
    approval, as DICOM writes it.
    """
    dataset = pydicom.dcmread(file)
    dataset.SOPInstanceUID = uid
    dataset.Manufacturer = "Another"
    dataset.ApprovalStatus = status
    dataset.StructureSetLabel = label
    with store.begin() as session:
        ct = session.get_one(Series, series_id)
        series = Series(
            uid=dataset.SeriesInstanceUID, study_uid=ct.study_uid, patient_id=ct.patient_id,
            modality="RTSTRUCT", calling_ae="OHIF", first_at=now(), last_at=now(), state=TAKEN,
        )  # fmt: skip
        session.add(series)
        session.flush()
        folder = SiteFolder(site.folder).received(series.uid)
        folder.mkdir()
        dataset.save_as(folder / "RS.dcm")
        return series.id


def _review_order(organs: tuple[str, ...]) -> list[dict[str, object]]:
    from recontour.contouring.findings import OrganNotFound

    order: list[dict[str, object]] = []
    missing = as_json(OrganNotFound(organ="Lens_R"))
    if "Lens_R" not in organs:
        order.append({"organ": "Lens_R", "failures": [missing], "soft_dice": None})
    for organ in organs:
        order.append({"organ": organ, "failures": [], "soft_dice": 0.9})
    return order


def main() -> None:
    path = write_site(Path(sys.argv[1]))
    site = read_site(path)
    store = Store.of(site)
    add_people(store)
    add_phantom_draft(site, store)
    print(f"python -m recontour.service.page.main {path}")


if __name__ == "__main__":
    main()
