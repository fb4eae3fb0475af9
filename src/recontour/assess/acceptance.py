"""What a physicist signs: whether a candidate may replace its parent, and what that rests on."""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from recontour.assess.looks import Look
from recontour.assess.other_sides import Exchanged
from recontour.cohort import Case, by_patient
from recontour.evaluation import CaseScore, per_patient
from recontour.evaluation.control_chart import SCORES, ScoreMeasure
from recontour.evaluation.differences import PatientOffsets, values_by_organ
from recontour.evaluation.gate import (
    Decision,
    Margins,
    OrganGate,
    Reason,
    counted,
)
from recontour.evaluation.intervals import half_width
from recontour.evaluation.tables import cell_of
from recontour.files import write_text
from recontour.findings import Finding, plain_scalar, stored_words
from recontour.geometry.offsets import MEASURES as OFFSETS
from recontour.geometry.offsets import Measure
from recontour.network import Model
from recontour.network.model import sha256_of
from recontour.network.spread import Spread, spread_of
from recontour.organs import organ_of
from recontour.texts import csv_text

What = Literal["missed", "on the wrong side", "outside the trained range"]

DECISION_COLUMNS = (
    "organ",
    "decision",
    "reason",
    "patients",
    "measure",
    "margin",
    "parent",
    "candidate",
    "difference",
    "sd",
    "low",
    "high",
    "p",
    "p_holm",
    "power",
    "needed",
    "missed_parent",
    "missed_candidate",
)
OFFSET_COLUMNS = ("case", "organ", "model", *OFFSETS)


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """Which model was judged. sha256: of its weights, as its card shows it."""

    name: str
    sha256: str
    lineage: str
    preset: str
    created: str

    @classmethod
    def of(cls, name: str, model: Model) -> "JudgedModel":
        """Describe a model. name: as reports show it."""
        provenance = model.provenance
        return cls(
            name=name,
            sha256=sha256_of(model.network),
            lineage=provenance.lineage,
            preset=provenance.preset,
            created=provenance.created,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """The lowest and the highest of a number over the CTs."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Images:
    """Which images the models were tested on; elsewhere nothing was shown.

    pixel_mm: distance of rows and of columns. slice_mm: distance between slices. tissue_hu: mean of
    the slices' mean tissue. scanners: makers and models as far as they are known.
    """

    cts: int
    patients: int
    pixel_mm: Span
    slice_mm: Span
    slices: Span
    tissue_hu: Span
    scanners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeanOffset:
    """How much further out a model's contours lie than the reference, over patients.

    mean, sd: in mm, or cc for the volume. low, high: 95 % t interval of the mean; NaN for one
    patient.
    """

    mean: float
    sd: float
    low: float
    high: float
    patients: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A contour that no person would call a small mistake. details: in words; may be empty."""

    case: str
    organ: str
    model: str
    what: What
    details: str = ""


# By organ, model and direction.
MeanOffsets = Mapping[tuple[str, str, Measure], MeanOffset]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What `accept` found.

    Attributes:
        centre: Whose contours are the reference.
        date: The day it was made.
        parent: The model in use.
        candidate: The model that may replace it.
        margins: By how much the candidate may be worse, at most.
        organs: Each organ of the candidate, with its decision.
        only_parent: Organs that only the parent contours.
        scores: Every score, as in scores.csv.
        looks: A closer look at every contour.
        failures: Missed organs, wrong sides and contours outside the trained range.
        images: The images it was tested on.
        not_counted: By case, why it was left out.
        warnings: What a reader must know first.
        notices: What the cohort and the models say of themselves, such as that all is synthetic.
        per_organ: The model that was written organ by organ; None without one.

    Examples:
        >>> import recontour
        >>> found = recontour.accept(
        ...     "north-test", "north.safetensors", "acceptance", against="south.safetensors")
        >>> found.is_promoted, found.organs[0].decision.value
        (False, 'undecided')
    """

    centre: str
    date: datetime.date
    parent: JudgedModel
    candidate: JudgedModel
    margins: Margins
    organs: tuple[OrganGate, ...]
    only_parent: tuple[str, ...]
    scores: tuple[CaseScore, ...]
    looks: tuple[Look, ...]
    failures: tuple[Failure, ...]
    images: Images
    not_counted: Mapping[str, str]
    warnings: tuple[Finding, ...]
    notices: tuple[str, ...] = ()
    per_organ: JudgedModel | None = None

    @property
    def is_promoted(self) -> bool:
        """Return whether every organ of either model is promoted."""
        if self.only_parent:
            return False
        return all(one.decision is Decision.PROMOTE for one in self.organs)

    @property
    def by_decision(self) -> Mapping[Decision, Sequence[str]]:
        """Return the organs by decision."""
        return counted(self.organs)

    @property
    def from_parent(self) -> tuple[str, ...]:
        """Return the organs that the parent goes on to contour."""
        return parents_organs(self.organs)

    @property
    def watched(self) -> JudgedModel:
        """Return the model that limits.json is of: the parent if nothing is promoted.

        Otherwise the candidate, or the model that was written organ by organ.
        """
        if self.per_organ:
            return self.per_organ
        return self.candidate if self.by_decision[Decision.PROMOTE] else self.parent

    @property
    def offsets(self) -> MeanOffsets:
        """Return the offsets over patients, by organ, model and direction."""
        return mean_offsets(self.looks, self.scores)


def parents_organs(organs: Iterable[OrganGate]) -> tuple[str, ...]:
    """Return the organs that are not promoted, of those that the parent has."""
    kept = []
    for one in organs:
        if one.decision is not Decision.PROMOTE and one.reason is not Reason.NO_PARENT:
            kept.append(one.organ)
    return tuple(kept)


def tested_images(cases: Sequence[Case]) -> Images:
    """Return which images some cases are; one or more."""
    pixels_mm: list[float] = []
    steps_mm: list[float] = []
    for case in cases:
        pixels_mm += case.grid.spacing_mm
        steps_mm += [above - below for below, above in pairwise(case.grid.slice_z_mm)]
    scanners = {case.origin.scanner_name for case in cases if case.origin.scanner_name}
    return Images(
        cts=len(cases),
        patients=len(by_patient(cases)),
        pixel_mm=_span(pixels_mm),
        slice_mm=_span(steps_mm),
        slices=_span([case.grid.shape[0] for case in cases]),
        tissue_hu=_span([float(np.mean(case.profile)) for case in cases]),
        scanners=tuple(sorted(scanners)),
    )


def _span(values: Sequence[float]) -> Span:
    """Return the ends of some numbers; NaN if there are none."""
    return Span(min(values, default=np.nan), max(values, default=np.nan))


def failures_in(
    scores: Iterable[CaseScore],
    looks: Iterable[Look],
    exchanged: Mapping[str, Sequence[Exchanged]],
) -> tuple[Failure, ...]:
    """Return every failure, case by case. exchanged: by case."""
    found: list[Failure] = []
    for row in scores:
        if row.is_missed:
            found.append(Failure(row.case, row.organ, row.model, "missed"))
    for look in looks:
        if look.unlike:
            what: What = "outside the trained range"
            failure = Failure(look.case, look.organ, look.model, what, look.unlike.details())
            found.append(failure)
    for case, pairs in exchanged.items():
        for one in pairs:
            twin = organ_of(one.left).twin or one.left
            details = f"exchanged with {twin}"
            found.append(Failure(case, one.left, one.model, "on the wrong side", details))
    return tuple(sorted(found, key=lambda one: (one.case, one.organ, one.model)))


def mean_offsets(looks: Iterable[Look], scores: Iterable[CaseScore]) -> MeanOffsets:
    """Return the mean offsets over patients; a patient with several CTs counts once."""
    patient_of = {row.case: row.who for row in scores}
    by_model: dict[str, list[PatientOffsets]] = {}
    for look in looks:
        row = PatientOffsets(patient_of[look.case], look.case, look.organ, look.offsets)
        by_model.setdefault(look.model, []).append(row)
    found: dict[tuple[str, str, Measure], MeanOffset] = {}
    for model, rows in by_model.items():
        for organ, by_measure in values_by_organ(rows).items():
            for measure, of_patients in by_measure.items():
                found[organ, model, measure] = _mean_offset(list(of_patients.values()))
    return found


def _mean_offset(values: Sequence[float]) -> MeanOffset:
    n = len(values)
    mean = float(np.mean(values))
    sd = float(np.std(values, ddof=1)) if n > 1 else np.nan
    half = half_width(sd, n)
    return MeanOffset(mean, sd, mean - half, mean + half, n)


def write_decision_csv(path: Path, found: Acceptance) -> None:
    """Write decision.csv, one row per organ and measure.

    Raises: OutputError: the file exists, or cannot be written.
    """
    rows: list[Sequence[str | int | float]] = [DECISION_COLUMNS]
    for one in found.organs:
        before = [one.organ, one.decision.value, one.reason.value, one.patients]
        for measure in SCORES:
            rows.append([*before, measure, *_numbers(one, measure)])
    write_text(path, csv_text(rows))


def _numbers(one: OrganGate, measure: ScoreMeasure) -> list[str | int | float]:
    """Return the cells of a measure; empty ones if nothing was tested."""
    if one.shifts is None:
        return [""] * (len(DECISION_COLUMNS) - 5)
    shift = one.shifts[measure]
    needed = one.needed.likely if one.needed else None
    numbers = [
        shift.margin,
        shift.parent,
        shift.candidate,
        shift.mean,
        shift.sd,
        shift.low,
        shift.high,
        shift.p,
        one.p_holm,
        one.power,
    ]
    last = ["" if needed is None else needed, one.missed_parent, one.missed_candidate]
    return [*map(cell_of, numbers), *last]


def write_model_offsets(path: Path, looks: Iterable[Look]) -> None:
    """Write model_offsets.csv: per case, organ and model, mm by direction and cc of volume.

    They are the model's contours against the case's; offsets.csv of `compare` is the reverse.
    """
    rows: list[Sequence[str | int | float]] = [OFFSET_COLUMNS]
    for look in looks:
        values = [cell_of(look.offsets.get(direction, np.nan)) for direction in OFFSETS]
        rows.append([look.case, look.organ, look.model, *values])
    write_text(path, csv_text(rows))


def write_decision_json(path: Path, found: Acceptance) -> None:
    """Write decision.json: all that decision.csv has, and what was judged."""
    write_text(path, f"{json.dumps(decision_facts(found), indent=1, allow_nan=False)}\n")


def decision_facts(found: Acceptance) -> dict[str, object]:
    """Return the decision as JSON can hold it."""
    facts = {
        "recontour": metadata.version("recontour"),
        "centre": found.centre,
        "date": found.date.isoformat(),
        "is_promoted": found.is_promoted,
        "parent": found.parent,
        "candidate": found.candidate,
        "per_organ": found.per_organ,
        "margins": found.margins,
        "organs": found.organs,
        "from_parent": found.from_parent,
        "only_parent": found.only_parent,
        "failures": found.failures,
        "images": found.images,
        "not_counted": found.not_counted,
        "warnings": [stored_words(one) for one in found.warnings],
        "notices": found.notices,
    }
    plain = _plain(facts)
    assert isinstance(plain, dict)
    return plain


def _plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    slots: Sequence[str] = getattr(type(value), "__dataclass_fields__", ())
    if slots:
        return {name: _plain(getattr(value, name)) for name in slots}
    if isinstance(value, Mapping):
        return {str(key): _plain(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return plain_scalar(value)


def write_limits(path: Path, found: Acceptance) -> None:
    """Write limits.json: mean and SD over these patients of what monitoring watches.

    They are those of `found.watched`, and are for monitoring it, if it is put to use. With
    `per_organ`, an organ taken from the parent has the parent's.
    """
    write_text(path, f"{json.dumps(limits(found), indent=1, allow_nan=False)}\n")


def limits(found: Acceptance) -> dict[str, object]:
    """Return the limits by organ and measure, each with mean, SD and number of patients.

    tolerances_mm: those of surface DSC, since its limits hold for no other.
    """
    rows = per_patient(found.scores)
    offsets = found.offsets
    organs = {}
    for organ, model in _drawn_by(found).items():
        mine = [row for row in rows if (row.organ, row.model) == (organ, model)]
        measures: dict[str, object] = {}
        for measure in SCORES:
            values = [getattr(row, measure) for row in mine]
            spread = spread_of(value for value in values if np.isfinite(value))
            if spread:
                measures[measure] = asdict(spread)
        for direction in OFFSETS:
            of_direction = offsets.get((organ, model, direction))
            if of_direction and of_direction.patients > 1:
                spread = Spread(of_direction.mean, of_direction.sd, of_direction.patients)
                measures[direction] = asdict(spread)
        organs[organ] = measures
    return {
        "model_sha256": found.watched.sha256,
        "tolerances_mm": {row.organ: row.tolerance_mm for row in rows if row.organ in organs},
        "organs": organs,
    }


def _drawn_by(found: Acceptance) -> dict[str, str]:
    """Return by organ which model draws it, if the one of the limits is put to use."""
    if found.watched == found.parent:
        parents = [row.organ for row in found.scores if row.model == found.parent.name]
        return dict.fromkeys(parents, found.parent.name)
    kept = found.from_parent if found.per_organ else ()
    models = {}
    for one in found.organs:
        models[one.organ] = found.parent.name if one.organ in kept else found.candidate.name
    return models


Worst = tuple[str, str]  # case and organ


def worst_cases(found: Acceptance) -> list[Worst]:
    """Return by organ the case on which the candidate is worst, and the one where it loses most.

    Organs come in the order of the decisions; a case that is both comes once.
    """
    dsc: dict[tuple[str, str, str], float] = {}
    for row in found.scores:
        if np.isfinite(row.dsc):
            dsc[row.organ, row.model, row.case] = row.dsc
    chosen: list[Worst] = []
    for one in found.organs:
        mine = _of(dsc, one.organ, found.candidate.name)
        parents = _of(dsc, one.organ, found.parent.name)
        lost = {case: value - parents[case] for case, value in mine.items() if case in parents}
        for ranked in (mine, lost):
            if ranked:
                worst = (min(ranked, key=lambda case: ranked[case]), one.organ)
                chosen += [worst] if worst not in chosen else []
    return chosen


def _of(
    dsc: Mapping[tuple[str, str, str], float],
    organ: str,
    model: str,
) -> dict[str, float]:
    """Return a model's DSC of an organ by case."""
    return {key[2]: value for key, value in dsc.items() if key[:2] == (organ, model)}
