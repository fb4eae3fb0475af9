#!/usr/bin/env python3
"""Time contouring on a CPU: the network against PyTorch and a matrix product, and the command.

    .venv/bin/python benchmarks/contour_speed.py [--threads 2] [--turns 5]
        [--model MODEL --name NAME]

The CT is a phantom of 100 (and 300) slices of 512 x 512. No model has learnt from such a one,
so the commands contour it `--anyway`. Without a model file, an untrained compact network of 12
organs is used; its scores are shifted so that each organ takes 0.3 % of the view, in small
pieces all over it, which cost more than real organs do. What is compared is timed in turns, and
the shortest time counts.

FLOP are counted by PyTorch. Its count includes products with padding, which the wide atrous
convolutions have many of; a library may leave them out.

Writes docs/results/contour_speed.json, or contour_speed_NAME.json.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from clinical_size import untrained
from command_cost import Cost, least, measured
from recontour.contouring import engine, seen
from recontour.contouring.engine import engine_of, has_openvino
from recontour.contouring.predict import predict
from recontour.dicom import Scan, read_scan
from recontour.evaluation import dice
from recontour.network import Model, load_model, save_model
from recontour.network.body import body_centre_mm
from recontour.network.cost import SLICES_AT_ONCE
from recontour.phantom import SOURCE, write_centre
from recontour.processes import cores

REPO = Path(__file__).resolve().parents[1]
SHOWN = 0.003  # of the view, by each organ
SIDE = 4096  # of the matrices whose product shows what the machine can do


def phantom_ct(folder: Path, slices: int) -> Path:
    """Write a head of so many slices of 512 x 512 as DICOM, and return the CT's folder."""
    scanner = SOURCE.scanner
    slice_mm = (scanner.to_mm - scanner.from_mm) / (slices - 0.5)
    finer = replace(scanner, size_px=512, pixel_mm=0.6, slice_mm=slice_mm)
    write_centre(folder, replace(SOURCE, scanner=finer), [0])
    return next(folder.glob("*/CT"))


def seen_of(model: Model, scan: Scan) -> Tensor:
    """Return what the network sees of a CT: (N, S, H, W)."""
    centre_mm = body_centre_mm(scan.hu, scan.grid)
    return torch.cat(list(seen.seen_of(scan.hu, scan.grid, centre_mm, model.preprocessing)))


def stand_in(untrained_model: Path, path: Path, ct: Path) -> None:
    """Write an untrained model whose organs each take SHOWN of the view of this CT."""
    scan = read_scan(ct)
    model = load_model(untrained_model)
    with torch.no_grad():
        scores_N2Khw = model.network.scores(seen_of(model, scan)[::4])
        logits_NKhw = scores_N2Khw[:, 1::2] - scores_N2Khw[:, 0::2]
        bias = model.network.own_head.last_layer.bias
        assert bias is not None
        logits_by_organ = logits_NKhw.transpose(0, 1).flatten(1)
        bias[1::2] -= torch.quantile(logits_by_organ, 1 - SHOWN, dim=1)
    save_model(model, path)


def least_seconds(jobs: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Run jobs in turns; return the shortest time of each."""
    least = dict.fromkeys(jobs, float("inf"))
    for _ in range(turns):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            least[name] = min(least[name], time.perf_counter() - began)
    return least


def network_speed(path: Path, ct: Path, threads: int, turns: int) -> dict[str, float]:
    """Return seconds per engine, GFLOP/s beside those of matrix products, and the worst DSC.

    The DSC is that of the engine's masks with PyTorch's.
    """
    if not has_openvino():
        sys.exit("OpenVINO is not installed: there is nothing to compare")
    import openvino
    from openvino import opset13

    torch.set_num_threads(threads)
    model, scan = load_model(path), read_scan(ct)
    ct_NSHW = seen_of(model, scan)
    batches = torch.split(ct_NSHW, SLICES_AT_ONCE)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.network.scores(ct_NSHW[:1])
    flop = counter.get_total_flops() * len(ct_NSHW)
    # torch's stub lacks memory_format
    eager = model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    folded, fast = engine_of(model, 1), engine_of(model, len(ct_NSHW))
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    factor = opset13.parameter([SIDE, SIDE], np.float32)
    product = opset13.matmul(factor, right.numpy(), False, False)
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.Core().compile_model(openvino.Model([product], [factor]), "CPU", hints)
    request = compiled.create_infer_request()

    def run_eager() -> None:
        with torch.inference_mode():
            for batch in batches:
                eager(batch.to(memory_format=torch.channels_last))

    spent = least_seconds(
        {
            "pytorch_eager": run_eager,
            "pytorch_folded": lambda: [folded(batch) for batch in batches],
            "engine": lambda: [fast(batch) for batch in batches],
            "engine_start": lambda: engine_of(model, len(ct_NSHW)),
            "torch_product": lambda: left @ right,
            "openvino_product": lambda: request.infer({0: left.numpy()}, share_inputs=True),
        },
        turns,
    )
    peaks = {name: 2 * SIDE**3 / spent[f"{name}_product"] / 1e9 for name in ("torch", "openvino")}
    reached = flop / spent["engine"] / 1e9
    with_start = spent["engine"] + spent["engine_start"]
    seconds = {}
    for name, value in spent.items():
        if not name.endswith("product"):
            seconds[f"{name}_seconds"] = round(value, 3)
    return seconds | {
        "gflop_a_slice": round(flop / len(ct_NSHW) / 1e9, 3),
        "engine_gflop_s": round(reached, 1),
        "torch_product_gflop_s": round(peaks["torch"], 1),
        "openvino_product_gflop_s": round(peaks["openvino"], 1),
        "share_of_torch_product": round(reached / peaks["torch"], 2),
        "share_of_openvino_product": round(reached / peaks["openvino"], 2),
        "eager_over_engine": round(spent["pytorch_eager"] / spent["engine"], 2),
        "eager_over_engine_and_start": round(spent["pytorch_eager"] / with_start, 2),
        "worst_dsc_with_pytorch": round(worst_dice(model, scan), 6),
    }


def worst_dice(model: Model, scan: Scan) -> float:
    """Return the least DSC of an organ between the engine's masks and PyTorch's."""
    fast = dict(predict(model, scan.hu, scan.grid))
    pays, engine.SLICES_THAT_PAY = engine.SLICES_THAT_PAY, len(scan.hu) + 1
    try:
        slow = predict(model, scan.hu, scan.grid)
        return min(dice(mask, fast[organ], scan.grid) for organ, mask in slow)
    finally:
        engine.SLICES_THAT_PAY = pays


def command_costs(model: Path, ct: Path, turns: int, out: Path) -> dict[str, Cost]:
    """Return the least cost of `recontour contour` with all organs and with one, run in turns."""
    jobs: dict[str, tuple[object, ...]] = {"all": (), "one": ("--organs", "Brainstem")}
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    for turn in range(turns):
        for name, options in jobs.items():
            written = out / f"{name}{turn}.dcm"
            cost = measured("contour", model, ct, "--anyway", "--out", written, *options)
            costs[name].append(cost)
    return {name: least(found) for name, found in costs.items()}


def rounded(cost: Cost) -> dict[str, float]:
    """Return a cost for the JSON file."""
    return {name: round(value, 2) for name, value in cost._asdict().items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--name", help="of the model, for the results' file")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for the commands
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        ct, long_ct = phantom_ct(work / "short", 100), phantom_ct(work / "long", 300)
        path = options.model or work / "model"
        # Another process loads the network: what this one holds would count towards the commands'
        # peak memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
            if not options.model:
                nothing_learnt = elsewhere.submit(untrained, work / "untrained").result()
                elsewhere.submit(stand_in, nothing_learnt, path, ct).result()
            timing = elsewhere.submit(network_speed, path, ct, options.threads, options.turns)
            speed = timing.result()
        costs = command_costs(path, ct, options.turns, work)
        long_out = work / "long.dcm"
        long_cost = measured("contour", path, long_ct, "--anyway", "--out", long_out)
    per_organs = costs["all"].processor_seconds / costs["one"].processor_seconds
    result = {
        "model": "given" if options.model else "stand-in",
        "threads": options.threads,
        "busy": round(os.getloadavg()[0], 1),
        "network": speed,
        "command": {name: rounded(cost) for name, cost in costs.items()},
        "all_over_one_processor_seconds": round(per_organs, 3),
        "command_300_slices": rounded(long_cost),
    }
    print(f"PyTorch eager / engine: {speed['eager_over_engine']:.2f} (bar: 1.5)")
    print(
        f"engine / matrix product: {speed['share_of_torch_product']:.0%} of PyTorch's (bar: 50 %)"
    )
    print(f"         {speed['share_of_openvino_product']:.0%} of OpenVINO's")
    print(f"least DSC with PyTorch's masks: {speed['worst_dsc_with_pytorch']:.5f} (bar: 0.999)")
    cost = f"{costs['all'].seconds:.1f} s, {costs['all'].peak_mib:.0f} MiB"
    print(f"contour: {cost} (bar: under 10 s, 1536 MiB)")
    print(f"all organs / 1 organ: {per_organs:.2f} (bar: 1.1)")
    print(f"300 slices: {long_cost.peak_mib:.0f} MiB")
    name = f"contour_speed_{options.name}" if options.name else "contour_speed"
    out = REPO / "docs" / "results" / f"{name}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
