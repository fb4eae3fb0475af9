"""Patients from elsewhere do not slip into a cohort, and a second scanner is no alarm."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from tests.conftest import GRID, fill
from tests.dicom.conftest import edit, make_scan, make_structure_set
from tests.geometry.conftest import make_grid

from recontour.cohort import Cohort
from recontour.cohort.acquisition import Acquisition
from recontour.cohort.case import Origin
from recontour.cohort.findings import MixedOrigins
from recontour.cohort.import_findings import (
    FromElsewhere,
    NewScanners,
    SpeltOtherwise,
    UnknownOrigins,
)
from recontour.cohort.importing import ImportReport, import_archive
from recontour.cohort.origins import mixed_origins
from recontour.cohort.patients import salt_path
from recontour.dicom import read_archive, read_scan
from recontour.errors import CohortError
from recontour.findings import Finding, stored_words, words

SOMATOM = ("SIEMENS", "SOMATOM Force")
AQUILION = ("TOSHIBA", "Aquilion/LB")


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return Cohort.open_or_create(tmp_path / "cohort", "B")


def patient(
    folder: Path,
    institution: str | None = "St. Elsewhere",
    scanner: tuple[str, str] | None = SOMATOM,
    names: tuple[str, ...] = ("Brain Stem",),
) -> Path:
    """A patient of an institution and a scanner; None: the attributes are missing."""
    make_structure_set(folder / "rs.dcm", make_scan(folder / "ct", seed=folder.name), names)

    def change(image: Dataset) -> None:
        image.PatientID = f"MRN {folder.name}"
        if institution is not None:
            image.InstitutionName = institution
        if scanner is None:
            del image.Manufacturer
            del image.ManufacturerModelName
        else:
            image.Manufacturer, image.ManufacturerModelName = scanner

    edit(folder / "ct", change)
    return folder


def imported(cohort: Cohort, folder: Path, **options: Any) -> ImportReport:
    return import_archive(read_archive(folder), cohort, **options)


def notes_on_origins(report: ImportReport) -> list[Finding]:
    """Without what is noted because every CT here is the same."""
    kinds = (NewScanners, UnknownOrigins)
    return [note for note in report.notes if isinstance(note, kinds)]


def refusal(cohort: Cohort, folder: Path) -> FromElsewhere:
    before = sorted(path for path in cohort.path.rglob("*"))
    with pytest.raises(CohortError) as caught:
        imported(cohort, folder)
    assert sorted(path for path in cohort.path.rglob("*")) == before
    assert isinstance(caught.value.finding, FromElsewhere)
    return caught.value.finding


def test_a_case_keeps_the_scanner_and_a_salted_hash_of_the_institution(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, patient(tmp_path / "a"))
    (case,) = cohort
    assert (case.origin.maker, case.origin.model) == SOMATOM
    assert case.origin.institution is not None
    assert case.roi_names == {"Brainstem": "Brain Stem"}
    stored = (case.path / "case.json").read_text()
    assert "elsewhere" not in stored.casefold()
    salt = salt_path(cohort.path).read_text().split()[-1]
    assert salt[:8] not in stored


def test_a_scanner_of_unknown_words_is_kept_as_a_salted_hash(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, patient(tmp_path / "a", None, ("Mustermann", "Erika's")))
    (case,) = cohort
    assert "muster" not in (case.path / "case.json").read_text().casefold()
    assert case.origin.maker
    imported(cohort, patient(tmp_path / "b", None, ("Mustermann", "Erika's")))
    assert len(cohort) == 2
    assert not refusal(
        cohort, patient(tmp_path / "c", None, ("Mustermann", "Max's"))
    ).by_institution


def test_another_institution_is_refused_although_the_scanner_is_the_same(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, patient(tmp_path / "a"))
    found = refusal(cohort, patient(tmp_path / "b", "County General", names=("BRAINSTEM",)))
    assert (found.patients, found.new, found.by_institution) == (1, 1, True)
    assert (found.organs, found.spelt, found.known_spelt) == (1, ("BRAINSTEM",), ("Brain Stem",))
    line = words(found)
    assert "another institution" in line
    assert "BRAINSTEM, not Brain Stem" in line
    assert "--also-from-elsewhere" in line
    assert "BRAINSTEM" not in stored_words(found)


def test_one_institution_may_be_spelled_in_several_ways_and_have_several_scanners(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, patient(tmp_path / "a"))
    report = imported(cohort, patient(tmp_path / "b", "ST ELSEWHERE ", AQUILION))
    new = NewScanners(patients=1, scanners=("TOSHIBA Aquilion/LB",))
    assert notes_on_origins(report) == [new]
    third = imported(cohort, patient(tmp_path / "c", scanner=AQUILION))
    assert notes_on_origins(third) == []
    assert mixed_origins(list(cohort)) is None


def test_where_no_institution_is_given_another_scanner_is_refused(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, patient(tmp_path / "a", None))
    folder = patient(tmp_path / "b", None, AQUILION)
    found = refusal(cohort, folder)
    assert not found.by_institution
    assert "the scanner is TOSHIBA Aquilion/LB, not SIEMENS SOMATOM Force" in words(found)
    third = imported(cohort, patient(tmp_path / "c", "ANONYMIZED"))
    assert (len(third.added), notes_on_origins(third)) == (1, [])


def test_other_pixels_and_slices_are_said(tmp_path: Path, cohort: Cohort) -> None:
    imported(cohort, patient(tmp_path / "a", None))
    folder = tmp_path / "b"
    make_scan(folder / "ct", make_grid((5, 6, 8), spacing_mm=(1.25, 2.0)), "b")
    found = refusal(cohort, patient_of(folder))
    assert found.pixel_mm == 1.25
    assert found.known_pixel_mm == (1.5,)
    assert "pixels are 1.25 mm, not 1.5" in words(found)


def patient_of(folder: Path) -> Path:
    """Complete a CT that is there already, from another scanner."""

    def change(image: Dataset) -> None:
        image.Manufacturer, image.ManufacturerModelName = AQUILION

    make_structure_set(folder / "rs.dcm", read_scan(folder / "ct"), ("Brain Stem",))
    edit(folder / "ct", change)
    return folder


def test_patients_from_elsewhere_are_added_if_that_is_meant_and_every_one_is_told(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, patient(tmp_path / "a"))
    report = imported(cohort, patient(tmp_path / "b", "County General"), also_from_elsewhere=True)
    mixed = mixed_origins(list(cohort))
    assert mixed == MixedOrigins(institutions=2, others=report.added, cases=2)
    assert report.added[0] in words(mixed)
    assert imported(cohort, patient(tmp_path / "c", "County General")).left_out == ()


def test_two_institutions_in_one_archive_are_known_too(tmp_path: Path, cohort: Cohort) -> None:
    for name, institution in {"a": "St. Elsewhere", "b": "County", "c": "County"}.items():
        patient(tmp_path / "dicom" / name, institution)
    imported(cohort, tmp_path / "dicom")
    found = mixed_origins(list(cohort))
    assert found is not None
    assert (found.institutions, len(found.others), found.cases) == (2, 1, 3)


def test_where_nothing_is_said_that_is_said(tmp_path: Path, cohort: Cohort) -> None:
    imported(cohort, patient(tmp_path / "a", None, None))
    report = imported(cohort, patient(tmp_path / "b"))
    assert notes_on_origins(report) == [UnknownOrigins(patients=1, new=1)]


GERMAN = ("Hirnstamm", "Myelon", "Ohrspeicheldrüse links")
ENGLISH = ("Brain Stem", "Cord", "Lt Parotid")


@pytest.mark.parametrize(
    ("names", "is_warned"),
    [
        (ENGLISH, True),
        (ENGLISH[:2], False),  # two organs are few
        (("Brain Stem", "MYELON", "Lt Parotid"), False),
        (GERMAN, False),
    ],
)
def test_nothing_but_the_names_shows_another_centre(
    tmp_path: Path, cohort: Cohort, names: tuple[str, ...], is_warned: bool
) -> None:
    assert imported(cohort, patient(tmp_path / "a", None, None, GERMAN)).warnings == ()
    report = imported(cohort, patient(tmp_path / "b", None, None, names))
    found = SpeltOtherwise(
        path=cohort.path,
        patients=1,
        organs=3,
        spelt="Brain Stem",
        known_spelt="Hirnstamm",
    )
    assert report.warnings == ((found,) if is_warned else ())
    assert "Hirnstamm" not in stored_words(found)
    assert f"import --undo {cohort.path}" in words(found)


def test_names_say_nothing_where_the_scanner_is_the_same(tmp_path: Path, cohort: Cohort) -> None:
    imported(cohort, patient(tmp_path / "a", None, names=GERMAN))
    assert imported(cohort, patient(tmp_path / "b", None, names=ENGLISH)).warnings == ()


def test_a_cohort_of_an_earlier_version_can_be_added_to(tmp_path: Path) -> None:
    cohort = fill(Cohort.open_or_create(tmp_path / "old", "old"), 2)
    report = imported(cohort, patient(tmp_path / "b"))
    assert notes_on_origins(report) == [UnknownOrigins(patients=1, new=1)]
    assert mixed_origins(list(cohort)) is None


@pytest.mark.parametrize(
    "origin",
    [{"institution": "St. Elsewhere"}, {"maker": "x" * 65}, {"elsewhere": "yes"}, {"maker": 1}],
)
def test_a_bent_origin_is_refused(tmp_path: Path, origin: dict[str, Any]) -> None:
    cohort = fill(Cohort.open_or_create(tmp_path / "c", "c"), 1)
    (case,) = cohort
    about = json.loads((case.path / "case.json").read_text())
    (case.path / "case.json").write_text(json.dumps(about | {"origin": origin}))
    with pytest.raises(CohortError, match=r"case\.json is damaged \(origin\."):
        _ = cohort[case.id]


def test_cases_of_several_salts_are_not_compared(tmp_path: Path) -> None:
    cohort = Cohort.open_or_create(tmp_path / "c", "c")
    masks = {"Brainstem": np.ones(GRID.shape, dtype=bool)}
    hu = np.zeros(GRID.shape, dtype=np.int16)
    for number, salt in enumerate(("0" * 8, "0" * 8, "1" * 8)):
        origin = Origin(institution=f"{salt}-{'a' * 16}")
        cohort.add(f"c-{number}", hu, GRID, masks, "x", origin=origin)
    assert mixed_origins(list(cohort)) is None


ACQUIRED = {
    "KVP": "120",
    "SliceThickness": "3",
    "ReconstructionDiameter": "500",
    "ConvolutionKernel": ["Br40f", "3"],
    "ContrastBolusAgent": "Ultravist for Erika Mustermann",
}


def acquired(folder: Path, **attributes: Any) -> Path:
    """A patient whose images have some attributes of the acquisition, and no others."""
    patient(folder)

    def change(image: Dataset) -> None:
        for keyword in ACQUIRED:
            if keyword in image:
                delattr(image, keyword)
            if keyword in attributes:
                setattr(image, keyword, attributes[keyword])

    edit(folder / "ct", change)
    return folder


def stored_of(cohort: Cohort) -> dict[str, Any]:
    """What case.json of the only case says."""
    (case,) = cohort
    about: dict[str, Any] = json.loads((case.path / "case.json").read_text())
    return about


def test_a_case_keeps_how_its_ct_was_acquired_but_not_the_text_on_contrast(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, acquired(tmp_path / "a", **ACQUIRED))
    (case,) = cohort
    assert case.acquisition == Acquisition(
        kvp=120.0,
        slice_thickness_mm=3.0,
        field_of_view_mm=500.0,
        kernel="Br40f 3",
        contrast="given",
    )
    stored = (case.path / "case.json").read_text().casefold()
    assert "ultravist" not in stored
    assert "muster" not in stored


@pytest.mark.parametrize("missing", ACQUIRED)
def test_what_the_headers_do_not_say_is_left_out(
    tmp_path: Path, cohort: Cohort, missing: str
) -> None:
    others = {keyword: words for keyword, words in ACQUIRED.items() if keyword != missing}
    imported(cohort, acquired(tmp_path / "a", **others))
    assert len(stored_of(cohort)["acquisition"]) == len(others)


def test_a_ct_that_says_nothing_of_its_acquisition_leaves_no_record(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, acquired(tmp_path / "a"))
    assert "acquisition" not in stored_of(cohort)
    (case,) = cohort
    assert case.acquisition == Acquisition()


@pytest.mark.parametrize(
    ("agent", "contrast"),
    [("NONE", "none"), ("No contrast", "none"), ("", None), ("ANON", None), ("IV", "given")],
)
def test_contrast_is_given_none_or_unknown(
    tmp_path: Path, cohort: Cohort, agent: str, contrast: str | None
) -> None:
    imported(cohort, acquired(tmp_path / "a", ContrastBolusAgent=agent))
    (case,) = cohort
    assert case.acquisition.contrast == contrast


def test_a_kernel_that_may_be_a_name_is_kept_as_a_salted_hash(
    tmp_path: Path, cohort: Cohort
) -> None:
    imported(cohort, acquired(tmp_path / "a", ConvolutionKernel="Mustermann"))
    kernel = stored_of(cohort)["acquisition"]["kernel"]
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{16}", kernel)


def test_impossible_numbers_of_an_acquisition_are_unknown(tmp_path: Path, cohort: Cohort) -> None:
    folder = acquired(tmp_path / "a", KVP="0", SliceThickness="-3", ReconstructionDiameter="1e5")
    report = imported(cohort, folder)
    assert len(report.added) == 1
    assert "acquisition" not in stored_of(cohort)


def test_a_damaged_number_says_nothing_and_spares_the_others(
    tmp_path: Path, cohort: Cohort
) -> None:
    folder = acquired(tmp_path / "a", KVP="654.321", SliceThickness="3")
    for path in (folder / "ct").iterdir():
        path.write_bytes(path.read_bytes().replace(b"654.321", b"not.kVp"))
    assert len(imported(cohort, folder).added) == 1
    assert stored_of(cohort)["acquisition"] == {"slice_thickness_mm": 3.0}


def test_a_repeated_import_keeps_the_acquisition_and_the_version(
    tmp_path: Path, cohort: Cohort
) -> None:
    folder = acquired(tmp_path / "a", **ACQUIRED)
    imported(cohort, folder)
    (before,) = cohort
    version = before.version
    for again in (False, True):
        imported(cohort, folder, again=again)
        (case,) = cohort
        assert (case.version, case.acquisition) == (version, before.acquisition)


def test_a_case_of_an_earlier_version_learns_its_acquisition_when_it_is_read_again(
    tmp_path: Path, cohort: Cohort
) -> None:
    folder = acquired(tmp_path / "a", **ACQUIRED)
    imported(cohort, folder)
    about = stored_of(cohort)
    old = {name: about[name] for name in about if name != "acquisition"}
    (case,) = cohort
    (case.path / "case.json").write_text(json.dumps(old))
    assert cohort[case.id].acquisition == Acquisition()
    report = imported(cohort, folder)
    assert (report.added, "acquisition" in stored_of(cohort)) == ((), False)
    imported(cohort, folder, again=True)
    assert cohort[case.id].acquisition == case.acquisition


@pytest.mark.parametrize(
    "acquisition",
    [
        {"kvp": 0},
        {"kvp": "120"},
        {"slice_thickness_mm": 1e9},
        {"field_of_view_mm": -1},
        {"kernel": "x" * 65},
        {"contrast": "Ultravist"},
    ],
)
def test_a_bent_acquisition_is_refused(tmp_path: Path, acquisition: dict[str, Any]) -> None:
    cohort = fill(Cohort.open_or_create(tmp_path / "c", "c"), 1)
    (case,) = cohort
    about = json.loads((case.path / "case.json").read_text())
    (case.path / "case.json").write_text(json.dumps(about | {"acquisition": acquisition}))
    with pytest.raises(CohortError, match=r"case\.json is damaged \(acquisition\."):
        _ = cohort[case.id]
