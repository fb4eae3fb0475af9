"""Which CT series a structure set was drawn on:

by the UIDs it references, what its contours name before its header.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from recontour.dicom.copies import listed
from recontour.dicom.person import NOBODY, Person
from recontour.dicom.pictures import PICTURES
from recontour.dicom.spelling import spellings
from recontour.errors import MixedSeriesError

RIVALS_SHOWN = 4  # in one line: a CT may have come apart into as many series as it has slices
Place = tuple[float, ...]  # an image's position in mm; empty where its header has none


@dataclass(frozen=True, slots=True)
class Clash:
    """Why the files of a series cannot be told apart by their UIDs.

    rivals: one file of each side.
    """

    reason: str
    rivals: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class CtSeries:
    """The files of one CT series, without localisers and copies.

    patient_id, person: they never leave memory.
    """

    uid: str
    files: tuple[Path, ...]
    sop_instance_uids: frozenset[str]
    patient_id: str
    # what to call it by: its folder, or the first of its files where the folder also holds another
    # series
    place: Path
    frame_of_reference_uid: str = ""
    image_places: frozenset[Place] = frozenset()
    clash: Clash | None = None  # such a series is used for nothing
    copies_differ_in: frozenset[str] = frozenset()  # attributes that do not matter
    person: Person = NOBODY

    def refuse_clash(self) -> None:
        """Raise MixedSeriesError where its files cannot be told apart."""
        if self.clash:
            rivals = " and ".join(map(str, self.clash.rivals))
            raise MixedSeriesError(f"{rivals}: {self.clash.reason}")


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series that a structure set's header lists, with the images listed there and its frame of
    reference.
    """

    frame_of_reference_uid: str
    image_uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class StructureSetFile:
    """One RTSTRUCT, or one SEG. drawn: date and time, such that later ones sort last, and those not
    told first.

    patient_id, identity: the patient's ID, and with it the parts of the name, in all their
        spellings; they never leave memory.
    """

    path: Path
    sop_instance_uid: str
    drawn: tuple[str, str]
    listed: Mapping[str, ListedSeries]  # by UID, the series that its header references
    drawn_on: Mapping[
        str, frozenset[str]
    ]  # the images that contours or frames name, by their frame of reference
    frame_uids: frozenset[str]  # of its structures, or else of its header
    patient_id: str
    identity: frozenset[str]
    is_segmentation: bool = False
    is_draft: bool = False  # as `recontour contour` wrote it, and nobody saved it since
    is_rejected: bool = False  # by a reviewer
    shares_uid: bool = False  # with another one that is no copy
    copies_differ_in: frozenset[str] = frozenset()  # attributes that do not matter

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The lower one counts:

        what nobody rejected, then what a person saved before a draft, RTSTRUCT before SEG.
        """
        return self.is_rejected, self.is_draft, self.is_segmentation

    @property
    def series_uids(self) -> frozenset[str]:
        """The series it references.

        Those in frames of reference that no structure has count only if all are such.
        """
        in_frame = {
            uid for uid, one in self.listed.items() if one.frame_of_reference_uid in self.frame_uids
        }
        return frozenset(in_frame or self.listed) - {""}

    @property
    def image_uids(self) -> frozenset[str]:
        """The images that its header lists."""
        return frozenset(uid for one in self.listed.values() for uid in one.image_uids)

    def images_drawn_on(self, frame_of_reference_uid: str) -> frozenset[str]:
        """The images that its contours name, but for contours that lie in another frame of
        reference.
        """
        frames = ("", frame_of_reference_uid) if frame_of_reference_uid else self.drawn_on
        return frozenset(uid for frame in frames for uid in self.drawn_on.get(frame, ()))

    def names_patient(self, words: str) -> bool:
        """Whether words hold a part of the patient's name, or the patient's ID."""
        folded = spellings(words)
        return any(part in spelling for part in self.identity for spelling in folded)


@dataclass(frozen=True, slots=True)
class Pair:
    """A CT series and the structure set drawn on it.

    note: what was chosen between or is in doubt, if anything.
    """

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
        if not self.rivals:
            return self.reason
        shown = [str(path) for path in self.rivals[:RIVALS_SHOWN]]
        if len(self.rivals) > RIVALS_SHOWN:
            shown.append(f"{len(self.rivals) - RIVALS_SHOWN} more")
        return f"{self.reason}: {', '.join(shown)}"

    @property
    def line(self) -> str:
        """What cannot be used, and why, each file named once: for the screen only."""
        if self.path not in self.rivals:
            return f"{self.path}: {self.why}"
        others = [str(rival) for rival in self.rivals if rival != self.path]
        return f"{' and '.join([str(self.path), *others])}: {self.reason}"


@dataclass(frozen=True, slots=True)
class NotRead:
    """The objects that are here and are not read: their kinds, by the UIDs of object, series and
    frame of reference.

    Objects that nobody draws on, such as plans and doses, are not among them.
    """

    kinds: dict[str, set[str]] = field(default_factory=dict)

    def add(self, kind: str, *uids: str) -> None:
        """Keep an object's kind. uids: those by which a structure set may name it."""
        if NO_IMAGE.search(kind):
            return
        for uid in filter(None, uids):
            self.kinds.setdefault(uid, set()).add(kind)

    def of_no_ct(self, uids: Iterable[str]) -> frozenset[str]:
        """Those of some UIDs under which there is more than pictures, which may belong to a CT."""
        return frozenset(uid for uid in uids if not self.kinds.get(uid, set()).issubset(PICTURES))

    def said_of(self, uids: Iterable[str]) -> str:
        """What the objects of some UIDs are, in words; empty if there are none."""
        kinds = {kind for uid in uids for kind in self.kinds.get(uid, ())}
        return " and ".join(_in_words(kind) for kind in sorted(kinds))


def _in_words(kind: str) -> str:
    if kind.endswith(IMAGE):
        return f"{kind.removesuffix(IMAGE)} images"
    return f"images that are not CT slices ({kind})"


@dataclass(frozen=True, slots=True)
class Match:
    """The series that a structure set may have been drawn on. reason: why it is paired with none,
    else empty.

    note: what is in doubt of a structure set that is paired. A match without a reason has one
        series.
    """

    series: tuple[CtSeries, ...]
    reason: str = ""
    note: str = ""


IMAGE = " Image Storage"  # what the standard's names of images end with
NO_IMAGE = re.compile(r"(?<! Image) Storage$")
ABSENT = "its CT series is not here; export it with the CT it was drawn on"
IMAGES_ABSENT = (
    "the images that its contours are drawn on are not here; export it with the CT that has them"
)
PARTLY_ABSENT = (
    "some of its contours are drawn on images of another series, which is not here; export a structure set of this CT "
    "alone"
)
ON_OTHERS = "its contours are drawn on {}, which are not read; draw or copy them onto the CT, and export that structure set"
PARTLY_ON_OTHERS = "some of its contours are drawn on {}, which are not read; export a structure set with the CT's contours alone"
SPLIT = " that share no place, as the parts of one CT do; export that CT again as one series"
ONE = ", and which of them counts is unknown; keep only the CT it was drawn on in the folder"
EACH = "; export a structure set for each CT"
NOTHING = (
    "it does not say on which CT it was drawn: it names no image, no series and no frame of reference; export it again "
    "with these references"
)
FRAME_OF_OTHERS = (
    "it names no image and no series, and no CT here has its frame of reference, but {} have, which are not read; if "
    "it was drawn on those, draw or copy it onto the CT, or else export it together with its CT"
)
NO_FRAME = (
    "it names no image and no series, and no CT here has its frame of reference; export it together with the CT it "
    "was drawn on"
)
OTHER_PATIENT = (
    "it names no image and no series, and the CT of its frame of reference is under another PatientID; export it "
    "again with references to the images"
)
BY_FRAME = (
    "its structure set names no image and no series; this is the only CT of its frame of reference"
)
NO_STRUCTURE_SET = "no structure set references this CT series"
NO_UID = "CT images without SeriesInstanceUID; export them again"


def pair(
    series: Sequence[CtSeries], structure_sets: Iterable[StructureSetFile], not_read: NotRead
) -> tuple[tuple[Pair, ...], tuple[LeftOut, ...]]:
    """Give each CT series its structure set: the pairs, and what was left out."""
    finder = _Finder(series, not_read)
    drawn_on: dict[str, list[StructureSetFile]] = {}
    notes: dict[Path, str] = {}
    refused: dict[
        str, str
    ] = {}  # by series, why a structure set that references it is paired with none
    left_out: list[LeftOut] = []
    for structure_set in structure_sets:
        match = finder.match(structure_set)
        if match.reason:
            refused.update({ct.uid: match.reason for ct in match.series})
            rivals = tuple(ct.place for ct in match.series) if len(match.series) > 1 else ()
            left_out.append(LeftOut(structure_set.path, match.reason, rivals=rivals))
        else:
            drawn_on.setdefault(match.series[0].uid, []).append(structure_set)
            notes[structure_set.path] = match.note
    pairs = []
    for ct in series:
        of_ct = drawn_on.get(ct.uid, [])
        candidates = _candidates(ct, of_ct)
        if ct.clash:
            left_out += [
                LeftOut(path, ct.clash.reason, ct.uid, ct.clash.rivals) for path in ct.clash.rivals
            ]
        elif why := _why_alone(ct, candidates, refused.get(ct.uid)):
            left_out.append(why)
        else:
            taken = candidates[-1]
            said = [notes[taken.path], *_notes(ct, candidates, of_ct)]
            pairs.append(Pair(ct, taken, "; ".join(filter(None, said))))
    return tuple(pairs), tuple(left_out)


class _Finder:
    """Finds the CT series of structure sets among those that are here."""

    def __init__(self, series: Sequence[CtSeries], not_read: NotRead) -> None:
        self._not_read = not_read
        self._series = {ct.uid: ct for ct in series}
        self._holding: dict[
            str, set[str]
        ] = {}  # an image's UID -> the UIDs of the series that hold it
        for ct in series:
            for image_uid in ct.sop_instance_uids:
                self._holding.setdefault(image_uid, set()).add(ct.uid)

    def match(self, one: StructureSetFile) -> Match:
        """The CT series that a structure set was drawn on, by the closest reference it has."""
        if one.images_drawn_on(""):
            return self._by_contours(one)
        if one.series_uids or one.image_uids:
            return self._by_header(one)
        return self._by_frame(one)

    def _by_contours(self, one: StructureSetFile) -> Match:
        """The CT that holds the images which the contours name."""
        held = [self._holding[uid] for uid in one.images_drawn_on("") if uid in self._holding]
        if not held:
            return self._of_absent_images(one)
        referenced = self._with_images(one.images_drawn_on("") | one.image_uids)
        if are_parts(referenced):
            return Match(referenced, _why_several("it references images of", referenced, ONE))
        common = set.intersection(*held)
        if not common:
            found = self._of(set.union(*held))
            return Match(found, _why_several("its contours are drawn on images of", found, EACH))
        found = self._of(common & one.series_uids or common)
        if len(found) > 1:
            return Match(
                found,
                _why_several("the images its contours are drawn on are in each of", found, ONE),
            )
        (ct,) = found
        absent = one.images_drawn_on(ct.frame_of_reference_uid) - self._holding.keys()
        elsewhere = {
            uid for other in one.series_uids - {ct.uid} for uid in one.listed[other].image_uids
        }
        apart = absent & elsewhere | self._not_read.of_no_ct(absent)
        others = self._not_read.said_of(apart)
        partly = PARTLY_ON_OTHERS.format(others) if others else PARTLY_ABSENT
        return Match(found, partly if apart else "")

    def _of_absent_images(self, one: StructureSetFile) -> Match:
        """Why no CT is found where none holds an image that the contours name."""
        named = self._of(one.series_uids)
        others = self._not_read.said_of(one.images_drawn_on(""))
        if not others and not named:
            others = self._not_read.said_of(one.series_uids)
        if others:
            return Match(named, ON_OTHERS.format(others))
        return Match(named, IMAGES_ABSENT if named else ABSENT)

    def _by_header(self, one: StructureSetFile) -> Match:
        """The CT that the header references: all there is where contours name no image."""
        named = self._of(one.series_uids)
        together = self._with_images(one.image_uids)
        if are_parts(together):
            return Match(together, _why_several("it references images of", together, ONE))
        if len(named) == 1 and len(one.series_uids) == 1:
            return Match(named)
        if len(named) == 1:
            note = f"its structure set references {len(one.series_uids)} series, and its contours do not say which"
            return Match(named, note=f"{note}; this is the only CT of them that is here")
        if named:
            with_images = [
                ct
                for ct in named
                if not one.listed[ct.uid].image_uids.isdisjoint(ct.sop_instance_uids)
            ]
            found = tuple(with_images) if len(with_images) == 1 else named
            return Match(
                found, "" if len(found) == 1 else _why_several("it references", found, ONE)
            )
        if together:
            return Match(
                together,
                ""
                if len(together) == 1
                else _why_several("it references images of", together, ONE),
            )
        others = self._not_read.said_of(one.series_uids | one.image_uids)
        return Match((), ON_OTHERS.format(others) if others else ABSENT)

    def _by_frame(self, one: StructureSetFile) -> Match:
        """The only CT of the frame of reference; a weak sign, so the patient must be the same."""
        if not one.frame_uids:
            return Match((), NOTHING)
        found = tuple(
            ct for ct in self._series.values() if ct.frame_of_reference_uid in one.frame_uids
        )
        if not found:
            others = self._not_read.said_of(one.frame_uids)
            return Match((), FRAME_OF_OTHERS.format(others) if others else NO_FRAME)
        if len(found) > 1:
            return Match(
                found,
                _why_several(
                    "it names no image and no series, but the frame of reference of", found, ONE
                ),
            )
        is_other = (
            "" not in (one.patient_id, found[0].patient_id)
            and one.patient_id != found[0].patient_id
        )
        return Match(found, OTHER_PATIENT if is_other else "", BY_FRAME)

    def _with_images(self, image_uids: Iterable[str]) -> tuple[CtSeries, ...]:
        return self._of(
            {uid for image_uid in image_uids for uid in self._holding.get(image_uid, ())}
        )

    def _of(self, uids: Set[str]) -> tuple[CtSeries, ...]:
        return tuple(ct for uid, ct in self._series.items() if uid in uids)


def are_parts(series: Collection[CtSeries]) -> bool:
    """Whether several series may be parts of one CT: of one patient and frame, and no two images in
    one place.

    A multi-frame CT, whose header has no place, is no part. Series of one image each may have a
    frame each.
    """
    are_single = all(len(ct.sop_instance_uids) == 1 for ct in series)
    together = {(ct.patient_id, "" if are_single else ct.frame_of_reference_uid) for ct in series}
    places = [place for ct in series for place in ct.image_places]
    are_placed = all(ct.image_places for ct in series)
    return len(series) > 1 and len(together) == 1 and are_placed and len(set(places)) == len(places)


def _why_several(what: str, series: Sequence[CtSeries], advice: str) -> str:
    return f"{what} {len(series)} CT series{SPLIT if are_parts(series) else advice}"


def _candidates(ct: CtSeries, of_ct: Sequence[StructureSetFile]) -> list[StructureSetFile]:
    """The structure sets of a CT that are as good as any, the newest last."""
    best = min(((_is_of_another(ct, one), one.rank) for one in of_ct), default=None)
    candidates = [one for one in of_ct if (_is_of_another(ct, one), one.rank) == best]
    return sorted(candidates, key=lambda one: one.drawn)


def _is_of_another(ct: CtSeries, one: StructureSetFile) -> bool:
    """Whether a structure set is under another PatientID than its CT."""
    return one.patient_id not in ("", ct.patient_id)


def _why_alone(
    ct: CtSeries, candidates: Sequence[StructureSetFile], refused: str | None
) -> LeftOut | None:
    """Why a CT series has no structure set that could be taken; None if it has one."""
    if not ct.uid:
        return LeftOut(ct.place, NO_UID)
    if not candidates:
        reason = f"its structure set was left out: {refused}" if refused else NO_STRUCTURE_SET
        return LeftOut(ct.place, reason, ct.uid)
    newest = [one for one in candidates if one.drawn == candidates[-1].drawn]
    if len(newest) == 1:
        return None
    shared = ", under one SOPInstanceUID" if all(one.shares_uid for one in newest) else ""
    reason = f"{len(candidates)} structure sets on one CT{shared}, none the newest; keep the one that counts"
    return LeftOut(ct.place, reason, ct.uid, tuple(one.path for one in newest))


def _notes(
    ct: CtSeries, candidates: Sequence[StructureSetFile], of_ct: Sequence[StructureSetFile]
) -> Iterator[str]:
    """What is to be said of the last of the candidates, which was taken among all of a CT."""
    taken = candidates[-1]
    if _is_of_another(ct, taken):
        yield "its structure set is under another PatientID than its CT"
    elif any(_is_of_another(ct, one) for one in of_ct):
        yield "a structure set under another PatientID than its CT was not taken"
    if len(candidates) > 1:
        yield f"the newest of {len(candidates)} structure sets was taken"
    yield from _notes_on_uids(ct, taken)
    if any(one.is_segmentation for one in of_ct) and not taken.is_segmentation:
        yield "its RTSTRUCT was taken, not its SEG"
    if taken.is_rejected:
        yield "its structure set was rejected by its reviewer (ApprovalStatus)"
    elif any(one.is_rejected for one in of_ct):
        yield "a structure set that its reviewer rejected was not taken"
    if taken.is_draft:
        yield "its contours are recontour's own, as it wrote them: a model learns and proves nothing by them"
    elif any(one.is_draft for one in of_ct):
        yield "contours as recontour wrote them are there, too, and were not taken"


def _notes_on_uids(ct: CtSeries, taken: StructureSetFile) -> Iterator[str]:
    """What is to be said of other files under the UIDs of a CT's images and of its structure set."""
    if taken.shares_uid:
        yield "another structure set has the same SOPInstanceUID as the one taken, and other content"
    for what, differing in (
        ("its images", ct.copies_differ_in),
        ("the structure set", taken.copies_differ_in),
    ):
        if differing:
            yield f"copies of {what} differ in {listed(differing)}, which does not matter here; the first was taken"
