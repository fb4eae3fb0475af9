"""Folds for a cross-validation: every patient is tested once, by a model that never saw them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from recontour.cohort.case import Case
from recontour.cohort.findings import TooFewPatientsForFolds
from recontour.cohort.patients import by_patient
from recontour.errors import CohortError

Patient = Sequence[Case]


def folds_of(
    cases: Iterable[Case],
    count: int,
    *,
    seed: int = 0,
    cohort: Path | None = None,
) -> list[list[Case]]:
    """Deal a cohort's patients into folds of nearly equal size.

    All cases of one patient are in one fold. Patients with the rarest organs are dealt first, each
    into one of the smallest folds, namely that which has the fewest of the patient's organs: so
    each organ is spread over the folds, as in iterative stratification (Sechidis et al. 2011,
    doi:10.1007/978-3-642-23808-6_10).

    count: how many folds, at least 2. seed: of the order among patients with equal organs. cohort:
        its folder, for the error.
    Returns: the cases of each fold; the numbers of patients differ by 1 at most.
    Raises: CohortError: there are fewer patients than folds.

    >>> from pathlib import Path
    >>> from recontour.cohort import Cohort
    >>> [len(fold) for fold in folds_of(Cohort.open(Path("south")), 2)]
    [1, 1]
    """
    patients: Sequence[Patient] = by_patient(cases)
    if len(patients) < count:
        raise CohortError(
            TooFewPatientsForFolds(
                path=cohort,
                patients=len(patients),
                folds=count,
            )
        )
    having: Counter[str] = Counter()
    for patient in patients:
        having.update(_organs(patient))
    folds: list[list[Case]] = [[] for _ in range(count)]
    sizes = [0] * count
    inside: list[Counter[str]] = [Counter() for _ in range(count)]
    for patient in _rarest_first(patients, having, seed):
        organs = _organs(patient)
        chosen = min(
            range(count),
            key=lambda fold: (sizes[fold], _crowding(organs, inside[fold], having), fold),
        )
        folds[chosen].extend(patient)
        sizes[chosen] += 1
        inside[chosen].update(organs)
    return folds


def _organs(patient: Patient) -> set[str]:
    """Return the organs that any of a patient's cases has."""
    organs: set[str] = set()
    for case in patient:
        organs.update(case.organs)
    return organs


def _rarest_first(
    patients: Sequence[Patient],
    having: Counter[str],
    seed: int,
) -> list[Patient]:
    """Sort patients by how many others have their rarest organ; equals are in random order."""
    order = np.random.default_rng(seed).permutation(len(patients))
    drawn = [patients[place] for place in order]

    def rarest(patient: Patient) -> int:
        counts = [having[organ] for organ in _organs(patient)]
        return min(counts, default=len(patients))

    return sorted(drawn, key=rarest)


def _crowding(
    organs: set[str],
    inside: Counter[str],
    having: Counter[str],
) -> float:
    """Return how much of a patient's organs a fold has already; rare organs weigh more."""
    return sum(inside[organ] / having[organ] for organ in sorted(organs))
