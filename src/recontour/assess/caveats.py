"""What a reader must know before trusting a model's scores."""

from collections.abc import Mapping, Sequence

from recontour.assess.findings import DraftContours, TrainedOnTestPatients
from recontour.cohort import Case, Cohort, by_patient
from recontour.cohort.findings import MapNotApplied
from recontour.cohort.origins import mixed_origins
from recontour.findings import Finding
from recontour.network import Model


def draft_warnings(cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Warn if contours to learn from, or to be scored against, are recontour's own drafts."""
    drafts = sum(case.is_draft for case in cases)
    if not drafts:
        return ()
    return (DraftContours(drafts=drafts, cases=len(cases)),)


def cohort_warnings(cohort: Cohort, cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Warn of what an import found and a later command must repeat.

    Some cases come from elsewhere than the others, or the names of the last import were not applied
    to some.
    cases: those of the cohort that are used.
    """
    warnings: list[Finding] = []
    mixed = mixed_origins(cases)
    if mixed:
        warnings.append(mixed)
    used = {case.id for case in cases}
    stale = used.intersection(cohort.not_applied)
    if stale:
        warnings.append(
            MapNotApplied(
                cases=len(stale),
                of=len(used),
                is_kept=True,
            )
        )
    return tuple(warnings)


def trained_on_warnings(models: Mapping[str, Model], cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Warn about each model that was trained on patients it is to be scored on.

    models: keys are the names that reports show.
    """
    patients = by_patient(cases)
    warnings: list[Finding] = []
    for name, model in models.items():
        same_ct, other_ct = _trained_on(model, patients)
        for trained_on, is_same_ct in ((same_ct, True), (other_ct, False)):
            if trained_on:
                warning = TrainedOnTestPatients(
                    model=name,
                    trained_on=trained_on,
                    patients=len(patients),
                    same_ct=is_same_ct,
                )
                warnings.append(warning)
    return tuple(warnings)


def _trained_on(model: Model, patients: Sequence[Sequence[Case]]) -> tuple[int, int]:
    """Count the patients whose very CT the model was trained on, and those known by another CT."""
    trained_cts = set(model.provenance.trained_on)
    trained_keys = set(model.provenance.trained_on_patients)
    same_ct = other_ct = 0
    for patient in patients:
        if any(case.fingerprint in trained_cts for case in patient):
            same_ct += 1
        elif any(case.patient in trained_keys for case in patient):
            other_ct += 1
    return same_ct, other_ct
