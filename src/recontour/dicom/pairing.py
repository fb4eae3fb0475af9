"""Which CT series a structure set was drawn on.

The UIDs that it references decide: those that its contours name count before those of its header.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Literal

from recontour.dicom.findings import (
    ContoursOnUnreadImages,
    DifferentPatientId,
    DifferingCopies,
    DraftStructureSet,
    EquallyNewStructureSets,
    FrameOfAnotherPatient,
    MissingCt,
    NewestStructureSetTaken,
    NoCtOfFrame,
    NoCtReference,
    NoSeriesUid,
    NoStructureSet,
    OnlySeriesPresent,
    PairedByFrame,
    RejectedStructureSet,
    RtstructPreferred,
    SeveralCts,
    SharedImageUid,
    SharedStructureSetUid,
)
from recontour.dicom.person import NOBODY, Person
from recontour.dicom.pictures import PICTURES
from recontour.errors import MixedSeriesError
from recontour.findings import Finding

Place = tuple[float, ...]  # an image's position in mm; empty where its header has none
ReferencedBy = Literal[
    "contours", "shared images", "listed series", "listed images", "frame of reference"
]
# what nobody draws on, such as plans and doses: the standard's names of images end with "Image"
NO_IMAGE = re.compile(r"(?<! Image) Storage$")


@dataclass(frozen=True, slots=True)
class CtSeries:
    """The files of one CT series, without localisers and copies.

    patient_id, person: they never leave memory. place: what to call the series by, its folder, or
    its first file where the folder also holds another series. clash: two different images that
    share a UID; such a series is not used. copies_differ_in: attributes that do not matter.
    """

    uid: str
    files: tuple[Path, ...]
    sop_instance_uids: frozenset[str]
    patient_id: str
    place: Path
    frame_of_reference_uid: str = ""
    image_places: frozenset[Place] = frozenset()
    clash: SharedImageUid | None = None
    copies_differ_in: frozenset[str] = frozenset()
    person: Person = NOBODY

    def refuse_clash(self) -> None:
        """Raise MixedSeriesError if different images share a UID."""
        if self.clash:
            raise MixedSeriesError(self.clash)


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series that a structure set's header lists, with its frame of reference and images."""

    frame_of_reference_uid: str
    image_uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class StructureSetFile:
    """One RTSTRUCT, or one SEG.

    drawn: date and time; a later one sorts last, a missing one first. listed: by UID, the series
    that its header references. drawn_on: by frame of reference, the images that its contours or
    frames name. frame_uids: of its structures, or else of its header. patient_id: it never leaves
    memory. is_draft: recontour wrote it, and nobody has saved or approved it since. is_rejected: by
    a reviewer. shares_uid: another one has its SOPInstanceUID and is no copy. copies_differ_in:
    attributes that do not matter. is_approved: its status says so; reviewed: when, as `drawn`.
    replaces: the SOPInstanceUIDs of those that it was made from. drafted_by: a draft's model.
    label: what it calls itself, which may name a patient.
    """

    path: Path
    sop_instance_uid: str
    drawn: tuple[str, str]
    listed: Mapping[str, ListedSeries]
    drawn_on: Mapping[str, frozenset[str]]
    frame_uids: frozenset[str]
    patient_id: str
    is_segmentation: bool = False
    is_draft: bool = False
    is_rejected: bool = False
    shares_uid: bool = False
    copies_differ_in: frozenset[str] = frozenset()
    is_approved: bool = False
    reviewed: tuple[str, str] = ("", "")
    replaces: frozenset[str] = frozenset()
    drafted_by: str = ""
    label: str = ""

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Return a sort key that puts the preferred structure set first.

        A rejected one comes last, a draft after what a person saved, a SEG after an RTSTRUCT.
        """
        return self.is_rejected, self.is_draft, self.is_segmentation

    @property
    def series_uids(self) -> frozenset[str]:
        """Return the series it references.

        Those in frames of reference that no structure has count only if all are such.
        """
        in_frame = set()
        for uid, series in self.listed.items():
            if series.frame_of_reference_uid in self.frame_uids:
                in_frame.add(uid)
        return frozenset(in_frame or self.listed) - {""}

    @property
    def image_uids(self) -> frozenset[str]:
        """Return the images that its header lists."""
        of_series = map(attrgetter("image_uids"), self.listed.values())
        return frozenset().union(*of_series)

    def images_drawn_on(self, frame_of_reference_uid: str) -> frozenset[str]:
        """Return the images that its contours name.

        frame_of_reference_uid: contours in any other frame do not count; empty: all count.
        """
        if not frame_of_reference_uid:
            return frozenset().union(*self.drawn_on.values())
        without_frame = self.drawn_on.get("", frozenset())
        return without_frame | self.drawn_on.get(frame_of_reference_uid, frozenset())


@dataclass(frozen=True, slots=True)
class Pair:
    """A CT series and the structure set drawn on it.

    notes: what was chosen between or is in doubt; they name no file.
    """

    series: CtSeries
    structure_set: StructureSetFile
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Unused:
    """A file, folder or series that cannot be used, and why. series_uid: empty for a lone file."""

    path: Path
    series_uid: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class NotRead:
    """The objects that are in an archive but are not read.

    kinds: by the UIDs of object, series and frame of reference, the names of their SOP classes, or
    of the kinds of pictures. Objects that nobody draws on, such as plans, are not among them.
    """

    kinds: dict[str, set[str]] = field(default_factory=dict)

    def add(self, kind: str, *uids: str) -> None:
        """Keep an object's kind. uids: those by which a structure set may name it."""
        if NO_IMAGE.search(kind):
            return
        for uid in filter(None, uids):
            self.kinds.setdefault(uid, set()).add(kind)

    def of_no_ct(self, uids: Iterable[str]) -> frozenset[str]:
        """Return the UIDs that name more than pictures; those may belong to a CT."""
        return frozenset(filter(self._is_of_no_ct, uids))

    def _is_of_no_ct(self, uid: str) -> bool:
        return not self.kinds.get(uid, set()).issubset(PICTURES)

    def kinds_of(self, uids: Iterable[str]) -> tuple[str, ...]:
        """Return the kinds of the objects that some UIDs name, sorted."""
        kinds: set[str] = set()
        for uid in uids:
            kinds |= self.kinds.get(uid, set())
        return tuple(sorted(kinds))


@dataclass(frozen=True, slots=True)
class Match:
    """The series that a structure set may have been drawn on.

    refusal: why it is paired with none of them; without a refusal there is exactly one series.
    note: what is in doubt about that one.
    """

    series: tuple[CtSeries, ...]
    refusal: Finding | None = None
    note: Finding | None = None


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A structure set that was drawn on a certain CT. note: what is in doubt about that."""

    file: StructureSetFile
    note: Finding | None


def pair(
    series: Sequence[CtSeries], structure_sets: Iterable[StructureSetFile], not_read: NotRead
) -> tuple[tuple[Pair, ...], tuple[Unused, ...]]:
    """Give each CT series its structure set; return the pairs, and what cannot be used."""
    finder = _Finder(series, not_read)
    drawn_on: defaultdict[str, list[_Drawn]] = defaultdict(list)  # by the series' UID
    refusals: dict[str, Finding] = {}  # of structure sets, by the UIDs of series they reference
    unused: list[Unused] = []
    for file in structure_sets:
        match = finder.match(file)
        if match.refusal is None:
            (ct,) = match.series
            drawn_on[ct.uid].append(_Drawn(file, match.note))
            continue
        left_out = _unused(file.path, "", match.refusal)
        unused.append(left_out)
        for ct in match.series:
            refusals[ct.uid] = left_out.finding
    pairs = []
    for ct in series:
        of_ct = drawn_on[ct.uid]
        candidates = _candidates(ct, of_ct)
        if ct.clash:
            for rival in ct.clash.rivals:
                unused.append(_unused(rival, ct.uid, ct.clash))
        elif why := _why_alone(ct, candidates, refusals.get(ct.uid)):
            unused.append(_unused(ct.place, ct.uid, why))
        else:
            taken = candidates[-1]  # the newest of those with the best `StructureSetFile.rank`
            notes = filter(None, (taken.note, *_notes(ct, candidates, of_ct)))
            pairs.append(Pair(ct, taken.file, tuple(notes)))
    return tuple(pairs), tuple(unused)


def _unused(path: Path, series_uid: str, finding: Finding) -> Unused:
    return Unused(path, series_uid, replace(finding, path=path))


class _Finder:
    """Finds the CT series of structure sets among those in the archive."""

    def __init__(self, series: Sequence[CtSeries], not_read: NotRead) -> None:
        self._not_read = not_read
        self._series = {ct.uid: ct for ct in series}
        # by an image's UID, the UIDs of the series that hold it
        self._holding: defaultdict[str, set[str]] = defaultdict(set)
        for ct in series:
            for image_uid in ct.sop_instance_uids:
                self._holding[image_uid].add(ct.uid)

    def match(self, file: StructureSetFile) -> Match:
        """Return the CT series that a structure set was drawn on, by its closest reference."""
        if file.images_drawn_on(""):
            return self._by_contours(file)
        if file.series_uids or file.image_uids:
            return self._by_header(file)
        return self._by_frame(file)

    def _by_contours(self, file: StructureSetFile) -> Match:
        """Match by the images that the contours name."""
        drawn_on = file.images_drawn_on("")
        here = drawn_on & self._holding.keys()
        if not here:
            return self._of_absent_images(file)
        referenced = self._with_images(drawn_on | file.image_uids)
        if are_parts(referenced):
            return _several("listed images", referenced)
        holding = list(map(self._holding.__getitem__, here))
        holding_all = set.intersection(*holding)
        if not holding_all:
            return _several("contours", self._of(set.union(*holding)))
        found = self._of(holding_all & file.series_uids or holding_all)
        if len(found) > 1:
            return _several("shared images", found)
        (ct,) = found
        return Match(found, self._drawn_elsewhere(file, ct))

    def _drawn_elsewhere(self, file: StructureSetFile, ct: CtSeries) -> Finding | None:
        """Return what speaks against a CT: contours that name images of another series."""
        absent = file.images_drawn_on(ct.frame_of_reference_uid) - self._holding.keys()
        listed_elsewhere: set[str] = set()
        for uid in file.series_uids - {ct.uid}:
            listed_elsewhere |= file.listed[uid].image_uids
        elsewhere = (absent & listed_elsewhere) | self._not_read.of_no_ct(absent)
        if not elsewhere:
            return None
        if kinds := self._not_read.kinds_of(elsewhere):
            return ContoursOnUnreadImages(kinds=kinds, is_partly=True)
        return MissingCt(missing="some images")

    def _of_absent_images(self, file: StructureSetFile) -> Match:
        """Say why there is no CT where none holds an image that the contours name."""
        named = self._of(file.series_uids)
        kinds = self._not_read.kinds_of(file.images_drawn_on(""))
        if not kinds and not named:
            kinds = self._not_read.kinds_of(file.series_uids)
        if kinds:
            return Match(named, ContoursOnUnreadImages(kinds=kinds))
        return Match(named, MissingCt(missing="images" if named else "series"))

    def _by_header(self, file: StructureSetFile) -> Match:
        """Match by what the header lists, where contours name no image."""
        named = self._of(file.series_uids)
        with_images = self._with_images(file.image_uids)
        if are_parts(with_images):
            return _several("listed images", with_images)
        if named:
            return _by_series(file, named)
        if len(with_images) == 1:
            return Match(with_images)
        if with_images:
            return _several("listed images", with_images)
        kinds = self._not_read.kinds_of(file.series_uids | file.image_uids)
        if kinds:
            return Match((), ContoursOnUnreadImages(kinds=kinds))
        return Match((), MissingCt(missing="series"))

    def _by_frame(self, file: StructureSetFile) -> Match:
        """Match by the frame of reference: a weak sign, so the patient must be the same."""
        if not file.frame_uids:
            return Match((), NoCtReference())
        found = []
        for ct in self._series.values():
            if ct.frame_of_reference_uid in file.frame_uids:
                found.append(ct)
        if not found:
            kinds = self._not_read.kinds_of(file.frame_uids)
            return Match((), NoCtOfFrame(kinds=kinds))
        if len(found) > 1:
            return _several("frame of reference", found)
        (ct,) = found
        if file.patient_id and ct.patient_id and file.patient_id != ct.patient_id:
            return Match((ct,), FrameOfAnotherPatient())
        return Match((ct,), note=PairedByFrame())

    def _with_images(self, image_uids: Iterable[str]) -> tuple[CtSeries, ...]:
        """Return the series that hold any of these images."""
        uids: set[str] = set()
        for image_uid in image_uids:
            uids |= self._holding.get(image_uid, set())
        return self._of(uids)

    def _of(self, uids: Set[str]) -> tuple[CtSeries, ...]:
        """Return the series of these UIDs, in the order of the archive."""
        return tuple(ct for uid, ct in self._series.items() if uid in uids)


def _by_series(file: StructureSetFile, named: Sequence[CtSeries]) -> Match:
    """Match by the series that the header references. named: those in the archive."""
    if len(named) == 1:
        referenced = len(file.series_uids)
        note = OnlySeriesPresent(referenced=referenced) if referenced > 1 else None
        return Match(tuple(named), note=note)
    holding = tuple(filter(partial(_holds_its_listed_images, file), named))
    return Match(holding) if len(holding) == 1 else _several("listed series", named)


def _holds_its_listed_images(file: StructureSetFile, ct: CtSeries) -> bool:
    """Return whether a CT holds any of the images that a structure set's header lists for it."""
    return not file.listed[ct.uid].image_uids.isdisjoint(ct.sop_instance_uids)


def are_parts(series: Collection[CtSeries]) -> bool:
    """Return whether several series may be parts of one CT that came apart.

    They are of one patient and frame of reference, and no two images share a position. Series of
    one image each may have a frame each. A multi-frame CT, whose header has no position, is no
    part.
    """
    if len(series) < 2 or not all(ct.image_places for ct in series):
        return False
    if len({ct.patient_id for ct in series}) > 1:
        return False
    are_single = all(len(ct.sop_instance_uids) == 1 for ct in series)
    frames = {ct.frame_of_reference_uid for ct in series}
    if len(frames) > 1 and not are_single:
        return False
    places = list(map(attrgetter("image_places"), series))
    distinct = frozenset().union(*places)
    return len(distinct) == sum(map(len, places))


def _several(by: ReferencedBy, series: Sequence[CtSeries]) -> Match:
    """Return the refusal of a structure set that several series may belong to."""
    rivals = tuple(map(attrgetter("place"), series))
    together = are_parts(series)
    refusal = SeveralCts(
        by=by,
        count=len(series),
        are_parts=together,
        rivals=rivals,
    )
    return Match(tuple(series), refusal)


def _candidates(ct: CtSeries, of_ct: Sequence[_Drawn]) -> list[_Drawn]:
    """Return the preferred structure sets of a CT, the newest last."""
    if not of_ct:
        return []
    order = partial(_order, ct)
    best = min(map(order, of_ct))
    candidates = [drawn for drawn in of_ct if order(drawn) == best]
    return sorted(candidates, key=attrgetter("file.drawn"))


def _order(ct: CtSeries, drawn: _Drawn) -> tuple[bool, tuple[bool, bool, bool]]:
    return _is_of_another(ct, drawn.file), drawn.file.rank


def _is_of_another(ct: CtSeries, file: StructureSetFile) -> bool:
    """Return whether a structure set has another PatientID than its CT."""
    return file.patient_id not in ("", ct.patient_id)


def _why_alone(
    ct: CtSeries, candidates: Sequence[_Drawn], refusal: Finding | None
) -> Finding | None:
    """Return why a CT series has no usable structure set; None if it has one."""
    if not ct.uid:
        return NoSeriesUid()
    if not candidates:
        return NoStructureSet(why=refusal)
    moment = candidates[-1].file.drawn
    newest = [drawn.file for drawn in candidates if drawn.file.drawn == moment]
    if len(newest) == 1:
        return None
    return EquallyNewStructureSets(
        count=len(candidates),
        share_uid=all(map(attrgetter("shares_uid"), newest)),
        rivals=tuple(map(attrgetter("path"), newest)),
    )


def _notes(
    ct: CtSeries, candidates: Sequence[_Drawn], of_ct: Sequence[_Drawn]
) -> Iterator[Finding]:
    """Yield what to note about the last candidate, the one that was chosen for a CT."""
    taken = candidates[-1].file
    files = list(map(attrgetter("file"), of_ct))
    if any(map(partial(_is_of_another, ct), files)):
        yield DifferentPatientId(was_taken=_is_of_another(ct, taken))
    if len(candidates) > 1:
        yield NewestStructureSetTaken(count=len(candidates))
    if taken.shares_uid:
        yield SharedStructureSetUid()
    if ct.copies_differ_in:
        yield DifferingCopies(what="images", differ_in=tuple(sorted(ct.copies_differ_in)))
    if taken.copies_differ_in:
        differ_in = tuple(sorted(taken.copies_differ_in))
        yield DifferingCopies(what="structure set", differ_in=differ_in)
    if not taken.is_segmentation and any(map(attrgetter("is_segmentation"), files)):
        yield RtstructPreferred()
    if any(map(attrgetter("is_rejected"), files)):
        yield RejectedStructureSet(was_taken=taken.is_rejected)
    if any(map(attrgetter("is_draft"), files)):
        yield DraftStructureSet(was_taken=taken.is_draft)
