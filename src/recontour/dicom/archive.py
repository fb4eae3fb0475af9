"""A folder tree of DICOM files -> CT series, each with the RTSTRUCT or SEG that was drawn on it.

Files belong together by the UIDs they reference, never by their names or folders.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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

from recontour.dicom.copies import Versions, listed, versions_of
from recontour.dicom.pairing import (
    Clash,
    CtSeries,
    LeftOut,
    NotRead,
    Pair,
    Place,
    StructureSetFile,
    pair,
)
from recontour.dicom.person import Person, person_of
from recontour.dicom.pictures import KIND_OF_PICTURE, kind_of_picture
from recontour.dicom.reading import (
    claims_dicom,
    files_under,
    read_dataset,
    read_header,
    reading,
    silence,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
    why_unreadable,
)
from recontour.dicom.references import (
    frames_of_reference,
    images_of_contours,
    images_of_frames,
    listed_by_segmentation,
    listed_series,
)
from recontour.dicom.spelling import name_parts, spellings
from recontour.errors import NotDicomError

ENHANCED_CT = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
LABEL_MAP = UID(
    "1.2.840.10008.5.1.4.1.1.66.7"
)  # Label Map Segmentation Storage, which pydicom 3.0 does not name
CT = (CTImageStorage, *ENHANCED_CT)
UNKNOWN = "object of an unknown kind"
SEVERAL_PATIENTS = (
    "images of two patients (PatientID) under one SOPInstanceUID; keep the files of one patient, or pseudonymise both "
    "again, each with other UIDs"
)
DRAFT = "recontour"  # manufacturer and label, in any case, of what `recontour contour` wrote

HEADER = (
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
    """What a folder tree holds."""

    folder: Path
    series: tuple[CtSeries, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...]  # series without structure set, structure sets without series
    unreadable: tuple[LeftOut, ...]  # folders, and files that claim to be DICOM
    passed_over: tuple[
        tuple[str, int], ...
    ]  # other kinds of objects by their standard's names, and how many files


@dataclass(frozen=True, slots=True)
class _Image:
    """What a CT file's header says."""

    path: Path
    sop_instance_uid: str
    place: Place
    person: Person
    frame_of_reference_uid: str


@dataclass(slots=True)
class _Found:
    """What was found so far under a folder."""

    images: dict[str, list[_Image]]  # by series UID
    drawn: dict[
        tuple[str, str, tuple[str, str]], list[StructureSetFile]
    ]  # by SOP instance UID, patient, date and time
    unreadable: list[LeftOut]
    others: Counter[str]
    not_read: NotRead


def read_archive(folder: Path) -> Archive:
    """Read the headers of every DICOM file under a folder and pair CT series with structure sets.

    Files that do not claim to be DICOM and other modalities are passed over. Copies of one object
    count once.
    Raises: NoSeriesError: there is no such folder. FaultError: the machine failed.
    """
    found = _Found({}, {}, [], Counter(), NotRead())

    def skip(error: OSError) -> None:
        found.unreadable.append(
            LeftOut(Path(error.filename), why_unreadable(Path(error.filename), error))
        )

    with silence():
        for path in files_under(folder, skip):
            try:
                if claims_dicom(path):
                    _look_into(path, found)
            except NotDicomError as error:
                found.unreadable.append(LeftOut(path, str(error).removeprefix(f"{path}: ")))
        places = _places(
            {uid: [image.path for image in images] for uid, images in found.images.items()}
        )
        series = tuple(
            _ct_series(uid, images, places[uid], found.unreadable)
            for uid, images in found.images.items()
        )
        structure_sets = _structure_sets(found)
    pairs, left_out = pair(series, structure_sets, found.not_read)
    return Archive(
        folder,
        series,
        pairs,
        left_out,
        tuple(found.unreadable),
        tuple(sorted(found.others.items())),
    )


def _look_into(path: Path, found: _Found) -> None:
    """Add what a file is to what was found. Raises: NotDicomError: it is damaged or no DICOM."""
    header = read_header(path, HEADER)
    with reading(path):
        sop_class, instance, patient_id = (
            sop_class_uid(header),
            sop_instance_uid(header),
            text(header, "PatientID"),
        )
        if sop_class in CT and (picture := kind_of_picture(header)):
            found.others[picture] += 1
            found.not_read.add(picture, instance)
        elif sop_class in CT:
            image = _Image(
                path,
                instance,
                _place(header),
                person_of(header),
                text(header, "FrameOfReferenceUID"),
            )
            found.images.setdefault(text(header, "SeriesInstanceUID"), []).append(image)
        elif sop_class in DRAWN:
            drawn = DRAWN[sop_class](path, header)
            found.drawn.setdefault((instance, patient_id, drawn.drawn), []).append(drawn)
        else:
            name = UID(sop_class).name
            kind = UNKNOWN if name == sop_class else name
            found.others[kind] += 1
            found.not_read.add(kind, instance, *_uids_around(header))


def _uids_around(header: Dataset) -> tuple[str, ...]:
    """The UIDs of an object's series and frame of reference;

    none if they are damaged, since the object is not used.
    """
    with suppress(NotDicomError), reading(Path()):
        return text(header, "SeriesInstanceUID"), text(header, "FrameOfReferenceUID")
    return ()


def _place(header: Dataset) -> Place:
    """An image's position in mm, however it is written; empty where it has none."""
    try:
        return tuple(float(number) for number in value(header, "ImagePositionPatient"))
    except (TypeError, ValueError):
        return ()


def _ct_series(
    uid: str, images: Sequence[_Image], place: Path, unreadable: list[LeftOut]
) -> CtSeries:
    """A series without copies. unreadable: grows by damaged copies of files that are whole."""
    clash = _clash_of_patients(images)
    files = [image.path for image in images]
    differ_in: frozenset[str] = frozenset()
    if clash is None:
        files, differ_in, clash = _without_copies(images, unreadable)
    return CtSeries(
        uid,
        tuple(files),
        frozenset(image.sop_instance_uid for image in images),
        images[0].person.id,
        place,
        images[0].frame_of_reference_uid,
        frozenset(image.place for image in images) - {()},
        clash,
        differ_in,
        images[0].person,
    )


def _clash_of_patients(images: Sequence[_Image]) -> Clash | None:
    """Whether two images of one UID are of two patients."""
    first_of: dict[str, _Image] = {}
    for image in images:
        first = first_of.setdefault(image.sop_instance_uid, image)
        if first.person.id != image.person.id:
            return Clash(SEVERAL_PATIENTS, (first.path, image.path))
    return None


def _without_copies(
    images: Sequence[_Image], unreadable: list[LeftOut]
) -> tuple[list[Path], frozenset[str], Clash | None]:
    """The files of a series without copies, in what copies differ, and whether two files of one UID
    are no copies.

    Images of one UID in two places are no copies either; whoever reads their pixels says so.
    """
    paths: dict[tuple[str, Place], list[Path]] = {}
    for image in images:
        paths.setdefault((image.sop_instance_uid, image.place), []).append(image.path)
    files: list[Path] = []
    differ_in: frozenset[str] = frozenset()
    for same_uid in paths.values():
        versions = versions_of(same_uid)
        if versions.apart:
            everything = [image.path for image in images]
            return everything, frozenset(), Clash(_why_no_copies(versions), versions.files)
        files += versions.files
        differ_in |= versions.besides
        unreadable += [LeftOut(path, reason) for path, reason in versions.damaged]
    return files, differ_in, None


def _why_no_copies(versions: Versions) -> str:
    return f"images under one SOPInstanceUID that differ in {listed(versions.apart)}; keep the files of one CT"


def _structure_sets(found: _Found) -> list[StructureSetFile]:
    """The structure sets without copies;

    what shares its UID with another that is no copy says so.
    """
    distinct: list[StructureSetFile] = []
    for alike in found.drawn.values():
        versions = versions_of([one.path for one in alike])
        found.unreadable += [LeftOut(path, reason) for path, reason in versions.damaged]
        distinct += [
            replace(one, copies_differ_in=versions.besides)
            for one in alike
            if one.path in versions.files
        ]
    count = Counter(one.sop_instance_uid for one in distinct)
    return [replace(one, shares_uid=count[one.sop_instance_uid] > 1) for one in distinct]


def _places(files: Mapping[str, Sequence[Path]]) -> dict[str, Path]:
    """What to call each series by, from the files of each."""
    holding = Counter(
        folder
        for of_series in files.values()
        for folder in {
            one
            for parent in {path.parent for path in of_series}
            for one in (parent, *parent.parents)
        }
    )
    return {
        uid: first.parent if holding[first.parent] == 1 else first
        for uid, (first, *_) in files.items()
    }


def _structure_set_file(path: Path, header: Dataset) -> StructureSetFile:
    of_structures, of_header = frames_of_reference(header)
    drawn_on, is_rejected = _behind_the_header(path)
    return StructureSetFile(
        path,
        sop_instance_uid(header),
        _moment(header, "StructureSetDate", "StructureSetTime"),
        listed_series(header),
        drawn_on,
        of_structures or of_header,
        text(header, "PatientID"),
        _identity(header),
        is_draft=_is_draft(header, "StructureSetLabel"),
        is_rejected=is_rejected,
    )


def _behind_the_header(path: Path) -> tuple[Mapping[str, frozenset[str]], bool]:
    """The images that contours name, by frame of reference, and whether a reviewer rejected the
    structure set.

    Of a damaged file nothing: the damage is told where the contours are used.
    """
    with suppress(NotDicomError), reading(path):
        dataset = read_dataset(path)
        return images_of_contours(dataset), text(dataset, "ApprovalStatus").upper() == "REJECTED"
    return {}, False


def _segmentation_file(path: Path, header: Dataset) -> StructureSetFile:
    series = listed_by_segmentation(header)
    frame_uid = text(header, "FrameOfReferenceUID")
    is_clear = len(series) == 1 and "" not in series
    return StructureSetFile(
        path,
        sop_instance_uid(header),
        _moment(header, "ContentDate", "ContentTime"),
        series,
        {} if is_clear else {frame_uid: images_of_frames(read_dataset(path))},
        frozenset({frame_uid}) - {""},
        text(header, "PatientID"),
        _identity(header),
        is_segmentation=True,
        is_draft=_is_draft(header, "ContentLabel"),
    )


DRAWN: dict[str, Callable[[Path, Dataset], StructureSetFile]] = {
    RTStructureSetStorage: _structure_set_file,
    SegmentationStorage: _segmentation_file,
    LABEL_MAP: _segmentation_file,
}


def _is_draft(header: Dataset, label: str) -> bool:
    return {text(header, "Manufacturer"), text(header, label).lower()} == {DRAFT}


def _moment(header: Dataset, day: str, hour: str) -> tuple[str, str]:
    """A date and a time as 8 and 12 digits:

    DICOM leaves out a time's last digits, and once had dots and colons.
    """
    date, time = text(header, day).replace(".", ""), text(header, hour).replace(":", "")
    whole, _, fraction = time.partition(".")
    return date, f"{whole:0<6}{fraction:0<6}" if time else ""


def _identity(header: Dataset) -> frozenset[str]:
    """The patient's ID and the parts of the name, in all their spellings."""
    parts = filter(None, (*name_parts(text(header, "PatientName")), text(header, "PatientID")))
    return frozenset(spelling for part in parts for spelling in spellings(part)) - {""}
