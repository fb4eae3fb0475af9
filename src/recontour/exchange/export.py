"""A cohort -> the folders of other tools:

nnU-Net's raw data set, or NIfTI as TotalSegmentator lays it out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from recontour.cohort import Case, Cohort
from recontour.errors import OrganError, SettingsError
from recontour.exchange.nifti import write_nifti
from recontour.files import refuse_existing, whole_folder
from recontour.progress import Progress, quiet

FORMATS = ("nnunet", "nifti")
DATASET = re.compile(r"Dataset\d{3}_\w+", re.ASCII)  # what nnU-Net v2 calls a data set's folder


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and what was not."""

    cases: tuple[str, ...]
    organs: tuple[str, ...]  # nnunet: in the order of their labels, from 1
    left_out: Mapping[str, str]  # why, by case
    shared_voxels: Mapping[
        str, int
    ]  # nnunet: by case, the voxels that lay in several organs, if any


def export(
    cohort: Path,
    out: Path,
    *,
    format: str,
    organs: Sequence[str] | None = None,
    progress: Progress = quiet,
) -> Exported:
    """Write a cohort's CTs and masks as NIfTI into a new folder; it appears whole or not at all.

    organs: TG-263 names; all that the cohort has if None.
    format: "nnunet": the raw data set of nnU-Net v2, in a folder called as nnU-Net wants it
        (Dataset001_North). Labels
        have neither unknown organs nor overlaps: cases without some of the organs are left out, and
            a voxel of several organs becomes the one's whose median volume is smallest. "nifti": of
            each case a folder with ct.nii.gz and segmentations/ORGAN.nii.gz of the organs it has.
    Cases whose slices are not evenly spaced are left out: NIfTI cannot hold them, and nothing is
    resampled.
    Raises: CohortError: no cohort. OrganError: organs that it does not have, or no case to write.
        SettingsError: another format, or a name that nnU-Net does not read. OutputError: the folder
        exists.
    """
    if format not in FORMATS:
        raise SettingsError(f"--format {format}: one of {', '.join(FORMATS)} is expected")
    if format == "nnunet" and not DATASET.fullmatch(out.name):
        raise SettingsError(
            f"{out}: nnU-Net reads folders called like Dataset001_North; choose such a name"
        )
    refuse_existing(out)
    opened = Cohort.open(cohort)
    chosen = opened.chosen_organs(organs)
    left_out = {
        case.id: why for case in opened if (why := _why_not(case, chosen, whole=format == "nnunet"))
    }
    cases = [case for case in opened if case.id not in left_out]
    if not cases:
        reasons = "; ".join(dict.fromkeys(left_out.values()))
        raise OrganError(
            f"{cohort}: no case can be written as {format} ({reasons}); choose other --organs, or another --format"
        )
    painting = _smallest_last(cases, chosen) if format == "nnunet" else []
    shared = {}
    with whole_folder(out) as folder:
        for done, case in enumerate(cases):
            progress("exporting", done, len(cases), case.id)
            if format == "nifti":
                _write_masks(folder / case.id, case, chosen)
            elif voxels := _write_labels(folder, case, chosen, painting):
                shared[case.id] = voxels
        if format == "nnunet":
            _write_dataset_json(folder / "dataset.json", opened, chosen, len(cases))
    progress("exporting", len(cases), len(cases), "")
    return Exported(tuple(case.id for case in cases), chosen, left_out, shared)


def _why_not(case: Case, organs: Sequence[str], *, whole: bool) -> str:
    """Why a case cannot be written;

    empty if it can. whole: all of the organs are needed, not just one.
    """
    if case.grid.slice_step_mm is None:
        return "its slices are not evenly spaced"
    unknown = [organ for organ in organs if organ not in case.organs]
    if whole and unknown:
        return f"not contoured: {', '.join(unknown)}"
    return "none of the organs is contoured" if len(unknown) == len(organs) else ""


def _smallest_last(cases: Sequence[Case], organs: Sequence[str]) -> list[str]:
    """The organs by their median volume, so that what is painted last is not buried."""
    return sorted(organs, key=lambda organ: -median(case.volumes_cc[organ] for case in cases))


def _write_masks(folder: Path, case: Case, organs: Sequence[str]) -> None:
    (folder / "segmentations").mkdir(parents=True)
    write_nifti(folder / "ct.nii.gz", case.hu, case.grid)
    for organ in organs:
        if organ in case.organs:
            write_nifti(folder / "segmentations" / f"{organ}.nii.gz", case.mask(organ), case.grid)


def _write_labels(folder: Path, case: Case, organs: Sequence[str], painting: Sequence[str]) -> int:
    """Write one case;

    return how many voxels lay in several organs. painting: the organs, first painted first.
    """
    labels: npt.NDArray[np.uint16] = np.zeros(case.grid.shape, dtype=np.uint16)
    shared = np.zeros(case.grid.shape, dtype=bool)
    for organ in painting:
        mask = case.mask(organ)
        shared |= mask & (labels > 0)
        labels[mask] = organs.index(organ) + 1
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(exist_ok=True)
    write_nifti(folder / "imagesTr" / f"{case.id}_0000.nii.gz", case.hu, case.grid)
    write_nifti(folder / "labelsTr" / f"{case.id}.nii.gz", labels, case.grid)
    return int(np.count_nonzero(shared))


def _write_dataset_json(path: Path, cohort: Cohort, organs: Sequence[str], cases: int) -> None:
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0}
        | {organ: number for number, organ in enumerate(organs, start=1)},
        "numTraining": cases,
        "file_ending": ".nii.gz",
        "description": "; ".join(
            [f"centre {cohort.centre}, exported by recontour", *cohort.notices]
        ),
    }
    path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
