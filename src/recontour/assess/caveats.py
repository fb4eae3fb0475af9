"""What a reader must know before trusting a model's scores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recontour.assess.findings import (
    IncomparableKeys,
    KnownBy,
    PhantomAndPatient,
    SameAsReference,
    TrainedOnTestPatients,
    TrainedOnThisPatient,
)
from recontour.cohort import Case, Cohort, by_patient, is_synthetic, notices_of
from recontour.cohort.case import fingerprint_of
from recontour.cohort.patients import Salt, salts_of
from recontour.cohort.tissue import Profile, nearly_equal, tissue_profile
from recontour.dicom import Scan, is_stand_in
from recontour.evaluation import CaseScore
from recontour.findings import Finding
from recontour.network import Model, Provenance


def trained_on_warnings(
    models: Mapping[str, Model],
    cases: Sequence[Case],
    centre: str,
) -> tuple[Finding, ...]:
    """Warn about each model that was, or may have been, trained on patients it is to be scored on.

    models: keys are the names that reports show. centre: of the cases.
    """
    patients = len(by_patient(cases))
    warnings: list[Finding] = []
    for name, model in models.items():
        which: dict[KnownBy, list[str]] = {}
        for patient, known_by in trained_on(model, cases).items():
            which.setdefault(known_by, []).append(patient)
        for known_by, of_those in which.items():
            warning = TrainedOnTestPatients(
                model=name,
                trained_on=len(of_those),
                patients=patients,
                known_by=known_by,
                which=tuple(of_those),
            )
            warnings.append(warning)
        if _are_keys_incomparable(model.provenance, cases, centre):
            warnings.append(IncomparableKeys(model=name))
    return tuple(warnings)


def phantom_warnings(
    models: Mapping[str, Model],
    cohort: Cohort,
    cases: Sequence[Case],
) -> tuple[Finding, ...]:
    """Warn about each model of the phantom that meets patients, or the other way round.

    models: keys are the names that reports show. cases: those of the cohort that are used.
    """
    are_phantom = is_synthetic(notices_of(cohort.notices, cases))
    warnings = []
    for name, model in models.items():
        of_phantom = is_synthetic(model.provenance.notices)
        if of_phantom != are_phantom:
            warnings.append(PhantomAndPatient(model=name, model_of_phantom=of_phantom))
    return tuple(warnings)


def notices_to_repeat(
    cohort: Cohort,
    cases: Sequence[Case],
    models: Iterable[Model],
) -> tuple[str, ...]:
    """Return what a cohort and models say of themselves, each notice once.

    For example that the patients are synthetic, or that a model was joined of two. cases: those of
    the cohort that are used.
    """
    notices = list(notices_of(cohort.notices, cases))
    for model in models:
        notices += model.provenance.notices
    return tuple(dict.fromkeys(notices))


def same_as_reference(scores: Iterable[CaseScore], names: Iterable[str]) -> tuple[Finding, ...]:
    """Warn of contours from elsewhere that are the reference itself. names: as in the scores."""
    is_same: dict[str, dict[str, bool]] = {name: {} for name in names}
    for row in scores:
        if row.model in is_same:
            before = is_same[row.model].get(row.case, True)
            is_same[row.model][row.case] = before and row.dsc == 1
    warnings = []
    for name, by_case in is_same.items():
        cases = tuple(case for case, same in by_case.items() if same)
        if cases:
            warnings.append(SameAsReference(model=name, cases=cases))
    return tuple(warnings)


def trained_on(model: Model, cases: Sequence[Case]) -> dict[str, KnownBy]:
    """Return the patients that a model was trained on, with the strongest evidence for each.

    Patients are named as by `patient_names`: each by the first of its cases.
    """
    found: dict[str, KnownBy] = {}
    for patient in by_patient(cases):
        known_by = _known_by(model.provenance, patient)
        if known_by:
            found[patient[0].id] = known_by
    return found


class KnownCt(Protocol):
    """By what a CT and its patient are recognised: a case, or a scan that is no case."""

    @property
    def fingerprint(self) -> str:
        """Return a hash of the voxels."""

    @property
    def profile(self) -> Profile:
        """Return the tissue profile."""

    @property
    def patient(self) -> str | None:
        """Return the patient's key; None if unknown."""


@dataclass(frozen=True, slots=True)
class _ScanAsKnown:
    """A scan that is no case. patient: its key; None if unknown."""

    scan: Scan
    patient: str | None

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.scan.hu)

    @property
    def profile(self) -> Profile:
        return tissue_profile(self.scan.hu)


def patient_key(patient_id: str, salt: Salt | None) -> str | None:
    """Return a patient's key; None without a salt, or if the ID stands for nobody."""
    if salt is None or is_stand_in(patient_id):
        return None
    return salt.key(patient_id)


def trained_on_scan(
    provenance: Provenance,
    scan: Scan,
    patient: str | None,
) -> tuple[TrainedOnThisPatient, ...]:
    """Warn if a model was trained on the patient of a scan. patient: the key; None if unknown."""
    known_by = _known_by(provenance, [_ScanAsKnown(scan, patient)])
    return (TrainedOnThisPatient(known_by=known_by),) if known_by else ()


def keys_of_other_salts(
    provenance: Provenance, salt_name: str | None
) -> tuple[IncomparableKeys, ...]:
    """Warn if no key of a model can be compared with those of a salt. None: there is no salt."""
    theirs = salts_of(provenance.trained_on_patients)
    return (IncomparableKeys(),) if theirs and salt_name not in theirs else ()


def _known_by(provenance: Provenance, patient: Sequence[KnownCt]) -> KnownBy | None:
    """Return what shows that a model was trained on a patient; None if nothing does."""
    if any(ct.fingerprint in provenance.trained_on for ct in patient):
        return "same CT"
    if any(_is_nearly_among(ct.profile, provenance) for ct in patient):
        return "nearly equal CT"
    if any(ct.patient in provenance.trained_on_patients for ct in patient):
        return "PatientID"
    return None


def _is_nearly_among(profile: Profile, provenance: Provenance) -> bool:
    return any(nearly_equal(profile, known) for known in provenance.trained_on_tissue_hu)


def _are_keys_incomparable(
    provenance: Provenance,
    cases: Sequence[Case],
    centre: str,
) -> bool:
    """Return whether a model learnt from this centre, but all its keys are of other salts."""
    if centre not in (*provenance.parent_centres, provenance.centre):
        return False
    theirs = salts_of(provenance.trained_on_patients)
    ours = salts_of(case.patient for case in cases if case.patient)
    return bool(theirs and ours and theirs.isdisjoint(ours))
