#!/usr/bin/env python3
"""Measure how cost grows with cases, slices, organs and cores: is anything worse than linear?

    .venv/bin/python benchmarks/scaling.py [--only import inspect ...] [--turns 2] [--small]
        [--out FILE]

Each command runs as a process of its own on phantoms (scaling_inputs.py), on one thread except in
the row of cores. The least processor time of a few turns counts; in each turn, one size follows
another.

Two curves are fitted, both with a constant for start-up, which would make any growth look small:
a + b n^k, whose k is the growth, and a + b n + c n^2 with no coefficient below 0. The share of
c n^2 at the largest size gives the verdict. Where little lies above the constant, or noise bends
the curve, k means little, but the measured cost still bounds what n^2 can have taken.

Writes docs/results/scaling.json.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from command_cost import Cost, least, measured

# This process loads neither torch, scipy nor recontour: what it holds counts towards the peak
# memory of the commands that it starts.

REPO = Path(__file__).resolve().parents[1]
SIZES = {"cases": (10, 34, 68, 136), "slices": (40, 80, 160, 320), "organs": (1, 4, 8, 12)}
SMALL = {"cases": (2, 3, 4), "slices": (8, 12, 16), "organs": (1, 2, 3)}
PATIENTS, SMALL_PATIENTS = 5, 2  # where their number does not grow
COMMANDS = {  # with what grows
    "import": ("cases", "slices", "organs"),
    "inspect": ("cases",),
    "train": ("cases", "organs"),
    "contour": ("slices", "organs"),
    "evaluate": ("cases", "organs"),
    "export": ("cases", "organs"),
}
# Parts of training: preparing a batch, and learning from it.
PARTS = {"batch": ("cases", "organs"), "step": ("organs",)}
FLAT = 1.1  # the largest cost over the smallest; less is no growth
MOST_QUADRATIC = 0.2  # of the cost at the largest size; 2 % of noise can look like 0.1
WORSE = "WORSE THAN LINEAR"
MOST_TRIES = 3  # before that verdict stands
HEADING = (
    "what      with         sizes     processor seconds  constant  growth     n^2 peak MiB"
    "       verdict"
)

Measure = Callable[[int, Path], Cost]  # takes a size, and a path to write to


@dataclass(frozen=True, slots=True)
class Growth:
    """How a cost grows, according to both fits."""

    constant: float  # of a + b n + c n^2, in the cost's unit
    quadratic_share: float  # c n^2 / (a + b n + c n^2) at the largest size
    exponent: float  # k of a + b n^k
    verdict: str


def growth(sizes: Sequence[int], costs: Sequence[float]) -> Growth:
    """Fit the costs of at least three sizes.

    Relative errors are minimised, so that small sizes count as much as large ones.
    """
    from scipy.optimize import nnls

    n, cost = np.array(sizes) / max(sizes), np.array(costs)

    def fit(*powers: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
        terms = np.stack([n**power for power in powers], axis=1)
        return nnls(terms / cost[:, None], np.ones(len(n)))

    (constant, linear, quadratic), _ = fit(0, 1, 2)
    share = quadratic / (constant + linear + quadratic)
    exponent = min(np.linspace(0.1, 3, 59), key=lambda power: fit(0, power)[1])
    if cost[-1] < FLAT * cost[0]:
        verdict = "flat"
    else:
        verdict = "linear" if share <= MOST_QUADRATIC else WORSE
    return Growth(float(constant), float(share), float(exponent), verdict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where scaling_inputs.py writes its phantoms, by what grows and by its size."""

    folder: Path
    most_organs: int  # how many organs there are where their number does not grow

    @property
    def patient(self) -> Path:
        """Return the folder of the patients whose number grows."""
        return self.folder / "patients"

    def dicom(self, grows: str, size: int) -> Path:
        """Return a DICOM archive."""
        return self.folder / "dicom" / grows / str(size)

    def cohort(self, grows: str, size: int) -> Path:
        """Return an archive's cohort."""
        return self.folder / "cohorts" / grows / str(size)

    def ct(self, grows: str, size: int) -> Path:
        """Return one CT."""
        archive = self.dicom(grows, size) if grows == "slices" else self.patient
        return archive / "0" / "CT"

    def model(self, name: str, grows: str, size: int) -> Path:
        """Return a model; name: compact, tiny-a or tiny-b."""
        organs = size if grows == "organs" else self.most_organs
        return self.folder / "models" / f"{name}-{organs}"


def arguments_of(
    command: str, inputs: Inputs, grows: str, size: int, out: Path
) -> tuple[object, ...]:
    """Return a command's words; out: what it may write."""
    cohort = inputs.cohort(grows, size)
    match command:
        case "import":
            return command, inputs.dicom(grows, size), out
        case "train":
            return command, cohort, "--out", out, "--iterations", 1
        case "contour":
            model = inputs.model("compact", grows, size)
            return command, model, inputs.ct(grows, size), "--out", out
        case "evaluate":
            models = [inputs.model(name, grows, size) for name in ("tiny-a", "tiny-b")]
            return command, cohort, *models, "--out", out
        case "export":
            return command, cohort, out, "--format", "nifti"
    return command, cohort


def seconds_within(what: str, cohort: Path) -> float:
    """Return the processor seconds of a part of training."""
    import scaling_inputs

    if what == "batch":
        return scaling_inputs.batch_seconds(cohort)
    return scaling_inputs.learning_seconds(cohort)


def prepare(inputs: Inputs, sizes: Mapping[str, Sequence[int]], patients: int) -> None:
    """Write the phantoms, their cohorts and models."""
    import scaling_inputs

    scaling_inputs.prepare(inputs, sizes, patients)


def costs_of(
    measure: Measure, sizes: Sequence[int], turns: int, scrap: Path
) -> Iterator[list[Cost]]:
    """Yield the least cost of each size, again and again; each time, more turns have been run."""
    found: dict[int, list[Cost]] = {size: [] for size in sizes}
    while True:
        for _ in range(turns):
            for size in sizes:
                scrap.mkdir()
                found[size].append(measure(size, scrap / "out"))
                shutil.rmtree(scrap)
        yield [least(costs) for costs in found.values()]


def row_of(
    what: str, grows: str, sizes: Sequence[int], costs: Sequence[Cost], fitted: Growth
) -> dict[str, Any]:
    """Print a line of the table; return its row for the JSON file."""
    seconds = [round(cost.processor_seconds, 4) for cost in costs]
    peaks_mib = [round(cost.peak_mib) for cost in costs if not np.isnan(cost.peak_mib)]
    size = f"{sizes[0]:>4} to {sizes[-1]:>3}"
    spent = f"{seconds[0]:>8.4f} to {seconds[-1]:>8.4f}"
    memory = f"{peaks_mib[0]:>6} to {peaks_mib[-1]:>4}" if peaks_mib else ""
    fit = f"{fitted.constant:>9.4f} {fitted.exponent:>7.2f} {fitted.quadratic_share:>7.0%}"
    print(f"{what:<9} {grows:<7} {size} {spent} {fit} {memory:<15} {fitted.verdict}", flush=True)
    row = {
        "what": what,
        "grows_with": grows,
        "sizes": sizes,
        "seconds": seconds,
        "constant": round(fitted.constant, 4),
        "quadratic_share": round(fitted.quadratic_share, 4),
        "exponent": round(fitted.exponent, 4),
        "verdict": fitted.verdict,
    }
    if peaks_mib:
        row["peak_mib"] = peaks_mib
    return row


def seconds_by_threads(inputs: Inputs, slices: int, turns: int) -> dict[int, float]:
    """Return the seconds by the clock of contouring a CT on 1, 2, 4 ... threads; print them too."""
    threads = [2**power for power in range(len(os.sched_getaffinity(0)).bit_length())]

    def contouring(count: int, out: Path) -> Cost:
        arguments = arguments_of("contour", inputs, "slices", slices, out)
        return measured(*arguments, environment={"OMP_NUM_THREADS": str(count)})

    costs = next(costs_of(contouring, threads, turns, inputs.folder / "scrap"))
    seconds = {}
    for count, cost in zip(threads, costs, strict=True):
        speed_up = costs[0].seconds / cost.seconds
        spent = f"{cost.seconds:.2f} s, speed-up {speed_up:.2f}"
        print(f"contour {slices} slices on {count} threads: {spent}")
        seconds[count] = round(cost.seconds, 2)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [*COMMANDS, *PARTS]
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "scaling.json")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sizes, patients = (SMALL, SMALL_PATIENTS) if options.small else (SIZES, PATIENTS)
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere,
    ):
        inputs = Inputs(Path(scratch), max(sizes["organs"]))
        elsewhere.submit(prepare, inputs, sizes, patients).result()

        def row(what: str, grows: str) -> dict[str, Any]:
            def measure(size: int, out: Path) -> Cost:
                if what in COMMANDS:
                    return measured(*arguments_of(what, inputs, grows, size, out))
                cohort = inputs.cohort(grows, size)
                seconds = elsewhere.submit(seconds_within, what, cohort).result()
                return Cost(seconds, seconds, np.nan)

            tries = costs_of(measure, sizes[grows], options.turns, inputs.folder / "scrap")
            for costs in islice(tries, MOST_TRIES):
                seconds = [cost.processor_seconds for cost in costs]
                fitted = elsewhere.submit(growth, sizes[grows], seconds).result()
                if fitted.verdict != WORSE:
                    break
            return row_of(what, grows, sizes[grows], costs, fitted)

        print(HEADING, flush=True)
        rows = []
        for what in options.only:
            for grows in (COMMANDS | PARTS)[what]:
                rows.append(row(what, grows))
        result = {"turns": options.turns, "busy": round(os.getloadavg()[0], 1), "rows": rows}
        if "contour" in options.only:
            by_threads = seconds_by_threads(inputs, max(sizes["slices"]), options.turns)
            result["contour_seconds_by_threads"] = by_threads
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
