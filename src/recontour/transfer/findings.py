"""What can be wrong with the settings of a training or an adaptation."""

from dataclasses import dataclass

from recontour.findings import Finding

LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpossibleDepth(Finding):
    """More layers are to retrain than the network has, or none."""

    retrain_last: int
    layers: int

    def sentence(self) -> str:
        return f"--retrain-last {self.retrain_last}: this network has {self.layers} layers"

    def remedy(self) -> str:
        return f"choose 1 (SPP alone) to {self.layers} (all), 10 for the paper's depth"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpossibleSeed(Finding):
    """A seed that PyTorch does not take."""

    seed: int

    def sentence(self) -> str:
        return f"--seed {self.seed}: 0 to {LARGEST_SEED} is expected"
