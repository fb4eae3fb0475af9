from dataclasses import replace

import pytest
import torch

from recontour.cohort import Cohort
from recontour.network import Model
from recontour.training.presets import preset_of
from recontour.transfer.models import take_over


@pytest.mark.parametrize(("retrain_last", "worth", "kept"), [(10, 3.0, True), (11, 3.0, False), (10, 0.0, False)])
def test_the_parent_s_head_is_kept_where_the_trunk_stays(
    model: Model, south: Cohort, retrain_last: int, worth: float, kept: bool
) -> None:
    recipe = replace(preset_of("compact").adapt, parent_patients=worth)
    cases = [south[case_id] for case_id in south.case_ids]
    child = take_over(model, south, cases, model.organs, recipe, retrain_last, seed=0)
    assert child.architecture.parent_head == kept == (child.network.parent_head is not None)
    if kept:
        named = child.network.named_parameters()
        assert not any(p.requires_grad for name, p in named if name.startswith("parent_head"))
        assert torch.equal(
            child.network.parent_share_K, torch.tensor([0.6, 0.6])
        )  # of two patients here and three there


def test_before_it_has_learnt_a_child_contours_as_its_parent(model: Model, south: Cohort) -> None:
    recipe = replace(preset_of("compact").adapt, parent_patients=2.0)
    cases = [south[case_id] for case_id in south.case_ids]
    child = take_over(model, south, cases, model.organs, recipe, 10, seed=0)
    ct_N1HW = torch.randn(1, 1, 33, 33)
    assert torch.allclose(child.network.eval()(ct_N1HW), model.network.eval()(ct_N1HW), atol=1e-5)
