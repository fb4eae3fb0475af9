import json
from dataclasses import replace
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.conftest import scored
from tests.study.test_study_report import GAIN, STUDY, a_result, all_results, the_plan

from recontour.errors import ScoresError
from recontour.evaluation.intervals import dsc_of, interval_of
from recontour.study.cells import Cell
from recontour.study.findings import DamagedResult, WrongNumberOfRows
from recontour.study.results import (
    Point,
    Training,
    cell_folder,
    read_result,
    read_results,
    write_result,
)
from recontour.study.tables import ALL, MODELS, SOURCE, TARGET, published, study_tables
from recontour.study.tables.cases import cases_table
from recontour.study.tables.depth import depth_table
from recontour.study.tables.every_score import score_rows
from recontour.study.tables.models import models_table
from recontour.study.tables.normalisation import normalisation_table
from recontour.study.tables.scores import rows_of
from recontour.study.tables.separately import separately_table
from recontour.study.tables.times import times_rows
from recontour.study.words import section_words

PLAN = the_plan()
RESULTS = all_results(PLAN)


def test_a_mean_counts_each_organ_alike_and_each_of_its_patients() -> None:
    """Organ A: (0.2 + 0.4) / 2; organ B: 0.9. Their mean is 0.6, that of the three numbers 0.5."""
    found = interval_of({("a", "A"): 0.2, ("b", "A"): 0.4, ("a", "B"): 0.9})
    assert found.mean == pytest.approx(0.6)
    # without a it is 0.4, without b 0.55: pseudo-values 2 x 0.6 - 0.4 and 2 x 0.6 - 0.55, standard
    # error 0.075
    half = 12.706 * 0.075  # Student's t of one degree of freedom
    # no DSC is above 1, ...
    assert [found.low, found.high] == pytest.approx([0.6 - half, 1], abs=1e-4)
    levelled = interval_of({("a", "A"): 0.2, ("b", "A"): 0.4, ("a", "B"): 0.9}, least=0.0)
    assert [levelled.low, levelled.high] == [0, 1]  # ... and none below 0


def test_an_interval_is_over_patients_not_organs() -> None:
    """All organs of a patient move together: the interval is as wide as one organ's, however many
    there are.
    """
    values = np.linspace(0.3, 0.8, 9)
    one = interval_of({(f"c{k}", "A"): value for k, value in enumerate(values)})
    many = interval_of(
        {(f"c{k}", organ): value for k, value in enumerate(values) for organ in "ABCD"}
    )
    assert [many.low, many.high] == pytest.approx([one.low, one.high])
    # t of 8 degrees
    assert one.high - one.low == pytest.approx(2 * 2.306 * values.std(ddof=1) / 3, rel=1e-3)
    assert one == interval_of({(f"c{k}", "A"): value for k, value in enumerate(values)})


def test_a_95_percent_interval_holds_in_95_percent_of_small_studies() -> None:
    """Patients and organs vary and nothing differs: 0 lies outside in 5 %, with two patients as
    with ten.
    """
    rng = np.random.default_rng(0)
    for n in (2, 4, 10):
        outside = 0
        for _ in range(400):
            patients = rng.normal(0, 0.02, n)
            found = interval_of(
                {
                    (f"c{k}", organ): patients[k] + rng.normal(0, 0.02)
                    for k in range(n)
                    for organ in "ABC"
                }
            )
            outside += not found.low <= 0 <= found.high
        assert 0.02 <= outside / 400 <= 0.08


def test_nothing_and_one_patient_have_no_interval() -> None:
    nothing, lone = interval_of({}), interval_of({("a", "A"): 0.5})
    assert isnan(nothing.mean)
    assert lone.mean == 0.5
    assert isnan(lone.low)
    assert isnan(lone.high)


def test_seeds_are_averaged_patient_by_patient_and_nan_is_left_out() -> None:
    cells = [Cell("S", ("A",), 1, seed) for seed in (0, 1)]
    dsc = {0: {"a": 0.4, "b": nan, "c": nan}, 1: {"a": 0.6, "b": 0.8, "c": nan}}
    results = {
        cell.id: replace(
            a_result(cell),
            scores={
                TARGET: [
                    scored(case, "A", cell.id, value) for case, value in dsc[cell.seed].items()
                ]
            },
        )
        for cell in cells
    }
    rows = rows_of(results, cells, TARGET, "Model_S")
    assert {row.model for row in rows} == {"Model_S"}
    assert dsc_of(rows) == {("a", "A"): pytest.approx(0.5), ("b", "A"): 0.8}
    assert len(rows) == 3
    assert rows_of(results, cells, SOURCE) == []


def test_with_folds_a_patient_is_scored_by_the_models_that_did_not_see_it() -> None:
    """Odd cases are in fold 1, even ones in fold 2, whose T and ST are 0.2 luckier."""
    target = replace(STUDY.target, folds=2)
    plan = the_plan(replace(STUDY, target=target))
    results = {}
    for cell in plan.cells:
        whole = a_result(cell, GAIN[cell.model] + (0.2 if cell.held_out == 2 else 0.0))
        rows = whole.scores[TARGET]
        if cell.held_out:
            parity = cell.held_out % 2
            rows = [row for row in rows if int(row.case[1:]) % 2 == parity]
        results[cell.id] = replace(whole, scores={**whole.scores, TARGET: rows})
    models = models_table(plan, results)
    assert models
    assert {row.n for row in models.rows.values()} == {10}
    assert {row.n for row in models.comparisons} == {10}
    assert models.mean("Model_S").mean == pytest.approx(0.545)
    assert models.mean("Model_T").mean == pytest.approx(0.545 + 0.05 + 0.1)
    assert models.gain("Model_T", "Model_ST").mean == pytest.approx(0.05)
    depth, cases = depth_table(plan, results), cases_table(plan, results)
    assert depth
    assert {row.target.patients for row in depth.rows} == {10}
    assert cases
    assert {(row.t.patients, row.st.patients) for row in cases.rows} == {(10, 10)}
    few, *_ = cases.rows
    assert list(few.st_less_t_draws) == ["0_seed0", "1_seed0"]
    assert few.st_less_t_draws["0_seed0"] == pytest.approx(0.05)
    curves = study_tables(plan, results).curves
    assert {(row.model, row.held_out) for row in curves} == {
        ("Model_S", 0),
        *((model, fold) for model in ("Model_T", "Model_ST") for fold in (1, 2)),
    }
    points = [(row.model, row.held_out, row.curve, row.iteration) for row in curves]
    assert len(set(points)) == len(points)

    # as long as a fold is missing, no model has patients that the others lack
    first = {key: found for key, found in results.items() if found.cell.held_out != 2}
    partial = models_table(plan, first)
    assert partial
    assert {row.n for row in partial.rows.values()} == {5}


def test_models_are_compared_over_the_same_seeds() -> None:
    """ST is S + 0.1 with every seed, and seed 1 is 0.2 luckier: while its ST is missing, its S says
    nothing.
    """
    plan = the_plan(replace(STUDY, seeds=(0, 1)))
    luck = {
        cell.id: a_result(
            cell, {"S": 0.0, "T": 0.05, "ST": 0.1, "random": 0.0}[cell.model] + 0.2 * cell.seed
        )
        for cell in plan.cells
    }
    unfinished = {
        plan.models[1].st.id,
        plan.depth[4][1].id,
        plan.normalisation["batch", 8][1][1].id,
    }
    unfinished |= {plan.separately["Brainstem"][1].st.id}
    results = {name: result for name, result in luck.items() if name not in unfinished}
    main, depth = models_table(plan, results), depth_table(plan, results)
    normalisation, separately = normalisation_table(plan, results), separately_table(plan, results)
    assert main
    assert main.gain("Model_S", "Model_ST").mean == pytest.approx(0.1)
    assert main.gain("Model_S", "Model_T").mean == pytest.approx(0.05)
    assert main.mean("Model_S").mean == pytest.approx(0.545)
    assert depth
    assert {round(row.over_papers.mean, 9) for row in depth.curve} == {0.0}
    assert normalisation
    assert {round(row.st_less_s.mean, 9) for row in normalisation.rows} == {0.1}
    assert separately
    assert {
        round(one.mean, 9)
        for row in separately.rows
        for one in row.separately_less_jointly.values()
    } == {0.0}
    del results[plan.models[0].t.id]  # no seed is whole: the one with most is shown
    main = models_table(plan, results)
    assert main
    assert main.gain("Model_S", "Model_ST").mean == pytest.approx(0.1)
    assert isnan(main.mean("Model_T").mean)


def test_an_organ_that_one_of_several_seeds_misses_is_missed() -> None:
    cells = [Cell("S", ("A",), 1, seed) for seed in (0, 1)]
    lost = {"dsc": 0.0, "hd95_mm": inf, "volume_bias_percent": -100.0}
    scores = [scored("a", "A", "S", 0.8), scored("a", "A", "S", **lost)]
    results = {
        cell.id: replace(a_result(cell), scores={TARGET: [row]})
        for cell, row in zip(cells, scores, strict=True)
    }
    (row,) = rows_of(results, cells, TARGET)
    assert row.is_missed
    assert row.dsc == pytest.approx(0.4)


def test_a_patient_with_two_cts_counts_once_in_every_table() -> None:
    """t9 is a second CT of t0: nine patients, and what is one patient's is the mean over both."""
    results = {
        name: replace(
            result,
            scores={
                fold: [replace(row, patient="t0" if row.case == "t9" else row.case) for row in rows]
                for fold, rows in result.scores.items()
            },
        )
        for name, result in RESULTS.items()
    }
    main = models_table(PLAN, results)
    assert main
    assert main.patients == 9
    assert main.mean("Model_S").mean == pytest.approx(
        (0.545 + sum(0.5 + k / 100 for k in range(1, 9))) / 9
    )
    by_organ = [row for row in main.differences.values() if row.organ != ALL]
    assert {(row.n, row.cts, row.p) for row in by_organ} == {(9, 10, 2 / 2**9)}
    assert {row.n for row in main.rows.values()} == {9}
    depth, cases = depth_table(PLAN, results), cases_table(PLAN, results)
    assert depth
    assert cases
    assert (
        {row.target.patients for row in depth.rows}
        == {row.st.patients for row in cases.rows}
        == {9}
    )
    assert {row.source.patients for row in depth.rows} == {10}
    assert {row.patient for row in score_rows(PLAN, results) if row.case == "t9"} == {"t0"}


def test_the_main_table_is_what_the_scores_were_made_of() -> None:
    main = models_table(PLAN, RESULTS)
    assert main
    assert [main.mean(model).mean for model in MODELS] == pytest.approx([0.545, 0.595, 0.645])
    for a, b, gain in (
        ("Model_S", "Model_T", 0.05),
        ("Model_S", "Model_ST", 0.1),
        ("Model_T", "Model_ST", 0.05),
    ):
        found = main.gain(a, b)
        assert [found.mean, found.low, found.high] == pytest.approx([gain] * 3)
    by_organ = [row for row in main.differences.values() if row.organ != ALL]
    assert {row.p for row in by_organ} == {2 / 2**10}  # all of ten differences have one sign
    assert {row.p_holm for row in by_organ} == {4 / 2**10}  # two organs
    stem = main.rows["Brainstem", "Model_S"]
    assert (stem.n, stem.missed) == (10, 0)
    assert stem.dsc_sd == pytest.approx(np.std(np.arange(10) / 100, ddof=1))
    assert (main.count.finished, main.count.asked, main.patients) == (3, 3, 10)


def test_further_measures_are_means_over_the_seeds_that_have_them() -> None:
    """An earlier recontour scored the first seed, without surface DSC at 1 mm and 2 mm."""
    plan = the_plan(replace(STUDY, seeds=(0, 1)))
    measures: list[dict[str, Any]] = [
        {"apl_mm": 10.0},
        {"apl_mm": 20.0, "surface_dsc_1mm": 0.5, "surface_dsc_2mm": 0.75},
    ]
    results = {}
    for triple in plan.models:
        for cell in (triple.s, triple.t, triple.st):
            result = a_result(cell)
            rows = [replace(row, **measures[cell.seed]) for row in result.scores[TARGET]]
            results[cell.id] = replace(result, scores={TARGET: rows})
    main = models_table(plan, results)
    assert main
    for organ in ("Lens_L", ALL):
        row = main.rows[organ, "Model_ST"]
        assert (row.surface_dsc, row.surface_dsc_1mm, row.surface_dsc_2mm) == (0.9, 0.5, 0.75)
        assert row.apl_mm == 15


def test_retention_is_the_same_on_the_sources_cases() -> None:
    kept = models_table(PLAN, RESULTS, SOURCE)
    assert kept
    assert kept.gain("Model_S", "Model_ST").mean == pytest.approx(-0.1)


def test_organs_stand_in_the_studys_order_though_the_first_case_lacks_one() -> None:
    results = {}
    for name, result in RESULTS.items():
        rows = [
            row for row in result.scores[TARGET] if (row.case, row.organ) != ("t0", "Brainstem")
        ]
        results[name] = replace(result, scores={TARGET: rows})
    main = models_table(PLAN, results)
    assert main
    assert main.organs == ["Brainstem", "Lens_L"]


def test_head_first_counts_both_its_steps() -> None:
    depth = depth_table(PLAN, RESULTS)
    assert depth
    assert [(row.control, row.layers, row.all_layers) for row in depth.rows] == [
        ("", 1, False), ("", 4, False), ("", 10, False), ("", 22, True),
        ("random trunk", 10, False), ("head first", 22, True),
    ]  # fmt: skip
    head_first = depth.rows[-1]
    assert head_first.iterations == 40
    assert head_first.seconds == pytest.approx(40 * 0.2)
    assert depth.best
    assert depth.best.layers == 1  # all are equal
    assert depth.rows[0].over_papers.mean == pytest.approx(0)


def test_numbers_of_cases_are_compared_over_the_organs_that_all_learnt() -> None:
    """One draw of one case lacks the lens, 0.3 below the brain stem everywhere: that is no gain of
    one case.
    """
    results = {}
    for name, result in RESULTS.items():
        rows = [
            replace(row, dsc=row.dsc - 0.3 * (row.organ == "Lens_L"))
            for row in result.scores[TARGET]
        ]
        lacks = result.cell in (PLAN.cases[1][0][0], PLAN.cases[1][0][1])
        kept = [row for row in rows if not (lacks and row.organ == "Lens_L")]
        results[name] = replace(result, scores={**result.scores, TARGET: kept})
    cases = cases_table(PLAN, results)
    assert cases
    assert cases.organs == ["Brainstem"]
    assert cases.s.dsc.mean == pytest.approx(0.545)  # where they begin, with no case
    assert {round(row.t.dsc.mean, 9) for row in cases.rows} == {0.595}
    assert {round(row.st_less_t.mean, 9) for row in cases.rows} == {0.05}
    assert cases.rows[-1].t.organs["Lens_L"] == pytest.approx(0.295)


def test_draws_are_pooled_and_shown_one_by_one() -> None:
    ones = PLAN.cases[1]
    results = dict(RESULTS)
    for (t, _), gain in zip(ones, (-0.1, 0.1), strict=True):
        results[t.id] = a_result(t, gain)
    cases = cases_table(PLAN, results)
    assert cases
    row = cases.rows[0]
    assert (row.cases, row.draws) == (1, 2)
    assert row.t_draws == pytest.approx({"0_seed0": 0.445, "1_seed0": 0.645})
    assert row.t.dsc.mean == pytest.approx(0.545)
    assert row.st_less_t_draws == pytest.approx({"0_seed0": 0.2, "1_seed0": 0.0})
    assert row.st_less_t.mean == pytest.approx(0.1)


def test_what_more_cases_brought_is_what_model_st_scored_with_each_number() -> None:
    cases = cases_table(PLAN, RESULTS)
    assert cases
    assert cases.gains
    assert dict(cases.gains.dsc) == {row.cases: row.st.dsc.mean for row in cases.rows}
    last, before = cases.rows[-1], cases.rows[-2]
    assert (cases.gains.last.fewer, cases.gains.last.more) == (before.cases, last.cases)
    assert cases.gains.last.gain.mean == pytest.approx(last.st.dsc.mean - before.st.dsc.mean)
    one = {name: RESULTS[name] for name in (*(cell.id for cell in PLAN.cases[1][0]),)}
    alone = cases_table(PLAN, one)
    assert alone
    assert alone.gains is None


def test_a_draw_that_is_not_finished_leaves_its_place_empty() -> None:
    (_, st), _ = PLAN.cases[1]
    cases = cases_table(PLAN, {name: result for name, result in RESULTS.items() if name != st.id})
    assert cases
    row = cases.rows[0]
    assert row.t_draws == pytest.approx({"0_seed0": 0.595, "1_seed0": 0.595})
    assert row.st_draws == pytest.approx({"0_seed0": nan, "1_seed0": 0.645}, nan_ok=True)
    assert row.st_less_t_draws == pytest.approx({"0_seed0": nan, "1_seed0": 0.05}, nan_ok=True)


def test_model_s_without_a_case_is_of_the_seeds_that_are_there() -> None:
    """Model_S of seed 1, with which nothing else is finished, is 0.2 better: that is no start of
    the curves.
    """
    plan = the_plan(replace(STUDY, seeds=(0, 1)))
    results = {name: result for name, result in all_results(plan).items() if result.cell.seed == 0}
    cases = cases_table(plan, results | {(s := plan.models[1].s).id: a_result(s, 0.2)})
    assert cases
    assert cases.s.dsc.mean == pytest.approx(0.545)


def test_separately_adds_up_the_organs_time() -> None:
    separately = separately_table(PLAN, RESULTS)
    assert separately
    assert [row.organ for row in separately.rows] == ["Brainstem", "Lens_L", ALL]
    overall = separately.rows[-1]
    assert overall.iterations == dict.fromkeys(MODELS, 60)
    assert overall.seconds == {
        "Model_S": pytest.approx(18),
        "Model_T": pytest.approx(18),
        "Model_ST": pytest.approx(12),
    }
    assert overall.separately_less_jointly["Model_ST"].mean == pytest.approx(0)
    assert separately.joint_iterations == dict.fromkeys(MODELS, 100)


def test_an_organ_without_its_network_is_not_in_the_mean_of_all() -> None:
    lens = PLAN.separately["Lens_L"][0]
    results = {name: result for name, result in RESULTS.items() if name != lens.t.id}
    separately = separately_table(PLAN, results)
    assert separately
    assert set(separately.rows[-1].separately) == {"Model_S", "Model_ST"}
    assert set(separately.rows[0].separately) == set(MODELS)


def test_normalisation_by_norm_and_batch() -> None:
    normalisation = normalisation_table(PLAN, RESULTS)
    assert normalisation
    assert [(row.norm, row.batch, row.iterations) for row in normalisation.rows] == [
        (norm, batch, 80 // batch) for norm in ("batch", "group", "frozen") for batch in (1, 8)
    ]
    assert {round(row.st_less_s.mean, 9) for row in normalisation.rows} == {0.1}


def curve(*values: float) -> tuple[Point, ...]:
    return tuple(Point(k, 10.0 * k, value) for k, value in enumerate(values, start=1))


@pytest.mark.parametrize(
    ("of_st", "seconds", "share"),
    [
        ((0.5, 0.7, 0.6), 20.0, 0.5),
        ((0.6, 0.6, 0.6), 10.0, 0.25),
        ((0.1, 0.2, 0.59), inf, inf),
        ((), nan, nan),
    ],
)
def test_the_time_to_reach_model_t(of_st: tuple[float, ...], seconds: float, share: float) -> None:
    """Model_T ends at 0.6 after 40 s of training."""
    (triple,) = PLAN.models
    results = RESULTS | {
        triple.t.id: a_result(triple.t, seconds=40.0, validation=curve(0.3, 0.5, 0.6)),
        triple.st.id: a_result(triple.st, validation=curve(*of_st)),
    }
    st = times_rows(PLAN, results)[-1]
    assert st.model == "Model_ST"
    assert (st.seconds_to_reach_t, st.share_of_t) == pytest.approx((seconds, share), nan_ok=True)
    assert st.contouring_seconds_per_slice == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("of_st", "reached", "compared", "said"),
    [
        ((0.5, 0.7), 3, 3, "cases after 0.3 minutes, 50 % of Model_T's"),
        (
            (0.1, 0.2),
            2,
            3,
            "cases with 2 of 3 seeds, on average after 0.3 minutes, 50 % of Model_T's",
        ),
        ((nan, nan), 2, 2, "cases after 0.3 minutes, 50 % of Model_T's"),
    ],
)
def test_one_seed_that_never_reached_model_t_is_not_all_of_them(
    of_st: tuple[float, ...], reached: int, compared: int, said: str
) -> None:
    """Model_T ends at 0.6 after 40 s of training; Model_ST is there after 20 s, with the last seed
    as `of_st` says.
    """
    plan = the_plan(replace(STUDY, seeds=(0, 1, 2)))
    results = all_results(plan)
    for triple in plan.models:
        results[triple.t.id] = a_result(triple.t, seconds=40.0, validation=curve(0.3, 0.6))
        results[triple.st.id] = a_result(triple.st, validation=curve(0.5, 0.7))
    last = plan.models[-1].st
    results[last.id] = a_result(last, validation=curve(*of_st))
    st = times_rows(plan, results)[-1]
    assert (st.seeds_that_reached_t, st.seeds_compared_with_t) == (reached, compared)
    assert (st.seconds_to_reach_t, st.share_of_t) == pytest.approx((20, 0.5))
    assert said in " ".join(section_words(study_tables(plan, results), "North")["times"])


@pytest.mark.parametrize(
    ("of_t", "of_st", "said"),
    [
        ((0.6,), (0.1, 0.2), "Model_ST never reached Model_T's last DSC"),
        ((nan,), (nan, nan), "(the paper: 33 % less)."),
        ((0.6,), (nan, nan), "(the paper: 33 % less)."),
        ((nan,), (0.1, 0.2), "(the paper: 33 % less)."),
    ],
)
def test_never_is_said_only_where_something_was_measured(
    of_t: tuple[float, ...], of_st: tuple[float, ...], said: str
) -> None:
    (triple,) = PLAN.models
    results = RESULTS | {
        triple.t.id: a_result(triple.t, validation=curve(*of_t)),
        triple.st.id: a_result(triple.st, validation=curve(*of_st)),
    }
    words = " ".join(section_words(study_tables(PLAN, results), "North")["times"])
    assert said in words
    assert words.endswith(said) or "never" in said


def test_a_model_without_iterations_costs_nothing_and_divides_by_nothing() -> None:
    (triple,) = PLAN.models
    idle = Training(0, 0.0, 0.0, 0.0, 0.0, 1, 0)
    row = times_rows(PLAN, {triple.t.id: replace(a_result(triple.t), training=idle)})[0]
    assert isnan(row.seconds_per_iteration)
    assert isnan(row.share_of_t)


def test_what_is_not_studied_is_not_there() -> None:
    plan = the_plan(replace(STUDY, separately=None, depth=None, normalisation=None, cases=None))
    for table in (depth_table, cases_table, separately_table, normalisation_table):
        assert table(plan, all_results(plan)) is None
    assert models_table(plan, {}) is None
    assert times_rows(plan, {}) == []


def test_results_from_files_give_the_same_numbers(tmp_path: Path) -> None:
    cells = list(PLAN.models[0])
    for cell in cells:
        write_result(tmp_path, RESULTS[cell.id])
    assert models_table(PLAN, read_results(tmp_path, cells)) == models_table(PLAN, RESULTS)


def test_folds_that_share_a_case_s_name_are_told_apart(tmp_path: Path) -> None:
    cell = PLAN.models[0].s
    scores = {
        TARGET: [scored("a-1", "Brainstem", cell.id, 0.9)],
        SOURCE: [scored("a-1", "Brainstem", cell.id, 0.3)],
    }
    write_result(tmp_path, replace(RESULTS[cell.id], scores=scores))
    kept = read_result(tmp_path, cell)
    assert kept
    assert kept.scores == scores


def test_a_result_that_an_earlier_recontour_wrote_is_read(tmp_path: Path) -> None:
    cell = PLAN.models[0].s
    write_result(tmp_path, RESULTS[cell.id])
    path = cell_folder(tmp_path, cell) / "result.json"
    about = json.loads(path.read_text())
    del about["rows"], about["trained_with"]
    path.write_text(json.dumps(about))
    kept = read_result(tmp_path, cell)
    assert kept
    assert kept.scores == RESULTS[cell.id].scores


def test_scores_that_lost_a_row_are_damaged(tmp_path: Path) -> None:
    cell = PLAN.models[0].s
    write_result(tmp_path, RESULTS[cell.id])
    path = cell_folder(tmp_path, cell) / "scores.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ScoresError) as error:
        read_result(tmp_path, cell)
    why = WrongNumberOfRows(found=39, expected=40)
    assert error.value.finding == DamagedResult(path=path.with_name("result.json"), why=why)


def test_the_published_table_is_whole() -> None:
    papers = published()
    assert len(papers) == 12
    means = {
        model: np.mean([of_organ[model][0] for of_organ in papers.values()]) for model in MODELS
    }
    # the paper's abstract: 0.74, 0.78 and 0.81, of unrounded numbers
    assert [means[model] for model in MODELS] == pytest.approx([0.74, 0.78, 0.81], abs=0.01)
