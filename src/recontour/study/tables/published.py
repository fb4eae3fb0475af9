"""The numbers of the paper."""

import tomllib
from importlib import resources
from typing import NamedTuple


class Published(NamedTuple):
    """Mean and standard deviation of a DSC in the paper."""

    mean: float
    sd: float


def published() -> dict[str, dict[str, Published]]:
    """Return the DSC of the paper's Table 2 by organ and model."""
    text = resources.files("recontour.study").joinpath("published.toml").read_text(encoding="utf-8")
    organs: dict[str, dict[str, Published]] = {}
    for organ, models in tomllib.loads(text).items():
        organs[organ] = {model: Published(*numbers) for model, numbers in models.items()}
    return organs
