"""The loss: every organ a question of its own, and no answer asked where the organ was not contoured."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name all of PyTorch's users know)


def organ_loss(
    logits_NKHW: Tensor, organs_NKHW: Tensor, known_NK: Tensor, *, dice_weight: float, inside_weight: float
) -> Tensor:
    """Mean over the known organs of cross-entropy and, weighted, of what keeps small organs from being overlooked.

    logits_NKHW: the organ's score minus the background's; the cross-entropy of the two-class softmax (the paper's
        loss) is the binary cross-entropy of this difference. Full resolution: labels are never shrunk.
    organs_NKHW, bool or float in 0 ... 1: what was contoured. known_NK, bool: whether the organ was contoured at all in
        that patient; where not, its pixels have no say.
    dice_weight: of the soft Dice loss. inside_weight: of the mean cross-entropy inside an organ.

    Both are taken over a batch's slices together, and only for organs that the batch shows: where an organ is absent,
    cross-entropy alone says so. (Dice with nothing to find teaches rare organs never to appear. Dice alone comes late
    for a lens: once everything is background, neither its gradient nor that of the mean over all pixels moves it.)
    Returns: a scalar; 0 with a gradient of 0 where nothing is known.
    """
    known = known_NK.to(logits_NKHW.dtype)
    organs_NKHW = organs_NKHW.to(logits_NKHW.dtype)
    entropy_NKHW = F.binary_cross_entropy_with_logits(logits_NKHW, organs_NKHW, reduction="none")
    loss = (entropy_NKHW.mean(dim=(2, 3)) * known).sum() / known.sum().clamp(min=1)
    size_K = _over_known(organs_NKHW, known)
    shown_K = (size_K > 0).to(logits_NKHW.dtype)
    organs_shown = shown_K.sum().clamp(min=1)
    if dice_weight:
        p_NKHW = torch.sigmoid(logits_NKHW)
        dice_K = (2 * _over_known(p_NKHW * organs_NKHW, known) + 1) / (_over_known(p_NKHW, known) + size_K + 1)
        loss = loss + dice_weight * ((1 - dice_K) * shown_K).sum() / organs_shown
    if inside_weight:
        inside_K = _over_known(entropy_NKHW * organs_NKHW, known) / (size_K + 1)
        loss = loss + inside_weight * (inside_K * shown_K).sum() / organs_shown
    return loss


def _over_known(values_NKHW: Tensor, known_NK: Tensor) -> Tensor:
    """Sums by organ over the slices in which it is known: (K,)."""
    return (values_NKHW.sum(dim=(2, 3)) * known_NK).sum(dim=0)
