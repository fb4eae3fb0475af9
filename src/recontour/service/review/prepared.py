"""What the page shows of a draft: its CT as bare voxels, its contours as rings.

It is made once, when the draft is, so that opening a patient is reading, not decoding.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.dicom import Scan
from recontour.geometry import Grid, StructureSet
from recontour.service.review.planes import Rings, as_plain, from_plain, slices_of
from recontour.service.store import Draft

VOLUME = "volume.npy"  # int16, Hounsfield units, (slice, row, column), little endian
SHOWN = "shown.json"  # the grid and the contours
STRUCTURES = "RS.dcm"  # the draft itself
KEPT = 8  # drafts in memory

ByOrgan = Mapping[str, Mapping[int, Rings]]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A draft as the page shows it. contours: by organ and slice. folder: the draft's.

    draft_uid: its SOP Instance UID. Unlike its number, and its folder, it is never given again when
    a patient's data was deleted.
    """

    folder: Path
    draft_uid: str
    grid: Grid
    contours: ByOrgan

    def volume(self) -> npt.NDArray[np.int16]:
        """Return the voxels, mapped: read from the disk as needed.

        Nobody keeps them: the space of a deleted file that is mapped is not free.
        """
        mapped: npt.NDArray[np.int16] = np.load(self.folder / VOLUME, mmap_mode="r")
        return mapped


def prepare(
    folder: Path,
    scan: Scan,
    structures: StructureSet,
) -> None:
    """Write what the page shows of a draft into the draft's folder.

    structures: as `read_structure_set` reads them from the draft, under its names.
    """
    contours = {}
    for structure in structures.structures:
        contours[structure.name] = as_plain(slices_of(structure.contours, scan.grid))
    np.save(folder / VOLUME, _hounsfield(scan))
    shown = {"grid": grid_as_plain(scan.grid), "contours": contours}
    (folder / SHOWN).write_text(json.dumps(shown, separators=(",", ":")), encoding="utf-8")


def _hounsfield(scan: Scan) -> npt.NDArray[np.int16]:
    """Return Hounsfield units as int16, rounded where the CT has fractions."""
    hu = scan.hu
    if hu.dtype != np.int16:
        limits = np.iinfo(np.int16)
        hu = np.clip(np.rint(hu), limits.min, limits.max).astype(np.int16)
    return np.ascontiguousarray(hu, dtype="<i2")


def grid_as_plain(grid: Grid) -> dict[str, Any]:
    """Return a grid as JSON holds it."""
    return {
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "slice_z_mm": list(grid.slice_z_mm),
        "origin_mm": list(grid.origin_mm),
    }


def grid_from_plain(stored: Mapping[str, Any]) -> Grid:
    """Return a grid from JSON."""
    slices, rows, columns = stored["shape"]
    row_mm, column_mm = stored["spacing_mm"]
    x_mm, y_mm = stored["origin_mm"]
    return Grid(
        shape=(slices, rows, columns),
        spacing_mm=(row_mm, column_mm),
        slice_z_mm=tuple(stored["slice_z_mm"]),
        origin_mm=(x_mm, y_mm),
    )


def prepared(site_folder: Path, draft: Draft) -> Prepared:
    """Read what `prepare` wrote of a draft; a draft never changes, so it is read once.

    Raises: OSError: it is not there.
    """
    names = tuple(draft.organs.items())
    return _prepared(site_folder / draft.folder, draft.sop_instance_uid, names)


@lru_cache(maxsize=KEPT)
def _prepared(
    folder: Path,
    draft_uid: str,
    names: tuple[tuple[str, str], ...],
) -> Prepared:
    """Read what `prepare` wrote. names: TG-263 names, and what the draft's file calls them."""
    shown = json.loads((folder / SHOWN).read_text(encoding="utf-8"))
    organ_by_name = {name: organ for organ, name in names}
    contours = {}
    for name, slices in shown["contours"].items():
        contours[organ_by_name.get(name, name)] = from_plain(slices)
    return Prepared(folder, draft_uid, grid_from_plain(shown["grid"]), contours)
