import math

import pytest
import torch

from recontour.training.loss import organ_loss

KNOWN = torch.tensor([[True, True]])


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[[0.0]], [[math.log(3)]]]])  # p = 1/2 and 3/4
    organs = torch.tensor([[[[1.0]], [[1.0]]]])
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert organ_loss(logits, organs, KNOWN, dice_weight=0.0).item() == pytest.approx(expected)


def test_it_is_the_paper_s_two_class_softmax_cross_entropy() -> None:
    scores = torch.randn(3, 1, 2, 5, 5)
    organs = torch.rand(3, 1, 5, 5) < 0.3
    expected = torch.nn.functional.cross_entropy(scores[:, 0], organs[:, 0].long())
    margin = scores[:, :, 1] - scores[:, :, 0]
    ours = organ_loss(margin, organs, torch.ones(3, 1, dtype=torch.bool), dice_weight=0.0)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("dice_weight", [0.0, 1.0])
def test_an_unknown_organ_has_no_say(dice_weight: float) -> None:
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    organs = torch.rand(2, 2, 4, 4) < 0.5
    known = torch.tensor([[True, False], [True, True]])
    torch.autograd.backward(organ_loss(logits, organs, known, dice_weight))
    assert logits.grad is not None
    assert (logits.grad[0, 1] == 0).all()
    assert (logits.grad[1, 1] != 0).all()


def test_nothing_known_is_no_loss() -> None:
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = organ_loss(logits, torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, dtype=torch.bool), dice_weight=1.0)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_where_nothing_is_shown_dice_is_silent() -> None:
    logits = torch.randn(2, 1, 4, 4)
    nothing, known = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, dtype=torch.bool)
    assert organ_loss(logits, nothing, known, 1.0) == organ_loss(logits, nothing, known, 0.0)


def test_a_perfect_answer_costs_nearly_nothing() -> None:
    organs = torch.zeros(1, 2, 8, 8)
    organs[:, :, 2:5, 2:5] = 1
    assert organ_loss((organs * 2 - 1) * 20, organs, KNOWN, dice_weight=1.0).item() < 1e-3
