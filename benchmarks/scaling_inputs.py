"""Write the phantoms and models that scaling.py measures on.

All patients are one phantom head under different UIDs, and all organs its brain stem under
different names. Each patient and each organ thus costs the same, and cost grows with their number
alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time

import torch

from clinical_size import untrained
from contour_speed import stand_in
from recontour.cohort import Cohort
from recontour.cohort.importing import import_dicom
from recontour.dicom import Authorship, ScanIdentity, write_scan, write_structure_set
from recontour.geometry import Structure, StructureSet
from recontour.network import Architecture, Preprocessing
from recontour.phantom import TARGET, PhantomCase, make_case
from recontour.training.batches import Batches
from recontour.training.presets import PRESETS
from scaling import Inputs
from throughput import step_seconds

ORGANS = (  # import knows them, and contouring finishes them alike
    "Brain", "Cerebellum", "Cavity_Oral", "Trachea", "Tongue", "Pharynx", "Eye_L", "Eye_R",
    "Cochlea_L", "Cochlea_R", "Hippocampus_L", "Hippocampus_R",
)  # fmt: skip
SIZE_PX, PIXEL_MM = 128, 2.2
SLICES = 16  # of a case, where their number does not grow
SLICES_IN_A_BATCH = 2
COMPACT = PRESETS["compact"]
TINY = replace(  # for contouring many cases, where the network does not matter
    COMPACT,
    architecture=Architecture(
        stem_channels=16,
        widths=(16, 16, 16, 16),
        blocks=(1, 1, 1),
        expansion=1,
        spp_channels=16,
        norm="batch",
    ),
    preprocessing=Preprocessing(pixel_mm=4.4, crop_px=65, window_hu=(-200.0, 400.0)),
)


def head(slices: int) -> PhantomCase:
    """Return a phantom head of so many slices."""
    scanner = TARGET.scanner
    step_mm = (scanner.to_mm - scanner.from_mm) / (slices - 0.5)
    smaller = replace(scanner, size_px=SIZE_PX, pixel_mm=PIXEL_MM, slice_mm=step_mm)
    return make_case(replace(TARGET, scanner=smaller), 0)


def write_patient(folder: Path, made: PhantomCase, organs: int) -> None:
    """Write a head as a patient of its own, with its brain stem drawn under so many names."""
    stem = made.structures[TARGET.roi_names["Brainstem"]]
    structures = StructureSet(tuple(Structure(organ, stem.contours) for organ in ORGANS[:organs]))
    scan = write_scan(folder / "CT", made.hu, made.grid, ScanIdentity(seed=str(folder)))
    author = Authorship(model="phantom", seed=str(folder))
    write_structure_set(folder / "RTSTRUCT.dcm", structures, scan, author)


def prepare(inputs: Inputs, sizes: Mapping[str, Sequence[int]], patients: int) -> None:
    """Write DICOM, cohorts and models.

    patients: how many each archive has where their number does not grow.
    """
    made = head(SLICES)
    for number in range(max(sizes["cases"])):
        write_patient(inputs.patient / str(number), made, len(ORGANS))
    for size in sizes["cases"]:
        _link(inputs.dicom("cases", size), [inputs.patient / str(number) for number in range(size)])
    for size in sizes["organs"]:
        for number in range(patients):
            write_patient(inputs.dicom("organs", size) / str(number), made, size)
    for size in sizes["slices"]:
        made = head(size)
        for number in range(patients):
            write_patient(inputs.dicom("slices", size) / str(number), made, len(ORGANS))
    for size in sizes["cases"]:
        import_dicom(inputs.dicom("cases", size), inputs.cohort("cases", size))
    for size in sizes["organs"]:
        import_dicom(inputs.dicom("organs", size), inputs.cohort("organs", size))
        _write_models(inputs, size)


def _link(folder: Path, patients: Sequence[Path]) -> None:
    folder.mkdir(parents=True)
    for patient in patients:
        (folder / patient.name).symlink_to(patient)


def _write_models(inputs: Inputs, organs: int) -> None:
    for name, preset, seed in (("compact", COMPACT, 0), ("tiny-a", TINY, 0), ("tiny-b", TINY, 1)):
        path = inputs.model(name, "organs", organs)
        nothing_learnt = untrained(
            path.with_name(f"untrained-{path.name}"), ORGANS[:organs], preset, seed
        )
        stand_in(nothing_learnt, path, inputs.ct("organs", organs))


def batch_seconds(cohort: Path) -> float:
    """Return the processor seconds of preparing one batch: the median of a hundred."""
    batches = _batches(cohort)
    spent = []
    for index in range(100):
        began = process_time()
        batches[index]
        spent.append(process_time() - began)
    return median(spent)


def learning_seconds(cohort: Path) -> float:
    """Return the processor seconds of learning from one batch."""
    batches = _batches(cohort)
    return step_seconds(batches[0], len(batches.organs), torch.channels_last, process_time)


def _batches(cohort: Path) -> Batches:
    opened = Cohort.open(cohort)
    recipe = replace(COMPACT.train, batch=SLICES_IN_A_BATCH)
    return Batches(list(opened), opened.organs, COMPACT.preprocessing, recipe, seed=0)
