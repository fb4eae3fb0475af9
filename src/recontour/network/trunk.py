"""The trunk: the first stages of a network, which all its heads share."""

from torch import Tensor, nn

from recontour.network.stages import Maps, through


class Trunk(nn.ModuleDict):
    """Stages from the CT on, by name; none if a head begins with the first."""

    def forward(self, ct_NSHW: Tensor) -> Maps:
        """Turn a windowed CT (N, S, H, W) into a stack of maps, (N, C, h, w) each."""
        return through(self.values(), (ct_NSHW,))
