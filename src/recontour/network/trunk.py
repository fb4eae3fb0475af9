"""The trunk: the first stages of a network, which all its heads share."""

from torch import Tensor, nn


class Trunk(nn.ModuleDict):
    """Stages from the CT on, by name; none if a head begins with Conv1."""

    def forward(self, ct_NSHW: Tensor) -> Tensor:
        """Turn a windowed CT (N, S, H, W) into features (N, C, h, w)."""
        features = ct_NSHW
        for stage in self.values():
            features = stage(features)
        return features
