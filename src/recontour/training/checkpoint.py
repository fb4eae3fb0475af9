"""What a checkpoint holds, checked before a run goes on from it.

The file may be damaged, or come from somebody else.
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
from recontour.training.findings import Flaw

PARTS = {"identity", "done", "network", "optimiser"}
# What an optimiser keeps for each parameter: tensors of its shape, and the steps it has made.
MOMENTS = {"momentum_buffer", "exp_avg", "exp_avg_sq"}
STEP = "step"
KEPT_BY_SGD = {"momentum_buffer"}
KEPT_BY_ADAMW = {STEP, "exp_avg", "exp_avg_sq"}


class DamagedError(Exception):
    """No run has written this checkpoint.

    flaw: what is wrong. weight: the name of the first weight that does not fit.
    """

    def __init__(
        self,
        flaw: Flaw,
        weight: str | None = None,
    ) -> None:
        super().__init__(flaw, weight)
        self.flaw = flaw
        self.weight = weight


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint's parts, without running what is in it.

    Raises: DamagedError. OSError: the machine failed.
    """
    state = _unpickled(path)
    if not isinstance(state, dict) or not set(state) >= PARTS:
        raise DamagedError(Flaw.PARTS_MISSING)
    if not _is_identity(state["identity"]):
        raise DamagedError(Flaw.IDENTITY)
    done = state["done"]
    if type(done) is not int or done < 1:
        raise DamagedError(Flaw.ITERATIONS)
    return state


def _unpickled(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
        # PyTorch compresses nothing; a compressed part may unfold to any size.
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise DamagedError(Flaw.COMPRESSED)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (DamagedError, MemoryError):
        raise
    except Exception as error:  # torch.load raises all kinds of errors on damaged bytes
        if _is_machine_s_fault(error):
            raise
        raise DamagedError(Flaw.NOT_READABLE) from error


def _is_machine_s_fault(error: Exception) -> bool:
    """Return whether the system failed.

    EINVAL is not the machine's fault: damaged bytes may point before the file's beginning.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def refuse_beyond(state: Mapping[str, Any], iterations: int) -> None:
    """Raise DamagedError if a checkpoint has done more iterations than its run has."""
    if state["done"] > iterations:
        raise DamagedError(Flaw.ITERATIONS)


def restore(
    state: Mapping[str, Any],
    network: Network,
    optimiser: Optimizer,
) -> None:
    """Put a checkpoint's weights and moments into a network and its optimiser.

    Raises: DamagedError: they belong to another network; neither is usable then.
    """
    _refuse_other_weights(state["network"], network.state_dict())
    moments = _moments(state["optimiser"], optimiser, state["done"])
    # The recipe's settings count, not the file's.
    settings = optimiser.state_dict()["param_groups"]
    network.load_state_dict(state["network"])
    optimiser.load_state_dict({"state": moments, "param_groups": settings})


def _is_identity(identity: Any) -> bool:
    return isinstance(identity, dict) and all(map(_is_plain, identity.items()))


def _is_plain(item: tuple[Any, Any]) -> bool:
    """Return whether a named value can be compared: text, number, nothing or a list of texts."""
    name, value = item
    parts = value if isinstance(value, list) else [value]
    return isinstance(name, str) and all(map(_is_plain_value, parts))


def _is_plain_value(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _refuse_other_weights(saved: Any, own: Mapping[str, Tensor]) -> None:
    if not isinstance(saved, dict) or set(saved) != set(own):
        raise DamagedError(Flaw.OTHER_WEIGHTS)
    for name, tensor in own.items():
        if not _is_like(saved[name], tensor):
            raise DamagedError(Flaw.OTHER_WEIGHTS, weight=name)


def _moments(
    saved: Any,
    optimiser: Optimizer,
    done: int,
) -> dict[int, Any]:
    """Return what the optimiser keeps for each parameter, by the parameter's place."""
    if not isinstance(saved, dict) or not isinstance(saved.get("state"), dict):
        raise DamagedError(Flaw.NO_OPTIMISER_STATE)
    state: dict[int, Any] = saved["state"]
    parameters: list[Tensor] = []
    for group in optimiser.param_groups:
        parameters.extend(group["params"])
    for place, kept in state.items():
        if type(place) is not int or not 0 <= place < len(parameters):
            raise DamagedError(Flaw.OTHER_PARAMETERS)
        _refuse_other_moments(kept, parameters[place], done)
    return state


def _refuse_other_moments(kept: Any, parameter: Tensor, done: int) -> None:
    """Raise DamagedError if what was kept for a parameter is not the optimiser's."""
    if not isinstance(kept, dict) or set(kept) not in (KEPT_BY_SGD, KEPT_BY_ADAMW):
        raise DamagedError(Flaw.OTHER_OPTIMISER)
    for name in MOMENTS.intersection(kept):
        if not _is_like(kept[name], parameter):
            raise DamagedError(Flaw.OTHER_MOMENTS)
    if STEP in kept and not _is_step(kept[STEP], done):
        raise DamagedError(Flaw.OTHER_STEPS)


def _is_like(value: Any, tensor: Tensor) -> bool:
    """Return whether a value is a tensor of the same kind and shape.

    Odd numbers are not checked here: the run would diverge and end.
    """
    if not isinstance(value, Tensor) or value.layout != tensor.layout:
        return False
    return value.shape == tensor.shape and value.dtype == tensor.dtype


def _is_step(value: Any, done: int) -> bool:
    is_number = isinstance(value, Tensor) and value.shape == ()
    return is_number and bool(1 <= value <= done)
