"""Which of a centre's own contours are not drawn like its others.

Each patient's contour is compared with what one model draws on the same CT, which takes the anatomy
out as far as the model knows it. A contour whose offsets lie far from the other patients' is
suspect. Beside each direction, the mean of the four sides counts: a contour that is wider is often
so all around, and their mean is less noisy than one side.

z is robust: the distance from the median of the other patients, over their spread (1.4826 times the
median absolute deviation). A spread counts as at least LEAST_SPREAD_MM, and at least as the
standard deviation at the model's home centre: a few patients that happen to agree make no outlier
of the next one. The mean of four sides is tight, so a lower z tells there.
docs/decisions/062-what-differs.md has the measurements.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from recontour.evaluation.differences import PatientOffsets, values_by_organ
from recontour.geometry.offsets import DIRECTIONS, Measure
from recontour.network.baseline import Spreads

FEWEST_OTHERS = 5
LARGEST_Z: Mapping[Measure, float] = {**dict.fromkeys(DIRECTIONS, 4.0), "around": 2.0}
LEAST_MM = 1.0
LEAST_SPREAD_MM = 0.6
MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A contour that is drawn unlike the others, by the measure that shows it most.

    excess_mm: how much further out it lies than the median of the others. others: how many patients
    it is compared with.
    """

    patient: str
    organ: str
    measure: Measure
    excess_mm: float
    z: float
    others: int


def suspects(
    rows: Iterable[PatientOffsets],
    home: Mapping[str, Spreads] = MappingProxyType({}),
) -> list[Suspect]:
    """Return the contours that are drawn unlike the other patients', the most unlike first.

    Organs of fewer than six patients are not looked at. home: the spreads at the model's home
    centre, by organ.

    >>> spread = [0.1, -0.1, 0.0, 0.2, -0.2, 0.1, 5.0]
    >>> rows = []
    >>> for who, right in zip("abcdefg", spread):
    ...     rows.append(PatientOffsets(who, who, "SpinalCord", {"right": right}))
    >>> [(found.patient, found.excess_mm) for found in suspects(rows)]
    [('g', 4.95)]
    """
    found: dict[tuple[str, str], Suspect] = {}
    for organ, by_measure in values_by_organ(rows).items():
        spreads = home.get(organ, {})
        for measure, values in by_measure.items():
            if measure not in LARGEST_Z:
                continue
            at_home_mm = spreads[measure].sd if measure in spreads else 0.0
            least_mm = max(at_home_mm, LEAST_SPREAD_MM)
            for one in _unlike(organ, measure, values, least_mm):
                before = found.get((one.patient, organ))
                if before is None or abs(one.z) > abs(before.z):
                    found[one.patient, organ] = one
    return sorted(found.values(), key=lambda one: -abs(one.z))


def _unlike(
    organ: str,
    measure: Measure,
    values: Mapping[str, float],
    least_spread_mm: float,
) -> list[Suspect]:
    """Return the contours that are unlike the others by one measure. values: by patient."""
    found = []
    for patient, value in values.items():
        others = np.array([other for who, other in values.items() if who != patient])
        if len(others) < FEWEST_OTHERS:
            continue
        middle = float(np.median(others))
        spread_mm = MAD_TO_SD * float(np.median(np.abs(others - middle)))
        excess_mm = value - middle
        z = excess_mm / max(spread_mm, least_spread_mm)
        if abs(z) >= LARGEST_Z[measure] and abs(excess_mm) >= LEAST_MM:
            suspect = Suspect(
                patient=patient,
                organ=organ,
                measure=measure,
                excess_mm=excess_mm,
                z=z,
                others=len(others),
            )
            found.append(suspect)
    return found
