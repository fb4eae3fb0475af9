"""A head: the last stages of a network, which know a centre's organs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recontour.network.layers import PyramidPooling


class Head(nn.ModuleDict):
    """Stages from the trunk's features to scores, by name; the last is the SPP.

    A head answers for all its organs in its own order, unless `answer_for` changes that.
    """

    rows_2K: Tensor | None

    def __init__(self, stages: Mapping[str, nn.Module]) -> None:
        super().__init__(stages)
        self.register_buffer("rows_2K", None, persistent=False)

    @property
    def pyramid(self) -> PyramidPooling:
        """Return the last stage, the SPP."""
        spp = self["spp"]
        assert isinstance(spp, PyramidPooling)
        return spp

    @property
    def organs(self) -> int:
        """Count the organs that it knows."""
        return self.pyramid.scores.out_channels // 2

    def answer_for(self, organs: Sequence[int]) -> None:
        """Answer for some of its organs in another order.

        organs: their places among its own.
        """
        rows = []
        for organ in organs:
            rows += [2 * organ, 2 * organ + 1]
        self.rows_2K = torch.tensor(rows, device="cpu")

    def forward(self, features_NChw: Tensor) -> Tensor:
        """Turn (N, C, h, w) features into (N, 2K, h, w): two scores per organ, background first."""
        *before, _ = self.values()
        x_NChw = features_NChw
        for stage in before:
            x_NChw = stage(x_NChw)
        scores_N2Khw: Tensor = self.pyramid(x_NChw, self.rows_2K)
        return scores_N2Khw

    @torch.no_grad()
    def forget_other_organs(self) -> None:
        """Keep only the scores that it answers with, for a copy that computes and is not saved."""
        if self.rows_2K is None:
            return
        scores = self.pyramid.scores
        assert scores.bias is not None
        scores.out_channels = len(self.rows_2K)
        scores.weight = nn.Parameter(scores.weight[self.rows_2K])
        scores.bias = nn.Parameter(scores.bias[self.rows_2K])
        self.rows_2K = None
