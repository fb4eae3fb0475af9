#!/usr/bin/env python3
"""Time one `recontour contour` of many CT series against one call for each.

    .venv/bin/python benchmarks/contour_many.py [--series 5] [--slices 100] [--pixels 512]
        [--singly N] [--turns 1] [--organs 12 | --model M]
    .venv/bin/python benchmarks/contour_many.py --growth --series 1000 --slices 3 --pixels 64 \
        --organs 2

The CTs are phantoms. Without a model file, the stand-in of contour_speed.py is used. Both ways run
in turns, and the least of each counts: wall-clock and processor seconds. With --singly, only so
many of the series, evenly chosen, are also contoured one by one, and the cost is scaled up to all.

With --growth, a tenth of the series, three tenths and all are contoured, to see whether the time
grows in step with them and the memory not at all. Then a run of all is killed (kill -9) when half
of them are done, and repeated.

Writes docs/results/contour_many.json or, with --growth, contour_growth.json.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from clinical_size import ORGANS, untrained
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


def against_single_calls(
    model: Path, folders: list[Path], sample: int, turns: int, work: Path
) -> dict[str, Any]:
    """Return what single calls cost, and what one call for all series costs."""
    singly, together = [], []
    for turn in range(turns):
        singly.append(one_by_one(model, folders, sample, work / f"singly{turn}"))
        out = work / f"together{turn}"
        together.append(measured("contour", model, work / "dicom", "--anyway", "--out", out))
    alone, many = least(singly), least(together)
    seconds = alone.seconds / many.seconds
    processor_seconds = alone.processor_seconds / many.processor_seconds
    print(f"single calls / one call: {seconds:.2f} (bar: 1.5)")
    return {
        "contoured_singly": sample,
        "single_calls": rounded(alone),
        "one_call": rounded(many),
        "single_over_one_seconds": round(seconds, 2),
        "single_over_one_processor_seconds": round(processor_seconds, 2),
    }


def growth(model: Path, folders: list[Path], work: Path) -> dict[str, Any]:
    """Return what a tenth of the series, three tenths and all cost, and what a kill does."""
    by_series = {}
    for count in (len(folders) // 10, 3 * len(folders) // 10, len(folders)):
        some = work / f"{count}"
        some.mkdir()
        for number, folder in enumerate(folders[:count]):
            (some / f"{number:04}").symlink_to(folder)
        cost = measured("contour", model, some, "--anyway", "--out", work / f"out{count}")
        by_series[count] = rounded(cost) | {
            "milliseconds_per_series": round(1000 * cost.seconds / count, 1),
            "processor_milliseconds_per_series": round(1000 * cost.processor_seconds / count, 1),
        }
    return {"by_series": by_series, "killed": killed(model, some, count, work / "killed")}


def killed(model: Path, dicom: Path, series: int, out: Path) -> dict[str, int]:
    """Kill a run when half of the series are done, and repeat it; return what became of them.

    contoured_twice: of those that were whole at the kill. begun_at_kill: series in hand then.
    """
    command = [sys.executable, "-m", "recontour", "contour", str(model), str(dicom)]
    command += ["--anyway", "--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.glob("*.dcm"))) < series // 2:
            time.sleep(0.01)
        process.kill()
    whole = {path: path.stat().st_mtime_ns for path in out.glob("*.dcm")}
    begun = len(list(out.glob(".*.partial")))
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    answered = json.loads(said.stdout)["result"]["series"]
    changed = [path for path, at_ns in whole.items() if path.stat().st_mtime_ns != at_ns]
    return {
        "series": series,
        "whole_at_kill": len(whole),
        "begun_at_kill": begun,
        "done_before": sum(one["was_done"] for one in answered),
        "contoured_twice": len(changed),
        "without_contours": series - len(list(out.glob("*.dcm"))),
        "partial_files_left": len(list(out.glob(".*.partial"))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=5)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--pixels", type=int, default=512)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--organs", type=int, default=len(ORGANS), help="of the stand-in")
    parser.add_argument("--singly", type=int)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for the commands
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        folders = write_series(work / "dicom", options.series, options.slices, options.pixels)
        model, organs = options.model or work / "model", ORGANS[: options.organs]
        if not options.model:
            # Another process loads the network: what this one holds would count as the commands'.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
                nothing_learnt = elsewhere.submit(untrained, work / "untrained", organs).result()
                elsewhere.submit(stand_in, nothing_learnt, model, folders[0]).result()
        result: dict[str, Any] = {
            "model": "given" if options.model else "stand-in",
            "series": options.series,
            "slices": options.slices,
            "pixels": options.pixels,
            "organs": None if options.model else options.organs,
            "threads": options.threads,
            "busy": round(os.getloadavg()[0], 1),
        }
        if options.growth:
            result |= growth(model, folders, work)
        else:
            sample = options.singly or options.series
            result |= against_single_calls(model, folders, sample, options.turns, work)
    print(json.dumps(result, indent=1))
    name = "contour_growth.json" if options.growth else "contour_many.json"
    (REPO / "docs" / "results" / name).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
