"""What speaks against scores: draft contours, and patients that a model was trained on."""

from dataclasses import replace

from recontour.assess.caveats import draft_warnings, trained_on_warnings
from recontour.assess.findings import DraftContours, IncomparableKeys, TrainedOnTestPatients
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
    assert trained_on_warnings({"new": trained_on(model), "S": learnt}, cases, "north") == (
        TrainedOnTestPatients(model="S", trained_on=1, patients=3, known_by="same CT"),
        TrainedOnTestPatients(model="S", trained_on=1, patients=3, known_by="PatientID"),
    )


def test_what_is_stored_of_a_warning_names_no_patient(north: Cohort) -> None:
    warning = TrainedOnTestPatients(model="S", trained_on=2, patients=3, known_by="PatientID")
    assert warning.sentence().startswith("2 of 3 patients share a PatientID with someone")
    assert all(case.id not in warning.sentence() for case in north)


def test_a_ct_that_was_exported_again_is_recognised(north: Cohort, model: Model) -> None:
    """It has another fingerprint and no key; ten slices or more tell it from others."""
    profile = tuple(range(0, 200, 10))
    again = [replace(case, tissue_hu=profile[::-1]) for case in north]
    again[1] = replace(again[1], tissue_hu=tuple(hu + 20 for hu in profile[1:]))
    learnt = trained_on(model)
    provenance = replace(learnt.provenance, trained_on_tissue_hu=(profile,))
    found = TrainedOnTestPatients(
        model="S", trained_on=1, patients=2, known_by="nearly equal CT"
    )  # the other two are nearly equal among themselves, and one patient
    models = {"S": replace(learnt, provenance=provenance)}
    assert trained_on_warnings(models, again, "north") == (found,)


def test_keys_of_two_salts_are_a_doubt_only_within_a_centre(north: Cohort, model: Model) -> None:
    cases = [replace(case, patient=f"0123abcd-{number:016x}") for number, case in enumerate(north)]
    models = {"S": trained_on(model, keys=("89abcdef-0000000000000000",))}
    assert trained_on_warnings(models, cases, "north") == (IncomparableKeys(model="S"),)
    assert trained_on_warnings(models, cases, "west") == ()
    models = {"S": trained_on(model, keys=("0123abcd-ffffffffffffffff",))}
    assert trained_on_warnings(models, cases, "north") == ()
    assert trained_on_warnings({"S": trained_on(model)}, cases, "north") == ()
