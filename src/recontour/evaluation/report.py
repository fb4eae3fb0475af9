"""The report of an evaluation: one HTML file that needs nothing else, for screen and paper."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from itertools import combinations
from pathlib import Path
from platform import python_version

import numpy as np
from markupsafe import Markup

from recontour.evaluation.figures import OverlaysOf, Picture, box_plots, colour_of, draw
from recontour.evaluation.means import common_organs
from recontour.evaluation.numbers import number
from recontour.evaluation.page import as_notice, render
from recontour.evaluation.patients import patients_and_cts, per_patient
from recontour.evaluation.summary import VerdictWords, in_words, per_case, printed, tables, tile
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.evaluation.verdicts import SIGNIFICANT, judge, too_few_patients
from recontour.files import write_text
from recontour.organs import default_organ, organ_of
from recontour.wording import plural

# With more pairs of models, p gets a table of its own.
PAIRS_BESIDE_SCORES = 3
# Their versions decide the numbers and pictures.
PACKAGES = ("recontour", "numpy", "scipy", "contourpy", "matplotlib")

# Behind tolerances that are not published for the organ.
DEFAULT_MARK = "†"
GIVEN_MARK = "‡"


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """What was compared.

    centre: whose contours are the reference. models: by name one line about it, in the order of
    the tables; the first is the baseline. repeat: the command that makes this report again.
    notices: what a reader must know first, for example that the patients are synthetic.
    contours: those of the models that are contours from elsewhere. tolerances_given: organs whose
    tolerance the user gave.
    """

    centre: str
    date: date
    models: Mapping[str, str]
    repeat: str
    notices: Sequence[str] = ()
    contours: Collection[str] = ()
    tolerances_given: Collection[str] = ()

    @property
    def compared(self) -> str:
        """Count what is compared with the reference, in words."""
        models = len(self.models) - len(self.contours)
        counts = [plural(models, "model")] if models else []
        if self.contours:
            counts.append(f"{plural(len(self.contours), 'set')} of contours from elsewhere")
        return " and ".join(counts)


def picture_cases(scores: Iterable[CaseScore], models: Sequence[str]) -> dict[str, dict[str, str]]:
    """Choose the cases to show of each organ by DSC.

    The DSC is the last model's, or that of the last one that scored the organ. Of an even number
    the lower middle is the median; two cases have none, and a single one is the "only" one.

    Returns: organ -> {"worst", "median", "best": case}.
    """
    ranked: dict[str, dict[str, list[tuple[float, str]]]] = {}
    for row in scores:
        if np.isfinite(row.dsc):
            by_model = ranked.setdefault(row.organ, {})
            by_model.setdefault(row.model, []).append((row.dsc, row.case))
    chosen = {}
    for organ, by_model in ranked.items():
        last = max(by_model, key=models.index)
        cases = [case for _, case in sorted(by_model[last])]
        chosen[organ] = _worst_median_best(cases)
    return chosen


def _worst_median_best(cases: Sequence[str]) -> dict[str, str]:
    """Name the ends and the middle of cases in rising order."""
    if len(cases) == 1:
        return {"only": cases[0]}
    if len(cases) == 2:
        return {"worst": cases[0], "best": cases[1]}
    median = cases[(len(cases) - 1) // 2]
    return {"worst": cases[0], "median": median, "best": cases[-1]}


def write_report(
    path: Path,
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    overlays_of: OverlaysOf,
    header: ReportHeader,
) -> None:
    """Write report.html, whole or not at all, never over a file that exists.

    comparisons: every two models on every organ, as `compare` returns them.
    overlays_of: from case and organ to the planes that `planes_to_show` names, in its order; called
        for one case and organ at a time, for the cases of `picture_cases`.

    Raises: OutputError: the file exists, or cannot be written there.
    """
    contents = _contents(scores, comparisons, overlays_of, header)
    write_text(path, render("recontour.evaluation", "report.html", contents))


def _contents(
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    overlays_of: OverlaysOf,
    header: ReportHeader,
) -> dict[str, object]:
    """Return everything that the template names."""
    models = list(header.models)
    organs = list(dict.fromkeys(row.organ for row in scores))
    common = common_organs(scores)
    patients, cts = patients_and_cts(scores)
    few = too_few_patients(comparisons)
    return {
        "header": header,
        "patients": patients,
        "cts": cts,
        "organs": organs,
        "common": len(common),
        "colours": colour_of(models),
        "tiles": [tile(scores, model, common) for model in models],
        "too_few": as_notice(few) if few else "",
        "tables": tables(scores, models, organs),
        "box_plots": Markup(box_plots(per_patient(scores), models)),
        "overlays": list(_pictured(scores, models, overlays_of)),
        "per_case": per_case(scores),
        "tolerances": _tolerances(scores, header.tolerances_given),
        "default_mm": default_organ().tolerance_mm,
        "significant": SIGNIFICANT,
        "versions": _versions(),
        **_comparisons(scores, comparisons, models),
    }


def _comparisons(
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    models: Sequence[str],
) -> dict[str, object]:
    """Return what the template says of every two models."""
    pairs = list(combinations(models, 2))
    with_baseline: list[VerdictWords] = []
    between_others: list[VerdictWords] = []
    for a, b in pairs:
        verdict = in_words(judge(scores, comparisons, a, b))
        (with_baseline if a == models[0] else between_others).append(verdict)
    differences = [(row, printed(row)) for row in comparisons]
    tests = {}
    for row, test in differences:
        tests[row.organ, row.model_a, row.model_b] = test
    return {
        "pairs": pairs,
        "pairs_beside_scores": len(pairs) <= PAIRS_BESIDE_SCORES,
        "verdicts": with_baseline,
        "between_others": between_others,
        "differences": differences,
        "tests": tests,
    }


def _tolerances(scores: Iterable[CaseScore], given: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return each organ's tolerance in mm, and the mark of one that is not published."""
    found = {}
    for row in scores:
        mark = "" if organ_of(row.organ).has_own_tolerance else DEFAULT_MARK
        if row.organ in given:
            mark = GIVEN_MARK
        found[row.organ] = (f"{row.tolerance_mm:g}", mark)
    return found


def _versions() -> dict[str, str]:
    versions = {"Python": python_version()}
    for package in PACKAGES:
        versions[package] = metadata.version(package)
    return versions


@dataclass(frozen=True, slots=True)
class PicturedCase:
    """One case's overlays of one organ, and their caption.

    rank: worst, median, best or only. dsc: as printed, by model.
    """

    rank: str
    case: str
    pictures: list[Picture]
    dsc: dict[str, str]


def _pictured(
    scores: Sequence[CaseScore], models: Sequence[str], overlays_of: OverlaysOf
) -> Iterator[tuple[str, list[PicturedCase]]]:
    """Yield each organ with its worst, median and best case, one case in memory at a time."""
    rows: dict[tuple[str, str], dict[str, CaseScore]] = {}
    for row in scores:
        rows.setdefault((row.organ, row.case), {})[row.model] = row
    for organ, cases in picture_cases(scores, models).items():
        pictured = []
        for rank, case in cases.items():
            pictures = list(map(draw, overlays_of(case, organ)))
            dsc = _captions(rows[organ, case], models)
            pictured.append(PicturedCase(rank, case, pictures, dsc))
        yield organ, pictured


def _captions(rows: Mapping[str, CaseScore], models: Sequence[str]) -> dict[str, str]:
    """Print the DSC of the models that scored a case."""
    printed_dsc = {}
    for model in models:
        if model in rows:
            row = rows[model]
            printed_dsc[model] = "missed" if row.is_missed else number(row.dsc, 2)
    return printed_dsc
