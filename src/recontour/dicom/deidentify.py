"""A DICOM archive -> the same without its patients: CT and structure sets by PS3.15's Basic
Profile, and stricter.

Only attributes that kept.toml names are written, whatever else a file holds: private and retired
attributes, curves, overlays, comments and what the standard will add tomorrow do not get through.
Codes and texts consist of words that terms.toml names, numbers are numbers, and none of them is an
identifier of the patient. Pixels are decoded, so that nothing lies beside them. The profile's
options that are kept: Modified Dates, and Clean Descriptors for ROI names, which become TG-263's.
See docs/decisions/015-deidentification.md.
"""

import re
import secrets
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from recontour.dicom.archive import DRAFT, Archive, read_archive
from recontour.dicom.ct_checks import refuse_differing
from recontour.dicom.ct_findings import OneUidTwoImages
from recontour.dicom.identity import LEAST, Patient
from recontour.dicom.pairing import CtSeries, StructureSetFile
from recontour.dicom.passes import Frame, passes_of
from recontour.dicom.pixels import stored_pixels
from recontour.dicom.reading import (
    DEEPEST,
    numbers,
    read_dataset,
    read_header,
    reading,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
)
from recontour.dicom.references import CLOSED
from recontour.dicom.rtstruct_in import read_rois
from recontour.dicom.slices import OF_ONE_PATIENT, texts
from recontour.dicom.writing import encoded
from recontour.errors import DicomError, MixedSeriesError, NoSeriesError, OutputError, SettingsError
from recontour.files import UnreadableError, refuse_existing, whole_folder, write_text
from recontour.findings import Finding, Unexpected, words
from recontour.organs import NameRow, match_drawn, ordered, read_user_map
from recontour.progress import Progress, quiet
from recontour.texts import read_text

CONTOUR_DATA = Tag("ContourData")
NUMBER = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*")
MOST_DIGITS = 4  # in what a scanner says of itself, as in PQ2000: a serial number has more
COORDINATES = re.compile(rb"[-+0-9.eE\\\s]*")
PROFILE = (  # PS3.16 CID 7050
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113105", "DCM", "Clean Descriptors Option"),
    Code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
NO_LENGTH = (
    10_000  # no position, size or rescaling of a CT is a larger number; an identifier may be
)
MOST_KEY_BYTES = 1000
STRUCTURE_SET = "RTSTRUCT.dcm"
NO_ORGAN = "none of its ROIs is a known organ, so only its CT was written; map names with --names"
HIDDEN = "a number in it that cannot be left out, of a place or a size, is an identifier of the patient; export it again"
NO_NUMBERS = "a contour has coordinates that are no numbers; export the structure set again"
SCREEN = re.compile(
    "SCREEN|SAVE|CAPTURE"
)  # in ImageType: GE's dose reports, for one, are CT images of SCREEN SAVE
APART = (
    "Its whole series is left out for it: if it is no CT slice, move it out of the folder and repeat; if it is one, "
    "export it again"
)
BURNED_IN = "says that text is burned into its pixels; it may name the patient"
OF_SCREEN = "says that it is a picture of a screen; text in it may name the patient"
NO_PLACE = (
    "no ImagePositionPatient, so it may be a picture, and text in a picture may name the patient"
)
NO_SEG = "a DICOM SEG is not written, so only its CT was; convert it into an RTSTRUCT first"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyCtCopied(Finding):
    """A CT was written without its structure set. why: the reason for that."""

    why: Finding

    def sentence(self) -> str:
        """Say why."""
        return f"only its CT was written: {self.why.sentence()}"

    def remedy(self) -> str:
        """Say what helps."""
        return self.why.remedy()


@dataclass(frozen=True, slots=True)
class NotCopied:
    """A file, folder or series that was not written, and why."""

    path: Path
    finding: Finding


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What was written, and what was not."""

    patients: int
    series: int
    structure_sets: int
    names: tuple[
        tuple[NameRow, int], ...
    ]  # what became of each ROI name, in how many patients; for the screen only
    left_out: tuple[NotCopied, ...]  # for the screen only: their paths may name patients
    passed_over: tuple[
        tuple[str, int], ...
    ]  # kinds of objects that are never written, and how many there were
    notes: tuple[tuple[Path, str], ...]  # what is to be known of structure sets that were written

    @property
    def dropped_rois(self) -> int:
        """How many ROIs were dropped, because their names are no organ's and may be anything."""
        return sum(count for row, count in self.names if row.status != "mapped")


def deidentify(
    dicom_dir: Path,
    out: Path,
    *,
    names: Path | None = None,
    key: Path | None = None,
    progress: Progress = quiet,
) -> Deidentified:
    """Write the CT series of an archive and the structure sets drawn on them, without what names
    the patients.

    The new folder, OUT/PATIENT/SERIES/*.dcm, appears whole or not at all. Pixels keep their values,
    also burned-in text and the face that a head CT can be rendered to. ROIs go by TG-263 names;
    those that are no organ's are dropped.
    names: as of `import_dicom`. key: a file with the secret that pseudonyms, UIDs and dates derive
        from; it is made
        where there is none. With the same key the same patient becomes the same again. None: the
        secret is forgotten.
    Raises: NoSeriesError: no such folder, no CT series in it, or none that can be written.
        NamesError: the map cannot
        be used. SettingsError: the key is none, or would lie in the output. OutputError: out
        exists, cannot be made, or would lie within dicom_dir.
    """
    refuse_existing(out)
    if out.resolve().is_relative_to(dicom_dir.resolve()):
        raise OutputError(
            f"{out} would lie among what it was made from, as more patients; choose a folder elsewhere"
        )
    user_map = read_user_map(names) if names else {}
    secret = _secret(key, out)
    archive = read_archive(dicom_dir)
    series, left_out = _to_write(archive)
    drawn = {
        pair.series.uid: pair.structure_set
        for pair in archive.pairs
        if not pair.structure_set.is_segmentation
    }
    alone = {
        one.series_uid: NotCopied(one.path, OnlyCtCopied(path=one.path, why=one.finding))
        for one in archive.left_out
    }
    chosen = {pair.series.uid: pair.notes for pair in archive.pairs if pair.notes}
    told: list[tuple[Path, str]] = []
    left_out += [
        _not_copied(pair.structure_set.path, NO_SEG)
        for pair in archive.pairs
        if pair.series.uid not in drawn
    ]
    found: Counter[NameRow] = Counter()
    with whole_folder(out) as folder:
        for done, ct in enumerate(series):
            progress("de-identifying", done, len(series), "")
            at = ct.place
            try:
                patient = Patient.of(ct, secret)
                place = folder / patient.pseudonym / patient.token("series", ct.uid)
                told += [(at, note) for note in _write_series(place, ct, patient)]
                if ct.uid in drawn:
                    at = drawn[ct.uid].path
                    notes: list[str] = []
                    target = place / STRUCTURE_SET
                    found.update(
                        _write_structure_set(target, drawn[ct.uid], patient, user_map, notes.append)
                    )
                    left_out += [_not_copied(at, note) for note in notes]
                    if not target.exists():
                        left_out.append(_not_copied(at, NO_ORGAN))
                    elif ct.uid in chosen:
                        told += [(at, words(note)) for note in chosen[ct.uid]]
                elif ct.uid in alone:
                    left_out.append(alone[ct.uid])
            except DicomError as error:
                left_out.append(NotCopied(at, error.finding))
        counts = _counts(folder)
        if not counts["series"]:
            raise NoSeriesError(_why_nothing(archive, left_out))
        if key and not key.exists():
            write_text(key, secret.hex() + "\n", mode=0o600)
    progress("de-identifying", len(series), len(series), "")
    return Deidentified(
        **counts,
        names=ordered(found),
        left_out=tuple(left_out),
        passed_over=archive.passed_over,
        notes=tuple(told),
    )


def _not_copied(path: Path, reason: str) -> NotCopied:
    return NotCopied(path, Unexpected(path=path, reason=reason))


def _to_write(archive: Archive) -> tuple[list[CtSeries], list[NotCopied]]:
    """The series that may be written, if need be alone, and what is left out for other reasons than
    its pairing.
    """
    series = [ct for ct in archive.series if ct.uid and not ct.clash]
    uids = {ct.uid for ct in series}
    unpaired = [one for one in archive.left_out if one.series_uid not in uids]
    return series, [NotCopied(one.path, one.finding) for one in (*archive.unreadable, *unpaired)]


def _why_nothing(archive: Archive, left_out: Sequence[NotCopied]) -> str:
    """Why nothing could be written:

    the first reason, or, where there is no CT, what there is instead.
    """
    nothing = f"{archive.folder}: no CT series that can be de-identified"
    reasons = [words(one.finding) for one in left_out[:1]]
    if archive.series and reasons:
        return f"{nothing}. {reasons[0]}"
    seen = [*(f"{count} x {kind}" for kind, count in archive.passed_over), *reasons]
    why = f" ({'; '.join(seen)})" if seen else ""
    return f"{nothing}{why}; give a folder of CT series"


def _counts(folder: Path) -> dict[str, int]:
    """What was written; the folders of patients of whom nothing was are removed."""
    for patient in folder.iterdir():
        with suppress(OSError):
            patient.rmdir()
    levels = {"patients": "*", "series": "*/*", "structure_sets": f"*/*/{STRUCTURE_SET}"}
    return {what: len(list(folder.glob(pattern))) for what, pattern in levels.items()}


def _secret(key: Path | None, out: Path) -> bytes:
    """The secret of a key file, or a new one."""
    if key is None or not key.exists():
        if key and key.resolve().is_relative_to(out.resolve()):
            raise SettingsError(
                f"{key} would lie in the output, which leaves the house; keep the key elsewhere"
            )
        if key:
            refuse_existing(
                key
            )  # it is not there, but can it be made? Before the work, not after it
        return secrets.token_bytes(32)
    try:
        secret = bytes.fromhex(read_text(key, MOST_KEY_BYTES))
        if len(secret) != 32:
            raise ValueError(f"{len(secret)} bytes")
    except (UnreadableError, OSError, ValueError) as error:
        raise SettingsError(
            f"{key} is no key (64 hexadecimal digits); name a new file, and one is made"
        ) from error
    return secret


def _write_series(folder: Path, series: CtSeries, patient: Patient) -> list[str]:
    """Write a CT series' files, counted anew; none if one cannot be written. Return what is to be
    said of it.

    Acquisitions that overlap get the numbers by which import tells them apart.
    """
    first = series.files[0]
    header = read_header(first, ("SpecificCharacterSet", *OF_ONE_PATIENT))
    expected = texts(header, OF_ONE_PATIENT)
    overlap, numbered = passes_of(series.files) or (None, {})
    written: dict[str, Path] = {}  # by SOPInstanceUID
    with whole_folder(folder) as partial:
        for number, path in enumerate(sorted(series.files, key=_place_in_series), start=1):
            with reading(path):
                image = read_dataset(path)
                refuse_differing((first, expected), (path, texts(image, OF_ONE_PATIENT)))
                instance = sop_instance_uid(image)
                if instance and written.setdefault(instance, path) != path:
                    raise MixedSeriesError(
                        OneUidTwoImages(path=written[instance], other=path, differ_in="position")
                    )
                _refuse_marks_in_pixels(image, path)
                clean = _without_identity(image, patient)
                clean.InstanceNumber, clean.AcquisitionNumber = number, numbered.get((path, 0), "")
                _number_frames(clean, path, numbered)
                _set_pixels(clean, image, path)
                content = encoded(clean)
            (partial / f"CT{number:04d}.dcm").write_bytes(content)
    if overlap is None:
        return []
    take_one = "export one of them alone" if len(series.files) == 1 else "write one of them alone"
    return [
        f"{overlap.kind} in one series overlap {overlap.stretch}, and import will refuse it; {take_one}"
    ]


def _number_frames(clean: Dataset, path: Path, numbered: Mapping[Frame, int]) -> None:
    """Give the frames of a multi-frame image the numbers of their acquisitions."""
    for number, frame in enumerate(clean.get("PerFrameFunctionalGroupsSequence") or (), start=1):
        if (path, number) in numbered:
            content = (frame.get("FrameContentSequence") or [Dataset()])[0]
            content.FrameAcquisitionNumber = numbered[path, number]
            frame.FrameContentSequence = [content]


def _place_in_series(path: Path) -> tuple[int, float, Path]:
    """What sorts files by InstanceNumber, which itself is not written:

    it may be any number. Equal ones go upwards.
    """
    number, z_mm = 0, 0.0
    with suppress(DicomError), reading(path):
        z_mm = numbers(
            read_header(path, ("ImagePositionPatient",)), "ImagePositionPatient", 3, path
        )[2]
    with suppress(DicomError), reading(path):
        number = int(text(read_header(path, ("InstanceNumber",)), "InstanceNumber"))
    return number, z_mm, path


def _set_pixels(clean: Dataset, image: Dataset, path: Path) -> None:
    """Give what is kept of an image its pixels, decoded and plainly encoded.

    Nothing else comes along: no bytes behind the pixels, no comments in compressed ones, no unused
        bits.
    Raises: DicomError: there is no saying what the pixels are.
    """
    pixels = stored_pixels(image, path)
    if value(clean, "SamplesPerPixel") != 1:
        raise DicomError(f"{path}: an image in colour; give the plain CT")
    encoded = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    clean.BitsAllocated = 8 * pixels.dtype.itemsize
    clean.add_new("PixelData", "OW", encoded + bytes(len(encoded) % 2))
    clean.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if not np.array_equal(stored_pixels(clean, path), pixels):
        raise DicomError(
            f"{path}: BitsStored is too small for its pixels; export it again, uncompressed"
        )


def _refuse_marks_in_pixels(image: Dataset, path: Path) -> None:
    """Raise where an image says that its pixels hold more than pixels."""
    if text(image, "BurnedInAnnotation").upper() == "YES":
        raise DicomError(f"{path}: {BURNED_IN}. {APART} without the text")
    if SCREEN.search(text(image, "ImageType").upper()):
        raise DicomError(f"{path}: {OF_SCREEN}. {APART}")
    if sop_class_uid(image) == CTImageStorage and value(image, "ImagePositionPatient") is None:
        raise DicomError(f"{path}: {NO_PLACE}. {APART}")
    for tag in sorted(image.keys()):
        if (
            0x6000 <= tag.group < 0x6100 and tag.element == 0x0100 and image[tag].value > 1
        ):  # OverlayBitsAllocated
            raise DicomError(
                f"{path}: an overlay lies in unused bits of its pixels; export it without overlays"
            )


def _write_structure_set(
    path: Path,
    source: StructureSetFile,
    patient: Patient,
    user_map: Mapping[str, str],
    note: Callable[[str], None],
) -> set[NameRow]:
    """Write a structure set's ROIs that are known organs, if there are any;

    return what became of its names.
    """
    rois = read_rois(source.path, None, lambda finding: note(words(finding)))
    table = match_drawn(rois, user_map)
    organs = {
        roi.number: table.mapped[roi.name]
        for roi in rois
        if roi.is_drawn and roi.name in table.mapped
    }
    if organs:
        with reading(source.path):
            dataset = read_dataset(source.path)
            names = _count_rois(dataset, organs)
            clean = _without_identity(dataset, patient)
            for roi, organ in zip(clean.StructureSetROISequence, names, strict=True):
                roi.ROIName = organ
            for observation in clean.RTROIObservationsSequence:
                observation.ROIInterpreter = ""
            clean.StructureSetLabel, clean.StructureSetTime, clean.OperatorsName = (
                "DEIDENTIFIED",
                "",
                "",
            )
            if source.is_draft:
                clean.Manufacturer = clean.StructureSetLabel = (
                    DRAFT  # it names nobody, and import must still know it
                )
            if source.is_rejected:
                clean.ApprovalStatus, clean.ReviewDate, clean.ReviewTime, clean.ReviewerName = (
                    "REJECTED",
                    "",
                    "",
                    "",
                )
            clean.file_meta.TransferSyntaxUID = (
                ImplicitVRLittleEndian  # explicit holds 65 kB a contour
            )
            content = encoded(clean)
        path.write_bytes(content)
    return set(table.rows)


def _count_rois(dataset: Dataset, organs: Mapping[str, str]) -> list[str]:
    """Leave in a structure set the ROIs that are organs, numbered from 1, and return their organs,
    in their order.

    organs: by the number an ROI had.
    """
    counted = {number: place for place, number in enumerate(organs, start=1)}
    for sequence, keyword in {
        "StructureSetROISequence": "ROINumber",
        "ROIContourSequence": "ReferencedROINumber",
        "RTROIObservationsSequence": "ReferencedROINumber",
    }.items():
        items = [item for item in dataset.get(sequence) or () if text(item, keyword) in organs]
        for item in items:
            setattr(item, keyword, counted[text(item, keyword)])
        setattr(dataset, sequence, items)
    for number, observation in enumerate(dataset.RTROIObservationsSequence, start=1):
        observation.ObservationNumber = number
    by_number = dict(zip(counted.values(), organs.values(), strict=True))
    return [by_number[item.ROINumber] for item in dataset.StructureSetROISequence]


def _without_identity(dataset: Dataset, patient: Patient) -> Dataset:
    """What is kept of a file, with the patient's pseudonym and the profile that was applied."""
    clean = _kept(dataset, patient.knowing(dataset))
    clean.file_meta = FileMetaDataset()
    clean.file_meta.ImplementationVersionName = f"recontour {version('recontour')}"[:16]
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID = UID(sop_class_uid(dataset))
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID = patient.uid(
        sop_instance_uid(dataset)
    )
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _attributes()["empty"]:
        setattr(clean, keyword, "")
    if "Manufacturer" not in clean:
        clean.Manufacturer = ""
    if "FrameOfReferenceUID" in clean:
        clean.PositionReferenceIndicator = ""
    clean.PatientName, clean.PatientID = f"Deidentified^{patient.pseudonym}", patient.pseudonym
    clean.PatientIdentityRemoved = "YES"
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    clean.DeidentificationMethod = _method()
    clean.DeidentificationMethodCodeSequence = []
    for code in PROFILE:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = (
            code.value,
            code.scheme_designator,
            code.meaning,
        )
        clean.DeidentificationMethodCodeSequence.append(item)
    return clean


@cache
def _method() -> str:
    return f"recontour {version('recontour')}: named attributes only"


@cache
def _attributes() -> dict[str, list[str]]:
    return tomllib.loads(files("recontour.dicom").joinpath("kept.toml").read_text(encoding="utf-8"))


@cache
def kept_keywords() -> frozenset[str]:
    """The attributes that are written if they are there and in order."""
    return frozenset(
        keyword
        for group, keywords in _attributes().items()
        if group != "empty"
        for keyword in keywords
    )


def _kept(dataset: Dataset, patient: Patient, level: int = 0) -> Dataset:
    """The attributes that are kept, here and in sequences, whose values are of their kind.

    level: how many sequences the dataset lies in.
    """
    clean = Dataset()
    for tag in sorted(dataset.keys()):
        if keyword_for_tag(tag) not in kept_keywords() or level > DEEPEST:
            continue
        if tag == CONTOUR_DATA:
            _keep_coordinates(clean, dataset, patient)
            continue
        try:
            element = _clean(dataset[tag], patient, level)
        except (DicomError, MemoryError):
            raise
        except (
            Exception
        ):  # pydicom raises almost anything on values that are not what they should be
            element = None
        if element is not None:
            clean.add(element)
    return clean


def _clean(element: DataElement, patient: Patient, level: int) -> DataElement | None:
    """An element as it may be written; None if its value is not what its attribute's kind (VR) asks
    for.

    Raises: DicomError: it holds an identifier, and there is no image without it.
    """
    kind, kinds = element.VR, dictionary_VR(element.tag)
    if kind not in (*kinds.split(" or "), kinds):
        return None
    values = element.value if element.VM > 1 else [element.value]
    mapped: list[str]
    match kind:
        case "SQ":
            return DataElement(
                element.tag, kind, [_kept(item, patient, level + 1) for item in element.value]
            )
        case "UI":
            mapped = [patient.uid(str(uid or "").strip()) for uid in values]
        case "DA" | "DT":
            mapped = [patient.date(str(date or "")) for date in values]
        case "CS" | "LO" | "SH":
            mapped = _known_words(element, values, patient)
        case _:
            return _nobodys_numbers(element, values, patient)
    return (
        DataElement(element.tag, kind, mapped if len(mapped) > 1 else mapped[0]) if mapped else None
    )


def _nobodys_numbers(
    element: DataElement, values: Sequence[Any], patient: Patient
) -> DataElement | None:
    """An element of numbers; None if one is not a number, or an identifier.

    Raises: DicomError: it holds an identifier, and there is no image without it.
    """
    if not all(_is_number(value, element.VR) for value in values):
        return None
    is_needed = element.keyword in _attributes()["pixels"]
    numbers = [float(value or 0) for value in values]
    if not patient.is_among(numbers, least=NO_LENGTH if is_needed else LEAST):
        return element
    if is_needed:
        raise DicomError(HIDDEN)
    return None


def _is_number(value: Any, kind: str) -> bool:
    if kind in ("DS", "IS"):
        return NUMBER.fullmatch(str(value or 0)) is not None
    return isinstance(value, int | float)


def _known_words(element: DataElement, values: Sequence[Any], patient: Patient) -> list[str]:
    """A code's values that are terms of the standard, or a text that consists of known words; empty
    if there is none.

    Neither holds an identifier of the patient, except for what every contour is: without it none
    could be read.
    """
    is_known = _terms(element.keyword)
    words = [str(value or "").strip() for value in values]
    kept = [
        one for one in words if one in CLOSED or (is_known(one) and not patient.is_in_text(one))
    ]
    return kept if element.VR == "CS" or kept == words else []


@cache
def _terms(keyword: str) -> Callable[[str], bool]:
    """What tells whether a value of an attribute is known."""
    terms = tomllib.loads(
        files("recontour.dicom").joinpath("terms.toml").read_text(encoding="utf-8")
    )
    if keyword in terms["codes"]:
        return frozenset(terms["codes"][keyword]).__contains__
    words = frozenset(terms["texts"].get(keyword, ()))

    def is_known(said: str) -> bool:
        parts = re.findall(r"[^\W\d_]+|[0-9]+", said.casefold())
        digits = sum(len(part) for part in parts if part.isdigit())
        return digits <= MOST_DIGITS and all(
            part in words or part.isdigit() or len(part) == 1 for part in parts
        )

    return is_known


def _keep_coordinates(clean: Dataset, dataset: Dataset, patient: Patient) -> None:
    """Carry a contour's points over as the text they are, if they are numbers; objects would take
    ten times as long.

    How many they are must be told: it is counted anew where the number that stood there was
        dropped.
    Raises: DicomError: they are no numbers, or one of them is an identifier.
    """
    element = dataset.get_item(CONTOUR_DATA)
    encoded = element and element.value
    if not encoded or encoded.isspace():
        return
    if not isinstance(encoded, bytes) or not COORDINATES.fullmatch(encoded):
        raise DicomError(NO_NUMBERS)
    try:
        numbers = list(map(float, encoded.split(b"\\")))
    except ValueError:
        raise DicomError(NO_NUMBERS) from None
    if patient.is_among(numbers, least=NO_LENGTH):
        raise DicomError(HIDDEN)
    if "NumberOfContourPoints" not in clean:
        clean.NumberOfContourPoints = len(numbers) // 3
    encoded += b" " * (len(encoded) % 2)
    clean[CONTOUR_DATA] = RawDataElement(CONTOUR_DATA, "DS", len(encoded), encoded, 0, True, True)
    clean.set_original_encoding(True, True, default_encoding)  # so that pydicom writes it as it is
