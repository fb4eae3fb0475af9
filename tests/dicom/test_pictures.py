from pathlib import Path
from shutil import copy

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from tests.dicom.conftest import edit, make_scan, make_structure_set

from recontour.dicom import read_archive, read_scan
from recontour.dicom.ct_findings import SkippedPictures
from recontour.dicom.pictures import COLOUR, RENDERING, SCREEN
from recontour.errors import DicomError, NoSeriesError

PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
PICTURES = [
    (SCREEN, ["DERIVED", "SECONDARY", "SCREEN SAVE"], {}, PLACE),
    (SCREEN, ["DERIVED", "SECONDARY", "SCREEN SAVE"], {}, ()),  # with a copy of a slice's place
    (SCREEN, ["ORIGINAL", "SECONDARY", "SCREENSHOT"], {}, PLACE[:2]),
    (SCREEN, ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"], {}, PLACE),
    (SCREEN, ["DERIVED", "SECONDARY", "DOSE_INFO"], {}, ()),
    (RENDERING, ["DERIVED", "SECONDARY"], {"ConversionType": "WSD"}, PLACE),
    (RENDERING, [], {"ConversionType": "WSD"}, PLACE),  # a secondary capture under CT's SOP class
    (RENDERING, ["DERIVED", "SECONDARY", "PROJECTION IMAGE"], {}, PLACE[:2]),
    (RENDERING, ["DERIVED", "PRIMARY", "VRT"], {}, PLACE),
    (
        COLOUR,
        ["ORIGINAL", "PRIMARY", "AXIAL"],
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
        (),
    ),
    (COLOUR, ["DERIVED", "SECONDARY"], {"PhotometricInterpretation": "PALETTE COLOR"}, PLACE),
]


def add_image(
    folder: Path, image_type: list[str], says: dict[str, object], lacks: tuple[str, ...]
) -> None:
    """One more image under the series' UID, 100 mm off."""
    copy(folder / "CT0001.dcm", folder / "page.dcm")

    def change(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.ImageType, image.ImagePositionPatient = image_type, [-7.25, -4, -100]
        for keyword, value in says.items():
            setattr(image, keyword, value)
        for keyword in lacks:
            delattr(image, keyword)

    edit(folder / "page.dcm", change)


@pytest.mark.parametrize(("kind", "image_type", "says", "lacks"), PICTURES)
def test_a_picture_among_the_slices_is_passed_over_and_counted(
    tmp_path: Path,
    kind: str,
    image_type: list[str],
    says: dict[str, object],
    lacks: tuple[str, ...],
) -> None:
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    add_image(tmp_path / "ct", image_type, says, lacks)
    archive = read_archive(tmp_path)
    assert archive.skipped == ((kind, 1),)
    assert len(archive.pairs) == 1
    again = read_scan(tmp_path)
    assert again.grid == scan.grid
    assert again.notes == (SkippedPictures(what=kind, count=1),)


@pytest.mark.parametrize(
    "image_type", [["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"], []]
)
@pytest.mark.parametrize("keyword", PLACE)
def test_a_slice_that_lost_an_attribute_does_not_vanish(
    tmp_path: Path, image_type: list[str], keyword: str
) -> None:
    make_scan(tmp_path / "ct")
    add_image(tmp_path / "ct", image_type, {}, (keyword,))
    with pytest.raises(
        DicomError, match=rf"page\.dcm: no {keyword}.*remove it if it is not a CT slice"
    ):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize(
    "image_type", [["ORIGINAL", "PRIMARY", "AXIAL", "LOW DOSE"], ["ORIGINAL", "PRIMARY", "AXIAL"]]
)
def test_an_original_slice_without_any_place_does_not_vanish(
    tmp_path: Path, image_type: list[str]
) -> None:
    make_scan(tmp_path / "ct")
    add_image(tmp_path / "ct", image_type, {}, PLACE)
    with pytest.raises(DicomError, match=r"page\.dcm: no PixelSpacing"):
        read_scan(tmp_path / "ct")


def test_a_folder_of_pictures_alone_says_what_is_there(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(
        tmp_path / "ct",
        lambda image: setattr(image, "ImageType", ["DERIVED", "SECONDARY", "SCREEN SAVE"]),
    )
    with pytest.raises(NoSeriesError, match=rf"no CT series \(5 x {SCREEN}\)"):
        read_scan(tmp_path / "ct")
