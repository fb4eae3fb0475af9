"""What `--json` says of a command's result, as facts.

Each function here has a namesake in tell.py that shows the same to a person. The fields are
described in docs/reference/json.md. What may name a patient lies under `screen_only`, except for
paths that the user gave.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cli.cohort_tables import read_table

if TYPE_CHECKING:
    from recontour.assess.acceptance import Acceptance
    from recontour.cohort import Case, Cohort
    from recontour.cohort.importing import ImportReport
    from recontour.cohort.preview import ImportPreview
    from recontour.cohort.sizes import OrganSize, Sizes
    from recontour.cohort.tables import LeftOut
    from recontour.dicom import Unused
    from recontour.dicom.deidentify import Deidentified, NotCopied
    from recontour.evaluation import CaseScore, ModelVerdict
    from recontour.evaluation.control_chart import Chart
    from recontour.evaluation.gains import Gains
    from recontour.exchange.convert import Converted
    from recontour.exchange.export import Exported
    from recontour.network import Model, ModelCard
    from recontour.organs import NameRow
    from recontour.service.check import Checked, Tried
    from recontour.service.retention import Forgotten
    from recontour.service.settings import Rule
    from recontour.study.estimate import Forecast
    from recontour.workflows import (
        CohortContents,
        Contoured,
        Monitored,
        ProtocolComparison,
        SeriesContoured,
    )

Facts = dict[str, object]


def imported(report: "ImportReport", cohort: "Cohort") -> Facts:
    """Return what entered a cohort, what did not, and what became of each ROI name."""
    return {
        "cohort": cohort.path,
        "centre": cohort.centre,
        "added": report.added,
        "replaced": report.replaced,
        "already_there": report.already_there,
        "left_out": list(map(_left_out, report.left_out)),
        "names": _names(report.names),
        "skipped": dict(report.skipped),
    }


def previewed(preview: "ImportPreview", draft: Path | None) -> Facts:
    """Return what an import would make of the ROI names. draft: the map that was written."""
    return {
        "structure_sets": preview.structure_sets,
        "names": _names(preview.names),
        "left_out": list(map(_not_copied, preview.left_out)),
        "skipped": dict(preview.skipped),
        "draft_map": draft,
    }


def removed(cases: Sequence[str], cohort: "Cohort") -> Facts:
    """Return which cases were taken out of a cohort, and which stay."""
    return {
        "cohort": cohort.path,
        "centre": cohort.centre,
        "removed": cases,
        "cases": cohort.case_ids,
    }


def undone(
    cases: Sequence[str],
    cohort: "Cohort",
    following: Sequence[str],
) -> Facts:
    """Return what undoing an import took out. following: what the next undo would take out."""
    return {**removed(cases, cohort), "undone_next": following}


def deidentified(written: "Deidentified", folder: Path) -> Facts:
    """Return what was written without its patients, and what was not."""
    return {
        "folder": folder,
        "patients": written.patients,
        "series": written.series,
        "structure_sets": written.structure_sets,
        "dropped_rois": written.dropped_rois,
        "left_out": list(map(_not_copied, written.left_out)),
        "names": _names(written.names),
        "skipped": dict(written.skipped),
    }


def _left_out(left: "LeftOut") -> Facts:
    return {
        "what": left.what,
        "finding": left.finding,
        "screen_only": {"place": left.place},
    }


def _not_copied(left: "NotCopied | Unused") -> Facts:
    return {"finding": left.finding, "screen_only": {"path": left.path}}


def _names(names: "Iterable[tuple[NameRow, int]]") -> list[Facts]:
    rows: list[Facts] = []
    for name, patients in names:
        rows.append(
            {
                "patients": patients,
                "organ": name.tg263,
                "status": name.status,
                "reason": name.reason,
                "screen_only": {"roi_name": name.roi_name},
            }
        )
    return rows


def cohort(found: "CohortContents", page: Path | None = None) -> Facts:
    """Return what a cohort holds. page: of all cases, if one was written."""
    from recontour.cohort import by_patient, notices_of, with_one_ct
    from recontour.cohort.origins import mixed_origins
    from recontour.cohort.patients import doubt
    from recontour.cohort.sizes import organ_summaries

    opened, sound = found.cohort, found.cases
    several = [patient for patient in by_patient(sound) if len(patient) > 1]
    return {
        "cohort": opened.path,
        "centre": opened.centre,
        "notices": notices_of(opened.notices, sound),
        "cases": [_case(case, found.sizes[case.id]) for case in sound],
        "damaged": found.damaged,
        "organs": organ_summaries(found.sizes),
        "same_ct": list(map(_ids, with_one_ct(sound))),
        "same_patient": list(map(_ids, several)),
        "unknown_patients": doubt(sound),
        "mixed_origins": mixed_origins(sound),
        "not_applied": opened.not_applied,
        "names": _rows(opened.path / "names.csv"),
        "left_out": _rows(opened.path / "left_out.csv"),
        "html": page,
    }


def _case(case: "Case", sizes: "Sizes") -> Facts:
    return {
        "case": case.id,
        "shape": case.grid.shape,
        "spacing_mm": case.grid.spacing_mm,
        "slice_z_mm": case.grid.slice_z_mm,
        "sizes": {organ: _size(size) for organ, size in sizes.items()},
        "is_draft": case.is_draft,
        "origin": case.origin,
        "acquisition": case.acquisition,
        "screen_only": {"roi_names": case.roi_names},
        "traits": case.traits,
    }


def _size(size: "OrganSize") -> Facts:
    """Return what an organ of a case measures; the traits say what may be missing of it."""
    return {
        "slices": size.slices,
        "extent_mm": size.extent_mm,
        "volume_cc": size.volume_cc,
        "area_cm2": size.area_cm2,
    }


def _ids(cases: "Iterable[Case]") -> list[str]:
    return [case.id for case in cases]


def _rows(path: Path) -> list[dict[str, str]]:
    header, rows = read_table(path)
    return [dict(zip(header, row, strict=False)) for row in rows]


def model_card(card: "ModelCard", path: Path) -> Facts:
    """Return a model's card."""
    return {"model": path, "card": card}


def converted(written: "Converted", path: Path) -> Facts:
    """Return what became of labels."""
    return {"written": path, "volumes_cc": written.volumes_cc, "empty": written.empty}


def exported(written: "Exported", folder: Path) -> Facts:
    """Return what was written of a cohort for other tools, and what was not."""
    return {
        "folder": folder,
        "cases": written.cases,
        "organs": written.organs,
        "left_out": written.left_out,
        "shared_voxels": written.shared_voxels,
    }


def learnt(
    model: "Model",
    path: Path,
    trunk: Path | None = None,
) -> Facts:
    """Return what a model is, now that it is written. trunk: the model that a lone head needs."""
    from recontour.network.card import card

    used_as = path if trunk is None else f"{trunk}+{path}"
    return {
        "written": path,
        "model": used_as,
        "lineage": model.provenance.lineage,
        "fresh_organs": model.provenance.fresh_organs,
        "dropped_organs": model.provenance.dropped_organs,
        "card": card(model),
    }


def contoured(found: "Contoured", path: Path, format: str) -> Facts:
    """Return what was contoured on a CT."""
    return {
        "written": path,
        "format": format,
        "volumes_cc": found.volumes_cc,
        "not_found": found.not_found,
        "screen_only": {"names": found.names},
        "unlike_training": found.unlike_training,
        "notices": found.notices,
        "review_order": found.review_order,
    }


def contoured_all(done: "Sequence[SeriesContoured]", folder: Path, format: str) -> Facts:
    """Return what became of every CT series of a folder."""
    return {"folder": folder, "format": format, "series": list(map(_series, done))}


def _series(one: "SeriesContoured") -> Facts:
    found = one.found
    return {
        "was_done": one.was_done,
        "volumes_cc": found.volumes_cc if found else None,
        "not_found": found.not_found if found else None,
        "unlike_training": found.unlike_training if found else None,
        "review_order": found.review_order if found else None,
        "warnings": one.warnings,
        "failure": one.failure,
        "screen_only": {
            "place": one.place,
            "written": one.out,
            "names": found.names if found else None,
        },
    }


def scored(scores: Sequence["CaseScore"], folder: Path) -> Facts:
    """Return every score, every comparison and the verdicts."""
    from recontour.evaluation import common_organs, compare, mean_over_organs
    from recontour.evaluation.verdicts import judge_others, models_of, too_few_patients

    models = models_of(scores)
    common = common_organs(scores)
    comparisons = compare(scores, models)
    mean_dsc = {model: mean_over_organs(scores, model, common) for model in models}
    return {
        "folder": folder,
        "report": folder / "report.html",
        "models": models,
        "common_organs": common,
        "mean_dsc": mean_dsc,
        "trained_on": trained_patients(scores),
        "verdicts": list(map(_verdict, judge_others(scores, comparisons))),
        "too_few_patients": too_few_patients(comparisons),
        "comparisons": comparisons,
        "scores": scores,
    }


def gained(gains: "Gains", folder: Path) -> Facts:
    """Return what more and more patients brought, and the advice."""
    return {
        "folder": folder,
        "report": folder / "report.html",
        "mean_dsc": gains.dsc,
        "steps": gains.steps,
        "organs": gains.organs,
        "useful": gains.useful,
        "next_patients": gains.next_patients,
        "next_gain": {"low": gains.next_gain.low, "high": gains.next_gain.high},
        "advice": gains.advice,
        "patients_to_tell": gains.patients_to_tell,
        "finding": gains.finding(),
        "little_is_known": gains.little_is_known(),
    }


def accepted(found: "Acceptance", folder: Path, per_organ: Path | None) -> Facts:
    """Return what becomes of each organ, and what that rests on. per_organ: what was written."""
    from recontour.assess.acceptance import decision_facts, limits

    return {
        "folder": folder,
        "report": folder / "report.html",
        "written": per_organ,
        "decision": decision_facts(found),
        "limits": limits(found),
    }


def monitored(found: "Monitored", folder: Path) -> Facts:
    """Return a statement per organ, and every chart."""
    from recontour.evaluation.findings import Drifted

    drifted = [one.organ for one in found.statements if isinstance(one, Drifted)]
    return {
        "folder": folder,
        "report": folder / "report.html",
        "cases": found.cases,
        "baseline": found.baseline,
        "unchanged": found.unchanged,
        "drifted": drifted,
        "statements": found.statements,
        "charts": list(map(_control_chart, found.charts)),
    }


def _control_chart(chart: "Chart") -> Facts:
    lower, upper = chart.limits()
    return {
        "organ": chart.organ,
        "measure": chart.measure,
        "usual": chart.usual,
        "lower": lower,
        "upper": upper,
        "baseline": chart.baseline,
        "cases": chart.cases,
        "values": chart.values,
        "signals": chart.signals,
    }


def compared(found: "ProtocolComparison", folder: Path) -> Facts:
    """Return what differs between two centres' contours, in numbers and in words."""
    return {
        "folder": folder,
        "report": folder / "report.html",
        "centre": found.centre,
        "home": found.home,
        "statements": found.statements,
        "differences": found.differences,
        "images": found.images,
        "unlike_images": found.unlike_images,
        "acquired": {"own": found.acquired, "home": found.home_acquired},
        "suspects": found.suspects,
        "doubts": found.doubts,
        "offsets": found.offsets,
    }


def trained_patients(scores: Iterable["CaseScore"]) -> dict[str, list[str]]:
    """Return the patients that each model was trained on, if there are any, by model."""
    found: dict[str, dict[str, None]] = {}
    for row in scores:
        if row.trained_on:
            found.setdefault(row.model, {})[row.who] = None
    return {model: list(patients) for model, patients in found.items()}


def _verdict(verdict: "ModelVerdict") -> Facts:
    return {
        "baseline": verdict.baseline,
        "model": verdict.model,
        "mean_difference": verdict.mean_difference,
        "organs": {organ.organ: organ.verdict for organ in verdict.organs},
    }


@dataclass(frozen=True, slots=True)
class TotalCost:
    """What several cells cost, one by one. cache_bytes: at most at one time."""

    seconds: float
    bytes: float
    cache_bytes: float


def total_cost(forecast: "Forecast") -> TotalCost:
    """Add up what cells cost."""
    costs = forecast.costs.values()
    caches = sorted(cost.cache_bytes for cost in costs)
    return TotalCost(
        seconds=sum(cost.seconds for cost in costs),
        bytes=sum(cost.bytes for cost in costs),
        cache_bytes=sum(caches[-forecast.workers :]),
    )


def planned(forecast: "Forecast") -> Facts:
    """Return a study's cells in the order of their start, and what they will cost."""
    total = total_cost(forecast)
    costs = []
    for cell in forecast.cells:
        cost = forecast.costs[cell.id]
        costs.append({"cell": cell.id, "seconds": cost.seconds, "bytes": cost.bytes})
    return {
        "cells": costs,
        "seconds": total.seconds,
        "bytes": total.bytes,
        "cache_bytes": total.cache_bytes,
        "workers": forecast.workers,
        "seconds_with_workers": forecast.seconds,
    }


def studied(failed: Mapping[str, str], folder: Path) -> Facts:
    """Return how a study ended."""
    return {"folder": folder, "report": folder / "report.html", "failed": failed}


def site_checked(found: "Checked") -> Facts:
    """Return what a site would do, and what speaks against it."""
    site = found.site
    models = {name: model.file for name, model in site.models.items()}
    rules: list[Facts] = []
    for one in found.rules:
        rules.append(
            {
                "rule": one.rule.name,
                "model": one.rule.model,
                "when": conditions(one.rule),
                "organs": one.organs,
                "destinations": one.rule.destinations,
                "keep_days": one.rule.keep_days,
            }
        )
    destinations = {}
    for to in site.destinations:
        destinations[to.name] = {
            "ae_title": to.ae_title,
            "address": to.address,
            "port": to.port,
            "tls": to.tls is not None,
            "answers": found.answers[to.name],
        }
    return {
        "folder": site.folder,
        "free_bytes": found.free_bytes,
        "node": {
            "ae_title": site.node.ae_title,
            "address": site.node.address,
            "port": site.node.port,
            "tls": site.node.tls is not None,
            "callers": [f"{one.ae_title} at {one.address}" for one in site.node.callers],
            "quiet_s": site.node.quiet_s,
        },
        "page": {
            "address": site.page.address,
            "port": site.page.port,
            "login": site.page.login,
        },
        "models": models,
        "rules": rules,
        "destinations": destinations,
        "problems": found.problems,
    }


def conditions(rule: "Rule") -> dict[str, str]:
    """Return what must hold of a series for a rule to take it, in words."""
    from recontour.service.rules import TEXTS, in_words

    found = {}
    for name in TEXTS:
        condition = getattr(rule.when, name)
        if condition is not None:
            found[name] = in_words(condition)
    for name in ("least_slices", "most_slices"):
        number = getattr(rule.when, name)
        if number is not None:
            found[name] = str(number)
    return found


def site_tried(tried: "Iterable[Tried]") -> Facts:
    """Return which rule of a site would take each series, and why those before it would not."""
    series: list[Facts] = []
    for one in tried:
        rule = one.decision.rule
        series.append(
            {
                "rule": rule.name if rule else None,
                "slices": one.arrived.slices,
                "against": one.decision.against,
                "screen_only": {
                    "place": one.place,
                    "description": one.arrived.description,
                    "body_part": one.arrived.body_part,
                    "manufacturer": one.arrived.manufacturer,
                },
            }
        )
    return {"series": series}


def forgotten(found: "Forgotten") -> Facts:
    """Return what was deleted of a patient."""
    return {
        "series": found.series,
        "drafts": found.drafts,
        "approvals": found.approvals,
        "cases": found.cases,
    }


def accounted(account: str, role: str | None) -> Facts:
    """Return what an account may do now; None: nothing, it is closed."""
    return {"account": account, "role": role}
