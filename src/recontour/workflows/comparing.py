"""Compare how a centre contours with how a model's own centre does."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.assess.case_offsets import (
    acquired_of,
    baseline_of,
    offsets_of_case,
    values_by_trait,
)
from recontour.assess.caveats import (
    notices_to_repeat,
    phantom_warnings,
    trained_on_warnings,
)
from recontour.assess.pictures import Planes
from recontour.assess.protocol_page import PageOf, write_protocol_page
from recontour.cohort import Case, Cohort, by_patient, patient_names
from recontour.cohort.doubts import cohort_warnings, draft_warnings
from recontour.cohort.patients import doubt
from recontour.contouring.contourer import Contourer
from recontour.errors import CohortError, OrganError
from recontour.evaluation.consistency import Suspect, suspects
from recontour.evaluation.differences import (
    Difference,
    PatientOffsets,
    differences,
    write_differences,
    write_offsets,
)
from recontour.evaluation.figures import Overlay
from recontour.evaluation.images import ImageDifference, image_differences, may_move_contours
from recontour.evaluation.plotting import refuse_unplottable
from recontour.evaluation.statements import (
    said_of_differences,
    said_of_doubt,
    said_of_images,
    said_of_missed,
    said_of_suspects,
    said_of_unknown,
    said_of_untested,
)
from recontour.files import whole_folder
from recontour.findings import Finding, log_finding
from recontour.network import Model, load_model, name_of
from recontour.network.acquired import Acquired
from recontour.network.baseline import Baseline
from recontour.network.image_traits import ImageTrait, image_traits
from recontour.progress import Progress, quiet
from recontour.wording import printable
from recontour.workflows.findings import (
    HomeOfAnotherCentre,
    NoBaseline,
    NoCommonOrgan,
    OnlyDrafts,
)
from recontour.workflows.paths import refuse_for_comparing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolComparison:
    """How a centre's contours differ from those of a model's centre, and from each other.

    Attributes:
        centre: Whose contours are compared.
        home: The model's centre.
        differences: By organ and measure; empty if the model has no baseline.
        statements: What follows from the differences, in the order of the organs.
        images: How the centres' images differ, by trait; empty if the model has no baseline.
        unlike_images: The traits in which they differ, as findings.
        acquired: How the centre's CTs were acquired, by what their headers say.
        home_acquired: The same of the model's centre; None if the model does not say.
        suspects: Contours that are drawn unlike the cohort's others.
        doubts: The same as findings.
        offsets: How far each contour lies from the model's.
        warnings: What speaks against the comparison.

    Examples:
        >>> import recontour
        >>> found = recontour.compare("south.safetensors", "north-train", "compared")
        >>> found.centre, found.home, found.suspects
        ('north', 'south', ())
    """

    centre: str
    home: str
    differences: tuple[Difference, ...]
    statements: tuple[Finding, ...]
    images: tuple[ImageDifference, ...]
    unlike_images: tuple[Finding, ...]
    acquired: Acquired
    home_acquired: Acquired | None
    suspects: tuple[Suspect, ...]
    doubts: tuple[Finding, ...]
    offsets: tuple[PatientOffsets, ...]
    warnings: tuple[Finding, ...]


def compare(
    model: Path | str,
    cohort: Path | str,
    out: Path | str,
    *,
    home: Path | str | None = None,
    progress: Progress = quiet,
) -> ProtocolComparison:
    """Say how a centre contours differently from the centre of a model, in mm by direction.

    Each contour is compared with what the model draws on the same CT, and the result with what the
    same comparison gave at the model's own centre, which the model file keeps. Contours that are
    drawn unlike the cohort's others are listed, too. Writes report.html, differences.csv and
    offsets.csv into a new folder.

    Args:
        model: A model file, or TRUNK+HEAD.
        cohort: A cohort folder of patients that the model was not trained on.
        out: The folder to write; it must not exist.
        home: A cohort of the model's centre, to compare with in place of what the model file keeps.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        What differs, with intervals, and which contours are unlike the others.

    Raises:
        RecontourError: The model, a cohort or the output cannot be used.

    Examples:
        >>> import recontour
        >>> found = recontour.compare("south.safetensors", "north-test", "comparison")
        >>> sorted({row.organ for row in found.offsets})
        ['Brainstem', 'Lens_L']
    """
    model, cohort, out = Path(model), Path(cohort), Path(out)
    home = Path(home) if home is not None else None
    refuse_for_comparing(model, cohort, home, out)
    refuse_unplottable()
    loaded = load_model(model)
    opened = Cohort.open(cohort)
    cases = _cases_to_compare(opened, loaded)
    name = printable(name_of(model))
    warnings = _warnings(name, loaded, opened, cases)
    opened_home = Cohort.open(home) if home else None
    home_cases = _cases_to_compare(opened_home, loaded) if opened_home else []
    if opened_home:
        warnings += _warnings_of_home(name, loaded, opened_home, home_cases)
    elif not loaded.provenance.baseline:
        warnings.append(NoBaseline(path=model))
    for warning in warnings:
        log_finding(log, logging.WARNING, warning)
    baseline = _baseline(loaded, home_cases, progress)
    rows, planes = _offsets(Contourer(loaded), cases, name, progress)
    unknown = said_of_unknown(opened.organs, loaded.organs)
    comparison = _compared(
        opened.centre,
        opened_home.centre if opened_home else loaded.provenance.centre,
        baseline or Baseline({}),
        rows,
        cases,
        unknown,
        warnings,
    )

    def overlays(case_id: str, organ: str) -> Iterator[Overlay]:
        return planes[case_id].overlays(opened[case_id], organ)

    total = len(cases)
    progress("comparing", total, total, "report.html")
    with whole_folder(out) as folder:
        write_offsets(folder / "offsets.csv", rows)
        write_differences(folder / "differences.csv", comparison.differences)
        notices = notices_to_repeat(opened, cases, [loaded])
        page = _page(comparison, name, notices)
        write_protocol_page(folder / "report.html", page, overlays)
    return comparison


def _compared(
    centre: str,
    home: str,
    baseline: Baseline,
    rows: Sequence[PatientOffsets],
    cases: Sequence[Case],
    unknown: Sequence[Finding],
    warnings: Sequence[Finding],
) -> ProtocolComparison:
    """Return what follows from the offsets and images of a cohort.

    home: the other centre. unknown: what is said of organs that the model does not contour.
    """
    found = differences(rows, baseline.offsets)
    images = image_differences(_images(cases), baseline.image)
    said = said_of_differences(found, may_be_images=may_move_contours(images))
    statements = (
        *said,
        *said_of_untested(rows, found, baseline.offsets),
        *unknown,
        *said_of_missed(rows),
        *said_of_doubt(said, images),
    )
    unlike = suspects(rows, baseline.offsets)
    return ProtocolComparison(
        centre=centre,
        home=home,
        differences=tuple(found),
        statements=statements,
        images=tuple(images),
        unlike_images=tuple(said_of_images(images)),
        acquired=acquired_of(cases),
        home_acquired=baseline.acquired,
        suspects=tuple(unlike),
        doubts=tuple(said_of_suspects(unlike)),
        offsets=tuple(rows),
        warnings=tuple(warnings),
    )


def _page(comparison: ProtocolComparison, name: str, notices: Sequence[str]) -> PageOf:
    """Return what the page of a comparison shows. name: the model's."""
    return PageOf(
        centre=comparison.centre,
        home=comparison.home,
        model=name,
        differences=comparison.differences,
        statements=comparison.statements,
        images=comparison.images,
        unlike_images=comparison.unlike_images,
        acquired=comparison.acquired,
        home_acquired=comparison.home_acquired,
        suspects=comparison.suspects,
        doubts=comparison.doubts,
        rows=comparison.offsets,
        warnings=comparison.warnings,
        notices=notices,
    )


def _cases_to_compare(cohort: Cohort, model: Model) -> list[Case]:
    """Return the cases with an organ of the model's, contoured by a person.

    Raises:
        OrganError: no case has any.
        CohortError: all that have one are recontour's own contours.
    """
    having = cohort.cases_with(model.organs)
    if not having:
        raise OrganError(
            NoCommonOrgan(
                path=cohort.path,
                present=cohort.organs,
                known=model.organs,
                purpose="score",
            )
        )
    drawn = [case for case in having if not case.is_draft]
    if not drawn:
        raise CohortError(OnlyDrafts(path=cohort.path, drafts=len(having)))
    return drawn


def _warnings(
    name: str,
    model: Model,
    cohort: Cohort,
    cases: Sequence[Case],
) -> list[Finding]:
    """Return what speaks against comparing these cases with the model's contours."""
    models = {name: model}
    warnings: list[Finding] = [
        *cohort_warnings(cohort, cases),
        *draft_warnings(list(cohort)),
        *phantom_warnings(models, cohort, cases),
        *trained_on_warnings(models, cases, cohort.centre),
    ]
    unsure = doubt(cases)
    if unsure:
        warnings.append(unsure)
    return warnings


def _warnings_of_home(
    name: str,
    model: Model,
    home: Cohort,
    cases: Sequence[Case],
) -> list[Finding]:
    """Return what speaks against the cohort that stands for the model's centre."""
    warnings: list[Finding] = [
        *cohort_warnings(home, cases),
        *draft_warnings(list(home)),
        *phantom_warnings({name: model}, home, cases),
    ]
    centre = model.provenance.centre
    if home.centre != centre:
        warnings.append(HomeOfAnotherCentre(path=home.path, label=home.centre, home=centre))
    return warnings


def _baseline(model: Model, home_cases: Sequence[Case], progress: Progress) -> Baseline | None:
    """Return what the model's own centre measures; None if nobody knows.

    home_cases: of its cohort; none if the user gave no cohort.
    """
    if not home_cases:
        return model.provenance.baseline

    def told(done: int, of: int) -> None:
        progress("comparing at home", done, of, "")

    return baseline_of(model, home_cases, told)


def _images(cases: Sequence[Case]) -> Mapping[ImageTrait, Sequence[float]]:
    """Return what the images measure by trait: those of each patient's first CT."""
    first = [patient[0] for patient in by_patient(cases)]
    return values_by_trait(image_traits(case.hu, case.grid) for case in first)


def _offsets(
    contourer: Contourer,
    cases: Sequence[Case],
    name: str,
    progress: Progress,
) -> tuple[list[PatientOffsets], Mapping[str, Planes]]:
    """Return how far each contour lies from the model's, and by case the planes worth a picture."""
    rows: list[PatientOffsets] = []
    planes: dict[str, Planes] = {}
    patients = patient_names(cases)
    for done, case in enumerate(cases):
        progress("comparing", done, len(cases), case.id)
        planes[case.id] = Planes()
        for row, mask in offsets_of_case(contourer, case, patients[case.id]):
            rows.append(row)
            planes[case.id].keep(case, row.organ, name, mask)
    return rows, planes
