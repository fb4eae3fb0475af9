"""What speaks against scores: draft contours, and patients that a model was trained on."""

from dataclasses import replace

from recontour.assess.caveats import draft_warnings, trained_on_warnings
from recontour.assess.findings import DraftContours, TrainedOnTestPatients
from recontour.cohort import Cohort
from recontour.network import Model


def test_drafts_are_counted(north: Cohort) -> None:
    first, *others = north
    assert draft_warnings(list(north)) == ()
    drafted = [replace(first, is_draft=True), *others]
    assert draft_warnings(drafted) == (DraftContours(drafts=1, cases=3),)


def trained_on(model: Model, *, cts: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> Model:
    provenance = replace(model.provenance, trained_on=cts, trained_on_patients=keys)
    return replace(model, provenance=provenance)


def test_the_same_ct_weighs_more_than_another_of_the_patient(north: Cohort, model: Model) -> None:
    """The first patient is known by the CT and by the key, the second by the key alone."""
    keys = [f"0123abcd-{number:016x}" for number in range(3)]
    cases = [replace(case, patient=key) for case, key in zip(north, keys, strict=True)]
    learnt = trained_on(model, cts=(cases[0].fingerprint,), keys=(keys[0], keys[1]))
    assert trained_on_warnings({"new": trained_on(model), "S": learnt}, cases) == (
        TrainedOnTestPatients(model="S", trained_on=1, patients=3, same_ct=True),
        TrainedOnTestPatients(model="S", trained_on=1, patients=3, same_ct=False),
    )


def test_what_is_stored_of_a_warning_names_no_patient(north: Cohort) -> None:
    warning = TrainedOnTestPatients(model="S", trained_on=2, patients=3, same_ct=False)
    assert warning.sentence().startswith("2 of 3 patients share a PatientID with someone")
    assert all(case.id not in warning.sentence() for case in north)
