"""What a person sees when a command is done: tables and lines."""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cli.cohort_tables import read_table
from recontour.cli.console import add_row, out, plain, say, table_of
from recontour.cli.facts import conditions, total_cost
from recontour.findings import Finding, words
from recontour.wording import about, plural, short, size_in_words

if TYPE_CHECKING:
    from rich.table import Table

    from recontour.assess.acceptance import Acceptance
    from recontour.cohort import Case, Cohort
    from recontour.cohort.findings import End
    from recontour.cohort.importing import ImportReport
    from recontour.cohort.preview import ImportPreview
    from recontour.cohort.sizes import Sizes, Spread
    from recontour.cohort.who import Who
    from recontour.demo import DemoResult
    from recontour.dicom.deidentify import Deidentified
    from recontour.evaluation import CaseScore, OverallChange
    from recontour.evaluation.gains import Gains
    from recontour.exchange.convert import Converted
    from recontour.exchange.export import Exported
    from recontour.network import Model, ModelCard
    from recontour.network.check import Check, CheckedDsc
    from recontour.organs import NameRow
    from recontour.service.check import Checked, CheckedRule, Tried
    from recontour.service.retention import Forgotten
    from recontour.study.estimate import Forecast
    from recontour.study.study import StudySummary
    from recontour.study.tables import ModelsTable
    from recontour.workflows import (
        CohortContents,
        Contoured,
        Monitored,
        ProtocolComparison,
        SeriesContoured,
    )


MOST_CASES = 6  # named on one line
FIRST_ORGANS = 3  # to look at, on the line of one CT of many
ORGANS_TITLE = "Organs: median and range over cases; area: of the largest slice"


def imported(report: "ImportReport", cohort: "Cohort") -> None:
    """Show what did not enter a cohort, what did, and what became of each ROI name.

    Notes come last. Those on cases that stay as they are were shown when these were imported, so
    they are only counted; `recontour inspect` shows what is kept of them.
    """
    if report.left_out:
        table = table_of("What was not imported", "left out", "where", "why")
        for left in report.left_out:
            add_row(table, left.what, str(left.place), words(left.finding))
        out.print(table)
    for kind, count in report.skipped:
        say(f"skipped: {count} x {kind}")
    for warning in report.warnings:
        say(f"warning: {words(warning)}")
    _names(report.names)
    again = f"{len(report.replaced)} replaced, " if report.replaced else ""
    say(
        f"{len(report.added)} added, {again}{len(report.already_there)} there already, "
        f"{len(report.left_out)} left out: {cohort.path}, centre {cohort.centre}"
    )
    _notes(report.new_notes)
    old = len(report.notes) - len(report.new_notes)
    if old:
        inspect = shlex.join(["recontour", "inspect", str(cohort.path)])
        say(
            f"note: {plural(old, 'note')} on cases that were there before: `{inspect}` shows "
            "those on contours, and --json shows all"
        )
    _whose(report.new_notes, cohort)


def previewed(preview: "ImportPreview", draft: Path | None) -> None:
    """Show what an import would make of the ROI names. draft: the map that was written."""
    from recontour.cohort.lacking import is_unknown
    from recontour.organs.draft import has_open_names

    _names(preview.names, "structure sets")
    if preview.left_out:
        table = table_of("What would not be imported", "where", "why")
        for left in preview.left_out:
            add_row(table, str(left.path), words(left.finding))
        out.print(table)
    _notes(preview.notes)
    statuses = Counter("unknown" if is_unknown(row) else row.status for row, _ in preview.names)
    say(
        f"{plural(preview.structure_sets, 'structure set')}; names: {statuses['mapped']} mapped, "
        f"{statuses['ambiguous']} ambiguous, {statuses['unknown']} unknown, "
        f"{statuses['ignored']} left out for a reason. Nothing was imported."
    )
    if draft is None:
        return
    if has_open_names(preview.names):
        say(f"map to fill in: {draft}; give it to --names")
    else:
        say(
            f"written: {draft}. There is nothing to fill in: every name is an organ's, or is left "
            "out for a reason, which the map gives"
        )


def removed(cases: Sequence[str], cohort: "Cohort") -> None:
    """Show which cases were taken out of a cohort, and how many stay."""
    for case in cases:
        say(f"removed: {case}")
    say(f"{plural(len(cases), 'case')} removed, {len(cohort)} left: {cohort.path}")


def undone(
    cases: Sequence[str],
    cohort: "Cohort",
    following: Sequence[str],
) -> None:
    """Show what undoing an import took out, and whether more can be undone.

    following: the cases that the next undo would take out.
    """
    removed(cases, cohort)
    if following:
        undo = shlex.join(["recontour", "import", "--undo", str(cohort.path)])
        say(
            f"the import before that brought {plural(len(following), 'case')}; to undo it, too, "
            f"run `{undo}` again"
        )


def deidentified(written: "Deidentified", folder: Path) -> None:
    """Show what was written without its patients, what was not, and what a person must check."""
    _names(written.names)
    for left in written.left_out:
        say(f"left out: {words(left.finding)}")
    _notes(written.notes)
    for kind, count in written.skipped:
        say(f"skipped: {count} x {kind}; only CT and structure sets are written")
    say(
        f"{written.series} CT series of {plural(written.patients, 'patient')}, "
        f"{plural(written.structure_sets, 'structure set')}, "
        f"{plural(written.dropped_rois, 'ROI')} without an organ's name dropped, "
        f"{len(written.left_out)} left out: {folder}"
    )
    say(
        "Pixels are unchanged: look for text burned into them, and remember that a head CT can be "
        "rendered to a face. De-identified is not anonymous."
    )


def _names(names: "Sequence[tuple[NameRow, int]]", counted: str = "patients") -> None:
    """Show what became of each ROI name."""
    table = table_of("ROI names", "ROI name", counted, "organ", "why")
    for row, count in names:
        add_row(table, row.roi_name, str(count), row.tg263 or row.status, words(row.reason))
    out.print(table)


def _notes(notes: Iterable[Finding]) -> None:
    for note in notes:
        say(f"note: {words(note)}")


def _whose(notes: Iterable[Finding], cohort: "Cohort") -> None:
    """Show which command says whose the cases are that notes name, if any."""
    from recontour.cohort.findings import WhoseCases, cases_named

    if any(cases_named(note) for note in notes):
        say(words(WhoseCases(cohort=cohort.path)))


def cohort(
    found: "CohortContents",
    page: Path | None = None,
    *,
    says_whose: bool = False,
) -> None:
    """Show what a cohort holds: its usable cases, its organs, what was left out and why.

    page: of all cases, if one was written. says_whose: whose the cases are follows.
    """
    from recontour.cohort import notices_of

    opened, sound = found.cohort, found.cases
    for notice in notices_of(opened.notices, sound):
        say(notice)
    if sound:
        _cases(opened, sound)
        _organs(found.sizes)
    else:
        say(f"Centre {opened.centre}")
    _patients(sound)
    _origins(opened, sound)
    _notes(found.notes)
    if not says_whose:
        _whose(found.notes, opened)
    for name, title in (("names.csv", "ROI names"), ("left_out.csv", "What was not imported")):
        header, rows = read_table(opened.path / name)
        if rows:
            table = table_of(title, *header)
            for row in rows:
                add_row(table, *row)
            out.print(table)
    for case in found.damaged:
        out.print(plain(f"damaged: {case.id}: {words(case.finding)}"), soft_wrap=True)
    if page:
        say(f"page of all cases: {page}")


def who(found: "Who") -> None:
    """Show whom the cases are of: on the screen, and nowhere else."""
    if found.patients:
        columns = ("case", "name", "PatientID", "born", "where")
        table = table_of("Which patient each case is; for this screen only", *columns)
        table.columns[0].no_wrap = True
        for case, patient in found.patients.items():
            add_row(
                table,
                case,
                patient.name,
                patient.id,
                patient.birth_date,
                str(patient.place),
            )
        out.print(table)
    _notes(found.notes)


def _cases(opened: "Cohort", sound: "Sequence[Case]") -> None:
    table = table_of(f"Centre {opened.centre}", "case", "CT", "organs: cc")
    table.columns[0].no_wrap = True
    for case in sound:
        slices, rows, columns = case.grid.shape
        row_mm, column_mm = case.grid.spacing_mm
        voxels = f"{rows} x {columns} x {slices} slices"
        spacing = f"{row_mm:.2f} x {column_mm:.2f} x {_slice_steps(case)} mm"
        organs = [f"{organ} {short(cc)}" for organ, cc in sorted(case.volumes_cc.items())]
        add_row(table, case.id, [voxels, spacing], ", ".join(organs))
    out.print(table)


def _slice_steps(case: "Case") -> str:
    """Print the distances between slices that occur, in mm."""
    steps = {round(above - below, 2) for below, above in pairwise(case.grid.slice_z_mm)}
    return "/".join(map(str, sorted(steps)))


def _organs(sizes: "Mapping[str, Sizes]") -> None:
    """Show what each organ measures over its cases: the median, and below it the range."""
    from recontour.cohort.sizes import organ_summaries

    measures = (("extent", "mm"), ("volume", "cc"), ("area", "cm2"), ("scan's", "end"))
    table = table_of(ORGANS_TITLE, "organ", "cases", "slices", *measures)
    table.columns[0].no_wrap = True
    for organ, of_organ in organ_summaries(sizes).items():
        add_row(
            table,
            organ,
            str(of_organ.cases),
            _spread(of_organ.slices),
            _spread(of_organ.extent_mm),
            _spread(of_organ.volume_cc),
            _spread(of_organ.largest_cm2),
            _cut(of_organ.cut),
        )
    out.print(table)


def _spread(spread: "Spread") -> list[str]:
    """Print a median, and below it the range, if there is one."""
    lines = [short(spread.median)]
    if spread.min < spread.max:
        lines.append(f"{short(spread.min)}-{short(spread.max)}")
    return lines


def _cut(cut: "Mapping[End, int]") -> list[str]:
    """Print how many cases have an organ that reaches each end of the scan."""
    from recontour.cohort.findings import END_WORDS

    return [f"{cut[end]} {END_WORDS[end]}" for end in END_WORDS if end in cut]


def _patients(sound: "Sequence[Case]") -> None:
    """Show which cases are one patient's, and for which this is unknown."""
    from recontour.cohort import by_patient, with_one_ct
    from recontour.cohort.patients import doubt

    for alike in with_one_ct(sound):
        say(f"the same CT, or nearly: {_ids(alike)}")
    for patient in by_patient(sound):
        if len(patient) > 1:
            say(f"CTs of one patient: {_ids(patient)}")
    doubtful = doubt(sound)
    if doubtful:
        say(words(doubtful))


def _origins(opened: "Cohort", sound: "Sequence[Case]") -> None:
    """Show where cases come from, and to which the names of the last import were not applied."""
    from recontour.cohort.findings import MapNotApplied
    from recontour.cohort.origins import mixed_origins

    known = Counter(map(_origin, sound))
    del known["", ""]
    if known:
        table = table_of("Where the CTs were made", "maker and model", "institution", "cases")
        for (scanner, institution), count in known.most_common():
            add_row(table, scanner, institution, str(count))
        out.print(table)
    mixed = mixed_origins(sound)
    if mixed:
        say(words(mixed))
    stale = opened.not_applied
    if stale:
        say(words(MapNotApplied(cases=len(stale), of=len(opened), is_kept=True)))


def _origin(case: "Case") -> tuple[str, str]:
    """Return a case's scanner and what stands for its institution."""
    institution = (case.origin.institution or "").rpartition("-")[2]
    return case.origin.scanner_name, institution


def _ids(cases: "Iterable[Case]") -> str:
    return ", ".join(case.id for case in cases)


def sides_confirmed(cases: Sequence[str], cohort: Path) -> None:
    """Show whose left and right a person has confirmed."""
    say(f"{_of_cohort(cases, cohort)}: left and right are as they are named")


def cords_confirmed(cases: Sequence[str], cohort: Path) -> None:
    """Show whose cord a person has confirmed."""
    say(f"{_of_cohort(cases, cohort)}: SpinalCord is the cord, not the canal")


def extent_confirmed(
    cases: Sequence[str],
    partial: str | None,
    whole: str | None,
    cohort: Path,
) -> None:
    """Show in which cases a person has said how far an organ is contoured.

    partial, whole: the organ, as the person named it; one of the two is None.
    """
    organ, _, end = (partial or whole or "").partition("=")
    where = f"{end} its contours" if end else "beyond its contours"
    if partial:
        how = f"{organ} goes on {where}; unknown there"
    elif end:
        how = f"{organ} does not go on {where}"
    else:
        how = f"{organ} is contoured whole"
    say(f"{_of_cohort(cases, cohort)}: {how}")


def _of_cohort(cases: Sequence[str], cohort: Path) -> str:
    """Name cases with their cohort."""
    return f"{', '.join(cases)} of {cohort}"


def exported(written: "Exported", folder: Path) -> None:
    """Show what was written of a cohort, and what was not."""
    for reason in written.left_out:
        say(f"left out: {words(reason)}")
    for case, voxels in written.shared_voxels.items():
        shared = f"{plural(voxels, 'voxel')} lay in several organs"
        say(f"{case}: {shared} and went to the smallest of them")
    say(f"{plural(len(written.cases), 'case')}, {len(written.left_out)} left out: {folder}")


def converted(written: "Converted", path: Path) -> None:
    """Show what became of labels."""
    _volumes(written.volumes_cc)
    for name in written.empty:
        say(f"{name:<20}no voxel is marked; left out")
    _notes(written.notes)
    say(f"written: {path}. Every contour must be reviewed.")


def _volumes(volumes_cc: Mapping[str, float], doubtful: Sequence[str] = ()) -> None:
    for name, volume in volumes_cc.items():
        mark = "   unlike training" if name in doubtful else ""
        say(f"{name:<20}{volume:8.2f} cc{mark}")


def learnt(model: "Model", path: Path, trunk: Path | None = None) -> None:
    """Show what a model is, now that it is written. trunk: the model that a lone head needs."""
    made = model.provenance
    if made.retrained_layers:
        layers = "layer" if made.retrained_layers == 1 else f"{made.retrained_layers} layers"
        fresh = ", ".join(made.fresh_organs) or "no organ"
        dropped = ", ".join(made.dropped_organs) or "no organ"
        say(
            f"{made.lineage}: retrained the last {layers}; started fresh: {fresh}; "
            f"dropped: {dropped}"
        )
    organs = [f"{organ} ({count})" for organ, count in made.cases_per_organ.items()]
    cases = plural(made.cases, "case")
    say(f"trained on {cases} of {made.centre}; organs (cases): {', '.join(organs)}")
    if made.check:
        _checked(made.check)
    if trunk is None:
        say(f"model: {path}")
    else:
        say(f"head: {path}; use it as {trunk}+{path}")


def _checked(check: "Check") -> None:
    """Show what a cross-validation of an adaptation found."""
    title = f"Mean DSC by cross-validation in {check.folds} folds"
    table = table_of(title, "organ", "patients", "parent", "adapted", "difference", "95 % interval")
    for organ, dsc in check.organs.items():
        _add_checked(table, organ, dsc)
    compared = sum(dsc.difference is not None for dsc in check.organs.values())
    _add_checked(table, f"mean over {plural(compared, 'organ')}", check.mean)
    out.print(table)
    say(words(check.estimates()))
    tried = check.tried()
    if tried:
        say(words(tried))


def _add_checked(table: "Table", name: str, dsc: "CheckedDsc") -> None:
    from recontour.evaluation.numbers import number, signed

    values = [dsc.parent, dsc.adapted, dsc.difference, dsc.low, dsc.high]
    parent, adapted, change, low, high = [math.nan if value is None else value for value in values]
    interval = number(math.nan, 3) if math.isnan(low) else f"{signed(low)} to {signed(high)}"
    add_row(
        table,
        name,
        str(dsc.patients),
        number(parent, 3),
        number(adapted, 3),
        signed(change),
        interval,
    )


def contoured(found: "Contoured", path: Path) -> None:
    """Show what was contoured on a CT."""
    doubtful = [_called(organ, found) for organ in found.unlike_training]
    _volumes({_called(organ, found): cc for organ, cc in found.volumes_cc.items()}, doubtful)
    for organ in found.not_found:
        say(f"{organ:<20}not found on this CT")
    for warning in found.warnings:
        say(f"warning: {words(warning)}")
    say(f"look here first: {_in_order(found)}. An order, not a probability.")
    say(f"written: {path}. A first draft: every contour must be reviewed.")


def _in_order(found: "Contoured", most: int | None = None) -> str:
    """Return the organs in the order in which to look at them.

    most: how many are named; all gross failures are.
    """
    named = []
    for place, one in enumerate(found.review_order):
        if one.failures:
            named.append(f"{_called(one.organ, found)} ({', '.join(map(_mark, one.failures))})")
        elif most is None or place < most:
            named.append(_called(one.organ, found))
    return ", ".join(named)


def _mark(failure: Finding) -> str:
    """Say briefly what marks a contour as a gross failure; a warning says the rest."""
    from recontour.contouring.findings import ContourInParts, OrganUnlikeTraining
    from recontour.organs.findings import MisplacedOrgan, SwappedSides

    if isinstance(failure, OrganUnlikeTraining):
        return "unlike training"
    if isinstance(failure, ContourInParts):
        return f"in {failure.parts} parts"
    if isinstance(failure, MisplacedOrgan | SwappedSides):
        return "on the wrong side"
    return failure.sentence()


def series_contoured(one: "SeriesContoured") -> str:
    """Return the line on one CT series of many."""
    if one.failure:
        return f"failed: {_of_series(one, one.failure)}"
    assert one.out
    if one.found is None:
        return f"{one.out.name}: done before"
    parts = [plural(len(one.found.volumes_cc), "organ")]
    if one.found.not_found:
        parts.append(f"not found: {', '.join(one.found.not_found)}")
    parts += [f"warning: {words(warning)}" for warning in one.warnings]
    parts.append(f"look here first: {_in_order(one.found, FIRST_ORGANS)}")
    return f"{one.out.name}: {'; '.join(parts)}"


def contoured_all(
    done: "Sequence[SeriesContoured]",
    of_the_model: Sequence[Finding],
    folder: Path,
) -> None:
    """Show what was contoured of many CT series, and what was not, once more.

    of_the_model: warnings that hold for every series.
    """
    for warning in of_the_model:
        say(f"warning: {words(warning)}")
    failures = [one for one in done if one.failure]
    before = sum(one.was_done for one in done)
    drawn = len(done) - before - len(failures)
    for one in failures:
        say(series_contoured(one))
    names = _own_names(done)
    if names:
        say(f"names in the output: {', '.join(names)}")
    counts = f"{drawn} contoured, {before} done before, {len(failures)} failed"
    say(f"{counts}: {folder}. First drafts: every contour must be reviewed.")


def _own_names(done: "Sequence[SeriesContoured]") -> list[str]:
    """Return the organs that have another name in the output, each with that name."""
    called: dict[str, str] = {}
    for one in done:
        if one.found:
            called |= {organ: _called(organ, one.found) for organ in one.found.volumes_cc}
    return [both for organ, both in called.items() if both != organ]


def _of_series(one: "SeriesContoured", finding: Finding) -> str:
    """Return a finding's words, with the place of the series if they do not name it."""
    said = words(finding)
    return said if str(one.place) in said else f"{one.place}: {said}"


def _called(organ: str, found: "Contoured") -> str:
    """Return an organ's name, with the name that it has in the output if that is another."""
    name = found.names.get(organ, organ)
    return organ if name == organ else f"{organ} ({name})"


def scored(scores: Sequence["CaseScore"], folder: Path) -> None:
    """Show the mean DSC by organ and model, and where the report is."""
    from recontour.evaluation import common_organs
    from recontour.evaluation.summary import counts
    from recontour.evaluation.verdicts import models_of

    models = models_of(scores)
    rows_of: dict[str, list[CaseScore]] = {}
    for row in scores:
        rows_of.setdefault(row.organ, []).append(row)
    common = common_organs(scores)
    table = table_of("Mean DSC", "organ", "patients", *models)
    for organ, rows in rows_of.items():
        add_row(table, organ, counts(rows), *_mean_dsc(rows, models, [organ]))
    means = _mean_dsc(scores, models, common)
    add_row(table, f"mean over {plural(len(common), 'organ')}", "", *means)
    out.print(table)
    if len(common) < len(rows_of):
        say("The mean is over the organs that every model has scored.")
    _verdicts(scores)
    say(f"report: {folder / 'report.html'}")


def accepted(found: "Acceptance", folder: Path, per_organ: Path | None) -> None:
    """Show what becomes of each organ, and where the report is. per_organ: what was written."""
    from recontour.evaluation.gate_words import how_many_more, why
    from recontour.evaluation.numbers import signed

    title = f"May {found.candidate.name} replace {found.parent.name}?"
    table = table_of(title, "organ", "decision", "DSC", "surface DSC", "why")
    table.columns[0].no_wrap = True
    for one in found.organs:
        shifts = one.shifts or {}
        changes = [signed(shifts[name].mean) if shifts else "" for name in ("dsc", "surface_dsc")]
        lines = list(filter(None, (why(one), how_many_more(one.needed))))
        add_row(table, one.organ, one.decision.value, *changes, lines)
    out.print(table)
    _failures_of_candidate(found)
    if found.only_parent:
        say(f"only the model in use contours {', '.join(found.only_parent)}")
    if per_organ:
        kept = ", ".join(found.from_parent) or "no organ"
        say(f"written: {per_organ}, with {kept} from {found.parent.name}")
    say(f"report: {folder / 'report.html'}; it is for a person to check and sign")


def _failures_of_candidate(found: "Acceptance") -> None:
    """Show in which cases the candidate failed: one line per organ and kind of failure."""
    failed: dict[tuple[str, str], list[str]] = {}
    for one in found.failures:
        if one.model == found.candidate.name and one.what != "outside the trained range":
            failed.setdefault((one.what, one.organ), []).append(one.case)
    for (what, organ), cases in failed.items():
        counted = f"{organ} in {plural(len(cases), 'case')} by {found.candidate.name}"
        named = ", ".join(cases[:MOST_CASES])
        more = f" and {len(cases) - MOST_CASES} more" if len(cases) > MOST_CASES else ""
        say(f"{what}: {counted} ({named}{more})")


def compared(found: "ProtocolComparison", folder: Path) -> None:
    """Show what differs between two centres' contours, and which contours are unlike the others."""
    if found.statements:
        say(f"{found.centre}, compared with {found.home}:")
    for statement in found.statements:
        say(f"  {words(statement)}")
    if found.unlike_images:
        say(f"The images of {found.centre} differ from those of {found.home}:")
    for unlike in found.unlike_images:
        say(f"  {words(unlike)}")
    _acquired(found)
    if found.doubts:
        say("Drawn unlike the cohort's others; look at them before a model learns from them:")
    for doubt in found.doubts:
        say(f"  {words(doubt)}")
    say(f"report: {folder / 'report.html'}")


def _acquired(found: "ProtocolComparison") -> None:
    """Show how the CTs of both centres were acquired, if a header says anything."""
    from recontour.network.acquired import NOT_KEPT, in_print

    rows = in_print(found.acquired, found.home_acquired)
    if rows:
        say("How the CTs were acquired (patients):")
    for row in rows:
        at_home = f"; {found.home}: {row.home}" if row.home else ""
        say(f"  {row.setting}: {found.centre}: {row.own}{at_home}")
    if rows and not found.home_acquired:
        say(f"  {found.home}: {NOT_KEPT}")


def _verdicts(scores: Sequence["CaseScore"]) -> None:
    """Show whether each model is better than the first one."""
    from recontour.evaluation import compare
    from recontour.evaluation.summary import in_words
    from recontour.evaluation.verdicts import judge_others, models_of, too_few_patients

    comparisons = compare(scores, models_of(scores))
    for verdict in map(in_words, judge_others(scores, comparisons)):
        say(f"{verdict.model} against {verdict.baseline}: mean DSC {verdict.mean_difference}")
        named = {"better": verdict.better, "worse": verdict.worse, "lower": verdict.lower}
        for word, organs in named.items():
            for organ, change in organs:
                say(f"  {word}: {organ}, {change}")
        if verdict.unfound:
            say(f"  found by neither: {plural(verdict.unfound, 'organ')}")
        if verdict.inconclusive:
            say(f"  no conclusive difference: {plural(verdict.inconclusive, 'organ')}")
    if few := too_few_patients(comparisons):
        say(words(few))


def gained(gains: "Gains", folder: Path) -> None:
    """Show what more and more patients brought, the advice, and where the report is."""
    from recontour.evaluation.gain_report import printed_next, printed_steps

    columns = ("learnt from", "scored", "mean DSC", "gain", "90 % interval")
    table = table_of("What patients brought", *columns)
    for step in (*printed_steps(gains), printed_next(gains)):
        add_row(table, step.what, step.patients, step.dsc, step.gain, step.interval)
    out.print(table)
    say(words(gains.finding()))
    little = gains.little_is_known()
    if little:
        say(words(little))
    say(f"report: {folder / 'report.html'}")


def monitored(found: "Monitored", folder: Path) -> None:
    """Show a statement per organ, and where the report is."""
    for statement in found.statements:
        say(words(statement))
    against = f"after a baseline of {found.baseline}" if found.baseline else "against given limits"
    say(f"{plural(found.watched, 'patient')} watched {against}")
    say(f"report: {folder / 'report.html'}")


def accounted(account: str, role: str | None) -> None:
    """Show what an account may do now; None: nothing, it is closed."""
    say(f"{account} may log in as: {role}" if role else f"{account} is closed")


def demonstrated(result: "DemoResult") -> None:
    """Show in one sentence what the demo's result means."""
    if not result.found:
        say("In short: no model found any organ, so this demo shows nothing about adapting.")
        return
    say(
        f"In short, over all organs of {plural(result.adapted.patients, 'test patient')}: "
        f"adapting Model_S {_adapting(result.adapting)}, and Model_ST {_adapted(result)}."
    )


def _adapting(change: "OverallChange") -> str:
    """Say whether Model_ST is better than Model_S."""
    from recontour.evaluation.verdicts import Verdict, of_interval

    did = {
        Verdict.BETTER: "helped",
        Verdict.WORSE: "did harm",
    }
    verdict = of_interval(change.low, change.high)
    return f"{did.get(verdict, 'made no decided difference')} ({_interval(change)})"


def _adapted(result: "DemoResult") -> str:
    """Say whether Model_ST is better than Model_T, and what follows."""
    from recontour.evaluation.verdicts import Verdict, of_interval

    change = result.adapted
    numbers = _interval(change)
    model_t = f"Model_T, trained on the same {plural(result.patients, 'patient')} alone"
    verdict = of_interval(change.low, change.high)
    if verdict is Verdict.BETTER:
        return (
            f"is ahead of {model_t} ({numbers}): with so few patients of its own, this centre does "
            "better to start from the other centre's model"
        )
    if verdict is Verdict.WORSE:
        return (
            f"is behind {model_t} ({numbers}): this centre does better to train on its own "
            "patients, few as they are, than to start from the other centre's model"
        )
    return (
        f"is neither ahead of nor behind {model_t} ({numbers}): these test patients do not decide "
        "whether this centre should start from the other centre's model or train on its own"
    )


def _interval(change: "OverallChange") -> str:
    """Print a change in DSC with its interval, if it has one."""
    from recontour.evaluation.numbers import signed

    median = f"median change in DSC {signed(change.median)}"
    if math.isnan(change.low):
        return f"{median}, too few patients for an interval"
    return f"{median}, 95 % interval {signed(change.low)} to {signed(change.high)}"


def _mean_dsc(
    scores: Sequence["CaseScore"],
    models: Sequence[str],
    organs: Sequence[str],
) -> list[str]:
    from recontour.evaluation import mean_over_organs
    from recontour.evaluation.numbers import number

    return [number(mean_over_organs(scores, model, organs), 3) for model in models]


def planned(forecast: "Forecast") -> None:
    """Show a study's cells and what they will cost."""
    table = table_of("Cells, in the order of their start", "cell", "minutes", "MB")
    for cell in forecast.cells:
        cost = forecast.costs[cell.id]
        add_row(table, cell.id, f"{cost.seconds / 60:.1f}", f"{cost.bytes / 1e6:.0f}")
    out.print(table)
    total = total_cost(forecast)
    together = ""
    if forecast.workers > 1:
        together = f", {about(forecast.seconds)} with {forecast.workers} workers"
    say(
        f"{plural(len(forecast.cells), 'cell')}: {about(total.seconds)} of training and scoring "
        f"one by one{together}; {size_in_words(total.bytes)} of disk, and at most "
        f"{size_in_words(total.cache_bytes)} more while it runs"
    )


def studied(failed: Mapping[str, str], summary: "StudySummary", folder: Path) -> None:
    """Show how a study ended, and the report's main table."""
    if summary.models:
        _main_table(summary.models)
    if summary.headline:
        say(summary.headline)
    for name, why in failed.items():
        say(f"failed: {name}: {why}")
    say(f"report: {folder / 'report.html'}")


def _main_table(models: "ModelsTable") -> None:
    """Show the mean DSC of the three models on the target's test patients."""
    from recontour.evaluation.numbers import number
    from recontour.study.tables import ALL, MODELS

    table = table_of("Mean DSC on the target's test patients", "organ", "patients", *MODELS)
    for organ in (*models.organs, ALL):
        rows = [models.rows[organ, model] for model in MODELS]
        name = f"mean over {plural(len(models.common), 'organ')}" if organ == ALL else organ
        patients = str(max(row.n for row in rows))
        means = [number(row.dsc.mean, 3) for row in rows]
        add_row(table, name, patients, *means)
    out.print(table)


def model_card(card: "ModelCard", path: Path) -> None:
    """Show a model's card."""
    table = table_of(f"Model card: {path.name}", "section", "subject", "what")
    for section, rows in card.sections().items():
        title = section
        for subject, text in rows.items():
            add_row(table, title, subject, text)
            title = ""
        table.add_section()
    out.print(table)


def site_checked(found: "Checked") -> None:
    """Show what a site would do, line by line, then what speaks against it."""
    site, node, page = found.site, found.site.node, found.site.page
    say(f"folder: {site.folder}, {found.free_bytes / 2**30:.1f} GiB free")
    callers = [f"{one.ae_title} at {one.address}" for one in node.callers]
    who = ", ".join(callers) or "whoever calls from this machine"
    tls = " with TLS" if node.tls else ""
    say(f"receives: as {node.ae_title} at {node.address} port {node.port}{tls}, from {who}")
    say(f"a series is complete when nothing of it came for {node.quiet_s:g} s")
    for name, card in found.cards.items():
        centres = " -> ".join(card.heads[0].centres)
        say(f"model {name}: {site.models[name].file} ({centres})")
        for notice in card.notices:
            say(f"  {notice}")
    for number, one in enumerate(found.rules, 1):
        _rule(number, one)
    for to in site.destinations:
        answers = "answers" if found.answers[to.name] else "DOES NOT ANSWER"
        tls = " with TLS" if to.tls else ""
        say(f"destination {to.name}: {to.ae_title} at {to.address} port {to.port}{tls}: {answers}")
    login = "with a login" if page.login else "WITHOUT A LOGIN: everyone here may do everything"
    say(f"page: {page.address} port {page.port}, {login}")
    for note in found.notes:
        say(f"note: {words(note)}")
    for problem in found.problems:
        say(f"problem: {words(problem)}")
    if not found.problems:
        say("nothing speaks against serving this site")


def _rule(number: int, checked: "CheckedRule") -> None:
    rule = checked.rule
    asked = [f"{name} {what}" for name, what in conditions(rule).items()]
    takes = ", ".join(asked) or "every series"
    say(f"rule {number}, {rule.name}: takes {takes}")
    named = []
    for organ, name in checked.organs.items():
        named.append(organ if organ == name else f"{organ} as {name}")
    say(f"  contours with {rule.model}: {', '.join(named) or 'unknown'}")
    say(f"  sends to: {', '.join(rule.destinations) or 'nobody'}")
    keeps = "for ever" if rule.keep_days is None else f"for {rule.keep_days:g} days"
    say(f"  keeps the patient's data {keeps}")


def site_tried(tried: "Sequence[Tried]", folder: Path) -> None:
    """Show which rule of a site would take each series, and why those before it would not."""
    for one in tried:
        rule = one.decision.rule
        taken = f"rule {rule.name}, model {rule.model}" if rule else "no rule takes it; it is kept"
        say(f"{one.place.relative_to(folder)}: {plural(one.arrived.slices, 'slice')}: {taken}")
        for reason in one.decision.against:
            say(f"  not {words(reason)}")
    say(f"{len(tried)} series; nothing was started")


def forgotten(found: "Forgotten") -> None:
    """Show what was deleted of a patient."""
    say(
        f"deleted: {found.series} series, {plural(found.drafts, 'draft')}, "
        f"{plural(found.approvals, 'approved structure set')}, "
        f"{plural(found.cases, 'case')} of cohorts. The audit trail keeps the patient ID, and "
        "models keep what they have learnt."
    )
