import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.conftest import scored

from recontour.errors import OutputError
from recontour.evaluation import CaseScore
from recontour.evaluation.figures import Overlay
from recontour.evaluation.numbers import MINUS
from recontour.evaluation.planes import VIEWS
from recontour.study.cells import Cell, Extent, Lengths, Plan, plan_of
from recontour.study.figures import smoothed
from recontour.study.pictures import captioned_pictures
from recontour.study.report import StudyHeader, write_study_report
from recontour.study.results import Contouring, Point, Result, Training
from recontour.study.settings import (
    CasesSettings,
    CentreSettings,
    DepthSettings,
    ModelsSettings,
    NormalisationSettings,
    SeparatelySettings,
    Study,
)
from recontour.study.tables import study_tables
from recontour.study.tables.models import models_table
from recontour.study.words import headline

ORGANS = ("Brainstem", "Lens_L")
LAYERS = 22
STUDY = Study(
    source=CentreSettings(Path("north")),
    target=CentreSettings(Path("south")),
    models=ModelsSettings(iterations=100, validate_every=25),
    seeds=(0,),
    separately=SeparatelySettings(iterations=30),
    depth=DepthSettings(iterations=40, layers=(1, 4, 10, "all")),
    normalisation=NormalisationSettings(slices=80),
    cases=CasesSettings(iterations=40, numbers=(1, 3, "all"), draws=2),
)
ABOUT = StudyHeader(
    name="A study",
    source="North",
    target="South",
    date=date(2026, 1, 31),
    preset="compact",
    settings={"seeds": "0", "numpy": "2.0"},
    split={"North": {"train": 20, "test": 8}, "South": {"train": 10, "validation": 3, "test": 10}},
    notices=(),
    repeat="recontour study STUDY.toml --out DIR",
)
GAIN = {"S": 0.0, "T": 0.05, "ST": 0.1, "random": -0.3}


def the_plan(study: Study = STUDY, organs: Sequence[str] = ORGANS) -> Plan:
    extent = Extent(
        organs=organs,
        layers=LAYERS,
        retrain_last=LAYERS,
        papers_depth=10,
        lengths=Lengths.of_all(100),
        target_patients=10,
    )
    return plan_of(study, extent)


def a_result(cell: Cell, gain: float | None = None, cases: int = 10, **training: object) -> Result:
    """Of every organ, case k has DSC 0.5 + k / 100 and the gain; on the source's cases the gain is
    a loss.
    """
    more = GAIN[cell.model] if gain is None else gain

    def scores(fold: str, sign: int) -> list[CaseScore]:
        return [
            scored(f"{fold[0]}{k}", organ, cell.id, 0.5 + k / 100 + sign * more)
            for k in range(cases)
            for organ in cell.organs
        ]

    run = Training(
        iterations=cell.iterations,
        seconds=cell.iterations * (0.2 if cell.model == "ST" else 0.3),
        waiting=0.01,
        trunk=0.5,
        head=0.49,
        parameters=1000,
        retrained_parameters=1000
        if cell.retrain_last in (None, LAYERS)
        else 40 * (cell.retrain_last or 0),
        loss=[Point(i, i * 0.2, 1 / (1 + i)) for i in range(0, cell.iterations, 2)],
        validation=[Point(i, i * 0.2, 0.5 + more + i / 1000) for i in (25, 50, 75, 100)]
        if cell.validate_every
        else [],
    )
    return Result(
        cell=cell,
        training=replace(run, **training),  # type: ignore[arg-type]
        contouring=Contouring(cases=20, slices=2000, seconds=100.0),
        train_cases=10,
        scores={"target test": scores("target", 1), "source test": scores("source", -1)},
    )


def all_results(plan: Plan) -> dict[str, Result]:
    return {cell.id: a_result(cell) for cell in plan.cells}


def overlays(case: str, organ: str, cells: Mapping[str, Cell]) -> list[Overlay]:
    row, column = np.indices((60, 60))
    discs = {size: (row - 30) ** 2 + (column - 30) ** 2 < size**2 for size in (8, 9, 11)}
    predicted = dict(zip(cells, (discs[8], discs[11]), strict=False))
    hu = np.zeros((60, 60), dtype=np.int16)
    return [Overlay(hu, -12.5, (1.0, 1.0), discs[9], predicted, view) for view in VIEWS]


def written(
    folder: Path,
    plan: Plan,
    results: Mapping[str, Result],
    about: StudyHeader = ABOUT,
    failed: Mapping[str, str] | None = None,
) -> str:
    write_study_report(folder, plan, results, failed or {}, overlays, about)
    return (folder / "report.html").read_text(encoding="utf-8")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Tags(HTMLParser):
    """Checks that every element is closed where it should be."""

    VOID = frozenset({"meta", "br", "wbr", "image", "path", "use", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


HEADINGS = (
    "Model_S, Model_T and Model_ST on South&#39;s test patients",
    "Contours on the CT",
    "How many layers to retrain",
    "How many of South&#39;s cases suffice",
    "One network per organ, or one for all",
    "Normalisation and batch",
    "What is kept of North",
    "Times",
    "Training curves",
    "To repeat this",
)
FILES = {
    "models",
    "statistics",
    "depth",
    "cases",
    "separately",
    "normalisation",
    "retention",
    "times",
    "curves",
    "scores",
}


def test_a_whole_study_has_every_section_and_table(tmp_path: Path) -> None:
    plan = the_plan()
    page = written(tmp_path, plan, all_results(plan))
    Tags(page)
    assert [page.index(f">{heading}</h2>") for heading in HEADINGS] == sorted(
        page.index(f">{heading}</h2>") for heading in HEADINGS
    )
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == FILES
    assert 'class="part"' not in page
    assert f"{len(plan.cells)} of {len(plan.cells)} cells finished" in page
    assert page.count("<figure ") == len(ORGANS)
    assert page.count("<svg viewBox") == len(ORGANS) * len(VIEWS)
    assert "Model_S, no target case" in page
    assert page.count("z \N{MINUS SIGN}12.5 mm") == len(ORGANS)
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_surface_dsc_at_1_and_2_mm_and_the_added_path_are_shown_by_organ(tmp_path: Path) -> None:
    plan = the_plan()
    results = all_results(plan)
    (triple,) = plan.models
    for cell, millimetres in ((triple.s, 80.0), (triple.t, 60.0), (triple.st, 40.0)):
        rows = [
            replace(row, surface_dsc_1mm=0.25, surface_dsc_2mm=0.5, apl_mm=millimetres)
            for row in results[cell.id].scores["target test"]
        ]
        scores = {"target test": rows}
        results[cell.id] = replace(results[cell.id], scores=scores)
    page = written(tmp_path, plan, results)
    _, _, after = page.partition("<h3>Surface DSC at 1 mm and at 2 mm, and added path length</h3>")
    rows_of_table = re.findall("<tr.*?</tr>", after.partition("</table>")[0], flags=re.DOTALL)
    printed = [re.findall("<td[^>]*>(.*?)</td>", row) for row in rows_of_table]
    by_organ = ["0.25 ± 0.00"] * 3 + ["0.50 ± 0.00"] * 3 + ["80 ± 0", "60 ± 0", "40 ± 0"]
    assert printed[2] == [ORGANS[0], *by_organ]
    overall = ["0.250"] * 3 + ["0.500"] * 3 + ["80", "60", "40"]
    assert printed[-1] == ["Mean over 2 organs", *overall]
    assert '<td class=" best">40 ± 0</td>' in rows_of_table[2]


def test_the_summary_says_what_the_scores_were_made_to_say(tmp_path: Path) -> None:
    """T is S + 0.05 and ST is S + 0.1 for every case, S is 0.545 on average; on the source the
    gains are losses.
    """
    plan = the_plan()
    results = all_results(plan)
    page = written(tmp_path, plan, results).replace("&#39;", "'")
    assert (
        "made it better there (+0.100, 95 % interval +0.100 to +0.100); the result is better than "
        "a model trained on South alone (+0.050, 95 % interval +0.050 to +0.050)." in page
    )
    assert (
        "10 test patients of South, over 2 organs: "
        "0.545 with Model_S (North's model as it is), 0.595" in page
    )
    assert (
        "better than Model_S in Brainstem, Lens_L; better than Model_T in Brainstem, Lens_L."
        in page
    )
    assert "Even with 10 target cases Model_T does not catch up with Model_ST" in page
    assert "Model_ST: learning from 10 patients rather than" in page
    assert "Little is known from" in page
    assert (
        "forgot some of North: on 10 test patients there Model_ST has 0.445 where Model_S has 0.545"
        in page
    )
    assert "takes 33 % less time than one of Model_T" in page  # 0.2 s against 0.3 s
    assert (
        "Model_ST: no conclusive difference between one network per organ and one for all (" in page
    )


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (
            -0.1,
            f"made it worse there ({MINUS}0.100, 95 % interval {MINUS}0.100 to {MINUS}0.100); "
            "the result is worse than",
        ),
        (
            0.0,
            "made no conclusive difference there (0.000, 95 % interval 0.000 to 0.000); "
            "the result is worse than",
        ),
        (
            0.05,
            "made it better there (+0.050, 95 % interval +0.050 to +0.050); "
            "the result is not conclusively different from",
        ),
    ],
)
def test_the_headline_follows_the_intervals(gain: float, words: str) -> None:
    plan = the_plan(replace(STUDY, separately=None, depth=None, normalisation=None, cases=None))
    results = {cell.id: a_result(cell, gain if cell.model == "ST" else None) for cell in plan.cells}
    main = models_table(plan, results)
    assert main
    assert words in headline(main, "North", "South")


def missed(result: Result, *organs: str) -> Result:
    """The same, but of some organs nothing was found."""
    scores = {}
    for fold, rows in result.scores.items():
        scores[fold] = [replace(row, dsc=0.0) if row.organ in organs else row for row in rows]
    points = [replace(point, value=0.0) for point in result.training.validation]
    training = replace(result.training, validation=points)
    return replace(result, scores=scores, training=training)


def test_nothing_follows_from_models_that_found_nothing(tmp_path: Path) -> None:
    plan = the_plan()
    results = {name: missed(result, *ORGANS) for name, result in all_results(plan).items()}
    page = written(tmp_path, plan, results)
    Tags(page)
    answer = page.split('class="answer">')[1]
    assert answer.startswith(
        "No model found any organ: DSC is 0 in every patient with Model_S, Model_T, Model_ST "
        "(Brainstem, Lens_L), so nothing can be concluded"
    )
    for claim in (
        "best with",
        "Best on the target",
        "forget",
        "forgot",
        "keeps up",
        "catch up",
        "catches up",
        "no conclusive difference between one network",
        "reached Model_T",
    ):
        assert claim not in page, claim
    assert 'class="best"' not in page
    assert ' best"' not in page
    assert page.count("nothing can be concluded") >= 6  # at the top, and in each section


def test_nothing_follows_from_an_organ_that_no_model_found(tmp_path: Path) -> None:
    plan = the_plan()
    results = {name: missed(result, "Lens_L") for name, result in all_results(plan).items()}
    page = written(tmp_path, plan, results)
    told = "No model found Lens_L in any patient, or only where it is not contoured"
    assert page.index(told) < page.index("Mean DSC on 10 test patients")
    assert "made it better there (+0.050" in page  # half of the brain stem's gain
    assert "better than Model_S in Brainstem; better than Model_T in Brainstem." in page


def test_depths_and_cases_without_any_organ_are_passed_over(tmp_path: Path) -> None:
    """Model_T keeps up from 3 cases on: with 1, neither model found anything."""
    plan = the_plan()
    results = all_results(plan)
    for number, pairs in plan.cases.items():
        for t, st in pairs:
            results[t.id] = a_result(t, GAIN["ST"])
            if number == 1:
                results[t.id] = missed(results[t.id], *ORGANS)
                results[st.id] = missed(results[st.id], *ORGANS)
    (one,) = plan.depth[1]
    results[one.id] = missed(results[one.id], *ORGANS)
    page = written(tmp_path, plan, results)
    assert "from 3 target cases on" in page
    assert "best with 4 retrained layers" in page


def test_the_best_depth_is_named_and_compared_with_ten_layers(tmp_path: Path) -> None:
    plan = the_plan()
    results = all_results(plan)
    (four,), (ten,) = plan.depth[4], plan.depth[10]
    assert "best with 1 retrained layer (mean DSC 0.645), not with 10" in written(
        tmp_path, plan, results
    )
    results[four.id] = a_result(four, 0.2)
    page = written(tmp_path, plan, results)
    assert (
        "best with 4 retrained layers (mean DSC 0.745), not with 10 (0.645): +0.100, 95 %" in page
    )
    results[ten.id] = a_result(ten, 0.3)
    page = written(tmp_path, plan, results)
    assert "best with 10 retrained layers (mean DSC 0.845)." in page
    del results[ten.id]
    page = written(tmp_path, plan, results)
    assert "that with 10 is not finished" in page


def test_the_number_of_cases_from_which_t_catches_up(tmp_path: Path) -> None:
    plan = the_plan()
    results = all_results(plan)
    (last,) = [t for t, _ in plan.cases[10]]
    results[last.id] = a_result(last, 0.1)
    page = written(tmp_path, plan, results)
    assert (
        "Model_T catches up with Model_ST: from 10 target cases on "
        "Model_ST is no longer conclusively better" in page
    )
    assert "with 3 cases it still was (+0.050, 95 % interval +0.050 to +0.050)" in page
    results |= {t.id: a_result(t, 0.3) for pairs in plan.cases.values() for t, _ in pairs}
    assert (
        "keeps up with Model_ST at every number of target cases: from 1 target case on"
        in written(tmp_path, plan, results)
    )


def test_a_partly_finished_study_shows_what_is_there(tmp_path: Path) -> None:
    plan = the_plan()
    (triple,) = plan.models
    results = {cell.id: a_result(cell) for cell in (triple.s, triple.st)}
    page = written(tmp_path, plan, results, failed={triple.t.id: "out of memory"})
    Tags(page)
    assert '<p class="part">2 of 3 cells finished</p>' in page
    assert "South alone" not in page  # nothing is said of Model_T
    assert "better than Model_T" not in page
    for gone in (
        "How many layers",
        "cases suffice",
        "One network per organ",
        "Normalisation and batch",
    ):
        assert f">{gone}" not in page
    assert "failed: out of memory" in page
    assert page.count("not run yet") == len(plan.cells) - 3
    assert not (tmp_path / "tables" / "depth.csv").exists()


@pytest.mark.parametrize("left_out", range(6))
def test_any_cells_may_be_missing(tmp_path: Path, left_out: int) -> None:
    plan = the_plan()
    results = {cell.id: a_result(cell) for k, cell in enumerate(plan.cells) if k % 6 == left_out}
    page = written(tmp_path, plan, results)
    Tags(page)
    assert ">nan" not in page


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    page = written(tmp_path, the_plan(), {})
    Tags(page)
    assert "No cell is finished yet" in page
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_the_tables_of_an_earlier_report_are_replaced(tmp_path: Path) -> None:
    plan = the_plan()
    written(tmp_path, plan, all_results(plan))
    (triple,) = plan.models
    written(tmp_path, plan, {triple.s.id: a_result(triple.s)})
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == FILES - {
        "depth", "cases", "separately", "normalisation",
    }  # fmt: skip
    assert {row["cell"] for row in table(tmp_path, "scores")} == {triple.s.id}


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    plan = the_plan(organs=(evil, "Lens_L"))
    about = replace(
        ABOUT,
        name=evil,
        source=evil,
        target=evil,
        notices=(evil,),
        settings={evil: evil},
        repeat=evil,
    )
    results = all_results(plan)
    results.popitem()
    page = written(tmp_path, plan, results, about, {evil: evil})
    tags = Tags(page)
    assert "script" not in tags.seen
    assert "<script" not in page


def test_notices_are_loud(tmp_path: Path) -> None:
    page = written(
        tmp_path, the_plan(), {}, replace(ABOUT, notices=("These patients are synthetic.",))
    )
    assert '<p class="notice loud">These patients are synthetic.</p>' in page


def test_a_missed_organ_and_one_with_nothing_to_measure(tmp_path: Path) -> None:
    """ST finds no lens in one case: DSC 0, and is said. A case with no lens in either mask counts
    nowhere.
    """
    plan = the_plan()
    (triple,) = plan.models
    results = all_results(plan)
    rows = list(results[triple.st.id].scores["target test"])
    rows[1] = replace(rows[1], dsc=0.0, surface_dsc=0.0, hd95_mm=inf, volume_bias_percent=-100.0)
    rows[3] = replace(rows[3], dsc=nan, surface_dsc=nan, hd95_mm=nan, volume_bias_percent=nan)
    results[triple.st.id] = replace(results[triple.st.id], scores={"target test": rows})
    page = written(tmp_path, plan, results)
    assert "1 missed" in page
    lens = {row["model"]: row for row in table(tmp_path, "models") if row["organ"] == "Lens_L"}
    assert [lens["Model_S"][name] for name in ("n", "missed")] == ["10", "0"]
    assert [lens["Model_ST"][name] for name in ("n", "missed")] == ["9", "1"]
    # the others' DSC are 0.6 to 0.69 without 0.60 (missed) and 0.61 (nothing to measure)
    assert float(lens["Model_ST"]["dsc_mean"]) == pytest.approx(
        sum(0.60 + k / 100 for k in range(2, 10)) / 9
    )


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    plan = the_plan()
    results = all_results(plan)
    written(tmp_path, plan, results)
    scores = {
        (row["cell"], row["fold"], row["case"], row["organ"]): float(row["dsc"])
        for row in table(tmp_path, "scores")
    }
    assert scores == {
        (name, fold, row.case, row.organ): row.dsc
        for name, result in results.items()
        for fold, rows in result.scores.items()
        for row in rows
    }
    overall = next(
        row
        for row in table(tmp_path, "models")
        if (row["organ"], row["model"]) == ("mean over organs", "Model_T")
    )
    assert float(overall["dsc_mean"]) == pytest.approx(0.595)
    stem = next(
        row
        for row in table(tmp_path, "models")
        if (row["organ"], row["model"]) == ("Brainstem", "Model_ST")
    )
    assert (stem["published_dsc_mean"], stem["published_dsc_sd"]) == ("0.89", "0.02")
    assert {row["p"] for row in table(tmp_path, "statistics") if row["organ"] in ORGANS} == {
        repr(2 / 1024)
    }
    assert {row["control"]: row["layers"] for row in table(tmp_path, "depth")} == {
        "": "22", "random trunk": "10", "head first": "22",
    }  # fmt: skip
    one = next(row for row in table(tmp_path, "cases") if row["cases"] == "1")
    assert [float(one[f"t_draws_{draw}_seed0"]) for draw in (0, 1)] == pytest.approx([0.595, 0.595])
    assert len(table(tmp_path, "curves")) == sum(
        len(run.loss) + len(run.validation)
        for run in (results[cell.id].training for cell in plan.models[0])
    )


def test_columns_of_draws_line_up_where_one_failed(tmp_path: Path) -> None:
    plan = the_plan(replace(STUDY, seeds=(0, 1)))
    results = all_results(plan)
    del results[plan.cases[1][0][1].id]
    page = written(tmp_path, plan, results)
    one, _, every = table(tmp_path, "cases")
    draws = [f"{draw}_seed{seed}" for draw in (0, 1) for seed in (0, 1)]
    for model in ("t", "st", "st_less_t"):
        assert [name for name in one if name.startswith(f"{model}_draws")] == [
            f"{model}_draws_{d}" for d in draws
        ]
        assert [draw for draw in draws if not one[f"{model}_draws_{draw}"]] == ["0_seed0"] * (
            model != "t"
        )
        assert [draw for draw in draws if not every[f"{model}_draws_{draw}"]] == [
            "1_seed0",
            "1_seed1",
        ]
    assert "0.645 … 0.645" in page


def test_the_same_study_gives_the_same_report(tmp_path: Path) -> None:
    plan = the_plan()
    assert written(tmp_path, plan, all_results(plan)) == written(tmp_path, plan, all_results(plan))


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("mine")
    plan = the_plan(replace(STUDY, separately=None, depth=None, normalisation=None, cases=None))
    with pytest.raises(OutputError, match=r"tables/models\.csv"):
        written(tmp_path, plan, all_results(plan))


def test_pictures_are_of_the_median_case_and_the_models_that_are_there(tmp_path: Path) -> None:
    asked: list[tuple[str, str, dict[str, str]]] = []

    def noted(case: str, organ: str, cells: Mapping[str, Cell]) -> list[Overlay]:
        asked.append((case, organ, {model: cell.id for model, cell in cells.items()}))
        return overlays(case, organ, cells)

    plan = the_plan()
    (triple,) = plan.models
    write_study_report(tmp_path, plan, all_results(plan), {}, noted, ABOUT)
    cells = {"Model_T": triple.t.id, "Model_ST": triple.st.id}
    assert asked == [("t4", "Brainstem", cells), ("t4", "Lens_L", cells)]
    asked.clear()
    write_study_report(tmp_path, plan, {triple.s.id: a_result(triple.s)}, {}, noted, ABOUT)
    assert asked == []


def test_a_picture_s_caption_is_of_the_seed_that_is_shown(tmp_path: Path) -> None:
    """Of seed 0, whose Model_T is not finished, nothing is shown; Model_ST of seed 2 is 0.4 worse
    than that of 1.
    """
    plan = the_plan(replace(STUDY, seeds=(0, 1, 2)))
    results = all_results(plan)
    del results[plan.models[0].t.id]
    results[plan.models[2].st.id] = a_result(plan.models[2].st, -0.3)
    found = study_tables(plan, results)
    assert found.models
    shown = list(captioned_pictures(found.models, found, overlays))
    expected = ("t4", 1, {"Model_T": "0.59", "Model_ST": "0.64"})  # 0.5 + 4 / 100 and the gain
    assert [(one.organ, one.case, one.seed, one.dsc) for one in shown] == [
        (organ, *expected) for organ in ORGANS
    ]
    assert written(tmp_path, plan, results).count("t4 · seed 1") == len(ORGANS)
    one_seed = the_plan()
    assert "· seed" not in written(tmp_path, one_seed, all_results(one_seed))


def test_a_running_mean_keeps_a_constant_and_the_length() -> None:
    assert smoothed(np.full(200, 3.0)) == pytest.approx(np.full(200, 3.0))
    assert smoothed(np.arange(5.0)) == pytest.approx(np.arange(5.0))  # too few to smooth
    assert smoothed(np.arange(100.0))[50] == pytest.approx(50)
