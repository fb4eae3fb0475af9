import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from shutil import copy

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from tests.dicom.conftest import (
    PATIENT,
    SHARED_DATA,
    block,
    edit,
    make_scan,
    make_structure_set,
    recode,
)
from tests.geometry.conftest import make_grid
from tests.journeys.conftest import write_patient

from recontour.cli import main, tell
from recontour.cohort import Cohort, case_id_of, importing, store, tables
from recontour.cohort.arrays import write_array
from recontour.cohort.findings import (
    CutByScan,
    DamagedCohortFile,
    DoubtfulSides,
    KeysOfAnotherSalt,
    MapNotApplied,
    NotAnArray,
    SharedSourceUid,
    TooFewToCompare,
)
from recontour.cohort.import_findings import (
    AdditionalOrgans,
    ChangedSource,
    ContoursBeyondCt,
    DrawnOnEverySecondSlice,
    EmptySlicesBetween,
    EmptySlicesWithContours,
    MissingImages,
    NamesNotMapped,
    NoContouredArea,
    NoContourOnSlices,
    NoKnownOrgan,
    NothingImported,
    OmittedPlanes,
    OrgansLacking,
    PlanesOffSlices,
    SeveralCasesOfOneCt,
    SeveralCtsOfOnePatient,
    UnusableContours,
    UnusableSource,
)
from recontour.cohort.importing import import_archive, import_dicom
from recontour.cohort.patients import salt_for
from recontour.cohort.tables import HIDDEN_NAME
from recontour.cohort.traits import shared_source_uids
from recontour.cohort.who import archive_id_of
from recontour.dicom import (
    Authorship,
    Scan,
    read_archive,
    read_scan,
    read_series,
    write_segmentation,
)
from recontour.dicom.deidentify import deidentify
from recontour.dicom.findings import NewestStructureSetTaken, SharedStructureSetUid
from recontour.errors import CohortError, FaultError, NoSeriesError
from recontour.findings import Finding, kind, stored_words, words
from recontour.geometry import raster
from recontour.organs.findings import (
    ContradictoryMapLine,
    EqualClaims,
    MappedMargin,
    NoDrawnArea,
    NotApplied,
    UnmatchedMapNames,
)
from recontour.partials import Lock
from recontour.workflows import CohortContents

ORGANS = {  # as OpenKBP's arrays order them
    "Brainstem": 0,
    "SpinalCord": 1,
    "Parotid_L": 2,
    "Parotid_R": 3,
    "Bone_Mandible": 4,
    "Larynx": 5,
    "Esophagus": 6,
}


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return Cohort.open_or_create(tmp_path / "cohort", "B")


def patient(folder: Path, names: tuple[str, ...] = ("Brain Stem",), seed: str = "a") -> str:
    """A CT and a structure set of 2 x 2 pixel blocks; returns the series UID."""
    scan = make_scan(folder / "ct", seed=seed)
    make_structure_set(folder / "rs.dcm", scan, names, seed=seed)
    return scan.source.series_instance_uid


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reasons_stored(cohort: Cohort) -> list[str]:
    return [row["reason"] for row in rows(cohort.path / "left_out.csv")]


def told(report: importing.ImportReport) -> tuple[Finding, ...]:
    """The notes but two kinds: organs fill these few cases' scans from end to end."""
    left_out = CutByScan | TooFewToCompare
    return tuple(note for note in report.notes if not isinstance(note, left_out))


def without_case(notes: Iterable[Finding]) -> list[Finding]:
    return [replace(note, case=None) for note in notes]


def test_a_patient_becomes_a_case(tmp_path: Path, cohort: Cohort) -> None:
    uid = patient(tmp_path / "dicom", ("Brain Stem", "LT PAROTID", "PTV70"))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert report.added == (case_id_of("B", uid),)
    assert report.left_out == ()
    (case,) = cohort
    scan = make_scan(tmp_path / "again")
    assert case.grid == scan.grid
    np.testing.assert_array_equal(case.hu, scan.hu)
    assert set(case.organs) == {"Brainstem", "Parotid_L"}
    np.testing.assert_array_equal(case.mask("Brainstem"), block(scan.grid))


def test_importing_twice_adds_nothing_twice_and_says_the_same_of_the_names(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom")
    first = import_archive(read_archive(tmp_path / "dicom"), cohort)
    saved = (cohort.path / "names.csv").read_text()
    second = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert second.added == ()
    assert second.already_there == first.added
    assert second.names == first.names
    assert (cohort.path / "names.csv").read_text() == saved
    assert len(cohort) == 1


def test_notes_on_old_cases_are_counted_after_what_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_patient(tmp_path / "dicom", 0)
    archive, cohort = str(tmp_path / "dicom"), str(tmp_path / "north")

    def said(*options: str) -> tuple[str, list[str]]:
        """What follows the table of names: the count, and the notes."""
        assert main(["import", archive, cohort, *options]) == 0
        lines = capsys.readouterr().out.splitlines()
        begin = next(i for i, line in enumerate(lines) if " there already, " in line)
        assert not any(line.startswith("note: ") for line in lines[:begin])
        return lines[begin], lines[begin + 1 :]

    first, notes = said()
    assert first.startswith("1 added")
    assert any("Lens_L" in note for note in notes), "it reaches the end of the scan"
    again, brief = said("--partial", "Brainstem")
    assert again.startswith("0 added, 1 there already")
    few, news, count, whose = brief
    assert few.startswith("note: 1 case: too few to compare")
    assert whose == f"whose these are: `recontour inspect {cohort} --who`"
    assert news.startswith("note: --partial: not applied to Brainstem in 1 case")
    assert count.endswith(
        f" on cases that were there before: `recontour inspect {cohort}` shows those on contours, "
        "and --json shows all"
    )


def test_one_ct_under_other_uids_is_noted_once(tmp_path: Path, cohort: Cohort) -> None:
    first = patient(tmp_path / "first", seed="a")
    import_archive(read_archive(tmp_path / "first"), cohort)
    assert cohort.twins == []
    again = patient(tmp_path / "again", seed="b")
    report = import_archive(read_archive(tmp_path / "again"), cohort)
    twins = tuple(sorted(case_id_of("B", uid) for uid in (first, again)))
    assert cohort.twins == [twins]
    assert told(report) == (SeveralCasesOfOneCt(cases=twins),)
    assert told(import_archive(read_archive(tmp_path / "again"), cohort)) == ()


def test_two_cts_of_one_patient_are_noted(tmp_path: Path, cohort: Cohort) -> None:
    uids = [patient(tmp_path / "dicom" / seed, seed=seed) for seed in "abc"]
    edit(tmp_path / "dicom" / "b" / "ct", lambda image: setattr(image, "PatientID", "SOMEONE ELSE"))
    for folder in ("a", "c"):
        edit(tmp_path / "dicom" / folder / "ct", lambda image: image.__delattr__("PatientID"))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert not any(isinstance(note, SeveralCtsOfOnePatient) for note in told(report))
    again = patient(tmp_path / "dicom" / "d", seed="d")
    edit(tmp_path / "dicom" / "d" / "ct", lambda image: setattr(image, "PatientID", "SOMEONE ELSE"))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    both = sorted(case_id_of("B", uid) for uid in (uids[1], again))
    found = [note for note in told(report) if isinstance(note, SeveralCtsOfOnePatient)]
    assert found == [SeveralCtsOfOnePatient(cases=tuple(both))]


def test_a_structure_set_that_has_changed_is_noted_and_the_case_stays(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom")
    (case_id,) = import_archive(read_archive(tmp_path / "dicom"), cohort).added
    before = cohort[case_id].source_hash
    edit(tmp_path / "dicom" / "rs.dcm", lambda dataset: setattr(dataset, "SOPInstanceUID", "1.2.3"))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert report.already_there == (case_id,)
    assert told(report) == (ChangedSource(case=case_id, what="structure set"),)
    assert cohort[case_id].source_hash == before


def test_a_structure_set_that_is_damaged_later_is_noted_and_the_case_stays(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom")
    (case_id,) = import_archive(read_archive(tmp_path / "dicom"), cohort).added
    drawn = tmp_path / "dicom" / "rs.dcm"
    drawn.write_bytes(drawn.read_bytes()[:-30])
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert (report.already_there, report.left_out) == ((case_id,), ())
    (note,) = told(report)
    assert isinstance(note, UnusableSource)
    assert (note.case, note.what, note.why.path) == (case_id, "structure set", drawn)
    assert words(note).startswith(f"{case_id}: stays as imported; its structure set can no longer")
    assert rows(cohort.path / "left_out.csv") == []


def test_names_are_counted_and_saved(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom" / "1", ("Cord", "Parotid", "BODY"), seed="a")
    patient(tmp_path / "dicom" / "2", ("Cord", "BODY"), seed="b")
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert [(row.roi_name, row.tg263, row.status, count) for row, count in report.names] == [
        ("Cord", "SpinalCord", "mapped", 2),
        ("Parotid", None, "ambiguous", 1),
        ("BODY", None, "ignored", 2),
    ]
    assert [row["patients"] for row in rows(cohort.path / "names.csv")] == ["2", "1", "2"]
    assert rows(cohort.path / "names.csv")[0]["tg263"] == "SpinalCord"


def test_the_users_map_is_obeyed(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom", ("脑干", "Cord"))
    import_archive(read_archive(tmp_path / "dicom"), cohort, {"脑干": "Brainstem", "Cord": ""})
    assert cohort.organs == ("Brainstem",)


def test_an_organ_that_is_not_drawn_or_not_on_the_ct_is_unknown(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom", ("Brainstem", "Cord", "Larynx", "Parotid_L"))

    def change(dataset: Dataset) -> None:
        del dataset.ROIContourSequence[1].ContourSequence
        for contour in dataset.ROIContourSequence[2].ContourSequence:
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            points[:, 2] += 500
            contour.ContourData = [str(value) for value in points.ravel()]
        dataset.StructureSetROISequence[
            1
        ].ROIName = "Parotid_L"  # empty: no rival of the one that is drawn

    edit(tmp_path / "dicom" / "rs.dcm", change)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert cohort.organs == ("Brainstem", "Parotid_L")
    assert NoContourOnSlices(case=report.added[0], roi="Larynx") in told(report)
    ignored = [row for row, _ in report.names if row.status == "ignored"]
    assert [(row.roi_name, row.reason) for row in ignored] == [("Parotid_L", NoDrawnArea())]


@pytest.mark.parametrize(
    ("drawn", "noted"),
    [
        (
            [0, 2, 4, 6, 8],
            DrawnOnEverySecondSlice(organ="Brainstem", roi="Brainstem", shown=5, between=4),
        ),
        (
            [0, 4, 8],
            DrawnOnEverySecondSlice(organ="Brainstem", roi="Brainstem", shown=3, between=6),
        ),
        ([0, 1, 2, 4, 5], EmptySlicesBetween(roi="Brainstem", between=1)),
        ([3, 4, 5], None),
        ([0, 3], EmptySlicesBetween(roi="Brainstem", between=2)),
    ],
)
def test_an_organ_on_every_second_slice_is_unknown_and_a_gap_is_noted(
    tmp_path: Path, cohort: Cohort, drawn: list[int], noted: Finding | None
) -> None:
    """A model would learn that the slices between do not show the organ."""
    scan = make_scan(tmp_path / "dicom" / "ct", make_grid((9, 6, 7)))
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, ("Brainstem", "Cord"))

    def change(dataset: Dataset) -> None:
        contours = dataset.ROIContourSequence[0].ContourSequence
        dataset.ROIContourSequence[0].ContourSequence = [contours[index] for index in drawn]

    edit(tmp_path / "dicom" / "rs.dcm", change)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    (case,) = cohort
    is_unknown = isinstance(noted, DrawnOnEverySecondSlice)
    assert case.organs == (("SpinalCord",) if is_unknown else ("Brainstem", "SpinalCord"))
    if not is_unknown:
        assert case.slices_with("Brainstem").tolist() == drawn
    assert without_case(told(report)) == ([noted] if noted else [])


def test_organs_and_names_that_did_not_come_in_are_counted_in_a_line_each(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "a", ("Brainstem", "Cord", "Zebedee"), "a")
    patient(tmp_path / "b", ("Brainstem", "Zebedee", "Dougal", "Parotid", "PTV70"), "b")
    first = told(import_archive(read_archive(tmp_path / "a"), cohort))
    names = NamesNotMapped(path=tmp_path / "a", unknown=1, ambiguous=0)
    assert first == (names,), "what the only case lacks is not known"
    report = import_archive(read_archive(tmp_path / "b"), cohort)
    lacking = OrgansLacking(cases=report.added, of=1, organs=("SpinalCord",), counts=(1,))
    names = NamesNotMapped(path=tmp_path / "b", unknown=2, ambiguous=1)
    assert told(report)[-2:] == (lacking, names)
    assert "SpinalCord is missing in 1;" in words(lacking)
    said = words(told(report)[-1])
    assert "2 unknown ROI names and 1 ambiguous ROI name: what is drawn under them was not" in said
    assert f"import {tmp_path / 'b'} --draft-map MAP.toml" in said


@pytest.mark.parametrize("swapped", [True, False])
def test_left_to_the_right_of_right_is_noted(tmp_path: Path, cohort: Cohort, swapped: bool) -> None:
    patient(tmp_path / "dicom", ("Parotid_L", "Parotid_R"))

    def move(dataset: Dataset) -> None:
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            points[:, 0] += -4 if swapped else 4
            contour.ContourData = [str(value) for value in points.ravel()]

    edit(tmp_path / "dicom" / "rs.dcm", move)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    noted = DoubtfulSides(path=cohort.path, cases=report.added, on_the_right=("Parotid_L",))
    assert told(report) == ((noted,) if swapped else ())
    (case,) = cohort
    assert case.traits.has_doubtful_sides == swapped


def test_that_another_structure_set_has_the_uid_of_the_one_taken_stays_with_the_case(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom", ("Brainstem", "SpinalCord"))
    older = tmp_path / "dicom" / "older.dcm"
    copy(tmp_path / "dicom" / "rs.dcm", older)
    edit(older, lambda dataset: setattr(dataset, "StructureSetDate", "19991231"))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert without_case(told(report)) == [NewestStructureSetTaken(count=2), SharedStructureSetUid()]
    (case,) = cohort
    assert shared_source_uids(cohort) == (SharedSourceUid(cases=(case.id,)),)
    older.unlink()
    import_archive(read_archive(tmp_path / "dicom"), cohort, again=True)
    assert shared_source_uids(cohort) == ()


def test_contours_beyond_the_ct_are_noted(tmp_path: Path, cohort: Cohort) -> None:
    scan = make_scan(tmp_path / "dicom" / "ct", make_grid((9, 6, 7)))
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    for path in sorted((tmp_path / "dicom" / "ct").iterdir())[:2]:
        path.unlink()
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert without_case(told(report)) == [
        MissingImages(missing=2, referenced=9),
        ContoursBeyondCt(roi="Brainstem", beyond=2, contours=9),
    ]


@pytest.mark.parametrize("cause", ["no type", "Closed_Planar", "ROI numbers that no ROI has"])
def test_a_structure_set_without_area_is_not_said_to_be_mappable(
    tmp_path: Path, cohort: Cohort, cause: str
) -> None:
    patient(tmp_path / "dicom", ("Brainstem", "Cord"))

    def change(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence:
            if "number" in cause:
                roi.ReferencedROINumber += 70
            for contour in roi.ContourSequence if "number" not in cause else ():
                contour.ContourGeometricType = cause if cause == "Closed_Planar" else ""

    edit(tmp_path / "dicom" / "rs.dcm", change)
    (left_out,) = import_archive(read_archive(tmp_path / "dicom"), cohort).left_out
    assert isinstance(left_out.finding, NoContouredArea)
    assert cause in words(left_out.finding)
    assert "--names" not in words(left_out.finding)


def contours_of(dataset: Dataset) -> list[Dataset]:
    return [contour for roi in dataset.ROIContourSequence for contour in roi.ContourSequence]


def moved(contour: Dataset, by_mm: tuple[float, float, float]) -> Dataset:
    """A contour again, elsewhere."""
    again = deepcopy(contour)
    points = np.array(contour.ContourData, dtype=float).reshape(-1, 3) + by_mm
    again.ContourData = [f"{value:.4f}" for value in points.ravel()]
    return again


@pytest.mark.parametrize("up_mm", [0.29, 0.31, 1.25])
def test_contours_between_slices_are_noted(tmp_path: Path, cohort: Cohort, up_mm: float) -> None:
    """On slices 3 mm apart, two organs on nine slices each."""
    scan = make_scan(tmp_path / "dicom" / "ct", make_grid((9, 6, 7)))
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, ("Brainstem", "Cord"))

    def shift(dataset: Dataset) -> None:
        for contour in contours_of(dataset):
            contour.ContourData = moved(contour, (0, 0, up_mm)).ContourData

    edit(tmp_path / "dicom" / "rs.dcm", shift)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    notes = without_case(told(report))
    assert [type(note) for note in notes] == [PlanesOffSlices] * (up_mm > 0.3)
    for note in notes:
        assert isinstance(note, PlanesOffSlices)
        assert (note.off, note.planes) == (18, 18)
        assert note.typical_mm == pytest.approx(up_mm)


def test_planes_that_fall_on_one_slice_are_noted(tmp_path: Path, cohort: Cohort) -> None:
    """Every second image is missing, so its planes fall on the slice below or on none."""
    scan = make_scan(tmp_path / "dicom" / "ct", make_grid((9, 6, 7)))
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, ("Brainstem", "Cord"))
    for path in sorted((tmp_path / "dicom" / "ct").iterdir())[1::2]:
        path.unlink()
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert without_case(told(report)) == [
        MissingImages(missing=4, referenced=9),
        OmittedPlanes(left_out=8, planes=18),
    ]


def test_images_of_another_series_are_not_missed(tmp_path: Path, cohort: Cohort) -> None:
    """A structure set of a CT and an MR."""
    patient(tmp_path / "dicom")

    def add(dataset: Dataset) -> None:
        series = (
            dataset.ReferencedFrameOfReferenceSequence[0]
            .RTReferencedStudySequence[0]
            .RTReferencedSeriesSequence
        )
        other = Dataset()
        other.SeriesInstanceUID, other.ContourImageSequence = "1.2.3", [Dataset()]
        other.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
        series.append(other)

    edit(tmp_path / "dicom" / "rs.dcm", add)
    assert told(import_archive(read_archive(tmp_path / "dicom"), cohort)) == ()


def test_slices_that_contours_leave_empty_are_noted(tmp_path: Path, cohort: Cohort) -> None:
    """On one slice, a second contour lies so close around the first that no pixel is between."""
    patient(tmp_path / "dicom")

    def surround(dataset: Dataset) -> None:
        for contour in contours_of(dataset)[2:3]:
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            middle = points.mean(axis=0)
            again = moved(contour, (0, 0, 0))
            again.ContourData = [
                f"{value:.4f}" for value in ((points - middle) * 1.02 + middle).ravel()
            ]
            dataset.ROIContourSequence[0].ContourSequence.append(again)

    edit(tmp_path / "dicom" / "rs.dcm", surround)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert without_case(told(report)) == [
        EmptySlicesWithContours(roi="Brain Stem", slices=1),
        EmptySlicesBetween(roi="Brain Stem", between=1),
    ]


def test_two_rois_of_one_name_are_neither_taken_nor_said_to_be_mappable(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom", ("Brainstem", "Brainstem", "Cord"))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort, {"brainstem": "Brainstem"})
    assert cohort.organs == ("SpinalCord",)
    reasons = {row.reason for row, _ in report.names if row.status == "ambiguous"}
    assert reasons == {EqualClaims(claimed="Brainstem", rois=2, of_one_name=True)}


def test_contours_without_end_cost_their_organ_and_no_other(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom", ("Brainstem", "Cord"))

    def zigzag(dataset: Dataset) -> None:
        points = np.column_stack(
            [np.linspace(-7, 6, 300_000), np.tile([-4.0, 4.0], 150_000), np.zeros(300_000)]
        )
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
        contour.NumberOfContourPoints = len(points)

    # So many points do not fit into an explicit DS.
    recode(tmp_path / "dicom" / "rs.dcm", ImplicitVRLittleEndian)
    edit(tmp_path / "dicom" / "rs.dcm", zigzag)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert cohort.organs == ("SpinalCord",)
    (note,) = [note for note in told(report) if isinstance(note, UnusableContours)]
    assert note.organ == "Brainstem"
    assert "cross" in note.why.sentence()


def test_patients_that_cannot_be_used_are_listed_and_the_rest_is_imported(
    tmp_path: Path, cohort: Cohort
) -> None:
    dicom = tmp_path / "dicom"
    patient(dicom / "good", seed="good")
    patient(dicom / "no organ", ("BODY",), seed="no organ")
    patient(dicom / "gap", seed="gap")
    (dicom / "gap" / "ct" / "CT0003.dcm").unlink()
    patient(dicom / "cut", seed="cut")
    cut = dicom / "cut" / "ct" / "CT0003.dcm"
    cut.write_bytes(cut.read_bytes()[:-30])
    patient(dicom / "frame", seed="frame")
    edit(dicom / "frame" / "ct", lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3"))
    patient(dicom / "two", seed="two")
    edit(
        dicom / "two" / "ct" / "CT0003.dcm",
        lambda image: setattr(image, "PatientID", "SOMEONE ELSE"),
    )
    make_scan(dicom / "lonely", seed="lonely")
    (dicom / "letter.dcm").write_text("Dear colleague")
    report = import_archive(read_archive(dicom), cohort)
    assert len(report.added) == len(cohort) == 1
    kinds = {str(left.place.relative_to(dicom)): kind(left.finding) for left in report.left_out}
    assert kinds == {
        "no organ/rs.dcm": "no_known_organ",
        "gap/ct": "missing_slice",
        "cut/ct": "truncated_dicom",
        "frame/ct": "contours_of_another_ct",
        "two/ct": "differing_files",
        "lonely": "no_structure_set",
        "letter.dcm": "not_dicom",
    }
    assert reasons_stored(cohort) == [stored_words(left.finding) for left in report.left_out]


@pytest.mark.parametrize("name", ["in", "a", "1", "."])
def test_a_folder_whose_name_is_a_word_does_not_garble_the_stored_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dicom = tmp_path / "here" / name
    patient(dicom / "good", seed="good")
    patient(dicom / "gap", seed="gap")
    (dicom / "gap" / "ct" / "CT0003.dcm").unlink()
    monkeypatch.chdir(tmp_path / "here")
    cohort = Cohort.open_or_create(tmp_path / "cohort", "B")
    import_archive(read_archive(Path(name)), cohort)
    (reason,) = reasons_stored(cohort)
    assert reason.startswith("no slice between z = 3.0 and 9.0 mm (every 3.0 mm beside it);")


def test_a_ct_with_other_pixels_under_the_uids_of_a_case_is_reported(
    tmp_path: Path, cohort: Cohort
) -> None:
    """Somebody overrode densities after the import."""
    patient(tmp_path / "dicom")
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert told(import_archive(read_archive(tmp_path / "dicom"), cohort)) == ()

    def override(image: Dataset) -> None:
        image.PixelData = (image.pixel_array + 10).astype("<i2").tobytes()

    edit(tmp_path / "dicom" / "ct" / "CT0003.dcm", override)
    notes = told(import_archive(read_archive(tmp_path / "dicom"), cohort))
    assert without_case(notes) == [ChangedSource(what="CT")]


def test_a_salt_that_was_lost_makes_nobody_another_patient(
    tmp_path: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of two salts cannot be compared: that they differ says nothing."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    patient(tmp_path / "dicom")
    (case_id,) = import_archive(read_archive(tmp_path / "dicom"), cohort).added
    salt = tmp_path / "home" / "recontour" / "salt"
    salt.unlink()
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert (report.already_there, report.left_out) == ((case_id,), ())
    assert told(report) == (KeysOfAnotherSalt(path=salt, cases=1),)


def test_what_is_left_out_of_one_folder_can_be_told_apart(
    tmp_path: Path, cohort: Cohort, capsys: pytest.CaptureFixture[str]
) -> None:
    """The screen shows one file, the id in left_out.csv, and the structure sets to choose from."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for seed in ("good", "gap", "tie"):
        scan = make_scan(tmp_path / seed, seed=seed)
        for name in ("rs.dcm", "again.dcm") if seed == "tie" else ("rs.dcm",):
            make_structure_set(tmp_path / seed / name, scan, seed=f"{seed} {name}")
            edit(tmp_path / seed / name, lambda data: setattr(data, "StructureSetTime", "120000"))
        for file in (tmp_path / seed).iterdir():
            file.rename(flat / f"{seed} {file.name}")
    (flat / "gap CT0003.dcm").unlink()
    report = import_archive(read_archive(flat), cohort)
    assert {found.place.name for found in report.left_out} == {"gap CT0001.dcm", "tie CT0001.dcm"}
    (tie,) = (found for found in report.left_out if found.place.name.startswith("tie"))
    assert f"{flat / 'tie again.dcm'}, {flat / 'tie rs.dcm'}" in words(tie.finding)
    tell.imported(report, cohort)
    shown = capsys.readouterr().out
    listed = rows(cohort.path / "left_out.csv")
    assert len(listed) == 2
    assert all(row["what"] in shown and ".dcm" not in row["reason"] for row in listed)


def test_nothing_in_the_cohort_names_a_patient(tmp_path: Path, cohort: Cohort) -> None:
    """No name of a folder or patient, no ID, date or UID, even if a ROI or an error holds it."""
    family, given = PATIENT[0].split("^")
    dicom = tmp_path / f"{family} {PATIENT[1]}"
    free = (
        f"GTV {family}",
        "boost 2019-02-14",
        "boost 14.02.19",
        "boost 14 Feb",
        "GTV Ng",
        "GTV 李",
        "mass 471123",
    )
    uids = [patient(dicom / given, ("Cord", "PTV 70", *free), seed="a")]
    uids.append(patient(dicom / "none", (f"Tumor {given}",), seed="none"))
    uids.append(patient(dicom / "bad", seed="bad"))
    edit(dicom / "bad" / "ct", lambda image: setattr(image, "RescaleType", family))
    make_scan(dicom / "lonely", seed="lonely")
    (dicom / "letter.dcm").write_text("Dear colleague")
    report = import_archive(read_archive(dicom), cohort)
    assert len(cohort) == 1
    # the screen shows what could be mapped
    assert set(free) < {row.roi_name for row, _ in report.names}
    assert NoKnownOrgan(roi_names=(f"Tumor {given}",)) in [left.finding for left in report.left_out]
    assert {row["roi_name"] for row in rows(cohort.path / "names.csv")} == {
        "Cord",
        "PTV 70",
        HIDDEN_NAME,
    }
    assert "no_hounsfield_units" in [kind(left.finding) for left in report.left_out]
    kept = b"".join(file.read_bytes() for file in cohort.path.rglob("*") if file.is_file()).lower()
    kept += (
        " ".join(str(entry.relative_to(cohort.path)) for entry in cohort.path.rglob("*"))
        .lower()
        .encode()
    )
    assert b"spinalcord" in kept
    for secret in (family, given, PATIENT[1], "20200101", "1.2.826", *uids, *free):
        assert secret.lower().encode() not in kept, secret


def test_no_note_is_saved(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom", ("Cord", "Brainstem"))

    def shrink(dataset: Dataset) -> None:
        dataset.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "OPEN_PLANAR"

    edit(tmp_path / "dicom" / "rs.dcm", shrink)
    (note,) = told(import_archive(read_archive(tmp_path / "dicom"), cohort))
    assert "1 open contour ignored: OPEN_PLANAR (ROI Cord)" in words(note)
    assert not any(
        b"OPEN_PLANAR" in file.read_bytes() for file in cohort.path.rglob("*") if file.is_file()
    )


def test_a_malformed_contour_costs_its_organ_and_no_other(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom", ("Couch", "Cord", "Brainstem"))

    def bend(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence[:2]:
            roi.ContourSequence[0].ContourData[2] += 3

    edit(tmp_path / "dicom" / "rs.dcm", bend)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert cohort.organs == ("Brainstem",)
    (note,) = told(report)
    assert isinstance(note, UnusableContours)
    assert note.organ == "SpinalCord"
    assert "spans z = " in words(note)
    again = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert told(again) == told(report)  # and no note of more organs
    # Without the sound one, nothing is left.
    edit(tmp_path / "dicom" / "rs.dcm", lambda dataset: dataset.StructureSetROISequence.pop())
    with pytest.raises(NoSeriesError, match=r"ROIs: Couch, Cord; .*SpinalCord: unknown .*spans z"):
        import_dicom(tmp_path / "dicom", tmp_path / "new")


def test_what_another_import_adds_meanwhile_is_there_already(
    tmp_path: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(tmp_path / "dicom")
    archive = read_archive(tmp_path / "dicom")

    def read_while_another_imports(files: Sequence[Path]) -> Scan:
        monkeypatch.undo()
        assert len(import_archive(archive, cohort).added) == 1
        return read_series(files)

    monkeypatch.setattr(importing, "read_series", read_while_another_imports)
    report = import_archive(archive, cohort)
    assert (report.added, report.already_there) == ((), cohort.case_ids)


def test_what_is_left_out_stays_listed_until_it_is_imported(tmp_path: Path, cohort: Cohort) -> None:
    for name in "ab":
        patient(tmp_path / name / "good", seed=f"good {name}")
        make_scan(tmp_path / name / "lonely", seed=f"lonely {name}")
        (tmp_path / name / f"{name}.dcm").write_text("Dear colleague")
        import_archive(read_archive(tmp_path / name), cohort)
    assert len(rows(cohort.path / "left_out.csv")) == 4
    make_structure_set(tmp_path / "a" / "rs.dcm", read_scan(tmp_path / "a" / "lonely"))
    copy(tmp_path / "a" / "good" / "rs.dcm", tmp_path / "a" / "a.dcm")
    (tmp_path / "a" / "good" / "rs.dcm").unlink()
    report = import_archive(read_archive(tmp_path / "a"), cohort)
    assert (len(report.added), len(report.already_there), report.left_out) == (1, 1, ())
    no_structures, no_dicom = sorted(reasons_stored(cohort))
    assert no_structures.startswith("no structure set")
    assert no_dicom.startswith("not a DICOM file")


def test_a_bad_file_s_place_cannot_be_guessed_without_the_salt(
    tmp_path: Path, cohort: Cohort
) -> None:
    """It is marked as the archive's path is, with the salt of this user."""
    patient(tmp_path / "dicom")
    (tmp_path / "dicom" / "Zebedee.dcm").write_text("Dear colleague")
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    salt = salt_for(cohort.path)
    (row,) = rows(cohort.path / "left_out.csv")
    assert row["what"] == f"file {salt.mark('file', 'Zebedee.dcm')}"
    assert row["archive"] == archive_id_of(tmp_path / "dicom", salt)


@pytest.mark.parametrize("mend", ["remove", "replace"])
def test_a_bad_file_that_is_gone_is_no_longer_listed(
    tmp_path: Path, cohort: Cohort, mend: str
) -> None:
    patient(tmp_path / "dicom")
    stray = tmp_path / "dicom" / "stray.dcm"
    stray.write_text("Dear colleague")
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert len(rows(cohort.path / "left_out.csv")) == 1
    if mend == "remove":
        stray.unlink()
    else:
        # A copy of an image does not matter.
        copy(next((tmp_path / "dicom" / "ct").iterdir()), stray)
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert rows(cohort.path / "left_out.csv") == []


@pytest.mark.parametrize(
    ("trouble", "kept"),
    [(KeyboardInterrupt(), 0), (KeyboardInterrupt(), 1), (OSError(28, "full"), 0)],
)
def test_a_broken_off_import_leaves_nothing_or_whole_patients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException, kept: int
) -> None:
    """It breaks while a case is written; a second import completes it."""
    for name in "ab":
        patient(tmp_path / "dicom" / name, seed=name)
    written: list[Path] = []

    def break_off(file: Path, array: npt.NDArray[np.int16]) -> str:
        digest = write_array(file, array)
        written.append(file)
        if len(written) == 2 * kept + 2:  # ct.npy and masks.npy of each case
            raise trouble
        return digest

    monkeypatch.setattr(store, "write_array", break_off)
    with pytest.raises((KeyboardInterrupt, FaultError)):
        import_dicom(tmp_path / "dicom", tmp_path / "new")
    monkeypatch.undo()
    assert [*tmp_path.rglob("*.partial")] == []
    assert (tmp_path / "new").exists() is (kept > 0)
    report = import_dicom(tmp_path / "dicom", tmp_path / "new")
    assert (len(report.already_there), len(report.added)) == (kept, 2 - kept)


def test_names_of_earlier_imports_stay_with_their_newest_status(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "a", ("Cord", "Parotid", "Larynx"), seed="a")
    patient(tmp_path / "b", ("Cord", "Parotid"), seed="b")
    import_archive(read_archive(tmp_path / "a"), cohort)
    import_archive(read_archive(tmp_path / "b"), cohort, {"Parotid": "Parotid_R"})
    assert {
        row["roi_name"]: row["status"] for row in rows(cohort.path / "names.csv")
    } == dict.fromkeys(("Cord", "Parotid", "Larynx"), "mapped")


SPOILT = [
    b"spoilt;in;a;spreadsheet\xe9",
    b"roi_name;tg263;status;reason;patients\n",
    b"roi_name,tg263,status,reason,patients\nCord,SpinalCord\n",
    b"",
]


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("name", ["names.csv", "left_out.csv"])
def test_a_table_that_cannot_be_read_is_not_overwritten(
    tmp_path: Path, cohort: Cohort, name: str, spoilt: bytes
) -> None:
    """It is found before the work, so no patient is imported either. The advice helps."""
    patient(tmp_path / "a")
    table = cohort.path / name
    table.write_bytes(spoilt)
    with pytest.raises(
        CohortError, match=f"{name}: (not a table|cannot be read).*move it away, then repeat"
    ):
        import_archive(read_archive(tmp_path / "a"), cohort)
    assert table.read_bytes() == spoilt
    assert cohort.case_ids == ()
    table.rename(tmp_path / "away")
    assert len(import_archive(read_archive(tmp_path / "a"), cohort).added) == 1


def test_no_row_is_lost_when_two_imports_overlap(
    tmp_path: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a share without locks, another import writes just after ours has read or written."""
    patient(tmp_path / "a", ("Cord", "Parotid"), seed="a")
    others = [
        ["Larynx", "Larynx", "mapped", "TG-263", "1"],
        ["Lips", "Lips", "mapped", "TG-263", "1"],
    ]
    write = tables._write_csv

    def written(path: Path, header: Sequence[str], table: tables.Rows) -> None:
        write(path, header, table)
        if others and path.name == "names.csv":
            write(path, header, [others.pop()])

    monkeypatch.setattr(tables, "_write_csv", written)
    monkeypatch.setattr("recontour.partials.lock", lambda _at, **_: Lock.NONE)
    import_archive(read_archive(tmp_path / "a"), cohort)
    assert {row["roi_name"] for row in rows(cohort.path / "names.csv")} >= {
        "Cord",
        "Parotid",
        "Larynx",
    }


def test_a_table_is_brought_up_to_date_by_one_import_at_a_time(
    tmp_path: Path, cohort: Cohort
) -> None:
    (cohort.path / "names.csv").write_text("roi_name,tg263,status,reason,patients\n")
    add = "; ".join(
        [
            "import sys",
            "from pathlib import Path",
            "from recontour.cohort.tables import _update_csv",
            "path, name = Path(sys.argv[1]), sys.argv[2]",
            "row = lambda n: [f'{name}{n}', '', '', '', '1']",
            "[_update_csv(path, lambda old: [*old, row(n)]) for n in range(40)]",
        ]
    )
    commands = [[sys.executable, "-c", add, str(cohort.path / "names.csv"), name] for name in "abc"]
    running = [subprocess.Popen(command) for command in commands]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert len(rows(cohort.path / "names.csv")) == 120


def test_import_into_a_cohort_whose_label_is_a_path_writes_nothing_elsewhere(
    tmp_path: Path, cohort: Cohort
) -> None:
    patient(tmp_path / "dicom")
    about = cohort.path / "cohort.json"
    for label in (str(tmp_path / "elsewhere" / "x"), "../../x", "..", "\\x"):
        about.write_text(json.dumps(json.loads(about.read_text()) | {"centre": label}))
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(CohortError, match="label"):
            import_dicom(tmp_path / "dicom", cohort.path)
        assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_case_is_left_out_and_the_others_are_imported(
    tmp_path: Path, cohort: Cohort
) -> None:
    """A power cut may leave a case whose arrays are empty."""
    patient(tmp_path / "dicom" / "a", seed="a")
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    (case,) = cohort
    (case.path / "ct.npy").write_bytes(b"")
    patient(tmp_path / "dicom" / "b", seed="b")
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert (len(report.added), len(report.already_there)) == (1, 0)
    (left,) = report.left_out
    assert left.what == case.id
    damage = NotAnArray(seen="nothing")
    assert left.finding == DamagedCohortFile(
        path=case.path,
        case=case.id,
        file="ct.npy",
        why=damage,
    )
    stored = f"{case.id}: ct.npy is damaged (it is empty); take"
    assert reasons_stored(cohort)[0].startswith(stored)


def test_a_new_map_does_not_change_a_case_silently(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom", ("Brain Stem", "my cord"))
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    again = import_archive(read_archive(tmp_path / "dicom"), cohort, {"my cord": "SpinalCord"})
    assert without_case(told(again)) == [
        AdditionalOrgans(organs=("SpinalCord",)),
        MapNotApplied(cases=1, of=1, organs=("SpinalCord",)),
    ]
    assert cohort.organs == ("Brainstem",)
    by_name = {row["roi_name"]: row for row in rows(cohort.path / "names.csv")}
    assert by_name[HIDDEN_NAME]["tg263"] == ""
    assert "not applied" in by_name[HIDDEN_NAME]["reason"]
    assert cohort.not_applied == cohort.case_ids


@pytest.mark.parametrize("wanted", ["Bone_Mandible", "ignore"])
def test_a_name_that_the_map_moves_is_shown_as_it_was_imported(
    tmp_path: Path, cohort: Cohort, wanted: str
) -> None:
    patient(tmp_path / "dicom", ("Brain Stem", "my cord"))
    import_archive(read_archive(tmp_path / "dicom"), cohort, {"my cord": "SpinalCord"})
    moved = import_archive(read_archive(tmp_path / "dicom"), cohort, {"my cord": wanted})
    (row,) = [row for row, _ in moved.names if row.roi_name == "my cord"]
    now = "" if wanted == "ignore" else wanted
    assert (row.tg263, row.reason) == ("SpinalCord", NotApplied(now=now))
    assert told(moved)[-1] == MapNotApplied(
        cases=1, of=1, organs=tuple(sorted(filter(None, ("SpinalCord", now))))
    )
    assert cohort.organs == ("Brainstem", "SpinalCord")
    as_before = import_archive(read_archive(tmp_path / "dicom"), cohort, {"my cord": "SpinalCord"})
    assert (told(as_before), cohort.not_applied) == ((), ())


def test_patients_read_again_have_the_organs_of_the_map_of_now(
    tmp_path: Path, cohort: Cohort
) -> None:
    for seed in "ab":
        patient(tmp_path / "dicom" / seed, ("Brain Stem", "my cord"), seed)
    archive = read_archive(tmp_path / "dicom")
    first = import_archive(archive, cohort, {"my cord": "SpinalCord"})
    import_archive(archive, cohort, {"my cord": "Larynx"})
    again = import_archive(archive, cohort, {"my cord": "Larynx"}, again=True)
    assert (again.added, again.replaced, again.already_there) == ((), first.added, ())
    assert told(again) == ()
    assert cohort.organs == ("Brainstem", "Larynx")
    assert cohort.not_applied == ()
    (row,) = [row for row in rows(cohort.path / "names.csv") if row["roi_name"] == "my cord"]
    assert row["tg263"] == "Larynx"
    assert not (cohort.path / ".change").exists()
    unchanged = import_archive(archive, cohort, {"my cord": "Larynx"}, again=True)
    assert (unchanged.replaced, unchanged.already_there) == ((), first.added)


def test_a_patient_who_cannot_be_read_again_stays(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom" / "a", ("my cord",), "a")
    import_archive(read_archive(tmp_path / "dicom"), cohort, {"my cord": "SpinalCord"})
    patient(tmp_path / "other", ("my cord",), "b")
    import_archive(read_archive(tmp_path / "other"), cohort, {"my cord": "SpinalCord"})
    before = [case.version for case in cohort]
    again = import_archive(read_archive(tmp_path / "dicom"), cohort, again=True)
    assert (again.replaced, again.left_out) == ((), ())
    assert [kind(note) for note in told(again)] == ["not_read_again", "not_in_archive"]
    assert [case.version for case in cohort] == before


def test_a_damaged_case_is_mended_by_reading_it_again(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom")
    archive = read_archive(tmp_path / "dicom")
    import_archive(archive, cohort)
    (case,) = cohort
    (case.path / "case.json").write_bytes(b"{")
    assert import_archive(archive, cohort, again=True).replaced == (case.id,)
    (mended,) = cohort
    assert mended.organs == case.organs
    mended.examine()


def test_progress_is_reported(tmp_path: Path, cohort: Cohort) -> None:
    patient(tmp_path / "dicom" / "1", seed="a")
    patient(tmp_path / "dicom" / "2", seed="b")
    told: list[tuple[int, int]] = []

    def watch(_what: str, done: int, total: int, _words: str) -> None:
        told.append((done, total))

    import_archive(read_archive(tmp_path / "dicom"), cohort, progress=watch)
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_an_archive_without_ct_is_refused_and_no_cohort_made(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    with pytest.raises(NoSeriesError, match="no CT series; give"):
        import_dicom(tmp_path / "dicom", tmp_path / "new")
    (tmp_path / "dicom" / "letter.dcm").write_text("Dear colleague")
    with pytest.raises(NoSeriesError, match=r"no CT series \(1 unreadable: not a DICOM file"):
        import_dicom(tmp_path / "dicom", tmp_path / "new")
    with pytest.raises(NoSeriesError, match="not found; a folder of DICOM files is expected"):
        import_dicom(tmp_path / "nowhere", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_archive_of_which_nothing_can_be_used_is_refused_and_no_cohort_made(
    tmp_path: Path,
) -> None:
    dicom = tmp_path / "dicom"
    make_scan(dicom / "1", seed="1")
    make_scan(dicom / "2", seed="2")
    patient(dicom / "3", ("Stamm",), seed="3")
    with pytest.raises(NoSeriesError, match="no structure set") as caught:
        import_dicom(dicom, tmp_path / "new")
    found = caught.value.finding
    assert isinstance(found, NothingImported)
    assert (found.left_out, found.counts) == (3, (2, 1))
    no_structure_set, no_organ = found.reasons
    assert kind(no_structure_set) == "no_structure_set"
    assert no_organ == NoKnownOrgan(roi_names=("Stamm",))
    assert not (tmp_path / "new").exists()
    (tmp_path / "map.toml").write_text('[names]\n"Stamm" = "Brainstem"\n')
    assert len(import_dicom(dicom, tmp_path / "new", names=tmp_path / "map.toml").added) == 1
    (dicom / "3" / "rs.dcm").unlink()
    with pytest.raises(NoSeriesError, match="3 left out"):
        import_dicom(dicom, tmp_path / "new")
    assert len(Cohort.open(tmp_path / "new")) == 1


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"the real data of {SHARED_DATA} are not here")
@pytest.mark.parametrize("role", ["source", "target1", "target2"])
def test_real_patients_keep_every_voxel_of_every_organ(tmp_path: Path, role: str) -> None:
    script, out = str(SHARED_DATA / "make_dicom.py"), str(tmp_path / "dicom")
    command = [sys.executable, script, out, "--role", role, "--limit", "2"]
    subprocess.run(command, check=True, capture_output=True)
    cohort = Cohort.open_or_create(tmp_path / "cohort", role)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert len(report.added) == 2
    assert {row.status for row, _ in report.names} == {"mapped"}
    originals = [
        np.load(SHARED_DATA / "openkbp" / role / f"{entry.name}.npz")
        for entry in (tmp_path / "dicom" / role).iterdir()
    ]
    for case in cohort:
        (original,) = (
            one
            for one in originals
            if one["ct"].shape == case.grid.shape and (one["ct"] == case.hu).all()
        )
        assert set(case.organs) == {
            organ for organ, bit in ORGANS.items() if original["contoured"][bit]
        }
        for organ in case.organs:
            np.testing.assert_array_equal(
                case.mask(organ), original["oar_bits"] >> ORGANS[organ] & 1
            )


def segmented(folder: Path, masks: dict[str, npt.NDArray[np.bool_]]) -> Scan:
    scan = make_scan(folder / "ct")
    write_segmentation(folder / "seg.dcm", masks.items(), scan, Authorship("test", label="PERSON"))
    return scan


def seg_masks() -> dict[str, npt.NDArray[np.bool_]]:
    """Two organs that overlap, one without a voxel, and a target."""
    first = block(make_grid((5, 6, 8)))
    return {
        "Brain Stem": first,
        "LT PAROTID": np.roll(first, 1, axis=2),
        "Cord": first & False,
        "PTV70": first,
    }


def test_a_segmentation_is_imported_as_its_ct_s_structures(tmp_path: Path, cohort: Cohort) -> None:
    scan = segmented(tmp_path / "dicom", seg_masks())
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert report.added == (case_id_of("B", scan.source.series_instance_uid),)
    assert (report.left_out, told(report)) == ((), ())
    (case,) = cohort
    assert set(case.organs) == {"Brainstem", "Parotid_L"}
    np.testing.assert_array_equal(case.mask("Brainstem"), seg_masks()["Brain Stem"])
    np.testing.assert_array_equal(case.mask("Parotid_L"), seg_masks()["LT PAROTID"])
    assert {row.roi_name: row.reason for row, _ in report.names}["Cord"] == NoDrawnArea()
    again = import_archive(read_archive(tmp_path / "dicom"), cohort, {"PTV70": "Larynx"})
    assert (again.added, again.already_there) == ((), report.added)
    assert without_case(told(again)) == [
        AdditionalOrgans(organs=("Larynx",)),
        MappedMargin(roi_name="'PTV70'", mapped_to="Larynx", what="a target, not an organ"),
        MapNotApplied(cases=1, of=1, organs=("Larynx",)),
    ]


def test_a_draft_stays_known_as_one_in_the_cohort(
    tmp_path: Path, cohort: Cohort, capsys: pytest.CaptureFixture[str]
) -> None:
    patient(tmp_path / "dicom" / "person")
    scan = make_scan(tmp_path / "dicom" / "draft" / "ct", seed="b")
    write_segmentation(
        tmp_path / "dicom" / "draft" / "seg.dcm",
        seg_masks().items(),
        scan,
        Authorship("north (compact)"),
    )
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    draft = case_id_of("B", scan.source.series_instance_uid)
    assert [case.id for case in cohort if case.is_draft] == [draft]
    tell.cohort(CohortContents(cohort, list(cohort), []))
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"the contours of 1 of 2 cases ({draft}) are recontour's own: a model learns" in said


def test_an_rtstruct_is_taken_before_a_segmentation_and_that_is_noted(
    tmp_path: Path, cohort: Cohort
) -> None:
    scan = segmented(tmp_path / "dicom", seg_masks())
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, ("Larynx",))
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert cohort.organs == ("Larynx",)
    assert [kind(note) for note in told(report)] == ["rtstruct_preferred"]


def test_a_segmentation_on_turned_images_lies_as_its_ct_does(
    tmp_path: Path, cohort: Cohort
) -> None:
    masks = seg_masks()
    scan = segmented(tmp_path / "dicom", masks)

    def mirrored(
        image: Dataset,
    ) -> None:  # the same place in the patient, columns stored from left to right
        image.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient[0] = scan.grid.origin_mm[0] + 7 * scan.grid.spacing_mm[1]
        image.PixelData = np.fliplr(image.pixel_array).tobytes()

    edit(tmp_path / "dicom" / "ct", mirrored)
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    (case,) = cohort
    np.testing.assert_array_equal(case.mask("Parotid_L"), masks["LT PAROTID"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda seg: setattr(seg, "SegmentationType", "FRACTIONAL"), "a FRACTIONAL segmentation"),
        (lambda seg: setattr(seg, "FrameOfReferenceUID", "1.2.3"), "another frame of reference"),
        (lambda seg: setattr(seg, "PixelData", b"\0\0"), "damaged"),
        (lambda seg: setattr(seg, "Rows", 12), "nothing is resampled"),
        (lambda seg: delattr(seg, "SegmentSequence"), "damaged"),
    ],
    ids=["fractional", "frame of reference", "cut off", "matrix", "no segments"],
)
def test_a_segmentation_that_cannot_be_read_is_left_out_with_the_reason(
    tmp_path: Path, cohort: Cohort, change: Callable[[Dataset], None], reason: str
) -> None:
    scan = segmented(tmp_path / "dicom", seg_masks())
    edit(tmp_path / "dicom" / "seg.dcm", change)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert [found.what for found in report.left_out] == [
        case_id_of("B", scan.source.series_instance_uid)
    ]
    (stored,) = reasons_stored(cohort)
    assert reason in stored
    assert "seg.dcm" not in stored
    assert not cohort.case_ids


def test_two_segments_of_one_name_are_neither_taken(tmp_path: Path, cohort: Cohort) -> None:
    segmented(tmp_path / "dicom", seg_masks())

    def rename(dataset: Dataset) -> None:
        dataset.SegmentSequence[1].SegmentLabel = "Brain Stem"
        dataset.SegmentSequence[3].SegmentLabel = "Larynx"

    edit(tmp_path / "dicom" / "seg.dcm", rename)
    report = import_archive(read_archive(tmp_path / "dicom"), cohort)
    assert cohort.organs == ("Larynx",)
    assert [row.status for row, _ in report.names if row.roi_name == "Brain Stem"] == ["ambiguous"]


def test_contours_without_end_leave_their_organ_unknown(
    tmp_path: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(tmp_path / "drawn", seed="b")
    monkeypatch.setattr(raster, "MOST_CROSSINGS", 10)
    report = import_archive(read_archive(tmp_path / "drawn"), cohort)
    (left,) = report.left_out
    assert isinstance(left.finding, NoKnownOrgan)
    assert "Brainstem: unknown (" in left.finding.sentence()
    assert "cross" in left.finding.sentence()


def test_a_table_that_a_spreadsheet_would_run_is_harmless_and_comes_back(tmp_path: Path) -> None:
    header, rows = (
        ["what", "reason", "archive"],
        [["-a-1234", "=1+1; =2", "@x"], ["b", "it's -3", "'=y"]],
    )
    tables._write_csv(tmp_path / "left_out.csv", header, rows)
    assert (tmp_path / "left_out.csv").read_text().splitlines()[1] == "'-a-1234,'=1+1;' =2,'@x"
    assert tables._read_csv(tmp_path / "left_out.csv", header) == rows


@pytest.mark.parametrize("unit", ["for Zebedee", "Zebedee's 'own' units", "12.11.1958"])
def test_what_a_file_says_is_not_stored_as_the_reason_it_was_left_out(
    tmp_path: Path, cohort: Cohort, unit: str
) -> None:
    patient(tmp_path / "dicom")
    edit(tmp_path / "dicom" / "ct", lambda image: setattr(image, "RescaleType", unit))
    (found,) = import_archive(read_archive(tmp_path / "dicom"), cohort).left_out
    (reason,) = reasons_stored(cohort)
    assert unit.upper() not in reason.upper()
    assert kind(found.finding) == "no_hounsfield_units"
    assert reason == stored_words(found.finding)


def test_what_may_be_mistaken_in_a_map_is_noted(tmp_path: Path) -> None:
    patient(tmp_path / "dicom", ("Hirnstamm", "Ohrspeicheldrüse", "Haut", "Glottis"))
    lines = (
        '"hirn-stamm" = "Brainstem"',
        '"Ohrspeicheldrüse" = "Parotid_R"',
        '"Haut" = "ignore"',
        '"Linse lnks" = "Lens_L"',
        '"Lens OD" = "Lens_L"',
        '"Glottis" = "Glottis"',
    )
    (tmp_path / "map.toml").write_text("\n".join(["[names]", *lines]), encoding="utf-8")
    expected = [
        ContradictoryMapLine(roi_name="'Lens OD'", mapped_to="Lens_L", says="Lens_R"),
        UnmatchedMapNames(roi_names=("'Linse lnks'", "'Lens OD'"), count=2),
    ]
    for _ in ("new", "already there"):
        report = import_dicom(tmp_path / "dicom", tmp_path / "c", names=tmp_path / "map.toml")
        assert [note for note in told(report) if note in expected] == expected
    written = deidentify(tmp_path / "dicom", tmp_path / "out", names=tmp_path / "map.toml")
    assert [note for note in written.notes if note in expected] == expected


def test_without_a_map_nothing_is_said_of_one(tmp_path: Path) -> None:
    patient(tmp_path / "dicom")
    report = import_dicom(tmp_path / "dicom", tmp_path / "c")
    assert not any(isinstance(note, UnmatchedMapNames) for note in told(report))
