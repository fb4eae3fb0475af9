"""What is found while an archive is de-identified."""

from pathlib import Path
from typing import Literal

from recontour.dicom.ct_findings import several, stretch
from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words

APART = (
    "its whole series is left out: if it is not a CT slice, move it out of the folder and repeat; "
    "if it is one, export it again"
)


# What cannot be written


@finding
class ImageMayShowPatient(Finding):
    """An image that may hold text about the patient. seen: what speaks for it."""

    seen: Literal["burned-in text", "picture of a screen", "no position", "overlay"]

    def sentence(self) -> str:
        match self.seen:
            case "burned-in text":
                return "says that text is burned into its pixels, and that may name the patient"
            case "picture of a screen":
                return "says that it is a picture of a screen, whose text may name the patient"
            case "no position":
                return (
                    "no ImagePositionPatient, so it may be a picture, "
                    "and text in a picture may name the patient"
                )
            case "overlay":
                return "an overlay lies in unused bits of its pixels"

    def remedy(self) -> str:
        match self.seen:
            case "burned-in text":
                return f"{APART} without the text"
            case "overlay":
                return "export it without overlays"
            case _:
                return APART


@finding
class ColourImage(Finding):
    """An image has several samples per pixel."""

    def sentence(self) -> str:
        return "an image in colour"

    def remedy(self) -> str:
        return "give the plain CT"


@finding
class TooSmallBitsStored(Finding):
    """An image's pixels are larger than BitsStored allows."""

    def sentence(self) -> str:
        return "BitsStored is too small for its pixels"

    def remedy(self) -> str:
        return "export it again, uncompressed"


@finding
class TooManyValues(Finding):
    """More values than DICOM allows, in an attribute without which there is no image."""

    keyword: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.keyword} has more values than DICOM allows, and text may hide in them"

    def remedy(self) -> str:
        return "export the series again"


@finding
class IdentifierInNumbers(Finding):
    """A number that an image or a contour cannot do without is the patient's."""

    def sentence(self) -> str:
        return (
            "a number that cannot be left out, a place or a size, is an identifier of the patient"
        )

    def remedy(self) -> str:
        return "export it again"


@finding
class OnlyCtCopied(Finding):
    """A CT was written without its structure set. why: the reason for that."""

    why: Finding

    def sentence(self) -> str:
        return f"only its CT was written: {self.why.sentence()}"

    def remedy(self) -> str:
        return self.why.remedy()


@finding
class NoRoiToCopy(Finding):
    """A structure set has no ROI that may be written."""

    def sentence(self) -> str:
        return "none of its ROIs is a known organ"

    def remedy(self) -> str:
        return "map names with --names"


@finding
class SegNotCopied(Finding):
    """The contours of a CT are a DICOM SEG."""

    def sentence(self) -> str:
        return "a DICOM SEG is not written"

    def remedy(self) -> str:
        return "convert it into an RTSTRUCT first"


@finding
class RemainingOverlap(Finding):
    """Acquisitions that overlap in a series were written as they are."""

    count: int
    kind: Literal["acquisitions", "reconstructions"]
    from_mm: float
    to_mm: float
    in_one_file: bool

    def sentence(self) -> str:
        where = stretch(self.from_mm, self.to_mm)
        passes = several(self.count, self.kind)
        return f"{passes} in one series overlap {where}, and import will refuse it"

    def remedy(self) -> str:
        do = "export" if self.in_one_file else "write"
        return f"{do} one of them alone"


# What ends a run


@finding
class NothingCopied(Finding):
    """None of an archive's CT series can be de-identified. first: the first thing left out."""

    first: Finding | None = None

    def sentence(self) -> str:
        nothing = "no CT series that can be de-identified"
        return f"{nothing}: {words(self.first)}" if self.first else nothing


@finding
class OutputInInput(Finding):
    """The output would lie in the archive that it is made from."""

    def sentence(self) -> str:
        return "would lie in the archive that it is made from, as more patients"

    def remedy(self) -> str:
        return "choose a folder elsewhere"


@finding
class KeyInOutput(Finding):
    """The key would go out with what it must not go with. out: the output."""

    out: ScreenOnly[Path]

    def sentence(self) -> str:
        return f"the key would lie in the output, which is given away ({self.out})"

    def remedy(self) -> str:
        return "keep the key elsewhere"


@finding
class NotAKey(Finding):
    """A file does not hold a key."""

    def sentence(self) -> str:
        return "not a key, which has 64 hexadecimal digits"

    def remedy(self) -> str:
        return "give the name of a new file, and one is made"
