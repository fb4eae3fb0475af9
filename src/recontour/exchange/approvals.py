"""Drafts and the contours that were approved later: which belong together, and what both show.

An approved structure set belongs to the draft that it names as its predecessor, or else to the
newest draft of its CT that is not younger. The CT may lie beside either.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recontour.cohort import case_id_of
from recontour.cohort.masks import Note, masks_of, structures
from recontour.dicom import Archive, CtSeries, StructureSetFile, read_archive, read_series
from recontour.errors import DicomError, GridMismatchError, NoSeriesError, RecontourError
from recontour.exchange.findings import (
    ApprovalsMatched,
    NoApprovals,
    NoDrafts,
    NotMonitored,
    SeveralDraftModels,
    UnusedNames,
    WhyNotMonitored,
)
from recontour.exchange.sources import UserMap, unused_names
from recontour.findings import Finding
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.organs import match_drawn

APPROVED = "the approved contours"
LABEL = "case"  # before the hash that names a CT
REASONS_SHOWN = 3  # in one line of an error


@dataclass(frozen=True, slots=True)
class Approval:
    """A draft and what was approved later.

    case: a hash of the CT's UID. patient_id: of the CT. moment: date and time of the review, or
    else of the structure set. Neither of these leaves memory. by_predecessor: the approved set
    names the draft, not only its CT.
    """

    case: str
    patient_id: str
    draft: StructureSetFile
    approved: StructureSetFile
    series: CtSeries
    moment: tuple[str, str]
    by_predecessor: bool


@dataclass(frozen=True, slots=True)
class BothDrawn:
    """What a draft and the approved contours show on one CT, by TG-263 name.

    drafted, approved: bool, (slice, row, column).
    """

    grid: Grid
    drafted: Mapping[str, Mask]
    approved: Mapping[str, Mask]

    @property
    def is_unchanged(self) -> bool:
        """Return whether every approved organ is the draft's, to the voxel."""
        if self.drafted.keys() != self.approved.keys():
            return False
        return all((mask == self.drafted[organ]).all() for organ, mask in self.approved.items())


@dataclass(slots=True)
class Approvals:
    """What became of two folders. pairs: in the order of time. left_out: each with the reason."""

    pairs: list[Approval] = field(default_factory=list)
    left_out: list[Finding] = field(default_factory=list)

    @property
    def notes(self) -> list[Finding]:
        """Return how many belong together, and by what, and if several models drew the drafts."""
        by_predecessor = sum(pair.by_predecessor for pair in self.pairs)
        matched = ApprovalsMatched(
            pairs=len(self.pairs),
            by_predecessor=by_predecessor,
            by_ct=len(self.pairs) - by_predecessor,
        )
        counts = Counter(pair.draft.drafted_by for pair in self.pairs if pair.draft.drafted_by)
        if len(counts) < 2:
            return [matched]
        models = tuple(sorted(counts))
        several = SeveralDraftModels(models=models, counts=tuple(counts[one] for one in models))
        return [matched, several]


def match_approvals(drafts: Path, approved: Path) -> Approvals:
    """Give each approved structure set its draft.

    drafts: a folder of structure sets that recontour wrote. approved: a folder of structure sets
    that were approved later. Both may be one folder.

    Raises: NoSeriesError: there is no such folder, or nothing in it belongs together.
    """
    drawn_first = read_archive(drafts)
    drawn_later = read_archive(approved)
    of_recontour = [file for file in drawn_first.structure_sets if file.is_draft]
    if not of_recontour:
        raise NoSeriesError(NoDrafts(path=drafts, others=len(drawn_first.structure_sets)))
    found = Approvals()
    for unread in (*drawn_first.unreadable, *drawn_later.unreadable):
        found.left_out.append(unread.finding)
    candidates = _candidates(drawn_later, of_recontour, found)
    of_draft = _by_draft(candidates, of_recontour, found)
    series = {one.uid: one for one in (*drawn_first.series, *drawn_later.series)}
    for draft in of_recontour:
        _pair(draft, of_draft[draft.path], series, found)
    if not found.pairs:
        reasons = tuple(found.left_out[:REASONS_SHOWN])
        raise NoSeriesError(NoApprovals(path=approved, reasons=reasons))
    found.pairs.sort(key=lambda pair: (pair.moment, pair.case))
    _keep_newest(found)
    return found


def _keep_newest(found: Approvals) -> None:
    """Leave out all pairs of a CT but the newest. found: its pairs in the order of time."""
    newest = {pair.case: pair for pair in found.pairs}
    for pair in found.pairs:
        if newest[pair.case] is not pair:
            _leave_out(found, pair.draft.path, "drawn again")
    found.pairs = [pair for pair in found.pairs if newest[pair.case] is pair]


def _leave_out(found: Approvals, path: Path, why: WhyNotMonitored) -> None:
    found.left_out.append(NotMonitored(path=path, why=why))


def _moment(file: StructureSetFile) -> tuple[str, str]:
    """Return when a structure set was reviewed, or else drawn, as 8 and 12 digits."""
    if file.is_approved and file.reviewed[0]:
        return file.reviewed
    return file.drawn


def _candidates(
    archive: Archive, drafts: Iterable[StructureSetFile], found: Approvals
) -> list[StructureSetFile]:
    """Return the structure sets that a person may have approved."""
    own_paths = {draft.path for draft in drafts}
    candidates = []
    for file in archive.structure_sets:
        if file.is_rejected:
            _leave_out(found, file.path, "rejected")
        elif not file.is_draft and not _moment(file)[0]:
            _leave_out(found, file.path, "no date")
        elif not file.is_draft or file.is_approved:
            candidates.append(file)
        elif file.path not in own_paths:  # in one folder, a draft is no surprise
            _leave_out(found, file.path, "still a draft")
    return candidates


def _by_draft(
    candidates: Iterable[StructureSetFile],
    drafts: Sequence[StructureSetFile],
    found: Approvals,
) -> defaultdict[Path, list[tuple[StructureSetFile, bool]]]:
    """Return the approved structure sets of each draft, and whether they name it."""
    of_draft: defaultdict[Path, list[tuple[StructureSetFile, bool]]] = defaultdict(list)
    for file in candidates:
        named = [draft for draft in drafts if draft.sop_instance_uid in file.replaces]
        of_ct = [draft for draft in drafts if draft.series_uids & file.series_uids]
        before = [draft for draft in of_ct if draft.drawn <= _moment(file)]
        if named:
            draft = max(named, key=lambda one: one.drawn)
        elif before:
            draft = max(before, key=lambda one: one.drawn)
        else:
            _leave_out(found, file.path, "older than its draft" if of_ct else "no draft")
            continue
        of_draft[draft.path].append((file, bool(named)))
    return of_draft


def _pair(
    draft: StructureSetFile,
    approved: Sequence[tuple[StructureSetFile, bool]],
    series: Mapping[str, CtSeries],
    found: Approvals,
) -> None:
    """Pair a draft with the newest approved structure set, or say why there is none."""
    if not approved:
        _leave_out(found, draft.path, "not approved")
        return
    *earlier, (newest, by_predecessor) = sorted(approved, key=lambda one: _moment(one[0]))
    for file, _ in earlier:
        _leave_out(found, file.path, "approved again")
    uids = sorted(draft.series_uids & series.keys())
    if not uids:
        _leave_out(found, newest.path, "no CT")
        return
    ct = series[uids[0]]
    case = case_id_of(LABEL, ct.uid)
    moment = _moment(newest)
    pair = Approval(case, ct.patient_id, draft, newest, ct, moment, by_predecessor)
    found.pairs.append(pair)


def read_both(pair: Approval, user_map: UserMap, note: Note) -> BothDrawn:
    """Read what a draft and the approved contours show, on the grid of their CT.

    user_map: as `read_user_map` gives. note: takes what is odd in the approved contours.

    Raises: DicomError, GridMismatchError: the CT or one of the two cannot be used.
    """
    pair.series.refuse_clash()
    grid = read_series(pair.series.files).grid
    drafted = _masks(pair.draft, grid, user_map, _ignored)
    approved = _masks(pair.approved, grid, user_map, note)
    return BothDrawn(grid, drafted, approved)


def _ignored(_finding: Finding) -> None:
    """Do nothing with what is odd in recontour's own contours."""


def _masks(
    file: StructureSetFile,
    grid: Grid,
    user_map: UserMap,
    note: Note,
) -> dict[str, Mask]:
    drawn = structures(file, grid, None, note)
    table = match_drawn(drawn, user_map)
    unused = unused_names(table)
    if unused:
        note(UnusedNames(model=APPROVED, roi_names=tuple(sorted(unused)), count=len(unused)))
    return masks_of(drawn, table.mapped, grid, note)


UNREADABLE: tuple[type[RecontourError], ...] = (DicomError, GridMismatchError)
