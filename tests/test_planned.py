"""What a long command says of its length."""

import logging
from dataclasses import replace

import pytest

from recontour.cohort import Cohort
from recontour.executors import place_of
from recontour.findings import Finding, finding_of, words
from recontour.training.loop import Step
from recontour.training.presets import preset_of
from recontour.training.recipe import Recipe
from recontour.workflows.evaluating import tell_plan
from recontour.workflows.findings import PlannedEvaluation, PlannedTraining
from recontour.workflows.planned import TrainingTeller

PLAN = PlannedTraining(patients=2, cases=3, organs=("Brainstem",), counts=(3,), iterations=100)


def told(
    caplog: pytest.LogCaptureFixture,
    recipe: Recipe,
    seconds: float,
    features: float = 0.0,
    slices: int = 50,
    runs_after: int = 0,
) -> list[tuple[int, Finding]]:
    """What was logged, after which iteration. The first iteration takes a minute more."""
    caplog.set_level(logging.INFO, "recontour")
    teller = TrainingTeller(PLAN, recipe, slices, runs_after)
    found = []
    for iteration in range(1, recipe.iterations + 1):
        whole = seconds + 60 * (iteration == 1)
        teller.hear(Step(iteration, 0.5, 0.1, whole, 0.0, features))
        found += [(iteration, record.finding) for record in caplog.records]  # type: ignore[attr-defined]
        caplog.clear()
    return found


def recipe_of(iterations: int, views: int = 0) -> Recipe:
    return replace(preset_of("compact").train, iterations=iterations, batch=5, views=views)


def test_the_first_iteration_does_not_count_and_slow_ones_are_told_of_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert told(caplog, recipe_of(100), 0.5) == [(7, replace(PLAN, seconds=93 * 0.5))]
    assert told(caplog, recipe_of(100), 20.0) == [(2, replace(PLAN, seconds=98 * 20.0))]


def test_features_are_computed_once(caplog: pytest.LogCaptureFixture) -> None:
    """40 views of slices fill 8 iterations; the other 82 that are left take 1 s less each."""
    ((iteration, plan),) = told(caplog, recipe_of(92, views=8), 3.0, features=1.0, slices=5)
    assert (iteration, plan) == (2, replace(PLAN, seconds=90 * 2.0 + 8 * 1.0))


def test_a_run_that_is_over_first_says_no_time(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, recipe_of(1), 1.0) == [(1, PLAN)]
    assert told(caplog, recipe_of(3), 1.0) == [(3, PLAN)]


def test_runs_that_follow_are_a_part_of_the_time(caplog: pytest.LogCaptureFixture) -> None:
    """Each of the two computes its features again."""
    recipe = recipe_of(92, views=8)
    ((iteration, plan),) = told(caplog, recipe, 3.0, features=1.0, slices=5, runs_after=2)
    one_more = 92 * 2.0 + 8 * 1.0
    assert (iteration, plan) == (2, replace(PLAN, seconds=90 * 2.0 + 8 * 1.0 + 2 * one_more))
    assert told(caplog, recipe_of(3), 1.0, runs_after=1) == [(3, replace(PLAN, seconds=3 * 1.0))]


def test_the_line_counts_patients_and_organs() -> None:
    assert words(replace(PLAN, seconds=400.0)) == (
        "training on 2 patients (3 CTs): Brainstem (3); 100 iterations, about 7 min"
    )


@pytest.mark.parametrize(("on", "seconds"), [(None, 12.0), ("local:2", 6.0), ("local:8", 6.0)])
def test_cases_that_are_scored_side_by_side_share_the_time(
    north: Cohort, caplog: pytest.LogCaptureFixture, on: str | None, seconds: float
) -> None:
    """Two cases of the same size are left."""
    caplog.set_level(logging.INFO, "recontour")
    tell_plan(list(north), {}, {}, place_of(on) if on else None, 6.0)
    plan = PlannedEvaluation(models=0, patients=3, cases=3, organs=(), counts=(), seconds=seconds)
    assert finding_of(caplog.records[-1]) == plan
