"""What import would make of an archive's ROI names; nothing is stored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.cohort.importing import no_series
from recontour.cohort.masks import masks_of, structures
from recontour.cohort.partly import PartialUse, read_ends
from recontour.cohort.traits import traits_of
from recontour.dicom import Pair, Unused, read_archive, read_series
from recontour.dicom.findings import Kinds
from recontour.errors import DicomError, GridMismatchError, NoSeriesError
from recontour.files import refuse_as_output, write_text
from recontour.findings import Finding
from recontour.organs import (
    NameRow,
    drafted_map,
    match_drawn,
    notes_on_map,
    ordered,
    read_user_map,
)
from recontour.progress import Progress, quiet


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What import would make of an archive's ROI names: the answer of `preview_import`.

    Attributes:
        structure_sets: How many were read, one for each CT.
        names: What would become of each ROI name, and in how many structure sets. It is for the
            screen only.
        left_out: What import would leave out before it looks at the contours.
        notes: What may be mistaken in the map of names, and what would become of organs that are
            partly contoured.
        skipped: Kinds of objects that are neither CT slices nor contours, and how many there are.

    Examples:
        >>> import recontour
        >>> preview = recontour.preview_import("dicom/south")
        >>> [(row.roi_name, row.tg263, count) for row, count in preview.names[:1]]
        [('Brain Stem', 'Brainstem', 2)]
    """

    structure_sets: int
    names: tuple[tuple[NameRow, int], ...]
    left_out: tuple[Unused, ...]
    notes: tuple[Finding, ...]
    skipped: Kinds = ()


def preview_import(
    dicom_dir: Path | str,
    *,
    names: Path | str | None = None,
    new_organs: Sequence[str] = (),
    partial: Sequence[str] = (),
    draft_map: Path | str | None = None,
    progress: Progress = quiet,
) -> ImportPreview:
    """Say what `import_dicom` would make of an archive's ROI names, without making a cohort.

    Args:
        dicom_dir: A folder of DICOM files, nested and named in any way.
        names: A TOML file of the centre's own ROI names (docs/reference/names.md).
        new_organs: Names to accept on the right side of that file although TG-263 does not list
            them.
        partial: Organs that are partly contoured in these patients, as in `import_dicom`.
        draft_map: A new file: such a TOML file to fill in, with every name that is unknown or
            ambiguous, and guesses at its organ. If None, nothing is written.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        What would become of each ROI name, and which files would be left out.

    Raises:
        NoSeriesError: There is no such folder, or no CT series in it.
        NamesError: The map of names cannot be used, or `partial` is not understood.
        OutputError: The file of draft_map exists, or cannot be made.

    Examples:
        >>> import recontour
        >>> preview = recontour.preview_import("dicom/south", draft_map="draft.toml")
        >>> preview.structure_sets
        2
    """
    dicom_dir = Path(dicom_dir)
    user_map = read_user_map(Path(names) if names else None, new_organs)
    use = PartialUse(read_ends(partial, user_map.values()))
    if draft_map is not None:
        refuse_as_output(Path(draft_map))
    archive = read_archive(dicom_dir)
    if not archive.series:
        raise NoSeriesError(no_series(dicom_dir, archive))
    counts: Counter[NameRow] = Counter()
    left_out = [*archive.unreadable, *archive.left_out]
    read = 0
    for done, pair in enumerate(archive.pairs):
        progress("reading", done, len(archive.pairs), "")
        try:
            rows = _rows_of(pair, user_map, use)
        except (DicomError, GridMismatchError) as error:
            left_out.append(Unused(pair.series.place, pair.series.uid, error.finding))
            continue
        read += 1
        counts.update(set(rows))
    progress("reading", len(archive.pairs), len(archive.pairs), "")
    rows_met = ordered(counts)
    roi_names = [row.roi_name for row, _ in rows_met]
    preview = ImportPreview(
        structure_sets=read,
        names=rows_met,
        left_out=tuple(left_out),
        notes=(*notes_on_map(user_map, roi_names), *use.foreseen()),
        skipped=archive.skipped,
    )
    if draft_map is not None:
        write_text(Path(draft_map), drafted_map(preview.names))
    return preview


def _rows_of(
    pair: Pair,
    user_map: Mapping[str, str],
    use: PartialUse,
) -> tuple[NameRow, ...]:
    """Return what would become of the names of one structure set.

    use: counts what would become of its partly contoured organs.
    Raises: as `read_series`.
    """
    scan = read_series(pair.series.files)
    drawn = structures(pair.structure_set, scan.grid, scan, _unheard)
    table = match_drawn(drawn, user_map)
    said = {name: organ for name, organ in table.mapped.items() if organ in use.said}
    masks = masks_of(drawn, said, scan.grid, _unheard)
    use.meet(masks, traits_of(masks, scan.grid, use.said).partly_contoured)
    return table.rows


def _unheard(_note: Finding) -> None:
    """Take a note on contours, which only the import itself shows."""
