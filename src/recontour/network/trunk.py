"""The trunk: the first stages of a network, which all its heads share."""

from torch import Tensor, nn


class Trunk(nn.ModuleDict):
    """Stages from the CT on, by name; none if a head begins with Conv1."""

    def forward(self, ct_N1HW: Tensor) -> Tensor:
        """Turn a windowed CT (N, 1, H, W) into features (N, C, h, w)."""
        features = ct_N1HW
        for stage in self.values():
            features = stage(features)
        return features
