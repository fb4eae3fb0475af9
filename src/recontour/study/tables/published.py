"""The numbers of the paper."""

import tomllib
from importlib import resources


def published() -> dict[str, dict[str, tuple[float, float]]]:
    """The paper's Table 2: mean and SD of the DSC by organ and model."""
    text = resources.files("recontour.study").joinpath("published.toml").read_text(encoding="utf-8")
    return {
        organ: {model: (mean, sd) for model, (mean, sd) in by_model.items()}
        for organ, by_model in tomllib.loads(text).items()
    }
