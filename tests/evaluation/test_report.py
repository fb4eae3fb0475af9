import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.conftest import scored

from recontour.errors import OutputError
from recontour.evaluation import CaseScore, compare
from recontour.evaluation.figures import Overlay
from recontour.evaluation.numbers import MINUS, NONE
from recontour.evaluation.page import as_notice
from recontour.evaluation.report import ReportHeader, picture_cases, write_report
from recontour.evaluation.verdicts import too_few_patients
from recontour.findings import Unexpected

HEADER = ReportHeader(
    "Centre B",
    date(2026, 1, 31),
    {"S": "from A", "ST": "adapted"},
    "recontour evaluate B S ST --out X",
)


def two_overlays(case: str, organ: str) -> list[Overlay]:
    """On the second plane neither the reference nor S is seen."""
    hu, mask, nothing = (
        np.zeros((60, 60), dtype=np.int16),
        np.zeros((60, 60), dtype=bool),
        np.zeros((60, 60), bool),
    )
    mask[25:35, 25:35] = True
    return [
        Overlay(hu, -12.5, (1.0, 1.0), mask, {"S": mask, "ST": ~mask}),
        Overlay(hu, 7.5, (1.0, 1.0), nothing, {"S": nothing, "ST": mask}, "sagittal"),
    ]


def ten_cases(organ: str, **gain: float) -> list[CaseScore]:
    """Ten cases whose DSC rises from 0.5; each model's is higher by its gain."""
    return [
        scored(f"c{k}", organ, model, 0.5 + k / 50 + more)
        for k in range(10)
        for model, more in gain.items()
    ]


def written(folder: Path, scores: Sequence[CaseScore], header: ReportHeader = HEADER) -> str:
    path = folder / "report.html"
    write_report(path, scores, compare(scores, list(header.models)), two_overlays, header)
    return path.read_text(encoding="utf-8")


class Tables(HTMLParser):
    """The page's tables as rows of cell texts; every tag closed in its turn."""

    VOID = frozenset({"meta", "input", "wbr", "image", "path", "use", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.strip()


def test_the_first_table_is_the_papers(tmp_path: Path) -> None:
    page = written(
        tmp_path, ten_cases("Brainstem", S=0.0, ST=0.1) + ten_cases("Lens_L", S=0.0, ST=-0.1)
    )
    dsc = Tables(page).tables[0]
    assert dsc == [
        ["Organ", "Patients", "S", "ST", "ST vs S"],
        ["p", "Holm"],
        ["Brainstem", "10", "0.59 ± 0.06", "0.69 ± 0.06", "0.002", "0.004▲"],
        ["Lens_L", "10", "0.59 ± 0.06", "0.49 ± 0.06", "0.002", "0.004▼"],
        ["Mean over 2 organs", "", "0.59", "0.59", ""],
    ]


def test_the_summary_names_what_became_worse_in_the_warning_colour(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        ten_cases("Brainstem", S=0.0, ST=0.1)
        + ten_cases("Lens_L", S=0.0, ST=-0.1)
        + [
            scored(f"c{k}", "Pituitary", model, 0.5 - 0.01 * k * (model == "ST"))
            for k in range(3)
            for model in ("S", "ST")
        ],
    )
    assert 'Significantly better: <span class="better">Brainstem</span> (+0.100).' in page
    assert f'Significantly worse: <span class="worse">Lens_L</span> ({MINUS}0.100).' in page
    lower = f'<span class="">Pituitary</span> ({MINUS}0.010)'
    assert f"Lower or missed more often, but not significantly worse: {lower}." in page


def lost_in_three(lost: str, *others: str) -> list[CaseScore]:
    """Ten cases at DSC 0.80; one model has 0.82 in seven of them and misses the organ in three."""
    missed = {"surface_dsc": 0.0, "hd95_mm": inf, "volume_bias_percent": -100.0}
    return [
        *(scored(f"c{k}", "Lens_L", model, 0.8) for k in range(10) for model in others),
        *(scored(f"c{k}", "Lens_L", lost, 0.82) for k in range(7)),
        *(scored(f"c{k}", "Lens_L", lost, 0.0, **missed) for k in range(7, 10)),
    ]


def test_an_organ_that_is_lost_in_some_cases_is_named_though_its_median_rose(
    tmp_path: Path,
) -> None:
    page = written(tmp_path, lost_in_three("ST", "S"))
    words = (
        f'<span class="">Lens_L</span> (+0.020, mean {MINUS}0.226, missed in 3 of 10, by S in 0)'
    )
    assert f"Lower or missed more often, but not significantly worse: {words}." in page
    assert "No conclusive difference" not in page


def test_it_is_named_between_any_two_models(tmp_path: Path) -> None:
    header = ReportHeader("B", date(2026, 1, 1), dict.fromkeys(("S", "T", "ST"), ""), "again")
    page = written(tmp_path, lost_in_three("ST", "S", "T"), header)
    assert f"mean {MINUS}0.226, missed in 3 of 10, by T in 0" in page


def test_surface_dsc_at_1_and_2_mm_and_the_added_path_have_tables(tmp_path: Path) -> None:
    """The smaller added path is the better one."""
    scores = []
    for case in ("a", "b"):
        near = {"surface_dsc_1mm": 0.75, "apl_mm": 10.4}
        far = {"surface_dsc_1mm": 0.5, "apl_mm": 30.0}
        scores.append(scored(case, "Lens_L", "S", 0.8, surface_dsc_2mm=0.875, **far))
        scores.append(scored(case, "Lens_L", "ST", 0.8, surface_dsc_2mm=0.875, **near))
    page = written(tmp_path, scores)
    titles = re.findall('<h3>(.*?)</h3>\n<div class="wide">', page)
    by_title = dict(zip(titles, Tables(page).tables, strict=False))
    assert by_title["Surface DSC at 1 mm"][1:] == [
        ["Lens_L", "2", "0.50 ± 0.00", "0.75 ± 0.00"],
        ["Mean over 1 organ", "", "0.50", "0.75"],
    ]
    assert by_title["Surface DSC at 2 mm"][1][2:] == ["0.88 ± 0.00", "0.88 ± 0.00"]
    added = "Added path length (APL) at the organ&#39;s tolerance, mm"
    assert by_title[added][1:] == [
        ["Lens_L", "2", "30 ± 0", "10 ± 0"],
        ["Mean over 1 organ", "", "30", "10"],
    ]
    assert '<td class="best">10 ± 0</td>' in page.replace("\n", "")


def test_missed_organs_are_counted(tmp_path: Path) -> None:
    missed = scored(
        "x", "Lens_L", "S", 0.0, surface_dsc=0.0, hd95_mm=inf, volume_bias_percent=-100.0
    )
    page = written(
        tmp_path, [*ten_cases("Lens_L", S=0.2, ST=0.2), missed, scored("x", "Lens_L", "ST", 0.8)]
    )
    tables = Tables(page).tables
    assert "1 missed" in tables[0][2][2]
    assert "1 missed" not in tables[0][2][3]
    assert tables[4][1][2] == "3.0mean 3.0 ± 0.0 (1 ∞)1 missed"
    assert "<dd>1 of 11</dd>" in page
    assert "<dd>0 of 11</dd>" in page


@pytest.mark.parametrize(
    ("cases", "organs", "says"),
    [
        (
            1,
            1,
            "With 1 patient no test is possible: not even a lone organ's p can fall below 1.000.",
        ),
        # 2 / 2^5
        (
            5,
            1,
            "With 5 patients no test is possible: not even a lone organ's p can fall below 0.062.",
        ),
        (
            6,
            2,
            "With 6 patients and 2 organs the smallest Holm-corrected p that a lone organ can "
            "reach is 0.062",
        ),
        (6, 1, ""),
    ],
)
def test_few_cases_are_said_to_be_too_few(cases: int, organs: int, says: str) -> None:
    scores = [
        row
        for organ in "AB"[:organs]
        for row in ten_cases(organ, S=0.0, ST=0.1)
        if row.case < f"c{cases}"
    ]
    few = too_few_patients(compare(scores, ["S", "ST"]))
    said = as_notice(few) if few else ""
    assert said.startswith(says)
    assert bool(said) is bool(says)


@pytest.mark.parametrize(("cases", "interval"), [(1, NONE), (5, NONE), (6, "+0.100 to +0.100")])
def test_no_interval_is_claimed_of_fewer_than_six_pairs(
    tmp_path: Path, cases: int, interval: str
) -> None:
    page = written(
        tmp_path, [row for row in ten_cases("Lens_L", S=0.0, ST=0.1) if row.case < f"c{cases}"]
    )
    assert Tables(page).tables[-2][1][:5] == [
        "Lens_L",
        f"ST {MINUS} S",
        str(cases),
        "+0.100",
        interval,
    ]


def test_patients_are_counted_and_their_cts_are_said(tmp_path: Path) -> None:
    """c0 to c8 are nine patients; c9 is a second CT of c0."""
    rows = [
        replace(row, patient="c0" if row.case == "c9" else row.case)
        for row in ten_cases("Lens_L", S=0.0, ST=0.1)
    ]
    page = written(tmp_path, rows)
    assert "9 patients (10 CTs)" in page
    assert Tables(page).tables[0][2][:2] == ["Lens_L", "9 (10 CTs)"]
    assert Tables(page).tables[-2][1][2] == "9 (10 CTs)"


def test_enough_cases_carry_no_such_warning(tmp_path: Path) -> None:
    assert "the smallest Holm-corrected p" not in written(
        tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1)
    )


@pytest.mark.parametrize("models", [1, 2, 3, 4, 5])
def test_any_number_of_models_and_organs(tmp_path: Path, models: int) -> None:
    names = [f"model_{k}_with_a_rather_long_name" for k in range(models)]
    scores = [
        row
        for organ in ("A", "B")
        for row in ten_cases(organ, **{name: k / 50 for k, name in enumerate(names)})
    ]
    page = written(
        tmp_path, scores, ReportHeader("B", date(2026, 1, 1), dict.fromkeys(names, ""), "again")
    )
    tables = Tables(page).tables
    assert tables[0][0][2 : 2 + models] == names
    headers = [cell for rows in tables for cell in rows[0]]
    assert (f"{names[-1]} vs {names[0]}" in headers) == (models > 1)
    assert ("Wilcoxon" in page) == (models > 1)


def test_names_are_text_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    scores = [scored(evil + str(k), evil, evil, 0.5 + k / 10) for k in range(3)]
    page = written(
        tmp_path, scores, ReportHeader(evil, date(2026, 1, 1), {evil: evil}, evil, [evil])
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = written(tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1))
    fetched = re.findall(r'(?:src|href|data|action)="([^"]*)"|url\(([^)]*)\)|@import', page)
    assert fetched
    assert all((attribute or url).startswith(("data:image/png", "#")) for attribute, url in fetched)
    assert "default-src 'none'" in page


def test_the_head_carries_the_notices_and_how_to_repeat(tmp_path: Path) -> None:
    header = ReportHeader(
        "Centre B",
        date(2026, 1, 31),
        {"S": "", "ST": ""},
        "recontour evaluate B S",
        ["Synthetic patients."],
    )
    page = written(tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1), header)
    assert '<p class="notice">Synthetic patients.</p>' in page
    assert (
        "Research use only; not a medical device. A qualified person must review every contour "
        "before it is used." in page
    )
    assert "<code>recontour evaluate B S</code>, with the cohort's folder as COHORT" in page
    assert "2026-01-31" in page


def test_an_organ_without_a_single_finite_score_is_still_listed(tmp_path: Path) -> None:
    empty = [
        scored("c0", "Larynx", model, nan, surface_dsc=nan, hd95_mm=nan, volume_bias_percent=nan)
        for model in ("S", "ST")
    ]
    page = written(tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1) + empty)
    assert ["Larynx", "1", NONE, NONE, NONE, NONE] in Tables(page).tables[0]


def test_means_are_over_the_organs_that_every_model_scored(tmp_path: Path) -> None:
    """ST has one more organ, which it contours well, and S one that it contours badly.

    Neither makes ST better.
    """
    scores = (
        ten_cases("Lens_L", S=0.0, ST=0.0)
        + ten_cases("Brain", ST=0.3)
        + ten_cases("OpticChiasm", S=-0.4)
    )
    page = written(tmp_path, scores)
    assert ["Mean over 1 organ", "", "0.59", "0.59", ""] in Tables(page).tables[0]
    assert page.count('<div class="big">0.590</div>\n    <small>mean DSC over 1 organ</small>') == 2
    assert "over the 1 organ that every model has scored" in page
    assert '<b class="name">S</b>: mean DSC over 1 organ 0.000.' in page
    assert "No conclusive difference in 1 organ." in page


def test_of_three_models_two_are_compared_over_what_both_scored(tmp_path: Path) -> None:
    header = ReportHeader("B", date(2026, 1, 1), dict.fromkeys(("S", "T", "ST"), ""), "again")
    scores = ten_cases("Lens_L", S=0.0, T=0.0, ST=0.1) + ten_cases("Brain", S=0.0, ST=0.3)
    page = written(tmp_path, scores, header)
    assert (
        '<b class="name">ST</b> against <b class="name">S</b>: mean DSC over 2 organs +0.200.'
        in page
    )
    assert (
        '<b class="name">T</b> against <b class="name">S</b>: mean DSC over 1 organ 0.000.' in page
    )


def test_every_two_models_are_compared_in_words(tmp_path: Path) -> None:
    header = ReportHeader("B", date(2026, 1, 1), dict.fromkeys(("S", "T", "ST"), ""), "again")
    scores = ten_cases("Lens_L", S=0.0, T=0.1, ST=0.3) + ten_cases("Brain", S=0.0, T=0.1, ST=0.0)
    page = written(tmp_path, scores, header)
    assert (
        '<b class="name">ST</b> against <b class="name">T</b>: mean DSC over 2 organs +0.050; '
        'significantly better: <span class="better">Lens_L</span> (+0.200); '
        f'significantly worse: <span class="worse">Brain</span> ({MINUS}0.100).'
    ) in page
    assert page.count("</b> against <b") == 3


def test_the_pictures_come_after_the_first_table(tmp_path: Path) -> None:
    page = written(tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1))
    order = [
        "Summary",
        "Scores per organ",
        "Contours on the CT",
        "Other measures per organ",
        "DSC, patient by patient",
    ]
    assert re.findall(r"<h2>(.*?)</h2>", page)[:5] == order
    assert page.count("<section") == page.count("</section>")


def test_a_model_that_scored_nothing_shows_a_dash(tmp_path: Path) -> None:
    header = ReportHeader("B", date(2026, 1, 1), dict.fromkeys(("S", "T", "ST"), ""), "again")
    page = written(tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1), header)
    assert Tables(page).tables[0][-1][:5] == ["Mean over 1 organ", "", "0.59", NONE, "0.69"]
    assert f'<b class="name">S</b>: mean DSC over 0 organs {NONE}.' in page


def test_models_without_a_common_organ_show_dashes(tmp_path: Path) -> None:
    page = written(tmp_path, ten_cases("Lens_L", S=0.0) + ten_cases("Brain", ST=0.3))
    assert ["Mean over 0 organs", "", NONE, NONE, ""] in Tables(page).tables[0]
    assert "No conclusive difference" not in page


def test_an_existing_report_is_kept_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    def broken(case: str, organ: str) -> list[Overlay]:
        raise OutputError(Unexpected(reason="the CT is gone"))

    scores = ten_cases("Lens_L", S=0.0, ST=0.1)
    with pytest.raises(OutputError, match="the CT is gone"):
        write_report(path, scores, compare(scores, ["S", "ST"]), broken, HEADER)
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"report\.html"):
        write_report(path, scores, compare(scores, ["S", "ST"]), two_overlays, HEADER)
    assert path.read_text() == "mine"


def test_worst_median_and_best_are_the_last_models() -> None:
    scores = [
        scored(f"c{k}", "Lens_L", model, k if model == "ST" else -k)
        for k in (3, 1, 4, 2)
        for model in ("S", "ST")
    ]
    scores += [
        scored("empty", "Lens_L", "ST", nan),
        scored("a", "Eye_L", "ST", 0.5),
        scored("b", "Eye_L", "ST", 0.4),
    ]
    scores += [
        scored("a", "Larynx", "ST", 0.5),
        scored("b", "Brain", "S", 0.5),
        scored("a", "Brain", "S", 0.7),
    ]
    assert picture_cases(scores, ["S", "ST"]) == {
        "Lens_L": {"worst": "c1", "median": "c2", "best": "c4"},
        "Eye_L": {"worst": "b", "best": "a"},
        "Larynx": {"only": "a"},
        "Brain": {"worst": "b", "best": "a"},  # ST does not know it
    }


def test_a_plane_says_where_it_lies_and_who_is_not_on_it(tmp_path: Path) -> None:
    page = written(tmp_path, ten_cases("Lens_L", S=0.0, ST=0.1))
    first, second, *_ = [
        re.sub("<[^>]*>", "", line) for line in re.findall(r'<p class="plane">(.*?)</p>', page)
    ]
    assert first == f"axial, z {MINUS}12.5 mm"
    assert second == "sagittal, x 7.5 mm · no reference · no contour by S"


def test_overlays_are_asked_for_one_organ_and_case_at_a_time(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def noted(case: str, organ: str) -> list[Overlay]:
        asked.append((case, organ))
        return two_overlays(case, organ)

    scores = ten_cases("Lens_L", S=0.0, ST=0.1)
    write_report(tmp_path / "report.html", scores, compare(scores, ["S", "ST"]), noted, HEADER)
    assert asked == [("c0", "Lens_L"), ("c4", "Lens_L"), ("c9", "Lens_L")]
