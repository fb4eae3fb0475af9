from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydicom import Dataset
from tests.conftest import largest_file
from tests.dicom.conftest import SQUARE, block, edit, make_scan, make_structure_set
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    Authorship,
    Scan,
    read_scan,
    read_structure_set,
    write_segmentation,
    write_structure_set,
)
from recontour.errors import (
    DicomError,
    FaultError,
    FrameOfReferenceError,
    OutputError,
    SettingsError,
)
from recontour.geometry import Contour, Structure, StructureSet, rasterise, trace, traced


@settings(max_examples=40, deadline=None)
@given(
    mask=arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7)),
    spacing=st.tuples(st.floats(0.3, 5.1), st.floats(0.3, 5.1)),
    origin=st.tuples(st.floats(-999, 999), st.floats(-999, 999)),
)
def test_mask_to_file_to_mask_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory,
    mask: np.ndarray[tuple[int, int, int], np.dtype[np.bool_]],
    spacing: tuple[float, float],
    origin: tuple[float, float],
) -> None:
    folder = tmp_path_factory.mktemp("rt")
    scan = make_scan(folder / "ct", make_grid(mask.shape, spacing_mm=spacing, origin_mm=origin))
    structures = StructureSet((Structure("Brainstem", trace(mask, scan.grid)),))
    write_structure_set(folder / "rs.dcm", structures, scan, Authorship("test"))
    read = read_structure_set(folder / "rs.dcm", scan)
    np.testing.assert_array_equal(rasterise(read["Brainstem"].contours, scan.grid), mask)


def test_every_decimal_string_has_at_most_16_characters(tmp_path: Path) -> None:
    grid = make_grid(
        (2, 4, 4),
        spacing_mm=(1 / 3, 1 / 7),
        z_mm=(-12345.678912345, -12342.3),
        origin_mm=(-9999.1, 1 / 3),
    )
    scan = make_scan(tmp_path / "ct", grid)
    make_structure_set(tmp_path / "rs.dcm", scan)
    for contour in pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence[0].ContourSequence:
        assert (
            max(
                len(value)
                for value in contour.get_item("ContourData").value.decode().strip().split("\\")
            )
            <= 16
        )


def test_what_a_planning_system_needs_is_written(tmp_path: Path, scan: Scan, drawn: Path) -> None:
    dataset, image = pydicom.dcmread(drawn), pydicom.dcmread(tmp_path / "ct" / "CT0001.dcm")
    for keyword in (
        "PatientName",
        "PatientID",
        "StudyInstanceUID",
        "StudyDate",
        "FrameOfReferenceUID",
    ):
        assert dataset[keyword].value == image[keyword].value, keyword
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        assert dataset[keyword].value != image[keyword].value, keyword
    assert (dataset.Modality, dataset.ApprovalStatus) == ("RTSTRUCT", "UNAPPROVED")
    assert (dataset.Manufacturer, dataset.ManufacturerModelName) == ("recontour", "test")
    assert dataset.SeriesDescription == "recontour: test"
    assert len(dataset.StructureSetLabel) <= 16
    assert dataset.StructureSetROISequence[0].ROIGenerationAlgorithm == "AUTOMATIC"
    assert dataset.RTROIObservationsSequence[0].RTROIInterpretedType == "ORGAN"
    assert list(dataset.ROIContourSequence[0].ROIDisplayColor) == [255, 0, 0]
    series = (
        dataset.ReferencedFrameOfReferenceSequence[0]
        .RTReferencedStudySequence[0]
        .RTReferencedSeriesSequence[0]
    )
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert [item.ReferencedSOPInstanceUID for item in series.ContourImageSequence] == [
        *scan.source.sop_instance_uids
    ]
    # one on each slice, upwards
    for index, contour in enumerate(dataset.ROIContourSequence[0].ContourSequence):
        assert contour.ContourGeometricType == "CLOSED_PLANAR"
        assert (
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            == scan.source.sop_instance_uids[index]
        )
        assert contour.NumberOfContourPoints == len(contour.ContourData) // 3


def test_uids_are_new_each_time_unless_a_seed_is_given(tmp_path: Path, scan: Scan) -> None:
    uids = []
    for name, seed in [("a", None), ("b", None), ("c", "seed"), ("d", "seed")]:
        empty = StructureSet((Structure("Lens_L", ()),))
        write_structure_set(tmp_path / name, empty, scan, Authorship("test", seed=seed))
        uids.append(pydicom.dcmread(tmp_path / name).SOPInstanceUID)
    assert uids[0] != uids[1]
    assert uids[2] == uids[3]


def test_a_full_disk_is_reported_in_the_system_s_words(tmp_path: Path, scan: Scan) -> None:
    """pydicom, writing a file itself, wraps them in a traceback of its own."""
    names = tuple(f"organ {number}" for number in range(40))
    with (
        largest_file(20_000),
        pytest.raises(FaultError, match=r"full\.dcm: could not be written \(File too large\)"),
    ):
        make_structure_set(tmp_path / "full.dcm", scan, names)
    assert {path.name for path in tmp_path.iterdir()} == {"ct"}


def test_writing_never_overwrites(scan: Scan, drawn: Path) -> None:
    before = drawn.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        make_structure_set(drawn, scan)
    assert drawn.read_bytes() == before


def test_no_frame_of_reference_is_invented(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: setattr(image, "FrameOfReferenceUID", ""))
    with pytest.raises(FrameOfReferenceError, match="does not invent one"):
        make_structure_set(tmp_path / "rs.dcm", read_scan(tmp_path / "ct"))
    assert not (tmp_path / "rs.dcm").exists()


@pytest.mark.parametrize(
    ("structures", "label", "error", "told"),
    [
        (StructureSet(()), "seventeen letters", SettingsError, "1 to 16 characters"),
        (StructureSet(()), "ok", DicomError, "no structure to write"),
        (StructureSet((Structure("a\\b", ()),)), "ok", SettingsError, "without a backslash"),
        (
            StructureSet((Structure("Lens_L", (Contour(SQUARE[:2], 0.0),)),)),
            "ok",
            DicomError,
            "at least 3 points",
        ),
        (
            StructureSet((Structure("Lens_L", (Contour(SQUARE, 99.0),)),)),
            "ok",
            DicomError,
            "on one of the CT's slices",
        ),
    ],
)
def test_what_dicom_does_not_hold_is_refused_and_nothing_is_written(
    tmp_path: Path,
    scan: Scan,
    structures: StructureSet,
    label: str,
    error: type[Exception],
    told: str,
) -> None:
    with pytest.raises(error, match=told):
        write_structure_set(tmp_path / "rs.dcm", structures, scan, Authorship("test", label=label))
    assert [entry.name for entry in tmp_path.iterdir()] == ["ct"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("north (South\\ENT)", "north (South/ENT)"),
        ("two\nlines", "two lines"),
        ("mod\udce9l", "mod\ufffdl"),
    ],
)
def test_a_model_s_name_is_one_value_of_text_whatever_it_holds(
    tmp_path: Path, scan: Scan, model: str, name: str
) -> None:
    """A backslash would part it in two, of which no LO may consist.

    The last is a file's name in another encoding.
    """
    masks = [("Lens_L", block(scan.grid))]
    write_structure_set(tmp_path / "rs.dcm", traced(masks, scan.grid), scan, Authorship(model))
    write_segmentation(tmp_path / "seg.dcm", masks, scan, Authorship(model))
    structure_set, segmentation = (
        pydicom.dcmread(tmp_path / file) for file in ("rs.dcm", "seg.dcm")
    )
    for written in (structure_set, segmentation):
        assert (written.ManufacturerModelName, written.SeriesDescription) == (
            name,
            f"recontour: {name}",
        )
    assert structure_set.StructureSetName == name
    (segment,) = segmentation.SegmentSequence
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == name


def test_names_are_kept_as_the_centre_spells_them_and_an_empty_structure_stays(
    tmp_path: Path, scan: Scan
) -> None:
    write_structure_set(
        tmp_path / "rs.dcm",
        StructureSet(
            (
                Structure("Tronc cérébral", trace(block(scan.grid), scan.grid)),
                Structure("lt PAROTID ", ()),
            )
        ),
        scan,
        Authorship("test"),
    )
    read = read_structure_set(tmp_path / "rs.dcm", scan)
    assert read.names == ("Tronc cérébral", "lt PAROTID")
    assert len(read["Tronc cérébral"].contours) == 5
    assert read["lt PAROTID"].contours == ()


@pytest.mark.parametrize(
    ("character_set", "roi_name", "patient"),
    [
        ("ISO_IR 192", "腮腺左 Öhr 눈", "李^明"),
        ("GB18030", "脑干", "王^小东"),
        ("GBK", "脑干", "王^小东"),
        ("ISO_IR 100", "Tronc cérébral", "Müller^Zoë"),
        ("ISO_IR 101", "Pień mózgu", "Łęcki^Paweł"),
        ("ISO_IR 126", "Εγκέφαλος", "Διονυσιος"),
        ("ISO_IR 144", "Ствол мозга", "Люкceмбypг"),  # noqa: RUF001
        ("ISO_IR 138", "גזע המוח", "שרון^דבורה"),
        ("ISO_IR 127", "الدماغ", "قباني^لنزار"),
        (["", "ISO 2022 IR 87"], "脳幹", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "耳下腺ﾐｷﾞ", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "뇌간", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO 2022 IR 100", "Tronc cérébral", "Müller^Zoë"),
    ],
)
def test_names_in_any_script(
    tmp_path: Path, character_set: str | list[str], roi_name: str, patient: str
) -> None:
    """Names are read as the centre wrote them.

    The CT's patient is written again, beside a name of ours in any script.
    """
    make_scan(tmp_path / "ct")

    def rename(image: Dataset) -> None:
        image.SpecificCharacterSet, image.PatientName = character_set, patient

    edit(tmp_path / "ct", rename)
    scan = read_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    ours = pydicom.dcmread(tmp_path / "rs.dcm")
    # what we add is ASCII
    assert (ours.SpecificCharacterSet, ours.PatientName) == (
        character_set,
        patient,
    )

    edit(
        tmp_path / "rs.dcm",
        lambda data: setattr(data.StructureSetROISequence[0], "ROIName", roi_name),
    )
    assert b"Brainstem" not in (tmp_path / "rs.dcm").read_bytes()
    assert read_structure_set(tmp_path / "rs.dcm", scan).names == (roi_name,)

    make_structure_set(tmp_path / "new.dcm", scan, names=("腮腺左", roi_name))
    new = pydicom.dcmread(tmp_path / "new.dcm")
    assert (new.SpecificCharacterSet, new.PatientName) == ("ISO_IR 192", patient)
    assert read_structure_set(tmp_path / "new.dcm", scan).names == ("腮腺左", roi_name)


def test_chinese_names_in_iso_2022(tmp_path: Path, scan: Scan, drawn: Path) -> None:
    """ISO 2022 IR 58, by hand as scanners write it: pydicom leaves out escape sequences."""
    name, patient = ("\x1b$)A脑干", "Wang^XiaoDong=\x1b$)A王^\x1b$)A小东")

    def put(path: Path, keyword: str, value: str) -> None:
        raw = value.encode("gb2312")
        raw += b" " * (len(raw) % 2)

        def room(data: Dataset) -> None:
            data.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
            holder = data.StructureSetROISequence[0] if keyword == "ROIName" else data
            setattr(holder, keyword, "X" * len(raw))

        edit(path, room)
        assert path.read_bytes().count(b"X" * len(raw)) == 1
        path.write_bytes(path.read_bytes().replace(b"X" * len(raw), raw))

    put(drawn, "ROIName", name)
    assert read_structure_set(drawn, scan).names == ("脑干",)
    for file in (tmp_path / "ct").iterdir():
        put(file, "PatientName", patient)
    make_structure_set(tmp_path / "new.dcm", read_scan(tmp_path / "ct"))
    assert patient.encode("gb2312") in (tmp_path / "new.dcm").read_bytes()
    make_structure_set(tmp_path / "chinese.dcm", read_scan(tmp_path / "ct"), names=("脑干",))
    new = pydicom.dcmread(tmp_path / "chinese.dcm")
    assert (new.SpecificCharacterSet, new.PatientName) == ("ISO_IR 192", "Wang^XiaoDong=王^小东")
