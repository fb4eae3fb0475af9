"""StructureSet -> RTSTRUCT."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from recontour.dicom.ct import Scan, Source
from recontour.dicom.reading import (
    UID_FORM,
    text,
)
from recontour.dicom.writing import decimal_string, encoded
from recontour.errors import (
    DicomError,
    FrameOfReferenceError,
    SettingsError,
)
from recontour.files import refuse_existing, write_bytes
from recontour.geometry import Contour, Structure, StructureSet
from recontour.organs import known_organs, organ_of
from recontour.wording import printable

FARTHEST_MM = 1e5  # a coordinate beyond this is no place in a patient
CONTOURS = Tag("ContourSequence")
ITEM = Tag(0xFFFEE000)
# Detached Study Management SOP Class, which PS3.3 C.8.8.5 still asks for
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
NUMBER_TEXT = np.dtype(
    [("sign", "S1"), ("whole", "S6"), ("dot", "S1"), ("part", "S4"), ("end", "S1")]
)
POINT_TEXT = np.dtype([("x_y", NUMBER_TEXT, 2), ("z", "S17")])


@dataclass(frozen=True, slots=True)
class Authorship:
    """What a structure set says about its making.

    label: at most 16 characters. model: the model's name.
    """

    model: str
    label: str = "recontour"
    algorithm: str = "AUTOMATIC"  # ROIGenerationAlgorithm: AUTOMATIC, SEMIAUTOMATIC or MANUAL
    # RTROIInterpretedType: ORGAN; if not, left empty but for names that are known as organs'
    of_organs: bool = True
    made: datetime | None = None  # now, unless given
    seed: str | None = None  # UIDs derive from it; None: new ones every time

    @property
    def name(self) -> str:
        """The model's name as DICOM text:

        in one line, and without the backslash, which would part it.
        """
        return printable(self.model).replace("\\", "/")


def write_structure_set(
    path: Path, structures: StructureSet, scan: Scan, made_by: Authorship
) -> None:
    """Write an RTSTRUCT that references the scan, complete or not at all.

    Reading it back and rasterising gives the masks that the contours were traced from. The
    character set is the CT's if what is added is ASCII, otherwise UTF-8.
    Raises: FrameOfReferenceError: the CT has no frame of reference. DicomError: the CT has no UIDs
        to reference, there is no structure, or a contour lies on none of the slices. SettingsError:
        a label or name that DICOM does not hold.
    OutputError: the file exists or cannot be made.
    """
    refuse_existing(path)
    refuse_without_uids(path, scan.source)
    if not 0 < len(made_by.label) <= 16:
        raise SettingsError(
            f"structure set label '{made_by.label}': 1 to 16 characters are expected"
        )
    if not structures.structures:
        raise DicomError(
            f"{path}: no structure to write, and DICOM asks for one; nothing was written"
        )
    for name in structures.names:
        if not 0 < len(name) <= 64 or "\\" in name or not name.isprintable():
            raise SettingsError(
                f"structure name '{name}': 1 to 64 printable characters without a backslash are expected"
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on odd values of the CT's own header, which are kept
        content = encoded(_structure_set_dataset(structures, scan, made_by))
    write_bytes(path, content)


def refuse_without_uids(path: Path, source: Source) -> None:
    """Raise FrameOfReferenceError or DicomError where a CT lacks what an object drawn on it must
    reference.
    """
    if not source.frame_of_reference_uid:
        raise FrameOfReferenceError(
            f"{path}: the CT has no frame of reference and none is invented; export it again"
        )
    study = text(source.header, "StudyInstanceUID")
    if not source.series_instance_uid or not study:
        raise DicomError(
            f"{path}: the CT has no series or study UID to reference and none is invented; export it again"
        )
    uids = (
        study,
        source.series_instance_uid,
        source.frame_of_reference_uid,
        *source.sop_instance_uids,
    )
    if not all(UID_FORM.fullmatch(uid) for uid in uids):
        raise DicomError(
            f"{path}: a UID of the CT is not made of at most 64 digits and points; export it again"
        )


def find_letters(dataset: Dataset, added: Sequence[str]) -> None:
    """Make UTF-8 the character set of a CT's header that goes on, if what is added is more than
    ASCII.
    """
    if not "".join(added).isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"  # the CT's may not have our letters
        for element in dataset:
            if element.VR in ("PN", "LO", "SH") and element.VM == 1:
                element.value = text(dataset, element.keyword)


def _structure_set_dataset(structures: StructureSet, scan: Scan, made_by: Authorship) -> Dataset:
    """Every module of PS3.3 A.19.3, with all attributes of Type 1 and 2."""
    made = made_by.made or datetime.now()
    date, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S")

    def uid(what: str) -> UID:
        return generate_uid(
            entropy_srcs=None if made_by.seed is None else ["recontour", made_by.seed, what]
        )

    dataset = Dataset()
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
    ):
        setattr(dataset, keyword, "")  # Type 2: present, if need be empty
    dataset.AccessionNumber = dataset.ReferringPhysicianName = (
        dataset.PositionReferenceIndicator
    ) = ""
    dataset.update(scan.source.header)
    find_letters(dataset, [made_by.name, made_by.label, *structures.names])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit holds 65 kB a contour
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid("structure set")
    dataset.InstanceCreationDate = dataset.SeriesDate = dataset.StructureSetDate = date
    dataset.InstanceCreationTime = dataset.SeriesTime = dataset.StructureSetTime = time
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = (
        "RTSTRUCT",
        uid("structure set series"),
        1,
    )
    dataset.SeriesDescription = f"recontour: {made_by.name}"[:64]
    dataset.OperatorsName = ""
    dataset.Manufacturer, dataset.ManufacturerModelName = "recontour", made_by.name[:64]
    dataset.SoftwareVersions = version("recontour")
    dataset.StructureSetLabel, dataset.StructureSetName = made_by.label, made_by.name[:64]
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(scan.source)]
    (
        dataset.StructureSetROISequence,
        dataset.ROIContourSequence,
        dataset.RTROIObservationsSequence,
    ) = [], [], []
    images = _contour_images(scan)
    for number, structure in enumerate(structures.structures, start=1):
        roi, observation = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, structure.name
        roi.ReferencedFrameOfReferenceUID = scan.source.frame_of_reference_uid
        roi.ROIGenerationAlgorithm = made_by.algorithm
        observation.ObservationNumber = observation.ReferencedROINumber = number
        is_organ = made_by.of_organs or structure.name in known_organs()
        observation.RTROIInterpretedType, observation.ROIInterpreter = (
            "ORGAN" if is_organ else "",
            "",
        )
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(_roi_contour(structure, number, scan, images))
        dataset.RTROIObservationsSequence.append(observation)
    characters = dataset.get("SpecificCharacterSet")
    encoding = convert_encodings(characters) if characters else default_encoding
    dataset.set_original_encoding(
        True, True, encoding
    )  # so that pydicom writes encoded contours as they are
    return dataset


def _frame_of_reference(source: Source) -> Dataset:
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = source.series_instance_uid
    series.ContourImageSequence = list(_image_references(source))
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = (
        DETACHED_STUDY,
        source.header.StudyInstanceUID,
    )
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = (
        source.frame_of_reference_uid,
        [study],
    )
    return frame


def _image_references(source: Source) -> Iterator[Dataset]:
    """One reference a file: a multi-frame CT is one."""
    for instance in dict.fromkeys(source.sop_instance_uids):
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.sop_class_uid, instance
        yield image


def _roi_contour(structure: Structure, number: int, scan: Scan, images: Sequence[bytes]) -> Dataset:
    """images: the encoded Contour Image Sequence of each slice."""
    item = Dataset()
    item.ROIDisplayColor = list(organ_of(structure.name).colour)
    item.ReferencedROINumber = number
    slices = [scan.grid.slice_at(contour.z_mm) for contour in structure.contours]
    for contour, at in zip(structure.contours, slices, strict=True):
        if at is None or len(contour.points_mm) < 3:
            raise DicomError(
                f"{structure.name}: a contour of {len(contour.points_mm)} points at z = {contour.z_mm:.1f} mm; "
                "at least 3 points on one of the CT's slices are expected"
            )
    if structure.contours:
        texts = zip(structure.contours, slices, _contour_data(structure.contours), strict=True)
        value = b"".join(
            _encoded_contour(images[at or 0], len(contour.points_mm), number, data)
            for number, (contour, at, data) in enumerate(texts, start=1)
        )
        item[CONTOURS] = RawDataElement(
            CONTOURS, "SQ", len(value), value, 0, is_implicit_VR=True, is_little_endian=True
        )
        item.set_original_encoding(True, True, default_encoding)
    return item


def _encoded_contour(image: bytes, points: int, number: int, data: bytes) -> bytes:
    """An item of a Contour Sequence.

    image: its encoded Contour Image Sequence; data: its Contour Data.
    """
    image += _element("ContourGeometricType", b"CLOSED_PLANAR")
    image += _element("NumberOfContourPoints", b"%d" % points)
    image += _element("ContourNumber", b"%d" % number)
    return _element("Item", image + _element("ContourData", data))


def _contour_images(scan: Scan) -> list[bytes]:
    """The encoded Contour Image Sequence of each slice."""
    images = []
    for at, instance in enumerate(scan.source.sop_instance_uids):
        image = _element("ReferencedSOPClassUID", scan.source.sop_class_uid.encode())
        image += _element("ReferencedSOPInstanceUID", instance.encode())
        if scan.source.frame_numbers:
            image += _element("ReferencedFrameNumber", b"%d" % scan.source.frame_numbers[at])
        images.append(_element("ContourImageSequence", _element("Item", image)))
    return images


def _element(keyword: str, value: bytes) -> bytes:
    """An encoded attribute:

    an object for each of the thousands of contours takes ten times as long.
    """
    value += (b"\0" if keyword.endswith("UID") else b" ") * (len(value) % 2)
    return _tag(keyword) + len(value).to_bytes(4, "little") + value


@cache
def _tag(keyword: str) -> bytes:
    tag = ITEM if keyword == "Item" else Tag(keyword)
    return tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")


def _contour_data(contours: Sequence[Contour]) -> Iterator[bytes]:
    """x, y, z of each contour's points as decimal strings of at most 16 characters, to a tenth of a
    micrometre.

    All numbers of a structure are written at once into fields of fixed width, from which the blanks
    are then taken.
    """
    counts = [len(contour.points_mm) for contour in contours]
    points_mm = np.concatenate([contour.points_mm for contour in contours])
    if not (np.abs(points_mm) <= FARTHEST_MM).all():
        raise DicomError(
            "a contour has a coordinate that is no place in a patient; nothing was written"
        )
    units = np.rint(points_mm * 10_000).astype(np.int32)
    whole, part = np.divmod(np.abs(units), 10_000)
    text = np.zeros(len(units), dtype=POINT_TEXT)
    text["x_y"]["sign"] = np.where(units < 0, b"-", b"")
    text["x_y"]["whole"] = np.arange(whole.max() + 1).astype("S6")[whole]
    text["x_y"]["part"] = _four_digits()[part]
    text["x_y"]["dot"], text["x_y"]["end"] = b".", b"\\"
    text["z"] = np.repeat(
        [f"{decimal_string(contour.z_mm)}\\".encode() for contour in contours], counts
    )
    for one in np.split(text, np.cumsum(counts)[:-1]):
        yield one.tobytes().translate(None, b"\0")[:-1]


@cache
def _four_digits() -> npt.NDArray[np.bytes_]:
    return np.array([b"%04d" % number for number in range(10_000)])
