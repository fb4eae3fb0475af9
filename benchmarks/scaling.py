#!/usr/bin/env python3
"""How cost grows with cases, slices, organs and cores: is anything worse than linear?

    .venv/bin/python benchmarks/scaling.py [--only import inspect ...] [--turns 2] [--small] [--out
    FILE]

Commands are run as processes of their own on phantoms (scaling_inputs.py), on one thread but for
the row of cores; of each the least processor seconds of a few turns count, in which sizes follow
one another. Two curves are fitted above the constant, which is start-up and would make any growth
look small: a + b n^k, whose k is the growth, and a + b n + c n^2 (none below 0), of which the share
of c n^2 at the largest size is the verdict: where little lies above the constant, or noise bends
the curve, k means little, but what n^2 can have taken is bounded by what was measured. Writes
docs/results/scaling.json.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from command_cost import Cost, least, measured

# Nothing here loads torch, scipy or recontour before all is measured: what this process holds
# counts as the commands' peak, as the system counts.

REPO = Path(__file__).resolve().parents[1]
SIZES = {"cases": (10, 34, 68, 136), "slices": (40, 80, 160, 320), "organs": (1, 4, 8, 12)}
SMALL = {"cases": (2, 3, 4), "slices": (8, 12, 16), "organs": (1, 2, 3)}
PATIENTS, SMALL_PATIENTS = 5, 2  # where it is not they that grow in number
COMMANDS = {  # and what they grow with
    "import": ("cases", "slices", "organs"),
    "inspect": ("cases",),
    "train": ("cases", "organs"),
    "contour": ("slices", "organs"),
    "evaluate": ("cases", "organs"),
    "export": ("cases", "organs"),
}
PARTS = {
    "batch": ("cases", "organs"),
    "step": ("organs",),
}  # of training: preparing a batch, and learning from it
FLAT = 1.1  # largest over smallest: less is no growth
MOST_QUADRATIC = 0.2  # of the cost at the largest size: two per cent of noise look like a tenth
WORSE = "WORSE THAN LINEAR"
MOST_TRIES = 3  # before that is said

Measure = Callable[[int, Path], Cost]  # of a size; what is written goes to the path


@dataclass(frozen=True, slots=True)
class Growth:
    """How a cost grows, by both fits."""

    constant: float  # of a + b n + c n^2, in the cost's unit
    quadratic_share: float  # c n^2 / (a + b n + c n^2) at the largest size
    exponent: float  # k of a + b n^k
    verdict: str


def growth(sizes: Sequence[int], costs: Sequence[float]) -> Growth:
    """Fit a cost, of at least three sizes;

    relative errors count, so that small sizes have their say.
    """
    from scipy.optimize import nnls

    n, cost = np.array(sizes) / max(sizes), np.array(costs)

    def fit(*powers: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
        return nnls(
            np.stack([n**power for power in powers], axis=1) / cost[:, None], np.ones(len(n))
        )

    (constant, linear, quadratic), _ = fit(0, 1, 2)
    share = quadratic / (constant + linear + quadratic)
    exponent = min(np.linspace(0.1, 3, 59), key=lambda power: fit(0, power)[1])
    verdict = (
        "flat" if cost[-1] < FLAT * cost[0] else "linear" if share <= MOST_QUADRATIC else WORSE
    )
    return Growth(float(constant), float(share), float(exponent), verdict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where scaling_inputs.py writes what is measured on: by what grows, and by its size."""

    folder: Path
    most_organs: int  # of everything in which it is not they that grow in number

    @property
    def patient(self) -> Path:
        """The folder of the patients whose number grows."""
        return self.folder / "patients"

    def dicom(self, grows: str, size: int) -> Path:
        """An archive."""
        return self.folder / "dicom" / grows / str(size)

    def cohort(self, grows: str, size: int) -> Path:
        """An archive's cohort."""
        return self.folder / "cohorts" / grows / str(size)

    def ct(self, grows: str, size: int) -> Path:
        """One CT."""
        return (self.dicom(grows, size) if grows == "slices" else self.patient) / "0" / "CT"

    def model(self, name: str, grows: str, size: int) -> Path:
        """A model: compact, or of a tiny network tiny-a or tiny-b."""
        return self.folder / "models" / f"{name}-{size if grows == 'organs' else self.most_organs}"


def arguments_of(
    command: str, inputs: Inputs, grows: str, size: int, out: Path
) -> tuple[object, ...]:
    """How a command is called. out: what it may write."""
    cohort = inputs.cohort(grows, size)
    match command:
        case "import":
            return command, inputs.dicom(grows, size), out
        case "train":
            return command, cohort, "--out", out, "--iterations", 1
        case "contour":
            return (
                command,
                inputs.model("compact", grows, size),
                inputs.ct(grows, size),
                "--out",
                out,
            )
        case "evaluate":
            return (
                command,
                cohort,
                *(inputs.model(name, grows, size) for name in ("tiny-a", "tiny-b")),
                "--out",
                out,
            )
        case "export":
            return command, cohort, out, "--format", "nifti"
    return command, cohort


def seconds_within(what: str, cohort: Path) -> float:
    """What a part of training takes."""
    import scaling_inputs

    return {"batch": scaling_inputs.batch_seconds, "step": scaling_inputs.learning_seconds}[what](
        cohort
    )


def prepare(inputs: Inputs, sizes: Mapping[str, Sequence[int]], patients: int) -> None:
    """Write what is measured on."""
    import scaling_inputs

    scaling_inputs.prepare(inputs, sizes, patients)


def costs_of(
    measure: Measure, sizes: Sequence[int], turns: int, scrap: Path
) -> Iterator[list[Cost]]:
    """What each size costs, the sizes following one another;

    with every further item the least of more turns.
    """
    found: dict[int, list[Cost]] = {size: [] for size in sizes}
    while True:
        for _ in range(turns):
            for size in sizes:
                scrap.mkdir()
                found[size].append(measure(size, scrap / "out"))
                shutil.rmtree(scrap)
        yield [least(costs) for costs in found.values()]


def told(
    what: str, grows: str, sizes: Sequence[int], costs: Sequence[Cost], fitted: Growth
) -> dict[str, Any]:
    """A row for the JSON file; its line of the table is printed."""
    seconds = [cost.processor_seconds for cost in costs]
    peaks_mib = [round(cost.peak_mib) for cost in costs if not np.isnan(cost.peak_mib)]
    memory = f"{peaks_mib[0]:>6} to {peaks_mib[-1]:>4}" if peaks_mib else ""
    print(
        f"{what:<9} {grows:<7} {sizes[0]:>4} to {sizes[-1]:>3} {seconds[0]:>8.4f} to {seconds[-1]:>8.4f} "
        f"{fitted.constant:>9.4f} {fitted.exponent:>7.2f} {fitted.quadratic_share:>7.0%} {memory:<15} {fitted.verdict}",
        flush=True,
    )
    row = {
        "what": what,
        "grows_with": grows,
        "sizes": sizes,
        "seconds": [round(value, 4) for value in seconds],
    }
    numbers = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in asdict(fitted).items()
    }
    return row | numbers | ({"peak_mib": peaks_mib} if peaks_mib else {})


def seconds_by_threads(inputs: Inputs, slices: int, turns: int) -> dict[int, float]:
    """What contouring a CT takes by the clock on 1, 2, 4, ...

    threads, up to all cores; printed, too.
    """
    threads = [2**power for power in range(len(os.sched_getaffinity(0)).bit_length())]

    def contouring(count: int, out: Path) -> Cost:
        arguments = arguments_of("contour", inputs, "slices", slices, out)
        return measured(*arguments, environment={"OMP_NUM_THREADS": str(count)})

    seconds = [
        cost.seconds for cost in next(costs_of(contouring, threads, turns, inputs.folder / "scrap"))
    ]
    for count, spent in zip(threads, seconds, strict=True):
        print(
            f"contour {slices} slices on {count} threads: {spent:.2f} s, speed-up {seconds[0] / spent:.2f}"
        )
    return {count: round(spent, 2) for count, spent in zip(threads, seconds, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [*COMMANDS, *PARTS]
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="sizes that only show that it works")
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
                seconds = elsewhere.submit(
                    seconds_within, what, inputs.cohort(grows, size)
                ).result()
                return Cost(seconds, seconds, np.nan)

            for costs in islice(
                costs_of(measure, sizes[grows], options.turns, inputs.folder / "scrap"), MOST_TRIES
            ):
                fitted = elsewhere.submit(
                    growth, sizes[grows], [cost.processor_seconds for cost in costs]
                ).result()
                if fitted.verdict != WORSE:
                    break
            return told(what, grows, sizes[grows], costs, fitted)

        print(
            "what      with         sizes     processor seconds  constant  growth     n^2 peak MiB       verdict",
            flush=True,
        )
        rows = [row(what, grows) for what in options.only for grows in (COMMANDS | PARTS)[what]]
        result = {"turns": options.turns, "busy": round(os.getloadavg()[0], 1), "rows": rows}
        if "contour" in options.only:
            result["contour_seconds_by_threads"] = seconds_by_threads(
                inputs, max(sizes["slices"]), options.turns
            )
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
