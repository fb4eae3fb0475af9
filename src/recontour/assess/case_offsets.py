"""What a cohort's patients measure beside a model: contours' offsets, images, their headers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from recontour.assess.scoring import contour_case
from recontour.cohort import Case, by_patient
from recontour.contouring.contourer import Contourer
from recontour.evaluation.differences import PatientOffsets, values_by_organ
from recontour.geometry.arrays import Mask
from recontour.geometry.offsets import Measure, Offsets, offsets
from recontour.network import Model
from recontour.network.acquired import Acquired, Setting, acquired_in
from recontour.network.baseline import Baseline, Name, Spreads
from recontour.network.image_traits import ImageTrait, ImageTraits, image_traits
from recontour.network.spread import Spread, spread_of

# More patients than these tell little more of a centre's mean, and each one takes time.
MOST_PATIENTS = 40

One = TypeVar("One")
# What a case calls the ends of an organ, as directions.
DIRECTION_OF: Mapping[str, Measure] = {"above": "cranial", "below": "caudal"}


def offsets_of_mask(case: Case, organ: str, mask: Mask) -> Offsets:
    """Return how much further out a case's own contour of an organ lies than another mask of it.

    mask: bool, (slice, row, column). It counts only where the organ is known.
    """
    known = case.where_known(organ, mask)
    return offsets(case.mask(organ), known, case.grid, unknown_ends(case, organ))


def unknown_ends(case: Case, organ: str) -> list[Measure]:
    """Return the directions in which an organ goes on beyond its contours."""
    ends = case.traits.partly_contoured.get(organ, ())
    return [DIRECTION_OF[end] for end in ends]


def offsets_of_case(
    contourer: Contourer, case: Case, patient: str
) -> Iterator[tuple[PatientOffsets, Mask]]:
    """Yield how far each contour of a case lies from the model's, and the model's whole mask.

    An organ that the model does not find has no offsets. patient: what to call the case's patient.

    >>> import recontour
    >>> contourer = recontour.Contourer.load("north.safetensors")
    >>> case = next(iter(recontour.Cohort.open("north-test")))
    >>> [found.organ for found, mask in offsets_of_case(contourer, case, case.id)]
    ['Brainstem', 'Lens_L']
    """
    for organ, mask in contour_case(contourer, case):
        measured = offsets_of_mask(case, organ, mask)
        yield PatientOffsets(patient, case.id, organ, measured), mask


def baseline_of(
    model: Model,
    cases: Sequence[Case],
    told: Callable[[int, int], object] = lambda _done, _of: None,
) -> Baseline:
    """Measure a centre's own contours beside its model's, and its images, in at most 40 patients.

    They are taken evenly from the cohort; how the CTs were acquired is counted in all. told: is
    called with how many patients are done, and of how many.
    """
    chosen = evenly(by_patient(cases), MOST_PATIENTS)
    contourer = Contourer(model)
    rows: list[PatientOffsets] = []
    images: list[ImageTraits] = []
    for done, patient in enumerate(chosen):
        told(done, len(chosen))
        images.append(image_traits(patient[0].hu, patient[0].grid))
        for case in patient:
            rows += [row for row, _ in offsets_of_case(contourer, case, patient[0].id)]
    by_organ: dict[str, Spreads] = {}
    for organ, by_measure in values_by_organ(rows).items():
        values = {measure: of_patients.values() for measure, of_patients in by_measure.items()}
        by_organ[organ] = _spreads(values)
    return Baseline(by_organ, _spreads(values_by_trait(images)), acquired_of(cases))


def acquired_of(cases: Sequence[Case]) -> Acquired:
    """Return how the first CT of each patient was acquired, as far as the import kept it.

    >>> from recontour.cohort import Cohort
    >>> acquired_of(list(Cohort.open("south"))).in_words("slice_thickness_mm")
    '3 (2)'
    """
    return acquired_in([_header_of(patient[0]) for patient in by_patient(cases)])


def _header_of(case: Case) -> Mapping[Setting, str]:
    """Return what a CT's header says, without what it does not say."""
    acquisition = case.acquisition
    said: dict[Setting, str] = {
        "maker": case.origin.maker,
        "model": case.origin.model,
        "kernel": acquisition.kernel,
    }
    if acquisition.kvp is not None:
        said["kvp"] = f"{acquisition.kvp:g}"
    if acquisition.slice_thickness_mm is not None:
        said["slice_thickness_mm"] = f"{acquisition.slice_thickness_mm:g}"
    return {setting: words for setting, words in said.items() if words}


def values_by_trait(images: Iterable[ImageTraits]) -> dict[ImageTrait, list[float]]:
    """Return what several images measure by trait."""
    found: dict[ImageTrait, list[float]] = {}
    for image in images:
        for trait, value in image.items():
            found.setdefault(trait, []).append(value)
    return found


def _spreads(values: Mapping[Name, Iterable[float]]) -> dict[Name, Spread]:
    """Return the spread of what was measured in two patients or more."""
    found = {}
    for name, of_patients in values.items():
        spread = spread_of(of_patients)
        if spread:
            found[name] = spread.rounded()
    return found


def evenly(patients: Sequence[One], most: int) -> list[One]:
    """Return so many of the patients at most, spread over all of them."""
    count = min(most, len(patients))
    return [patients[index * len(patients) // count] for index in range(count)]
