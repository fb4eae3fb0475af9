"""RTSTRUCT <-> StructureSet."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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

from recontour.dicom.reading import (
    UID_FORM,
    Attributes,
    items_of,
    read_dataset,
    reading,
    sop_class_uid,
    text,
)
from recontour.dicom.references import (
    CLOSED,
    contours_apart,
    frames_of_reference,
    images_of_contours,
    listed_series,
)
from recontour.dicom.series import Scan, Source, decimal_string, encoded
from recontour.errors import (
    DicomError,
    FrameOfReferenceError,
    NoSeriesError,
    NotDicomError,
    SettingsError,
)
from recontour.files import refuse_existing, write_bytes
from recontour.geometry import Contour, Structure, StructureSet, planes
from recontour.geometry.arrays import Points
from recontour.organs import known_organs, organ_of
from recontour.wording import printable

FLAT_MM = 0.1  # how far the points of one contour may lie apart in z
ON_SLICE = 0.1  # of the slices' spacing: a contour that lies nearer to a slice is on it
FARTHEST_MM = 1e5  # a coordinate beyond this is no place in a patient
ROUNDED_MM = 0.006  # a coordinate rounded to 0.01 mm lies nearer to what it was
MOST_COMPARED = 1_000_000  # pairs of contours of one plane, and pairs of edges of two contours
PADDING = b"\0 \t\r\n"  # around the coordinates: DICOM pads with one blank, some with NULs
LONGEST = 64  # characters of a coordinate; DICOM allows 16, and some write more
CONTOURS, CONTOUR_DATA = Tag("ContourSequence"), Tag("ContourData")
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


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """One structure of an RTSTRUCT, its contours not looked at yet.

    name: exactly as its centre spells it.
    """

    path: Path
    number: str  # which the file's own sequences refer to it by
    name: str
    items: Sequence[Attributes]  # of the Contour Sequence

    @property
    def is_drawn(self) -> bool:
        """Whether any contour may enclose something."""
        with reading(self.path):
            return any(
                _kind(item) in CLOSED and len(_coordinates(item)) >= 9 for item in self.items
            )

    def contours(self, note: Callable[[str], None] = lambda line: None) -> tuple[Contour, ...]:
        """The closed planar contours.

        note: is told, in one line, of contours that were left out: of other kinds (if all are,
            `read_rois` told it), fewer than 3 points, copies in one plane. And of planes where some
            cross.
        Raises: NotDicomError: damaged. DicomError: a contour that is not planar or not in a
            patient.
        """
        with reading(self.path):
            kinds = [_kind(item) for item in self.items]
            drawn = [
                _contour(item, self.name, self.path)
                for item, kind in zip(self.items, kinds, strict=True)
                if kind in CLOSED
            ]
            others = [kind for kind in kinds if kind not in CLOSED]
        if others and drawn:
            note(
                f"{self.name}: {len(others)} contour(s) that are not closed left out ({_listed(others)})"
            )
        return _usable(drawn, self.name, note)


def read_rois(
    path: Path, scan: Scan | None, note: Callable[[str], None] = lambda line: None
) -> tuple[Roi, ...]:
    """Read an RTSTRUCT without its contours, so that only those that are wanted need to be in
    order.

    scan: the CT it must have been drawn on; None: any. note: is told, in one line, of structures
        that stay, but empty: drawn in another frame of reference, of a number that is another's,
        too, or without a closed contour (unless all are points, which mark a place). And of
        contours of a number that no structure has.
    Raises: NotDicomError: damaged. NoSeriesError: no RTSTRUCT. FrameOfReferenceError: it was drawn
        on another CT.
    """
    dataset = read_dataset(path)
    with reading(path):
        if sop_class_uid(dataset) != RTStructureSetStorage:
            raise NoSeriesError(f"{path}: not an RT structure set; give the RTSTRUCT file")
        if scan is not None:
            _refuse_other_ct(dataset, scan, path)
        frame_uid = "" if scan is None else scan.source.frame_of_reference_uid
        contours: defaultdict[str, list[Attributes]] = defaultdict(list)
        for item in dataset.get("ROIContourSequence") or ():
            contours[text(item, "ReferencedROINumber")] += items_of(item, "ContourSequence")
        numbered = dataset.get("StructureSetROISequence") or ()
        bearers = Counter(text(roi, "ROINumber") for roi in numbered)
        shared = {
            at
            for at, count in bearers.items()
            if count > 1 and any(_kind(one) in CLOSED for one in contours[at])
        }
        rois = []
        for roi in numbered:
            name, number = text(roi, "ROIName"), text(roi, "ROINumber")
            items: Sequence[Attributes] = contours.get(number, ())
            if frame_uid and text(roi, "ReferencedFrameOfReferenceUID") not in ("", frame_uid):
                note(f"{name}: drawn in another frame of reference; its contours are dropped")
                items = ()
            elif number in shared:
                note(
                    f"{name}: another structure has its number, so whose the contours are is unknown; they are dropped"
                )
                items = ()
            rois.append(Roi(path, number, name, items))
        _tell_of_others(rois, note)
        astray = sum(bool(contours[number]) for number in contours.keys() - bearers.keys())
        if astray and not shared:  # if any are, why a number is missing was told
            note(f"contours of {astray} ROI number(s) left out: no structure has such a number")
    return tuple(rois)


def _tell_of_others(rois: Sequence[Roi], note: Callable[[str], None]) -> None:
    """Note structures that have contours, but no closed ones, in one line for each lot of kinds."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for roi in rois:
        kinds = {_kind(item) for item in roi.items} if not roi.is_drawn else set()
        if kinds - {"POINT"} and kinds.isdisjoint(CLOSED):
            alike[_listed(kinds)].append(roi.name)
    for listed, names in alike.items():
        note(
            f"{', '.join(names)}: contours that are not closed left out ({listed}); CLOSED_PLANAR is expected"
        )


def read_structure_set(
    path: Path, scan: Scan | None, note: Callable[[str], None] = lambda line: None
) -> StructureSet:
    """Read the closed planar contours of an RTSTRUCT, all of which must be in order; as
    `read_rois`, `Roi.contours`.

    A structure without contours stays, empty.
    """
    return StructureSet(
        tuple(Structure(roi.name, roi.contours(note)) for roi in read_rois(path, scan, note))
    )


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted({kind or "no type" for kind in kinds}))


def _kind(item: Attributes) -> str:
    return text(item, "ContourGeometricType")


def _coordinates(item: Attributes) -> list[bytes] | list[str]:
    """The numbers of an item of a Contour Sequence, as text:

    to make objects of them takes ten times as long.
    """
    if isinstance(item, dict):
        value = item.get(CONTOUR_DATA)
    else:
        element = item.get_item(CONTOUR_DATA)
        value = None if element is None else element.value
    if value is None or isinstance(value, bytes):
        value = (value or b"").strip(PADDING)
        return value.split(b"\\") if value else []
    return list(map(str, value))


def _contour(item: Attributes, name: str, path: Path) -> Contour:
    """One item of a Contour Sequence."""
    where = f"{path}: a contour of '{name}'"
    coordinates = _coordinates(item)
    try:
        if max(map(len, coordinates), default=0) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        flat = np.array(list(map(float, coordinates)))
    except ValueError as error:
        raise DicomError(
            f"{where} has coordinates that are no numbers; export the structure set again"
        ) from error
    if flat.size % 3:
        raise DicomError(
            f"{where} has {flat.size} numbers, not three a point; export the structure set again"
        )
    points = flat.reshape(-1, 3)
    stated = text(item, "NumberOfContourPoints")
    if stated.isdigit() and len(points) < int(stated):
        raise NotDicomError(
            f"{where} has {len(points)} of {stated} points; export the structure set again"
        )
    if not len(points):
        return Contour(points[:, :2], 0.0)
    if not (np.abs(points) <= FARTHEST_MM).all():
        raise DicomError(
            f"{where} has a coordinate that is no place in a patient; export the structure set again"
        )
    if np.ptp(points[:, 2]) > FLAT_MM:
        raise DicomError(
            f"{where} spans z = {points[:, 2].min():.1f} to {points[:, 2].max():.1f} mm; planes of axial slices are "
            "expected. Export contours drawn on axial slices"
        )
    return Contour(points[:, :2].copy(), float(points[0, 2]))


def _usable(drawn: list[Contour], name: str, note: Callable[[str], None]) -> tuple[Contour, ...]:
    """Contours that enclose something, each once, upwards:

    even-odd, a second copy would erase the first.
    """
    areas = [contour for contour in drawn if len(contour.points_mm) >= 3]
    by_plane = [_once(plane) for plane in planes(areas)]
    once = tuple(contour for plane in by_plane for contour in plane)
    if len(areas) < len(drawn):
        note(f"{name}: {len(drawn) - len(areas)} contour(s) of fewer than 3 points dropped")
    if len(once) < len(areas):
        note(f"{name}: {len(areas) - len(once)} contour(s) drawn twice, kept once")
    if crossed := sum(_some_cross([contour.points_mm for contour in plane]) for plane in by_plane):
        note(
            f"{name}: contours cross in {crossed} plane(s); what two of them cover is out, as in a hole"
        )
    return once


def _once(plane: list[Contour]) -> list[Contour]:
    """The contours of one plane without copies of one before, which may be rounded, turned round or
    closed by hand.
    """
    if len(plane) < 2:
        return plane
    distinct = {
        np.sort(contour.points_mm @ (1, 1j)).tobytes(): contour for contour in reversed(plane)
    }
    kept = list(distinct.values())[::-1]
    outlines = [contour.points_mm for contour in kept]
    copies = {b for a, b in _near(outlines) if _alike(outlines[a], outlines[b])}
    return [contour for index, contour in enumerate(kept) if index not in copies]


def _alike(a: Points, b: Points) -> bool:
    """Whether two outlines, (n, 2) each, have the same points and area but for rounding;

    of very many points, some.
    """
    ends_a, ends_b = (np.array([one.min(axis=0), one.max(axis=0)]) for one in (a, b))
    room = ROUNDED_MM * np.abs(_edges(a)).sum()
    if np.abs(ends_a - ends_b).max() > ROUNDED_MM or abs(_area(a) - _area(b)) > room:
        return False
    step = len(a) * len(b) // MOST_COMPARED + 1
    return all(
        (np.abs(these[::step, None] - those).max(axis=2).min(axis=1) <= ROUNDED_MM).all()
        for these, those in ((a, b), (b, a))
    )


def _edges(outline: Points) -> Points:
    return np.roll(outline, -1, axis=0) - outline


def _area(outline: Points) -> float:
    return abs(float(_turn(outline - outline[0], _edges(outline)).sum())) / 2


def _turn(first: Points, second: Points) -> Points:
    found: Points = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return found


def _some_cross(outlines: Sequence[Points]) -> bool:
    return any(_cross(outlines[a], outlines[b]) for a, b in _near(outlines))


def _near(outlines: Sequence[Points]) -> Iterator[tuple[int, int]]:
    """The pairs of outlines whose boxes overlap, unless there are too many to compare."""
    if len(outlines) < 2 or len(outlines) ** 2 > MOST_COMPARED:
        return
    low = np.array([points.min(axis=0) for points in outlines])
    high = np.array([points.max(axis=0) for points in outlines])
    reaches = (low[:, None] < high).all(axis=2)
    yield from map(tuple, np.argwhere(np.triu(reaches & reaches.T, 1)).tolist())


def _cross(a: Points, b: Points) -> bool:
    """Whether two outlines, (n, 2) each, overlap and neither holds the other; to touch is not to
    cross.

    False where they have too many points to compare.
    """
    if len(a) * len(b) > MOST_COMPARED:
        return False
    along_a, along_b = _edges(a), _edges(b)
    between = b - a[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        parallel = _turn(along_a[:, None], along_b)
        on_a, on_b = _turn(between, along_b) / parallel, _turn(between, along_a[:, None]) / parallel
    passes = ((on_a > 0) & (on_a < 1) & (on_b > 0) & (on_b < 1)).any()
    return bool(passes) or _runs_in_and_out(a, b) or _runs_in_and_out(b, a)


def _runs_in_and_out(a: Points, b: Points) -> bool:
    """Whether of an outline's corners and its edges' middles some lie within another and some
    without, none on it.

    Along pixels' edges two outlines cross at corners, or run together for a while, and no edge
    passes through another.
    """
    probes, along = np.concatenate([a, a + _edges(a) / 2]), _edges(b)
    x, y = (probes[:, None, axis] - b[:, axis] for axis in (0, 1))
    spans = (y > 0) != (y > along[:, 1])
    probe, edge = np.nonzero(spans)
    right, up = along[edge].T
    is_left = (right * y[spans] > up * x[spans]) == (up > 0)
    is_in = np.bincount(probe, is_left, len(probes)) % 2 == 1
    if is_in.all() or not is_in.any():
        return False
    share = (x * along[:, 0] + y * along[:, 1]) / np.maximum((along**2).sum(axis=1), 1e-12)
    offset = np.stack([x, y], axis=2) - share.clip(0, 1)[..., None] * along
    is_off = (np.abs(offset) > ROUNDED_MM).any(axis=2).all(axis=1)
    return bool((is_in & is_off).any() and (~is_in & is_off).any())


def _refuse_other_ct(dataset: Dataset, scan: Scan, path: Path) -> None:
    """Raise FrameOfReferenceError where a structure set says that it, or a part of it, was drawn on
    another CT.
    """
    source = scan.source
    frame_uid = source.frame_of_reference_uid
    frames = frozenset.union(*frames_of_reference(dataset))
    if frame_uid and frames and frame_uid not in frames:
        raise FrameOfReferenceError(
            f"{path}: drawn in another frame of reference than the CT's; give the CT it was drawn on"
        )
    drawn_on = images_of_contours(dataset)
    in_frame = {
        uid
        for frame, uids in drawn_on.items()
        if not frame_uid or frame in ("", frame_uid)
        for uid in uids
    }
    if in_frame:
        if in_frame.isdisjoint(source.sop_instance_uids):
            raise FrameOfReferenceError(
                f"{path}: its contours are drawn on images of another CT; give the CT that has these images"
            )
        if not in_frame.issubset(source.sop_instance_uids) and _some_lie_on_slices(dataset, scan):
            raise FrameOfReferenceError(
                f"{path}: some of its contours are drawn on images of another CT, where this CT has images of its own; "
                "export a structure set of this CT alone"
            )
        return
    series = listed_series(dataset)
    images = {uid for one in series.values() for uid in one.image_uids}
    is_named = not series.keys() - {""} or source.series_instance_uid in series
    if not is_named and images.isdisjoint(source.sop_instance_uids):
        raise FrameOfReferenceError(
            f"{path}: references another CT series; give the CT it was drawn on"
        )


def _some_lie_on_slices(dataset: Dataset, scan: Scan) -> bool:
    """Whether a contour that names none of a CT's images lies on one of its slices:

    then none is missing there.
    """
    frame_uid = scan.source.frame_of_reference_uid
    slices_mm, spacing_mm = np.array(scan.grid.slice_z_mm), scan.grid.slice_thickness_mm
    for frame, contour in contours_apart(dataset, scan.source.sop_instance_uids):
        is_in_frame = not frame_uid or frame in ("", frame_uid)
        if is_in_frame and (np.abs(slices_mm - _first_z_mm(contour)) < ON_SLICE * spacing_mm).any():
            return True
    return False


def _first_z_mm(contour: Attributes) -> float:
    """The height of a contour's first point;

    NaN where it has none, or damaged ones, which are told when it is used.
    """
    first = _coordinates(contour)[:3]
    try:
        return float(first[2])
    except (IndexError, ValueError):
        return float("nan")


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
