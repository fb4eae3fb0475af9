#!/usr/bin/env python3
"""Measure how long training waits for data, and what the memory layout saves.

    .venv/bin/python benchmarks/throughput.py [--iterations 60] [COHORT]

Trains the compact preset on a cohort, or on phantom patients if none is given, and prints the share
of time that the loop waits for batches. Then times one training step with the channels-last and
with the default layout, in turns, and prints the ratio.

Writes docs/results/throughput.json.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from recontour.cohort import Cohort
from recontour.cohort.importing import import_dicom
from recontour.network import Network
from recontour.phantom import SOURCE, write_centre
from recontour.training.batches import Batch, Batches
from recontour.training.folder import RunFolder
from recontour.training.loop import loss_of, optimiser_of
from recontour.training.presets import preset_of
from recontour.training.run import run

REPO = Path(__file__).resolve().parents[1]
PRESET = preset_of("compact")


def phantom_cohort(folder: Path) -> Cohort:
    """Write and import four patients of the phantom's source centre."""
    write_centre(folder / "dicom", SOURCE, range(4))
    import_dicom(folder / "dicom", folder / "cohort", centre="phantom")
    return Cohort.open(folder / "cohort")


def waiting_share(batches: Batches, organs: int, folder: Path) -> tuple[float, float]:
    """Train; return the share of time that the loop waits for data, and seconds per iteration.

    The first ten iterations do not count.
    """
    network = Network(PRESET.architecture, organs)
    steps = run(network, batches, RunFolder(folder), {}, resume=False, checkpoint_seconds=1e9)
    counted = list(steps)[10:]
    waited = sum(step.waited for step in counted)
    seconds = [step.seconds for step in counted]
    return waited / sum(seconds), median(seconds)


def step_seconds(
    batch: Batch,
    organs: int,
    layout: torch.memory_format,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time of ten training steps, after two that do not count."""
    network = Network(PRESET.architecture, organs)
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    optimiser = optimiser_of(network, PRESET.train)
    ct_NSHW = batch.ct_NSHW.contiguous(memory_format=layout)
    spent = []
    for _ in range(12):
        began = clock()
        optimiser.zero_grad()
        loss = loss_of(network(ct_NSHW), batch, PRESET.train, 0)
        torch.autograd.backward(loss)
        optimiser.step()
        spent.append(clock() - began)
    return median(spent[2:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohort", type=Path, nargs="?")
    parser.add_argument("--iterations", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cohort = Cohort.open(options.cohort) if options.cohort else phantom_cohort(Path(scratch))
        recipe = replace(PRESET.train, iterations=options.iterations)
        organs = cohort.organs
        batches = Batches(list(cohort), organs, PRESET.preprocessing, recipe, seed=0)
        share, seconds = waiting_share(batches, len(organs), Path(scratch) / "run")
        batch = batches[0]
    last, default = [], []
    for _ in range(3):  # in turns, so that changes of the machine's speed affect both
        last.append(step_seconds(batch, len(organs), torch.channels_last))
        default.append(step_seconds(batch, len(organs), torch.contiguous_format))
    ratio = median(default) / median(last)
    result = {
        "waiting_for_data": round(share, 4),
        "seconds_per_iteration": round(seconds, 4),
        "slices_per_second": round(recipe.batch / seconds, 1),
        "default_layout_over_channels_last": round(ratio, 3),
        "threads": torch.get_num_threads(),
    }
    print(f"waiting for data: {share:.1%} of the time (bar: under 5 %)")
    print(f"an iteration of {recipe.batch} slices: {seconds:.3f} s")
    print(f"default layout / channels-last: {ratio:.2f} (above 1: channels-last is faster)")
    out = REPO / "docs" / "results" / "throughput.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
