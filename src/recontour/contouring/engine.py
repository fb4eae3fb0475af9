"""What computes the network's scores: OpenVINO on a CPU, PyTorch elsewhere.

PyTorch also serves where a CT has few slices, or where OpenVINO is missing. Both take the same
input and give the same scores. Normalisation is folded into the convolutions.

OpenVINO's own converter would trace with what PyTorch has given up, or take longer than a CT, and
it reports its use to its maker. Tracing of any kind changes `torch.nn.Module` while other threads
use it. The network has few kinds of module: they are translated here one by one.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from recontour.network import Model, Network
from recontour.network.layers import Bottleneck, Conv, PyramidPooling, Scores, linear
from recontour.network.stages import passed
from recontour.network.unet import Block, Up

# (N, S, H, W) windowed CT -> (N, 2K, h, w) scores, both on the CPU. Threads may share one.
Engine = Callable[[Tensor], Tensor]
# OpenVINO starts in 0.06 to 0.08 s. It saves 5 ms per slice on one AVX2 thread, which pays from 12
# slices on, and 0.9 ms on two AVX-512 threads, which pays from 90 on (`compact`, two views).
SLICES_THAT_PAY = 24
TELEMETRY = "openvino_telemetry"
_IMPORTING = Lock()


def engine_of(model: Model, slices: int) -> Engine:
    """Return what computes a model's scores fastest for a CT with this many slices.

    It keeps the weights as they are now, even if the model changes later.
    """
    folded = _Folded(model.network)
    if uses_openvino(model, slices):
        return _on_openvino(folded, model.preprocessing.crop_px)
    return _on_pytorch(folded, _device_of(model))


def uses_openvino(model: Model, slices: int) -> bool:
    """Return whether `engine_of` chooses OpenVINO."""
    pays = slices >= SLICES_THAT_PAY
    return pays and _device_of(model).type == "cpu" and has_openvino()


def _device_of(model: Model) -> torch.device:
    # while a training runs, the network is on the training's device
    device = next(model.network.parameters()).device
    if device.type == "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    return device


def has_openvino() -> bool:
    """Return whether OpenVINO can be used."""
    try:
        with _without_telemetry():
            import openvino  # noqa: F401
    except ImportError:
        return False
    return True


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide OpenVINO's telemetry, which reports every import of OpenVINO, until the block ends.

    OpenVINO does not use later what it does not find while it is imported.
    """
    modules: dict[str, Any] = sys.modules
    with _IMPORTING:
        was_loaded = TELEMETRY in modules
        before = modules.get(TELEMETRY)
        modules[TELEMETRY] = None  # makes its import fail
        try:
            yield
        finally:
            if was_loaded:
                modules[TELEMETRY] = before
            else:
                del modules[TELEMETRY]


class _Folded(nn.Module):
    """A copy of a network that ends with the scores, with batch normalisation folded in."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = deepcopy(network).eval()
        for module in self.network.modules():
            if isinstance(module, Conv):
                _fold(module)
            elif isinstance(module, Scores):
                module.forget_other_organs()

    def forward(self, ct_NSHW: Tensor) -> Tensor:
        return self.network.scores(ct_NSHW)


def _fold(layer: Conv) -> None:
    convolution, norm = layer[0], layer[1]
    if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        layer[0] = fuse_conv_bn_eval(convolution, norm)
        layer[1] = nn.Identity()


def _on_pytorch(folded: _Folded, device: torch.device) -> Engine:
    # torch's stub does not know memory_format
    folded = folded.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def scores(ct_NSHW: Tensor) -> Tensor:
        with torch.inference_mode():
            result: Tensor = folded(ct_NSHW.to(device, memory_format=torch.channels_last))
            return result.float().cpu()

    return scores


def _on_openvino(folded: _Folded, side: int) -> Engine:
    import openvino
    from openvino import opset13

    ct = opset13.parameter([-1, folded.network.architecture.slices, side, side], np.float32)
    graph = _scores_node(folded.network, ct.output(0))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # all cores on one batch: one batch's memory
        # half precision, the default where a CPU has it, moves contours
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # several processes would be pinned to the same cores
    }
    model = openvino.Model([graph], [ct])
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    using_request = Lock()

    def scores(ct_NSHW: Tensor) -> Tensor:
        batch = ct_NSHW.contiguous().numpy()
        with using_request:
            found = request.infer({0: batch}, share_inputs=True)
        (scores_N2Khw,) = found.values()
        return torch.from_numpy(scores_N2Khw)

    return scores


def _scores_node(network: Network, ct: Any) -> Any:
    """Return the node of a network's scores, as `Network.scores` computes them."""
    from openvino import opset13

    maps = passed(network.trunk.children(), (ct,), _node)
    own, *others = [passed(head.children(), maps, _node)[-1] for head in network.heads]
    if not others:
        return own
    share_H2K = network.share_HK.repeat_interleave(2, dim=1)
    own_share, *shares = share_H2K[..., None, None]
    total = opset13.multiply(own, _values(own_share)[None])
    for scores, share_2K11 in zip(others, shares, strict=True):
        weighed = opset13.multiply(scores, _values(share_2K11)[None])
        total = opset13.add(total, weighed)
    return total.output(0)


def _chain(modules: Iterable[nn.Module], x: Any) -> Any:
    """Return the node of the output of modules in sequence, given that of their input."""
    for module in modules:
        x = _node(module, x)
    return x


def _node(module: nn.Module, *given: Any) -> Any:
    """Return the node of a module's output, given those of its inputs."""
    from openvino import opset13

    if isinstance(module, Up):
        return _up_node(module, *given)
    (x,) = given
    match module:
        case Bottleneck():
            through = _chain((module.a, module.b, module.c), x)
            return _with_connection(module.connection, x, through)
        case Block():
            through = _chain((module.a, module.b), x)
            return _with_connection(module.connection, x, through)
        case PyramidPooling():
            branches = [_node(branch, x) for branch in module.branches]
            fused = opset13.concat(branches, 1).output(0)
            return _node(module.scores, fused)
        case nn.Sequential():
            return _chain(module, x)
    return _layer_node(module, x)


def _with_connection(connection: nn.Module | None, x: Any, through: Any) -> Any:
    from openvino import opset13

    past = x if connection is None else _node(connection, x)
    added = opset13.add(past, through).output(0)
    return opset13.relu(added).output(0)


def _up_node(module: Up, waiting: Any, coarse: Any) -> Any:
    """Return the node of a decoder stage's output; it interpolates by the same matrices."""
    from openvino import opset13

    height, width = _size(coarse)
    rows, columns = _size(waiting)
    rows_Hh = _values(linear(height, rows))
    columns_Ww = _values(linear(width, columns))
    wide = opset13.matmul(coarse, columns_Ww, transpose_a=False, transpose_b=True)
    as_fine = opset13.matmul(rows_Hh, wide, transpose_a=False, transpose_b=False)
    joined = opset13.concat([as_fine, waiting], 1).output(0)
    return _chain((module.a, module.b), joined)


def _size(x: Any) -> tuple[int, int]:
    """Return a node's height and width."""
    *_, height, width = x.get_partial_shape()
    return height.get_length(), width.get_length()


def _layer_node(module: nn.Module, x: Any) -> Any:
    from openvino import opset13

    match module:
        case nn.Conv2d():
            return _convolution(x, module)
        case nn.GroupNorm():
            weight, bias = _values(module.weight), _values(module.bias)
            groups, eps = module.num_groups, module.eps
            return opset13.group_normalization(x, weight, bias, groups, eps).output(0)
        case nn.Identity():
            return x
        case nn.ReLU():
            return opset13.relu(x).output(0)
        case nn.MaxPool2d():
            return _max_pool(x, module)
    raise NotImplementedError(f"{module} has no translation")


def _convolution(x: Any, module: nn.Conv2d) -> Any:
    from openvino import opset13

    weight, pads = _values(module.weight), module.padding
    product = opset13.convolution(x, weight, module.stride, pads, pads, module.dilation)
    if module.bias is None:
        return product.output(0)
    bias_1C11 = _values(module.bias)[None, :, None, None]
    return opset13.add(product, bias_1C11).output(0)


def _max_pool(x: Any, module: nn.MaxPool2d) -> Any:
    from openvino import opset13

    strides = [module.stride] * 2
    dilations = [module.dilation] * 2
    pads = [module.padding] * 2
    kernel = [module.kernel_size] * 2
    pooled = opset13.max_pool(x, strides, dilations, pads, pads, kernel)
    return pooled.output(0)


def _values(parameter: Tensor) -> Any:
    return parameter.detach().cpu().contiguous().numpy()
