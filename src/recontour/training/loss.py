"""The loss: every organ a question of its own, and no answer asked where the organ was not
contoured.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def organ_loss(
    logits_NKHW: Tensor,
    organs_NKHW: Tensor,
    known_NK: Tensor,
    *,
    dice_weight: float,
    inside_weight: float,
) -> Tensor:
    """Mean over the known organs of cross-entropy and, weighted, of what keeps small organs from
    being overlooked.

    logits_NKHW: the organ's score minus the background's; the cross-entropy of the two-class
        softmax (the paper's loss) is the binary cross-entropy of this difference. Full resolution:
        labels are never shrunk.
    organs_NKHW, bool: what was contoured. known_NK, bool: whether the organ was contoured at all in
        that patient; where not, its pixels have no say.
    dice_weight: of the soft Dice loss. inside_weight: of the mean cross-entropy inside an organ.

    Both are taken over a batch's slices together, and only for organs that the batch shows: where
    an organ is absent, cross-entropy alone says so. (Dice with nothing to find teaches rare organs
    never to appear. Dice alone comes late
    for a lens: once everything is background, neither its gradient nor that of the mean over all
        pixels moves it.)
    Returns: a scalar; 0 with a gradient of 0 where nothing is known.
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
        dice_K = (2 * (overlap_NK * known).sum(dim=0) + 1) / (
            (p_NK * known).sum(dim=0) + size_K + 1
        )
        loss = loss + dice_weight * ((1 - dice_K) * shown_K).sum() / organs_shown
    if inside_weight:
        inside_K = (inside_NK * known).sum(dim=0) / (size_K + 1)
        loss = loss + inside_weight * (inside_K * shown_K).sum() / organs_shown
    return loss


class Sums(torch.autograd.Function):
    """All that the loss needs to know of a batch's pixels, in few passes over them, which are most
    of its time.

    Where x is a logit, p its sigmoid and y whether the organ is there, cross-entropy is softplus(x)
    - x y and its derivative p - y; that of p is p (1 - p). Organs are small: what counts only where
    y is summed over these few.
    """

    @staticmethod
    def forward(ctx: Any, x_NKHW: Tensor, y_NKHW: Tensor) -> tuple[Tensor, ...]:
        """Sums over the pixels, (N, K) each:

        of cross-entropy, of cross-entropy where y, of p, of p where y, of y.
        """
        p_NKHW, softplus_NKHW = torch.sigmoid(x_NKHW), F.softplus(x_NKHW)
        where = y_NKHW.flatten().nonzero()[:, 0]
        of = torch.div(where, y_NKHW[0, 0].numel(), rounding_mode="floor")  # which of the N x K
        ctx.save_for_backward(p_NKHW, where, of)
        x, p, softplus = (values.flatten()[where] for values in (x_NKHW, p_NKHW, softplus_NKHW))
        inside_NK, overlap_NK, size_NK, x_NK = (
            x_NKHW.new_zeros(x_NKHW.shape[:2])
            .view(-1)
            .index_add_(0, of, values)
            .view(x_NKHW.shape[:2])
            for values in (softplus - x, p, torch.ones_like(x), x)
        )
        ctx.mark_non_differentiable(size_NK)
        return (
            softplus_NKHW.sum(dim=(2, 3)) - x_NK,
            inside_NK,
            p_NKHW.sum(dim=(2, 3)),
            overlap_NK,
            size_NK,
        )

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
        """The loss' derivatives by the sums -> by the logits."""
        p_NKHW, where, of = ctx.saved_tensors
        everywhere = (entropy_NK + p_NK)[..., None, None]
        gradient_NKHW = (p_NKHW * -p_NK[..., None, None]).add_(everywhere).mul_(p_NKHW)
        p = p_NKHW.flatten()[where]
        entropy, inside, overlap = (
            g_NK.flatten()[of] for g_NK in (entropy_NK, inside_NK, overlap_NK)
        )
        gradient_NKHW.view(-1).index_add_(0, where, (1 - p) * (overlap * p - inside) - entropy)
        return gradient_NKHW, None
