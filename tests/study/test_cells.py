from pathlib import Path

import pytest

from recontour.study.cells import Extent, Lengths, Plan, plan_of
from recontour.study.settings import (
    CasesSettings,
    CentreSettings,
    DepthSettings,
    ModelsSettings,
    NormalisationSettings,
    SeparatelySettings,
    Study,
)

ORGANS = ("Brainstem", "Lens_L")
CENTRE = CentreSettings(cohort=Path("north"), test=1)
MODELS = ModelsSettings(iterations=10, validate_every=5)
EXTENT = Extent(
    organs=ORGANS,
    layers=29,
    retrain_last=29,
    papers_depth=10,
    lengths=Lengths.of_all(10),
    target_patients=7,
)


def laid(**sections: object) -> Plan:
    study = Study(source=CENTRE, target=CENTRE, models=MODELS, **sections)  # type: ignore[arg-type]
    return plan_of(study, EXTENT)


def test_the_three_models_differ_in_what_they_learn_from() -> None:
    (triple,) = laid().models
    assert [cell.model for cell in triple] == ["S", "T", "ST"]
    assert triple.st.parent == triple.s
    assert triple.t.parent is None
    assert {cell.iterations for cell in triple} == {10}
    assert triple.st.retrain_last == 29  # the default of `adapt`


def test_the_main_model_may_be_fine_tuned_as_in_the_paper() -> None:
    models = ModelsSettings(iterations=10, plain=True)
    study = Study(source=CENTRE, target=CENTRE, models=models)
    (triple,) = plan_of(study, EXTENT).models
    assert triple.st.plain


def test_parents_come_first_and_no_cell_stands_twice() -> None:
    cells = laid(
        depth=DepthSettings(iterations=4),
        cases=CasesSettings(iterations=4, numbers=(2, "all"), draws=2),
        separately=SeparatelySettings(iterations=3),
        normalisation=NormalisationSettings(slices=16),
    ).cells
    ids = [cell.id for cell in cells]
    assert len(set(ids)) == len(ids)
    for cell in cells:
        assert cell.parent is None or ids.index(cell.parent.id) < ids.index(cell.id)
    assert all(len(name) < 200 and "/" not in name for name in ids)  # an id is a folder's name


def test_experiments_share_a_cell_that_both_ask_for() -> None:
    plan = laid(cases=CasesSettings(iterations=10, numbers=("all",)))
    ((t, st),) = plan.cases[7]
    assert [cell.id for cell in plan.cells[1:]] == [t.id, st.id]


def test_the_paper_s_experiments_are_plain_fine_tuning() -> None:
    plan = laid(
        depth=DepthSettings(iterations=4),
        cases=CasesSettings(iterations=4),
        normalisation=NormalisationSettings(slices=8),
    )
    (head_first,) = plan.controls["head first"]
    plain = [
        *plan.depth[10],
        *head_first.lineage[1:],
        *(st for pairs in plan.normalisation.values() for _, st in pairs),
    ]
    assert all(cell.plain for cell in plain)
    assert not any(st.plain for pairs in plan.cases.values() for _, st in pairs)
    assert not plan.models[0].st.plain


def test_depths_end_at_the_network_s() -> None:
    assert list(laid(depth=DepthSettings(iterations=4, layers=(1, 40, "all"))).depth) == [1, 29]


def test_the_controls_change_one_thing_each() -> None:
    controls = laid(depth=DepthSettings(iterations=5)).controls
    (drawn,), (everything,) = controls["random trunk"], controls["head first"]
    assert drawn.parent
    assert (drawn.parent.model, drawn.parent.iterations, drawn.retrain_last) == ("random", 0, 10)
    assert everything.parent
    assert (everything.parent.retrain_last, everything.retrain_last) == (1, 29)
    assert everything.parent.iterations + everything.iterations == 5


def test_few_cases_are_drawn_several_times_alike_for_both_models() -> None:
    cases = laid(cases=CasesSettings(iterations=4, numbers=(1, 3, 9, "all"), draws=3)).cases
    assert {number: len(pairs) for number, pairs in cases.items()} == {1: 3, 3: 3, 7: 1}
    for t, st in cases[3]:
        assert (t.model, st.model) == ("T", "ST")
        assert (t.cases, t.draw) == (st.cases, st.draw)
    assert cases[7][0][0].cases is None


def test_few_cases_are_learnt_as_long_as_all_unless_a_number_is_given() -> None:
    plan = laid(cases=CasesSettings(numbers=(1, "all"), draws=1))
    ((few_t, few_st),) = plan.cases[1]
    ((all_t, all_st),) = plan.cases[7]
    assert [few_t.iterations, few_st.iterations] == [10, 10]
    assert [all_t.id, all_st.id] == [plan.models[0].t.id, plan.models[0].st.id]


def test_each_normalisation_sees_as_many_slices() -> None:
    plan = laid(
        normalisation=NormalisationSettings(slices=32, norms=("batch", "frozen"), batches=(1, 8))
    )
    assert set(plan.normalisation) == {("batch", 1), ("batch", 8), ("frozen", 1), ("frozen", 8)}
    for (norm, batch), ((s, st),) in plan.normalisation.items():
        assert s.iterations * batch == st.iterations * batch == 32
        assert (s.norm, st.norm, st.parent) == (norm, norm, s)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_every_seed_repeats_everything(seeds: tuple[int, ...]) -> None:
    one = len(laid(depth=DepthSettings(iterations=4), cases=CasesSettings(iterations=4)).cells)
    assert len(
        laid(
            seeds=seeds, depth=DepthSettings(iterations=4), cases=CasesSettings(iterations=4)
        ).cells
    ) == one * len(seeds)


def test_in_a_cross_validation_t_and_st_are_trained_once_per_fold_and_s_once() -> None:
    target = CentreSettings(cohort=Path("south"), folds=3)
    study = Study(
        source=CENTRE,
        target=target,
        models=MODELS,
        seeds=(0, 1),
        depth=DepthSettings(iterations=4, layers=(1,)),
        cases=CasesSettings(iterations=4, numbers=(2,), draws=2),
        normalisation=NormalisationSettings(slices=16, norms=("group",), batches=(1,)),
        separately=SeparatelySettings(iterations=3, organs=("Lens_L",)),
    )
    plan = plan_of(study, EXTENT)
    assert len(plan.models) == 2 * 3
    assert len({triple.s.id for triple in plan.models}) == 2
    turns = [1, 2, 3] * 2
    for cells in (
        [triple.t for triple in plan.models],
        [triple.st for triple in plan.models],
        plan.depth[1],
        plan.controls["random trunk"],
        plan.controls["head first"],
        [st for _, st in plan.normalisation["group", 1]],
        [triple.st for triple in plan.separately["Lens_L"]],
    ):
        assert [cell.held_out for cell in cells] == turns
        assert len({cell.id for cell in cells}) == 6
    assert len({t.id for t, _ in plan.cases[2]}) == 2 * 2 * 3
    for cell in plan.cells:
        learns_from_target = cell.model in ("T", "ST")
        assert (cell.held_out is not None) == learns_from_target
        assert cell.parent is None or cell.parent.held_out in (None, cell.held_out)
    assert plan.models[1].t.id == "T-2organs-fold2-10it-seed0"
