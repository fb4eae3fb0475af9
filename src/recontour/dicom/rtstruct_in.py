"""RTSTRUCT -> StructureSet."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import RTStructureSetStorage

from recontour.dicom.contour_findings import (
    KINDS,
    CrossingContours,
    OpenContours,
    OtherFrame,
    RepeatedContours,
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
from recontour.errors import (
    DicomError,
    FrameOfReferenceError,
    NoSeriesError,
    NotDicomError,
)
from recontour.findings import Finding
from recontour.geometry import Contour, Structure, StructureSet, planes
from recontour.geometry.polygons import some_cross, without_copies

FLAT_MM = 0.1  # how far the points of one contour may lie apart in z
ON_SLICE = 0.1  # of the slices' spacing: a contour that lies nearer to a slice is on it
FARTHEST_MM = 1e5  # a coordinate beyond this is no place in a patient
PADDING = b"\0 \t\r\n"  # around the coordinates: DICOM pads with one blank, some with NULs
LONGEST = 64  # characters of a coordinate; DICOM allows 16, and some write more
CONTOUR_DATA = Tag("ContourData")


def ignored(_finding: Finding) -> None:
    """Do nothing with a note."""


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

    def contours(self, note: Callable[[Finding], None] = ignored) -> tuple[Contour, ...]:
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
            note(_open_contours(others, (self.name,), is_all=False))
        return _usable(drawn, self.name, note)


def read_rois(
    path: Path, scan: Scan | None, note: Callable[[Finding], None] = ignored
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
                note(OtherFrame(roi=name))
                items = ()
            elif number in shared:
                note(SharedNumber(roi=name))
                items = ()
            rois.append(Roi(path, number, name, items))
        _note_open_rois(rois, note)
        astray = sum(bool(contours[number]) for number in contours.keys() - bearers.keys())
        if astray and not shared:  # if any are, why a number is missing was told
            note(StrayContours(numbers=astray))
    return tuple(rois)


def _note_open_rois(rois: Sequence[Roi], note: Callable[[Finding], None]) -> None:
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


def _open_contours(kinds: Sequence[str], rois: tuple[str, ...], *, is_all: bool) -> OpenContours:
    """Return the finding on contours that are not closed. kinds: the type of each contour."""
    distinct = set(kinds)
    return OpenContours(
        count=len(kinds),
        kinds=tuple(sorted(distinct.intersection(KINDS))),
        other_kinds=tuple(sorted(distinct.difference(KINDS))),
        rois=rois,
        is_all=is_all,
    )


def read_structure_set(
    path: Path, scan: Scan | None, note: Callable[[Finding], None] = ignored
) -> StructureSet:
    """Read the closed planar contours of an RTSTRUCT, all of which must be in order; as
    `read_rois`, `Roi.contours`.

    A structure without contours stays, empty.
    """
    return StructureSet(
        tuple(Structure(roi.name, roi.contours(note)) for roi in read_rois(path, scan, note))
    )


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


def _usable(
    drawn: list[Contour], name: str, note: Callable[[Finding], None]
) -> tuple[Contour, ...]:
    """Contours that enclose something, each once, upwards:

    even-odd, a second copy would erase the first.
    """
    areas = [contour for contour in drawn if len(contour.points_mm) >= 3]
    by_plane = [without_copies(plane) for plane in planes(areas)]
    once = tuple(contour for plane in by_plane for contour in plane)
    if len(areas) < len(drawn):
        note(ShortContours(roi=name, count=len(drawn) - len(areas)))
    if len(once) < len(areas):
        note(RepeatedContours(roi=name, count=len(areas) - len(once)))
    if crossed := sum(some_cross([contour.points_mm for contour in plane]) for plane in by_plane):
        note(CrossingContours(roi=name, planes=crossed))
    return once


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
