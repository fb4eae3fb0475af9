"""What speaks against scores: draft contours, and patients that a model was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import GRID

from recontour.assess.caveats import trained_on_scan, trained_on_warnings
from recontour.assess.findings import (
    IncomparableKeys,
    KnownBy,
    TrainedOnTestPatients,
    TrainedOnThisPatient,
)
from recontour.cohort import Cohort
from recontour.cohort.case import fingerprint_of
from recontour.cohort.doubts import draft_warnings
from recontour.cohort.findings import DraftContours
from recontour.cohort.patients import Salt
from recontour.dicom import ScanIdentity, write_scan
from recontour.network import Model


def test_drafts_are_counted(north: Cohort) -> None:
    first, *others = north
    assert draft_warnings(list(north)) == ()
    drafted = [replace(first, is_draft=True), *others]
    assert draft_warnings(drafted) == (DraftContours(drafts=(first.id,), cases=3),)


def trained_on(model: Model, *, cts: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> Model:
    provenance = replace(model.provenance, trained_on=cts, trained_on_patients=keys)
    return replace(model, provenance=provenance)


def trained_on_test_patients(
    which: list[str], *, of: int, known_by: KnownBy
) -> TrainedOnTestPatients:
    return TrainedOnTestPatients(
        model="S", trained_on=len(which), patients=of, known_by=known_by, which=tuple(which)
    )


def test_the_same_ct_weighs_more_than_another_of_the_patient(north: Cohort, model: Model) -> None:
    """The first patient is known by the CT and by the key, the second by the key alone."""
    keys = [f"0123abcd-{number:016x}" for number in range(3)]
    cases = [replace(case, patient=key) for case, key in zip(north, keys, strict=True)]
    learnt = trained_on(model, cts=(cases[0].fingerprint,), keys=(keys[0], keys[1]))
    assert trained_on_warnings({"new": trained_on(model), "S": learnt}, cases, "north") == (
        trained_on_test_patients([cases[0].id], of=3, known_by="same CT"),
        trained_on_test_patients([cases[1].id], of=3, known_by="PatientID"),
    )


def test_a_warning_names_the_patients_unless_they_are_all() -> None:
    some = trained_on_test_patients(["north-1", "north-2"], of=3, known_by="PatientID")
    assert some.sentence().startswith(
        "2 of 3 patients (north-1, north-2) share a PatientID with someone"
    )
    every = trained_on_test_patients(["north-1", "north-2"], of=2, known_by="same CT")
    assert every.sentence().startswith("2 of 2 patients were used to train S; ")


def test_a_ct_that_was_exported_again_is_recognised(north: Cohort, model: Model) -> None:
    """It has another fingerprint and no key; ten slices or more tell it from others."""
    profile = tuple(range(0, 200, 10))
    again = [replace(case, tissue_hu=profile[::-1]) for case in north]
    again[1] = replace(again[1], tissue_hu=tuple(hu + 20 for hu in profile[1:]))
    learnt = trained_on(model)
    provenance = replace(learnt.provenance, trained_on_tissue_hu=(profile,))
    found = trained_on_test_patients(
        [again[1].id], of=2, known_by="nearly equal CT"
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


@pytest.mark.parametrize(
    ("patient_id", "has_salt", "known_by"),
    [
        ("MRN-4711", True, "PatientID"),
        ("MRN-4711", False, None),
        ("MRN-4712", True, None),
        ("ANON", True, None),
    ],
)
def test_a_patient_of_the_training_is_recognised_on_another_ct(
    model: Model, tmp_path: Path, patient_id: str, has_salt: bool, known_by: KnownBy | None
) -> None:
    """A stand-in for a PatientID is nobody's, even if the model met it."""
    salt = Salt(bytes(range(32)))
    identity = ScanIdentity("new", patient_id=patient_id)
    scan = write_scan(tmp_path / "ct", np.zeros(GRID.shape, dtype=np.int16), GRID, identity)
    learnt = trained_on(model, keys=(salt.key("MRN-4711"), salt.key("ANON"))).provenance
    expected = (TrainedOnThisPatient(known_by=known_by),) if known_by else ()
    assert trained_on_scan(learnt, scan, salt if has_salt else None) == expected


def test_a_ct_of_the_training_is_recognised_without_a_salt(model: Model, tmp_path: Path) -> None:
    hu = np.zeros(GRID.shape, dtype=np.int16)
    scan = write_scan(tmp_path / "ct", hu, GRID, ScanIdentity("known"))
    learnt = trained_on(model, cts=(fingerprint_of(scan.hu),)).provenance
    assert trained_on_scan(learnt, scan, None) == (TrainedOnThisPatient(known_by="same CT"),)
