"""What speaks against scores: draft contours, and patients that a model was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import GRID
from tests.journeys.conftest import write_patient

from recontour import import_dicom
from recontour.assess.caveats import (
    keys_of_other_salts,
    patient_key,
    trained_on_scan,
    trained_on_warnings,
)
from recontour.assess.findings import (
    IncomparableKeys,
    KnownBy,
    TrainedOnTestPatients,
    TrainedOnThisPatient,
)
from recontour.cohort import Cohort, case_id_of
from recontour.cohort.doubts import draft_warnings
from recontour.cohort.findings import DraftContours
from recontour.cohort.patients import Salt
from recontour.dicom import ScanIdentity, read_scan, write_scan
from recontour.geometry import Grid
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


SALT = Salt(bytes(range(32)))


@pytest.mark.parametrize(
    ("patient_id", "salt", "known_by"),
    [
        ("MRN-4711", SALT, "PatientID"),
        ("MRN-4711", None, None),
        ("MRN-4712", SALT, None),
        ("ANON", SALT, None),
    ],
)
def test_a_patient_of_the_training_is_recognised_on_another_ct(
    model: Model, tmp_path: Path, patient_id: str, salt: Salt | None, known_by: KnownBy | None
) -> None:
    """A stand-in for a PatientID is nobody's, even if the model met it."""
    scan = write_scan(
        tmp_path / "ct", np.zeros(GRID.shape, dtype=np.int16), GRID, ScanIdentity("new")
    )
    learnt = trained_on(model, keys=(SALT.key("MRN-4711"), SALT.key("ANON"))).provenance
    expected = (TrainedOnThisPatient(known_by=known_by),) if known_by else ()
    assert trained_on_scan(learnt, scan, patient_key(patient_id, salt)) == expected


def test_a_ct_of_the_training_is_recognised_without_a_salt(model: Model, tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)
    import_dicom(tmp_path / "dicom", tmp_path / "south")
    (case,) = Cohort.open(tmp_path / "south")
    learnt = trained_on(model, cts=(case.fingerprint,)).provenance
    scan = read_scan(tmp_path / "dicom" / "CT")
    assert trained_on_scan(learnt, scan, None) == (TrainedOnThisPatient(known_by="same CT"),)


def test_another_export_of_a_ct_of_the_training_is_recognised(model: Model, tmp_path: Path) -> None:
    """It lacks a slice, and every voxel is brighter by 5 HU."""
    grid = Grid((12, 16, 16), (4.0, 4.0), tuple(3.0 * i for i in range(12)), (-30.0, -30.0))
    by_slice = np.array([40, -30, 80, 10, 0, 60, -50, 20, 90, -10, 30, 70], dtype=np.int16)
    hu = np.broadcast_to(by_slice[:, None, None], grid.shape).copy()
    cohort = Cohort.open_or_create(tmp_path / "south", "south")
    name = case_id_of("south", "1.2")
    case = cohort.add(name, hu, grid, {"Brainstem": hu > 0}, source_hash="1")
    learnt = trained_on(model).provenance
    learnt = replace(learnt, trained_on_tissue_hu=(case.profile,))
    shorter = Grid((11, *grid.shape[1:]), grid.spacing_mm, grid.slice_z_mm[1:], grid.origin_mm)
    again = write_scan(tmp_path / "again", hu[1:] + np.int16(5), shorter, ScanIdentity("again"))
    found = (TrainedOnThisPatient(known_by="nearly equal CT"),)
    assert trained_on_scan(learnt, again, None) == found
    another = write_scan(tmp_path / "another", hu[:0:-1], shorter, ScanIdentity("another"))
    assert trained_on_scan(learnt, another, None) == ()


def test_keys_of_a_salt_that_is_not_here_are_said_unless_some_are_of_one_that_is(
    model: Model,
) -> None:
    """An adapted model holds the keys of two centres, of which one is here."""
    theirs = "89abcdef-0000000000000000"
    only_theirs = trained_on(model, keys=(theirs,)).provenance
    for name in (SALT.name, None):
        assert keys_of_other_salts(only_theirs, name) == (IncomparableKeys(),)
    both = trained_on(model, keys=(theirs, SALT.key("MRN-4711"))).provenance
    assert keys_of_other_salts(both, SALT.name) == ()
    assert keys_of_other_salts(trained_on(model).provenance, SALT.name) == ()
