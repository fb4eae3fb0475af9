"""What a structure set says it was drawn on.

That is the series and images of its header, and the images that its contours name.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pydicom import Dataset

from recontour.dicom.pairing import ListedSeries
from recontour.dicom.plain import NotPlainError, plain_items, tag_of
from recontour.dicom.reading import Attributes, items_of, text

# The kinds of contours that are used; both are filled even-odd.
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def listed_series(structure_set: Dataset) -> dict[str, ListedSeries]:
    """Return the series that an RTSTRUCT's header references, by UID.

    A series without a UID has the empty one.
    """
    found: dict[str, ListedSeries] = {}
    for frame in structure_set.get("ReferencedFrameOfReferenceSequence") or ():
        frame_uid = text(frame, "FrameOfReferenceUID")
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                uid = text(series, "SeriesInstanceUID")
                images = _referenced(items_of(series, "ContourImageSequence"))
                if uid in found:
                    images |= found[uid].image_uids
                found[uid] = ListedSeries(frame_uid, images)
    return found


def predecessors(structure_set: Dataset) -> frozenset[str]:
    """Return the UIDs of the structure sets that an RTSTRUCT says it was made from."""
    return _referenced(structure_set.get("PredecessorStructureSetSequence") or ())


def frames_of_reference(structure_set: Dataset) -> tuple[frozenset[str], frozenset[str]]:
    """Return the frames of reference of an RTSTRUCT's structures, and those of its header."""
    structures = structure_set.get("StructureSetROISequence") or ()
    header = structure_set.get("ReferencedFrameOfReferenceSequence") or ()
    of_structures = _uids(structures, "ReferencedFrameOfReferenceUID")
    return of_structures, _uids(header, "FrameOfReferenceUID")


def images_of_contours(structure_set: Dataset) -> Mapping[str, frozenset[str]]:
    """Return the UIDs of the images that an RTSTRUCT's closed contours name.

    They go by the frame of reference of their structures. A frame whose contours name no image is
    not there.
    """
    frames = _frames_by_number(structure_set)
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for roi in structure_set.get("ROIContourSequence") or ():
        images = _images_of_roi(roi)
        if images:
            number = text(roi, "ReferencedROINumber")
            found[frames.get(number, "")] |= images
    return dict(found)


def contours_apart(
    structure_set: Dataset, image_uids: Collection[str]
) -> Iterator[tuple[str, Attributes]]:
    """Yield the closed contours that name images, but none of these.

    Each comes after its structure's frame of reference.
    """
    frames = _frames_by_number(structure_set)
    for roi in structure_set.get("ROIContourSequence") or ():
        frame = frames.get(text(roi, "ReferencedROINumber"), "")
        for contour in roi.get("ContourSequence") or ():
            images = _images_of_contour(contour)
            if images and images.isdisjoint(image_uids):
                yield frame, contour


def _frames_by_number(structure_set: Dataset) -> dict[str, str]:
    """Return the frame of reference of each structure, by its number."""
    frames = {}
    for roi in structure_set.get("StructureSetROISequence") or ():
        number = text(roi, "ROINumber")
        frames[number] = text(roi, "ReferencedFrameOfReferenceUID")
    return frames


def _images_of_roi(roi: Dataset) -> frozenset[str]:
    try:
        return _images_of(items_of(roi, "ContourSequence"))
    except NotPlainError:  # a plain item holds one that is not
        return _images_of(roi.get("ContourSequence") or ())


def _images_of(contours: Iterable[Attributes]) -> frozenset[str]:
    return frozenset().union(*map(_images_of_contour, contours))


def _images_of_contour(contour: Attributes) -> frozenset[str]:
    """Return the images that a contour names; none if it is not closed."""
    if text(contour, "ContourGeometricType") not in CLOSED:
        return frozenset()
    if isinstance(contour, Dataset):
        return _referenced(items_of(contour, "ContourImageSequence"))
    encoded = contour.get(tag_of("ContourImageSequence"), b"")
    return _referenced(_plain_items(encoded))


def _plain_items(encoded: bytes) -> Sequence[Attributes]:
    """Return the items of a sequence within a plain item, which does not say how it is encoded."""
    try:
        return list(plain_items(encoded, implicit=True))
    except NotPlainError:
        return list(plain_items(encoded, implicit=False))


def listed_by_segmentation(segmentation: Dataset) -> dict[str, ListedSeries]:
    """Return the series that a SEG's header references, by UID."""
    frame_uid = text(segmentation, "FrameOfReferenceUID")
    found = {}
    for series in segmentation.get("ReferencedSeriesSequence") or ():
        uid = text(series, "SeriesInstanceUID")
        images = _referenced(items_of(series, "ReferencedInstanceSequence"))
        found[uid] = ListedSeries(frame_uid, images)
    return found


def images_of_frames(segmentation: Dataset) -> frozenset[str]:
    """Return the UIDs of the images that a SEG's frames say they were drawn on."""
    found: set[str] = set()
    for frame in segmentation.get("PerFrameFunctionalGroupsSequence") or ():
        for derivation in frame.get("DerivationImageSequence") or ():
            found |= _referenced(derivation.get("SourceImageSequence") or ())
    return frozenset(found)


def _referenced(images: Iterable[Attributes]) -> frozenset[str]:
    return _uids(images, "ReferencedSOPInstanceUID")


def _uids(items: Iterable[Attributes], keyword: str) -> frozenset[str]:
    """Return the UIDs that items have in an attribute."""
    uids = {text(item, keyword) for item in items}
    return frozenset(uids - {""})
