"""Contour a CT: a first draft for a person to review."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recontour.contouring.contourer import Contourer
from recontour.contouring.predict import chosen_organs
from recontour.dicom import (
    Authorship,
    Scan,
    read_scan,
    refuse_without_uids,
    write_segmentation,
    write_structure_set,
)
from recontour.errors import OrganError, SettingsError
from recontour.exchange.nifti import affine_ras, write_nifti
from recontour.files import refuse_existing, whole_folder
from recontour.findings import Finding
from recontour.geometry import traced
from recontour.geometry.arrays import Mask
from recontour.network import name_of
from recontour.organs import sides_swapped
from recontour.progress import Progress, quiet
from recontour.validation import NotAChoice
from recontour.workflows.findings import MostOrgansNotFound, NoOrganFound
from recontour.workflows.order import refuse_swapped

ContourFormat = Literal["rtstruct", "seg", "nifti"]
OrganMasks = Iterable[tuple[str, Mask]]


@dataclass(frozen=True, slots=True)
class Contoured:
    """What `contour` found on a CT.

    Attributes:
        volumes_cc: The volume of each organ that was found, in cc, by its TG-263 name.
        not_found: The organs without a voxel.
        warnings: What a person should check.

    Examples:
        >>> import recontour
        >>> found = recontour.contour("north.safetensors", "dicom/new-patient", "second-draft.dcm")
        >>> min(found.volumes_cc.values()) > 0
        True
    """

    volumes_cc: Mapping[str, float]
    not_found: tuple[str, ...]
    warnings: tuple[Finding, ...]


def contour(
    model: Path | str,
    ct_dir: Path | str,
    out: Path | str,
    *,
    organs: Sequence[str] | None = None,
    format: ContourFormat = "rtstruct",
    contourer: Contourer | None = None,
    progress: Progress = quiet,
) -> Contoured:
    """Contour one CT series.

    Nothing is written if anything fails, or if no organ is found.

    Args:
        model: A model file, or TRUNK+HEAD.
        ct_dir: A folder with exactly one CT series.
        out: The file to write; a new folder for "nifti".
        organs: TG-263 names; all of the model's if None.
        format: "rtstruct" and "seg" write one DICOM file that references the CT. "nifti" writes a
            folder with a mask ORGAN.nii.gz for each organ, since organs may overlap.
        contourer: The same model, loaded before. For many CTs it is then loaded and compiled once.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        Volumes in cc by organ, the organs that were not found, and warnings.

    Raises:
        RecontourError: The model, the CT or the output cannot be used, or no organ was found.

    Examples:
        >>> import recontour
        >>> found = recontour.contour("north.safetensors", "dicom/new-patient", "draft.dcm")
        >>> sorted([*found.volumes_cc, *found.not_found])
        ['Brainstem', 'Lens_L']
    """
    model, ct_dir, out = Path(model), Path(ct_dir), Path(out)
    if format not in WRITERS:
        raise SettingsError(
            NotAChoice(
                name="--format",
                choices=tuple(WRITERS),
                seen=format,
            )
        )
    refuse_existing(out)
    refuse_swapped(model, ct_dir, "MODEL CT_DIR")
    contourer = contourer or Contourer.load(model)
    wanted = chosen_organs(contourer.model, organs)
    scan = read_scan(ct_dir)
    found = _Found(contourer, scan, wanted, progress)
    author = Authorship(model=f"{name_of(model)} ({contourer.model.provenance.lineage})")
    WRITERS[format](out, found.masks(ct_dir), scan, author)
    progress("contouring", len(wanted), len(wanted), "")
    return found.report()


class _Found:
    """Contours a scan organ by organ, and keeps what the report says of each."""

    def __init__(
        self,
        contourer: Contourer,
        scan: Scan,
        wanted: Sequence[str],
        progress: Progress,
    ) -> None:
        self._contourer = contourer
        self._scan = scan
        self._wanted = wanted
        self._progress = progress
        self._volumes_cc: dict[str, float] = {}
        self._middles_x_mm: dict[str, float] = {}

    def masks(self, ct_dir: Path) -> Iterator[tuple[str, Mask]]:
        """Yield the organs that are found, while they are written; only SEG needs all at once."""
        scan = self._scan
        for organ, mask in self._contourer.contour(scan.hu, scan.grid, self._wanted):
            self._progress("contouring", len(self._volumes_cc), len(self._wanted), organ)
            if mask.any():
                self._volumes_cc[organ] = scan.grid.volume_cc(mask)
                self._middles_x_mm[organ] = scan.grid.middle_x_mm(mask)
                yield organ, mask
        if not self._volumes_cc:
            raise OrganError(NoOrganFound(path=ct_dir, organs=tuple(self._wanted)))

    def report(self) -> Contoured:
        """Return what was found."""
        not_found = [organ for organ in self._wanted if organ not in self._volumes_cc]
        warnings: list[Finding] = [*self._scan.notes, *sides_swapped(self._middles_x_mm)]
        if len(not_found) > len(self._volumes_cc):
            few = MostOrgansNotFound(found=len(self._volumes_cc), not_found=len(not_found))
            warnings.append(few)
        return Contoured(self._volumes_cc, tuple(not_found), tuple(warnings))


def _write_rtstruct(
    path: Path,
    masks: OrganMasks,
    scan: Scan,
    author: Authorship,
) -> None:
    # Refuse before the masks are made, not after.
    refuse_without_uids(path, scan.source)
    write_structure_set(path, traced(masks, scan.grid), scan, author)


def _write_nifti(
    folder: Path,
    masks: OrganMasks,
    scan: Scan,
    _author: Authorship,
) -> None:
    # Refuse slices that are not evenly spaced before the work, not after.
    affine_ras(scan.grid)
    with whole_folder(folder) as partial:
        for organ, mask in masks:
            write_nifti(partial / f"{organ}.nii.gz", mask, scan.grid)


WRITERS: Mapping[ContourFormat, Callable[[Path, OrganMasks, Scan, Authorship], None]] = {
    "rtstruct": _write_rtstruct,
    "seg": write_segmentation,
    "nifti": _write_nifti,
}
