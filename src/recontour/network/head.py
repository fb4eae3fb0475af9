"""A head: the last stages of a network, which know a centre's organs."""

from torch import Tensor, nn

from recontour.network.layers import Scores
from recontour.network.stages import Maps, through


class Head(nn.ModuleDict):
    """Stages from the trunk's maps to scores, by name."""

    @property
    def last_layer(self) -> Scores:
        """Return all that knows organs."""
        *_, last = self.modules()
        assert isinstance(last, Scores)
        return last

    def forward(self, maps: Maps) -> Tensor:
        """Turn the trunk's maps into (N, 2K, h, w): two scores per organ, background first."""
        *_, scores_N2Khw = through(self.values(), maps)
        return scores_N2Khw
