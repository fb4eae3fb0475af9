from dataclasses import replace

import pytest

from recontour.cohort import Cohort
from recontour.contouring import Contourer
from recontour.network import Model
from recontour.training.presets import preset_of
from recontour.transfer.models import parent_shares, take_over
from recontour.workflows.parents_say import (
    FoldDsc,
    best_worth,
    fold_dsc,
    mean_with,
    unbiased,
    worths_to_try,
)


def fold(who: str, **dsc: float) -> FoldDsc:
    """A fold of one patient, by the say: no=0.5 and three=0.75."""
    numbers = {"no": 0.0, "one": 1.0, "three": 3.0}
    adapted = {numbers[say]: {(who, "Brainstem"): value} for say, value in dsc.items()}
    return FoldDsc({(who, "Brainstem"): 0.0}, adapted)


def test_the_best_say_is_that_of_the_highest_mean_and_of_equals_the_first() -> None:
    one = fold("one", three=0.5, no=0.75)
    two = fold("two", three=0.75, no=0.625)
    assert best_worth([one]) == 0.0
    assert best_worth([two]) == 3.0
    assert best_worth([one, two]) == 0.0
    assert mean_with(0.0, [one, two]) == 0.6875
    assert best_worth([fold("one", three=0.5, no=0.5)]) == 3.0
    nothing_scored = FoldDsc({}, {3.0: {}, 0.0: {}})
    assert best_worth([nothing_scored]) == 3.0


def test_no_patient_helps_to_choose_what_scores_it() -> None:
    one = fold("one", three=0.5, no=0.75)
    two = fold("two", three=0.75, no=0.25)
    assert unbiased([one, two]) == {("one", "Brainstem"): 0.5, ("two", "Brainstem"): 0.25}


def test_only_a_preset_with_a_say_leaves_a_choice() -> None:
    assert worths_to_try(0.0, never_none=False) == (0.0,)
    assert worths_to_try(3.0, never_none=False) == (3.0, 0.0, 1.0, 10.0)
    assert worths_to_try(1.0, never_none=True) == (1.0, 10.0)


@pytest.mark.parametrize("worth", [0.0, 1.0, 10.0])
def test_a_say_is_scored_as_the_model_will_contour_with_it(
    model: Model, north: Cohort, worth: float
) -> None:
    first, *others = north
    recipe = replace(preset_of("compact").adapt, parent_patients=worth)
    organs = ("Brainstem", "Lens_L")
    last = 10
    asking = take_over(model, north, others, organs, recipe, last, 1)
    alone = take_over(model, north, others, organs, replace(recipe, parent_patients=0.0), last, 1)
    for network in (asking.network, alone.network):  # as if it had learnt
        network.own_head.last_layer.weight.data += 0.01
    own = Contourer(alone).answer(first.hu, first.grid)
    theirs = Contourer(model).answer(first.hu, first.grid, organs)
    mixed = own.mixed(theirs, parent_shares(worth, organs, others))
    expected = Contourer(asking).answer(first.hu, first.grid)
    for ours, right in zip(mixed.logits_VKNhw, expected.logits_VKNhw, strict=True):
        assert ours == pytest.approx(right, abs=1e-4)
    scored = fold_dsc(
        Contourer(alone), Contourer(model), [first], others, [worth], {first.id: "one"}
    )
    assert set(scored.adapted) == {worth}
    assert set(scored.parent) <= {("one", organ) for organ in organs}
