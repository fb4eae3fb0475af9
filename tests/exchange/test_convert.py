"""Mask -> NIfTI or SEG -> RTSTRUCT -> mask is the identity.

What does not lie on the CT, or has no name, is refused.
"""

import gzip
import json
import os
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from tests.dicom.conftest import dciodvfy, edit, make_scan, needs_dciodvfy
from tests.geometry.conftest import make_grid

from recontour import convert
from recontour.cli import main
from recontour.cohort import Cohort
from recontour.dicom import (
    Authorship,
    Scan,
    read_structure_set,
    write_segmentation,
)
from recontour.errors import (
    DicomError,
    FrameOfReferenceError,
    GridMismatchError,
    LabelsError,
    NoSeriesError,
    OutputError,
    RecontourError,
)
from recontour.exchange.export import export
from recontour.exchange.nifti import affine_ras, write_nifti
from recontour.geometry import rasterise
from recontour.geometry.arrays import Mask

GRID = make_grid(
    (4, 9, 11),
    spacing_mm=(1.25, 0.9765625),
    z_mm=(-10.0, -7.5, -5.0, -2.5),
    origin_mm=(-120.5, 33.25),
)


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    return make_scan(tmp_path / "ct", GRID)


def masks_of(seed: int = 0) -> dict[str, Mask]:
    """Two structures of scattered pixels that do not overlap."""
    drawn = np.random.default_rng(seed).integers(0, 3, GRID.shape)
    return {"Brainstem": drawn == 1, "Lens_L": drawn == 2}


def read_back(path: Path, scan: Scan) -> dict[str, Mask]:
    return {
        one.name: rasterise(one.contours, scan.grid)
        for one in read_structure_set(path, scan).structures
    }


def same(found: dict[str, Mask], expected: dict[str, Mask]) -> bool:
    return list(found) == list(expected) and all(
        np.array_equal(found[name], expected[name]) for name in expected
    )


def write_map(folder: Path, labels: object, names: dict[str, object] | None = None) -> Path:
    """A label map, and beside it what nnU-Net writes."""
    folder.mkdir()
    write_nifti(folder / "case.nii.gz", np.asarray(labels), GRID)
    about = {"labels": {"background": 0, "Brainstem": 1, "Lens_L": 2} if names is None else names}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder / "case.nii.gz"


def label_map() -> npt.NDArray[np.uint8]:
    masks = masks_of()
    return (masks["Brainstem"] + 2 * masks["Lens_L"]).astype(np.uint8)


def test_a_folder_of_masks_comes_back(tmp_path: Path, scan: Scan) -> None:
    (tmp_path / "masks").mkdir()
    for name, mask in masks_of().items():
        write_nifti(tmp_path / "masks" / f"{name}.nii.gz", mask, GRID)
    write_nifti(tmp_path / "masks" / "Pituitary.nii", np.zeros(GRID.shape, dtype=bool), GRID)
    (tmp_path / "masks" / "notes.txt").touch()
    written = convert(tmp_path / "masks", tmp_path / "ct", tmp_path / "rs.dcm")
    assert written.empty == ("Pituitary",)
    expected = {name: GRID.volume_cc(mask) for name, mask in masks_of().items()}
    assert written.volumes_cc == pytest.approx(expected)
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_a_label_map_comes_back(tmp_path: Path, scan: Scan, kind: type) -> None:
    """nnU-Net writes whole numbers, some tools the same as floats."""
    convert(
        write_map(tmp_path / "predicted", label_map().astype(kind)),
        tmp_path / "ct",
        tmp_path / "rs.dcm",
    )
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


def test_only_what_is_known_as_an_organ_is_called_one(tmp_path: Path, scan: Scan) -> None:
    (tmp_path / "masks").mkdir()
    for name in ("BODY", "Brainstem", "GTVp"):
        write_nifti(tmp_path / "masks" / f"{name}.nii.gz", masks_of()["Brainstem"], GRID)
    convert(tmp_path / "masks", tmp_path / "ct", tmp_path / "rs.dcm")
    observations = pydicom.dcmread(tmp_path / "rs.dcm").RTROIObservationsSequence
    assert [one.RTROIInterpretedType for one in observations] == ["", "ORGAN", ""]


def test_a_dicom_seg_comes_back(tmp_path: Path, scan: Scan) -> None:
    """Frames of 99 pixels do not begin at bytes."""
    overlapping = masks_of() | {"Pituitary": masks_of(1)["Brainstem"]}
    write_segmentation(tmp_path / "seg.dcm", overlapping.items(), scan, Authorship("test"))
    convert(tmp_path / "seg.dcm", tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), overlapping)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_label_map_seg_comes_back(tmp_path: Path, scan: Scan, syntax: str, kind: type) -> None:
    write_label_map(tmp_path / "seg.dcm", scan, label_map().astype(kind), syntax)
    convert(tmp_path / "seg.dcm", tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


def test_a_label_without_a_segment_is_refused(tmp_path: Path, scan: Scan) -> None:
    write_label_map(tmp_path / "seg.dcm", scan, label_map(), ExplicitVRLittleEndian)
    edit(tmp_path / "seg.dcm", lambda seg: seg.SegmentSequence.pop())
    refused(tmp_path, tmp_path / "seg.dcm", DicomError, "label 2 belongs to no segment")


def write_label_map(
    path: Path, scan: Scan, labels: npt.NDArray[np.unsignedinteger], syntax: str
) -> None:
    """Write Brainstem as 1 and Lens_L as 2, as highdicom does it."""
    images = sorted(
        (pydicom.dcmread(file) for file in (path.parent / "ct").iterdir()),
        key=lambda ct: ct.ImagePositionPatient[2],
    )
    described = [
        highdicom.seg.SegmentDescription(
            number, name, codes.SCT.AnatomicalStructure, codes.SCT.Organ, algorithm_type="MANUAL"
        )
        for number, name in enumerate(masks_of(), start=1)
    ]
    uids = [pydicom.uid.generate_uid() for _ in range(2)]
    segmentation = highdicom.seg.Segmentation(
        images,
        labels,
        "LABELMAP",
        described,
        uids[0],
        1,
        uids[1],
        1,
        "ACME",
        "m",
        "1",
        "1",
        transfer_syntax_uid=syntax,
    )
    segmentation.save_as(path)


def test_a_dicom_seg_on_uneven_slices_comes_back(tmp_path: Path) -> None:
    grid = make_grid((4, 9, 11), spacing_mm=(1.5, 2.0), z_mm=(0.0, 3.0, 9.0, 15.0))
    scan = make_scan(tmp_path / "ct", grid)
    write_segmentation(tmp_path / "seg.dcm", masks_of().items(), scan, Authorship("test"))
    convert(tmp_path / "seg.dcm", tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


def test_what_export_writes_comes_back(tmp_path: Path, scan: Scan) -> None:
    cohort = Cohort.open_or_create(tmp_path / "cohort", "A")
    cohort.add("A-1", scan.hu, scan.grid, masks_of(), "hash")
    export(tmp_path / "cohort", tmp_path / "Dataset001_A", format="nnunet")
    export(tmp_path / "cohort", tmp_path / "nifti", format="nifti")
    for labels in ("Dataset001_A/labelsTr/A-1.nii.gz", "nifti/A-1/segmentations"):
        out = tmp_path / f"{labels[0]}.dcm"
        convert(tmp_path / labels, tmp_path / "ct", out)
        assert same(read_back(out, scan), masks_of())


def test_labels_saved_with_other_axes_come_back(tmp_path: Path, scan: Scan) -> None:
    """ITK, and so Slicer, may turn and flip the axes of what it saves.

    Every voxel stays at its millimetres.
    """
    path = write_map(tmp_path / "predicted", label_map())
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "SAR")
    assert image.GetSize() != GRID.shape[::-1]
    sitk.WriteImage(image, str(path))
    convert(path, tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


@needs_dciodvfy
def test_dciodvfy_finds_no_error(tmp_path: Path, scan: Scan) -> None:
    convert(write_map(tmp_path / "predicted", label_map()), tmp_path / "ct", tmp_path / "rs.dcm")
    assert not [line for line in dciodvfy(tmp_path / "rs.dcm") if line.startswith("Error")]


def refused(tmp_path: Path, labels: Path, error: type[RecontourError], match: str) -> None:
    """One line, and nothing is written."""
    with pytest.raises(error, match=match) as caught:
        convert(labels, tmp_path / "ct", tmp_path / "rs.dcm")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "rs.dcm").exists()


@pytest.mark.parametrize("shift_mm", [0.2, 50.0])
def test_a_grid_elsewhere_is_refused(tmp_path: Path, scan: Scan, shift_mm: float) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    image = nibabel.Nifti1Image.from_filename(path)
    affine = image.affine.copy()
    affine[2, 3] += shift_mm
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), path)
    refused(
        tmp_path,
        path,
        GridMismatchError,
        f"up to {shift_mm:.1f} mm from the CT's.*drawn on another CT; nothing is resampled: give",
    )


def test_a_mirrored_grid_is_refused(tmp_path: Path, scan: Scan) -> None:
    """Voxels in the CT's order under an affine that says RAS: left and right would be swapped."""
    path = write_map(tmp_path / "predicted", label_map())
    image = nibabel.Nifti1Image.from_filename(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.abs(image.affine)), path)
    refused(tmp_path, path, GridMismatchError, "nothing is resampled")


def test_another_shape_is_refused(tmp_path: Path, scan: Scan) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    nibabel.save(nibabel.Nifti1Image(np.zeros((11, 9, 3), dtype=np.uint8), np.eye(4)), path)
    refused(
        tmp_path,
        path,
        GridMismatchError,
        r"voxels of \(3, 9, 11\) lie up to .* CT as reference volume",
    )


def put(path: Path, voxels: object, shift: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Save voxels (slice, row, column), the first of which lies at an index of the CT's grid."""
    affine = affine_ras(GRID)
    affine[:3, 3] = (affine @ (*shift[::-1], 1))[:3]
    array = np.asarray(voxels)
    nibabel.save(nibabel.Nifti1Image(array.transpose(2, 1, 0, *range(3, array.ndim)), affine), path)


@pytest.mark.parametrize(
    "box",
    [
        (slice(1, 3), slice(None), slice(None)),
        (slice(2, 3), slice(None), slice(None)),  # one slice
        (slice(None), slice(2, 7), slice(3, 11)),
        (slice(1, 4), slice(0, 5), slice(4, 5)),
    ],
)
@pytest.mark.parametrize("axes", ["LPS", "RAS", "SAR", "PIR"])
def test_labels_cropped_on_the_grid_are_placed(
    tmp_path: Path, scan: Scan, box: tuple[slice, slice, slice], axes: str
) -> None:
    """3D Slicer crops a segmentation to what is drawn; its axes may run in any direction."""
    path = write_map(tmp_path / "predicted", label_map())
    start = tuple(one.start or 0 for one in box)
    put(path, label_map()[box], (start[0], start[1], start[2]))
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), axes), str(path))
    convert(path, tmp_path / "ct", tmp_path / "rs.dcm")
    within = np.zeros(GRID.shape, dtype=bool)
    within[box] = True
    expected = {name: mask & within for name, mask in masks_of().items()}
    assert same(read_back(tmp_path / "rs.dcm", scan), expected)


def test_labels_that_reach_beyond_the_ct_are_cropped_unless_marked_there(
    tmp_path: Path, scan: Scan
) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    padded = np.pad(label_map(), ((2, 1), (1, 0), (0, 3)))
    put(path, padded, (-2, -1, 0))
    convert(path, tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())
    (tmp_path / "rs.dcm").unlink()
    padded[0, 0, :4] = 1
    put(path, padded, (-2, -1, 0))
    refused(tmp_path, path, GridMismatchError, "4 marked voxels lie beyond the CT")
    put(path, label_map()[:2], (40, 0, 0))
    refused(tmp_path, path, GridMismatchError, "beyond the CT")


def test_as_many_voxels_as_the_ct_has_must_be_the_ct_s(tmp_path: Path, scan: Scan) -> None:
    """One slice off is a mistake of whoever wrote them, not a crop."""
    path = write_map(tmp_path / "predicted", label_map())
    put(path, label_map(), (1, 0, 0))
    refused(tmp_path, path, GridMismatchError, r"up to 2\.5 mm from the CT's.*as reference volume")


def test_a_crop_of_a_ct_of_uneven_slices_is_placed_where_its_slices_are_even(
    tmp_path: Path,
) -> None:
    uneven = make_grid(
        (5, 9, 11),
        spacing_mm=GRID.spacing_mm,
        z_mm=(0.0, 3.0, 6.0, 12.0, 18.0),
        origin_mm=GRID.origin_mm,
    )
    scan = make_scan(tmp_path / "ct", uneven)
    path = write_map(tmp_path / "predicted", label_map())
    affine = np.diag([-uneven.spacing_mm[1], -uneven.spacing_mm[0], 3.0, 1.0])
    affine[:3, 3] = -uneven.origin_mm[0], -uneven.origin_mm[1], 3.0
    nibabel.save(nibabel.Nifti1Image(label_map()[:2].transpose(2, 1, 0), affine), path)
    convert(path, tmp_path / "ct", tmp_path / "rs.dcm")
    expected = {
        name: np.concatenate([mask[:1] & False, mask[:2], mask[:2] & False])
        for name, mask in masks_of().items()
    }
    assert same(read_back(tmp_path / "rs.dcm", scan), expected)
    (tmp_path / "rs.dcm").unlink()
    affine[2, 2], affine[2, 3] = 6.0, 0.0  # z = 0, 6 and 12: the slice at 3 mm would be left out
    nibabel.save(nibabel.Nifti1Image(label_map()[:3].transpose(2, 1, 0), affine), path)
    refused(tmp_path, path, GridMismatchError, "nothing is resampled")


@pytest.mark.parametrize("axes_behind", [(1,), (1, 1)])
def test_axes_of_one_entry_behind_the_third_do_not_count(
    tmp_path: Path, scan: Scan, axes_behind: tuple[int, ...]
) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    put(path, label_map().reshape(*GRID.shape, *axes_behind))
    convert(path, tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())
    put(path, np.stack([label_map()] * 2, axis=-1))
    (tmp_path / "rs.dcm").unlink()
    refused(tmp_path, path, LabelsError, r"three axes are expected, found 4 \(11 x 9 x 4 x 2\)")


@pytest.mark.parametrize("name", ["CASE.NII.GZ", "Case.Nii", "case.gz", "case"])
@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti_is_known_by_its_bytes(
    tmp_path: Path, scan: Scan, name: str, is_compressed: bool, kind: type[nibabel.Nifti1Image]
) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    whole = kind(label_map().transpose(2, 1, 0), affine_ras(GRID)).to_bytes()
    path.unlink()
    path.with_name(name).write_bytes(gzip.compress(whole) if is_compressed else whole)
    convert(path.with_name(name), tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


def test_masks_of_a_folder_may_end_in_capitals(tmp_path: Path, scan: Scan) -> None:
    (tmp_path / "masks").mkdir()
    for name, mask in masks_of().items():
        write_nifti(tmp_path / "masks" / f"{name}.nii.gz", mask, GRID)
        (tmp_path / "masks" / f"{name}.nii.gz").rename(tmp_path / "masks" / f"{name}.NII.GZ")
    convert(tmp_path / "masks", tmp_path / "ct", tmp_path / "rs.dcm")
    assert same(read_back(tmp_path / "rs.dcm", scan), masks_of())


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("case.seg.nrrd", b"NRRD0004\n", "NRRD"),
        ("case.SEG.NRRD", b"NRRD0004\n", "NRRD"),
        ("case", b"NRRD0005\n", "NRRD"),
        ("case.mha", b"ObjectType = Image\n", "MetaImage"),
        ("case.mhd", b"NDims = 3\n", "MetaImage"),
        ("case.img", b"\0" * 400, "Analyze"),
        ("case.nii.zst", b"\x28\xb5\x2f\xfd", "Zstandard"),
        ("case.stl", b"solid", "a surface"),
        ("case.dat", b"Dear colleague, ", "neither NIfTI"),
    ],
)
def test_labels_in_another_form_say_how_to_save_them(
    tmp_path: Path, scan: Scan, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / name).write_bytes(content)
    refused(
        tmp_path,
        tmp_path / "labels" / name,
        LabelsError,
        rf"{kind}.*; save it as NIfTI \(\.nii\.gz\).*reference",
    )
    if kind != "neither NIfTI":
        refused(tmp_path, tmp_path / "labels", LabelsError, rf"{kind}.*; save it as NIfTI")


def test_labels_without_a_name_are_refused(tmp_path: Path, scan: Scan) -> None:
    path = write_map(tmp_path / "predicted", label_map(), {"background": 0, "Brainstem": 1})
    refused(
        tmp_path,
        path,
        LabelsError,
        r"label 2 has no name in dataset\.json \(names there: Brainstem",
    )
    (tmp_path / "predicted" / "dataset.json").unlink()
    refused(tmp_path, path, LabelsError, r"missing \(.*dataset\.json.*give the folder of masks")


@pytest.mark.parametrize(
    "names",
    [
        {"0": "background", "1": "Brainstem"},
        {"Brainstem": 1, "Lens_L": 1},
        {"Head": [1, 2]},
        {"Brainstem": -1},
    ],
)
def test_odd_names_of_labels_are_refused(
    tmp_path: Path, scan: Scan, names: dict[str, object]
) -> None:
    refused(
        tmp_path,
        write_map(tmp_path / "predicted", label_map(), names),
        LabelsError,
        "a whole number of its own",
    )


def test_damaged_names_of_labels_are_refused(tmp_path: Path, scan: Scan) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    for damaged in ("", "[]", "{}", '{"labels": 3}', "[" * 100_000):
        (tmp_path / "predicted" / "dataset.json").write_text(damaged)
        refused(tmp_path, path, LabelsError, "does not name labels")
    (tmp_path / "predicted" / "dataset.json").write_bytes(b"\xff")
    refused(tmp_path, path, LabelsError, r"cannot be read \(.*save it as UTF-8")


def test_labels_that_are_a_pipe_are_not_waited_for(tmp_path: Path, scan: Scan) -> None:
    os.mkfifo(tmp_path / "pipe.nii.gz")
    refused(tmp_path, tmp_path / "pipe.nii.gz", LabelsError, "not a plain file; copy the labels")


def test_what_is_no_mask_is_refused(tmp_path: Path, scan: Scan) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    refused(tmp_path, path.parent, LabelsError, "one number beside 0, and this has 2")
    write_nifti(path, label_map() / np.float32(2), GRID)
    refused(tmp_path, path, LabelsError, "whole numbers")
    write_nifti(path, np.full(GRID.shape, np.nan, dtype=np.float32), GRID)
    refused(tmp_path, path, LabelsError, "whole numbers")


def test_a_damaged_file_is_refused(tmp_path: Path, scan: Scan) -> None:
    path = write_map(tmp_path / "predicted", label_map())
    whole = path.read_bytes()
    for damaged in (b"", b"no NIfTI", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        refused(tmp_path, path, LabelsError, "cannot be read as NIfTI")


def test_nothing_to_write_is_refused(tmp_path: Path, scan: Scan) -> None:
    refused(
        tmp_path,
        write_map(tmp_path / "empty", np.zeros(GRID.shape, np.uint8)),
        LabelsError,
        "no voxel is marked",
    )
    (tmp_path / "folder").mkdir()
    refused(tmp_path, tmp_path / "folder", LabelsError, "no NIfTI mask .* in this folder")
    refused(tmp_path, tmp_path / "flder", LabelsError, "did you mean .*folder")
    for ending in (".nii", ".nii.gz"):
        write_nifti(tmp_path / "folder" / f"Lens_L{ending}", masks_of()["Lens_L"], GRID)
    refused(tmp_path, tmp_path / "folder", LabelsError, r"two masks have the same name \(Lens_L")


def test_an_output_that_exists_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "rs.dcm").touch()
    with pytest.raises(OutputError, match="exists"):
        convert(tmp_path / "absent", tmp_path / "absent", tmp_path / "rs.dcm")


def test_a_seg_that_does_not_fit_is_refused(tmp_path: Path, scan: Scan) -> None:
    path = tmp_path / "seg.dcm"

    def written(**changes: object) -> None:
        path.unlink(missing_ok=True)
        write_segmentation(path, masks_of().items(), scan, Authorship("test"))
        for keyword, value in changes.items():
            edit(
                path,
                lambda dataset, keyword=keyword, value=value: setattr(dataset, keyword, value),  # type: ignore[misc]
            )

    written(FrameOfReferenceUID="1.2.3")
    refused(tmp_path, path, FrameOfReferenceError, "another frame of reference")
    written(SegmentationType="FRACTIONAL")
    refused(
        tmp_path,
        path,
        DicomError,
        "a FRACTIONAL segmentation gives .* export it as BINARY or LABELMAP",
    )
    written(SegmentationType="ODD")
    refused(tmp_path, path, DicomError, "its SegmentationType is not supported")
    written(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3")
    refused(
        tmp_path, path, NoSeriesError, "not a DICOM SEG, but an RTSTRUCT, which needs no conversion"
    )
    written(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.5")
    refused(
        tmp_path, path, NoSeriesError, "not a DICOM SEG, but Surface Segmentation Storage; give"
    )
    written(PixelData=b"\0\0")
    refused(tmp_path, path, DicomError, "damaged")
    written(Rows=12)
    refused(tmp_path, path, GridMismatchError, "nothing is resampled")
    written()
    edit(path, lambda dataset: setattr(dataset.SegmentSequence[0], "SegmentLabel", "Lens_L"))
    refused(tmp_path, path, DicomError, "two segments have the same label")
    for axis, shift_mm in ((0, 0.3), (2, 1.0)):
        written()

        def moved(dataset: object, axis: int = axis, shift_mm: float = shift_mm) -> None:
            frame = dataset.PerFrameFunctionalGroupsSequence[0]  # type: ignore[attr-defined]
            place = frame.PlanePositionSequence[0].ImagePositionPatient
            place[axis] = float(place[axis]) + shift_mm

        edit(path, moved)
        refused(tmp_path, path, GridMismatchError, f"lies {shift_mm:.1f} mm from")


def test_a_ct_is_no_seg(tmp_path: Path, scan: Scan) -> None:
    refused(
        tmp_path,
        next((tmp_path / "ct").iterdir()),
        NoSeriesError,
        "not a DICOM SEG, but a CT image",
    )


def test_the_command_says_what_was_written(
    tmp_path: Path, scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write_map(tmp_path / "predicted", masks_of()["Brainstem"]), tmp_path / "rs.dcm"
    words = ["convert", str(path), str(tmp_path / "ct"), "--out", str(out)]
    assert main(words) == 0
    first, second, last = capsys.readouterr().out.replace("\n/", " /").splitlines()[:3]
    assert first.split() == ["Brainstem", f"{GRID.volume_cc(masks_of()['Brainstem']):.2f}", "cc"]
    assert second.split()[0] == "Lens_L"
    assert "no voxel is marked" in second
    assert last.startswith("written:")
    assert main(words) == 2
    assert "exists" in capsys.readouterr().err
