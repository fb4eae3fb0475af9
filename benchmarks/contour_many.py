#!/usr/bin/env python3
"""Time one `recontour contour` of many CT series against one call for each.

    .venv/bin/python benchmarks/contour_many.py [--series 5] [--slices 100] [--pixels 512]
        [--singly N] [--turns 1] [--model M]

The CTs are phantoms. Without a model file, the stand-in of contour_speed.py is used. Both ways run
in turns, and the least of each counts: wall-clock and processor seconds. With --singly, only so
many of the series, evenly chosen, are also contoured one by one, and the cost is scaled up to all.

Writes docs/results/contour_many.json.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from clinical_size import untrained
from command_cost import Cost, least, measured
from contour_speed import rounded, stand_in
from recontour.phantom import SOURCE, write_centre
from recontour.processes import cores

REPO = Path(__file__).resolve().parents[1]


FIELD_MM = 307.2  # the width of a CT


def write_series(folder: Path, series: int, slices: int, pixels: int) -> list[Path]:
    """Write so many patients' CTs of pixels x pixels, and return the folder of each."""
    scanner = SOURCE.scanner
    slice_mm = (scanner.to_mm - scanner.from_mm) / (slices - 0.5)
    finer = replace(scanner, size_px=pixels, pixel_mm=FIELD_MM / pixels, slice_mm=slice_mm)
    write_centre(folder, replace(SOURCE, scanner=finer), range(series))
    return sorted(folder.glob("*/CT"))


def one_by_one(model: Path, folders: list[Path], sample: int, out: Path) -> Cost:
    """Return what one call for each series costs, as far as a sample of the series tells."""
    out.mkdir()
    step = len(folders) / sample
    chosen = [folders[int(step * number)] for number in range(sample)]
    costs = []
    for number, folder in enumerate(chosen):
        costs.append(measured("contour", model, folder, "--anyway", "--out", out / f"{number}.dcm"))
    return Cost(
        seconds=step * sum(cost.seconds for cost in costs),
        processor_seconds=step * sum(cost.processor_seconds for cost in costs),
        peak_mib=max(cost.peak_mib for cost in costs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=5)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--pixels", type=int, default=512)
    parser.add_argument("--singly", type=int)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for the commands
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        folders = write_series(work / "dicom", options.series, options.slices, options.pixels)
        sample = options.singly or options.series
        model = options.model or work / "model"
        if not options.model:
            # Another process loads the network: what this one holds would count as the commands'.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
                nothing_learnt = elsewhere.submit(untrained, work / "untrained").result()
                elsewhere.submit(stand_in, nothing_learnt, model, folders[0]).result()
        singly, together = [], []
        for turn in range(options.turns):
            singly.append(one_by_one(model, folders, sample, work / f"singly{turn}"))
            out = work / f"together{turn}"
            together.append(measured("contour", model, work / "dicom", "--anyway", "--out", out))
    alone, many = least(singly), least(together)
    result = {
        "model": "given" if options.model else "stand-in",
        "series": options.series,
        "slices": options.slices,
        "pixels": options.pixels,
        "contoured_singly": sample,
        "threads": options.threads,
        "busy": round(os.getloadavg()[0], 1),
        "single_calls": rounded(alone),
        "one_call": rounded(many),
        "single_over_one_seconds": round(alone.seconds / many.seconds, 2),
        "single_over_one_processor_seconds": round(
            alone.processor_seconds / many.processor_seconds, 2
        ),
    }
    print(json.dumps(result, indent=1))
    print(f"single calls / one call: {result['single_over_one_seconds']} (bar: 1.5)")
    path = REPO / "docs" / "results" / "contour_many.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
