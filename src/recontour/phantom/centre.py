"""The phantom's two centres, and their patients as DICOM."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recontour.dicom import (
    PHANTOM_STUDY,
    Authorship,
    ScanIdentity,
    write_scan,
    write_structure_set,
)
from recontour.files import whole_folder
from recontour.geometry import Grid, Structure, StructureSet
from recontour.phantom.anatomy import paint_patient
from recontour.phantom.organs import skin
from recontour.phantom.patient import Patient, Space
from recontour.phantom.protocols import OPEN, Protocol, draw, draw_others
from recontour.phantom.scanner import Scanner
from recontour.processes import ignore_signals, script_left_out

MADE = datetime(2020, 1, 1, 12)  # every phantom's date


@dataclass(frozen=True, slots=True)
class Centre:
    """One centre.

    roi_names: TG-263 name, or the kind of another structure -> this centre's name. undrawn: the
    share of organs that a structure set lacks.
    """

    name: str
    scanner: Scanner
    protocol: Protocol
    roi_names: dict[str, str]
    undrawn: float


@dataclass(frozen=True, slots=True, eq=False)
class PhantomCase:
    """One patient of the phantom.

    hu: int16 (slice, row, column). structures: under the centre's own names.
    """

    hu: npt.NDArray[np.int16]
    grid: Grid
    structures: StructureSet


SOURCE = Centre(
    name="source",
    scanner=Scanner(
        model="Phantom S",
        kernel="H30s",
        pixel_mm=1.2,
        slice_mm=3.0,
        from_mm=-84.0,
        to_mm=72.0,
        blur_px=0.65,
        sharpen=0.0,
        noise_hu=8.0,
        grain_px=0.9,
        slope=1.0,
        offset_hu=0.0,
        couch_curve=0.0,
        contrast=0.2,
    ),
    protocol=Protocol(
        brainstem_mm=(-3.0, 40.0),
        cord_mm=(-68.0, -4.0),
        cord_is_canal=False,
        cord_grow_mm=0.4,
        parotid_grow_mm=-0.6,
        parotid_accessory=False,
        pituitary_grow_mm=-0.4,
        lobe_back_mm=27.0,
        lobe_raise_mm=-2.0,
        nerve_grow_mm=0.0,
        nerve_back_mm=-27.0,
        jaw_top_mm=-38.0,
        hand_mm=0.35,
    ),
    roi_names={
        "Brainstem": "Brain Stem",
        "SpinalCord": "Spinal Cord",
        "Bone_Mandible": "Mandible",
        "Pituitary": "Pituitary Gland",
        "Parotid_L": "Lt Parotid",
        "Parotid_R": "Rt Parotid",
        "Lens_L": "Lens OS",
        "Lens_R": "Lens OD",
        "OpticNrv_L": "Lt Optic Nerve",
        "OpticNrv_R": "Rt Optic Nerve",
        "Lobe_Temporal_L": "Lt Temporal Lobe",
        "Lobe_Temporal_R": "Rt Temporal Lobe",
        "body": "BODY",
        "gross": "GTV primary",
        "planning": "PTV 70",
        "margin": "Brainstem PRV",
        "empty": "Dose 107%",
    },
    undrawn=0.1,
)

TARGET = Centre(
    name="target",
    scanner=Scanner(
        model="Phantom T",
        kernel="FC42",
        pixel_mm=1.1,
        slice_mm=2.5,
        from_mm=-80.0,
        to_mm=70.0,
        blur_px=0.5,
        sharpen=0.6,
        noise_hu=13.0,
        grain_px=0.55,
        slope=1.02,
        offset_hu=-6.0,
        couch_curve=0.0012,
        contrast=0.8,
    ),
    protocol=Protocol(
        brainstem_mm=(-14.0, 51.0),
        cord_mm=(-OPEN, -15.0),
        cord_is_canal=True,
        cord_grow_mm=-2.2,
        parotid_grow_mm=1.5,
        parotid_accessory=True,
        pituitary_grow_mm=0.6,
        lobe_back_mm=40.0,
        lobe_raise_mm=4.0,
        nerve_grow_mm=0.4,
        nerve_back_mm=-17.0,
        jaw_top_mm=-31.0,
        hand_mm=0.35,
    ),
    roi_names={
        "Brainstem": "BRAINSTEM",
        "SpinalCord": "CORD",
        "Bone_Mandible": "MANDIBLE",
        "Pituitary": "PITUITARY",
        "Parotid_L": "PAROTID_L",
        "Parotid_R": "PAROTID_R",
        "Lens_L": "LENS_L",
        "Lens_R": "LENS_R",
        "OpticNrv_L": "OPT_NERVE_L",
        "OpticNrv_R": "OPT_NERVE_R",
        "Lobe_Temporal_L": "TEMP_LOBE_L",
        "Lobe_Temporal_R": "TEMP_LOBE_R",
        "body": "EXTERNAL",
        "gross": "GTVP",
        "planning": "PTV_66",
        "margin": "BRAINSTEM+3mm",
        "empty": "COUCH",
    },
    undrawn=0.0,
)


def make_case(
    centre: Centre,
    case: int,
    seed: int = 0,
) -> PhantomCase:
    """Make one patient of a centre; the same centre, case and seed give the same patient."""
    root = np.random.SeedSequence([seed, case, *centre.name.encode()])
    anatomy, tissue, machine, hand, others, clerk = map(np.random.default_rng, root.spawn(6))
    patient = Patient.born(anatomy)
    shift_mm = (float(machine.normal(0, 4)), float(machine.normal(0, 4)))
    grid = centre.scanner.grid(shift_mm)
    space = Space.of(patient, grid)
    body = skin(space, patient)
    has_contrast = bool(machine.uniform() < centre.scanner.contrast)
    painted = paint_patient(space, body, patient, has_contrast, tissue)
    hu = centre.scanner.expose(painted, body, grid, machine)
    structures = []
    for organ, contours in draw(patient, space, body, grid, centre.protocol, hand).items():
        if clerk.uniform() >= centre.undrawn:
            structures.append(Structure(centre.roi_names[organ], contours))
    for kind, contours in draw_others(space, body, grid, centre.protocol, others).items():
        structures.append(Structure(centre.roi_names[kind], contours))
    return PhantomCase(hu, grid, StructureSet(tuple(structures)))


def write_centre(
    folder: Path,
    centre: Centre,
    cases: Iterable[int],
    seed: int = 0,
) -> None:
    """Write a centre's patients as DICOM, on all cores.

    Patient 3 becomes folder/source_003/CT/*.dcm and folder/source_003/RTSTRUCT.dcm. A patient's
    folder appears whole or not at all; one that is there already stays as it is.
    """
    with script_left_out(), ProcessPoolExecutor(initializer=ignore_signals) as pool:
        jobs = []
        for case in cases:
            path = folder / f"{centre.name}_{case:03d}"
            if not path.exists():
                jobs.append(pool.submit(_write_patient, path, centre, case, seed))
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_patient(
    folder: Path,
    centre: Centre,
    case: int,
    seed: int,
) -> None:
    made = make_case(centre, case, seed)
    label = f"{centre.name.upper()} {case:03d}"
    key = f"phantom {seed} {centre.name} {case}"
    identity = ScanIdentity(
        seed=key,
        patient_id=f"PHANTOM {label}",
        patient_name=f"PHANTOM^{label}",
        study_description=PHANTOM_STUDY,
        study_date=MADE.strftime("%Y%m%d"),
        scanner_model=centre.scanner.model,
        kernel=centre.scanner.kernel,
    )
    model = f"recontour phantom, {centre.name}"
    made_by = Authorship(
        model=model,
        label="PHANTOM",
        made=MADE,
        seed=key,
    )
    with whole_folder(folder) as partial:
        scan = write_scan(partial / "CT", made.hu, made.grid, identity)
        write_structure_set(partial / "RTSTRUCT.dcm", made.structures, scan, made_by)
