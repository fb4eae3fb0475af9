"""What computes the network's scores: OpenVINO on a CPU, PyTorch elsewhere, where few slices are
asked for, or where OpenVINO is missing. Both take the same and give the same; normalisation is
folded into the convolutions.

OpenVINO's own converter would trace with what PyTorch has given up, or take longer than a CT, and
reports its use to its maker. The network is six kinds of operation: they are translated here one by
one, and nothing is reported.
"""

import operator
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from recontour.network import Model, Network
from recontour.network.architecture import Conv

Engine = Callable[
    [Tensor], Tensor
]  # (N, 1, H, W) windowed CT -> (N, 2K, h, w) scores, both on the CPU
SLICES_THAT_PAY = 24  # a start of 0.06 s, and 2.5 ms saved a slice (one thread, `compact`)


def engine_of(model: Model, slices: int) -> Engine:
    """What computes a model's scores fastest, for so many slices;

    it does not heed later changes of the model.
    """
    device = next(model.network.parameters()).device  # where a training that goes on has it
    if device.type == "cpu" and torch.cuda.is_available():
        device = torch.device("cuda")
    folded = _Folded(model.network)
    if device.type == "cpu" and slices >= SLICES_THAT_PAY and has_openvino():
        return _on_openvino(folded, model.preprocessing.crop_px)
    return _on_pytorch(folded, device)


def has_openvino() -> bool:
    """Whether OpenVINO can be used;

    it is loaded without its telemetry, which would report every import.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: such an import fails
    try:
        import openvino
    except ImportError:
        return False
    return True


class _Folded(nn.Module):
    """A copy of a network that ends with the scores, and whose convolutions do what batch
    normalisation did.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = deepcopy(network).eval()
        for layer in self.network.modules():
            if isinstance(layer, Conv):
                convolution, norm = layer[0], layer[1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    layer[0], layer[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()

    def forward(self, ct_N1HW: Tensor) -> Tensor:
        return self.network.scores(ct_N1HW)


def _on_pytorch(folded: _Folded, device: torch.device) -> Engine:
    folded = folded.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def scores(ct_N1HW: Tensor) -> Tensor:
        with torch.inference_mode():
            result: Tensor = folded(ct_N1HW.to(device, memory_format=torch.channels_last))
            return result.float().cpu()

    return scores


def _on_openvino(folded: _Folded, side: int) -> Engine:
    import openvino
    from openvino import opset13

    ct = opset13.parameter([-1, 1, side, side], np.float32)
    scores_of = openvino.Model([_Translation(fx.symbolic_trace(folded)).run(ct.output(0))], [ct])
    compiled = openvino.Core().compile_model(
        scores_of,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",  # all cores on one batch: one batch's memory
            # half precision, the default where a CPU has it, moves contours
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # several processes would be pinned to the same cores
        },
    )
    request = compiled.create_infer_request()

    def scores(ct_N1HW: Tensor) -> Tensor:
        (found,) = request.infer({0: ct_N1HW.contiguous().numpy()}, share_inputs=True).values()
        return torch.from_numpy(found)

    return scores


class _Translation(fx.Interpreter):
    """Runs a folded network on OpenVINO's nodes in place of tensors:

    what it returns is their graph.
    """

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        from openvino import opset13

        module, (x,) = self.fetch_attr(target), args
        match module:
            case nn.Conv2d():
                pads = module.padding
                product = opset13.convolution(
                    x, _values(module.weight), module.stride, pads, pads, module.dilation
                )
                if module.bias is None:
                    return product.output(0)
                return opset13.add(product, _values(module.bias)[None, :, None, None]).output(0)
            case nn.GroupNorm():
                weight, bias = _values(module.weight), _values(module.bias)
                return opset13.group_normalization(
                    x, weight, bias, module.num_groups, module.eps
                ).output(0)
            case nn.Identity():
                return x
            case nn.ReLU():
                return opset13.relu(x).output(0)
            case nn.MaxPool2d():
                sides = (
                    [side, side]
                    for side in (module.stride, module.dilation, module.padding, module.padding)
                )
                return opset13.max_pool(x, *sides, [module.kernel_size] * 2).output(0)
        raise NotImplementedError(f"{module} has no translation")

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        from openvino import opset13

        if target is operator.add:
            return opset13.add(*args).output(0)
        if target is operator.mul:
            x, share = args
            return opset13.multiply(x, _values(share)[None]).output(0)
        if target is F.relu:
            return opset13.relu(args[0]).output(0)
        if target is torch.cat:
            return opset13.concat(args[0], kwargs["dim"]).output(0)
        raise NotImplementedError(f"{target} has no translation")


def _values(parameter: Tensor) -> Any:
    return parameter.detach().cpu().contiguous().numpy()
