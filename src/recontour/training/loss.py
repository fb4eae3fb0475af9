"""The loss: every organ a question of its own, and no answer asked where the organ was not contoured."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name all of PyTorch's users know)


def organ_loss(logits_NKHW: Tensor, organs_NKHW: Tensor, known_NK: Tensor, dice_weight: float) -> Tensor:
    """Mean over the known organs of cross-entropy and, weighted, soft Dice loss.

    logits_NKHW: the organ's score minus the background's; the cross-entropy of the two-class softmax (the paper's
        loss) is the binary cross-entropy of this difference. Full resolution: labels are never shrunk.
    organs_NKHW, bool or float in 0 ... 1: what was contoured. known_NK, bool: whether the organ was contoured at all in
        that patient; where not, its pixels have no say.

    Soft Dice is taken over a batch's slices together, and only for organs that the batch shows: where an organ is
    absent, cross-entropy alone says so. (Dice with nothing to find teaches rare organs never to appear.)
    Returns: a scalar; 0 with a gradient of 0 where nothing is known.
    """
    known = known_NK.to(logits_NKHW.dtype)
    organs_NKHW = organs_NKHW.to(logits_NKHW.dtype)
    entropy_NK = F.binary_cross_entropy_with_logits(logits_NKHW, organs_NKHW, reduction="none").mean(dim=(2, 3))
    loss = (entropy_NK * known).sum() / known.sum().clamp(min=1)
    if dice_weight:
        p_NKHW = torch.sigmoid(logits_NKHW)
        both_K = ((p_NKHW * organs_NKHW).sum(dim=(2, 3)) * known).sum(dim=0)
        either_K = ((p_NKHW + organs_NKHW).sum(dim=(2, 3)) * known).sum(dim=0)
        dice_K = (2 * both_K + 1) / (either_K + 1)
        shown_K = ((organs_NKHW.sum(dim=(2, 3)) * known).sum(dim=0) > 0).to(logits_NKHW.dtype)
        loss = loss + dice_weight * ((1 - dice_K) * shown_K).sum() / shown_K.sum().clamp(min=1)
    return loss
