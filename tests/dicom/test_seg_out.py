from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes
from tests.dicom.conftest import PATIENT, block, dciodvfy, edit, make_scan, needs_dciodvfy
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    Authorship,
    Scan,
    read_scan,
    write_segmentation,
)
from recontour.errors import DicomError, FrameOfReferenceError, OutputError
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.organs import default_organ
from recontour.organs.table import organs

MADE_BY = Authorship("north (compact)")
UNEVEN = make_grid(
    (5, 6, 8), spacing_mm=(1.5, 2.0), z_mm=(0.0, 3.0, 6.0, 12.0, 18.0), origin_mm=(-7.25, -4.0)
)


def masks_on(scan: Scan) -> dict[str, Mask]:
    """Three organs; the second overlaps the first, the third is on one slice."""
    first = block(scan.grid)
    first[0] = False
    single = np.zeros(scan.grid.shape, dtype=bool)
    single[3, 5, 7] = True
    return {"Brainstem": first, "Lens_L": np.roll(first, 1, axis=2), "Glottis": single}


def read_back(path: Path, scan: Scan) -> dict[str, Mask]:
    """By segment label: every frame's pixels, put where the frame says it lies."""
    written = highdicom.seg.segread(path)
    (x, y), z_mm = scan.grid.origin_mm, list(scan.grid.slice_z_mm)
    orientation = (
        written.SharedFunctionalGroupsSequence[0]
        .PlaneOrientationSequence[0]
        .ImageOrientationPatient
    )
    spacing = written.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    assert (orientation, spacing) == ([1, 0, 0, 0, 1, 0], list(scan.grid.spacing_mm))
    masks = {
        str(segment.SegmentLabel): np.zeros(scan.grid.shape, dtype=bool)
        for segment in written.SegmentSequence
    }
    for frame, pixels in zip(
        written.PerFrameFunctionalGroupsSequence, written.pixel_array, strict=True
    ):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert position[:2] == [x, y]
        index = z_mm.index(position[2])
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == scan.source.sop_instance_uids[index]
        masks[str(written.SegmentSequence[number - 1].SegmentLabel)][index] = pixels
    return masks


@pytest.mark.parametrize("grid", [None, UNEVEN], ids=["even", "uneven"])
def test_masks_come_back_at_the_same_millimetres(tmp_path: Path, grid: Grid | None) -> None:
    scan = make_scan(tmp_path / "ct", grid)
    masks = masks_on(scan)
    write_segmentation(tmp_path / "seg.dcm", masks.items(), scan, MADE_BY)
    read = read_back(tmp_path / "seg.dcm", scan)
    assert list(read) == list(masks)
    for organ, mask in masks.items():
        np.testing.assert_array_equal(read[organ], mask)
    if grid is None:  # as a volume, by highdicom's own geometry
        volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(segment_numbers=[1])
        inside = [
            volume.map_indices_to_reference(np.array([at[:3]]))[0]
            for at in np.argwhere(volume.array)
        ]
        rows_mm = {tuple(np.round(point, 6)) for point in inside}
        slices, rows, columns = np.nonzero(masks["Brainstem"])
        x_y = scan.grid.to_mm(np.column_stack([columns, rows]).astype(float))
        assert rows_mm == {
            (*at, scan.grid.slice_z_mm[s]) for at, s in zip(x_y.tolist(), slices, strict=True)
        }


@needs_dciodvfy
@pytest.mark.parametrize("grid", [None, UNEVEN], ids=["even", "uneven"])
def test_dciodvfy_finds_no_error(tmp_path: Path, grid: Grid | None) -> None:
    scan = make_scan(tmp_path / "ct", grid)
    write_segmentation(tmp_path / "seg.dcm", masks_on(scan).items(), scan, MADE_BY)
    # what it is, and neither an error nor a warning
    assert dciodvfy(tmp_path / "seg.dcm") == ["Segmentation"]


def test_a_segment_says_which_organ_on_which_side(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    write_segmentation(tmp_path / "seg.dcm", masks_on(scan).items(), scan, MADE_BY)
    written = pydicom.dcmread(tmp_path / "seg.dcm")
    stem, lens, glottis = (
        segment.SegmentedPropertyTypeCodeSequence[0] for segment in written.SegmentSequence
    )
    assert (stem.CodeValue, lens.CodeValue, glottis.CodeValue) == (
        "119238007",
        "78076003",
        "91723000",
    )
    assert lens.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert "SegmentedPropertyTypeModifierCodeSequence" not in stem
    assert {segment.SegmentAlgorithmType for segment in written.SegmentSequence} == {"AUTOMATIC"}
    assert written.SegmentsOverlap == "YES"


def test_every_concept_is_one_that_pydicom_knows() -> None:
    concepts = [getattr(codes.SCT, keyword) for keyword in codes.SCT.dir()]
    known = {(concept.value, concept.meaning) for concept in concepts}
    for organ in (default_organ(), *organs().values()):
        assert (organ.concept.code, organ.concept.meaning) in known


def test_patient_study_and_frame_of_reference_are_the_ct_s(tmp_path: Path) -> None:
    """Also where the CT's header is not what the standard asks for."""
    make_scan(tmp_path / "ct")

    def change(image: pydicom.Dataset) -> None:
        image.PatientSex, image.StudyDate, image.PatientName = "X", "1997.4.4", "腮腺^左"

    edit(tmp_path / "ct", change)
    scan = read_scan(tmp_path / "ct")
    write_segmentation(tmp_path / "seg.dcm", masks_on(scan).items(), scan, MADE_BY)
    written = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (written.PatientID, written.PatientName) == (PATIENT[1], "腮腺^左")
    assert written.get_item("PatientSex").value in (b"X ", "X")
    assert written.StudyInstanceUID == scan.source.header.StudyInstanceUID
    assert written.FrameOfReferenceUID == scan.source.frame_of_reference_uid
    assert written.SeriesInstanceUID != scan.source.series_instance_uid
    assert written.SeriesDescription == "recontour: north (compact)"


@pytest.mark.parametrize("name", ["north", "süd"])
def test_the_character_set_has_the_patient_s_letters_and_the_model_s(
    tmp_path: Path, name: str
) -> None:
    make_scan(tmp_path / "ct")

    def change(image: pydicom.Dataset) -> None:
        image.SpecificCharacterSet, image.PatientName = "ISO_IR 144", "Люда"

    edit(tmp_path / "ct", change)
    scan = read_scan(tmp_path / "ct")
    write_segmentation(tmp_path / "seg.dcm", masks_on(scan).items(), scan, Authorship(name))
    written = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (written.PatientName, written.ManufacturerModelName) == ("Люда", name)
    assert written.SpecificCharacterSet == ("ISO_IR 144" if name.isascii() else "ISO_IR 192")


def test_a_ct_that_lay_otherwise_is_not_said_to_share_its_pixels(tmp_path: Path) -> None:
    """Feet first: columns run to the patient's right in the CT, to the left in the SEG."""
    make_scan(tmp_path / "ct")
    edit(
        tmp_path / "ct",
        lambda image: setattr(image, "ImageOrientationPatient", [-1, 0, 0, 0, 1, 0]),
    )
    scan = read_scan(tmp_path / "ct")
    masks = masks_on(scan)
    write_segmentation(tmp_path / "seg.dcm", masks.items(), scan, MADE_BY)
    np.testing.assert_array_equal(
        read_back(tmp_path / "seg.dcm", scan)["Glottis"], masks["Glottis"]
    )
    frames = pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence
    sources = [frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in frames]
    assert {source.SpatialLocationsPreserved for source in sources} == {"NO"}


def test_no_frame_of_reference_is_invented_and_nothing_is_overwritten(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: image.__delattr__("FrameOfReferenceUID"))
    with pytest.raises(FrameOfReferenceError, match="does not invent one"):
        write_segmentation(
            tmp_path / "seg.dcm", masks_on(scan).items(), read_scan(tmp_path / "ct"), MADE_BY
        )
    (tmp_path / "seg.dcm").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_segmentation(tmp_path / "seg.dcm", masks_on(scan).items(), scan, MADE_BY)
    assert (tmp_path / "seg.dcm").read_text() == "mine"


def test_a_multi_frame_ct_is_refused(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    multi = replace(scan, source=replace(scan.source, frame_numbers=(1, 2, 3, 4, 5)))
    with pytest.raises(DicomError, match="write an RTSTRUCT"):
        write_segmentation(tmp_path / "seg.dcm", masks_on(scan).items(), multi, MADE_BY)
    assert not (tmp_path / "seg.dcm").exists()
