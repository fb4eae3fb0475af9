"""What differs between two centres' contours, from a model that contours like one of them.

A model errs in its own way, and a centre's contours differ from it even at home. So what is tested
is a difference of differences: how far the other centre's contours lie from the model's on its own
CTs, less how far the home centre's contours lie from the model's on theirs. Errors that the model
makes at both centres cancel.

Each organ and direction has one test: Student's t on the patients' offsets, with a variance that is
shared with the home centre's as if that were worth up to PRIOR_PATIENTS of the other's patients
(a moderated t: Smyth 2004, doi:10.2202/1544-6115.1027). Six patients say little about their own
variance, and the home centre's is known from many. Patients who scatter more than that count with
their own variance, so that the test errs on the safe side. Holm's rule corrects over all tests. The
mean of the four sides and the volume follow from the directions: they are shown, but not tested.
docs/decisions/062-what-differs.md has the measurements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy import stats

from recontour.evaluation.statistics import CONFIDENCE, holm
from recontour.evaluation.tables import cell_of
from recontour.files import write_text
from recontour.geometry.offsets import DIRECTIONS, MEASURES, Measure, Offsets
from recontour.network.baseline import Spreads
from recontour.network.spread import Spread
from recontour.organs import organ_of
from recontour.texts import csv_text

PRIOR_PATIENTS = 10
LEAST_PATIENTS = 3
LEAST_AT_HOME = 10  # with fewer, nothing is tested: their spread says too little
SIGNIFICANT = 0.05
# A smaller difference is not worth a statement, however certain.
LEAST_MM = 0.5


@dataclass(frozen=True, slots=True)
class PatientOffsets:
    """How far one patient's own contour of an organ lies from the model's.

    patient: a case's id, that of the patient's first CT. case: of this CT.
    """

    patient: str
    case: str
    organ: str
    offsets: Offsets


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much a centre's contours of an organ exceed the home centre's, by one measure.

    mean: of the patients' offsets, less the home centre's mean; low, high: its 95 % interval. In mm
    or, of the volume, cc. p: two-sided. p_holm: corrected over all tests; NaN of what is not
    tested. own, home: the two means. home_patients: behind the home centre's.
    """

    organ: str
    measure: Measure
    patients: int
    mean: float
    low: float
    high: float
    p: float
    p_holm: float
    own: float
    home: float
    home_patients: int

    @property
    def is_tested(self) -> bool:
        """Return whether it counts among the tests.

        Joint measures do not, since they follow from the directions, nor does what few of the home
        centre's patients show.
        """
        return self.measure in DIRECTIONS and self.home_patients >= LEAST_AT_HOME

    @property
    def is_stated(self) -> bool:
        """Return whether it is certain, and large enough to matter."""
        return self.p_holm < SIGNIFICANT and abs(self.mean) >= LEAST_MM


def differences(
    rows: Iterable[PatientOffsets],
    home: Mapping[str, Spreads],
) -> list[Difference]:
    """Compare a centre's offsets with those of the model's home centre.

    A patient with several CTs counts with the mean over them. Measures of fewer than three
    patients, or without a spread at home, are left out.

    home: by organ.
    Returns: organ by organ as they first appear, in the order of the measures.

    >>> at_home = {"SpinalCord": {"right": Spread(mean=0.0, sd=0.5, patients=40)}}
    >>> rows = [PatientOffsets(who, who, "SpinalCord", {"right": 2.0}) for who in "abcdef"]
    >>> (found,) = differences(rows, at_home)
    >>> found.mean, found.patients, found.is_stated
    (2.0, 6, True)
    """
    tested = []
    for organ, by_measure in values_by_organ(rows).items():
        for measure in MEASURES:
            spread = home.get(organ, {}).get(measure)
            values = list(by_measure.get(measure, {}).values())
            if spread and len(values) >= LEAST_PATIENTS:
                tested.append(_tested(organ, measure, values, spread))
    corrected = holm([one.p if one.is_tested else np.nan for one in tested])
    both = zip(tested, corrected, strict=True)
    return [replace(one, p_holm=p_holm) for one, p_holm in both]


ByMeasure = dict[Measure, dict[str, float]]


def values_by_organ(rows: Iterable[PatientOffsets]) -> dict[str, ByMeasure]:
    """Return each patient's offset by organ and measure: the mean over the patient's CTs."""
    gathered: dict[str, dict[Measure, dict[str, list[float]]]] = {}
    for row in rows:
        of_organ = gathered.setdefault(row.organ, {})
        for measure, value in row.offsets.items():
            of_organ.setdefault(measure, {}).setdefault(row.patient, []).append(value)
    found: dict[str, ByMeasure] = {}
    for organ, by_measure in gathered.items():
        means: ByMeasure = {}
        for measure, of_patients in by_measure.items():
            means[measure] = {who: float(np.mean(all_)) for who, all_ in of_patients.items()}
        found[organ] = means
    return found


def _tested(
    organ: str,
    measure: Measure,
    values: Sequence[float],
    home: Spread,
) -> Difference:
    """Test one measure; Holm's correction is still to come."""
    patients = len(values)
    own_mean = float(np.mean(values))
    own_variance = float(np.var(values, ddof=1))
    error, degrees = _error_of(own_variance, patients, home)
    mean = own_mean - home.mean
    p = _two_sided(mean, error, degrees)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees) * error)
    return Difference(
        organ=organ,
        measure=measure,
        patients=patients,
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=p,
        p_holm=p,
        own=own_mean,
        home=home.mean,
        home_patients=home.patients,
    )


def _error_of(own_variance: float, patients: int, home: Spread) -> tuple[float, float]:
    """Return the standard error of the difference of the means, and its degrees of freedom.

    Where the patients scatter more than the shared variance says, their own variance counts. The
    degrees of freedom are Satterthwaite's (1946, doi:10.2307/3002019).
    """
    prior = min(PRIOR_PATIENTS, home.patients - 1)
    degrees = prior + patients - 1
    shared = (prior * home.sd**2 + (patients - 1) * own_variance) / degrees
    if own_variance > shared:
        shared = own_variance
        degrees = patients - 1
    own_part = shared / patients
    home_part = home.sd**2 / home.patients
    error = np.sqrt(own_part + home_part)
    if error == 0:
        return 0.0, float(degrees)
    scatter = own_part**2 / degrees + home_part**2 / (home.patients - 1)
    return float(error), float((own_part + home_part) ** 2 / scatter)


def _two_sided(mean: float, error: float, degrees: float) -> float:
    """Return p of a mean with its standard error; without any spread, 1 for 0 and else 0."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, degrees))


def twin_of(difference: Difference, among: Iterable[Difference]) -> Difference | None:
    """Return the same difference of the organ's twin: its left is compared with the other's right.

    >>> def drawn_wider(organ: str, measure: Measure) -> Difference:
    ...     spread = {organ: {measure: Spread(mean=0.0, sd=0.5, patients=40)}}
    ...     rows = [PatientOffsets(who, who, organ, {measure: 2.0}) for who in "abc"]
    ...     return differences(rows, spread)[0]
    >>> pair = [drawn_wider("Parotid_L", "left"), drawn_wider("Parotid_R", "right")]
    >>> twin_of(pair[0], pair).organ
    'Parotid_R'
    """
    twin = organ_of(difference.organ).twin
    mirrored: Mapping[Measure, Measure] = {"right": "left", "left": "right"}
    measure = mirrored.get(difference.measure, difference.measure)
    for other in among:
        if other.organ == twin and other.measure == measure:
            return other
    return None


OFFSETS_COLUMNS = ("case", "patient", "organ", *MEASURES)
DIFFERENCES_COLUMNS = tuple(field.name for field in fields(Difference))
DIGITS = 6  # in the tables

Row = list[str | int | float]


def write_offsets(path: Path, rows: Iterable[PatientOffsets]) -> None:
    """Write offsets.csv, one row per case and organ; in mm, the volume in cc.

    Raises: OutputError: the file exists, or cannot be written.
    """
    table: list[Row] = [list(OFFSETS_COLUMNS)]
    for row in rows:
        line: Row = [row.case, row.patient, row.organ]
        for measure in MEASURES:
            known = measure in row.offsets
            line.append(_rounded(row.offsets[measure]) if known else "")
        table.append(line)
    write_text(path, csv_text(table))


def write_differences(path: Path, found: Iterable[Difference]) -> None:
    """Write differences.csv, one row per organ and measure; in mm, the volume in cc.

    Raises: OutputError: the file exists, or cannot be written.
    """
    table: list[Row] = [list(DIFFERENCES_COLUMNS)]
    for one in found:
        line: Row = []
        for name in DIFFERENCES_COLUMNS:
            value = getattr(one, name)
            line.append(cell_of(_rounded(value)) if isinstance(value, float) else value)
        table.append(line)
    write_text(path, csv_text(table))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
