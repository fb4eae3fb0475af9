"""A cohort -> the folders of other tools.

nnunet    the raw data set of nnU-Net v2
nifti     one folder per case, as TotalSegmentator lays it out
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from recontour.cohort import Case, Cohort
from recontour.cohort.doubts import cohort_warnings
from recontour.errors import OrganError, SettingsError
from recontour.exchange.findings import (
    NothingToExport,
    NotNnunetFolder,
    OrgansNotContoured,
    OrgansPartlyContoured,
)
from recontour.exchange.nifti import uneven_slices, write_nifti
from recontour.files import refuse_as_output, whole_folder
from recontour.findings import Finding, log_finding
from recontour.progress import Progress, quiet
from recontour.validation import NotAChoice

Format = Literal["nnunet", "nifti"]
FORMATS: tuple[Format, ...] = get_args(Format)
log = logging.getLogger(__name__)
DATASET = re.compile(r"Dataset\d{3}_\w+", re.ASCII)  # what nnU-Net v2 calls a data set's folder


@dataclass(frozen=True, slots=True)
class Exported:
    """What `export` wrote, and what it left out.

    Attributes:
        cases: The ids of the cases that were written.
        organs: TG-263 names; for nnU-Net in the order of their labels, from 1.
        left_out: One finding per case that was not written.
        shared_voxels: How many voxels lie in several organs, by case; only for nnU-Net.

    Examples:
        >>> import recontour
        >>> written = recontour.export("north-test", "north-test-nifti", format="nifti")
        >>> len(written.cases), written.organs
        (1, ('Brainstem', 'Lens_L'))
    """

    cases: tuple[str, ...]
    organs: tuple[str, ...]
    left_out: tuple[Finding, ...]
    shared_voxels: Mapping[str, int]


def export(
    cohort: Path | str,
    out: Path | str,
    *,
    format: Format,
    organs: Sequence[str] | None = None,
    progress: Progress = quiet,
) -> Exported:
    """Write a cohort's CTs and masks as NIfTI into a new folder; it appears whole or not at all.

    Cases whose slices are not evenly spaced are left out: NIfTI cannot hold them, and nothing is
    resampled.

    Args:
        cohort: A cohort folder.
        out: The folder to write; it must not exist. nnU-Net wants a name such as Dataset001_North.
        format: "nnunet" writes a raw data set of nnU-Net v2. Its label maps can hold neither
            unknown organs nor overlaps: cases that lack one of the organs, or have one partly
            contoured, are left out, and a voxel of several organs goes to the one with the smallest
            median volume. "nifti" writes one folder per case, with ct.nii.gz and
            segmentations/ORGAN.nii.gz for each organ of the case.
        organs: TG-263 names; all that the cohort has if None.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        What was written, and what was left out and why.

    Raises:
        CohortError: There is no cohort.
        OrganError: The cohort does not have the organs, or no case can be written.
        SettingsError: The format is unknown, or nnU-Net does not read such a name.
        OutputError: The folder exists.

    Examples:
        >>> import recontour
        >>> written = recontour.export("north-train", "north-nifti", format="nifti")
        >>> written.left_out
        ()
    """
    cohort, out = Path(cohort), Path(out)
    _refuse_odd(format, out)
    refuse_as_output(out)
    opened = Cohort.open(cohort)
    for doubt in cohort_warnings(opened, list(opened)):
        log_finding(log, logging.WARNING, doubt)
    chosen = opened.chosen_organs(organs)
    cases, left_out = _divided(opened, chosen, format)
    if not cases:
        reasons = dict.fromkeys(replace(reason, case=None) for reason in left_out)
        nothing = NothingToExport(
            path=cohort,
            format=format,
            reasons=tuple(reasons),
        )
        raise OrganError(nothing)
    shared_voxels = {}
    painting = _largest_first(cases, chosen) if format == "nnunet" else []
    with whole_folder(out) as folder:
        for done, case in enumerate(cases):
            progress("exporting", done, len(cases), case.id)
            if format == "nifti":
                _write_masks(folder / case.id, case, chosen)
            else:
                shared_voxels[case.id] = _write_labels(folder, case, chosen, painting)
        if format == "nnunet":
            _write_dataset_json(folder / "dataset.json", opened, chosen, len(cases))
    progress("exporting", len(cases), len(cases), "")
    return Exported(
        cases=tuple(case.id for case in cases),
        organs=chosen,
        left_out=tuple(left_out),
        shared_voxels={case: count for case, count in shared_voxels.items() if count},
    )


def _refuse_odd(format: str, out: Path) -> None:
    """Raise SettingsError for another format, or a folder that nnU-Net would not find."""
    if format not in FORMATS:
        raise SettingsError(NotAChoice(name="--format", choices=FORMATS, seen=format))
    if format == "nnunet" and not DATASET.fullmatch(out.name):
        raise SettingsError(NotNnunetFolder(path=out))


def _divided(
    cohort: Cohort, organs: Sequence[str], format: Format
) -> tuple[list[Case], list[Finding]]:
    """Return the cases that can be written, and why the others cannot."""
    cases = []
    left_out = []
    for case in cohort:
        reason = _why_not(case, organs, needs_all=format == "nnunet")
        if reason:
            left_out.append(reason)
        else:
            cases.append(case)
    return cases, left_out


def _why_not(
    case: Case,
    organs: Sequence[str],
    *,
    needs_all: bool,
) -> Finding | None:
    """Return why a case cannot be written; None if it can."""
    if case.grid.slice_step_mm is None:
        return uneven_slices(case.grid, case.id)
    unknown = tuple(organ for organ in organs if organ not in case.organs)
    if needs_all and unknown:
        return OrgansNotContoured(case=case.id, organs=unknown)
    partial = tuple(organ for organ in organs if organ in case.traits.partly_contoured)
    if needs_all and partial:
        return OrgansPartlyContoured(case=case.id, organs=partial)
    if len(unknown) == len(organs):
        return OrgansNotContoured(case=case.id)
    return None


def _largest_first(cases: Sequence[Case], organs: Sequence[str]) -> list[str]:
    """Sort organs by their median volume, so that small ones are painted last and not buried."""

    def median_cc(organ: str) -> float:
        return median(case.volumes_cc[organ] for case in cases)

    return sorted(organs, key=median_cc, reverse=True)


def _write_masks(
    folder: Path,
    case: Case,
    organs: Sequence[str],
) -> None:
    """Write one case as a CT and a mask for each of the organs that it has."""
    masks = folder / "segmentations"
    masks.mkdir(parents=True)
    write_nifti(folder / "ct.nii.gz", case.hu, case.grid)
    for organ in organs:
        if organ in case.organs:
            write_nifti(masks / f"{organ}.nii.gz", case.mask(organ), case.grid)


def _write_labels(
    folder: Path,
    case: Case,
    organs: Sequence[str],
    painting: Sequence[str],
) -> int:
    """Write one case as a CT and a label map; return how many voxels lay in several organs.

    organs: in the order of their labels. painting: the same, in the order of painting.
    """
    labels: npt.NDArray[np.uint16] = np.zeros(case.grid.shape, dtype=np.uint16)
    is_shared = np.zeros(case.grid.shape, dtype=bool)
    for organ in painting:
        mask = case.mask(organ)
        is_shared |= mask & (labels > 0)
        labels[mask] = organs.index(organ) + 1
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(exist_ok=True)
    write_nifti(folder / "imagesTr" / f"{case.id}_0000.nii.gz", case.hu, case.grid)
    write_nifti(folder / "labelsTr" / f"{case.id}.nii.gz", labels, case.grid)
    return int(np.count_nonzero(is_shared))


def _write_dataset_json(
    path: Path,
    cohort: Cohort,
    organs: Sequence[str],
    cases: int,
) -> None:
    """Write what nnU-Net wants to know of a data set."""
    numbers = {organ: number for number, organ in enumerate(organs, start=1)}
    notices = [f"centre {cohort.centre}, exported by recontour", *cohort.notices]
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **numbers},
        "numTraining": cases,
        "file_ending": ".nii.gz",
        "description": "; ".join(notices),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
