"""A DICOM archive -> the same without its patients: CT and structure sets by PS3.15's Basic Profile, and stricter.

Only attributes that kept.toml names are written, whatever else a file holds: private and retired attributes, curves,
overlays, comments and what the standard will add tomorrow do not get through. Each value is checked to be what its kind
says: numbers hold numbers, codes hold codes. The profile's options that are kept: Modified Dates, and Clean Descriptors
for ROI names, which become TG-263's. See docs/decisions/015-deidentification.md.
"""

import hmac
import re
import secrets
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import UID, ImplicitVRLittleEndian

from recontour.dicom.archive import CtSeries, LeftOut, read_archive
from recontour.dicom.names import NameRow, match_drawn, ordered, read_user_map
from recontour.dicom.reading import read_dataset, read_header, reading, sop_class_uid, sop_instance_uid, text
from recontour.dicom.rtstruct import read_rois
from recontour.errors import DicomError, NoSeriesError, SettingsError
from recontour.files import refuse_existing, whole_folder, write_text

CONTOUR_DATA = Tag("ContourData")
CODE = re.compile(r"[A-Z0-9_ ]{0,16}")
NUMBER = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*")
COORDINATES = re.compile(rb"[-+0-9.eE\\\s]*")
PROFILE = (  # PS3.16 CID 7050
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113105", "DCM", "Clean Descriptors Option"),
    Code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
MOST_DAYS = 3650  # dates go back by 1 to so many days
STRUCTURE_SET = "RTSTRUCT.dcm"
NO_ORGAN = "none of its ROIs is a known organ, so only its CT was written; map names with --names"
NO_SEG = "a DICOM SEG is not written, so only its CT was; convert it into an RTSTRUCT first"


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What was written, and what was not."""

    patients: int
    series: int
    structure_sets: int
    names: tuple[tuple[NameRow, int], ...]  # what became of each ROI name, in how many patients; for the screen only
    left_out: tuple[LeftOut, ...]  # for the screen only: their paths may name patients

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
    progress: Callable[[str, int, int, str], None] = lambda what, done, total, words: None,
) -> Deidentified:
    """Write the CT series of an archive and the structure sets drawn on them, without what names the patients.

    The new folder, OUT/PATIENT/SERIES/*.dcm, appears whole or not at all. Pixels stay bit by bit, also burned-in text
    and the face that a head CT can be rendered to. ROIs go by TG-263 names; those that are no organ's are dropped.
    names: as of `import_dicom`. key: a file with the secret that pseudonyms, UIDs and dates derive from; it is made
        where there is none. With the same key the same patient becomes the same again. None: the secret is forgotten.
    Raises: NoSeriesError: no such folder, no CT series in it, or none that can be written. NamesError: the map cannot
        be used. SettingsError: the key is none, or would lie in the output. OutputError: out exists or cannot be made.
    """
    refuse_existing(out)
    user_map = read_user_map(names) if names else {}
    secret = _secret(key, out)
    archive = read_archive(dicom_dir)
    series = [ct for ct in archive.series if ct.uid]
    drawn = {pair.series.uid: pair.structure_set for pair in archive.pairs if not pair.structure_set.is_segmentation}
    alone = {one.series_uid: replace(one, reason=f"its CT was written alone: {one.reason}") for one in archive.left_out}
    left_out = [*archive.unreadable, *(one for one in archive.left_out if not one.series_uid)]
    left_out += [LeftOut(pair.structure_set.path, pair.note) for pair in archive.pairs if pair.note]
    left_out += [LeftOut(pair.structure_set.path, NO_SEG) for pair in archive.pairs if pair.series.uid not in drawn]
    found: Counter[NameRow] = Counter()
    with whole_folder(out) as folder:
        for done, ct in enumerate(series):
            progress("de-identifying", done, len(series), "")
            at = ct.files[0].parent
            try:
                patient = _Patient.of(ct, secret)
                place = folder / patient.pseudonym / patient.token("series", ct.uid)
                _write_series(place, ct, patient)
                if ct.uid in drawn:
                    at = drawn[ct.uid].path
                    found.update(_write_structure_set(place / STRUCTURE_SET, at, patient, user_map))
                    if not (place / STRUCTURE_SET).exists():
                        left_out.append(LeftOut(at, NO_ORGAN))
                elif ct.uid in alone:
                    left_out.append(alone[ct.uid])
            except DicomError as error:
                left_out.append(LeftOut(at, str(error).removeprefix(f"{at}: ")))
        counts = _counts(folder)
        if not counts["series"]:
            why = f" ({left_out[0].path}: {left_out[0].reason})" if left_out else ""
            raise NoSeriesError(f"{dicom_dir}: no CT series that can be de-identified{why}; give a folder of CT series")
        if key and not key.exists():
            write_text(key, secret.hex() + "\n")
            key.chmod(0o600)
    progress("de-identifying", len(series), len(series), "")
    return Deidentified(**counts, names=ordered(found), left_out=tuple(left_out))


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
            raise SettingsError(f"{key} would lie in the output, which leaves the house; keep the key elsewhere")
        if key:
            refuse_existing(key)  # it is not there, but can it be made? Before the work, not after it
        return secrets.token_bytes(32)
    try:
        secret = bytes.fromhex(key.read_text(encoding="ascii"))
        if len(secret) != 32:
            raise ValueError(f"{len(secret)} bytes")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{key} is no key (64 hexadecimal digits); name a new file, and one is made") from error
    return secret


@dataclass(frozen=True, slots=True)
class _Patient:
    """What one patient's identifiers become. identity: words that no text may hold."""

    secret: bytes
    key: str
    identity: frozenset[str]

    @classmethod
    def of(cls, series: CtSeries, secret: bytes) -> "_Patient":
        """The patient of a series: by the ID, or without one by the name, or else one a series."""
        header = read_header(series.files[0], ("SpecificCharacterSet", "PatientName", "PatientID"))
        with reading(series.files[0]):
            name, number = text(header, "PatientName"), text(header, "PatientID")
        words = {word.casefold() for word in (*re.findall(r"[^\W_]+", name), number) if len(word) >= 3}
        return cls(secret, number or name or series.uid, frozenset(words))

    def hash(self, *what: str) -> bytes:
        """32 bytes that only who has the secret can compute."""
        return hmac.digest(self.secret, "\0".join(what).encode(), "sha256")

    def token(self, *what: str) -> str:
        """12 hexadecimal digits, to call something by."""
        return self.hash(*what).hex()[:12]

    @property
    def pseudonym(self) -> str:
        return f"P{self.token('patient', self.key)}"

    def uid(self, uid: str) -> UID:
        """Another UID in place of one, always the same; DICOM's own, which have a name and are nobody's, stay."""
        if not uid or UID(uid).name != uid:
            return UID(uid)
        return UID(f"2.25.{UUID(bytes=self.hash('uid', uid)[:16], version=4).int}")

    def date(self, value: str) -> str:
        """A DA or DT, its day moved by the patient's own number of days and without its time; empty if it is none."""
        back = timedelta(days=1 + int.from_bytes(self.hash("days", self.key)) % MOST_DAYS)
        with suppress(ValueError, OverflowError):
            return (datetime.strptime(value[:8], "%Y%m%d") - back).strftime("%Y%m%d")
        return ""


def _write_series(folder: Path, series: CtSeries, patient: _Patient) -> None:
    """Write a CT series' files; none if one cannot be written."""
    with whole_folder(folder) as partial:
        for number, path in enumerate(series.files, start=1):
            with reading(path):
                image = read_dataset(path)
                _refuse_marks_in_pixels(image, path)
                clean = _without_identity(image, patient)
                clean.file_meta.TransferSyntaxUID = image.file_meta.TransferSyntaxUID
                encoded = _encoded(clean)
            (partial / f"CT{number:04d}.dcm").write_bytes(encoded)


def _refuse_marks_in_pixels(image: Dataset, path: Path) -> None:
    """Raise where an image says that its pixels hold more than pixels."""
    if text(image, "BurnedInAnnotation").upper() == "YES":
        raise DicomError(f"{path}: says that text is burned into its pixels; it may name the patient")
    for tag in sorted(image.keys()):
        if 0x6000 <= tag.group < 0x6100 and tag.element == 0x0100 and image[tag].value > 1:  # OverlayBitsAllocated
            raise DicomError(f"{path}: an overlay lies in unused bits of its pixels; export it without overlays")


def _write_structure_set(path: Path, source: Path, patient: _Patient, user_map: Mapping[str, str]) -> set[NameRow]:
    """Write a structure set's ROIs that are known organs, if there are any; return what became of its names."""
    rois = read_rois(source, None)
    table = match_drawn(rois, user_map)
    organs = {roi.number: table.mapped[roi.name] for roi in rois if roi.is_drawn and roi.name in table.mapped}
    if organs:
        with reading(source):
            clean = _without_identity(read_dataset(source), patient)
            for sequence, number in {
                "StructureSetROISequence": "ROINumber",
                "ROIContourSequence": "ReferencedROINumber",
                "RTROIObservationsSequence": "ReferencedROINumber",
            }.items():
                items = [item for item in clean.get(sequence) or () if text(item, number) in organs]
                setattr(clean, sequence, items)
            for roi in clean.StructureSetROISequence:
                roi.ROIName = organs[text(roi, "ROINumber")]
            for observation in clean.RTROIObservationsSequence:
                observation.ROIInterpreter = ""
            clean.StructureSetLabel, clean.StructureSetTime, clean.OperatorsName = "DEIDENTIFIED", "", ""
            clean.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit holds 65 kB a contour
            encoded = _encoded(clean)
        path.write_bytes(encoded)
    return set(table.rows)


def _encoded(dataset: Dataset) -> bytes:
    """A file's bytes, made where errors are those of the DICOM, not of the disk."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _without_identity(dataset: Dataset, patient: _Patient) -> Dataset:
    """What is kept of a file, with the patient's pseudonym and the profile that was applied."""
    clean = _kept(dataset, patient)
    clean.file_meta = FileMetaDataset()
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID = UID(sop_class_uid(dataset))
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID = patient.uid(sop_instance_uid(dataset))
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _attributes()["empty"]:
        setattr(clean, keyword, "")
    if "FrameOfReferenceUID" in clean:
        clean.PositionReferenceIndicator = ""
    clean.PatientName, clean.PatientID = f"Deidentified^{patient.pseudonym}", patient.pseudonym
    clean.PatientIdentityRemoved = "YES"
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    clean.DeidentificationMethod = _method()
    clean.DeidentificationMethodCodeSequence = []
    for code in PROFILE:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
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
    return frozenset(keyword for group, keywords in _attributes().items() if group != "empty" for keyword in keywords)


def _kept(dataset: Dataset, patient: _Patient) -> Dataset:
    """The attributes that are kept, here and in sequences, whose values are of their kind."""
    clean = Dataset()
    for tag in sorted(dataset.keys()):
        if keyword_for_tag(tag) not in kept_keywords():
            continue
        if tag == CONTOUR_DATA:
            _keep_coordinates(clean, dataset)
            continue
        try:
            element = _clean(dataset[tag], patient)
        except MemoryError:
            raise
        except Exception:  # pydicom raises almost anything on values that are not what they should be
            element = None
        if element is not None:
            clean.add(element)
    return clean


def _clean(element: DataElement, patient: _Patient) -> DataElement | None:
    """An element as it may be written; None if its value is not what its attribute's kind (VR) asks for."""
    kind, kinds = element.VR, dictionary_VR(element.tag)
    if kind not in (*kinds.split(" or "), kinds):
        return None
    values = element.value if element.VM > 1 else [element.value]
    mapped: list[str]
    match kind:
        case "SQ":
            return DataElement(element.tag, kind, [_kept(item, patient) for item in element.value])
        case "UI":
            mapped = [patient.uid(str(uid or "").strip()) for uid in values]
        case "DA" | "DT":
            mapped = [patient.date(str(date or "")) for date in values]
        case _:
            return element if all(_is_of_kind(value, kind, patient) for value in values) else None
    return DataElement(element.tag, kind, mapped if len(mapped) > 1 else mapped[0])


def _is_of_kind(value: Any, kind: str, patient: _Patient) -> bool:
    """Whether a value is what its kind says: numbers, pixels, a code; or text that does not hold the patient's name."""
    match kind:
        case "DS" | "IS":
            return NUMBER.fullmatch(str(value or 0)) is not None
        case "CS":
            words = re.split("[ _]", (value or "").casefold())
            return CODE.fullmatch(value or "") is not None and patient.identity.isdisjoint(words)
        case "LO" | "SH":
            return not any(word in str(value).casefold() for word in patient.identity)
        case "OB" | "OW" | "OB or OW":
            return isinstance(value, bytes)
        case _:
            return isinstance(value, int | float)


def _keep_coordinates(clean: Dataset, dataset: Dataset) -> None:
    """Carry a contour's points over as the text they are, if they are numbers; objects would take ten times as long."""
    element = dataset.get_item(CONTOUR_DATA)
    encoded = element and element.value
    if isinstance(encoded, bytes) and COORDINATES.fullmatch(encoded):
        encoded += b" " * (len(encoded) % 2)
        clean[CONTOUR_DATA] = RawDataElement(CONTOUR_DATA, "DS", len(encoded), encoded, 0, True, True)
        clean.set_original_encoding(True, True, default_encoding)  # so that pydicom writes it as it is
