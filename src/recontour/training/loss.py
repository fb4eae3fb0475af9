"""The loss: each organ is a question of its own, asked only in patients where it was contoured."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus


def organ_loss(
    logits_NKHW: Tensor,
    organs_NKHW: Tensor,
    known_NK: Tensor,
    *,
    dice_weight: float,
    inside_weight: float,
) -> Tensor:
    """Return the mean cross-entropy over the known organs, with terms that protect small organs.

    logits_NKHW: an organ's score minus the background's, at full resolution. The cross-entropy of
        the two-class softmax (the paper's loss) is the binary cross-entropy of this difference.
    organs_NKHW, bool: what was contoured. known_NK, bool: whether it is known if the slice
        shows the organ; if not, its pixels do not count.
    dice_weight: weight of the soft Dice loss.
    inside_weight: weight of the mean cross-entropy inside an organ.

    Both terms are taken over all slices of a batch together, and only for organs that the batch
    shows. Where an organ is absent, cross-entropy alone counts: Dice with nothing to find teaches
    the network never to show a rare organ. Dice alone comes too late for a lens: once everything is
    background, neither its gradient nor that of the mean over all pixels moves it.

    Returns: a scalar; 0, with a gradient of 0, if nothing is known.

    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> nothing, known = torch.zeros(1, 1, 2, 2, dtype=torch.bool), torch.ones(1, 1) > 0
    >>> round(float(organ_loss(logits, nothing, known, dice_weight=0, inside_weight=0)), 4)
    0.6931
    """
    known = known_NK.to(logits_NKHW.dtype)
    entropy_NK, inside_NK, p_NK, overlap_NK, size_NK = Sums.apply(
        logits_NKHW.contiguous(), organs_NKHW.contiguous()
    )  # type: ignore[no-untyped-call]
    pixels = logits_NKHW.shape[2] * logits_NKHW.shape[3]
    loss: Tensor = (entropy_NK * known).sum() / pixels / known.sum().clamp(min=1)
    size_K = (size_NK * known).sum(dim=0)
    shown_K = (size_K > 0).to(logits_NKHW.dtype)
    organs_shown = shown_K.sum().clamp(min=1)
    if dice_weight:
        overlap_K = (overlap_NK * known).sum(dim=0)
        p_K = (p_NK * known).sum(dim=0)
        dice_K = (2 * overlap_K + 1) / (p_K + size_K + 1)
        loss = loss + dice_weight * ((1 - dice_K) * shown_K).sum() / organs_shown
    if inside_weight:
        inside_K = (inside_NK * known).sum(dim=0) / (size_K + 1)
        loss = loss + inside_weight * (inside_K * shown_K).sum() / organs_shown
    return loss


class Sums(torch.autograd.Function):
    """All that the loss needs from a batch's pixels, in few passes over them.

    These passes are most of its time. Where x is a logit, p its sigmoid and y whether the organ is
    there, the cross-entropy is softplus(x) - x y and its derivative p - y; that of p is p (1 - p).
    Organs are small, so what counts only where y is set is summed over these few pixels.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_NKHW: Tensor,
        y_NKHW: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return sums over the pixels, (N, K) each.

        They are of cross-entropy, of cross-entropy where y, of p, of p where y, and of y.
        """
        p_NKHW = torch.sigmoid(x_NKHW)
        softplus_NKHW = softplus(x_NKHW)
        where = y_NKHW.flatten().nonzero()[:, 0]
        plane = torch.div(where, y_NKHW[0, 0].numel(), rounding_mode="floor")  # which of the N x K
        ctx.save_for_backward(p_NKHW, where, plane)

        def summed(values: Tensor) -> Tensor:
            """Sum the values of the pixels where y is set."""
            sums = x_NKHW.new_zeros(x_NKHW.shape[:2])
            return sums.view(-1).index_add_(0, plane, values).view(x_NKHW.shape[:2])

        x, p = x_NKHW.flatten()[where], p_NKHW.flatten()[where]
        inside_NK = summed(softplus_NKHW.flatten()[where] - x)
        overlap_NK = summed(p)
        size_NK = summed(torch.ones_like(x))
        entropy_NK = softplus_NKHW.sum(dim=(2, 3)) - summed(x)
        ctx.mark_non_differentiable(size_NK)
        return entropy_NK, inside_NK, p_NKHW.sum(dim=(2, 3)), overlap_NK, size_NK

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        entropy_NK: Tensor,
        inside_NK: Tensor,
        p_NK: Tensor,
        overlap_NK: Tensor,
        _size_NK: Tensor,
    ) -> tuple[Tensor, None]:
        """Turn the loss' derivatives by the sums into those by the logits."""
        p_NKHW, where, plane = ctx.saved_tensors
        everywhere = (entropy_NK + p_NK)[..., None, None]
        gradient_NKHW = (p_NKHW * -p_NK[..., None, None]).add_(everywhere).mul_(p_NKHW)
        p = p_NKHW.flatten()[where]
        entropy = entropy_NK.flatten()[plane]
        inside = inside_NK.flatten()[plane]
        overlap = overlap_NK.flatten()[plane]
        gradient_NKHW.view(-1).index_add_(0, where, (1 - p) * (overlap * p - inside) - entropy)
        return gradient_NKHW, None
