"""What can be found in an archive: in its folders and files, and between CT and structure sets."""

from collections.abc import Sequence
from errno import EACCES, EPERM
from pathlib import Path
from typing import Literal

from recontour.files import system_words
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import plural

RIVALS_SHOWN = 4  # a CT may have come apart into as many series as it has slices
ATTRIBUTES_SHOWN = 3
# Kinds of objects, as the standard or `pictures` calls them, and how many there are of each.
Kinds = tuple[tuple[str, int], ...]

EXPORT_AGAIN = "export it again"
IMAGE = " Image Storage"  # how the standard's names of images end


# Folders


@finding
class UnreadableDicomFolder(Finding):
    """A path does not lead to a folder that can be read.

    bytes_long: the length of a path that is too long. link_to: where a broken link points.
    """

    instead: Literal["file", "no permission", "path too long", "broken link"]
    bytes_long: int = 0
    link_to: ScreenOnly[Path | None] = None

    def sentence(self) -> str:
        return f"a folder of DICOM files is expected, but {self._seen()}"

    def _seen(self) -> str:
        match self.instead:
            case "file":
                return "this is a file"
            case "no permission":
                return "this one may not be opened"
            case "path too long":
                return f"this path is too long ({self.bytes_long} bytes)"
            case "broken link":
                return f"this is a link to nothing ({self.link_to})"

    def remedy(self) -> str:
        match self.instead:
            case "file":
                return f"give its folder, {self.path.parent}" if self.path else "give its folder"
            case "no permission":
                return "check its permissions"
            case "broken link":
                return "check the link"
            case "path too long":
                return "check the path"


@finding
class CohortInsteadOfDicom(Finding):
    """A cohort was given where a folder of DICOM files is expected."""

    def sentence(self) -> str:
        return "this is a cohort, but a folder of DICOM files is expected"

    def remedy(self) -> str:
        return "check the path"


@finding
class UnreadableInArchive(Finding):
    """The operating system refuses to open a file or folder of an archive."""

    number: int | None  # errno

    def sentence(self) -> str:
        return f"cannot be read ({system_words(self.number)})"

    def remedy(self) -> str:
        if self.number in (EACCES, EPERM):
            return "check its permissions"
        return "if it is a broken link, remove it; otherwise copy it again"


@finding
class NoCtSeries(Finding):
    """A folder holds no CT series.

    skipped: its other objects. unreadable: how many files cannot be read. first: why one of them
    cannot, or why something else was left out.
    """

    wanted: Literal["one series", "series", "series with structure sets"]
    skipped: FitToStore[Kinds] = ()
    unreadable: int = 0
    first: Finding | None = None

    def sentence(self) -> str:
        seen = counted(self.skipped)
        if self.first and self.unreadable:
            seen.append(f"{self.unreadable} unreadable: {self.first.sentence()}")
        elif self.first:
            seen.append(self.first.sentence())
        details = f" ({'; '.join(seen)})" if seen else ""
        return f"no CT series{details}"

    def remedy(self) -> str:
        match self.wanted:
            case "one series":
                return "give the folder of one CT series"
            case "series":
                return "give a folder of CT series"
            case "series with structure sets":
                return "give a folder of CT series with structure sets"


# Files


@finding
class NotDicom(Finding):
    """A file that claims to be DICOM is none."""

    seen: Literal["empty", "no mark", "no SOP class"]

    def sentence(self) -> str:
        match self.seen:
            case "empty":
                return "the file is empty"
            case "no mark":
                return "not a DICOM file (it begins with neither DICM nor a DICOM attribute)"
            case "no SOP class":
                return "not a DICOM file, or cut off (it has no SOP class)"

    def remedy(self) -> str:
        return "export it again or remove it"


@finding
class TruncatedDicom(Finding):
    """A file ends within an attribute."""

    def sentence(self) -> str:
        return "the file is cut off"

    def remedy(self) -> str:
        return "copy or export it again"


@finding
class OversizedDicom(Finding):
    """A file holds more attributes or data than any CT or structure set needs."""

    def sentence(self) -> str:
        return "the file holds far more data than a CT or structure set needs"

    def remedy(self) -> str:
        return EXPORT_AGAIN


@finding
class DamagedDicom(Finding):
    """Values in a file cannot be decoded.

    error: the name of the class of error that pydicom raised; a word of its code, not of the file.
    """

    error: FitToStore[str]

    def sentence(self) -> str:
        return f"the file is damaged ({self.error})"

    def remedy(self) -> str:
        return EXPORT_AGAIN


@finding
class UnsupportedTransferSyntax(Finding):
    """A transfer syntax that recontour does not read.

    uid, name: of a syntax that recontour or the standard knows; otherwise empty. foreign_uid: any
    other UID, which a file may have made from anything.
    """

    uid: FitToStore[str] = ""
    name: FitToStore[str] = ""
    foreign_uid: ScreenOnly[str] = ""

    def sentence(self) -> str:
        if self.uid:
            return f"transfer syntax {self.uid} ({self.name}) is not supported"
        if self.foreign_uid:
            return f"its transfer syntax is not supported ({self.foreign_uid})"
        return "its transfer syntax is not a UID"

    def remedy(self) -> str:
        return "export it uncompressed"


# Attributes


@finding
class MissingAttribute(Finding):
    """An image lacks an attribute that it cannot be read without."""

    keyword: FitToStore[str]

    def sentence(self) -> str:
        return f"no {self.keyword}, which every CT slice needs"

    def remedy(self) -> str:
        return "export it again, or remove it if it is not a CT slice"


@finding
class MissingFunctionalGroup(Finding):
    """A multi-frame image lacks a functional group of one of its frames (PS3.3 C.7.6.16)."""

    keyword: FitToStore[str]

    def sentence(self) -> str:
        return f"multi-frame CT without {self.keyword}"

    def remedy(self) -> str:
        return "export it as single-frame CT images"


@finding
class WrongNumbers(Finding):
    """An attribute does not hold the numbers it should."""

    keyword: FitToStore[str]
    expected: int
    largest: float

    def sentence(self) -> str:
        numbers = plural(self.expected, "number")
        return f"{self.keyword} does not hold {numbers} of at most {self.largest:,.0f}"

    def remedy(self) -> str:
        return EXPORT_AGAIN


@finding
class NonAxialImage(Finding):
    """An image whose rows and columns do not lie in an axial plane."""

    def sentence(self) -> str:
        return "the image is not axial"

    def remedy(self) -> str:
        return "give an axial CT"


# Several files under one SOPInstanceUID


@finding
class SharedImageUid(Finding):
    """Two images that are not copies have one SOPInstanceUID.

    differ_in: keywords of attributes, or "position", "geometry or rescaling" or "pixels"; empty if
    the images are of two patients. rivals: one file of each.
    """

    differ_in: FitToStore[tuple[str, ...]] = ()
    rivals: ScreenOnly[tuple[Path, ...]]

    def sentence(self) -> str:
        others = _listed_paths([rival for rival in self.rivals if rival != self.path])
        if not self.differ_in:
            return f"images of two patients (PatientID) share one SOPInstanceUID ({others})"
        differ_in = listed(self.differ_in)
        return f"images that share one SOPInstanceUID differ in {differ_in} ({others})"

    def remedy(self) -> str:
        if not self.differ_in:
            return (
                "keep the files of one patient, or pseudonymise both again, each with its own UIDs"
            )
        if self.differ_in == ("position",):
            return "export or pseudonymise the series again, each image with its own UID"
        return "keep the files of one CT"


@finding
class DifferingCopies(Finding):
    """Copies of one object differ in attributes that do not matter."""

    what: Literal["images", "structure set"]
    differ_in: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return (
            f"copies of the {self.what} differ in {listed(self.differ_in)}, which does not matter "
            "here; the first was taken"
        )


# Why a structure set belongs to no CT


@finding
class MissingCt(Finding):
    """The CT that a structure set was drawn on is not in the archive."""

    missing: Literal["series", "images", "some images"]

    def sentence(self) -> str:
        match self.missing:
            case "series":
                return "its CT series is not here"
            case "images":
                return "the images that its contours are drawn on are not here"
            case "some images":
                return (
                    "some of its contours are drawn on images of another series, which is not here"
                )

    def remedy(self) -> str:
        if self.missing == "some images":
            return "export a structure set of this CT alone"
        return "export it together with the CT it was drawn on"


@finding
class ContoursOnUnreadImages(Finding):
    """Contours are drawn on images that recontour does not read, such as MR.

    kinds: names of SOP classes, or of the kinds of pictures that are skipped.
    """

    kinds: FitToStore[tuple[str, ...]]
    is_partly: bool = False

    def sentence(self) -> str:
        subject = "some of its contours" if self.is_partly else "its contours"
        return f"{subject} are drawn on {_images(self.kinds)}, which are not read"

    def remedy(self) -> str:
        if self.is_partly:
            return "export a structure set with the CT's contours alone"
        return "draw or copy them onto the CT, and export that structure set"


@finding
class SeveralCts(Finding):
    """A structure set may belong to any of several CT series.

    by: which of its references lead to them. are_parts: whether they look like one CT that came
    apart. rivals: the series.
    """

    by: Literal["contours", "shared images", "listed series", "listed images", "frame of reference"]
    count: int
    are_parts: bool
    rivals: ScreenOnly[tuple[Path, ...]]

    def sentence(self) -> str:
        seen = f"{self._reference()} {self.count} CT series"
        if self.are_parts:
            seen += " that look like parts of one CT: no two of their images share a position"
        elif self.by != "contours":
            seen += ", and which of them counts is unknown"
        return f"{seen} ({_listed_paths(self.rivals)})"

    def _reference(self) -> str:
        match self.by:
            case "contours":
                return "its contours are drawn on images of"
            case "shared images":
                return "the images its contours are drawn on are in each of"
            case "listed series":
                return "it references"
            case "listed images":
                return "it references images of"
            case "frame of reference":
                return "it names no image and no series, only the frame of reference of"

    def remedy(self) -> str:
        if self.are_parts:
            return "export that CT again as one series"
        if self.by == "contours":
            return "export one structure set per CT"
        return "keep only the CT it was drawn on in the folder"


@finding
class NoCtReference(Finding):
    """A structure set references no image, no series and no frame of reference."""

    def sentence(self) -> str:
        return "it does not say on which CT it was drawn: no image, series or frame of reference"

    def remedy(self) -> str:
        return "export it again with these references"


@finding
class NoCtOfFrame(Finding):
    """A structure set references a frame of reference alone, and no CT has it.

    kinds: of the other images that have it; as in `ContoursOnUnreadImages`.
    """

    kinds: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        seen = "it names no image and no series, and no CT here has its frame of reference"
        if self.kinds:
            seen += f"; {_images(self.kinds)} have it, but are not read"
        return seen

    def remedy(self) -> str:
        together = "export it together with the CT it was drawn on"
        if self.kinds:
            return f"if it was drawn on those, draw or copy it onto the CT; otherwise {together}"
        return together


@finding
class FrameOfAnotherPatient(Finding):
    """A structure set references a frame of reference alone, which is of another patient's CT."""

    def sentence(self) -> str:
        return (
            "it names no image and no series, and the CT with its frame of reference has another "
            "PatientID"
        )

    def remedy(self) -> str:
        return "export it again with references to the images"


# Why a CT has no structure set


@finding
class NoSeriesUid(Finding):
    """CT images lack a SeriesInstanceUID."""

    def sentence(self) -> str:
        return "CT images without SeriesInstanceUID"

    def remedy(self) -> str:
        return "export them again"


@finding
class NoStructureSet(Finding):
    """No structure set can be used with a CT series. why: why the one it has cannot."""

    why: Finding | None = None

    def sentence(self) -> str:
        if self.why is None:
            return "no structure set references this CT series"
        return f"its structure set was left out: {self.why.sentence()}"

    def remedy(self) -> str:
        return "" if self.why is None else self.why.remedy()


@finding
class EquallyNewStructureSets(Finding):
    """Several structure sets of one CT have the same date and time, and no other is newer."""

    count: int
    share_uid: bool
    rivals: ScreenOnly[tuple[Path, ...]]

    def sentence(self) -> str:
        uid = " and SOPInstanceUID" if self.share_uid else ""
        rivals = _listed_paths(self.rivals)
        return (
            f"{self.count} structure sets reference one CT, and the newest share their date, time"
            f"{uid} ({rivals})"
        )

    def remedy(self) -> str:
        return "keep the one that counts"


# Notes on a CT and its structure set


@finding
class PairedByFrame(Finding):
    """A structure set was paired by its frame of reference alone."""

    def sentence(self) -> str:
        return (
            "its structure set names no image and no series; this is the only CT with its frame "
            "of reference"
        )


@finding
class OnlySeriesPresent(Finding):
    """A structure set references several series, and only one of them is in the archive."""

    referenced: int

    def sentence(self) -> str:
        return (
            f"its structure set references {self.referenced} series, and its contours do not say "
            "which; this is the only CT of them that is here"
        )


@finding
class DifferentPatientId(Finding):
    """A structure set has another PatientID than its CT."""

    was_taken: bool

    def sentence(self) -> str:
        if self.was_taken:
            return "its structure set has another PatientID than its CT"
        return "a structure set with another PatientID than its CT was not taken"


@finding
class NewestStructureSetTaken(Finding):
    """Several structure sets reference one CT."""

    count: int

    def sentence(self) -> str:
        return f"the newest of {self.count} structure sets was taken"


@finding
class SharedStructureSetUid(Finding):
    """Another structure set, with other content, has the same SOPInstanceUID."""

    def sentence(self) -> str:
        return (
            "another structure set has the same SOPInstanceUID as the one taken, and other content"
        )


@finding
class RtstructPreferred(Finding):
    """A CT has an RTSTRUCT and a SEG."""

    def sentence(self) -> str:
        return "its RTSTRUCT was taken, not its SEG"


@finding
class RejectedStructureSet(Finding):
    """A reviewer rejected a structure set (ApprovalStatus)."""

    was_taken: bool

    def sentence(self) -> str:
        if self.was_taken:
            return "its reviewer rejected its structure set (ApprovalStatus)"
        return "a structure set that its reviewer rejected was not taken"


@finding
class DraftStructureSet(Finding):
    """Contours are as recontour wrote them; nobody has saved them since."""

    was_taken: bool

    def sentence(self) -> str:
        if self.was_taken:
            return (
                "its contours are recontour's own, as it wrote them; neither train nor evaluate a "
                "model on them"
            )
        return "contours as recontour wrote them are there too, and were not taken"


def counted(kinds: Kinds) -> list[str]:
    """Return how many objects of each kind there are.

    >>> counted((("RT Plan Storage", 2),))
    ['2 x RT Plan Storage']
    """
    return [f"{count} x {kind}" for kind, count in kinds]


def listed(attributes: Sequence[str]) -> str:
    """Name a few attributes, and count the rest.

    >>> listed(("KVP", "Manufacturer", "Rows", "SeriesTime"))
    'KVP, Manufacturer, Rows and 1 more'
    """
    shown = ", ".join(attributes[:ATTRIBUTES_SHOWN])
    more = len(attributes) - ATTRIBUTES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _listed_paths(paths: Sequence[Path]) -> str:
    """Name a few paths, and count the rest."""
    shown = list(map(str, paths[:RIVALS_SHOWN]))
    if len(paths) > RIVALS_SHOWN:
        shown.append(f"{len(paths) - RIVALS_SHOWN} more")
    return ", ".join(shown)


def _images(kinds: Sequence[str]) -> str:
    """Name kinds of images: "MR images and Positron Emission Tomography images"."""
    return " and ".join(map(_images_of_kind, kinds))


def _images_of_kind(kind: str) -> str:
    if kind.endswith(IMAGE):
        return f"{kind.removesuffix(IMAGE)} images"
    return f"images that are not CT slices ({kind})"
