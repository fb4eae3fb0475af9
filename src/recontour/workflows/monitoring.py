"""Watch whether a model's contours still are what is approved."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cohort import Case, Cohort, patient_names
from recontour.cohort.doubts import cohort_warnings, draft_warnings
from recontour.cohort.history import imports_left, read_history
from recontour.cohort.masks import Note
from recontour.errors import SettingsError
from recontour.evaluation.control_chart import (
    FEWEST,
    USUAL_BASELINE,
    AllUsual,
    Chart,
    ChartMeasure,
    Patient,
    are_of,
    charts_of,
    far_patients,
    of_persons,
    statements,
    write_points,
)
from recontour.evaluation.findings import Drifted, NotDrifted
from recontour.evaluation.limits import Limits, read_limits
from recontour.evaluation.metrics import score
from recontour.evaluation.monitor_page import MonitorHeader, write_monitor_page
from recontour.evaluation.plotting import refuse_unplottable
from recontour.exchange.approvals import (
    APPROVED,
    UNREADABLE,
    Approval,
    match_approvals,
    read_both,
)
from recontour.exchange.findings import (
    ApprovalsMatched,
    NotMonitored,
    SeveralNotMonitored,
    UnusedNames,
    WhyNotMonitored,
)
from recontour.files import whole_folder
from recontour.findings import Finding, log_finding
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.geometry.offsets import DIRECTIONS, Measure, offsets
from recontour.organs import organ_of, read_user_map
from recontour.progress import Progress, quiet
from recontour.workflows.findings import (
    CtsOfOnePatient,
    LimitsOfAnotherModel,
    LimitsOfThesePatients,
    LimitsWithoutTheseOrgans,
    OrderOfImports,
    OrgansNotApproved,
    OrgansNotDrafted,
    PatientsLeftOut,
    ShortBaseline,
    TooFewToMonitor,
    UnchangedDrafts,
    UncheckedLimits,
)
from recontour.workflows.paths import is_model_path, refuse_for_monitoring

if TYPE_CHECKING:
    from recontour.network import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Monitored:
    """What `monitor` found.

    Attributes:
        cases: The patients, in the order of time, each named by a hash.
        baseline: How many of them, from the first, say what is usual; 0 if a file of limits does.
        charts: One per organ and measure, those of the mean over organs first.
        statements: One per organ: whether it has drifted.
        unchanged: How many approved structure sets are the drafts, to the voxel; None for a model.
        findings: What was left out, and what to know of the rest.

    Examples:
        >>> Monitored((), 0, (), (), None, ()).has_drifted
        False
    """

    cases: tuple[str, ...]
    baseline: int
    charts: tuple[Chart, ...]
    statements: tuple[Drifted | NotDrifted, ...]
    unchanged: int | None
    findings: tuple[Finding, ...]

    @property
    def has_drifted(self) -> bool:
        """Return whether any organ has."""
        return any(isinstance(one, Drifted) for one in self.statements)

    @property
    def watched(self) -> int:
        """Return how many patients came after the baseline."""
        return len(self.cases) - self.baseline


@dataclass(frozen=True, slots=True)
class _Watch:
    """Patients in the order of time, before they are charted.

    said_before: what the model and the cohorts say of themselves.
    """

    patients: Sequence[Patient]
    unchanged: int | None
    findings: Sequence[Finding]
    said_before: tuple[str, ...] = ()


def monitor(
    drafts: Path | str,
    approved: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    limits: Path | str | None = None,
    baseline: int = USUAL_BASELINE,
    names: Path | str | None = None,
    new_organs: Sequence[str] = (),
    progress: Progress = quiet,
) -> Monitored:
    """Watch whether drafts still are what is approved, with control charts.

    Writes points.csv and report.html into a new folder. Each draft is compared with the contours
    that were approved later, in the order of approval: DSC, surface DSC, and how much further out
    the draft lies, by direction. Or a model is replayed: its contours of the cases of
    cohorts are the drafts, and the cohorts' own contours what was approved.

    Args:
        drafts: A folder of structure sets that recontour wrote, or a model file.
        approved: A folder of structure sets that were approved later; for a model, cohorts, the
            oldest first. The CTs may be in either of the two folders.
        out: The folder to write; it must not exist.
        limits: The limits.json of `accept`: what is usual. None: the first patients say it.
        baseline: How many of the first patients, at least 5; not used with limits.
        names: A TOML file of the ROI names of both folders (docs/reference/names.md).
        new_organs: Names to accept on the right side of that file although TG-263 does not list
            them.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The charts, and a statement per organ.

    Raises:
        RecontourError: A folder, model, cohort, file or the output cannot be used, or there are too
            few patients.

    Examples:
        >>> import recontour
        >>> try:
        ...     recontour.monitor("south.safetensors", "north-test", "monitored")
        ... except recontour.SettingsError as error:
        ...     error.finding.patients
        1
    """
    drafts, out = Path(drafts), Path(out)
    if isinstance(approved, str | Path):
        approved = (approved,)
    places = list(map(Path, approved))
    refuse_for_monitoring(drafts, places, out)
    refuse_unplottable()
    if limits is None and baseline < FEWEST:
        raise SettingsError(ShortBaseline(baseline=baseline, fewest=FEWEST))
    given = read_limits(Path(limits)) if limits is not None else None
    if is_model_path(drafts):
        watch = _replayed(drafts, places, given, progress)
    else:
        user_map = read_user_map(Path(names) if names else None, new_organs)
        watch = _approved(drafts, places[0], user_map, given, progress)
        watch = replace(watch, findings=_names_once(watch.findings))
    if given and are_of(given.usual, watch.patients):
        watch = replace(watch, findings=(*watch.findings, LimitsOfThesePatients()))
    _tell(watch.findings)  # first, since they say why too few patients are left to chart
    found = _charted(watch, baseline, given.usual if given else None)
    _tell(found.findings[len(watch.findings) :])
    with whole_folder(out) as folder:
        write_points(folder / "points.csv", found.charts, found.cases)
        header = MonitorHeader(
            baseline=found.baseline,
            cases=found.cases,
            unchanged=found.unchanged,
            is_replay=found.unchanged is None,
            notices=_grouped(found.findings),
            said_before=watch.said_before,
        )
        write_monitor_page(folder / "report.html", found.charts, found.statements, header)
    return found


def _names_once(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with one for the unknown ROI names of all approved structure sets."""
    names: set[str] = set()
    once: list[Finding] = []
    for one in findings:
        if isinstance(one, UnusedNames):
            names.update(one.roi_names)
        else:
            once.append(one)
    if names:
        once.append(UnusedNames(model=APPROVED, roi_names=tuple(sorted(names)), count=len(names)))
    return once


def _tell(findings: Iterable[Finding]) -> None:
    for finding in findings:
        is_news = isinstance(finding, ApprovalsMatched | UnchangedDrafts | OrderOfImports)
        log_finding(log, logging.INFO if is_news else logging.WARNING, finding)


def _grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with one for all structure sets that are left out for one reason.

    They would read alike, since a page names no file.
    """
    left_out: dict[WhyNotMonitored, list[Finding]] = {}
    others: list[Finding] = []
    for one in findings:
        if isinstance(one, NotMonitored):
            left_out.setdefault(one.why, []).append(one)
        else:
            others.append(one)
    grouped: list[Finding] = []
    for why, alike in left_out.items():
        count = len(alike)
        grouped += alike if count == 1 else [SeveralNotMonitored(why=why, count=count)]
    return [*others, *grouped]


def _charted(
    watch: _Watch,
    baseline: int,
    usual: AllUsual | None,
) -> Monitored:
    """Chart patients.

    Raises: SettingsError: there are no more than the baseline, or nothing says what is usual.
    """
    first = baseline if usual is None else 0
    if len(watch.patients) <= first:
        raise SettingsError(TooFewToMonitor(patients=len(watch.patients), baseline=first))
    charts, lacking = charts_of(watch.patients, baseline, usual)
    if not charts and usual is not None:
        raise SettingsError(LimitsWithoutTheseOrgans(fewest=FEWEST))
    if not charts:
        raise SettingsError(TooFewToMonitor(patients=len(watch.patients), baseline=first))
    cases = tuple(patient.case for patient in watch.patients)
    return Monitored(
        cases=cases,
        baseline=first,
        charts=tuple(charts),
        statements=tuple(statements(charts, cases)),
        unchanged=watch.unchanged,
        findings=(*watch.findings, *lacking, *far_patients(charts, cases)),
    )


def measured(
    approved: Mask,
    drafted: Mask,
    organ: str,
    grid: Grid,
    unknown_ends: Collection[Measure] = (),
    tolerance_mm: float | None = None,
) -> dict[ChartMeasure, float]:
    """Return the measures of one organ that charts show.

    approved, drafted: bool, (slice, row, column). tolerance_mm: of the surface DSC; None: the
    organ's own.

    >>> import numpy as np
    >>> grid = Grid((3, 5, 7), (1.0, 1.0), (0.0, 2.0, 4.0), (0.0, 0.0))
    >>> drafted, approved = np.zeros((2, *grid.shape), dtype=bool)
    >>> drafted[1, 2, 2:5] = True
    >>> approved[1, 2, 1:5] = True
    >>> found = measured(approved, drafted, "Lens_L", grid)
    >>> round(found["dsc"], 3), found["right"]
    (0.857, -0.5)
    """
    tolerance_mm = tolerance_mm or organ_of(organ).tolerance_mm
    scores = score(approved, drafted, grid, tolerance_mm)
    found: dict[ChartMeasure, float] = {"dsc": scores.dsc, "surface_dsc": scores.surface_dsc}
    between = offsets(drafted, approved, grid, unknown_ends)
    for direction in DIRECTIONS:
        if direction in between:
            found[direction] = between[direction]
    return found


# Drafts and approved contours


@dataclass(frozen=True, slots=True)
class _Compared:
    """A draft beside what was approved of it. person: whose CT it is. drafted, approved: organs."""

    patient: Patient
    person: str
    drafted: frozenset[str]
    approved: frozenset[str]
    is_unchanged: bool


def _approved(
    drafts: Path,
    approved: Path,
    user_map: Mapping[str, str],
    limits: Limits | None,
    progress: Progress,
) -> _Watch:
    """Measure what was approved later than drafts, in the order of time."""
    matched = match_approvals(drafts, approved)
    findings = [*matched.notes, *matched.left_out]
    if limits:
        findings.append(UncheckedLimits())
    tolerances_mm = limits.tolerances_mm if limits else {}
    compared: list[_Compared] = []
    total = len(matched.pairs)
    for done, pair in enumerate(matched.pairs):
        progress("comparing", done, total, pair.case)
        try:
            compared.append(_compared(pair, user_map, tolerances_mm, findings.append))
        except UNREADABLE as error:
            findings.append(replace(error.finding, case=pair.case))
    progress("comparing", total, total, "")
    return _watched(compared, findings)


def _compared(
    pair: Approval,
    user_map: Mapping[str, str],
    tolerances_mm: Mapping[str, float],
    note: Note,
) -> _Compared:
    """Read a draft and what was approved of it, and measure the organs that both have.

    Raises: one of `UNREADABLE`: a file cannot be used.
    """
    odd: list[Finding] = []
    both = read_both(pair, user_map, odd.append)
    for one in odd:
        note(replace(one, case=pair.case))
    of_patient = {}
    for organ, mask in both.approved.items():
        if organ in both.drafted:
            draft = both.drafted[organ]
            tolerance_mm = tolerances_mm.get(organ)
            of_patient[organ] = measured(mask, draft, organ, both.grid, tolerance_mm=tolerance_mm)
    return _Compared(
        patient=Patient(pair.case, of_patient),
        person=pair.patient_id or pair.case,
        drafted=frozenset(both.drafted),
        approved=frozenset(both.approved),
        is_unchanged=both.is_unchanged,
    )


def _watched(compared: Sequence[_Compared], findings: list[Finding]) -> _Watch:
    """Return the patients to watch. An organ that other drafts have is missed by one without it."""
    drafted = frozenset[str]().union(*(one.drafted for one in compared))
    not_approved: Counter[str] = Counter()
    not_drafted: Counter[str] = Counter()
    patients: list[Patient] = []
    for one in compared:
        missed = drafted & one.approved - one.drafted
        not_approved.update(one.drafted - one.approved)
        not_drafted.update(missed)
        patients.append(_with_missed(one.patient, missed))
    for kind, counted in ((OrgansNotApproved, not_approved), (OrgansNotDrafted, not_drafted)):
        if counted:
            organs, counts = zip(*sorted(counted.items()), strict=True)
            findings.append(kind(organs=organs, counts=counts))
    unchanged = sum(one.is_unchanged for one in compared)
    findings.append(UnchangedDrafts(unchanged=unchanged, of=len(patients)))
    person_of = {one.patient.case: one.person for one in compared}
    persons = _persons(patients, person_of, findings.append)
    return _Watch(persons, unchanged, findings)


def _persons(
    cts: Sequence[Patient],
    person_of: Mapping[str, str],
    note: Note,
) -> list[Patient]:
    """Return one patient per person, and note if some have several CTs."""
    persons = of_persons(cts, person_of)
    if len(persons) < len(cts):
        note(CtsOfOnePatient(cts=len(cts), patients=len(persons)))
    return persons


def _with_missed(patient: Patient, missed: Iterable[str]) -> Patient:
    """Return a patient with a score of 0 for the organs that the draft lacks, and others have."""
    of_patient = dict(patient.measured)
    for organ in sorted(missed):
        of_patient[organ] = {"dsc": 0.0, "surface_dsc": 0.0}
    return Patient(patient.case, of_patient)


# A model and cohorts


def _replayed(
    path: Path,
    places: Sequence[Path],
    limits: Limits | None,
    progress: Progress,
) -> _Watch:
    """Measure what a model would have drafted of the cases of cohorts, the oldest first."""
    from recontour.assess.caveats import notices_to_repeat, phantom_warnings, trained_on
    from recontour.network import load_model, name_of
    from recontour.network.model import sha256_of

    model = load_model(path)
    name = name_of(path)
    findings: list[Finding] = []
    if limits and limits.model_sha256 != sha256_of(model.network):
        findings.append(LimitsOfAnotherModel())
    cases: list[Case] = []
    said_before: list[str] = []
    for place in places:
        cohort = Cohort.open(place)
        own = _in_order(cohort)
        known = trained_on(model, own)
        patients = patient_names(own)
        unseen = [case for case in own if patients[case.id] not in known]
        if known:
            findings.append(PatientsLeftOut(cases=tuple(known), model=name))
        findings += cohort_warnings(cohort, unseen)
        findings += draft_warnings(unseen)
        findings += phantom_warnings({name: model}, cohort, unseen)
        cases += unseen
        said_before += notices_to_repeat(cohort, unseen, [model])
    findings.append(OrderOfImports(cohorts=len(places)))
    tolerances_mm = limits.tolerances_mm if limits else {}
    measured_again = list(drawn_again(model, cases, tolerances_mm, progress))
    persons = _persons(measured_again, patient_names(cases), findings.append)
    once = tuple(dict.fromkeys(findings))
    return _Watch(persons, None, once, tuple(dict.fromkeys(said_before)))


def _in_order(cohort: Cohort) -> list[Case]:
    """Return the cases of a cohort by the import that added them, and then by name."""
    ids = cohort.case_ids
    place: dict[str, int] = {}
    for index, done in enumerate(imports_left(read_history(cohort.path), ids), start=1):
        for case_id in done.added:
            place.setdefault(case_id, index)
    return sorted(cohort, key=lambda case: (place.get(case.id, 0), case.id))


def drawn_again(
    model: "Model",
    cases: Sequence[Case],
    tolerances_mm: Mapping[str, float] | None = None,
    progress: Progress = quiet,
) -> Iterator[Patient]:
    """Yield what was measured on each case. tolerances_mm: by organ, instead of its own."""
    from recontour.assess.case_offsets import unknown_ends
    from recontour.assess.scoring import contour_case
    from recontour.contouring.contourer import Contourer

    contourer = Contourer(model)
    for done, case in enumerate(cases):
        progress("contouring", done, len(cases), case.id)
        of_case = {}
        for organ, mask in contour_case(contourer, case):
            unknown = unknown_ends(case, organ)
            known = case.where_known(organ, mask)
            tolerance_mm = (tolerances_mm or {}).get(organ)
            mask_of_case = case.mask(organ)
            of_case[organ] = measured(mask_of_case, known, organ, case.grid, unknown, tolerance_mm)
        yield Patient(case.id, of_case)
    progress("contouring", len(cases), len(cases), "")
