"""Contour a CT: a first draft for a person to review."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from recontour.assess.caveats import keys_of_other_salts, patient_key, trained_on_scan
from recontour.assess.findings import IncomparableKeys, PhantomAndPatient
from recontour.cohort import is_synthetic
from recontour.cohort.patients import Salt, salt_if_any
from recontour.contouring.contourer import Contourer
from recontour.contouring.findings import OrganUnlikeTraining
from recontour.contouring.likeness import (
    body_unlike,
    in_parts,
    is_unlike_as_a_whole,
    organ_unlike,
)
from recontour.contouring.predict import chosen_organs
from recontour.contouring.review import ToReview, review_order
from recontour.dicom import (
    Archive,
    Authorship,
    Scan,
    person_of,
    read_archive,
    refuse_without_uids,
    scan_of,
    write_segmentation,
    write_structure_set,
)
from recontour.errors import NamesError, OrganError, SettingsError, UnlikeTrainingError
from recontour.exchange.nifti import affine_ras, write_nifti
from recontour.files import is_name, refuse_as_output, whole_folder
from recontour.findings import Finding, log_finding
from recontour.geometry import traced
from recontour.geometry.arrays import Mask
from recontour.network import name_of
from recontour.network.paths import parts_of
from recontour.network.traits import body_of, organ_traits
from recontour.organs import Template, misplaced_organs
from recontour.organs.findings import SwappedSides
from recontour.progress import Progress, quiet
from recontour.validation import NotAChoice
from recontour.wording import shown
from recontour.workflows.findings import (
    ModelNotice,
    MostOrgansNotFound,
    MostUnlikeTraining,
    NoFileName,
    NoOrganFound,
    NoRanges,
    UnsuitableModel,
)
from recontour.workflows.paths import refuse_for_contouring

ContourFormat = Literal["rtstruct", "seg", "nifti"]
# Warnings that hold for every CT that a model contours.
ABOUT_THE_MODEL = (ModelNotice, NoRanges, IncomparableKeys)
OrganMasks = Iterable[tuple[str, Mask]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Contoured:
    """What `contour` found on a CT.

    Attributes:
        volumes_cc: The volume of each organ that was found, in cc, by its TG-263 name.
        not_found: The organs without a voxel.
        warnings: What a person should check.
        names: What each organ that was found is called in the output, by its TG-263 name.
        unlike_training: The organs whose contours are unlike those that the model learnt from.
        notices: What everyone who uses the model must know.
        review_order: Every organ that was searched for, in the order in which to look at them:
            first gross failures, then those about which the network is least decided.

    Examples:
        >>> import recontour
        >>> found = recontour.contour("north.safetensors", "dicom/new-patient", "second-draft.dcm")
        >>> min(found.volumes_cc.values()) > 0
        True
    """

    volumes_cc: Mapping[str, float]
    not_found: tuple[str, ...]
    warnings: tuple[Finding, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    unlike_training: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    review_order: tuple[ToReview, ...] = ()


def contour(
    model: Path | str,
    ct_dir: Path | str,
    out: Path | str,
    *,
    organs: Sequence[str] | None = None,
    format: ContourFormat = "rtstruct",
    template: Template | None = None,
    anyway: bool = False,
    contourer: Contourer | None = None,
    archive: Archive | None = None,
    progress: Progress = quiet,
) -> Contoured:
    """Contour one CT series; `contour_all` contours every series of a folder.

    Nothing is written if anything fails, or if no organ is found. What speaks against a contour is
    also in the file: in an RTSTRUCT as the descriptions of the ROI and of the structure set, in a
    SEG as that of the segment. NIfTI has no place for it.

    Args:
        model: A model file, or TRUNK+HEAD.
        ct_dir: A folder with exactly one CT series.
        out: The file to write; a new folder for "nifti".
        organs: TG-263 names; if None, those of the template, or else all of the model's.
        format: "rtstruct" and "seg" write one DICOM file that references the CT. "nifti" writes a
            folder with a mask ORGAN.nii.gz for each organ, since organs may overlap.
        template: How structures are named, coloured and labelled, as `read_template` returns it. If
            None, they have TG-263 names.
        anyway: Write a file also if the body, or most contours, are unlike those that the model
            learnt from, or if one of model and CT is of recontour's phantom and the other is not.
        contourer: The same model, loaded before. For many CTs it is then loaded and compiled once.
        archive: What lies in `ct_dir`, if it was read before.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        Volumes in cc by organ, the organs that were not found, and warnings.

    Raises:
        UnlikeTrainingError: The model does not suit the CT; see `anyway`.
        RecontourError: The model, the CT or the output cannot be used, or no organ was found.

    Examples:
        >>> import recontour
        >>> found = recontour.contour("north.safetensors", "dicom/new-patient", "draft.dcm")
        >>> sorted([*found.volumes_cc, *found.not_found])
        ['Brainstem', 'Lens_L']
    """
    model, ct_dir, out = Path(model), Path(ct_dir), Path(out)
    refuse_unknown_format(format)
    refuse_as_output(out)
    refuse_for_contouring(model, ct_dir)
    template = template or Template()
    contourer = contourer or Contourer.load(model)
    salt = salt_beside(model)
    job = Job.of(
        contourer,
        model,
        organs,
        format,
        template,
        anyway=anyway,
        salt_name=salt.name if salt else None,
    )
    note_lines_of_others(template, contourer)
    scan = scan_of(archive or read_archive(ct_dir))
    patient = patient_key(person_of(scan.source.header).id, salt)
    return job.contour(scan, patient, ct_dir, out, progress)


def note_lines_of_others(template: Template, contourer: Contourer) -> None:
    """Log which lines on the output are of no organ of the model's."""
    others = template.lines_of_others(contourer.model.organs)
    if others:
        log_finding(log, logging.INFO, others)


def salt_beside(model: Path) -> Salt | None:
    """Return the salt beside a model, or else the user's own; None if there is neither."""
    *_, file = parts_of(model)
    return salt_if_any(file)


def refuse_unknown_format(format: str) -> None:
    """Raise SettingsError for a format that there is not."""
    if format not in WRITERS:
        raise SettingsError(
            NotAChoice(
                name="--format",
                choices=tuple(WRITERS),
                seen=format,
            )
        )


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with each CT: with which model, for which organs, and how it is written.

    wanted: TG-263 names, in the order of the output. anyway: write a file also if the CT or the
    contours are unlike those that the model learnt from. salt_name: of the salt with which the keys
    of the CTs' patients are made; None if there is none.
    """

    contourer: Contourer
    wanted: tuple[str, ...]
    format: ContourFormat
    author: Authorship
    anyway: bool = False
    salt_name: str | None = None

    @classmethod
    def of(
        cls,
        contourer: Contourer,
        model: Path,
        organs: Sequence[str] | None,
        format: ContourFormat,
        template: Template,
        *,
        anyway: bool = False,
        salt_name: str | None = None,
        called: str | None = None,
    ) -> Self:
        """Check what is wanted against a model.

        called: what the output calls the model; None: its file's name.
        Raises: OrganError: the model does not contour an organ. NamesError: an organ would have
            several names in the output, two would have one, or a line is of an organ nobody knows.
        """
        template.refuse_unknown(contourer.model.organs)
        wanted = chosen_organs(contourer.model, organs or template.organs)
        template.refuse_unsuitable(wanted)
        lineage = contourer.model.provenance.lineage
        author = Authorship(
            model=f"{called or name_of(model)} ({lineage})",
            label=template.label,
            description=template.description,
            is_draft=True,
            template=template,
        )
        return cls(contourer, wanted, format, author, anyway, salt_name)

    def contour(
        self,
        scan: Scan,
        patient: str | None,
        place: Path,
        out: Path,
        progress: Progress,
    ) -> Contoured:
        """Contour a CT and write what is found.

        patient: the key of whom the CT is of; None if unknown. place: of the CT, for errors.
        """
        found = _Found(self, scan, patient, progress)
        found.refuse_other_patients(place)
        said = filter(None, (self.author.description, found.description))
        author = replace(self.author, description="\n".join(said), remarks=found.remarks)
        WRITERS[self.format](out, found.masks(place), scan, author)
        progress("contouring", len(self.wanted), len(self.wanted), "")
        return found.report()


class _Found:
    """Contours a scan organ by organ, and keeps what the report says of each.

    remarks: by organ, what a reader of its contour must know; complete once all masks are made.
    """

    def __init__(
        self,
        job: Job,
        scan: Scan,
        patient: str | None,
        progress: Progress,
    ) -> None:
        self._job = job
        self._scan = scan
        self._patient = patient
        self._wanted = job.wanted
        self._progress = progress
        provenance = job.contourer.model.provenance
        self._notices = provenance.notices
        self._ranges = provenance.ranges
        self._body = body_of(scan.hu, scan.grid)
        self._of_the_ct = tuple(self._about_the_ct())
        self._volumes_cc: dict[str, float] = {}
        self._middles_x_mm: dict[str, float] = {}
        self._soft_dice: dict[str, float] = {}
        self._unlike: dict[str, OrganUnlikeTraining] = {}
        self._in_parts: list[Finding] = []
        self.remarks: dict[str, str] = {}

    @property
    def description(self) -> str:
        """Return what a reader of all contours must know; empty if there is nothing."""
        against = [f"{finding.sentence()}." for finding in self._of_the_ct]
        return "\n".join([*self._notices, *against])

    def _about_the_ct(self) -> Iterator[Finding]:
        """Yield what speaks against the model on this CT, before anything is contoured."""
        phantom_model = is_synthetic(self._notices)
        if phantom_model != self._scan.source.is_phantom:
            yield PhantomAndPatient(model_of_phantom=phantom_model)
        unlike = body_unlike(self._ranges, self._body.traits()) if self._ranges else None
        if unlike:
            yield unlike

    def refuse_other_patients(self, place: Path) -> None:
        """Raise UnlikeTrainingError if the CT is unlike those that the model learnt from."""
        if self._of_the_ct and not self._job.anyway:
            raise UnlikeTrainingError(UnsuitableModel(path=place, reasons=self._of_the_ct))

    def masks(self, place: Path) -> Iterator[tuple[str, Mask]]:
        """Yield the organs that are found, while they are written; only SEG needs all at once.

        Raises: OrganError: there is none. UnlikeTrainingError: most of them are unlike those that
            the model learnt from.
        """
        scan = self._scan
        for draft in self._job.contourer.drafts(scan.hu, scan.grid, self._wanted):
            organ, mask = draft.organ, draft.mask
            self._progress("contouring", len(self._volumes_cc), len(self._wanted), organ)
            if mask.any():
                self._volumes_cc[organ] = scan.grid.volume_cc(mask)
                self._middles_x_mm[organ] = scan.grid.middle_x_mm(mask)
                self._soft_dice[organ] = draft.soft_dice
                self._examine(organ, mask)
                yield organ, mask
        if not self._volumes_cc:
            raise OrganError(NoOrganFound(path=place, organs=tuple(self._wanted)))
        found = len(self._volumes_cc)
        if is_unlike_as_a_whole(len(self._unlike), found) and not self._job.anyway:
            most = MostUnlikeTraining(unlike=tuple(self._unlike.values()), found=found)
            raise UnlikeTrainingError(UnsuitableModel(path=place, reasons=(most,)))

    def _examine(self, organ: str, mask: Mask) -> None:
        """Note what speaks against one contour."""
        against: list[Finding] = []
        if self._ranges:
            traits = organ_traits(self._scan.hu, self._scan.grid, mask, self._body)
            unlike = organ_unlike(self._ranges, organ, traits)
            if unlike:
                self._unlike[organ] = unlike
                against.append(unlike)
        parts = in_parts(organ, mask)
        if parts:
            self._in_parts.append(parts)
            against.append(parts)
        if against:
            self.remarks[organ] = "; ".join(finding.sentence() for finding in against)

    def report(self) -> Contoured:
        """Return what was found."""
        not_found = [organ for organ in self._wanted if organ not in self._volumes_cc]
        provenance = self._job.contourer.model.provenance
        warnings: list[Finding] = [*self._scan.notes, *self._of_the_ct]
        warnings += trained_on_scan(provenance, self._scan, self._patient)
        warnings += keys_of_other_salts(provenance, self._job.salt_name)
        warnings += [ModelNotice(notice=notice) for notice in self._notices]
        if self._ranges is None:
            warnings.append(NoRanges())
        misplaced = misplaced_organs(self._middles_x_mm)
        against = [*misplaced, *self._unlike.values(), *self._in_parts]
        warnings += [*self._unlike.values(), *self._in_parts, *misplaced]
        if len(not_found) > len(self._volumes_cc):
            few = MostOrgansNotFound(found=len(self._volumes_cc), not_found=len(not_found))
            warnings.append(few)
        return Contoured(
            volumes_cc=self._volumes_cc,
            not_found=tuple(not_found),
            warnings=tuple(warnings),
            names={organ: self._job.author.template.name_of(organ) for organ in self._volumes_cc},
            unlike_training=tuple(self._unlike),
            notices=self._notices,
            review_order=review_order(self._wanted, self._soft_dice, _by_organ(against)),
        )


def _by_organ(against: Iterable[Finding]) -> Mapping[str, Sequence[Finding]]:
    """Sort findings by the organs that they are about."""
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    for one in against:
        organs = (one.left, one.right) if isinstance(one, SwappedSides) else (one.organ,)
        for organ in filter(None, organs):
            found[organ].append(one)
    return found


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
    author: Authorship,
) -> None:
    # Refuse slices that are not evenly spaced before the work, not after.
    affine_ras(scan.grid)
    with whole_folder(folder) as partial:
        for organ, mask in masks:
            name = author.template.name_of(organ)
            if not is_name(name):
                raise NamesError(NoFileName(organ=organ, roi_name=shown(name)))
            write_nifti(partial / f"{name}.nii.gz", mask, scan.grid)


WRITERS: Mapping[ContourFormat, Callable[[Path, OrganMasks, Scan, Authorship], None]] = {
    "rtstruct": _write_rtstruct,
    "seg": write_segmentation,
    "nifti": _write_nifti,
}
