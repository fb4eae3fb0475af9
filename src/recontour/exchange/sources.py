"""Contours that were given for the cases of a cohort: each reads its masks on a case's grid."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.cohort import Case
from recontour.cohort.masks import Note, masks_of, structures
from recontour.dicom import StructureSetFile
from recontour.exchange.labels import mask_of, masks_of_map, names_file_of, nifti_ending
from recontour.findings import Finding
from recontour.geometry.arrays import Mask
from recontour.organs import NameTable, match_drawn, match_names
from recontour.organs.findings import UnknownRoiName

UserMap = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a source has for a case.

    names: all that it has. unused: those that may be an organ's, but nobody knows whose.
    masks: bool (slice, row, column), by TG-263 name, of the case's organs alone.
    """

    masks: Mapping[str, Mask]
    names: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GivenStructureSet:
    """An RTSTRUCT or a SEG. notes: on its choice among others."""

    file: StructureSetFile
    notes: tuple[Finding, ...] = ()

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.file.path

    def read(
        self,
        case: Case,
        user_map: UserMap,
        note: Note,
    ) -> Drawn:
        """Read the organs of a case; one that is not drawn is unknown.

        Raises: DicomError, GridMismatchError.
        """
        for chosen in self.notes:
            note(chosen)
        drawn = structures(self.file, case.grid, None, note)
        table = match_drawn(drawn, user_map)
        organs = {roi: organ for roi, organ in table.mapped.items() if organ in case.organs}
        masks = masks_of(drawn, organs, case.grid, note)
        return Drawn(masks, names_in(table), unused_names(table))


@dataclass(frozen=True, slots=True)
class GivenLabelMap:
    """A NIfTI label map whose labels dataset.json names."""

    path: Path

    @property
    def example(self) -> Path:
        """Return a file that lies as the others do."""
        return self.path

    @property
    def case_names(self) -> tuple[str, ...]:
        """Return what may be the id of its case."""
        return (stem_of(self.path),)

    def read(
        self,
        case: Case,
        user_map: UserMap,
        _note: Note,
    ) -> Drawn:
        """Read the organs of a case; one without a marked voxel was not found.

        Raises: LabelsError, GridMismatchError.
        """
        by_label = masks_of_map(self.path, case.grid)
        return _drawn(by_label, by_label.__getitem__, case, user_map)


@dataclass(frozen=True, slots=True)
class GivenMasks:
    """A folder with one NIfTI mask per organ. files: by name, without the ending."""

    path: Path
    files: Mapping[str, Path]

    @property
    def example(self) -> Path:
        """Return a file that lies as the others do."""
        return next(iter(self.files.values()))

    @property
    def case_names(self) -> tuple[str, ...]:
        """Return what may be the id of its case; `export` writes CASE/segmentations."""
        return (self.path.name, self.path.parent.name)

    def read(
        self,
        case: Case,
        user_map: UserMap,
        _note: Note,
    ) -> Drawn:
        """Read the organs of a case; one without a marked voxel was not found.

        Raises: LabelsError, GridMismatchError.
        """
        return _drawn(
            self.files,
            lambda name: mask_of(self.files[name], case.grid),
            case,
            user_map,
        )


def _drawn(
    names: Iterable[str],
    mask_of_name: Callable[[str], Mask],
    case: Case,
    user_map: UserMap,
) -> Drawn:
    """Return the masks of a case's organs among some names; a mask is read only if it is used."""
    table = match_names(list(names), user_map)
    masks = {}
    for name, organ in table.mapped.items():
        if organ in case.organs:
            masks[organ] = mask_of_name(name)
    return Drawn(masks, names_in(table), unused_names(table))


GivenNifti = GivenLabelMap | GivenMasks
Source = GivenStructureSet | GivenLabelMap | GivenMasks


def nifti_sources(folder: Path, case_ids: Sequence[str]) -> list[GivenNifti]:
    """Return the label maps and the folders of masks under a folder.

    A file is a label map if it is named after a case, or dataset.json says what labels mean; in a
    folder that is named after a case it is a mask.
    """
    found: list[GivenNifti] = []
    masks: dict[Path, dict[str, Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or not nifti_ending(path) or not path.is_file():
            continue
        above = {path.parent.name, path.parent.parent.name}
        is_map = stem_of(path) in case_ids or names_file_of(path) is not None
        if is_map and above.isdisjoint(case_ids):
            found.append(GivenLabelMap(path))
        else:
            masks.setdefault(path.parent, {})[stem_of(path)] = path
    for parent, files in masks.items():
        found.append(GivenMasks(parent, files))
    return found


def stem_of(path: Path) -> str:
    """Return the name of a NIfTI file without its ending.

    >>> stem_of(Path("north-1.nii.gz"))
    'north-1'
    """
    return path.name.removesuffix(nifti_ending(path))


def names_in(table: NameTable) -> tuple[str, ...]:
    """Return all names of a table."""
    return tuple(row.roi_name for row in table.rows)


def unused_names(table: NameTable) -> tuple[str, ...]:
    """Return the names that may be an organ's, but are unknown or ambiguous."""
    found = []
    for row in table.rows:
        if row.status == "ambiguous" or isinstance(row.reason, UnknownRoiName):
            found.append(row.roi_name)
    return tuple(found)
