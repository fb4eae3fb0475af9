"""A folder tree of DICOM files -> CT series, each with the RTSTRUCT or SEG that was drawn on it.

Files belong together by the UIDs they reference, never by their names or folders.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
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

from recontour.dicom.person import NOBODY, Person, person_of
from recontour.dicom.pictures import KIND_OF_PICTURE, kind_of_picture
from recontour.dicom.reading import (
    claims_dicom,
    files_under,
    items_of,
    read_dataset,
    read_header,
    reading,
    silence,
    sop_class_uid,
    sop_instance_uid,
    text,
)
from recontour.errors import NotDicomError

ENHANCED_CT = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
LABEL_MAP = UID("1.2.840.10008.5.1.4.1.1.66.7")  # Label Map Segmentation Storage, which pydicom 3.0 does not name
CT = (CTImageStorage, *ENHANCED_CT)
DRAFT = "recontour"  # manufacturer and label, in any case, of what `recontour contour` wrote

NAME_PART = (
    r"[^\W_]{3,}|[^\W\d_\u0000-\u024f]+"  # shorter than three letters only where a letter is a syllable or a word
)

HEADER = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    *KIND_OF_PICTURE,
    "Manufacturer",
    "StructureSetLabel",
    "StructureSetDate",
    "StructureSetTime",
    "ReferencedFrameOfReferenceSequence",
    "ContentLabel",
    "ContentDate",
    "ContentTime",
    "ReferencedSeriesSequence",
)


@dataclass(frozen=True, slots=True)
class CtSeries:
    """The files of one CT series, without localisers and second copies. patient_id, person: they never leave memory."""

    uid: str
    files: tuple[Path, ...]
    sop_instance_uids: frozenset[str]
    patient_id: str
    place: Path  # what to call it by: its folder, or the first of its files where the folder also holds another series
    person: Person = NOBODY


@dataclass(frozen=True, slots=True)
class StructureSetFile:
    """One RTSTRUCT, or one SEG. drawn: date and time, such that later ones sort last, and those not told first.

    patient_id, identity: the patient's ID, and with it the parts of the name; they never leave memory.
    """

    path: Path
    sop_instance_uid: str
    drawn: tuple[str, str]
    series_uids: frozenset[str]  # the series it references
    image_uids: frozenset[str]  # the images it references
    patient_id: str
    identity: frozenset[str]
    is_segmentation: bool = False
    is_draft: bool = False  # as `recontour contour` wrote it, and nobody saved it since
    is_rejected: bool = False  # by a reviewer

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The lower one counts: what nobody rejected, then what a person saved before a draft, RTSTRUCT before SEG."""
        return self.is_rejected, self.is_draft, self.is_segmentation

    def names_patient(self, words: str) -> bool:
        """Whether words hold a part of the patient's name, or the patient's ID."""
        return any(part.casefold() in words.casefold() for part in self.identity)


@dataclass(frozen=True, slots=True)
class Pair:
    """A CT series and the structure set drawn on it. note: what was chosen between, if anything."""

    series: CtSeries
    structure_set: StructureSetFile
    note: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What cannot be used, and why. The reason names no file and no patient.

    series_uid: empty for a lone file. rivals: the files of which one should be there.
    """

    path: Path
    reason: str
    series_uid: str = ""
    rivals: tuple[Path, ...] = ()

    @property
    def why(self) -> str:
        """The reason with the files that it is about: for the screen only."""
        return f"{self.reason}: {', '.join(map(str, self.rivals))}" if self.rivals else self.reason


@dataclass(frozen=True, slots=True)
class Archive:
    """What a folder tree holds."""

    folder: Path
    series: tuple[CtSeries, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...]  # series without structure set, structure sets without series
    unreadable: tuple[LeftOut, ...]  # folders, and files that claim to be DICOM
    passed_over: tuple[tuple[str, int], ...]  # other kinds of objects by their standard's names, and how many files


def read_archive(folder: Path) -> Archive:
    """Read the headers of every DICOM file under a folder and pair CT series with structure sets.

    Files that do not claim to be DICOM and other modalities are passed over. Several copies of one instance count once.
    Raises: NoSeriesError: there is no such folder.
    """
    images: dict[str, dict[tuple[str, str], Path]] = {}  # series UID -> SOP instance UID and place -> file
    people: dict[str, Person] = {}  # by series UID
    structure_sets: dict[tuple[str, tuple[str, str]], StructureSetFile] = {}  # by SOP instance UID, date and time
    unreadable: list[LeftOut] = []
    others: Counter[str] = Counter()

    def skip(error: OSError) -> None:
        unreadable.append(LeftOut(Path(error.filename), f"cannot be read ({error.strerror}); check its permissions"))

    with silence():
        for path in files_under(folder, skip):
            try:
                if not claims_dicom(path):
                    continue
                header = read_header(path, HEADER)
                with reading(path):
                    sop_class, instance = sop_class_uid(header), sop_instance_uid(header)
                    if sop_class in CT and (picture := kind_of_picture(header)):
                        others[picture] += 1
                    elif sop_class in CT:
                        uid = text(header, "SeriesInstanceUID")
                        place = text(header, "ImagePositionPatient")
                        images.setdefault(uid, {}).setdefault((instance, place), path)
                        if uid not in people:
                            people[uid] = person_of(header)
                    elif sop_class in DRAWN:
                        drawn = DRAWN[sop_class](path, header)
                        structure_sets.setdefault((instance, drawn.drawn), drawn)
                    else:
                        kind = UID(sop_class).name
                        others["object of an unknown kind" if kind == sop_class else kind] += 1
            except NotDicomError as error:
                unreadable.append(LeftOut(path, str(error).removeprefix(f"{path}: ")))
    places = _places({uid: tuple(files.values()) for uid, files in images.items()})
    series = tuple(
        CtSeries(
            uid,
            tuple(files.values()),
            frozenset(instance for instance, _ in files),
            people[uid].id,
            places[uid],
            people[uid],
        )
        for uid, files in images.items()
    )
    pairs, left_out = _pair(series, structure_sets.values())
    return Archive(folder, series, pairs, left_out, tuple(unreadable), tuple(sorted(others.items())))


def _places(files: Mapping[str, Sequence[Path]]) -> dict[str, Path]:
    """What to call each series by, from the files of each."""
    holding = Counter(
        folder
        for of_series in files.values()
        for folder in {one for parent in {path.parent for path in of_series} for one in (parent, *parent.parents)}
    )
    return {uid: first.parent if holding[first.parent] == 1 else first for uid, (first, *_) in files.items()}


def references(structure_set: Dataset) -> tuple[set[str], set[str]]:
    """The UIDs of the frames of reference and series that an RTSTRUCT says it was drawn on."""
    frames = structure_set.get("ReferencedFrameOfReferenceSequence") or ()
    frame_uids = {text(frame, "FrameOfReferenceUID") for frame in frames}
    return frame_uids, {text(series, "SeriesInstanceUID") for series in _referenced_series(structure_set)} - {""}


def referenced_images(structure_set: Dataset) -> set[str]:
    """The UIDs of the images that an RTSTRUCT says it was drawn on."""
    return {uid for series in _referenced_series(structure_set) for uid in _image_uids(series)} - {""}


def _referenced_series(structure_set: Dataset) -> Iterator[Dataset]:
    for frame in structure_set.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            yield from study.get("RTReferencedSeriesSequence") or ()


def _structure_set_file(path: Path, header: Dataset) -> StructureSetFile:
    _, series_uids = references(header)
    image_uids = referenced_images(header)
    if not series_uids:
        for roi in read_dataset(path).get("ROIContourSequence") or ():
            for contour in roi.get("ContourSequence") or ():
                image_uids |= _image_uids(contour)
    drawn = _moment(header, "StructureSetDate", "StructureSetTime")
    return StructureSetFile(
        path,
        sop_instance_uid(header),
        drawn,
        frozenset(series_uids),
        frozenset(image_uids),
        text(header, "PatientID"),
        _identity(header),
        is_draft=_is_draft(header, "StructureSetLabel"),
        is_rejected=_is_rejected(path),
    )


def _segmentation_file(path: Path, header: Dataset) -> StructureSetFile:
    series = items_of(header, "ReferencedSeriesSequence")
    series_uids = frozenset(text(one, "SeriesInstanceUID") for one in series) - {""}
    image_uids = frozenset() if series_uids else _image_uids_of_frames(read_dataset(path))
    drawn = _moment(header, "ContentDate", "ContentTime")
    return StructureSetFile(
        path,
        sop_instance_uid(header),
        drawn,
        series_uids,
        image_uids,
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


def _is_rejected(path: Path) -> bool:
    """Whether a reviewer rejected a structure set; it is told behind the contours. Damage is told where it is used."""
    with suppress(NotDicomError), reading(path):
        return text(read_header(path, ("ApprovalStatus",), until=None), "ApprovalStatus").upper() == "REJECTED"
    return False


def _moment(header: Dataset, day: str, hour: str) -> tuple[str, str]:
    """A date and a time as 8 and 12 digits: DICOM leaves out a time's last digits, and once had dots and colons."""
    date, time = text(header, day).replace(".", ""), text(header, hour).replace(":", "")
    whole, _, fraction = time.partition(".")
    return date, f"{whole:0<6}{fraction:0<6}" if time else ""


def _identity(header: Dataset) -> frozenset[str]:
    """The patient's ID and the parts of the name."""
    name = re.findall(NAME_PART, text(header, "PatientName"))
    return frozenset(part for part in (*name, text(header, "PatientID")) if part)


def _image_uids_of_frames(segmentation: Dataset) -> frozenset[str]:
    """The images that the frames of a SEG say they were drawn on."""
    return frozenset(
        text(image, "ReferencedSOPInstanceUID")
        for frame in segmentation.get("PerFrameFunctionalGroupsSequence") or ()
        for derivation in frame.get("DerivationImageSequence") or ()
        for image in derivation.get("SourceImageSequence") or ()
    ) - {""}


def _image_uids(item: Dataset) -> set[str]:
    return {text(image, "ReferencedSOPInstanceUID") for image in items_of(item, "ContourImageSequence")}


def _pair(
    series: Iterable[CtSeries], structure_sets: Iterable[StructureSetFile]
) -> tuple[tuple[Pair, ...], tuple[LeftOut, ...]]:
    with_image: dict[str, list[str]] = {}  # an image's UID -> the UIDs of the series that hold it
    for ct in series:
        for image_uid in ct.sop_instance_uids:
            with_image.setdefault(image_uid, []).append(ct.uid)
    series_uids = {ct.uid for ct in series}
    drawn_on: dict[str, list[StructureSetFile]] = {}
    pairs, left_out = [], []
    for structure_set in structure_sets:
        found = _series_of(structure_set, series_uids, with_image)
        if len(found) == 1:
            (uid,) = found
            drawn_on.setdefault(uid, []).append(structure_set)
        else:
            left_out.append(LeftOut(structure_set.path, _why_unpaired(structure_set, found)))
    for ct in series:
        of_ct = drawn_on.get(ct.uid, [])
        best = min((one.rank for one in of_ct), default=None)
        candidates = sorted((one for one in of_ct if one.rank == best), key=lambda one: one.drawn)
        if not ct.uid:
            left_out.append(LeftOut(ct.place, "CT images without SeriesInstanceUID; export them again"))
        elif not candidates:
            left_out.append(LeftOut(ct.place, "no structure set references this CT series", ct.uid))
        elif len(candidates) > 1 and candidates[-1].drawn == candidates[-2].drawn:
            reason = f"{len(candidates)} structure sets on one CT, none the newest; keep the one that counts"
            rivals = tuple(one.path for one in candidates if one.drawn == candidates[-1].drawn)
            left_out.append(LeftOut(ct.place, reason, ct.uid, rivals))
        else:
            pairs.append(Pair(ct, candidates[-1], "; ".join(_notes(ct, candidates, of_ct))))
    return tuple(pairs), tuple(left_out)


def _why_unpaired(structure_set: StructureSetFile, found: Set[str]) -> str:
    reason = "its CT series is not here"
    if found:
        reason = "a structure set that references several CT series"
    elif not structure_set.series_uids and not structure_set.image_uids:
        reason = "a structure set that does not say on which CT it was drawn"
    return f"{reason}; export it with the CT it was drawn on"


def _notes(ct: CtSeries, candidates: Sequence[StructureSetFile], of_ct: Sequence[StructureSetFile]) -> Iterator[str]:
    """What is to be said of the last of the candidates, which was taken among all of a CT."""
    if candidates[-1].patient_id not in ("", ct.patient_id):
        yield "its structure set is under another PatientID than its CT"
    if len(candidates) > 1:
        yield f"the newest of {len(candidates)} structure sets was taken"
    if any(one.is_segmentation for one in of_ct) and not candidates[-1].is_segmentation:
        yield "its RTSTRUCT was taken, not its SEG"
    if candidates[-1].is_rejected:
        yield "its structure set was rejected by its reviewer (ApprovalStatus)"
    elif any(one.is_rejected for one in of_ct):
        yield "a structure set that its reviewer rejected was not taken"
    if candidates[-1].is_draft:
        yield "its contours are recontour's own, as it wrote them: a model learns and proves nothing by them"


def _series_of(
    structure_set: StructureSetFile, series_uids: Set[str], with_image: Mapping[str, Iterable[str]]
) -> Set[str]:
    """The UIDs of the series a structure set names; if it names none, or several, of those that hold its images."""
    named = structure_set.series_uids & series_uids
    if len(named) == 1:
        return named
    holding = {uid for image_uid in structure_set.image_uids for uid in with_image.get(image_uid, ())}
    return holding & named if named else holding
