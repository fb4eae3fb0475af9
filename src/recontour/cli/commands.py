"""The commands: each takes options, calls one step of the Python API, and answers.

Each command loads what it needs: torch takes seconds, which `import`, `inspect COHORT` and
`study --example` do without.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import recontour
from recontour.cli import facts, next_steps, tell
from recontour.cli.answers import Answer, Transcript, plain_value
from recontour.cli.console import agreed, can_ask, new_password
from recontour.cli.findings import (
    DamagedCases,
    FailedCells,
    FailedSeries,
    NoCohortNamed,
    NoOrganNamed,
    NoSiteNamed,
    NoStudyNamed,
    OneFile,
    OneFolder,
    SharedContoursName,
    SitePartMissing,
    WhoInJson,
)
from recontour.cli.progress_bar import ProgressBar
from recontour.errors import (
    CohortError,
    DicomError,
    DriftError,
    FaultError,
    NotPromotedError,
    OrganError,
    OutputError,
    SettingsError,
)
from recontour.executors import place_of
from recontour.files import MissingFolder, make_folder, refuse_as_output
from recontour.findings import Finding, log_finding
from recontour.progress import quiet

if TYPE_CHECKING:
    from recontour.dicom import Archive
    from recontour.organs import Template
    from recontour.service.settings import Site
    from recontour.workflows import CohortContents

log = logging.getLogger(__name__)
# What `pip install 'recontour[site]'` adds.
SITE_PACKAGES = (
    "argon2",
    "prometheus_client",
    "pynetdicom",
    "sqlalchemy",
    "starlette",
    "uvicorn",
)


def run(options: argparse.Namespace, said: Transcript) -> None:
    """Run a command, and show its answer or add it to the transcript."""
    command = getattr(sys.modules[__name__], options.command)
    _check_place(options)
    with ProgressBar(said, silent=_is_companion(options)) as progress:
        answer = _answer(command, options, progress)
    said.warnings += answer.warnings
    said.notes += answer.notes
    if _is_companion(options):
        return
    if options.json:
        said.result = plain_value(answer.facts())
    else:
        answer.show()
    if answer.failure:
        raise answer.failure


def _is_companion(options: argparse.Namespace) -> bool:
    """Return whether another process, which does the same, shows what is found."""
    return bool(options.launched and options.launched.number)


def _answer(
    command: Callable[[argparse.Namespace, ProgressBar], Answer],
    options: argparse.Namespace,
    progress: ProgressBar,
) -> Answer:
    """Run a command, again from its start if only the folder for its output was missing."""
    while True:
        try:
            return command(options, progress)
        except OutputError as error:
            if options.json or options.launched or not _made_with_consent(error.finding):
                raise


def _made_with_consent(missing: Finding) -> bool:
    """Make a missing folder if that is what was found and somebody at a terminal agrees."""
    if not isinstance(missing, MissingFolder) or not can_ask():
        return False
    if not agreed(f"there is no folder {missing.folder}; make it?"):
        return False
    make_folder(missing.folder)
    return True


def import_(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Import DICOM into a cohort, show what an import would do, or undo the last one."""
    from recontour.cohort import Cohort

    if options.dry_run or options.draft_map:
        return _previewed(options, progress)
    if options.undo:
        return _undo_import(options)
    if options.cohort is None:
        raise SettingsError(NoCohortNamed())
    report = recontour.import_dicom(
        options.dicom_dir,
        options.cohort,
        centre=options.centre,
        names=options.names,
        new_organs=options.new_organ,
        partial=options.partial,
        also_from_elsewhere=options.also_from_elsewhere,
        again=options.again,
        on=options.on,
        progress=progress,
    )
    cohort = Cohort.open(options.cohort)
    return Answer(
        show=lambda: tell.imported(report, cohort),
        facts=lambda: facts.imported(report, cohort),
        warnings=report.warnings,
        notes=report.notes,
    )


def _previewed(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Show what would become of the ROI names."""
    if options.dicom_dir is None:
        raise SettingsError(NoCohortNamed())
    preview = recontour.preview_import(
        options.dicom_dir,
        names=options.names,
        new_organs=options.new_organ,
        partial=options.partial,
        draft_map=options.draft_map,
        progress=progress,
    )
    return Answer(
        show=lambda: tell.previewed(preview, options.draft_map),
        facts=lambda: facts.previewed(preview, options.draft_map),
        notes=preview.notes,
    )


def _undo_import(options: argparse.Namespace) -> Answer:
    """Undo the last import into the cohort, which is the last path that was given."""
    from recontour.cohort import Cohort
    from recontour.cohort.changes import undone_next

    cohort = options.cohort or options.dicom_dir
    if cohort is None:
        raise SettingsError(NoCohortNamed())
    removed = recontour.undo_import(cohort)
    opened = Cohort.open(cohort)
    following = undone_next(opened)
    return Answer(
        show=lambda: tell.undone(removed, opened, following),
        facts=lambda: facts.undone(removed, opened, following),
    )


def remove(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Take cases out of a cohort."""
    from recontour.cohort import Cohort

    removed = recontour.remove(options.cohort, options.cases)
    opened = Cohort.open(options.cohort)
    return Answer(
        show=lambda: tell.removed(removed, opened),
        facts=lambda: facts.removed(removed, opened),
    )


def deidentify(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Write DICOM without what names its patients."""
    written = recontour.deidentify(
        options.dicom_dir,
        options.out,
        names=options.names,
        new_organs=options.new_organ,
        key=options.key,
        progress=progress,
    )
    return Answer(
        show=lambda: tell.deidentified(written, options.out),
        facts=lambda: facts.deidentified(written, options.out),
        notes=written.notes,
    )


def inspect(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Show what a cohort holds, or a model's card."""
    from recontour.network.findings import OnlyOfCohorts
    from recontour.workflows import CohortContents

    wants_names = options.who or bool(options.who_from)
    if wants_names and options.json:
        raise SettingsError(WhoInJson())
    # A log file needs no line that says how many cases are read.
    found = recontour.inspect(
        options.path,
        html=options.html,
        progress=progress if progress.is_drawn else quiet,
    )
    if isinstance(found, CohortContents):

        def show() -> None:
            tell.cohort(found, options.html, says_whose=wants_names)
            if wants_names:
                tell.who(recontour.who_is(options.path, options.who_from))

        return Answer(
            show=show,
            facts=lambda: facts.cohort(found, options.html),
            notes=found.notes,
            failure=_damaged(found),
        )
    if wants_names:
        raise SettingsError(OnlyOfCohorts(path=options.path, option="--who"))
    return Answer(
        show=lambda: tell.model_card(found, options.path),
        facts=lambda: facts.model_card(found, options.path),
    )


def _damaged(found: "CohortContents") -> CohortError | None:
    if not found.damaged:
        return None
    cases = len(found.cases) + len(found.damaged)
    damaged = len(found.damaged)
    return CohortError(
        DamagedCases(
            path=found.cohort.path,
            damaged=damaged,
            cases=cases,
        )
    )


def confirm_sides(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Say of cases whose left and right look swapped that they are named correctly."""
    confirmed = recontour.confirm_sides(options.cohort, options.cases)
    return Answer(
        show=lambda: tell.sides_confirmed(confirmed, options.cohort),
        facts=lambda: {"cohort": options.cohort, "confirmed": confirmed},
    )


def confirm_cord(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Say of cases whose cord looks like the canal that it is the cord."""
    confirmed = recontour.confirm_cord(options.cohort, options.cases)
    return Answer(
        show=lambda: tell.cords_confirmed(confirmed, options.cohort),
        facts=lambda: {"cohort": options.cohort, "confirmed": confirmed},
    )


def confirm_extent(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Say whether an organ that looks short is partly contoured in some cases, or whole."""
    confirmed = recontour.confirm_extent(
        options.cohort,
        options.cases,
        partial=options.partial,
        whole=options.whole,
    )
    return Answer(
        show=lambda: tell.extent_confirmed(
            confirmed, options.partial, options.whole, options.cohort
        ),
        facts=lambda: {"cohort": options.cohort, "confirmed": confirmed},
    )


def export(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Export a cohort as NIfTI, for other tools."""
    written = recontour.export(
        options.cohort,
        options.out,
        format=options.format,
        organs=_organs(options),
        progress=progress,
    )
    return Answer(
        show=lambda: tell.exported(written, options.out),
        facts=lambda: facts.exported(written, options.out),
    )


def convert(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Convert labels into an RTSTRUCT."""
    written = recontour.convert(options.labels, options.ct_dir, options.out)
    return Answer(
        show=lambda: tell.converted(written, options.out),
        facts=lambda: facts.converted(written, options.out),
        notes=written.notes,
    )


def train(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Train a model on a cohort."""
    from recontour.workflows.paths import refuse_for_training
    from recontour.workflows.wanted import refuse_iterations

    learning = _learning(options)
    if not options.launched:  # else they meet first, and agree
        refuse_iterations(options.iterations)
        refuse_for_training(options.cohort, options.out)
    progress.begin(f"reading {options.cohort}")
    model = recontour.train(
        options.cohort, options.out, preset=options.preset, progress=progress, **learning
    )

    def show() -> None:
        tell.learnt(model, options.out)
        next_steps.after_learning(options.out)

    return Answer(show=show, facts=lambda: facts.learnt(model, options.out))


def adapt(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Adapt a model to a cohort."""
    from recontour.workflows.paths import refuse_for_adapting
    from recontour.workflows.wanted import refuse_iterations, wanted_extent

    out = options.head_only or options.out
    learning = _learning(options)
    if not options.launched:
        wanted_extent(options.folds, options.check)
        refuse_iterations(options.iterations)
        refuse_for_adapting(options.model, options.cohort, out)
    progress.begin(f"loading {options.model}, reading {options.cohort}")
    model = recontour.adapt(
        options.model,
        options.cohort,
        out,
        head_only=options.head_only is not None,
        retrain_last=options.retrain_last,
        plain=options.plain,
        check=options.check,
        folds=options.folds,
        progress=progress,
        **learning,
    )
    trunk = options.model if options.head_only else None

    def show() -> None:
        tell.learnt(model, out, trunk)
        whole = Path(f"{trunk}+{out}") if trunk else out
        next_steps.after_learning(whole, parent=options.model, head=options.head_only)

    return Answer(show=show, facts=lambda: facts.learnt(model, out, trunk))


def gain(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Measure what the last patients of a cohort brought, and advise on more."""
    from recontour.workflows.paths import refuse_for_adapting
    from recontour.workflows.wanted import refuse_folds, refuse_iterations, refuse_useful

    organs = _organs(options)
    refuse_folds(options.folds)
    refuse_useful(options.useful)
    refuse_iterations(options.iterations)
    refuse_for_adapting(options.model, options.cohort, options.out)
    progress.begin(f"loading {options.model}, reading {options.cohort}")
    found = recontour.gain(
        options.model,
        options.cohort,
        options.out,
        sizes=options.sizes,
        folds=options.folds,
        useful=options.useful,
        retrain_last=options.retrain_last,
        organs=organs,
        iterations=options.iterations,
        seed=options.seed,
        resume=options.resume,
        progress=progress,
    )
    return Answer(
        show=lambda: tell.gained(found, options.out),
        facts=lambda: facts.gained(found, options.out),
    )


def _learning(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "organs": _organs(options),
        "iterations": options.iterations,
        "seed": options.seed,
        "precision": options.precision,
        "deterministic": options.deterministic,
        "resume": options.resume,
        "keep_log": options.keep_log,
    }


def _organs(options: argparse.Namespace) -> list[str] | None:
    """Return the organs that were named, with spaces or commas in between; None for all.

    Raises: OrganError: none is named.
    """
    if options.organs is None:
        return None
    words = ",".join(options.organs).split(",")
    named = list(filter(None, map(str.strip, words)))
    if not named:
        raise OrganError(NoOrganNamed())
    return named


def contour(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Contour a CT, or every one of a folder, as an RTSTRUCT, a DICOM SEG or NIfTI."""
    organs = _organs(options)
    template = recontour.read_template(
        options.names, options.protocol, new_organs=options.new_organ
    )
    # Of all the organs of the model, only the model can tell.
    template.refuse_unsuitable(organs or template.organs or ())
    archive = _checked_for_contouring(options, progress)
    if options.out.is_dir() or (archive and len(archive.series) > 1):
        return _contour_all(options, organs, template, archive, progress)
    found = recontour.contour(
        options.model,
        options.ct_dir,
        options.out,
        organs=organs,
        format=options.format,
        template=template,
        anyway=options.anyway,
        archive=archive,
        progress=progress,
    )
    if options.format == "nifti" and options.out.suffix:
        log_finding(log, logging.INFO, OneFolder(path=options.out))
    elif options.format != "nifti" and not options.out.suffix:
        log_finding(log, logging.INFO, OneFile(path=options.out))
    return Answer(
        show=lambda: tell.contoured(found, options.out),
        facts=lambda: facts.contoured(found, options.out, options.format),
        warnings=found.warnings,
    )


def _checked_for_contouring(options: argparse.Namespace, progress: ProgressBar) -> "Archive | None":
    """Refuse wrong paths; return what lies in CT_DIR if only that says what --out is to be.

    If CT_DIR holds several series, each is contoured into a file of its own, and --out is a folder.
    """
    from recontour.dicom import read_archive
    from recontour.workflows.paths import refuse_for_contouring

    refuse_for_contouring(options.model, options.ct_dir)
    if options.out.is_dir():
        progress.begin(f"loading {options.model}, reading {options.ct_dir}")
        return None
    refuse_as_output(options.out)
    progress.begin(f"loading {options.model}, reading {options.ct_dir}")
    return None if options.out.suffix == ".dcm" else read_archive(options.ct_dir)


def _check_place(options: argparse.Namespace) -> None:
    """Raise SettingsError for a place that there is not."""
    if getattr(options, "on", None):
        place_of(options.on)


def _contour_all(
    options: argparse.Namespace,
    organs: list[str] | None,
    template: "Template",
    archive: "Archive | None",
    progress: ProgressBar,
) -> Answer:
    done = []
    of_the_model: dict[Finding, None] = {}
    many = recontour.contour_all(
        options.model,
        options.ct_dir,
        options.out,
        organs=organs,
        format=options.format,
        template=template,
        anyway=options.anyway,
        archive=archive,
        on=options.on,
        progress=progress,
    )
    with closing(many):
        for one in many:
            done.append(one)
            if one.found:
                general = [found for found in one.found.warnings if found not in one.warnings]
                of_the_model.update(dict.fromkeys(general))
            if not options.json:
                progress.say(tell.series_contoured(one))
    failed = sum(one.failure is not None for one in done)
    failure = FailedSeries(path=options.ct_dir, failed=failed, series=len(done))
    return Answer(
        show=lambda: tell.contoured_all(done, tuple(of_the_model), options.out),
        facts=lambda: facts.contoured_all(done, options.out, options.format),
        warnings=tuple(of_the_model),
        failure=DicomError(failure) if failed else None,
    )


def evaluate(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Score models, and contours from elsewhere, on a cohort."""
    named = [name for name, _ in options.contours]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise SettingsError(SharedContoursName(names=tuple(twice)))
    _check_for_evaluating(options)
    models = ", ".join(map(str, options.models))
    progress.begin(f"reading {models}, {options.cohort}" if models else f"reading {options.cohort}")
    scores = recontour.evaluate(
        options.cohort,
        options.models,
        options.out,
        contours=dict(options.contours),
        names=options.names,
        new_organs=options.new_organ,
        tolerances=options.tolerances,
        on=options.on,
        progress=progress,
    )

    def show() -> None:
        tell.scored(scores, options.out)
        next_steps.after_evaluating(scores, options.models)

    return Answer(
        show=show,
        facts=lambda: facts.scored(scores, options.out),
    )


def monitor(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Watch whether drafts still are what is approved."""
    from recontour.evaluation.findings import Drifted
    from recontour.workflows.findings import AlarmRaised
    from recontour.workflows.paths import refuse_for_monitoring

    refuse_for_monitoring(options.drafts, options.approved, options.out)
    progress.begin(f"reading {options.drafts}, {', '.join(map(str, options.approved))}")
    found = recontour.monitor(
        options.drafts,
        options.approved,
        options.out,
        limits=options.limits,
        baseline=options.baseline,
        names=options.names,
        new_organs=options.new_organ,
        progress=progress,
    )
    drifted = [one.organ or "" for one in found.statements if isinstance(one, Drifted)]
    alarm = AlarmRaised(path=options.out / "report.html", organs=tuple(drifted))
    return Answer(
        show=lambda: tell.monitored(found, options.out),
        facts=lambda: facts.monitored(found, options.out),
        failure=DriftError(alarm) if drifted else None,
    )


def compare(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Say how a cohort is contoured differently from a model's centre."""
    from recontour.workflows.paths import refuse_for_comparing

    refuse_for_comparing(options.model, options.cohort, options.home, options.out)
    progress.begin(f"reading {options.model}, {options.cohort}")
    found = recontour.compare(
        options.model, options.cohort, options.out, home=options.home, progress=progress
    )
    return Answer(
        show=lambda: tell.compared(found, options.out),
        facts=lambda: facts.compared(found, options.out),
    )


def _check_for_evaluating(options: argparse.Namespace) -> None:
    """Refuse wrong paths, and files of names and tolerances that cannot be read."""
    from recontour.organs import read_tolerances_file, read_user_map
    from recontour.workflows.paths import refuse_for_evaluating

    folders = [folder for _, folder in options.contours]
    refuse_for_evaluating(options.cohort, options.models, folders, options.out)
    read_user_map(options.names, options.new_organ)
    if options.tolerances:
        read_tolerances_file(options.tolerances)


def accept(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Decide whether a model may replace the one in use."""
    from recontour.evaluation.gate import Decision
    from recontour.organs import read_tolerances_file
    from recontour.workflows.paths import refuse_for_accepting
    from recontour.workflows.wanted import wanted_margins

    wanted_margins(options.margin_dsc, options.margin_surface_dsc)
    models = [options.against, options.candidate]
    refuse_for_accepting(options.cohort, models, options.out, options.per_organ)
    if options.tolerances:
        read_tolerances_file(options.tolerances)
    progress.begin(f"reading {options.against}, {options.candidate}, {options.cohort}")
    found = recontour.accept(
        options.cohort,
        options.candidate,
        options.out,
        against=options.against,
        margin_dsc=options.margin_dsc,
        margin_surface_dsc=options.margin_surface_dsc,
        per_organ=options.per_organ,
        tolerances=options.tolerances,
        on=options.on,
        progress=progress,
    )
    from recontour.workflows.findings import NotAllPromoted

    organs = found.by_decision
    refused = NotAllPromoted(
        promoted=tuple(organs[Decision.PROMOTE]),
        keep=tuple(organs[Decision.KEEP]),
        undecided=tuple(organs[Decision.UNDECIDED]),
        lacking=found.only_parent,
        per_organ=options.per_organ is not None,
    )
    return Answer(
        show=lambda: tell.accepted(found, options.out, options.per_organ),
        facts=lambda: facts.accepted(found, options.out, options.per_organ),
        failure=None if found.is_promoted else NotPromotedError(refused),
    )


def study(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Run a study's grid of models, or estimate it."""
    from recontour import study as studies
    from recontour.study.declared import cohorts_of, refuse_wrong_paths

    if options.example:
        text = studies.example()
        return Answer(show=lambda: print(text, end=""), facts=lambda: {"example": text})
    if not options.study or (not options.out and not options.dry_run):
        raise SettingsError(NoStudyNamed())
    declared = studies.read_study(options.study, folds=options.folds)
    if options.dry_run:
        cohorts_of(declared)
        forecast = studies.dry_run(declared, options.out, on=options.on)
        return Answer(
            show=lambda: tell.planned(forecast),
            facts=lambda: facts.planned(forecast),
        )
    refuse_wrong_paths(declared, options.out, resume=options.resume)
    failed = studies.run_study(
        declared,
        options.out,
        resume=options.resume,
        on=options.on,
        progress=progress,
    )
    summary = studies.summary_of(options.out)
    return Answer(
        show=lambda: tell.studied(failed, summary, options.out),
        facts=lambda: facts.studied(failed, options.out),
        failure=FaultError(FailedCells(failed=len(failed))) if failed else None,
    )


def report(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Write a study's report again."""
    from recontour import study as studies
    from recontour.study.declared import read_declared

    read_declared(options.study)
    failed = studies.report_study(options.study)
    summary = studies.summary_of(options.study)
    return Answer(
        show=lambda: tell.studied(failed, summary, options.study),
        facts=lambda: facts.studied(failed, options.study),
    )


def serve(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Serve a site, or say what that would do."""
    if options.example:
        from recontour.service.settings import example_site

        text = example_site()
        return Answer(show=lambda: print(text, end=""), facts=lambda: {"example": text})
    if options.site is None:
        raise SettingsError(NoSiteNamed())
    _refuse_without_site_packages()
    from recontour.service.settings import read_site

    site = read_site(options.site)
    if options.check:
        return _site_checked(site, progress)
    if options.dry_run:
        return _site_tried(site, options)
    from recontour.service.serve import serve as serve_site

    serve_site(options.site, progress.say)
    return Answer(show=lambda: None, facts=lambda: {"site": options.site})


def _site_checked(site: "Site", progress: ProgressBar) -> Answer:
    from recontour.service.check import check
    from recontour.service.findings import SiteCheckFailed

    progress.begin("reading models, asking destinations")
    found = check(site)
    failure = SettingsError(SiteCheckFailed(problems=len(found.problems)))
    return Answer(
        show=lambda: tell.site_checked(found),
        facts=lambda: facts.site_checked(found),
        notes=found.notes,
        failure=failure if found.problems else None,
    )


def _site_tried(site: "Site", options: argparse.Namespace) -> Answer:
    from recontour.service.check import dry_run

    tried = dry_run(site, options.dry_run, options.calling_ae)
    return Answer(
        show=lambda: tell.site_tried(tried, options.dry_run),
        facts=lambda: facts.site_tried(tried),
    )


def forget(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Delete what a site keeps of a patient."""
    _refuse_without_site_packages()
    from recontour.service.retention import forget as forget_patient
    from recontour.service.settings import read_site

    forgotten = forget_patient(read_site(options.site), options.patient_id)
    return Answer(
        show=lambda: tell.forgotten(forgotten),
        facts=lambda: facts.forgotten(forgotten),
    )


def _refuse_without_site_packages() -> None:
    """Raise SettingsError if a package of recontour[site] is missing, before one is loaded."""
    for package in SITE_PACKAGES:
        if find_spec(package) is None:
            raise SettingsError(SitePartMissing(package=package))


def account(options: argparse.Namespace, _progress: ProgressBar) -> Answer:
    """Make, change or close an account of a site's page."""
    _refuse_without_site_packages()
    from recontour.service import accounts
    from recontour.service.settings import read_site
    from recontour.service.store import Store

    store = Store.of(read_site(options.site))
    if options.close:
        with store.begin() as session:
            accounts.close(session, options.account)
    else:
        accounts.refuse_unsuitable(options.account)
        password = new_password()
        with store.begin() as session:
            accounts.add(session, options.account, password, options.role)
    return Answer(
        show=lambda: tell.accounted(options.account, options.role),
        facts=lambda: facts.accounted(options.account, options.role),
    )


def demo(options: argparse.Namespace, progress: ProgressBar) -> Answer:
    """Run every step on two synthetic centres."""
    from recontour.demo import REPORT, result_of, run_demo

    scores = run_demo(options.out, progress=progress)
    report = options.out / REPORT

    def show() -> None:
        tell.scored(scores, report)
        tell.demonstrated(result_of(scores))

    return Answer(show=show, facts=lambda: facts.scored(scores, report))
