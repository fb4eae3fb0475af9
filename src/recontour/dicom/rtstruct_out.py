"""StructureSet -> RTSTRUCT.

Contours are encoded by hand: an object of pydicom for each of their thousands takes ten times as
long.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

from recontour.dicom.archive import DRAFT_SERIES, MAKER
from recontour.dicom.contour_findings import (
    CoordinateOutOfRange,
    MalformedUid,
    MissingCtUids,
    NoStructureToWrite,
    UnsuitableName,
    UnwritableContour,
)
from recontour.dicom.ct import Scan, Source
from recontour.dicom.plain import ITEM_TAG
from recontour.dicom.reading import UID_FORM, text
from recontour.dicom.rtstruct_in import FARTHEST_MM
from recontour.dicom.writing import decimal_string, encoded
from recontour.errors import DicomError, FrameOfReferenceError, SettingsError
from recontour.files import refuse_existing, write_bytes
from recontour.geometry import Contour, Structure, StructureSet
from recontour.organs import Template, known_organs
from recontour.wording import printable

CONTOUR_SEQUENCE = Tag("ContourSequence")
# Detached Study Management SOP Class, which PS3.3 C.8.8.5 still asks for
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
LONGEST_LABEL = 16  # characters of DICOM's SH
LONGEST_NAME = 64  # characters of DICOM's LO
LONGEST_TEXT = 1024  # characters of DICOM's ST
TYPE_2 = (  # present, if need be empty
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
NUMBER_TEXT = np.dtype(
    [("sign", "S1"), ("whole", "S6"), ("dot", "S1"), ("part", "S4"), ("end", "S1")]
)
POINT_TEXT = np.dtype([("x_y", NUMBER_TEXT, 2), ("z", "S17")])


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Who approved a structure set, and when.

    edited: the structures that the reviewer changed; the others are as the model drew them.
    draft_uid: the SOP Instance UID of the structure set that it was made from.
    """

    reviewer: str
    moment: datetime
    edited: frozenset[str]
    draft_uid: str


@dataclass(frozen=True, slots=True)
class Authorship:
    """What a structure set says about its making.

    label: at most 16 characters. model: the model's name. algorithm: ROIGenerationAlgorithm,
    AUTOMATIC, SEMIAUTOMATIC or MANUAL. of_organs: whether every structure is an organ; if not, only
    those with an organ's name are called one. is_draft: nobody has reviewed it; import will know it
    by its series description. template: how the structures are called and coloured. description: of
    the structure set, what a reader must know of all contours. made: now, unless given. seed: UIDs
    derive from it; None: new ones every time. remarks: by structure, what a reader must know of its
    contours; may be filled while masks are made. reviewed: a person has approved it; None: nobody.
    """

    model: str
    label: str = "recontour"
    algorithm: str = "AUTOMATIC"
    of_organs: bool = True
    is_draft: bool = False
    template: Template = field(default_factory=Template)
    description: str = ""
    made: datetime | None = None
    seed: str | None = None
    remarks: Mapping[str, str] = field(default_factory=dict)
    reviewed: Reviewed | None = None

    @property
    def described(self) -> str:
        """Return the description, with the names of the structures that have remarks.

        >>> Authorship("north", remarks={"Lens_L": "volume 3 cc"}).described
        'Read the descriptions of these contours: Lens_L'
        """
        lines = [self.description] if self.description else []
        if self.remarks:
            names = map(self.template.name_of, self.remarks)
            lines.append(f"Read the descriptions of these contours: {', '.join(names)}")
        return short_text("\n".join(lines))

    @property
    def name(self) -> str:
        """Return the model's name as DICOM text: one line, without the backslash, a separator.

        >>> Authorship("north (South\\\\ENT)").name
        'north (South/ENT)'
        """
        return printable(self.model).replace("\\", "/")

    @property
    def series_description(self) -> str:
        """Return who made the series, and whether it is a draft.

        >>> Authorship("north", is_draft=True).series_description
        'recontour draft: north'
        """
        kind = DRAFT_SERIES if self.is_draft else MAKER
        return f"{kind}: {self.name}"[:LONGEST_NAME]

    def algorithm_of(self, structure: str) -> str:
        """Return ROIGenerationAlgorithm of a structure.

        >>> reviewed = Reviewed("reader", datetime(2026, 12, 1), frozenset(["Lens_L"]), "1.2.3")
        >>> Authorship("north", reviewed=reviewed).algorithm_of("Lens_L")
        'SEMIAUTOMATIC'
        """
        is_edited = self.reviewed is not None and structure in self.reviewed.edited
        return "SEMIAUTOMATIC" if is_edited else self.algorithm

    def uid(self, what: str) -> UID:
        """Return the UID of something in the structure set."""
        if self.seed is None:
            return generate_uid()
        return generate_uid(entropy_srcs=["recontour", self.seed, what])


def short_text(words: str) -> str:
    """Return words as DICOM's ST holds them: at most 1024 characters, cut if need be."""
    if len(words) <= LONGEST_TEXT:
        return words
    return words[: LONGEST_TEXT - 3] + "..."


def write_structure_set(
    path: Path, structures: StructureSet, scan: Scan, made_by: Authorship
) -> str:
    """Write an RTSTRUCT that references the scan, complete or not at all.

    Reading it back and rasterising gives the masks that the contours were traced from. The
    character set is the CT's if what is added is ASCII, otherwise UTF-8.

    Returns: its SOP Instance UID.
    Raises: FrameOfReferenceError: the CT has no frame of reference. DicomError: the CT has no UIDs
        to reference, there is no structure, or a contour lies on none of the slices. SettingsError:
        a label or name that DICOM does not hold. OutputError: the file exists or cannot be made.

    >>> from recontour.dicom import read_scan, read_structure_set
    >>> scan = read_scan(Path("dicom/new-patient"))
    >>> drawn = read_structure_set(Path("dicom/new-patient/RS.dcm"), scan)
    >>> uid = write_structure_set(Path("again.dcm"), drawn, scan, Authorship("a person"))
    """
    refuse_existing(path)
    refuse_without_uids(path, scan.source)
    if not 0 < len(made_by.label) <= LONGEST_LABEL:
        raise SettingsError(UnsuitableName(what="structure set label", label=made_by.label))
    if not structures.structures:
        raise DicomError(NoStructureToWrite(path=path))
    for name in map(made_by.template.name_of, structures.names):
        if not 0 < len(name) <= LONGEST_NAME or "\\" in name or not name.isprintable():
            raise SettingsError(UnsuitableName(what="structure name", label=name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd values of the CT's own header, which are kept
        dataset = _structure_set_dataset(structures, scan, made_by)
        content = encoded(dataset)
    write_bytes(path, content)
    return str(dataset.SOPInstanceUID)


def refuse_without_uids(path: Path, source: Source) -> None:
    """Raise if a CT lacks UIDs that an object drawn on it must reference.

    Raises: FrameOfReferenceError: no frame of reference. DicomError: no series or study, or a UID
        that is not one.

    >>> from recontour.dicom import read_scan
    >>> refuse_without_uids(Path("draft.dcm"), read_scan(Path("dicom/new-patient")).source)
    """
    frame_uid, series_uid = source.frame_of_reference_uid, source.series_instance_uid
    study_uid = text(source.header, "StudyInstanceUID")
    if not frame_uid:
        raise FrameOfReferenceError(MissingCtUids(path=path, missing="frame of reference"))
    if not series_uid or not study_uid:
        raise DicomError(MissingCtUids(path=path, missing="series or study"))
    uids = (study_uid, series_uid, frame_uid, *source.sop_instance_uids)
    if not all(map(UID_FORM.fullmatch, uids)):
        raise DicomError(MalformedUid(path=path))


def find_letters(dataset: Dataset, added: Sequence[str]) -> None:
    """Make UTF-8 the character set of a CT's header if what is added to it is not ASCII.

    The CT's own character set may not have our letters.
    """
    if "".join(added).isascii():
        return
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for element in dataset:
        if element.VR in ("PN", "LO", "SH") and element.VM == 1:
            element.value = text(dataset, element.keyword)


def _structure_set_dataset(structures: StructureSet, scan: Scan, made_by: Authorship) -> Dataset:
    """Return every module of PS3.3 A.19.3, with all attributes of Type 1 and 2."""
    dataset = Dataset()
    for keyword in TYPE_2:
        setattr(dataset, keyword, "")
    dataset.update(scan.source.header)
    names = map(made_by.template.name_of, structures.names)
    said = [made_by.name, made_by.label, made_by.described, *made_by.remarks.values()]
    if made_by.reviewed:
        said.append(made_by.reviewed.reviewer)
    find_letters(dataset, [*said, *names])
    _name_object(dataset, made_by)
    _name_maker(dataset, made_by)
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(scan.source)]
    _add_structures(dataset, structures, scan, made_by)
    # so that pydicom writes the encoded contours as they are
    characters = dataset.get("SpecificCharacterSet")
    encoding = convert_encodings(characters) if characters else default_encoding
    dataset.set_original_encoding(True, True, encoding)
    return dataset


def _name_object(dataset: Dataset, made_by: Authorship) -> None:
    uid = made_by.uid("structure set")
    dataset.file_meta = FileMetaDataset()
    # with an explicit VR, no contour could be longer than 65 kB
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = uid
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesInstanceUID = made_by.uid("structure set series")
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = made_by.series_description
    made = made_by.made or datetime.now()
    for what in ("InstanceCreation", "Series", "StructureSet"):
        setattr(dataset, f"{what}Date", made.strftime("%Y%m%d"))
        setattr(dataset, f"{what}Time", made.strftime("%H%M%S"))


def _name_maker(dataset: Dataset, made_by: Authorship) -> None:
    name = made_by.name[:LONGEST_NAME]
    dataset.OperatorsName = ""
    dataset.Manufacturer = MAKER
    dataset.ManufacturerModelName = name
    dataset.SoftwareVersions = version("recontour")
    dataset.StructureSetLabel = made_by.label
    dataset.StructureSetName = name
    if made_by.described:
        dataset.StructureSetDescription = made_by.described
    dataset.ApprovalStatus = "UNAPPROVED"
    if made_by.reviewed:
        _name_reviewer(dataset, made_by.reviewed)


def _name_reviewer(dataset: Dataset, reviewed: Reviewed) -> None:
    """Say who approved a structure set, and which draft it was made from."""
    dataset.ApprovalStatus = "APPROVED"
    dataset.ReviewDate = reviewed.moment.strftime("%Y%m%d")
    dataset.ReviewTime = reviewed.moment.strftime("%H%M%S")
    dataset.ReviewerName = printable(reviewed.reviewer).replace("\\", "/")[:LONGEST_NAME]
    draft = Dataset()
    draft.ReferencedSOPClassUID = RTStructureSetStorage
    draft.ReferencedSOPInstanceUID = reviewed.draft_uid
    dataset.PredecessorStructureSetSequence = [draft]


def _add_structures(
    dataset: Dataset, structures: StructureSet, scan: Scan, made_by: Authorship
) -> None:
    images = _contour_images(scan)
    rois, contours, observations = [], [], []
    for number, structure in enumerate(structures.structures, start=1):
        rois.append(_roi(structure, number, scan, made_by))
        contours.append(_roi_contour(structure, number, scan, images, made_by.template))
        observations.append(_observation(structure, number, made_by))
    dataset.StructureSetROISequence = rois
    dataset.ROIContourSequence = contours
    dataset.RTROIObservationsSequence = observations


def _roi(
    structure: Structure,
    number: int,
    scan: Scan,
    made_by: Authorship,
) -> Dataset:
    roi = Dataset()
    roi.ROINumber = number
    roi.ROIName = made_by.template.name_of(structure.name)
    roi.ReferencedFrameOfReferenceUID = scan.source.frame_of_reference_uid
    roi.ROIGenerationAlgorithm = made_by.algorithm_of(structure.name)
    if structure.name in made_by.remarks:
        roi.ROIDescription = short_text(made_by.remarks[structure.name])
    return roi


def _observation(structure: Structure, number: int, made_by: Authorship) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = number
    observation.ReferencedROINumber = number
    is_organ = made_by.of_organs or structure.name in known_organs()
    observation.RTROIInterpretedType = "ORGAN" if is_organ else ""
    observation.ROIInterpreter = ""
    return observation


def _frame_of_reference(source: Source) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = source.series_instance_uid
    series.ContourImageSequence = list(_image_references(source))
    study = Dataset()
    study.ReferencedSOPClassUID = DETACHED_STUDY
    study.ReferencedSOPInstanceUID = source.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = source.frame_of_reference_uid
    frame.RTReferencedStudySequence = [study]
    return frame


def _image_references(source: Source) -> Iterator[Dataset]:
    """Yield one reference per file; a multi-frame CT is one."""
    for instance_uid in dict.fromkeys(source.sop_instance_uids):
        image = Dataset()
        image.ReferencedSOPClassUID = source.sop_class_uid
        image.ReferencedSOPInstanceUID = instance_uid
        yield image


def _roi_contour(
    structure: Structure,
    number: int,
    scan: Scan,
    images: Sequence[bytes],
    template: Template,
) -> Dataset:
    """Return the contours of a structure. images: encoded Contour Image Sequences, by slice."""
    item = Dataset()
    item.ROIDisplayColor = list(template.colour_of(structure.name))
    item.ReferencedROINumber = number
    if not structure.contours:
        return item
    on_images = [images[_slice_at(contour, structure.name, scan)] for contour in structure.contours]
    data = _contour_data(structure.contours, structure.name)
    items = []
    parts = zip(structure.contours, on_images, data, strict=True)
    for contour_number, (contour, image, coordinates) in enumerate(parts, start=1):
        points = len(contour.points_mm)
        items.append(_encoded_contour(image, points, contour_number, coordinates))
    value = b"".join(items)
    item[CONTOUR_SEQUENCE] = RawDataElement(
        CONTOUR_SEQUENCE, "SQ", len(value), value, 0, is_implicit_VR=True, is_little_endian=True
    )
    item.set_original_encoding(True, True, default_encoding)
    return item


def _slice_at(contour: Contour, name: str, scan: Scan) -> int:
    """Return the slice that a contour lies on. Raises: DicomError: none, or too few points."""
    index = scan.grid.slice_at(contour.z_mm)
    points = len(contour.points_mm)
    if index is None or points < 3:
        raise DicomError(
            UnwritableContour(
                roi=name,
                points=points,
                z_mm=contour.z_mm,
            )
        )
    return index


def _contour_images(scan: Scan) -> list[bytes]:
    """Return the encoded Contour Image Sequence of each slice."""
    source = scan.source
    images = []
    for index, instance_uid in enumerate(source.sop_instance_uids):
        image = _element("ReferencedSOPClassUID", source.sop_class_uid.encode())
        image += _element("ReferencedSOPInstanceUID", instance_uid.encode())
        if source.frame_numbers:
            image += _element("ReferencedFrameNumber", b"%d" % source.frame_numbers[index])
        images.append(_element("ContourImageSequence", _element("Item", image)))
    return images


def _encoded_contour(
    image: bytes,
    points: int,
    number: int,
    data: bytes,
) -> bytes:
    """Return an item of a Contour Sequence.

    image: its encoded Contour Image Sequence. data: its Contour Data.
    """
    content = image
    content += _element("ContourGeometricType", b"CLOSED_PLANAR")
    content += _element("NumberOfContourPoints", b"%d" % points)
    content += _element("ContourNumber", b"%d" % number)
    content += _element("ContourData", data)
    return _element("Item", content)


def _element(keyword: str, value: bytes) -> bytes:
    """Return an encoded attribute, of implicit VR and padded to an even length.

    >>> _element("ContourNumber", b"1")
    b'\\x060H\\x00\\x02\\x00\\x00\\x001 '
    """
    if len(value) % 2:
        value += b"\0" if keyword.endswith("UID") else b" "
    return _encoded_tag(keyword) + len(value).to_bytes(4, "little") + value


@cache
def _encoded_tag(keyword: str) -> bytes:
    tag = Tag(ITEM_TAG if keyword == "Item" else keyword)
    return tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")


def _contour_data(contours: Sequence[Contour], name: str) -> Iterator[bytes]:
    """Yield x, y, z of each contour's points as decimal strings of at most 16 characters.

    They are exact to a tenth of a micrometre. All numbers of a structure are written at once into
    fields of fixed width, from which the blanks are then taken.
    """
    counts = [len(contour.points_mm) for contour in contours]
    points_mm = np.concatenate([contour.points_mm for contour in contours])
    if not (np.abs(points_mm) <= FARTHEST_MM).all():
        raise DicomError(CoordinateOutOfRange(roi=name, most_mm=FARTHEST_MM))
    units = np.rint(points_mm * 10_000).astype(np.int32)
    whole, part = np.divmod(np.abs(units), 10_000)
    heights = [f"{decimal_string(contour.z_mm)}\\".encode() for contour in contours]
    fields = np.zeros(len(units), dtype=POINT_TEXT)
    fields["x_y"]["sign"] = np.where(units < 0, b"-", b"")
    fields["x_y"]["whole"] = np.arange(whole.max() + 1).astype("S6")[whole]
    fields["x_y"]["dot"] = b"."
    fields["x_y"]["part"] = _four_digits()[part]
    fields["x_y"]["end"] = b"\\"
    fields["z"] = np.repeat(heights, counts)
    for of_contour in np.split(fields, np.cumsum(counts)[:-1]):
        yield of_contour.tobytes().translate(None, b"\0")[:-1]


@cache
def _four_digits() -> npt.NDArray[np.bytes_]:
    """Return the numbers below 10,000, each with its leading zeros."""
    return np.array([b"%04d" % number for number in range(10_000)])
