"""The commands: options in, one of the steps, words out.

A step that needs torch loads it when it is called: `import` and `inspect` do without.
"""

import argparse
import sys
from typing import Any

import recontour
from recontour.cli import tell
from recontour.cohort import Cohort
from recontour.errors import CohortError, FaultError, OrganError, SettingsError


def import_(options: argparse.Namespace) -> None:
    """DICOM -> cohort."""
    with tell.Progress() as progress:
        report = recontour.import_dicom(
            options.dicom_dir,
            options.cohort,
            centre=options.centre,
            names=options.names,
            progress=progress,
        )
    tell.imported(report, Cohort.open(options.cohort))


def deidentify(options: argparse.Namespace) -> None:
    """DICOM -> DICOM without its patients."""
    with tell.Progress() as progress:
        written = recontour.deidentify(
            options.dicom_dir, options.out, names=options.names, key=options.key, progress=progress
        )
    tell.deidentified(written, options.out)


def inspect(options: argparse.Namespace) -> None:
    """What a cohort holds."""
    opened = Cohort.open(options.cohort)
    if sys.stderr.isatty():
        with tell.Progress() as progress:
            sound, damaged = opened.examined(progress)
    else:
        sound, damaged = opened.examined()
    tell.cohort(opened, sound)
    if damaged:
        tell.damaged(damaged)
        raise CohortError(
            f"{opened.path}: {len(damaged)} of {len(sound) + len(damaged)} cases cannot be used"
        )


def export(options: argparse.Namespace) -> None:
    """Cohort -> NIfTI, for other tools."""
    with tell.Progress() as progress:
        written = recontour.export(
            options.cohort,
            options.out,
            format=options.format,
            organs=_organs(options),
            progress=progress,
        )
    tell.exported(written, options.out)


def convert(options: argparse.Namespace) -> None:
    """Labels -> RTSTRUCT."""
    with tell.Progress():
        written = recontour.convert(options.labels, options.ct_dir, options.out)
    tell.converted(written, options.out)


def train(options: argparse.Namespace) -> None:
    """Cohort -> model."""
    with tell.Progress() as progress:
        model = recontour.train(
            options.cohort,
            options.out,
            preset=options.preset,
            **_learning(options),
            progress=progress,
        )
    tell.learnt(model, options.out)


def adapt(options: argparse.Namespace) -> None:
    """Model and cohort -> model."""
    with tell.Progress() as progress:
        model = recontour.adapt(
            options.model,
            options.cohort,
            options.out,
            retrain_last=options.retrain_last,
            **_learning(options),
            progress=progress,
        )
    tell.learnt(model, options.out)


def _learning(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {
        name: getattr(options, name) for name in ("iterations", "seed", "deterministic", "resume")
    }
    return chosen | {"organs": _organs(options)}


def _organs(options: argparse.Namespace) -> list[str] | None:
    """The organs named, with spaces or commas between them;

    None: all. Raises: OrganError: none is named.
    """
    if options.organs is None:
        return None
    named = [organ.strip() for word in options.organs for organ in word.split(",") if organ.strip()]
    if not named:
        raise OrganError("--organs names no organ; give TG-263 names, or leave it out for all")
    return named


def contour(options: argparse.Namespace) -> None:
    """CT -> RTSTRUCT, DICOM SEG or NIfTI."""
    with tell.Progress() as progress:
        found = recontour.contour(
            options.model,
            options.ct_dir,
            options.out,
            organs=_organs(options),
            format=options.format,
            progress=progress,
        )
    tell.contoured(found, options.out)


def evaluate(options: argparse.Namespace) -> None:
    """Models on a cohort."""
    with tell.Progress() as progress:
        scores = recontour.evaluate(options.cohort, options.models, options.out, progress=progress)
    tell.scored(scores, options.out)


def study(options: argparse.Namespace) -> None:
    """A grid of models, from a file."""
    from recontour import study as studies

    if options.example:
        print(studies.example(), end="")
        return
    if not options.study or (not options.out and not options.dry_run):
        raise SettingsError(
            "give STUDY.toml and --out DIR; `recontour study --example` prints a study file"
        )
    declared = studies.read_study(options.study)
    if options.dry_run:
        with tell.Progress():
            planned = studies.dry_run(declared, options.out)
        tell.planned(*planned)
        return
    with tell.Progress() as progress:
        failed = studies.run_study(declared, options.out, resume=options.resume, progress=progress)
    tell.studied(failed, options.out)
    if failed:
        raise FaultError(
            f"{len(failed)} cells failed, the rest is done; mend what they say, then go on with --resume"
        )


def report(options: argparse.Namespace) -> None:
    """A study's report, again."""
    from recontour import study as studies

    with tell.Progress():
        failed = studies.report_study(options.study)
    tell.studied(failed, options.study)


def demo(options: argparse.Namespace) -> None:
    """Everything, on two synthetic centres."""
    from recontour.demo import REPORT, run_demo

    with tell.Progress() as progress:
        scores = run_demo(options.out, progress=progress)
    tell.scored(scores, options.out / REPORT)
