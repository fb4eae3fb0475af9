"""In what a training computes: chosen once, before its first iteration, and kept in its model file.

A GPU computes in bf16, or in fp16 if it has no bf16. A processor computes in float32, unless it has
instructions for bf16 and a few timed iterations show that these pay.
"""

import logging
from typing import Literal, cast, get_args

import torch

from recontour.errors import SettingsError
from recontour.findings import log_finding
from recontour.network import Network
from recontour.training.findings import ChosenPrecision, EmulatedBf16
from recontour.training.profile import gain_of_bf16
from recontour.training.recipe import Precision, Recipe, WantedPrecision
from recontour.validation import NotAChoice

LEAST_GAIN = 1.15  # how many times as fast bf16 must be
# By the names of PyTorch, which has them from cpuinfo: two of x86 and one of ARM.
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
log = logging.getLogger(__name__)


def wanted_precision(word: str) -> WantedPrecision:
    """Return the precision that a user asked for.

    Raises: SettingsError: there is none of that name.

    >>> wanted_precision("bf16")
    'bf16'
    """
    choices = get_args(WantedPrecision)
    if word not in choices:
        raise SettingsError(NotAChoice(name="precision", choices=choices, seen=word))
    return cast(WantedPrecision, word)


def precision_said(word: object) -> Precision:
    """Return the precision that a file names; float32 if it names none.

    Earlier versions did not write it down, and computed in float32 on a processor.

    >>> precision_said("bf16"), precision_said(None)
    ('bf16', 'float32')
    """
    for precision in get_args(Precision):
        if word == precision:
            return cast(Precision, precision)
    return "float32"


def choose_precision(
    wanted: WantedPrecision,
    network: Network,
    recipe: Recipe,
    organs: int,
    side_px: int,
    *,
    deterministic: bool = False,
) -> Precision:
    """Return what a training on this machine will compute in.

    On a processor with bf16 instructions, "auto" times a few iterations (`gain_of_bf16`), and a log
    record says what came out. A processor without them times nothing.
    deterministic: "auto" means float32 on a processor, since two timings may differ.
    """
    if wanted != "auto":
        return wanted
    if not trains_on_cpu():
        return best_of_device()
    if deterministic or not has_bf16():
        return "float32"
    gain = gain_of_bf16(network, recipe, organs, side_px)
    chosen: Literal["bf16", "float32"] = "bf16" if gain >= LEAST_GAIN else "float32"
    log_finding(log, logging.INFO, ChosenPrecision(precision=chosen, gain=gain))
    return chosen


def computed_precision(precision: Precision, *, on_cpu: bool) -> Precision:
    """Return what a device computes in for a run of some precision: a CPU has no fp16.

    >>> computed_precision("fp16", on_cpu=True), computed_precision("bf16", on_cpu=True)
    ('float32', 'bf16')
    """
    return "float32" if precision == "fp16" and on_cpu else precision


def warn_if_emulated(precision: Precision) -> None:
    """Log a warning if PyTorch must emulate bf16 on this machine."""
    if precision == "bf16" and not has_bf16():
        log_finding(log, logging.WARNING, EmulatedBf16())


def trains_on_cpu() -> bool:
    """Return whether there is no GPU to train on."""
    return not torch.accelerator.is_available()


def has_bf16() -> bool:
    """Return whether the device that trains has instructions for bf16.

    PyTorch can say so of processors and of CUDA's devices; of others it is assumed.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not trains_on_cpu():
        return True
    instructions = torch.cpu.get_capabilities()
    return any(instructions.get(name) for name in BF16_INSTRUCTIONS)


def best_of_device() -> Precision:
    """Return what pays on the device without any timing: float32, except on CUDA's devices."""
    if not torch.cuda.is_available():
        return "float32"
    return "bf16" if has_bf16() else "fp16"
