"""What a checkpoint holds, checked before a run goes on from it:

it may be damaged, or come from elsewhere.
"""

import errno
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from recontour.network import Network

# What each optimiser keeps of a parameter: tensors of its shape, and how many steps it has made.
MOMENTS = {"momentum_buffer", "exp_avg", "exp_avg_sq"}
STEP = "step"
KEPT = [{"momentum_buffer"}, {STEP, "exp_avg", "exp_avg_sq"}]  # by SGD, by AdamW


class DamagedError(Exception):
    """A checkpoint that no run has written."""


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint's parts, without running what is in it.

    Raises: DamagedError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            stored = all(part.compress_type == zipfile.ZIP_STORED for part in archive.infolist())
        if not stored:  # PyTorch compresses nothing; what is compressed may unfold to any size
            raise DamagedError("its parts are compressed")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch.load raises whatever the damaged bytes lead to
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the machine's fault; damaged bytes lead to places before the file's beginning
        raise DamagedError(type(error).__name__) from error
    if not isinstance(state, dict) or not {"identity", "done", "network", "optimiser"} <= set(
        state
    ):
        raise DamagedError("parts of it are missing")
    if not isinstance(state["identity"], dict) or not all(
        map(_is_plain, state["identity"].items())
    ):
        raise DamagedError("what the run is")
    done = state["done"]
    if type(done) is not int or done < 1:
        raise DamagedError("the iterations done")
    return state


def refuse_beyond(state: Mapping[str, Any], iterations: int) -> None:
    """Raise DamagedError where a checkpoint has done more iterations than its run has."""
    if state["done"] > iterations:
        raise DamagedError("the iterations done")


def restore(state: Mapping[str, Any], network: Network, optimiser: Optimizer) -> None:
    """Put a checkpoint's weights and moments into a network and its optimiser, unless they are
    another's.

    Raises: DamagedError; then neither is of use.
    """
    _refuse_other_weights(state["network"], network.state_dict())
    moments = _moments(state["optimiser"], optimiser, state["done"])
    settings = optimiser.state_dict()["param_groups"]  # the recipe's, whatever the file says
    network.load_state_dict(state["network"])
    optimiser.load_state_dict({"state": moments, "param_groups": settings})


def _is_plain(item: tuple[Any, Any]) -> bool:
    """Whether a name and its value can be compared: text, number, nothing or a list of texts."""
    name, value = item
    parts = value if isinstance(value, list) else [value]
    return isinstance(name, str) and all(
        part is None or isinstance(part, str | int | float) for part in parts
    )


def _refuse_other_weights(saved: Any, own: Mapping[str, Tensor]) -> None:
    if not isinstance(saved, dict) or set(saved) != set(own):
        raise DamagedError("its weights are another network's")
    for name, tensor in own.items():
        if not _is_like(saved[name], tensor):
            raise DamagedError(f"{name} is not as the network has it")


def _moments(saved: Any, optimiser: Optimizer, done: int) -> dict[int, Any]:
    """What the optimiser remembers of each parameter, by its place."""
    if not isinstance(saved, dict) or not isinstance(saved.get("state"), dict):
        raise DamagedError("it has no state of the optimiser")
    remembered: dict[int, Any] = saved["state"]
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for index, kept in remembered.items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise DamagedError("its optimiser has other parameters")
        if not isinstance(kept, dict) or set(kept) not in KEPT:
            raise DamagedError("its optimiser is another")
        moments = [moment for name, moment in kept.items() if name in MOMENTS]
        if not all(_is_like(moment, parameters[index]) for moment in moments):
            raise DamagedError("its optimiser's moments are another network's")
        if STEP in kept and not _is_step(kept[STEP], done):
            raise DamagedError("its optimiser's steps are not the iterations done")
    return remembered


def _is_like(value: Any, tensor: Tensor) -> bool:
    """Whether a value is a tensor of the same kind and shape.

    Odd numbers in it end the run as having diverged.
    """
    if not isinstance(value, Tensor) or value.layout != tensor.layout:
        return False
    return value.shape == tensor.shape and value.dtype == tensor.dtype


def _is_step(value: Any, done: int) -> bool:
    return (
        isinstance(value, Tensor) and value.shape == () and bool(value >= 1) and bool(value <= done)
    )
