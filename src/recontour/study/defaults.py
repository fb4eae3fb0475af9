"""What a study leaves to its preset: how long its models train, and how deep."""

from collections.abc import Mapping

from recontour.study.cells import PAPERS_DEPTH, Lengths
from recontour.study.settings import Study
from recontour.training.presets import preset_of


def lengths_of(study: Study, patients: Mapping[str, int]) -> Lengths:
    """Return the iterations of the main models.

    patients: how many each centre, "source" and "target", has to train on.
    """
    iterations = study.models.iterations
    if iterations is not None:
        return Lengths.of_all(iterations)
    preset = preset_of(study.preset)
    source, target = patients["source"], patients["target"]
    return Lengths(
        s=preset.train_on(source).iterations,
        t=preset.train_on(target).iterations,
        st=preset.adapt_to(target).iterations,
    )


def depth_of(study: Study, layers: int) -> int:
    """Return how many layers of Model_ST retrain. layers: how many the preset's network has."""
    wanted = study.models.retrain_last
    return layers if wanted == "all" else preset_of(study.preset).depth(wanted, layers)


def papers_depth(study: Study, layers: int) -> int:
    """Return how many layers retrain where the study does as the paper does."""
    wanted = study.models.retrain_last
    return wanted if isinstance(wanted, int) else min(PAPERS_DEPTH, layers)
