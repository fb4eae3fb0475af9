"""The report of an evaluation:

one HTML file that needs nothing else, for the screen and for paper.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from itertools import combinations
from pathlib import Path
from platform import python_version

import numpy as np
from markupsafe import Markup

from recontour.evaluation.figures import Overlay, Picture, box_plots, colour_of, draw
from recontour.evaluation.page import render
from recontour.evaluation.patients import patients_and_cts, per_patient
from recontour.evaluation.summary import (
    SIGNIFICANT,
    common_organs,
    number,
    per_case,
    power,
    printed,
    tables,
    tile,
    verdict,
)
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.files import write_text
from recontour.organs import default_organ, organ_of

PAIRS_BESIDE_SCORES = 3  # with more pairs of models, p gets a table of its own
PACKAGES = (
    "recontour",
    "numpy",
    "scipy",
    "contourpy",
    "matplotlib",
)  # whose versions decide the numbers and pictures


@dataclass(frozen=True, slots=True)
class About:
    """What was compared, for the report's head."""

    centre: str  # whose contours are the reference
    date: date
    models: Mapping[
        str, str
    ]  # name -> one line about it, in the order of the tables; the first is the baseline
    repeat: str  # the command that makes this report again
    notices: Sequence[
        str
    ] = ()  # what a reader must know first, such as that the patients are synthetic


def picture_cases(scores: Iterable[CaseScore], models: Sequence[str]) -> dict[str, dict[str, str]]:
    """The cases to show of each organ by its DSC: organ -> {"worst", "median", "best": case}.

    The DSC is the last model's, or that of the last one that scored the organ. Of an even number
    the lower middle is the median; of two cases there is none, and one is the "only" one.
    """
    ranked: dict[str, dict[str, list[tuple[float, str]]]] = {}  # organ, model
    for row in scores:
        if np.isfinite(row.dsc):
            ranked.setdefault(row.organ, {}).setdefault(row.model, []).append((row.dsc, row.case))
    cases = {
        organ: sorted(by_model[max(by_model, key=models.index)])
        for organ, by_model in ranked.items()
    }
    return {
        organ: _worst_median_best([case for _, case in of_organ])
        for organ, of_organ in cases.items()
    }


def _worst_median_best(cases: Sequence[str]) -> dict[str, str]:
    if len(cases) == 1:
        return {"only": cases[0]}
    if len(cases) == 2:
        return {"worst": cases[0], "best": cases[1]}
    return {"worst": cases[0], "median": cases[(len(cases) - 1) // 2], "best": cases[-1]}


def write_report(
    path: Path,
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    overlays_of: Callable[[str, str], Iterable[Overlay]],
    about: About,
) -> None:
    """Write report.html, whole or not at all, never over a file that exists.

    comparisons: every two models on every organ, as `compare` returns them. overlays_of: (case,
        organ) -> the slice where the reference is largest, then, if that is another, the one where
        the last model differs most; asked for one case and organ at a time, for the cases of
        `picture_cases`.

    Raises: OutputError: the file exists, or cannot be written there.
    """
    contents = _contents(scores, comparisons, overlays_of, about)
    write_text(path, render("recontour.evaluation", "report.html", contents))


def _contents(
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    overlays_of: Callable[[str, str], Iterable[Overlay]],
    about: About,
) -> dict[str, object]:
    """Everything the template names."""
    models = list(about.models)
    organs = list(dict.fromkeys(row.organ for row in scores))
    common = common_organs(scores)
    pairs = list(combinations(models, 2))
    patients, cts = patients_and_cts(scores)
    return {
        "about": about,
        "patients": patients,
        "cts": cts,
        "organs": organs,
        "common": len(common),
        "colours": colour_of(models),
        "tiles": [tile(scores, model, common) for model in models],
        "verdicts": [verdict(scores, comparisons, models[0], model) for model in models[1:]],
        "between_others": [verdict(scores, comparisons, a, b) for a, b in pairs if a != models[0]],
        "power": power(comparisons),
        "tables": tables(scores, models, organs),
        "pairs": pairs,
        "pairs_beside_scores": len(pairs) <= PAIRS_BESIDE_SCORES,
        "tests": {(row.organ, row.model_a, row.model_b): printed(row) for row in comparisons},
        "differences": [(row, printed(row)) for row in comparisons],
        "box_plots": Markup(box_plots(per_patient(scores), models)),
        "overlays": list(_pictured(scores, models, overlays_of)),
        "per_case": per_case(scores),
        "tolerances": {
            row.organ: (f"{row.tolerance_mm:g}", organ_of(row.organ).has_own_tolerance)
            for row in scores
        },
        "default_mm": default_organ().tolerance_mm,
        "significant": SIGNIFICANT,
        "z_mm": lambda value: number(value, 1),
        "versions": {"Python": python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
    }


@dataclass(frozen=True, slots=True)
class _Shown:
    """One case's overlays of one organ, and their caption."""

    rank: str  # worst, median, best or only
    case: str
    pictures: list[Picture]
    dsc: dict[str, str]  # by model


def _pictured(
    scores: Sequence[CaseScore],
    models: Sequence[str],
    overlays_of: Callable[[str, str], Iterable[Overlay]],
) -> Iterable[tuple[str, list[_Shown]]]:
    """Organ by organ its worst, median and best case, one case in memory at a time."""
    rows = {(row.organ, row.case, row.model): row for row in scores}
    for organ, cases in picture_cases(scores, models).items():
        shown = []
        for rank, case in cases.items():
            of_case = {
                model: rows[organ, case, model] for model in models if (organ, case, model) in rows
            }
            dsc = {
                model: "missed" if row.is_missed else number(row.dsc, 2)
                for model, row in of_case.items()
            }
            shown.append(
                _Shown(rank, case, [draw(overlay) for overlay in overlays_of(case, organ)], dsc)
            )
        yield organ, shown
