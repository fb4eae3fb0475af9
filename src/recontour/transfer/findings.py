"""What can be wrong with the settings of a training or an adaptation."""

from typing import Literal

from recontour.findings import Finding, FitToStore, finding

LARGEST_SEED = 2**63 - 1


@finding
class ImpossibleDepth(Finding):
    """More layers are to retrain than the network has, or none.

    preset: of the network; empty if it is a model's.
    """

    setting: Literal["--retrain-last", "models.retrain_last"] = "--retrain-last"
    retrain_last: int
    preset: FitToStore[str] = ""
    layers: int

    def sentence(self) -> str:
        network = f"the network of preset {self.preset}" if self.preset else "this network"
        return f"{self.setting} is {self.retrain_last}: {network} has {self.layers} layers"

    def remedy(self) -> str:
        return f"choose 1 (the scores alone) to {self.layers} (all)"


@finding
class ImpossibleSeed(Finding):
    """A seed that PyTorch does not take."""

    seed: int

    def sentence(self) -> str:
        return f"--seed {self.seed}: 0 to {LARGEST_SEED} is expected"


@finding
class Unjoinable(Finding):
    """Two models cannot be one that takes some organs from each.

    most: how many heads a model may have; 0 if that is not why.
    """

    why: Literal["preprocessing", "architecture", "trunk", "heads"]
    most: int = 0

    def sentence(self) -> str:
        """Say what differs."""
        cannot = "organs of the two models cannot be joined in one file"
        match self.why:
            case "preprocessing":
                return f"{cannot}: the models see CTs with other pixels, windows or neighbours"
            case "architecture":
                return f"{cannot}: the networks have different architectures"
            case "trunk":
                return f"{cannot}: their first layers differ, so neither was adapted from the other"
            case "heads":
                return f"{cannot}: together they have more than {self.most} heads"

    def remedy(self) -> str:
        """Say what to do instead."""
        return (
            "give the model that the candidate was adapted from to --against, or leave out "
            "--per-organ and use each model for its own organs"
        )
