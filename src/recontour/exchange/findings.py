"""What is found on the way to and from other tools."""

from pathlib import Path
from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import agreeing, plural

EXPORT_ON_GRID = (
    "export the labels on the CT's own grid, with the CT as reference volume "
    "(3D Slicer: Segmentations, Export to files, Reference volume)"
)
SAVE_AS_NIFTI = (
    "save it as NIfTI (.nii.gz) on the CT's grid (3D Slicer: Segmentations, Export to files, "
    "NIfTI, with the CT as reference volume)"
)
NNUNETS_FILE = "give the file that nnU-Net wrote"
MATCH_HELP = (
    "an RTSTRUCT or a SEG must reference the CT's series or lie beside the CT, and NIfTI be named "
    "after the case's id"
)
FILES_SHOWN = 5


# NIfTI files


@finding
class UnevenSlices(Finding):
    """A CT's slices are not evenly spaced, which NIfTI cannot say."""

    least_mm: float
    most_mm: float

    def sentence(self) -> str:
        apart = f"{self.least_mm:.2f} to {self.most_mm:.2f} mm apart"
        return f"the slices are {apart}, and NIfTI knows only one spacing"

    def remedy(self) -> str:
        return "recontour does not invent slices, but RTSTRUCT and DICOM SEG keep them as they are"


@finding
class NotNifti(Finding):
    """A file cannot be read as NIfTI. error: the class of what its decoder raised."""

    error: FitToStore[str]

    def sentence(self) -> str:
        return f"cannot be read as NIfTI ({self.error})"

    def remedy(self) -> str:
        return "save it again, as .nii.gz"


@finding
class OversizedLabelMap(Finding):
    """A label map is larger than any CT."""

    shape: tuple[int, ...]

    def sentence(self) -> str:
        return f"{_times(self.shape)} voxels, more than any CT has"

    def remedy(self) -> str:
        return "save it again"


@finding
class WrongNumberOfAxes(Finding):
    """An image does not have three axes."""

    shape: tuple[int, ...]

    def sentence(self) -> str:
        return f"three axes are expected, found {len(self.shape)} ({_times(self.shape)})"

    def remedy(self) -> str:
        return "save one label map, or a folder with one mask of three axes per structure"


@finding
class NoPositionInHeader(Finding):
    """The header of an image does not place its voxels."""

    def sentence(self) -> str:
        return "its header does not say where its voxels lie"

    def remedy(self) -> str:
        return "save it again"


@finding
class FractionalLabels(Finding):
    """Voxels that cannot be labels. type: NumPy's name of their type."""

    type: FitToStore[str]

    def sentence(self) -> str:
        return f"labels are whole numbers, but not all of these voxels are ({self.type})"

    def remedy(self) -> str:
        return "give the label map or the mask"


@finding
class LabelsOffGrid(Finding):
    """Labels do not lie on the CT's voxels. apart_mm: how far the farthest lies from its voxel."""

    shape: tuple[int, ...]
    grid_shape: tuple[int, ...]
    apart_mm: float

    def sentence(self) -> str:
        if self.shape == self.grid_shape:
            apart = f"up to {self.apart_mm:.1f} mm from the CT's, although they are as many"
            return f"voxels lie {apart}: the labels may have been drawn on another CT"
        its = f"voxels of {self.shape} lie up to {self.apart_mm:.1f} mm from the CT's"
        return f"{its}, which are {self.grid_shape}"

    def remedy(self) -> str:
        if self.shape == self.grid_shape:
            return f"nothing is resampled: give the CT they were drawn on, or {EXPORT_ON_GRID}"
        return f"nothing is resampled: {EXPORT_ON_GRID}"


@finding
class LabelsBeyondCt(Finding):
    """Labels reach beyond the CT. marked: how many of their voxels do."""

    marked: int

    def sentence(self) -> str:
        lie = "lies" if self.marked == 1 else "lie"
        return f"{plural(self.marked, 'marked voxel')} {lie} beyond the CT"

    def remedy(self) -> str:
        return f"give the whole CT that they were drawn on, or {EXPORT_ON_GRID}"


# Labels


@finding
class LabelsNotInPlainFile(Finding):
    """Labels come from a pipe or a device."""

    def sentence(self) -> str:
        return "not a plain file"

    def remedy(self) -> str:
        return "copy the labels to one"


@finding
class UnsupportedLabelFormat(Finding):
    """Labels are in a format that recontour does not read. format: its name; None if unknown."""

    format: FitToStore[str | None] = None

    def sentence(self) -> str:
        if self.format is None:
            return "neither NIfTI (NAME.nii.gz, NAME.nii) nor a DICOM SEG"
        return f"{self.format}, which recontour does not read"

    def remedy(self) -> str:
        return SAVE_AS_NIFTI


@finding
class NoMarkedVoxel(Finding):
    """Labels have no voxel of any structure."""

    def sentence(self) -> str:
        return "no voxel is marked, so nothing was written"


@finding
class NoMasks(Finding):
    """A folder holds no mask."""

    def sentence(self) -> str:
        return "no NIfTI mask (NAME.nii.gz or NAME.nii) in this folder"

    def remedy(self) -> str:
        return "check the path"


@finding
class SharedMaskName(Finding):
    """A folder holds two masks of one structure."""

    name: ScreenOnly[str]

    def sentence(self) -> str:
        return f"two masks have the same name ({self.name})"

    def remedy(self) -> str:
        return "keep the one that counts"


@finding
class SeveralLabelsInMask(Finding):
    """A file that should be the mask of one structure has several numbers beside 0."""

    count: int

    def sentence(self) -> str:
        return f"a mask of one structure has one number beside 0, and this has {self.count}"

    def remedy(self) -> str:
        masks = "give a folder of masks alone (such as the segmentations of an exported case)"
        return f"{masks}, or, if this is a label map, the file itself"


@finding
class NoLabelNames(Finding):
    """A label map without the file that names its labels. expected: where it should be."""

    expected: ScreenOnly[Path]

    def sentence(self) -> str:
        return f"nnU-Net's file with the names of its labels is missing ({self.expected})"

    def remedy(self) -> str:
        return "if this is the mask of one structure, give the folder of masks instead"


@finding
class UnnamedLabel(Finding):
    """A label map has a label that its dataset.json does not name."""

    label: int
    named: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        return f"label {self.label} has no name in dataset.json (names there: {_list(self.named)})"


@finding
class InvalidLabelNames(Finding):
    """A dataset.json does not map names to numbers. error: the class of what Python raised."""

    error: FitToStore[str]

    def sentence(self) -> str:
        return f"does not name labels as nnU-Net does ({self.error})"

    def remedy(self) -> str:
        return NNUNETS_FILE


@finding
class InvalidLabelNumbers(Finding):
    """A dataset.json gives a label no number, or one that is not its own."""

    def sentence(self) -> str:
        return "each label is expected to have a whole number of its own, from 1 up (nnU-Net v2)"

    def remedy(self) -> str:
        return NNUNETS_FILE


# Cohorts for other tools


@finding
class NotNnunetFolder(Finding):
    """nnU-Net would not find a folder of this name."""

    def sentence(self) -> str:
        return "nnU-Net only reads folders with names like Dataset001_North"

    def remedy(self) -> str:
        return "choose such a name"


@finding
class OrgansNotContoured(Finding):
    """A case lacks organs that were asked for. organs: empty if it has none of them."""

    organs: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        if not self.organs:
            return "none of the organs is contoured"
        return f"not contoured: {_list(self.organs)}"


@finding
class OrgansPartlyContoured(Finding):
    """Organs of a case are partly contoured; a label map cannot say so."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return (
            f"partly contoured: {_list(self.organs)}; nnU-Net would learn that the rest is absent"
        )


@finding
class NothingToExport(Finding):
    """No case of a cohort can be written."""

    format: Literal["nnunet", "nifti"]
    reasons: tuple[Finding, ...]

    def sentence(self) -> str:
        reasons = "; ".join(reason.sentence() for reason in self.reasons)
        return f"no case can be written as {self.format} ({reasons})"

    def remedy(self) -> str:
        return "choose other --organs or another --format"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


# Contours from elsewhere. model: the name under which scores and report show them.


@finding
class ContoursMatched(Finding):
    """How many cases of a cohort have contours from elsewhere, and what shows whose they are."""

    model: FitToStore[str]
    cases: int
    of: int
    by_ct: int
    by_series: int
    by_file_name: int
    by_grid: int

    def sentence(self) -> str:
        ways = {
            "the CT beside them": self.by_ct,
            "the series they reference": self.by_series,
            "file name": self.by_file_name,
            "grid alone": self.by_grid,
        }
        matched = ", ".join(f"{count} by {way}" for way, count in ways.items() if count)
        cases = f"{self.cases} of {plural(self.of, 'case')}"
        return f"{self.model} stands for contours from elsewhere of {cases}, matched {matched}"


@finding
class UnmatchedContours(Finding):
    """Contours from elsewhere belong to no case of the cohort. count: of files or folders."""

    model: FitToStore[str]
    count: int
    files: ScreenOnly[tuple[Path, ...]]

    def sentence(self) -> str:
        shown = ", ".join(map(str, self.files[:FILES_SHOWN]))
        more = ", ..." if len(self.files) > FILES_SHOWN else ""
        files = plural(self.count, "file")
        return f"no case of the cohort matches {files} of {self.model} ({shown}{more})"

    def remedy(self) -> str:
        return MATCH_HELP


@finding
class NotAllCases(Finding):
    """Contours from elsewhere were found for some of a cohort's cases."""

    model: FitToStore[str]
    cases: int
    of: int
    lacking: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        cases = f"{self.cases} of {plural(self.of, 'case')}"
        return (
            f"{self.model} has contours of {cases}: its means are over these, and differences and "
            "tests over the cases that it shares with another"
        )


@finding
class LackingOrgans(Finding):
    """Organs are in some of the contours from elsewhere and not in others.

    counts: in how many cases each is lacking that have it. cases: with contours from elsewhere.
    """

    model: FitToStore[str]
    organs: FitToStore[tuple[str, ...]]
    counts: tuple[int, ...]
    cases: int

    def sentence(self) -> str:
        lacking = []
        for organ, count in zip(self.organs, self.counts, strict=True):
            lacking.append(f"{organ} in {count}")
        return (
            f"of {plural(self.cases, 'case')} with contours of {self.model}, these are lacking: "
            f"{', '.join(lacking)}; they are not scored there, and do not count as missed"
        )


@finding
class UnusedNames(Finding):
    """Contours from elsewhere have names that are nobody's, or may be several organs'."""

    model: FitToStore[str]
    roi_names: ScreenOnly[tuple[str, ...]]
    count: int

    def sentence(self) -> str:
        names = plural(self.count, "name")
        return f"{names} of {self.model} unknown or ambiguous ({_list(self.roi_names)})"

    def remedy(self) -> str:
        return "map those that are organs with --names"


@finding
class ReferencesSeveralCases(Finding):
    """A structure set references the CTs of several cases."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"it references the CTs of several cases ({_list(self.cases)})"

    def remedy(self) -> str:
        return "put the CT that it was drawn on beside it"


@finding
class SharedGrid(Finding):
    """NIfTI is named after no case, and several cases have its grid."""

    cases: int

    def sentence(self) -> str:
        return f"it is named after no case, and {self.cases} cases have its grid"

    def remedy(self) -> str:
        return "name the file or folder after the case's id"


@finding
class SeveralContoursOfCase(Finding):
    """Several contours from elsewhere were given for one case under one name."""

    rivals: ScreenOnly[tuple[Path, ...]]

    def sentence(self) -> str:
        return f"several contours for one case ({', '.join(map(str, self.rivals))})"

    def remedy(self) -> str:
        return "keep one of them, or give each a folder and a --contours of its own"


@finding
class NoOrganInCommon(Finding):
    """Contours from elsewhere have none of their case's organs."""

    def sentence(self) -> str:
        return "none of the case's organs is drawn under a known name"

    def remedy(self) -> str:
        return "map the names with --names"


@finding
class NoContoursOfCases(Finding):
    """A folder has no contours that can be scored. reasons: of some that were left out."""

    model: FitToStore[str]
    unmatched: int
    left_out: int
    reasons: tuple[Finding, ...]

    def sentence(self) -> str:
        seen = []
        if self.unmatched:
            seen.append(f"{self.unmatched} match no case")
        if self.left_out:
            reasons = "; ".join(dict.fromkeys(reason.sentence() for reason in self.reasons))
            seen.append(f"{self.left_out} cannot be used: {reasons}")
        why = "; ".join(seen) or "there is neither DICOM nor NIfTI with contours in it"
        return f"no contours of the cohort's cases for {self.model} ({why})"

    def remedy(self) -> str:
        helps = filter(None, (reason.remedy() for reason in self.reasons))
        return next(helps, MATCH_HELP)


# Drafts, and what was approved later


WhyNotMonitored = Literal[
    "approved again",
    "drawn again",
    "no CT",
    "no date",
    "no draft",
    "not approved",
    "older than its draft",
    "rejected",
    "still a draft",
]
WHY_NOT_MONITORED: dict[WhyNotMonitored, str] = {
    "approved again": "contours of the same draft were approved again later, and those count",
    "drawn again": "a later draft of the same CT was approved, too, and that one counts",
    "no CT": "the CT that it was drawn on is in neither folder",
    "no date": "it has no date, so its place among the others is unknown",
    "no draft": "no draft was drawn on the same CT",
    "not approved": "nothing that was approved belongs to this draft",
    "older than its draft": "it is older than every draft of the same CT",
    "rejected": "a reviewer rejected it",
    "still a draft": "nobody has saved this draft since recontour wrote it",
}
# Of several, after "7 drafts: " or "7 structure sets: ".
WHY_SEVERAL: dict[WhyNotMonitored, str] = {
    "approved again": "contours of the same drafts were approved again later, and those count",
    "drawn again": "later drafts of the same CTs were approved, too, and those count",
    "no CT": "the CTs that they were drawn on are in neither folder",
    "no date": "they have no date, so their places among the others are unknown",
    "no draft": "no draft was drawn on the same CTs",
    "not approved": "nothing that was approved belongs to them",
    "older than its draft": "they are older than every draft of the same CT",
    "rejected": "a reviewer rejected them",
    "still a draft": "nobody has saved them since recontour wrote them",
}
DRAFTS_LEFT_OUT: tuple[WhyNotMonitored, ...] = ("drawn again", "not approved", "still a draft")
HOW_TO_MONITOR: dict[WhyNotMonitored, str] = {
    "no CT": "put the CT into one of the folders",
    "no date": "export it again with its date",
}


@finding
class NotMonitored(Finding):
    """A structure set that is left out of control charts."""

    why: WhyNotMonitored

    def sentence(self) -> str:
        return WHY_NOT_MONITORED[self.why]

    def remedy(self) -> str:
        return HOW_TO_MONITOR.get(self.why, "")


@finding
class SeveralNotMonitored(Finding):
    """Structure sets that are left out of control charts for one reason."""

    why: WhyNotMonitored
    count: int

    def sentence(self) -> str:
        what = "draft" if self.why in DRAFTS_LEFT_OUT else "structure set"
        return f"{plural(self.count, what)}: {WHY_SEVERAL[self.why]}"

    def remedy(self) -> str:
        return HOW_TO_MONITOR.get(self.why, "")


@finding
class ApprovalsMatched(Finding):
    """How many drafts have approved contours, and what shows that they belong together."""

    pairs: int
    by_predecessor: int
    by_ct: int

    def sentence(self) -> str:
        have = f"{plural(self.pairs, 'draft')} {agreeing(self.pairs, 'has', 'have')}"
        if not self.by_predecessor:
            return f"{have} approved contours, found by the CT that both are drawn on"
        if not self.by_ct:
            return f"{have} approved contours, which name the draft that they come from"
        named = f"{self.by_predecessor} {agreeing(self.by_predecessor, 'names', 'name')}"
        found = f"{self.by_ct} {agreeing(self.by_ct, 'was', 'were')}"
        return (
            f"{have} approved contours: {named} the draft, {found} found by the CT that both are "
            "drawn on"
        )


@finding
class SeveralDraftModels(Finding):
    """The drafts are of several models, whose contours differ."""

    models: FitToStore[tuple[str, ...]]
    counts: tuple[int, ...]

    def sentence(self) -> str:
        pairs = zip(self.models, self.counts, strict=False)
        counted = ", ".join(f"{model} ({count})" for model, count in pairs)
        return f"several models drew the drafts: {counted}; a change between them is no drift"

    def remedy(self) -> str:
        return "give the drafts of one model"


@finding
class NoDrafts(Finding):
    """A folder has no structure set that recontour wrote. others: how many others it has."""

    others: int

    def sentence(self) -> str:
        others = f" ({plural(self.others, 'other')})" if self.others else ""
        return f"no structure set here is a draft as recontour wrote it{others}"

    def remedy(self) -> str:
        return "give the folder that `recontour contour` wrote its drafts to"


@finding
class NoApprovals(Finding):
    """No approved structure set belongs to a draft. reasons: why some do not."""

    reasons: tuple[Finding, ...] = ()

    def sentence(self) -> str:
        said = [reason.sentence() for reason in self.reasons]
        because = f" ({'; '.join(dict.fromkeys(said))})" if said else ""
        return f"nothing here belongs to a draft{because}"

    def remedy(self) -> str:
        return "give a folder of the structure sets that were approved later, with their CTs"
