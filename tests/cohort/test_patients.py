"""Patient keys: one per patient, useless without the salt, and only in the cohort."""

import errno
import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.dicom.conftest import edit, make_scan, make_structure_set

from recontour.cli import tell
from recontour.cohort import Case, Cohort, by_patient, case_id_of, patient_names
from recontour.cohort.findings import (
    ExposedSalt,
    NotASalt,
    SeveralSalts,
    UnknownPatients,
    UnusableSalt,
)
from recontour.cohort.import_findings import SeveralCtsOfOnePatient, UninformativePatientIds
from recontour.cohort.importing import import_dicom
from recontour.cohort.patients import SALT_FILE, Salt, doubt, of_one_patient, salt_for, salt_path
from recontour.errors import CohortError, FaultError
from recontour.exchange.export import Format, export
from recontour.findings import Finding
from recontour.workflows import CohortContents

ORGAN = "Brain Stem"
KEY = "0123abcd-0123456789abcdef"
OTHER = "0123abcd-fedcba9876543210"
OTHER_SALT = "89abcdef-0123456789abcdef"


@pytest.fixture(autouse=True)
def users_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's salt will be made."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    return tmp_path / "home" / "data" / "recontour" / "salt"


def ct(folder: Path, seed: str, patient_id: str, name: str = "") -> str:
    """Write someone's CT, whose voxels depend on the seed, with a structure set.

    Returns: the id of its case.
    """
    scan = make_scan(folder / seed / "ct", seed=seed)
    make_structure_set(folder / seed / "rs.dcm", scan, (ORGAN,), seed=seed)

    def change(image: object) -> None:
        image.PatientID, image.PatientName = patient_id, name  # type: ignore[attr-defined]
        image.RescaleIntercept = -1000 - sum(map(ord, seed))  # type: ignore[attr-defined]

    edit(folder / seed / "ct", change)
    return case_id_of("N", scan.source.series_instance_uid)


def keys(cohort: Path) -> dict[str, str | None]:
    return {case.id: case.patient for case in Cohort.open(cohort)}


def with_keys(
    north: Cohort, folder: Path, patients: list[str | None], *, brighter: int = 0
) -> Cohort:
    """Cases of those keys, each with other voxels; x0, x1, ..."""
    cohort = Cohort.open_or_create(folder, folder.name)
    like = north[north.case_ids[0]]
    masks = {organ: like.mask(organ) for organ in like.organs}
    for number, patient in enumerate(patients):
        hu = np.asarray(like.hu) + np.int16(brighter + number)
        cohort.add(f"x{number}", hu, like.grid, masks, "hash", patient=patient)
    return cohort


def groups(cases: list[Case] | Cohort) -> list[list[str]]:
    return [[case.id for case in patient] for patient in by_patient(cases)]


def test_cts_of_one_patient_have_one_key_in_all_cohorts_of_a_user(tmp_path: Path) -> None:
    one, again, other = (
        ct(tmp_path / "dicom", *of) for of in (("a", "17"), ("b", "17"), ("c", "18"))
    )
    report = import_dicom(tmp_path / "dicom", tmp_path / "train", centre="N")
    found = keys(tmp_path / "train")
    assert found[one] == found[again] != found[other]
    assert all(re.fullmatch("[0-9a-f]{8}-[0-9a-f]{16}", str(key)) for key in found.values())
    assert SeveralCtsOfOnePatient(cases=tuple(sorted((one, again)))) in report.notes
    third = ct(tmp_path / "later", "d", "17")
    report = import_dicom(tmp_path / "later", tmp_path / "train", centre="N")
    assert keys(tmp_path / "train")[third] == found[one]
    assert SeveralCtsOfOnePatient(cases=tuple(sorted((one, again, third)))) in report.notes
    (tmp_path / "elsewhere").mkdir()
    import_dicom(tmp_path / "later", tmp_path / "elsewhere" / "test", centre="N")
    assert keys(tmp_path / "elsewhere" / "test") == {third: found[one]}


def test_the_salt_is_the_owners_alone_and_no_part_of_a_cohort(
    tmp_path: Path, users_salt: Path
) -> None:
    ct(tmp_path / "dicom", "a", "17")
    (tmp_path / "cohorts").mkdir()
    import_dicom(tmp_path / "dicom", tmp_path / "cohorts" / "north", centre="N")
    assert salt_path(tmp_path / "cohorts" / "north") == users_salt
    assert stat.S_IMODE(users_salt.stat().st_mode) == 0o600
    assert stat.S_IMODE(users_salt.parent.stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "cohorts").iterdir()] == ["north"]
    secret = users_salt.read_text().splitlines()[-1]
    files = [file for file in (tmp_path / "cohorts" / "north").rglob("*") if file.is_file()]
    assert not any(secret.encode() in file.read_bytes() for file in files)


def test_a_salt_beside_the_cohort_comes_before_the_users(tmp_path: Path, users_salt: Path) -> None:
    """It is a group's, or was made by an earlier recontour."""
    before = salt_for(tmp_path / "north")
    beside = tmp_path / SALT_FILE
    beside.write_text(users_salt.read_text().replace(before.secret.hex(), "ab" * 32))
    assert salt_path(tmp_path / "north") == beside
    assert salt_for(tmp_path / "north").secret == bytes.fromhex("ab" * 32)
    assert salt_for(tmp_path / "elsewhere" / "north") == before


def test_without_a_folder_of_data_the_salt_lies_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "not absolute, and therefore ignored")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert salt_path(tmp_path / "north") == tmp_path / "home/.local/share/recontour/salt"


def test_a_user_without_a_home_gets_a_salt_beside_the_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    ct(tmp_path / "dicom", "a", "17")
    import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert all(keys(tmp_path / "north").values())
    assert (tmp_path / SALT_FILE).exists()


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606])
def test_a_salt_that_is_open_to_others_is_used_and_said_to_be(
    tmp_path: Path, users_salt: Path, mode: int
) -> None:
    for archive, seed in (("one", "a"), ("two", "b"), ("three", "c")):
        ct(tmp_path / archive, seed, "17")
    assert not notes_on(users_salt, tmp_path, "one")
    users_salt.chmod(mode)
    assert notes_on(users_salt, tmp_path, "two") == [ExposedSalt(path=users_salt, mode=mode)]
    users_salt.chmod(0o600)
    assert not notes_on(users_salt, tmp_path, "three")
    assert len(set(keys(tmp_path / "north").values())) == 1


def notes_on(salt: Path, folder: Path, archive: str) -> list[Finding]:
    """What the import of an archive notes of the salt."""
    report = import_dicom(folder / archive, folder / "north", centre="N")
    return [note for note in report.notes if note.path == salt]


@pytest.mark.parametrize("format", ["nnunet", "nifti"])
def test_an_export_carries_no_key(tmp_path: Path, format: Format) -> None:
    ct(tmp_path / "dicom", "a", "17")
    import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    (key,) = keys(tmp_path / "north").values()
    assert key
    (tmp_path / "out").mkdir()
    export(tmp_path / "north", tmp_path / "out" / "Dataset001_North", format=format)
    written = list((tmp_path / "out").rglob("*"))
    assert written
    for path in written:
        assert path.is_dir() or not any(
            part.encode() in path.read_bytes() for part in key.split("-")
        )


def test_an_id_of_everyone_is_nobodys_and_that_is_said(tmp_path: Path) -> None:
    for seed, name in (("a", "Doe^Jane"), ("b", "Roe^Richard")):
        ct(tmp_path / "dicom", seed, "1", name)
    known = ct(tmp_path / "dicom", "c", "2")
    report = import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    found = keys(tmp_path / "north")
    assert [case for case, key in found.items() if key] == [known]
    assert UninformativePatientIds(cts=2, new=3) in report.notes


def test_without_any_patient_id_there_is_no_key(tmp_path: Path) -> None:
    for seed in "ab":
        ct(tmp_path / "dicom", seed, "")
    import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert set(keys(tmp_path / "north").values()) == {None}


def test_with_a_lost_salt_new_keys_cannot_be_compared(tmp_path: Path, users_salt: Path) -> None:
    for archive, seed in (("one", "a"), ("two", "b")):
        ct(tmp_path / archive, seed, "17")
        import_dicom(tmp_path / archive, tmp_path / "north", centre="N")
        users_salt.unlink()
    cohort = Cohort.open(tmp_path / "north")
    assert len(by_patient(cohort)) == 2
    assert doubt(cohort) == SeveralSalts(cts=2, salts=2)


def test_with_a_lost_salt_the_same_patient_is_not_taken_for_another(
    tmp_path: Path, users_salt: Path
) -> None:
    case = ct(tmp_path / "dicom", "a", "17")
    import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    key = keys(tmp_path / "north")[case]
    users_salt.unlink()
    report = import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert (report.already_there, report.left_out) == ((case,), ())
    assert keys(tmp_path / "north") == {case: key}


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a link to nothing"])
def test_what_is_no_salt_ends_in_a_note_not_in_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / SALT_FILE
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    ct(tmp_path / "dicom", "a", "17")
    report = import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert set(keys(tmp_path / "north").values()) == {None}
    assert [type(note) for note in report.notes if note.path == path] == [UnusableSalt]
    assert not (tmp_path / "nothing").exists()


def test_a_salt_that_a_failing_disk_withholds_costs_no_case_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case that is stored without a key stays without, so nothing is imported."""

    def fail(path: Path, _most: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    (tmp_path / SALT_FILE).write_text("recontour salt 1\n" + "0" * 64 + "\n")
    ct(tmp_path / "dicom", "a", "17")
    with monkeypatch.context() as patch:
        patch.setattr("recontour.cohort.tables.TABLES", {})
        patch.setattr("recontour.texts.read_file", fail)
        with pytest.raises(FaultError, match=f"{SALT_FILE}: could not be read"):
            import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert not (tmp_path / "north").exists()


def test_a_second_ct_that_nobody_contoured_does_not_make_an_id_everyones(tmp_path: Path) -> None:
    one = ct(tmp_path / "dicom", "a", "17")
    ct(tmp_path / "dicom", "b", "17")
    (tmp_path / "dicom" / "b" / "rs.dcm").unlink()
    import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert keys(tmp_path / "north")[one]


def test_inspect_says_who_is_one_patient(
    north: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = with_keys(north, tmp_path / "a", [KEY, OTHER, None, KEY])
    tell.cohort(CohortContents(cohort, list(cohort), []))
    said = " ".join(capsys.readouterr().out.split())
    assert "CTs of one patient: x0, x3" in said
    assert "1 of 4 CTs has no patient key" in said
    assert "0123abcd" not in said


@pytest.mark.parametrize(
    "content", ["", "recontour salt 1\nabc\n", "recontour salt 2\n" + "0" * 64 + "\n", "\xff"]
)
def test_a_damaged_salt_is_kept_and_said(tmp_path: Path, content: str) -> None:
    (tmp_path / SALT_FILE).write_text(content, encoding="latin-1")
    ct(tmp_path / "dicom", "a", "17")
    report = import_dicom(tmp_path / "dicom", tmp_path / "north", centre="N")
    assert set(keys(tmp_path / "north").values()) == {None}
    (note,) = [note for note in report.notes if note.path == tmp_path / SALT_FILE]
    assert isinstance(note, UnusableSalt if content == "\xff" else NotASalt)
    assert (tmp_path / SALT_FILE).read_text(encoding="latin-1") == content


def test_imports_at_once_agree_on_one_salt(tmp_path: Path, users_salt: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        salts = list(pool.map(salt_for, [tmp_path / f"cohort{number}" for number in range(64)]))
    assert len({salt.secret for salt in salts}) == 1
    assert list(users_salt.parent.iterdir()) == [users_salt]


def test_a_key_is_hmac_sha_256_of_the_id() -> None:
    """As computed by `printf MRN-4711 | openssl dgst -sha256 -mac HMAC -macopt hexkey:...`."""
    salt = Salt(bytes(range(32)))
    assert salt.key("MRN-4711") == "e9df8a32-23adcef79f62234f"
    assert salt.key("MRN-4712") != salt.key("MRN-4711")


def test_one_key_or_one_ct_makes_one_patient(north: Cohort, tmp_path: Path) -> None:
    cohort = with_keys(north, tmp_path / "x", [KEY, OTHER, None, KEY, OTHER_SALT])
    assert groups(cohort) == [["x0", "x3"], ["x1"], ["x2"], ["x4"]]
    twin = cohort["x2"]  # of x2, under the key of x1: with it x1 and x2 are one patient
    cohort.add(
        "x5",
        twin.hu,
        twin.grid,
        {organ: twin.mask(organ) for organ in twin.organs},
        "hash",
        patient=OTHER,
    )
    assert groups(cohort) == [["x0", "x3"], ["x1", "x2", "x5"], ["x4"]]
    assert patient_names(cohort) == {
        "x0": "x0",
        "x3": "x0",
        "x1": "x1",
        "x2": "x1",
        "x5": "x1",
        "x4": "x4",
    }
    assert by_patient([]) == []


def test_patients_on_two_sides_are_found(north: Cohort, tmp_path: Path) -> None:
    learnt = with_keys(north, tmp_path / "learnt", [KEY, None, KEY])
    tested = with_keys(north, tmp_path / "tested", [OTHER, KEY, None, OTHER_SALT], brighter=10)
    found = of_one_patient(learnt, tested)
    assert [(a.path.parts[-3], a.id, b.path.parts[-3], b.id) for a, b in found] == [
        ("learnt", "x0", "tested", "x1")
    ]
    profile = tuple(range(0, 200, 10))
    again = [replace(case, tissue_hu=profile) for case in tested]
    second = [replace(learnt["x1"], tissue_hu=profile[1:])]
    assert [(a.id, b.id) for a, b in of_one_patient(second, again)] == [("x1", "x0")]


def test_what_is_not_known_is_said(north: Cohort, tmp_path: Path) -> None:
    assert doubt([]) is None
    assert doubt(with_keys(north, tmp_path / "a", [None])) is None, "one CT is one patient"
    assert doubt(with_keys(north, tmp_path / "b", [KEY, KEY, OTHER])) is None
    cohort = with_keys(north, tmp_path / "c", [KEY, None, None])
    assert doubt(cohort) == UnknownPatients(unknown=2, cts=3)


@pytest.mark.parametrize("key", ["", 17, "17", [KEY], KEY.upper(), KEY + "\n"])
def test_a_bent_key_is_refused(north: Cohort, tmp_path: Path, key: object) -> None:
    cohort = with_keys(north, tmp_path / "a", [KEY])
    path = cohort["x0"].path / "case.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"patient": key}))
    with pytest.raises(CohortError, match=r"damaged \(patient"):
        cohort["x0"]
