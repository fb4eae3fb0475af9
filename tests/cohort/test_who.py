"""Who a case is: on the screen, from the imported DICOM, and nowhere else."""

import hashlib
import os
import stat
from pathlib import Path
from shutil import copytree

import pytest
from tests.dicom.conftest import edit, make_scan, make_structure_set

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.cohort.findings import ArchiveNotThere, CasesNotInArchives, UnknownArchive
from recontour.cohort.history import read_history, write_history
from recontour.cohort.importing import import_dicom
from recontour.cohort.patients import salt_for
from recontour.cohort.who import who_is

NAME = "Zebedee^Ann"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where recontour keeps what is this user's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "recontour"


@pytest.fixture
def cohort(tmp_path: Path, home: Path) -> Cohort:
    """One patient of that name."""
    scan = make_scan(tmp_path / "dicom" / "ct", seed="a")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, ("Brain Stem",), seed="a")

    def name(image: object) -> None:
        image.PatientName, image.PatientID = NAME, "4711"  # type: ignore[attr-defined]

    edit(tmp_path / "dicom" / "ct", name)
    import_dicom(tmp_path / "dicom", tmp_path / "north", centre="north")
    return Cohort.open(tmp_path / "north")


def files_with(folder: Path, words: str) -> list[Path]:
    files = filter(Path.is_file, folder.rglob("*"))
    return [file for file in files if words.encode() in file.read_bytes()]


def test_the_screen_names_the_patient_and_no_file_does(
    cohort: Cohort, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = who_is(cohort.path)
    (patient,) = found.patients.values()
    assert (patient.name, patient.id, found.notes) == ("Zebedee Ann", "4711", ())
    assert "Zebedee" not in repr(found)
    assert main(["inspect", str(cohort.path), "--who"]) == 0
    assert "Zebedee Ann" in capsys.readouterr().out
    assert files_with(cohort.path, "Zebedee") == files_with(home, "Zebedee") == []
    assert files_with(cohort.path, str(cohort.path.parent)) == [], "nor where the files lie"
    (kept,) = (home / "archives").iterdir()
    if os.name == "posix":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_without_being_asked_nobody_is_named(
    cohort: Cohort, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(cohort.path)]) == 0
    assert "Zebedee" not in "".join(capsys.readouterr())


def test_names_are_not_for_json(cohort: Cohort, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(cohort.path), "--who", "--json"]) == 2
    said = capsys.readouterr()
    assert "--who and --json do not go together" in said.err
    assert "Zebedee" not in said.out + said.err


def test_files_that_moved_are_missed_and_can_be_named(cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "dicom").rename(tmp_path / "moved")
    missing = who_is(cohort.path)
    assert not missing.patients
    assert missing.notes == (ArchiveNotThere(path=tmp_path / "dicom"),)
    make_scan(tmp_path / "other" / "ct", seed="b")
    found = who_is(cohort.path, [tmp_path / "other", tmp_path / "moved"])
    assert [patient.name for patient in found.patients.values()] == ["Zebedee Ann"]


def test_another_user_s_import_is_unknown(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(tmp_path / "dicom", tmp_path / "again")
    import_dicom(tmp_path / "again", cohort.path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    assert who_is(cohort.path).notes == (UnknownArchive(path=cohort.path, unknown=2, of=2),)


def test_what_a_cohort_keeps_of_the_path_cannot_be_guessed(cohort: Cohort, home: Path) -> None:
    path = str((cohort.path.parent / "dicom").resolve())
    unsalted = hashlib.sha256(path.encode()).hexdigest()[:8]
    (kept,) = read_history(cohort.path).archives
    assert kept == salt_for(cohort.path).mark("archive", path)
    assert files_with(cohort.path, unsalted) == []
    assert (home / "archives" / kept).exists()


def test_a_cohort_of_an_earlier_version_still_knows_its_archive(cohort: Cohort, home: Path) -> None:
    path = str((cohort.path.parent / "dicom").resolve())
    unsalted = hashlib.sha256(path.encode()).hexdigest()[:8]
    (kept,) = read_history(cohort.path).archives
    (home / "archives" / kept).rename(home / "archives" / unsalted)
    place = cohort.path / "imports.json"
    place.write_text(place.read_text().replace(kept, unsalted))
    assert set(who_is(cohort.path).patients) == set(cohort.case_ids)
    import_dicom(path, cohort.path)
    assert len(read_history(cohort.path).archives) == 2
    assert who_is(cohort.path).notes == ()


@pytest.mark.parametrize("archive", ["../../dicom", "../salt", "no hash"])
def test_an_archive_s_hash_is_no_path(cohort: Cohort, archive: str) -> None:
    history = read_history(cohort.path)
    assert history.last
    last = history.last.model_copy(update={"archive": archive})
    write_history(cohort.path, history.model_copy(update={"last": last, "archives": []}))
    assert who_is(cohort.path).notes == (UnknownArchive(path=cohort.path, unknown=1, of=1),)


def test_the_wrong_folder_shows_nobody(cohort: Cohort, tmp_path: Path) -> None:
    make_scan(tmp_path / "other" / "ct", seed="b")
    found = who_is(cohort.path, [tmp_path / "other"])
    assert not found.patients
    assert found.notes == (CasesNotInArchives(cases=cohort.case_ids, of=1),)
