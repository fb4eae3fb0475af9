"""What can be wrong with the settings of a training or an adaptation."""

from recontour.findings import Finding, finding

LARGEST_SEED = 2**63 - 1


@finding
class ImpossibleDepth(Finding):
    """More layers are to retrain than the network has, or none."""

    retrain_last: int
    layers: int

    def sentence(self) -> str:
        return f"--retrain-last {self.retrain_last}: this network has {self.layers} layers"

    def remedy(self) -> str:
        return f"choose 1 (SPP alone) to {self.layers} (all), 10 for the paper's depth"


@finding
class ImpossibleSeed(Finding):
    """A seed that PyTorch does not take."""

    seed: int

    def sentence(self) -> str:
        return f"--seed {self.seed}: 0 to {LARGEST_SEED} is expected"
