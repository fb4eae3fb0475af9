"""One patient of a cohort: a CT, and the organs that were contoured on it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.cohort.acquisition import UNKNOWN_ACQUISITION, Acquisition
from recontour.cohort.arrays import Expected, FileState
from recontour.cohort.open_arrays import open_array
from recontour.cohort.records import MOST_RECORD_BYTES, refused
from recontour.cohort.tissue import Profile, nearly_equal, tissue_profile
from recontour.cohort.traits import NO_TRAITS, Traits
from recontour.files import read_file
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask

CT_FILE = "ct.npy"
MASKS_FILE = "masks.npy"
CT_KINDS = ("<i2", "<f4")  # int16, float32
MASKS_KINDS = ("|u1",)
HASH_DIGITS = 16
LEAST_LIKENESS = 0.7  # of a misspelt case's hash and the one that is meant

SYNTHETIC = "These patients are synthetic"
# What everyone who uses the phantom, or a model that learnt from it, must know.
PHANTOM_NOTICE = (
    f"{SYNTHETIC}: a computer-drawn phantom made to try recontour. "
    "The numbers say nothing about people."
)

Bits = npt.NDArray[np.uint8]


def case_id_of(centre: str, series_uid: str) -> str:
    """Return a case's name: the centre's label and eight hex digits of the series UID's hash.

    >>> case_id_of("north", "1.2.3")
    'north-c47f5b18'
    """
    digest = hashlib.sha256(series_uid.encode()).hexdigest()
    return f"{centre}-{digest[:8]}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a CT was made, as far as it is known.

    institution: a salted hash, SALT-HASH as of a patient's key; None if unknown. maker, model: of
    the scanner; in clear if they consist of known words, otherwise a salted hash; empty if unknown.
    elsewhere: the user said that the CT is from elsewhere than the cohort's other cases.
    """

    institution: str | None = None
    maker: str = ""
    model: str = ""
    elsewhere: bool = False

    @property
    def scanner_name(self) -> str:
        """Return maker and model; empty if unknown."""
        return f"{self.maker} {self.model}".strip()

    @property
    def scanner(self) -> str:
        """Return maker and model, in small letters; empty if unknown.

        >>> Origin(maker="SIEMENS", model="SOMATOM Force").scanner
        'siemens somatom force'
        """
        return self.scanner_name.casefold()


UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, eq=False)
class Case:
    """One patient: a CT and the organs that were contoured on it.

    volumes_cc: by organ, in the order of masks.npy. source_hash: of the structure set that was
    imported. is_draft: the contours are recontour's own, so a model neither learns from them nor is
    proved by them. is_phantom: the CT shows recontour's phantom, not a patient. sha256: of the
    arrays' files, by name; empty for older cases. patient: the patient's key, the same in all cases
    of the patient; None if unknown. tissue_hu: the CT's tissue profile; empty for older cases.
    origin: where the CT was made. acquisition: how; nothing is known of older cases. roi_names: how
    the structure set spells each organ; empty for older cases. traits: what a person should know of
    the contours; nothing in older cases. files: the state of the arrays' files, by name, when the
    case was read.
    """

    id: str
    path: Path
    grid: Grid
    volumes_cc: Mapping[str, float]
    source_hash: str
    is_draft: bool = False
    is_phantom: bool = False
    sha256: Mapping[str, str] = field(default_factory=dict)
    patient: str | None = None
    origin: Origin = UNKNOWN_ORIGIN
    acquisition: Acquisition = UNKNOWN_ACQUISITION
    roi_names: Mapping[str, str] = field(default_factory=dict)
    tissue_hu: Profile = ()
    traits: Traits = NO_TRAITS
    files: Mapping[str, FileState] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be computed again: a case goes to other processes as it was read."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def organs(self) -> tuple[str, ...]:
        """Return the organs that were contoured; any other is unknown."""
        return tuple(self.volumes_cc)

    @property
    def hu(self) -> npt.NDArray[Any]:
        """Return the HU, (slice, row, column), int16 or float32, memory-mapped and read-only."""
        return open_array(self.expected_ct)

    @property
    def _bits(self) -> Bits:
        return open_array(self.expected_masks)

    @cached_property
    def expected_ct(self) -> Expected:
        """Return what ct.npy should be."""
        return self._expected(CT_FILE, CT_KINDS, self.grid.shape)

    @cached_property
    def expected_masks(self) -> Expected:
        """Return what masks.npy should be: one bit per voxel, eight columns in a byte."""
        slices, rows, columns = self.grid.shape
        column_bytes = -(-columns // 8)  # rounded up
        shape = (len(self.organs), slices, rows, column_bytes)
        return self._expected(MASKS_FILE, MASKS_KINDS, shape)

    def _expected(
        self,
        name: str,
        kinds: tuple[str, ...],
        shape: tuple[int, ...],
    ) -> Expected:
        digest = self.sha256.get(name, "")
        return Expected(self.path / name, kinds, shape, digest, self.files.get(name))

    @cached_property
    def fingerprint(self) -> str:
        """Return the CT's fingerprint, the same in every cohort."""
        return fingerprint_of(self.hu)

    @cached_property
    def profile(self) -> Profile:
        """Return the CT's tissue profile, which recognises it after a new export."""
        return self.tissue_hu or tissue_profile(self.hu)

    @property
    def version(self) -> str:
        """Return 16 hex digits that change if the case is imported again with other data."""
        path = self.path / "case.json"
        try:
            content = read_file(path, MOST_RECORD_BYTES)
        except (OSError, ValueError) as error:
            raise refused(path, error) from error
        return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]

    def mask(self, organ: str) -> Mask:
        """Return one organ's mask, (slice, row, column)."""
        return self.unpacked(self._bits[self.organs.index(organ)])

    def slice_mask(self, organ: str, index: int) -> Mask:
        """Return one organ's mask on one slice, (row, column)."""
        return self.unpacked(self._bits[self.organs.index(organ), index])

    def slices_with(self, organ: str) -> npt.NDArray[np.intp]:
        """Return the indices of the slices that show an organ."""
        bits = self._bits[self.organs.index(organ)]
        return np.flatnonzero(bits.any(axis=(1, 2)))

    def known_slices(self, organ: str) -> Mask:
        """Return on which slices it is known whether they show an organ: bool, (slice,).

        On none if it is not contoured; on all but those beyond the contoured part, if it is partly
        contoured.
        """
        slices = self.grid.shape[0]
        if organ not in self.organs:
            return np.zeros(slices, dtype=bool)
        known = np.ones(slices, dtype=bool)
        ends = self.traits.partly_contoured.get(organ)
        if not ends:
            return known
        drawn = self.slices_with(organ)
        if drawn.size:
            known[: drawn[0]] = "below" not in ends
            known[drawn[-1] + 1 :] = "above" not in ends
        return known

    def where_known(self, organ: str, mask: Mask) -> Mask:
        """Return a mask without the slices on which nobody knows whether they show an organ.

        mask: (slice, row, column).
        """
        known = self.known_slices(organ)
        return mask if known.all() else mask & known[:, None, None]

    def pixels_by_slice(self, organ: str) -> npt.NDArray[np.int64]:
        """Return how many pixels of each slice belong to an organ, (slices,)."""
        bits = self._bits[self.organs.index(organ)]
        ones = np.bitwise_count(bits).reshape(len(bits), -1)
        return np.asarray(ones.sum(axis=1, dtype=np.int64))

    def unpacked(self, bits: Bits) -> Mask:
        """Return the mask that bits along the columns stand for, as masks.npy has them."""
        columns = self.grid.shape[2]
        return np.unpackbits(bits, axis=-1, count=columns).view(np.bool_)

    def examine(self) -> None:
        """Check every voxel of the CT and the masks, unless this process has.

        Raises: CohortError: they are not what case.json says.
        """
        open_array(self.expected_ct)
        open_array(self.expected_masks)


def similar_case(name: str, cases: Iterable[str]) -> str | None:
    """Return the case that a misspelt id may stand for, if there is one.

    The hashes behind the centre's label are compared, since the label is every case's.

    >>> similar_case("north-4ca6b2d9", ["north-4ca6b2c9", "north-60fd018b"])
    'north-4ca6b2c9'
    """
    by_hash = {case.rpartition("-")[2]: case for case in cases}
    close = get_close_matches(name.rpartition("-")[2], by_hash, n=1, cutoff=LEAST_LIKENESS)
    return by_hash[close[0]] if close else None


def fingerprint_of(hu: npt.NDArray[Any]) -> str:
    """Return 16 hex digits of a hash of a CT's voxels. hu: (slice, row, column).

    Nothing of the CT follows from it: only someone who has the same CT can compute it.

    >>> fingerprint_of(np.zeros((1, 2, 2), dtype=np.int16))
    'af5570f5a1810b7a'
    """
    return hashlib.sha256(hu.tobytes()).hexdigest()[:HASH_DIGITS]


def notices_of(notices: Sequence[str], cases: Iterable[Case]) -> tuple[str, ...]:
    """Return what everyone who uses some cases must know, each notice once.

    notices: those of the cohort.

    >>> from recontour.cohort import Cohort
    >>> cohort = Cohort.open(Path("south"))
    >>> notices_of(cohort.notices, cohort)
    ()
    """
    known = list(notices)
    if any(case.is_phantom for case in cases):
        known.append(PHANTOM_NOTICE)
    return tuple(dict.fromkeys(known))


def is_synthetic(notices: Iterable[str]) -> bool:
    """Say whether notices tell that the patients are a phantom.

    >>> is_synthetic([PHANTOM_NOTICE]), is_synthetic([])
    (True, False)
    """
    return any(notice.startswith(SYNTHETIC) for notice in notices)


def with_one_ct(cases: Iterable[Case]) -> list[list[Case]]:
    """Group the cases, of one or more cohorts, whose CT is another's: equal, or nearly equal.

    See `tissue` for what is nearly equal.

    >>> from recontour.cohort import Cohort
    >>> with_one_ct(Cohort.open(Path("south")))
    []
    """
    ordered = list(cases)
    return joined(ordered, [*with_equal_cts(ordered), *with_nearly_equal_cts(ordered)])


def with_equal_cts(cases: Iterable[Case]) -> list[list[Case]]:
    """Group the cases that share their CT to the voxel; only CTs that share a grid are read.

    >>> with_equal_cts([])
    []
    """
    by_grid: dict[Grid, list[Case]] = {}
    for case in cases:
        by_grid.setdefault(case.grid, []).append(case)
    by_ct: dict[str, list[Case]] = {}
    for alike in by_grid.values():
        if len(alike) > 1:
            for case in alike:
                by_ct.setdefault(case.fingerprint, []).append(case)
    return [alike for alike in by_ct.values() if len(alike) > 1]


def with_nearly_equal_cts(cases: Iterable[Case]) -> list[list[Case]]:
    """Pair the cases whose CTs are nearly equal; CTs are read only of cases without a profile."""
    pairs = []
    for one, other in combinations(cases, 2):
        if nearly_equal(one.profile, other.profile):
            pairs.append([one, other])
    return pairs


def joined(cases: Sequence[Case], groups: Iterable[Sequence[Case]]) -> list[list[Case]]:
    """Return those of the cases that groups join with others, in the order of the cases.

    Groups that share a case become one.
    """
    together = {case: [case] for case in cases}
    for group in groups:
        for case in group[1:]:
            _join(together, group[0], case)
    found = []
    for case in cases:
        alike = [other for other in cases if together[other] is together[case]]
        if len(alike) > 1 and alike[0] is case:
            found.append(alike)
    return found


def _join(together: dict[Case, list[Case]], one: Case, other: Case) -> None:
    """Make one group of those that two cases belong to."""
    mine, theirs = together[one], together[other]
    if mine is not theirs:
        mine.extend(theirs)
        together.update(dict.fromkeys(theirs, mine))
