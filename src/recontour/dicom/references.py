"""What a structure set says it was drawn on:

the series and images of its header, and the images its contours name.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydicom import Dataset

from recontour.dicom.pairing import ListedSeries
from recontour.dicom.plain import NotPlainError, plain_items, tag_of
from recontour.dicom.reading import Attributes, items_of, text

CLOSED = (
    "CLOSED_PLANAR",
    "CLOSEDPLANAR_XOR",
)  # the kinds of contours that are used; both are filled even-odd


def listed_series(structure_set: Dataset) -> dict[str, ListedSeries]:
    """The series that an RTSTRUCT's header references, by UID;

    one without a UID by an empty one.
    """
    found: dict[str, ListedSeries] = {}
    for frame in structure_set.get("ReferencedFrameOfReferenceSequence") or ():
        frame_uid = text(frame, "FrameOfReferenceUID")
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                uid = text(series, "SeriesInstanceUID")
                images = _referenced(items_of(series, "ContourImageSequence"))
                known = found.get(uid)
                found[uid] = ListedSeries(
                    frame_uid, images | (known.image_uids if known else frozenset())
                )
    return found


def frames_of_reference(structure_set: Dataset) -> tuple[frozenset[str], frozenset[str]]:
    """The frames of reference of an RTSTRUCT's structures, and those of its header."""
    structures = structure_set.get("StructureSetROISequence") or ()
    header = structure_set.get("ReferencedFrameOfReferenceSequence") or ()
    of_structures = frozenset(text(roi, "ReferencedFrameOfReferenceUID") for roi in structures)
    return of_structures - {""}, frozenset(
        text(frame, "FrameOfReferenceUID") for frame in header
    ) - {""}


def images_of_contours(structure_set: Dataset) -> Mapping[str, frozenset[str]]:
    """The UIDs of the images that an RTSTRUCT's closed contours name, by their structures' frame of
    reference.

    Where no closed contour names any, there is nothing.
    """
    frames = _frames_by_number(structure_set)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for roi in structure_set.get("ROIContourSequence") or ():
        images = _images_of_roi(roi)
        if images:
            found[frames.get(text(roi, "ReferencedROINumber"), "")] |= images
    return {frame: frozenset(images) for frame, images in found.items()}


def contours_apart(
    structure_set: Dataset, image_uids: Collection[str]
) -> Iterator[tuple[str, Attributes]]:
    """The closed contours that name images, but none of these, each with its structure's frame of
    reference.
    """
    frames = _frames_by_number(structure_set)
    for roi in structure_set.get("ROIContourSequence") or ():
        for contour in roi.get("ContourSequence") or ():
            images = _images_of_contour(contour)
            if images and images.isdisjoint(image_uids):
                yield frames.get(text(roi, "ReferencedROINumber"), ""), contour


def _frames_by_number(structure_set: Dataset) -> dict[str, str]:
    return {
        text(roi, "ROINumber"): text(roi, "ReferencedFrameOfReferenceUID")
        for roi in structure_set.get("StructureSetROISequence") or ()
    }


def _images_of_roi(roi: Dataset) -> set[str]:
    try:
        return {
            uid
            for contour in items_of(roi, "ContourSequence")
            for uid in _images_of_contour(contour)
        }
    except NotPlainError:  # within a plain item lies one that is not
        return {
            uid
            for contour in roi.get("ContourSequence") or ()
            for uid in _images_of_contour(contour)
        }


def _images_of_contour(contour: Attributes) -> frozenset[str]:
    if text(contour, "ContourGeometricType") not in CLOSED:
        return frozenset()
    if isinstance(contour, Dataset):
        return _referenced(items_of(contour, "ContourImageSequence"))
    return _referenced(_plain_items(contour.get(tag_of("ContourImageSequence"), b"")))


def _plain_items(encoded: bytes) -> Sequence[Attributes]:
    """The items of a sequence within a plainly encoded item, which does not tell its own encoding."""
    try:
        return list(plain_items(encoded, implicit=True))
    except NotPlainError:
        return list(plain_items(encoded, implicit=False))


def listed_by_segmentation(segmentation: Dataset) -> dict[str, ListedSeries]:
    """The series that a SEG's header references, by UID."""
    frame_uid = text(segmentation, "FrameOfReferenceUID")
    return {
        text(series, "SeriesInstanceUID"): ListedSeries(
            frame_uid, _referenced(items_of(series, "ReferencedInstanceSequence"))
        )
        for series in segmentation.get("ReferencedSeriesSequence") or ()
    }


def images_of_frames(segmentation: Dataset) -> frozenset[str]:
    """The UIDs of the images that a SEG's frames say they were drawn on."""
    return frozenset(_image_uids_of_frames(segmentation)) - {""}


def _image_uids_of_frames(segmentation: Dataset) -> Iterator[str]:
    for frame in segmentation.get("PerFrameFunctionalGroupsSequence") or ():
        for derivation in frame.get("DerivationImageSequence") or ():
            for image in derivation.get("SourceImageSequence") or ():
                yield text(image, "ReferencedSOPInstanceUID")


def _referenced(images: Sequence[Attributes]) -> frozenset[str]:
    return frozenset(text(image, "ReferencedSOPInstanceUID") for image in images) - {""}
