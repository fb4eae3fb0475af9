"""RTSTRUCT -> StructureSet."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import RTStructureSetStorage

from recontour.dicom.contour_findings import (
    KINDS,
    ContoursOfAnotherCt,
    CoordinateOutOfRange,
    CoordinatesNotNumbers,
    CrossingContours,
    IncompletePoint,
    MissingPoints,
    NonAxialContour,
    NotStructureSet,
    OpenContours,
    RepeatedContours,
    RoiInAnotherFrame,
    SharedNumber,
    ShortContours,
    StrayContours,
)
from recontour.dicom.ct import Scan
from recontour.dicom.reading import (
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
from recontour.errors import DicomError, FrameOfReferenceError, NoSeriesError, NotDicomError
from recontour.findings import Finding
from recontour.geometry import Contour, Structure, StructureSet, planes
from recontour.geometry.arrays import Floats
from recontour.geometry.polygons import some_cross, without_copies

FLAT_MM = 0.1  # how far the points of one contour may lie apart in z
ON_SLICE = 0.1  # of the slices' spacing: a contour that lies nearer to a slice is on it
FARTHEST_MM = 1e5  # no coordinate in a patient is larger
BLANKS = b"\0 \t\r\n"  # around the coordinates: DICOM pads with one blank, some with NULs
LONGEST_NUMBER = 64  # characters; DICOM allows 16, and some write more
CONTOUR_DATA = Tag("ContourData")

Note = Callable[[Finding], None]


def ignored(_finding: Finding) -> None:
    """Do nothing with a note."""


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """One structure of an RTSTRUCT whose contours have not been read yet.

    number: by which the file's own sequences refer to it. name: exactly as its centre spells it.
    items: of its Contour Sequence.
    """

    path: Path
    number: str
    name: str
    items: Sequence[Attributes]

    @property
    def is_drawn(self) -> bool:
        """Return whether any contour may enclose something."""
        with reading(self.path):
            return any(map(_may_enclose, self.items))

    def contours(self, note: Note = ignored) -> tuple[Contour, ...]:
        """Read the closed planar contours.

        note: takes findings on contours that are ignored (not closed, fewer than 3 points, copies)
        and on planes where contours cross. If no contour is closed, `read_rois` noted it.

        Raises: NotDicomError: damaged. DicomError: a contour that is not planar or not in a
            patient.
        """
        drawn: list[Contour] = []
        open_kinds: list[str] = []
        with reading(self.path):
            for item in self.items:
                kind = _kind(item)
                if kind in CLOSED:
                    drawn.append(_contour(item, self.name, self.path))
                else:
                    open_kinds.append(kind)
        if open_kinds and drawn:
            note(_open_contours(open_kinds, (self.name,), is_all=False))
        return _usable(drawn, self.name, note)


def read_structure_set(
    path: Path,
    scan: Scan | None,
    note: Note = ignored,
) -> StructureSet:
    """Read the closed planar contours of an RTSTRUCT; all of them must be in order.

    A structure without contours is kept, empty. Arguments and errors as for `read_rois` and
    `Roi.contours`.

    >>> read_structure_set(Path("dicom/new-patient/RS.dcm"), None).names
    ('Brain Stem', 'Lens OS', 'PTV 70')
    """
    structures = []
    for roi in read_rois(path, scan, note):
        structures.append(Structure(roi.name, roi.contours(note)))
    return StructureSet(tuple(structures))


def read_rois(
    path: Path,
    scan: Scan | None,
    note: Note = ignored,
) -> tuple[Roi, ...]:
    """Read an RTSTRUCT without its contours, so that only those that are wanted must be in order.

    scan: the CT it must have been drawn on; None: any.
    note: takes findings on structures that stay, but empty: drawn in another frame of reference,
    sharing their number with another, or without a closed contour (unless all are points, which
    mark a place). Also on contours under a number that no structure has.

    Raises: NotDicomError: damaged. NoSeriesError: not an RTSTRUCT. FrameOfReferenceError: drawn on
        another CT.

    >>> rois = read_rois(Path("dicom/new-patient/RS.dcm"), None)
    >>> [roi.name for roi in rois if roi.is_drawn]
    ['Brain Stem', 'Lens OS', 'PTV 70']
    """
    dataset = read_dataset(path)
    with reading(path):
        if sop_class_uid(dataset) != RTStructureSetStorage:
            raise NoSeriesError(NotStructureSet(path=path))
        if scan is not None:
            _refuse_other_ct(dataset, scan, path)
        frame_uid = "" if scan is None else scan.source.frame_of_reference_uid
        headers = dataset.get("StructureSetROISequence") or ()
        contours = _contours_by_number(dataset)
        bearers = Counter(text(header, "ROINumber") for header in headers)
        shared = _shared_numbers(bearers, contours)
        rois = []
        for header in headers:
            roi = _roi(header, contours, path)
            fault = _fault(roi, header, frame_uid, shared)
            if fault is not None:
                note(fault)
                roi = replace(roi, items=())
            rois.append(roi)
        _note_open_rois(rois, note)
        if not shared:  # if numbers are shared, the missing ones are explained
            _note_strays(contours, bearers, note)
    return tuple(rois)


def drafted_by(path: Path) -> str:
    """Return which model an RTSTRUCT of recontour's says that it is from; empty if none.

    Raises: NotDicomError: damaged.

    >>> drafted_by(Path("dicom/new-patient/RS.dcm"))
    'a person'
    """
    dataset = read_dataset(path)
    with reading(path):
        return text(dataset, "ManufacturerModelName")


def _roi(
    header: Dataset,
    contours: Mapping[str, Sequence[Attributes]],
    path: Path,
) -> Roi:
    """Return an ROI with its contours. header: its item of the Structure Set ROI Sequence."""
    number = text(header, "ROINumber")
    return Roi(path, number, text(header, "ROIName"), contours.get(number, ()))


def _fault(
    roi: Roi,
    header: Dataset,
    frame_uid: str,
    shared_numbers: Collection[str],
) -> Finding | None:
    """Return why the contours of an ROI cannot be used; None if they can."""
    if not _is_in_frame(text(header, "ReferencedFrameOfReferenceUID"), frame_uid):
        return RoiInAnotherFrame(roi=roi.name)
    if roi.number in shared_numbers:
        return SharedNumber(roi=roi.name)
    return None


def _note_strays(
    contours: Mapping[str, Sequence[Attributes]],
    bearers: Collection[str],
    note: Note,
) -> None:
    """Note contours under numbers that no ROI has."""
    strays = [number for number, items in contours.items() if items and number not in bearers]
    if strays:
        note(StrayContours(numbers=len(strays)))


def _contours_by_number(dataset: Dataset) -> dict[str, Sequence[Attributes]]:
    """Return the items of each ROI's Contour Sequence; a file may spread one over several."""
    contours: defaultdict[str, list[Attributes]] = defaultdict(list)
    for item in dataset.get("ROIContourSequence") or ():
        contours[text(item, "ReferencedROINumber")] += items_of(item, "ContourSequence")
    return dict(contours)


def _shared_numbers(
    bearers: Mapping[str, int], contours: Mapping[str, Sequence[Attributes]]
) -> set[str]:
    """Return the numbers that several ROIs share, if closed contours use them."""
    shared = set()
    for number, count in bearers.items():
        is_drawn = any(_kind(item) in CLOSED for item in contours.get(number, ()))
        if count > 1 and is_drawn:
            shared.add(number)
    return shared


def _is_in_frame(stated_uid: str, frame_uid: str) -> bool:
    """Return whether contours lie in a CT's frame of reference; those that state none do."""
    return not frame_uid or stated_uid in ("", frame_uid)


def _note_open_rois(rois: Sequence[Roi], note: Note) -> None:
    """Note ROIs that have contours but no closed ones, those with the same types in one finding."""
    rois_by_kinds: defaultdict[frozenset[str], list[Roi]] = defaultdict(list)
    for roi in rois:
        kinds = frozenset(map(_kind, roi.items))
        is_marker = kinds <= {"POINT"}
        if not roi.is_drawn and not is_marker and kinds.isdisjoint(CLOSED):
            rois_by_kinds[kinds].append(roi)
    for alike in rois_by_kinds.values():
        kinds_of_items: list[str] = []
        for roi in alike:
            kinds_of_items += map(_kind, roi.items)
        names = tuple(roi.name for roi in alike)
        note(_open_contours(kinds_of_items, names, is_all=True))


def _open_contours(
    kinds: Sequence[str],
    rois: tuple[str, ...],
    *,
    is_all: bool,
) -> OpenContours:
    """Return the finding on contours that are not closed. kinds: the type of each contour."""
    distinct = set(kinds)
    return OpenContours(
        count=len(kinds),
        kinds=tuple(sorted(distinct.intersection(KINDS))),
        other_kinds=tuple(sorted(distinct.difference(KINDS))),
        rois=rois,
        is_all=is_all,
    )


def _kind(item: Attributes) -> str:
    return text(item, "ContourGeometricType")


def _may_enclose(item: Attributes) -> bool:
    return _kind(item) in CLOSED and len(_coordinates(item)) >= 9


def _coordinates(item: Attributes) -> list[bytes] | list[str]:
    """Return the numbers of an item of a Contour Sequence, as text.

    Converting them into pydicom's objects takes ten times as long.
    """
    if isinstance(item, dict):
        value = item.get(CONTOUR_DATA)
    else:
        element = item.get_item(CONTOUR_DATA)
        value = None if element is None else element.value
    if value is None or isinstance(value, bytes):
        value = (value or b"").strip(BLANKS)
        return value.split(b"\\") if value else []
    return list(map(str, value))


def _contour(item: Attributes, name: str, path: Path) -> Contour:
    """Read one item of a Contour Sequence."""
    numbers = _numbers(_coordinates(item), name, path)
    if numbers.size % 3:
        raise DicomError(
            IncompletePoint(
                path=path,
                roi=name,
                numbers=numbers.size,
            )
        )
    points = numbers.reshape(-1, 3)
    stated = text(item, "NumberOfContourPoints")
    if stated.isdigit() and len(points) < int(stated):
        raise NotDicomError(
            MissingPoints(
                path=path,
                roi=name,
                points=len(points),
                stated=int(stated),
            )
        )
    if not len(points):
        return Contour(points[:, :2], 0.0)
    if not (np.abs(points) <= FARTHEST_MM).all():
        raise DicomError(
            CoordinateOutOfRange(
                path=path,
                roi=name,
                most_mm=FARTHEST_MM,
            )
        )
    heights_mm = points[:, 2]
    if np.ptp(heights_mm) > FLAT_MM:
        lowest_mm, highest_mm = float(heights_mm.min()), float(heights_mm.max())
        raise DicomError(
            NonAxialContour(
                path=path,
                roi=name,
                lowest_mm=lowest_mm,
                highest_mm=highest_mm,
            )
        )
    return Contour(points[:, :2].copy(), float(heights_mm[0]))


def _numbers(
    coordinates: list[bytes] | list[str],
    name: str,
    path: Path,
) -> Floats:
    longest = max(map(len, coordinates), default=0)
    not_numbers = CoordinatesNotNumbers(path=path, roi=name)
    if longest > LONGEST_NUMBER:
        raise DicomError(not_numbers)
    try:
        return np.array(list(map(float, coordinates)))
    except ValueError as error:
        raise DicomError(not_numbers) from error


def _usable(
    drawn: Sequence[Contour],
    name: str,
    note: Note,
) -> tuple[Contour, ...]:
    """Return the contours that enclose something, upwards and each once.

    Filled even-odd, a second copy would erase the first.
    """
    areas = [contour for contour in drawn if len(contour.points_mm) >= 3]
    once: list[Contour] = []
    crossed = 0
    for plane in planes(areas):
        distinct = without_copies(plane)
        crossed += some_cross([contour.points_mm for contour in distinct])
        once += distinct
    if len(areas) < len(drawn):
        note(ShortContours(roi=name, count=len(drawn) - len(areas)))
    if len(once) < len(areas):
        note(RepeatedContours(roi=name, count=len(areas) - len(once)))
    if crossed:
        note(CrossingContours(roi=name, planes=crossed))
    return tuple(once)


def _refuse_other_ct(dataset: Dataset, scan: Scan, path: Path) -> None:
    """Raise FrameOfReferenceError if a structure set, or a part of it, was drawn on another CT."""
    source = scan.source
    frame_uid = source.frame_of_reference_uid
    frames = frozenset.union(*frames_of_reference(dataset))
    if frame_uid and frames and frame_uid not in frames:
        raise FrameOfReferenceError(ContoursOfAnotherCt(path=path, by="frame of reference"))
    drawn_on: set[str] = set()
    for frame, uids in images_of_contours(dataset).items():
        if _is_in_frame(frame, frame_uid):
            drawn_on |= uids
    if not drawn_on:
        _refuse_other_series(dataset, scan, path)
    elif drawn_on.isdisjoint(source.sop_instance_uids):
        raise FrameOfReferenceError(ContoursOfAnotherCt(path=path, by="images"))
    elif not drawn_on.issubset(source.sop_instance_uids) and _some_lie_on_slices(dataset, scan):
        raise FrameOfReferenceError(ContoursOfAnotherCt(path=path, by="some images"))


def _refuse_other_series(dataset: Dataset, scan: Scan, path: Path) -> None:
    """Raise FrameOfReferenceError if the header references other series, and none of the images."""
    source = scan.source
    series = listed_series(dataset)
    images: set[str] = set()
    for one in series.values():
        images |= one.image_uids
    is_named = not series.keys() - {""} or source.series_instance_uid in series
    if not is_named and images.isdisjoint(source.sop_instance_uids):
        raise FrameOfReferenceError(ContoursOfAnotherCt(path=path, by="series"))


def _some_lie_on_slices(dataset: Dataset, scan: Scan) -> bool:
    """Return whether a contour that names none of a CT's images lies on one of its slices.

    Then that slice is not missing.
    """
    slices_mm = np.array(scan.grid.slice_z_mm)
    near_mm = ON_SLICE * scan.grid.slice_thickness_mm
    for frame, contour in contours_apart(dataset, scan.source.sop_instance_uids):
        is_in_frame = _is_in_frame(frame, scan.source.frame_of_reference_uid)
        if is_in_frame and (np.abs(slices_mm - _first_z_mm(contour)) < near_mm).any():
            return True
    return False


def _first_z_mm(contour: Attributes) -> float:
    """Return the height of a contour's first point; NaN if it has none, or a damaged one.

    Damage is reported when the contour is used.
    """
    try:
        return float(_coordinates(contour)[2])
    except (IndexError, ValueError):
        return float("nan")
