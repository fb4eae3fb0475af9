"""Nothing of the patient gets through, and everything that contouring needs does."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as ps3_15
from pydicom import DataElement, Dataset
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    RTDoseStorage,
    RTPlanStorage,
    SecondaryCaptureImageStorage,
)
from tests.dicom.conftest import (
    PATIENT,
    block,
    dciodvfy,
    edit,
    make_multi_frame,
    make_scan,
    make_structure_set,
    needs_dciodvfy,
    recode,
)
from tests.geometry.conftest import make_grid

from recontour import import_dicom
from recontour.cli import tell
from recontour.cohort import Cohort
from recontour.dicom import (
    PHANTOM_STUDY,
    Authorship,
    read_archive,
    read_rois,
    read_scan,
    read_series,
    read_structure_set,
    write_segmentation,
    write_structure_set,
)
from recontour.dicom.clean_attributes import kept_keywords, without_identity
from recontour.dicom.contour_findings import CoordinatesNotNumbers
from recontour.dicom.ct_findings import DifferingFiles, OverlappingPasses
from recontour.dicom.deidentify import deidentify
from recontour.dicom.deidentify_findings import (
    IdentifierInNumbers,
    NoRoiToCopy,
    NothingCopied,
    OnlyCtCopied,
    RemainingOverlap,
    SegNotCopied,
    TooManyValues,
)
from recontour.dicom.findings import DraftStructureSet, SharedImageUid
from recontour.dicom.identity import Pseudonyms
from recontour.errors import DicomError, NoSeriesError, OutputError, SettingsError
from recontour.findings import stored_words, words
from recontour.geometry import Structure, StructureSet, rasterise, trace

FREE_TEXT = ("PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE", "AS", "DA", "DT", "TM", "UI")
# text that is kept
SCANNERS = {
    "Manufacturer",
    "ManufacturerModelName",
    "ConvolutionKernel",
    "RescaleType",
}
SECRET = "Zebedee was here"
HOSTILE: dict[
    str, object
] = {  # by attribute, what must not get through; the last ones are of the wrong kind on purpose
    "InstitutionName": "Saint Elsewhere",
    "InstitutionAddress": "7 Harley Street",
    "StationName": "ELSEWHERE-CT2",
    "ReferringPhysicianName": "House^Gregory",
    "PerformingPhysicianName": "Quinn^Michaela",
    "OperatorsName": "Hathaway^Carol",
    "AccessionNumber": "ACC-90210",
    "StudyID": "STUDY-4077",
    "StudyDescription": f"neck, {SECRET}",
    "SeriesDescription": f"planning, {SECRET}",
    "ProtocolName": "Protocol of Dr House",
    "PatientComments": SECRET,
    "ImageComments": SECRET,
    "OtherPatientIDs": "OLD-MRN-0815",
    "PatientAddress": "1 Boulevard of Broken Dreams",
    "PatientTelephoneNumbers": "+44 20 7946 0000",
    "PatientBirthDate": "19611013",
    "PatientBirthName": "Maiden^Name",
    "PatientAge": "059Y",
    "DeviceSerialNumber": "SN-31337",
    "StudyTime": "031415",
    "AcquisitionDateTime": "20200229031415.926",
    "RequestAttributesSequence": [
        {"ScheduledProcedureStepDescription": SECRET, "RequestedProcedureID": "RP-1701"}
    ],
    "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2.3.4.5.6.7"}],
    "ManufacturerModelName": "Scanner of Quentin Z.",
    "BodyPartExamined": "ZEBEDEE",
    "ImageType": ["ORIGINAL", "PRIMARY", "for MRN-4711"],
}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    else:
        yield str(value)


def fill(dataset: Dataset, values: Mapping[str, object]) -> None:
    for keyword, value in values.items():
        if isinstance(value, list) and isinstance(value[0], dict):
            items = [Dataset() for _ in value]
            for item, inner in zip(items, value, strict=True):
                fill(item, inner)
            setattr(dataset, keyword, items)
        else:
            setattr(dataset, keyword, value)


def raw(tag: int, value: bytes) -> RawDataElement:
    """A DS that pydicom would not write, were it asked to."""
    return RawDataElement(Tag(tag), "DS", len(value), value, 0, False, True)


def add_everything(image: Dataset) -> None:
    """Identifiers wherever a file can hold them."""
    fill(image, HOSTILE)
    image[0x00180060] = raw(0x00180060, b"MRN-4711")  # KVP, which should be a number
    block = image.private_block(0x0009, "ELSEWHERE PRIVATE", create=True)
    block.add_new(0x01, "LO", f"private {SECRET}")
    image.add_new(0x60003000, "OW", b"overlay of Zebedee ")  # a burned-in name's usual place
    image.add_new(0x60000022, "LO", f"overlay {SECRET}")
    image.add_new(0x50003000, "OW", b"curve of Zebedee")
    image.add_new(0xFFFCFFFC, "OB", b"padded by Zebedee ")
    image.add_new(0x00084000, "LT", f"retired {SECRET}")  # Identifying Comments
    image.preamble = b"Zebedee".ljust(128, b"\0")
    image.file_meta.SourceApplicationEntityTitle = "ELSEWHERE_PACS"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One patient with three ROIs: an organ, one that the user maps, one that names the patient."""
    folder = tmp_path / "dicom" / "Zebedee"
    scan = make_scan(folder / "ct")
    make_structure_set(
        folder / "rs.dcm", scan, names=("Brain Stem", "Zebedees Linse", "GTV Zebedee")
    )
    edit(folder / "ct", add_everything)

    def describe(structure_set: Dataset) -> None:
        add_everything(structure_set)
        structure_set.StructureSetLabel, structure_set.StructureSetName = "Plan Zebedee", SECRET
        structure_set.StructureSetDescription = SECRET
        structure_set.StructureSetROISequence[0].ROIDescription = SECRET
        structure_set.RTROIObservationsSequence[0].ROIInterpreter = "House^Gregory"
        structure_set.RTROIObservationsSequence[0].ROIObservationLabel = SECRET
        structure_set.ROIContourSequence[0].ContourSequence[0].add_new(0x00091001, "LO", SECRET)
        structure_set.ReviewerName, structure_set.ReviewDate = "House^Gregory", "20200228"
        structure_set.ApprovalStatus = "APPROVED"

    edit(folder / "rs.dcm", describe)
    (tmp_path / "map.toml").write_text('[names]\n"Zebedees Linse" = "Lens_L"\n')
    return tmp_path / "dicom"


def identifiers(folder: Path) -> set[str]:
    """Return every text, date and UID of an archive.

    DICOM's own UIDs and codes, and what scanners are called, are not among them.
    """
    found: set[str] = set()
    scanners: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            with disable_value_validation():
                collect(pydicom.dcmread(path, force=True), found, scanners)
    found = {value for value in found if len(value) >= 4 and set(value) != {"0"}}
    return {value for value in found if not any(value in scanner for scanner in scanners)}


def collect(dataset: Dataset, found: set[str], scanners: set[str]) -> None:
    for element in dataset:
        if element.keyword == "DeidentificationMethodCodeSequence":
            continue
        if element.VR == "SQ":
            for item in element.value:
                collect(item, found, scanners)
        elif element.VR in FREE_TEXT and element.value:
            values = element.value if element.VM > 1 else [element.value]
            target = scanners if element.keyword in SCANNERS else found
            for value in values:
                if not isinstance(value, UID) or value.name == value:
                    target.add(str(value).strip())


def leaks(out: Path, secrets: set[str]) -> set[str]:
    """Return the secrets that any byte of any file, or of any file's place, holds."""
    content = b"\0".join(
        path.read_bytes() + str(path.relative_to(out)).encode()
        for path in out.rglob("*")
        if path.is_file()
    ).lower()
    return {secret for secret in secrets if secret.lower().encode() in content}


@pytest.fixture
def same_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """New UIDs are random digits, which may hold a date by chance; here they stay the same."""
    monkeypatch.setattr(
        "recontour.dicom.deidentify.secrets.token_bytes", lambda size: bytes(range(size))
    )


@pytest.mark.usefixtures("same_secret")
def test_no_byte_of_the_output_holds_an_identifier_of_the_input(
    archive: Path, tmp_path: Path
) -> None:
    deidentify(archive, tmp_path / "out", names=tmp_path / "map.toml")
    secrets = identifiers(archive) | set(strings(list(HOSTILE.values())))
    secrets -= {"ORIGINAL", "PRIMARY", version("recontour"), "recontour: test"}
    secrets |= {
        "zebedee",
        "quentin",
        "4711",
        "elsewhere",
        "house",
        "Gregory",
        "Zebedees Linse",
        "GTV Zebedee",
        "Linse",
    }
    secrets |= {"20200101", "20200228", "20200229"}
    assert len(secrets) > 50  # the collector does collect
    assert leaks(archive, secrets) == secrets  # and the scan finds them where they are
    assert leaks(tmp_path / "out", secrets) == set()


@pytest.mark.usefixtures("same_secret")
@pytest.mark.parametrize(
    "name", ["hn_ct_picker_no_rtstruct", "lung_pinnacle", "lung_varian_aria", "breast_dicompyler"]
)
def test_no_byte_of_a_real_archive_s_output_holds_an_identifier(
    interop: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    organs = {"Tumor_c40": "Target_A", "GTVp_test_man": "Target_B", "BODY": "Target_C"}
    lines = [f'"{roi_name}" = {{ new_organ = "{organ}" }}' for roi_name, organ in organs.items()]
    (tmp_path / "map.toml").write_text("\n".join(["[names]", *lines]))
    written = deidentify(interop(name), tmp_path / "out", names=tmp_path / "map.toml")
    secrets = identifiers(interop(name))
    kept = {"Heart"}  # a known organ's name, of breast_dicompyler
    assert secrets & {"Heart"} == ({"Heart"} if name == "breast_dicompyler" else set())
    assert len(secrets) > 90
    assert leaks(tmp_path / "out", secrets - kept) == set()
    before, after = read_archive(interop(name)), read_archive(tmp_path / "out")
    assert (
        (len(after.series), len(after.pairs))
        == (1, len(before.pairs))
        == (1, written.structure_sets)
    )
    ct, clean = read_series(before.series[0].files), read_series(after.series[0].files)
    np.testing.assert_array_equal(clean.hu, ct.hu)
    assert clean.grid == ct.grid
    compared = 0
    for pair, clean_pair in zip(before.pairs, after.pairs, strict=True):
        drawn = read_structure_set(pair.structure_set.path, ct)
        copied = read_structure_set(clean_pair.structure_set.path, clean)
        for roi_name in drawn.names:
            organ = organs.get(roi_name, roi_name)
            if organ in copied.names:
                mask = rasterise(drawn[roi_name].contours, ct.grid)
                np.testing.assert_array_equal(rasterise(copied[organ].contours, ct.grid), mask)
                compared += bool(mask.any())
    assert compared >= len(before.pairs)


def test_a_real_scanner_s_jpeg_2000_keeps_its_values(
    interop: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(interop("partialbody_siemens_j2k"), tmp_path / "dicom")
    (tmp_path / "dicom" / "example_seg_dicom.nii.gz").unlink()
    # it was published without any
    uids = {
        "SeriesInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.4",
    }
    edit(tmp_path / "dicom", partial(fill, values=uids))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    before, after = read_scan(tmp_path / "dicom"), read_scan(tmp_path / "out")
    np.testing.assert_array_equal(after.hu, before.hu)
    assert after.grid == before.grid
    syntaxes = {
        pydicom.dcmread(path).file_meta.TransferSyntaxUID
        for path in (tmp_path / "out").rglob("*.dcm")
    }
    assert syntaxes == {ExplicitVRLittleEndian}


def test_the_output_imports_as_the_input_does(archive: Path, tmp_path: Path) -> None:
    written = deidentify(archive, tmp_path / "out", names=tmp_path / "map.toml")
    assert (written.patients, written.series, written.structure_sets, written.dropped_rois) == (
        1,
        1,
        1,
        1,
    )
    import_dicom(archive, tmp_path / "before", names=tmp_path / "map.toml", centre="c")
    import_dicom(tmp_path / "out", tmp_path / "after", centre="c")  # the names are TG-263's by now
    (before,), (after,) = Cohort.open(tmp_path / "before"), Cohort.open(tmp_path / "after")
    assert before.id != after.id
    assert before.organs == after.organs == ("Brainstem", "Lens_L")
    assert before.grid == after.grid
    np.testing.assert_array_equal(before.hu, after.hu)
    for organ in before.organs:
        np.testing.assert_array_equal(before.mask(organ), after.mask(organ))


def test_what_is_kept_is_nothing_that_the_profile_protects_unless_its_kind_is_replaced() -> None:
    """Compare with table E.1-1 of the standard's edition 2026c, as another project keeps it.

    Rows that are kept (K) are not in it.
    """
    protected = {tag for tag in ps3_15.ALL_TAGS if len(tag) == 2}
    assert len(protected) > 600
    replaced = {"UI", "DA", "DT"}
    for keyword in kept_keywords():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        assert dictionary_VR(tag) in replaced or (tag >> 16, tag & 0xFFFF) not in protected, keyword


def test_the_files_say_how_they_were_de_identified(archive: Path, tmp_path: Path) -> None:
    deidentify(archive, tmp_path / "out", names=tmp_path / "map.toml")
    for path in (tmp_path / "out").rglob("*.dcm"):
        clean = pydicom.dcmread(path)
        assert (clean.PatientIdentityRemoved, clean.LongitudinalTemporalInformationModified) == (
            "YES",
            "MODIFIED",
        )
        assert clean.DeidentificationMethod.startswith("recontour ")
        codes = [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113105", "113107"]
        assert clean.PatientID == path.parent.parent.name
        assert str(clean.PatientName) == f"Deidentified^{clean.PatientID}"
        assert clean.file_meta.get("SourceApplicationEntityTitle") is None


@needs_dciodvfy
def test_a_valid_archive_stays_valid(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    deidentify(tmp_path / "dicom", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert not [line for line in dciodvfy(path) if line.startswith("Error")]


def two_visits(folder: Path) -> None:
    """A patient scanned twice, 30 days apart, and another patient scanned on the first day."""
    for name, patient, date in (
        ("a", "MRN-1", "20200101"),
        ("b", "MRN-1", "20200131"),
        ("c", "MRN-2", "20200101"),
    ):
        make_scan(folder / name, seed=name)
        edit(folder / name, partial(fill, values={"PatientID": patient, "StudyDate": date}))


def dates(out: Path) -> list[list[datetime]]:
    """The study dates of each patient."""
    return sorted(
        (
            sorted(
                datetime.strptime(pydicom.dcmread(next(series.iterdir())).StudyDate, "%Y%m%d")
                for series in patient.iterdir()
            )
            for patient in out.iterdir()
        ),
        key=len,
    )


def test_days_between_a_patient_s_scans_stay_and_patients_shift_apart(tmp_path: Path) -> None:
    two_visits(tmp_path / "dicom")
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.patients, written.series) == (2, 3)
    (other,), (first, second) = dates(tmp_path / "out")
    assert (second - first).days == 30
    assert first < datetime(2020, 1, 1)
    assert other < datetime(2020, 1, 1)


def test_with_a_key_the_same_patient_becomes_the_same_again_and_without_one_never(
    tmp_path: Path,
) -> None:
    two_visits(tmp_path / "dicom")
    key = tmp_path / "key"
    for name, used in (("a", key), ("b", key), ("c", None), ("d", None)):
        deidentify(tmp_path / "dicom", tmp_path / name, key=used)
    files = {
        name: {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*.dcm")
        }
        for name in "abcd"
    }
    assert files["a"] == files["b"]
    assert len({*files["a"], *files["c"], *files["d"]}) == 3 * len(files["a"])
    assert key.stat().st_mode & 0o077 == 0  # for the owner alone
    assert len(bytes.fromhex(key.read_text())) == 32


def test_the_archive_cannot_be_searched_for_without_the_key(archive: Path, tmp_path: Path) -> None:
    """A pseudonym is no plain hash of what is not secret."""
    deidentify(archive, tmp_path / "a")
    deidentify(archive, tmp_path / "b")
    assert {path.name for path in (tmp_path / "a").iterdir()}.isdisjoint(
        path.name for path in (tmp_path / "b").iterdir()
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [("secret", "not a key"), ("00ff", "64 hexadecimal digits"), (None, "would lie in the output")],
)
def test_a_key_that_cannot_be_used_is_one_line(
    archive: Path, tmp_path: Path, content: str | None, words: str
) -> None:
    key = tmp_path / "out" / "key" if content is None else tmp_path / "key"
    if content:
        key.write_text(content)
    with pytest.raises(SettingsError, match=words):
        deidentify(archive, tmp_path / "out", key=key)
    assert not (tmp_path / "out").exists()


def test_a_key_that_is_a_pipe_is_not_waited_for(archive: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    with pytest.raises(SettingsError, match="not a key"):
        deidentify(archive, tmp_path / "out", key=tmp_path / "key")


def test_compressed_and_multi_frame_ct_keep_their_pixels(tmp_path: Path) -> None:
    (tmp_path / "dicom" / "multi").mkdir(parents=True)
    scan = make_scan(tmp_path / "dicom" / "single")
    make_multi_frame(tmp_path / "dicom" / "single", tmp_path / "dicom" / "multi" / "ct.dcm")
    edit(tmp_path / "dicom" / "multi", lambda image: setattr(image, "SeriesInstanceUID", "1.2.3.4"))
    edit(tmp_path / "dicom" / "single", lambda image: image.compress(RLELossless))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    kinds = set()
    for series in read_archive(tmp_path / "out").series:
        clean = read_series(series.files)
        np.testing.assert_array_equal(clean.hu, scan.hu)
        assert clean.grid == scan.grid
        kinds.add((len(series.files), pydicom.dcmread(series.files[0]).file_meta.TransferSyntaxUID))
    assert kinds == {(5, ExplicitVRLittleEndian), (1, ExplicitVRLittleEndian)}


@pytest.mark.parametrize("offset_mm", [3.0, 4.5])
def test_acquisitions_that_overlap_within_one_file_are_noted_and_stay_apart(
    tmp_path: Path, offset_mm: float
) -> None:
    """Only their times tell them apart, and those are not written."""
    make_scan(tmp_path / "single", make_grid((10, 6, 8)))
    (tmp_path / "multi").mkdir()
    make_multi_frame(tmp_path / "single", tmp_path / "multi" / "ct.dcm")

    def acquire_twice(image: Dataset) -> None:
        for number, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
            position, content = Dataset(), Dataset()
            again, place = divmod(number, 5)
            position.ImagePositionPatient = [0, 0, 3 * place + offset_mm * again]
            content.FrameAcquisitionDateTime = f"20200228{120000 + 10000 * again + place}"
            frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]

    edit(tmp_path / "multi", acquire_twice)
    notes = deidentify(tmp_path / "multi", tmp_path / "out").notes
    assert notes == (
        RemainingOverlap(
            path=tmp_path / "multi",
            count=2,
            kind="acquisitions",
            from_mm=offset_mm,
            to_mm=12.0,
            in_one_file=True,
        ),
    )
    (written,) = (tmp_path / "out").rglob("CT*.dcm")
    frames = pydicom.dcmread(written).PerFrameFunctionalGroupsSequence
    numbers = [frame.FrameContentSequence[0].FrameAcquisitionNumber for frame in frames]
    assert numbers == [1] * 5 + [2] * 5
    assert b"20200228" not in written.read_bytes()
    with pytest.raises(DicomError) as caught:
        read_scan(tmp_path / "out")
    assert isinstance(caught.value.finding, OverlappingPasses)


def test_uids_still_lead_from_structure_set_to_ct(archive: Path, tmp_path: Path) -> None:
    deidentify(archive, tmp_path / "out")
    (structure_set,) = (tmp_path / "out").rglob("RTSTRUCT.dcm")
    scan = read_scan(tmp_path / "out")
    (roi,) = read_rois(structure_set, scan)  # raises where it references another CT
    assert roi.name == "Brainstem"
    written = pydicom.dcmread(structure_set)
    contour = written.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    assert contour.ReferencedSOPInstanceUID in scan.source.sop_instance_uids
    assert contour.ReferencedSOPClassUID == CTImageStorage
    assert written.StudyInstanceUID == scan.source.header.StudyInstanceUID
    study = written.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    assert study.ReferencedSOPInstanceUID == written.StudyInstanceUID


@pytest.mark.parametrize(
    ("tag", "kind", "value", "words"),
    [
        (0x00280301, "CS", "YES", "burned into its pixels"),
        # OverlayBitsAllocated, of overlays before 2004
        (
            0x60000100,
            "US",
            16,
            "unused bits of its pixels",
        ),
    ],
)
def test_marks_in_pixels_that_are_declared_are_left_out_and_told(
    archive: Path, tmp_path: Path, tag: int, kind: str, value: str | int, words: str
) -> None:
    shutil.copytree(archive / "Zebedee" / "ct", archive / "second")
    for path in (archive / "second").iterdir():
        uids = {"SeriesInstanceUID": "1.2.3", "SOPInstanceUID": f"1.2.3.{path.stem[2:]}"}
        edit(path, partial(fill, values=uids))
    edit(archive / "second" / "CT0003.dcm", lambda image: image.add_new(tag, kind, value))
    written = deidentify(archive, tmp_path / "out")
    assert written.series == 1
    assert [left.path for left in written.left_out] == [archive / "second"]
    assert words in written.left_out[0].finding.sentence()
    # of the second series not even the first slices
    assert len(list((tmp_path / "out").rglob("CT*.dcm"))) == 5


def test_what_was_chosen_of_a_structure_set_that_is_written_is_no_loss(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(archive / "Zebedee" / "rs.dcm", archive / "old.dcm")
    edit(
        archive / "old.dcm",
        partial(fill, values={"SOPInstanceUID": "1.2.3", "StructureSetDate": "19990101"}),
    )
    written = deidentify(archive, tmp_path / "out")
    note = "the newest of 2 structure sets was taken"
    (found,) = written.notes
    assert words(found) == f"{archive / 'Zebedee' / 'rs.dcm'}: {note}"
    assert written.left_out == ()
    tell.deidentified(written, tmp_path / "out")
    told = capsys.readouterr().out.replace("\n", "")
    assert f"note: {archive / 'Zebedee' / 'rs.dcm'}: {note}" in told
    assert ", 0 left out: " in told


def test_a_rejected_structure_set_stays_known_as_one(archive: Path, tmp_path: Path) -> None:
    review = {"ApprovalStatus": "REJECTED", "ReviewerName": SECRET, "ReviewDate": "20200229"}
    edit(archive / "Zebedee" / "rs.dcm", partial(fill, values=review))
    deidentify(archive, tmp_path / "out")
    (pair,) = read_archive(tmp_path / "out").pairs
    assert pair.structure_set.is_rejected
    assert SECRET.encode() not in pair.structure_set.path.read_bytes()


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_a_series_of_two_patients_is_not_written(
    archive: Path, tmp_path: Path, keyword: str
) -> None:
    make_scan(archive / "other", seed="other")
    edit(archive / "Zebedee" / "ct" / "CT0004.dcm", partial(fill, values={keyword: "1.2.3"}))
    written = deidentify(archive, tmp_path / "out")
    assert (written.series, written.structure_sets) == (1, 0)
    finding = written.left_out[0].finding
    assert isinstance(finding, DifferingFiles)
    assert (finding.other.name, finding.keyword) == ("CT0004.dcm", keyword)


def test_a_ct_with_two_images_of_one_uid_in_two_places_is_not_written(
    archive: Path, tmp_path: Path
) -> None:
    """Nothing could be made of it: which slices there are is unknown."""
    ct = next(path.parent for path in sorted(archive.rglob("CT0001.dcm")))
    shutil.copy(ct / "CT0001.dcm", ct / "moved.dcm")
    x, y, z = pydicom.dcmread(ct / "CT0001.dcm").ImagePositionPatient
    edit(ct / "moved.dcm", lambda image: setattr(image, "ImagePositionPatient", [x + 1, y, z]))
    with pytest.raises(NoSeriesError) as refused:
        deidentify(archive, tmp_path / "out")
    assert isinstance(refused.value.finding, NothingCopied)
    assert isinstance(refused.value.finding.first, SharedImageUid)
    assert not (tmp_path / "out").exists()


def test_two_patients_under_the_same_uids_are_named_once(archive: Path, tmp_path: Path) -> None:
    ct = next(path.parent for path in sorted(archive.rglob("CT0001.dcm")))
    other = tmp_path / "dicom" / "other"
    shutil.copytree(ct, other)
    edit(other, partial(fill, values={"PatientID": "1.2.3"}))
    with pytest.raises(NoSeriesError) as refused:
        deidentify(archive, tmp_path / "out")
    assert [str(refused.value).count(str(folder / "CT0001.dcm")) for folder in (ct, other)] == [
        1,
        1,
    ]


@pytest.mark.parametrize("image_type", [["ORIGINAL", "PRIMARY", "OTHER"], None])
def test_what_may_be_a_picture_is_named_with_what_to_do(
    tmp_path: Path, image_type: list[str] | None
) -> None:
    """It says too little of itself to be passed over. Without it, its series is written."""
    make_scan(tmp_path / "dicom")
    page = tmp_path / "dicom" / "page.dcm"
    shutil.copy(tmp_path / "dicom" / "CT0003.dcm", page)
    lost = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    edit(page, partial(fill, values={**lost, "SOPInstanceUID": "1.2.3", "ImageType": image_type}))
    with pytest.raises(NoSeriesError) as refused:
        deidentify(tmp_path / "dicom", tmp_path / "out")
    assert f"{page}: no ImagePositionPatient, so it may be a picture" in str(refused.value)
    assert "if it is not a CT slice, move it out of the folder and repeat" in str(refused.value)
    page.rename(tmp_path / "page.dcm")
    assert deidentify(tmp_path / "dicom", tmp_path / "out").series == 1


def test_a_folder_of_pictures_alone_is_said_to_be_one(tmp_path: Path) -> None:
    make_scan(tmp_path / "dicom", make_grid((2, 6, 8)))
    edit(
        tmp_path / "dicom",
        partial(fill, values={"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}),
    )
    with pytest.raises(
        NoSeriesError, match=r"no CT series \(2 x picture of a screen or report\); give a folder"
    ):
        deidentify(tmp_path / "dicom", tmp_path / "out")


def test_other_objects_and_lone_structure_sets_are_not_written(
    archive: Path, tmp_path: Path
) -> None:
    plan = pydicom.dcmread(archive / "Zebedee" / "rs.dcm")
    plan.SOPClassUID = plan.file_meta.MediaStorageSOPClassUID = RTPlanStorage
    plan.save_as(archive / "plan.dcm")
    lone = make_scan(tmp_path / "elsewhere", seed="elsewhere")
    make_structure_set(archive / "lone.dcm", lone, seed="lone")
    written = deidentify(archive, tmp_path / "out")
    assert [left.path.name for left in written.left_out] == ["lone.dcm"]
    classes = {pydicom.dcmread(path).SOPClassUID.name for path in (tmp_path / "out").rglob("*.dcm")}
    assert classes == {"CT Image Storage", "RT Structure Set Storage"}


def test_a_segmentation_leaves_its_ct_alone_and_is_told(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "dicom" / "ct")
    person = Authorship("test", label="PERSON")
    write_segmentation(
        tmp_path / "dicom" / "seg.dcm", [("Brainstem", block(scan.grid))], scan, person
    )
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.series, written.structure_sets) == (1, 0)
    (left,) = written.left_out
    assert left.finding == OnlyCtCopied(path=left.path, why=SegNotCopied())
    assert left.path.name == "seg.dcm"
    classes = {pydicom.dcmread(path).SOPClassUID.name for path in (tmp_path / "out").rglob("*.dcm")}
    assert classes == {"CT Image Storage"}


# the second is in the manufacturer's name
@pytest.mark.parametrize("patient_name", [PATIENT[0], "Contour^Ann"])
def test_a_draft_of_recontour_is_still_known_as_one(tmp_path: Path, patient_name: str) -> None:
    """Or its receiver's model would learn from a model's contours as from a person's."""
    scan = make_scan(tmp_path / "dicom" / "ct")
    contours = StructureSet((Structure("Brainstem", trace(block(scan.grid), scan.grid)),))
    write_structure_set(
        tmp_path / "dicom" / "rs.dcm", contours, scan, Authorship("north (compact)")
    )
    edit(tmp_path / "dicom" / "rs.dcm", partial(fill, values={"PatientName": patient_name}))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    report = import_dicom(tmp_path / "out", tmp_path / "cohort")
    assert DraftStructureSet(case=report.added[0], was_taken=True) in report.notes
    person = {"Manufacturer": "a planning system"}
    edit(tmp_path / "dicom" / "rs.dcm", partial(fill, values=person))
    deidentify(tmp_path / "dicom", tmp_path / "corrected")
    (path,) = (tmp_path / "corrected").rglob("RTSTRUCT.dcm")
    assert pydicom.dcmread(path).StructureSetLabel == "DEIDENTIFIED"


def test_the_phantom_is_still_known_as_one(tmp_path: Path) -> None:
    """Or nobody would be told that a model learnt from it."""
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    edit(tmp_path / "dicom" / "ct", partial(fill, values={"StudyDescription": PHANTOM_STUDY}))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    import_dicom(tmp_path / "out", tmp_path / "cohort")
    (case,) = Cohort.open(tmp_path / "cohort")
    assert case.is_phantom


def test_a_structure_set_without_organs_leaves_its_ct_alone(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, names=("PTV 70", "Zebedee"))
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.series, written.structure_sets, written.dropped_rois) == (1, 0, 2)
    (left,) = written.left_out
    assert left.finding == OnlyCtCopied(path=tmp_path / "dicom" / "rs.dcm", why=NoRoiToCopy())
    assert not list((tmp_path / "out").rglob("RTSTRUCT.dcm"))


def test_structures_of_one_number_are_left_out_and_told(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(
        tmp_path / "dicom" / "rs.dcm", scan, names=("Brain Stem", "Lens L", "Parotid_L")
    )
    edit(
        tmp_path / "dicom" / "rs.dcm",
        lambda data: setattr(data.StructureSetROISequence[1], "ROINumber", 1),
    )
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    sentences = [one.finding.sentence() for one in written.left_out]
    assert [line.split("ROI ")[-1] for line in sentences] == ["Brain Stem)", "Lens L)"]
    (structure_set,) = (tmp_path / "out").rglob("RTSTRUCT.dcm")
    assert read_structure_set(structure_set, read_scan(tmp_path / "out")).names == ("Parotid_L",)


def test_coordinates_that_are_no_numbers_do_not_get_through(archive: Path, tmp_path: Path) -> None:
    def write_a_name(structure_set: Dataset) -> None:
        structure_set.ROIContourSequence[0].ContourSequence[0][0x30060050] = raw(
            0x30060050, b"1\\2\\Zebedee "
        )

    edit(archive / "Zebedee" / "rs.dcm", write_a_name)
    written = deidentify(archive, tmp_path / "out")
    assert leaks(tmp_path / "out", {"zebedee"}) == set()
    assert written.structure_sets == 0  # a structure set is not written without one of its contours
    assert isinstance(written.left_out[0].finding, CoordinatesNotNumbers)


def test_a_patient_of_whom_nothing_is_written_has_no_folder(tmp_path: Path) -> None:
    two_visits(tmp_path / "dicom")
    edit(tmp_path / "dicom" / "c", lambda image: setattr(image, "BurnedInAnnotation", "YES"))
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.patients, written.series) == (1, 2)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_nothing_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    make_scan(tmp_path / "dicom")
    edit(tmp_path / "dicom", lambda image: setattr(image, "BurnedInAnnotation", "YES"))
    with pytest.raises(NoSeriesError, match="burned into its pixels"):
        deidentify(tmp_path / "dicom", tmp_path / "out", key=tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == ["dicom"]


def test_nothing_is_overwritten(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists"):
        deidentify(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_patient_s_name_is_neither_scanner_nor_code(archive: Path, tmp_path: Path) -> None:
    """Kept text is dropped where it holds the name, kept codes where a word of theirs is it."""
    deidentify(archive, tmp_path / "out")
    image = pydicom.dcmread(next((tmp_path / "out").rglob("CT0001.dcm")))
    assert PATIENT[0] == "Zebedee^Quentin"
    assert not {"ManufacturerModelName", "BodyPartExamined", "KVP"} & set(image.dir())
    assert list(image.ImageType) == ["ORIGINAL", "PRIMARY"]
    assert image.Manufacturer == "recontour"


def comment_in_j2k(image: Dataset) -> None:
    """A comment (COM) in the codestream's main header, where encoders leave what they like."""
    image.compress(JPEG2000Lossless, generate_instance_uid=False)
    (codestream,) = generate_frames(image.PixelData, number_of_frames=1)
    size = 4 + int.from_bytes(codestream[4:6])  # SOC and SIZ, which must come first
    words = b"\0\1by Zebedee"
    comment = b"\xff\x64" + (2 + len(words)).to_bytes(2) + words
    image.PixelData = encapsulate([codestream[:size] + comment + codestream[size:]])


def fragment_in_rle(image: Dataset) -> None:
    """A second fragment behind the frame's own."""
    image.compress(RLELossless, generate_instance_uid=False)
    frame = image.PixelData.removesuffix(b"\xfe\xff\xdd\xe0\0\0\0\0")
    image.PixelData = (
        frame + b"\xfe\xff\x00\xe0\x08\0\0\0" + b"Zebedee." + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )


@pytest.mark.parametrize(
    "hide",
    [
        lambda image: setattr(image, "PixelData", image.PixelData + b"by Zebedee"),
        comment_in_j2k,
        fragment_in_rle,
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_nothing_lies_behind_or_between_the_pixels(
    tmp_path: Path, hide: Callable[[Dataset], None]
) -> None:
    scan = make_scan(tmp_path / "dicom", make_grid((5, 64, 64)))
    edit(tmp_path / "dicom", hide)
    assert leaks(tmp_path / "dicom", {"zebedee."} if hide is fragment_in_rle else {"by zebedee"})
    deidentify(tmp_path / "dicom", tmp_path / "out")
    assert leaks(tmp_path / "out", {"zebedee"}) == set()
    clean = read_scan(tmp_path / "out")
    np.testing.assert_array_equal(clean.hu, scan.hu)
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert len(pydicom.dcmread(path).PixelData) == 2 * 64 * 64


def test_nothing_lies_behind_the_last_attribute(tmp_path: Path) -> None:
    make_scan(tmp_path / "dicom")
    for path in (tmp_path / "dicom").iterdir():
        padding = b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0Zebedee."
        path.write_bytes(b"Zebedee".ljust(128, b"\0") + path.read_bytes()[128:] + padding)
    deidentify(tmp_path / "dicom", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert path.read_bytes()[:128] == bytes(128)
        assert b"Zebedee" not in path.read_bytes()


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("signed", [0, 1])
def test_nothing_lies_in_bits_that_pixels_do_not_use(
    tmp_path: Path, signed: int, big_endian: bool
) -> None:
    make_scan(tmp_path / "dicom")

    def hide(image: Dataset) -> None:
        hidden = np.frombuffer(b"Zebedee!" * 12, "<u2") & 0xF000
        image.PixelData = (image.pixel_array.view("<u2").ravel() & 0x0FFF | hidden).tobytes()
        image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, signed

    edit(tmp_path / "dicom", hide)
    expected = read_scan(tmp_path / "dicom").hu
    if big_endian:
        for path in (tmp_path / "dicom").iterdir():
            recode(path, ExplicitVRBigEndian)
    deidentify(tmp_path / "dicom", tmp_path / "out")
    np.testing.assert_array_equal(read_scan(tmp_path / "out").hu, expected)
    for path in (tmp_path / "out").rglob("*.dcm"):
        stored = np.frombuffer(pydicom.dcmread(path).PixelData, "<i2" if signed else "<u2")
        low, high = (-2048, 2047) if signed else (0, 4095)
        assert low <= stored.min() <= stored.max() <= high


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "AUTOSAVE"]}, "picture of a screen"),
        ({"ImagePositionPatient": None}, "no ImagePositionPatient, so it may be a picture"),
        ({"BitsStored": 12, "HighBit": 15}, "HighBit is not BitsStored - 1"),
        ({"PixelData": b"too short "}, "cannot be decoded"),
        ({"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PixelData": bytes(288)}, "in colour"),
        (
            {"AccessionNumber": "123456", "ImagePositionPatient": [0, 0, 123456]},
            "cannot be left out",
        ),
        ({"AccessionNumber": "123456", "RescaleIntercept": "-123456.0"}, "cannot be left out"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_image_that_is_not_known_to_be_clean_leaves_its_series_out(
    tmp_path: Path, values: dict[str, object], words: str
) -> None:
    make_scan(tmp_path / "dicom" / "good")
    make_scan(tmp_path / "dicom" / "odd", seed="odd")
    edit(tmp_path / "dicom" / "odd" / "CT0003.dcm", partial(fill, values=values))
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    reasons = {left.path.name: left.finding.sentence() for left in written.left_out}
    assert written.series == 1
    assert "only its CT was written" in reasons["good"]
    assert words in reasons["odd"]
    assert not any(part in reasons["odd"] for part in ("123456", "Zebedee"))
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 5


HIDDEN_TEXT = list(np.frombuffer(b"Zebedee ", "<u2").tolist())
MANY_VALUES = {
    "WindowCenter": [40, 50, 60],
    "WindowWidth": [400, 500, 600],
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "PixelSpacing": [1.5, 2],
    "SpacingBetweenSlices": 3,
}


@pytest.mark.parametrize(
    ("keyword", "first"),
    [("HighBit", 15), ("Columns", 12), ("BitsAllocated", 16), ("RescaleIntercept", -1024)],
)
@pytest.mark.filterwarnings("ignore")
def test_text_in_many_numbers_of_a_needed_attribute_leaves_the_series_out(
    tmp_path: Path, keyword: str, first: int
) -> None:
    make_scan(tmp_path / "dicom" / "good")
    make_scan(tmp_path / "dicom" / "odd", seed="odd")
    values = {keyword: [first, *HIDDEN_TEXT]}
    edit(tmp_path / "dicom" / "odd", partial(fill, values=values))
    assert keyword == "RescaleIntercept" or leaks(tmp_path / "dicom", {"Zebedee"})
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert written.series == 1
    assert "odd" in {left.path.name for left in written.left_out}
    assert not leaks(tmp_path / "out", {"Zebedee", "\\".join(map(str, HIDDEN_TEXT))})


@pytest.mark.parametrize("keyword", ["HighBit", "PixelSpacing"])
def test_a_needed_attribute_with_too_many_numbers_is_named(tmp_path: Path, keyword: str) -> None:
    make_scan(tmp_path / "ct")
    image = pydicom.dcmread(tmp_path / "ct" / "CT0001.dcm")
    fill(image, {keyword: [1, *HIDDEN_TEXT]})
    with pytest.raises(DicomError) as error:
        without_identity(image, Pseudonyms(bytes(32), "4711", frozenset(), frozenset()))
    assert error.value.finding == TooManyValues(keyword=keyword)


@pytest.mark.parametrize("keyword", ["PixelPaddingValue", "PixelPaddingRangeLimit", "ExposureTime"])
def test_text_in_many_numbers_of_another_attribute_is_dropped(tmp_path: Path, keyword: str) -> None:
    make_scan(tmp_path / "dicom" / "ct")

    def hide(image: Dataset) -> None:
        fill(image, MANY_VALUES)
        kind = "IS" if keyword == "ExposureTime" else "US"
        image.add_new(keyword, kind, HIDDEN_TEXT)

    edit(tmp_path / "dicom" / "ct", hide)
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert written.series == 1
    assert not leaks(tmp_path / "out", {"Zebedee", "\\".join(map(str, HIDDEN_TEXT))})
    for path in (tmp_path / "out").rglob("*.dcm"):
        image = pydicom.dcmread(path)
        assert keyword not in image
        for kept, values in MANY_VALUES.items():
            assert image[kept].value == values


def every_number(dataset: Dataset) -> Iterator[float]:
    for element in dataset.iterall():
        if element.VR in ("IS", "DS", "US", "UL", "SS", "SL", "FD", "FL") and element.value not in (
            None,
            "",
        ):
            yield from map(float, element.value if element.VM > 1 else [element.value])


ID_AS_NUMBER: dict[str, object] = {
    "SeriesNumber": 123456,
    "AcquisitionNumber": 123456,
    "InstanceNumber": 123456,
    "KVP": "0123456.0",
    "XRayTubeCurrent": -123456,
    "Exposure": 123456,
    "SliceThickness": "1.23456E5",
    "SpiralPitchFactor": 123456.0,
    "SliceLocation": "+123456",
    "WindowCenter": [40, 123456],
    "WindowWidth": [400, 19611013],  # the birth date
    "TableHeight": 8765,  # of another ID
    "InStackPositionNumber": 90210,  # the accession number
}


def test_no_number_of_the_output_is_an_identifier(tmp_path: Path) -> None:
    """This holds for every notation; numbers that only count are renumbered."""
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan, names=("Brain Stem", "Lens L"))
    patient = {
        "PatientID": "123456",
        "OtherPatientIDs": ["MRN 8765", "x"],
        "AccessionNumber": "ACC-90210",
        "PatientBirthDate": "19611013",
    }
    edit(tmp_path / "dicom" / "ct", partial(fill, values={**patient, **ID_AS_NUMBER}))

    def number(structure_set: Dataset) -> None:
        fill(structure_set, {**patient, "SeriesNumber": 123456, "InstanceNumber": 123456})
        structure_set.StructureSetROISequence[0].ROINumber = 123456
        contours, observation = (
            structure_set.ROIContourSequence[0],
            structure_set.RTROIObservationsSequence[0],
        )
        contours.ReferencedROINumber = observation.ReferencedROINumber = (
            observation.ObservationNumber
        ) = 123456
        contours.ROIDisplayColor = [1, 2, 123456]
        contours.ContourSequence[0].ContourNumber = 123456
        contours.ContourSequence[0].ContourImageSequence[0].ROINumber = 123456  # where none belongs

    edit(tmp_path / "dicom" / "rs.dcm", number)
    secrets = {123456.0, 8765.0, 90210.0, 19611013.0}
    found = {
        abs(number)
        for path in (tmp_path / "dicom").rglob("*.dcm")
        for number in every_number(pydicom.dcmread(path))
    }
    assert secrets <= found
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.series, written.structure_sets, written.left_out) == (1, 1, ())
    datasets = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    assert secrets.isdisjoint(
        {abs(number) for dataset in datasets for number in every_number(dataset)}
    )
    clean = read_scan(tmp_path / "out")
    (structure_set,) = (tmp_path / "out").rglob("RTSTRUCT.dcm")
    copied, drawn = (
        read_structure_set(structure_set, clean),
        read_structure_set(tmp_path / "dicom" / "rs.dcm", scan),
    )
    assert copied.names == ("Brainstem", "Lens_L")
    for one, other in zip(copied.structures, drawn.structures, strict=True):
        for mine, theirs in zip(one.contours, other.contours, strict=True):
            np.testing.assert_array_equal(mine.points_mm, theirs.points_mm)
    written_set = pydicom.dcmread(structure_set)
    assert [roi.ROINumber for roi in written_set.StructureSetROISequence] == [1, 2]
    assert [roi.ReferencedROINumber for roi in written_set.ROIContourSequence] == [1, 2]
    assert [
        (roi.ObservationNumber, roi.ReferencedROINumber)
        for roi in written_set.RTROIObservationsSequence
    ] == [
        (1, 1),
        (2, 2),
    ]


def test_points_are_counted_anew_where_their_number_is_an_identifier(tmp_path: Path) -> None:
    """Or is not told.

    One that differs from the points is kept: import refuses what was cut off by it.
    """
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    points: list[int] = []

    def number(structure_set: Dataset) -> None:
        structure_set.PatientID = "0098765"
        first, second, third = structure_set.ROIContourSequence[0].ContourSequence[:3]
        points.extend(len(contour.ContourData) // 3 for contour in (first, second))
        first.NumberOfContourPoints = 98765
        del second.NumberOfContourPoints
        third.NumberOfContourPoints, third.ContourData = 7, None

    edit(tmp_path / "dicom" / "rs.dcm", number)
    deidentify(tmp_path / "dicom", tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("RTSTRUCT.dcm")
    contours = pydicom.dcmread(path).ROIContourSequence[0].ContourSequence
    assert [contour.NumberOfContourPoints for contour in contours[:3]] == [*points, 7]


def test_contours_are_still_closed_where_an_id_is_a_part_of_that_code(tmp_path: Path) -> None:
    """Dropped, it left a structure set that was written and told, and of which no contour could be
    read.
    """
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    edit(tmp_path / "dicom" / "rs.dcm", partial(fill, values={"StudyID": "PLANAR"}))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("RTSTRUCT.dcm")
    assert all(roi.contours() for roi in read_rois(path, None))


def test_blank_coordinates_are_none(tmp_path: Path) -> None:
    """As import reads them: a contour without points is no reason to leave the others out."""
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)

    def blank(structure_set: Dataset) -> None:
        contour = structure_set.ROIContourSequence[0].ContourSequence[0]
        contour[0x30060050] = raw(0x30060050, b"  ")
        contour.NumberOfContourPoints = 0

    edit(tmp_path / "dicom" / "rs.dcm", blank)
    assert deidentify(tmp_path / "dicom", tmp_path / "out").structure_sets == 1


def test_a_contour_through_the_patient_s_id_leaves_the_structure_set_out(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    edit(tmp_path / "dicom" / "ct", partial(fill, values={"PatientID": "0098765"}))

    def draw(structure_set: Dataset) -> None:
        structure_set.ROIContourSequence[0].ContourSequence[0].ContourData[1] = "-98765.00"

    edit(tmp_path / "dicom" / "rs.dcm", draw)
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.series, written.structure_sets) == (1, 0)
    assert [left.path.name for left in written.left_out] == ["rs.dcm"]
    assert written.left_out[0].finding == IdentifierInNumbers(path=written.left_out[0].path)
    assert "98765" not in written.left_out[0].finding.sentence()


def test_a_short_id_costs_no_number(tmp_path: Path) -> None:
    """A patient of ID 120 is scanned at 120 kV, and one of ID 1024 in Hounsfield units."""
    scan = make_scan(tmp_path / "dicom")
    values = {"RescaleIntercept": -1024, "KVP": 120, "OtherPatientIDs": "1024", "PatientID": "120"}
    edit(tmp_path / "dicom", partial(fill, values=values))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    np.testing.assert_array_equal(read_scan(tmp_path / "out").hu, scan.hu - 1024)
    assert pydicom.dcmread(next((tmp_path / "out").rglob("CT0001.dcm"))).KVP == 120


def test_images_are_counted_in_the_order_of_their_instance_numbers(tmp_path: Path) -> None:
    make_scan(tmp_path / "dicom")  # write_scan counts from the last file to the first
    edit(
        tmp_path / "dicom" / "CT0002.dcm",
        lambda image: image.add(DataElement("InstanceNumber", "LO", "no number")),
    )
    places = [
        pydicom.dcmread(path).ImagePositionPatient[2]
        for path in sorted((tmp_path / "dicom").iterdir())
    ]
    deidentify(tmp_path / "dicom", tmp_path / "out")
    clean = [pydicom.dcmread(path) for path in sorted((tmp_path / "out").rglob("*.dcm"))]
    assert [image.InstanceNumber for image in clean] == [1, 2, 3, 4, 5]
    assert [image.ImagePositionPatient[2] for image in clean] == [
        places[1],
        places[4],
        places[3],
        places[2],
        places[0],
    ]


@pytest.mark.parametrize(
    ("patient", "kept", "value"),
    [
        ({"PatientID": "MRN-4711"}, "BodyPartExamined", "MRN 4711"),
        ({"PatientID": "MRN-4711"}, "BodyPartExamined", "ID4711"),
        ({"PatientID": "ZEB_Q"}, "BodyPartExamined", "FOR ZEB_Q"),
        ({"PatientID": "ZEB Q1"}, "BodyPartExamined", "ZEB Q1"),
        ({"PatientName": "Zebedee^Quentin"}, "BodyPartExamined", "ZEBEDEE1"),
        ({"PatientName": "Wang^XiaoDong=王^小东"}, "ManufacturerModelName", "王's scanner"),
        ({"PatientBirthName": "Magpie^Ann"}, "ConvolutionKernel", "magpie soft"),
        ({"OtherPatientIDs": ["one", "OLD-0815"]}, "ManufacturerModelName", "CT of old-0815"),
        ({"AccessionNumber": "A90210"}, "ManufacturerModelName", "90210"),
        (
            {"OtherPatientIDsSequence": [{"PatientID": "OLD-0815"}]},
            "ManufacturerModelName",
            "CT of old-0815",
        ),
        ({"StudyDate": "20200131"}, "ManufacturerModelName", "set up 20200131"),
        ({"PatientBirthDate": "19611013"}, "ManufacturerModelName", "born 19611013"),
    ],
)
def test_no_identifier_of_the_file_itself_is_kept_as_text_or_code(
    tmp_path: Path, patient: dict[str, object], kept: str, value: str
) -> None:
    """Of any file of a series, not of its first one alone."""
    make_scan(tmp_path / "dicom")
    values = {"SpecificCharacterSet": "ISO_IR 192", **patient, kept: value}
    edit(
        tmp_path / "dicom",
        partial(fill, values={key: patient[key] for key in patient if key == "PatientID"}),
    )
    edit(tmp_path / "dicom" / "CT0004.dcm", partial(fill, values=values))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    images = [pydicom.dcmread(path) for path in sorted((tmp_path / "out").rglob("*.dcm"))]
    assert len(images) == 5
    assert not [image for image in images if str(image.get(kept)) == value]


def test_objects_of_other_kinds_are_passed_over_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_scan(tmp_path / "dicom" / "ct")
    kinds = (
        RTDoseStorage,
        RTPlanStorage,
        ComprehensiveSRStorage,
        SecondaryCaptureImageStorage,
        "1.2.3.4.5",
    )
    for number, kind in enumerate(kinds):
        other = pydicom.dcmread(tmp_path / "dicom" / "ct" / "CT0001.dcm")
        other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = UID(kind)
        other.save_as(tmp_path / "dicom" / f"{number}.dcm")
    localiser = pydicom.dcmread(tmp_path / "dicom" / "ct" / "CT0001.dcm")
    localiser.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    localiser.save_as(tmp_path / "dicom" / "localiser.dcm")
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    tell.deidentified(written, tmp_path / "out")
    assert "skipped: 1 x RT Dose Storage; only CT" in capsys.readouterr().out
    assert dict(written.skipped) == {
        "CT localiser": 1,
        "RT Dose Storage": 1,
        "RT Plan Storage": 1,
        "Comprehensive SR Storage": 1,
        "Secondary Capture Image Storage": 1,
        "object of an unknown kind": 1,
    }
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 5


PLANTED: dict[str, object] = {
    "UI": "1.2.54321.4",
    "DA": "20200101",
    "DT": "20200101054321",
    "CS": "54321",
    "LO": "CT 54321",
    "SH": "54321",
}
NEEDED = {
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "Rows",
    "Columns",
}
NEEDED |= {"NumberOfFrames", "PhotometricInterpretation"}  # or the pixels cannot be decoded
NEEDED |= {
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
}


def plant(dataset: Dataset) -> None:
    """The patient's ID in every attribute that is kept and not needed, as its kind may hold it."""
    dataset.PatientID, dataset.StudyDate = "MRN-54321", "20200101"
    z_mm = int(dataset.get("ImagePositionPatient", [0, 0, 0])[2])
    for keyword in kept_keywords() - NEEDED - {"SOPClassUID", "SeriesInstanceUID", "ContourData"}:
        kind = dictionary_VR(tag_for_keyword(keyword) or 0).partition(" or ")[0]
        if kind != "SQ":
            dataset.add_new(keyword, kind, PLANTED.get(kind, 54321))
    if "SOPInstanceUID" in dataset:
        dataset.SOPInstanceUID = f"1.2.54321.4{z_mm or ''}"  # images of two places are two


@pytest.mark.usefixtures("same_secret")
def test_no_attribute_that_is_kept_lets_an_id_through(tmp_path: Path) -> None:
    """At the top, in the sequences of a structure set and in the frames of a multi-frame CT."""
    scan = make_scan(tmp_path / "dicom" / "ct")
    make_structure_set(tmp_path / "dicom" / "rs.dcm", scan)
    (tmp_path / "dicom" / "multi").mkdir()
    make_multi_frame(tmp_path / "dicom" / "ct", tmp_path / "dicom" / "multi" / "ct.dcm")
    edit(tmp_path / "dicom" / "ct", plant)

    def plant_in_frames(image: Dataset) -> None:
        image.SeriesInstanceUID = "1.2.3.4"
        plant(image)
        for frame in image.PerFrameFunctionalGroupsSequence:
            plant(frame)
            frame.add_new("PixelData", "OW", b"54321 ")
            plant(frame.PlanePositionSequence[0])

    def plant_in_contours(structure_set: Dataset) -> None:
        plant(structure_set)
        plant(structure_set.ReferencedFrameOfReferenceSequence[0])
        contour = structure_set.ROIContourSequence[0].ContourSequence[0]
        plant(contour.ContourImageSequence[0])
        contour.ContourNumber = 54321

    edit(tmp_path / "dicom" / "multi", plant_in_frames)
    edit(tmp_path / "dicom" / "rs.dcm", plant_in_contours)
    written = deidentify(tmp_path / "dicom", tmp_path / "out")
    assert (written.series, written.structure_sets) == (2, 1)
    assert leaks(tmp_path / "out", {"54321", "20200101"}) == set()
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert 54321.0 not in set(every_number(pydicom.dcmread(path)))


def test_nothing_is_written_among_what_it_was_made_from(tmp_path: Path) -> None:
    """The next import of the folder would find each patient twice."""
    make_scan(tmp_path / "in" / "ct")
    with pytest.raises(OutputError, match="in the archive that it is made from"):
        deidentify(tmp_path / "in", tmp_path / "in" / "out")
    assert not (tmp_path / "in" / "out").exists()


@pytest.mark.parametrize(
    ("keyword", "said", "kept"),
    [
        ("BodyPartExamined", "HEADNECK", "HEADNECK"),
        ("BodyPartExamined", "MUELLER ANNA", None),
        ("BodyPartExamined", "WARD 7", None),
        ("ScanOptions", "HELICAL MODE", None),  # no standard says what may stand there
        (
            "ImageType",
            ["ORIGINAL", "PRIMARY", "AXIAL", "MUELLER"],
            ["ORIGINAL", "PRIMARY", "AXIAL"],
        ),
        ("ImageType", ["ORIGINAL", "PRIMARY", "LI_WU", "CT_SOM5 SPI"], ["ORIGINAL", "PRIMARY"]),
        ("RotationDirection", "ANNA", None),
        ("LossyImageCompressionMethod", "DR_HOUSE", None),
        ("RescaleType", "HU", "HU"),
        ("RescaleType", "for Dr House", None),
        ("Manufacturer", "GE MEDICAL SYSTEMS", "GE MEDICAL SYSTEMS"),
        ("Manufacturer", "Picker International, Inc. PQ2000", "Picker International, Inc. PQ2000"),
        ("Manufacturer", "Saint Elsewhere Radiology", ""),
        ("Manufacturer", "SIEMENS of Anna", ""),
        ("ManufacturerModelName", "SOMATOM Definition AS+", "SOMATOM Definition AS+"),
        ("ManufacturerModelName", "Discovery CT590 RT", "Discovery CT590 RT"),
        ("ManufacturerModelName", "Brilliance Big Bore", "Brilliance Big Bore"),
        ("ManufacturerModelName", "Aquilion/LB", "Aquilion/LB"),
        ("ManufacturerModelName", "Biograph40_mCT 4R", "Biograph40_mCT 4R"),
        ("ManufacturerModelName", "SOMATOM SN 47110", None),
        ("ManufacturerModelName", "SOMATOM 4711 0815", None),
        ("ManufacturerModelName", "SOMATOM Anna", None),
        ("ConvolutionKernel", "Br38f", "Br38f"),
        ("ConvolutionKernel", ["I30f", "3"], ["I30f", "3"]),
        ("ConvolutionKernel", "FC08", "FC08"),
        ("ConvolutionKernel", "STANDARD", "STANDARD"),
        ("ConvolutionKernel", "Dr Anna's", None),
    ],
)
def test_codes_and_texts_are_kept_only_if_their_words_are_known(
    tmp_path: Path, keyword: str, said: object, kept: object
) -> None:
    """Nothing else in these files says that the words are somebody's."""
    make_scan(tmp_path / "dicom", make_grid((1, 6, 8)))
    edit(tmp_path / "dicom", partial(fill, values={keyword: said}))
    deidentify(tmp_path / "dicom", tmp_path / "out")
    found = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm"))).get(keyword)
    assert (list(found) if isinstance(kept, list) else found) == kept


def test_what_is_left_out_may_be_stored_and_names_nobody(archive: Path, tmp_path: Path) -> None:
    """Each kind of loss: a mark in the pixels, a SEG, a structure set without organs or CT."""
    scan = make_scan(archive / "Quentin" / "ct", seed="q")
    make_structure_set(archive / "Quentin" / "rs.dcm", scan, names=("GTV Zebedee",), seed="q")
    marked = make_scan(archive / "Zebedee" / "marked", seed="m")
    make_structure_set(archive / "Zebedee" / "marked.dcm", marked, seed="m")
    edit(archive / "Zebedee" / "marked", partial(fill, values={"BurnedInAnnotation": "YES"}))
    drawn = make_scan(archive / "Zebedee" / "drawn", seed="d")
    person = Authorship("test", label="PERSON")
    masks = [("Zebedee", block(drawn.grid))]
    write_segmentation(archive / "Zebedee" / "seg.dcm", masks, drawn, person)
    (archive / "Zebedee" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM")
    written = deidentify(archive, tmp_path / "out")
    assert len(written.left_out) == 4
    for left in written.left_out:
        assert left.finding.path is not None
        stored = stored_words(left.finding)
        assert not any(part in stored.casefold() for part in ("zebedee", "quentin", str(tmp_path)))
