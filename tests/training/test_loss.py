import math

import pytest
import torch

from recontour.training.loss import Sums, organ_loss

KNOWN = torch.tensor([[True, True]])
PLAIN = {"dice_weight": 0.0, "inside_weight": 0.0}  # the paper's
FULL = {"dice_weight": 1.0, "inside_weight": 0.1}


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[[0.0]], [[math.log(3)]]]])  # p = 1/2 and 3/4
    organs = torch.tensor([[[[1.0]], [[1.0]]]])
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert organ_loss(logits, organs, KNOWN, **PLAIN).item() == pytest.approx(expected)


def test_it_is_the_paper_s_two_class_softmax_cross_entropy() -> None:
    scores = torch.randn(3, 1, 2, 5, 5)
    organs = torch.rand(3, 1, 5, 5) < 0.3
    expected = torch.nn.functional.cross_entropy(scores[:, 0], organs[:, 0].long())
    margin = scores[:, :, 1] - scores[:, :, 0]
    ours = organ_loss(margin, organs, torch.ones(3, 1, dtype=torch.bool), **PLAIN)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("weights", [PLAIN, FULL])
def test_an_unknown_organ_has_no_say(weights: dict[str, float]) -> None:
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    organs = torch.rand(2, 2, 4, 4) < 0.5
    known = torch.tensor([[True, False], [True, True]])
    torch.autograd.backward(organ_loss(logits, organs, known, **weights))
    assert logits.grad is not None
    assert (logits.grad[0, 1] == 0).all()
    assert (logits.grad[1, 1] != 0).all()


def test_nothing_known_is_no_loss() -> None:
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = organ_loss(logits, torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, dtype=torch.bool), **FULL)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_where_nothing_is_shown_only_cross_entropy_speaks() -> None:
    logits = torch.randn(2, 1, 4, 4)
    nothing, known = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, dtype=torch.bool)
    assert organ_loss(logits, nothing, known, **FULL) == organ_loss(logits, nothing, known, **PLAIN)


def test_a_perfect_answer_costs_nearly_nothing() -> None:
    organs = torch.zeros(1, 2, 8, 8)
    organs[:, :, 2:5, 2:5] = 1
    assert organ_loss((organs * 2 - 1) * 20, organs, KNOWN, **FULL).item() < 1e-3


def test_the_inside_of_an_organ_counts_however_small_it_is() -> None:
    organs = torch.zeros(1, 1, 100, 100)
    organs[0, 0, 0, :3] = 1
    logits = torch.full((1, 1, 100, 100), -math.log(3))  # p = 1/4 everywhere
    known = torch.tensor([[True]])
    more = organ_loss(logits, organs, known, dice_weight=0.0, inside_weight=1.0)
    inside = more - organ_loss(logits, organs, known, **PLAIN)
    assert inside.item() == pytest.approx(3 * math.log(4) / (3 + 1), rel=1e-4)


def by_the_formula(logits: torch.Tensor, organs: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """The full loss as one would write it down."""
    y, known = organs.double(), known.double()
    entropy, p = (
        torch.nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none"),
        logits.sigmoid(),
    )

    def total(values: torch.Tensor) -> torch.Tensor:
        return (values.sum(dim=(2, 3)) * known).sum(dim=0)

    shown = (total(y) > 0).double()
    dice = (2 * total(p * y) + 1) / (total(p) + total(y) + 1)
    inside = total(entropy * y) / (total(y) + 1)
    mean = (entropy.mean(dim=(2, 3)) * known).sum() / known.sum()
    return mean + (((1 - dice) + 0.1 * inside) * shown).sum() / shown.sum()


def test_few_passes_give_the_formula_s_value_and_gradient() -> None:
    torch.manual_seed(0)
    logits = (5 * torch.randn(3, 3, 9, 7, dtype=torch.float64)).requires_grad_()
    organs = torch.rand(3, 3, 9, 7) < 0.3
    organs[:, 2] = False  # in no slice
    known = torch.tensor([[True, True, True], [False, True, True], [True, False, True]])
    ours, plain = organ_loss(logits, organs, known, **FULL), by_the_formula(logits, organs, known)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(ours, logits)
    (expected,) = torch.autograd.grad(plain, logits)
    assert torch.allclose(gradient, expected, rtol=1e-10, atol=1e-14)


def test_the_gradient_is_that_of_the_value() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    organs = torch.rand(2, 2, 4, 3) < 0.3
    assert torch.autograd.gradcheck(lambda x: Sums.apply(x, organs)[:4], logits)  # type: ignore[no-untyped-call]


def test_logits_of_a_million_are_no_overflow() -> None:
    logits = torch.tensor([[[[1e6, -1e6]]]], requires_grad=True)
    loss = organ_loss(logits, torch.tensor([[[[False, True]]]]), torch.tensor([[True]]), **FULL)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert math.isfinite(loss.item())
    assert logits.grad.isfinite().all()
