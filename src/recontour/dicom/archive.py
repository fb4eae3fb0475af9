"""A folder tree of DICOM files -> CT series, each with the RTSTRUCT or SEG that was drawn on it.

Files belong together by the UIDs they reference, never by their names or folders.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from recontour.dicom.copies import Damage, versions_of
from recontour.dicom.findings import Kinds, SharedImageUid
from recontour.dicom.folders import cannot_read, files_under
from recontour.dicom.pairing import (
    CtSeries,
    NotRead,
    Pair,
    Place,
    StructureSetFile,
    Unused,
    pair,
)
from recontour.dicom.person import Person, person_of
from recontour.dicom.pictures import KIND_OF_PICTURE, kind_of_picture
from recontour.dicom.reading import (
    claims_dicom,
    read_dataset,
    read_header,
    reading,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
)
from recontour.dicom.references import (
    frames_of_reference,
    images_of_contours,
    images_of_frames,
    listed_by_segmentation,
    listed_series,
    predecessors,
)
from recontour.dicom.silence import silence
from recontour.errors import NotDicomError
from recontour.files import is_name

ENHANCED_CT = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
# Label Map Segmentation Storage, which pydicom 3.0 does not name
LABEL_MAP = UID("1.2.840.10008.5.1.4.1.1.66.7")
CT = (CTImageStorage, *ENHANCED_CT)
UNKNOWN_KIND = "object of an unknown kind"
# Of what `recontour contour` wrote: the manufacturer, and how the series description begins.
# Earlier ones have the manufacturer as label, too, in any case.
MAKER = "recontour"
DRAFT_SERIES = "recontour draft"
NAMELESS = "a model"
IS_DATE = re.compile("[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
IS_TIME = re.compile("[0-9]{2,6}([.][0-9]{1,6})?")

HEADER_KEYWORDS = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    *KIND_OF_PICTURE,
    "Manufacturer",
    "SeriesDescription",
    "StructureSetLabel",
    "StructureSetDate",
    "StructureSetTime",
    "ReferencedFrameOfReferenceSequence",
    "StructureSetROISequence",
    "ContentLabel",
    "ContentDate",
    "ContentTime",
    "ReferencedSeriesSequence",
)


@dataclass(frozen=True, slots=True)
class Archive:
    """What a folder tree holds.

    structure_sets: all of them, without copies. left_out: series without structure set, and
    structure sets without series. unreadable: folders,
    and files that claim to be DICOM. skipped: other kinds of objects, and how many files of each.
    """

    folder: Path
    series: tuple[CtSeries, ...]
    structure_sets: tuple[StructureSetFile, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[Unused, ...]
    unreadable: tuple[Unused, ...]
    skipped: Kinds


@dataclass(frozen=True, slots=True)
class _Image:
    """What a CT file's header says."""

    path: Path
    sop_instance_uid: str
    place: Place
    person: Person
    frame_of_reference_uid: str


# SOPInstanceUID, PatientID, date and time: what equal ones have in common may be copies
Identity = tuple[str, str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Contents:
    """What has been found under a folder so far. images: by SeriesInstanceUID."""

    images: defaultdict[str, list[_Image]] = field(default_factory=lambda: defaultdict(list))
    drawn: defaultdict[Identity, list[StructureSetFile]] = field(
        default_factory=lambda: defaultdict(list)
    )
    unreadable: list[Unused] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    not_read: NotRead = field(default_factory=NotRead)

    def skip(self, kind: str, *uids: str) -> None:
        """Count an object that is not read. uids: those by which a structure set may name it."""
        self.skipped[kind] += 1
        self.not_read.add(kind, *uids)

    def add_damaged(self, damaged: Iterable[Damage]) -> None:
        """Keep files that cannot be read."""
        for path, finding in damaged:
            self.unreadable.append(Unused(path, "", finding))


def read_archive(folder: Path) -> Archive:
    """Read the headers of every DICOM file under a folder and pair CT series with structure sets.

    Files that do not claim to be DICOM and other modalities are skipped. Copies of one object count
    once.

    Raises: NoSeriesError: there is no such folder. FaultError: the machine failed.

    >>> archive = read_archive(Path("dicom/south"))
    >>> len(archive.pairs), archive.unreadable
    (2, ())
    """
    contents = _Contents()

    def skip_folder(error: OSError) -> None:
        path = Path(error.filename)
        contents.add_damaged([(path, cannot_read(path, error))])

    with silence():
        for path in files_under(folder, skip_folder):
            try:
                if claims_dicom(path):
                    _look_into(path, contents)
            except NotDicomError as error:
                contents.add_damaged([(path, error.finding)])
        series = _all_series(contents)
        structure_sets = _structure_sets(contents)
    pairs, left_out = pair(series, structure_sets, contents.not_read)
    return Archive(
        folder=folder,
        series=series,
        structure_sets=tuple(structure_sets),
        pairs=pairs,
        left_out=left_out,
        unreadable=tuple(contents.unreadable),
        skipped=tuple(sorted(contents.skipped.items())),
    )


def _look_into(path: Path, contents: _Contents) -> None:
    """Sort a file into the contents.

    Raises: NotDicomError: it is damaged or not DICOM.
    """
    header = read_header(path, HEADER_KEYWORDS)
    with reading(path):
        sop_class = sop_class_uid(header)
        instance = sop_instance_uid(header)
        if sop_class in DRAWN:
            drawn = DRAWN[sop_class](path, header)
            contents.drawn[instance, drawn.patient_id, drawn.drawn].append(drawn)
        elif sop_class not in CT:
            contents.skip(_kind(sop_class), instance, *_uids_around(header))
        elif picture := kind_of_picture(header):
            contents.skip(picture, instance)
        else:
            series_uid = text(header, "SeriesInstanceUID")
            contents.images[series_uid].append(_image(path, header))


def _kind(sop_class: str) -> str:
    """Return the standard's name of a SOP class."""
    name = UID(sop_class).name
    return UNKNOWN_KIND if name == sop_class else name


def _uids_around(header: Dataset) -> tuple[str, ...]:
    """Return the UIDs of an object's series and frame of reference.

    Return none if they are damaged: the object is not used anyway.
    """
    with suppress(NotDicomError), reading(Path()):
        return text(header, "SeriesInstanceUID"), text(header, "FrameOfReferenceUID")
    return ()


def _image(path: Path, header: Dataset) -> _Image:
    return _Image(
        path=path,
        sop_instance_uid=sop_instance_uid(header),
        place=_place(header),
        person=person_of(header),
        frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
    )


def _place(header: Dataset) -> Place:
    """Return an image's position in mm, however it is written; empty where it has none."""
    try:
        return tuple(map(float, value(header, "ImagePositionPatient")))
    except (TypeError, ValueError):
        return ()


# CT series


def _all_series(contents: _Contents) -> tuple[CtSeries, ...]:
    """Return the CT series without copies, and keep their damaged copies."""
    names = _names(contents.images)
    series = []
    for uid, images in contents.images.items():
        series.append(_ct_series(uid, images, names[uid], contents))
    return tuple(series)


def _ct_series(
    uid: str,
    images: Sequence[_Image],
    name: Path,
    contents: _Contents,
) -> CtSeries:
    everything = CtSeries(
        uid=uid,
        files=tuple(image.path for image in images),
        sop_instance_uids=frozenset(image.sop_instance_uid for image in images),
        patient_id=images[0].person.id,
        place=name,
        frame_of_reference_uid=images[0].frame_of_reference_uid,
        image_places=frozenset(image.place for image in images) - {()},
        clash=_clash_of_patients(images),
        person=images[0].person,
    )
    return everything if everything.clash else _without_copies(everything, images, contents)


def _clash_of_patients(images: Sequence[_Image]) -> SharedImageUid | None:
    """Return two images of one UID that are of two patients, if there are any."""
    first_of: dict[str, _Image] = {}
    for image in images:
        first = first_of.setdefault(image.sop_instance_uid, image)
        if first.person.id != image.person.id:
            return SharedImageUid(rivals=(first.path, image.path))
    return None


def _without_copies(
    series: CtSeries,
    images: Sequence[_Image],
    contents: _Contents,
) -> CtSeries:
    """Return a series without copies, or with the clash of two files of one UID that differ.

    Images of one UID in two places are not copies either; reading their pixels reports that.
    """
    paths: defaultdict[tuple[str, Place], list[Path]] = defaultdict(list)
    for image in images:
        paths[image.sop_instance_uid, image.place].append(image.path)
    files: list[Path] = []
    differ_in: set[str] = set()
    for same_uid in paths.values():
        versions = versions_of(same_uid)
        if versions.apart:
            attributes = tuple(sorted(versions.apart))
            clash = SharedImageUid(differ_in=attributes, rivals=versions.files)
            return replace(series, clash=clash)
        files.extend(versions.files)
        differ_in |= versions.besides
        contents.add_damaged(versions.damaged)
    return replace(series, files=tuple(files), copies_differ_in=frozenset(differ_in))


def _names(images: Mapping[str, Sequence[_Image]]) -> dict[str, Path]:
    """Return what to call each series.

    That is its folder, or its first file if the folder, or one below it, holds another series.
    """
    series_below: Counter[Path] = Counter()
    for of_series in images.values():
        folders: set[Path] = set()
        for parent in {image.path.parent for image in of_series}:
            folders.update((parent, *parent.parents))
        series_below.update(folders)
    names = {}
    for uid, of_series in images.items():
        first = of_series[0].path
        names[uid] = first.parent if series_below[first.parent] == 1 else first
    return names


# Structure sets


def _structure_sets(contents: _Contents) -> list[StructureSetFile]:
    """Return the structure sets without copies.

    Those that share a UID with a different one are marked.
    """
    distinct: list[StructureSetFile] = []
    for alike in contents.drawn.values():
        versions = versions_of([file.path for file in alike])
        contents.add_damaged(versions.damaged)
        for file in alike:
            if file.path in versions.files:
                distinct.append(replace(file, copies_differ_in=versions.besides))
    count = Counter(file.sop_instance_uid for file in distinct)
    return [replace(file, shares_uid=count[file.sop_instance_uid] > 1) for file in distinct]


def _structure_set_file(path: Path, header: Dataset) -> StructureSetFile:
    of_structures, of_header = frames_of_reference(header)
    behind = _behind_the_header(path)
    is_approved = behind.approval == "APPROVED"
    is_draft = _is_draft(header, "StructureSetLabel") and not is_approved
    return StructureSetFile(
        path=path,
        sop_instance_uid=sop_instance_uid(header),
        drawn=_moment(header, "StructureSetDate", "StructureSetTime"),
        listed=listed_series(header),
        drawn_on=behind.drawn_on,
        frame_uids=of_structures or of_header,
        patient_id=text(header, "PatientID"),
        is_draft=is_draft,
        is_rejected=behind.approval == "REJECTED",
        is_approved=is_approved,
        reviewed=behind.reviewed,
        replaces=behind.replaces,
        drafted_by=_model_of(header) if is_draft else "",
        label=text(header, "StructureSetLabel"),
    )


@dataclass(frozen=True, slots=True)
class _Behind:
    """What an RTSTRUCT says behind its header.

    drawn_on: the images that contours name, by frame of reference. approval: its status. reviewed:
    date and time. replaces: the UIDs of its predecessors.
    """

    drawn_on: Mapping[str, frozenset[str]] = field(default_factory=dict)
    approval: str = ""
    reviewed: tuple[str, str] = ("", "")
    replaces: frozenset[str] = frozenset()


def _behind_the_header(path: Path) -> _Behind:
    """Return what an RTSTRUCT says behind its header.

    Return nothing for a damaged file: reading its contours reports the damage.
    """
    with suppress(NotDicomError), reading(path):
        dataset = read_dataset(path)
        return _Behind(
            drawn_on=images_of_contours(dataset),
            approval=text(dataset, "ApprovalStatus").upper(),
            reviewed=_moment(dataset, "ReviewDate", "ReviewTime"),
            replaces=predecessors(dataset),
        )
    return _Behind()


def _segmentation_file(path: Path, header: Dataset) -> StructureSetFile:
    series = listed_by_segmentation(header)
    frame_uid = text(header, "FrameOfReferenceUID")
    is_clear = len(series) == 1 and "" not in series
    return StructureSetFile(
        path=path,
        sop_instance_uid=sop_instance_uid(header),
        drawn=_moment(header, "ContentDate", "ContentTime"),
        listed=series,
        drawn_on={} if is_clear else {frame_uid: images_of_frames(read_dataset(path))},
        frame_uids=frozenset({frame_uid}) - {""},
        patient_id=text(header, "PatientID"),
        is_segmentation=True,
        is_draft=_is_draft(header, "ContentLabel"),
    )


DRAWN: dict[str, Callable[[Path, Dataset], StructureSetFile]] = {
    RTStructureSetStorage: _structure_set_file,
    SegmentationStorage: _segmentation_file,
    LABEL_MAP: _segmentation_file,
}


def _is_draft(header: Dataset, label: str) -> bool:
    if text(header, "Manufacturer") != MAKER:
        return False
    has_label = text(header, label).lower() == MAKER
    return has_label or text(header, "SeriesDescription").startswith(DRAFT_SERIES)


def _model_of(header: Dataset) -> str:
    """Return the name of the model that drew a draft; empty if its series does not say it.

    The name comes into reports: free text that recontour cannot have written is no name.
    """
    _, _, model = text(header, "SeriesDescription").partition(f"{DRAFT_SERIES}: ")
    return model if not model or is_name(model) else NAMELESS


def _moment(
    header: Dataset,
    day: str,
    hour: str,
) -> tuple[str, str]:
    """Return a date and a time as 8 and 12 digits; empty if there is none that can be read.

    DICOM may leave out a time's last digits, and once had dots and colons.
    """
    date = text(header, day).replace(".", "")
    time = text(header, hour).replace(":", "")
    if not IS_DATE.fullmatch(date):
        return "", ""
    if not IS_TIME.fullmatch(time):
        return date, ""
    whole, _, fraction = time.partition(".")
    return date, f"{whole:0<6}{fraction:0<6}"
