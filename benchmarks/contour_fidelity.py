#!/usr/bin/env python3
"""Compare recontour's contours and masks with those of other tools, on the same shapes.

    .venv/bin/python benchmarks/contour_fidelity.py [--cases 50] [--tools ENVIRONMENT]

The shapes are known exactly, as functions of x, y and z:

    read            each tool reads their contours from an RTSTRUCT; its mask is compared with the
                    exact shape by areas (the best possible mask of whole pixels is shown too)
    round trip      each tool writes and reads the mask of the pixels that are at least half inside
    foreign read    recontour writes that mask, and the other tool reads it

The round trip is repeated for the real structure sets of ../shared/data. Then come the processor
seconds of 12 organs on 100 slices of 512 x 512, without loading the CT, and those of importing
--cases real cases, beside plastimatch's conversion of them.

The other tools get environments of their own on the first run, in the folder --tools; plastimatch
comes from apt. Writes docs/results/contour_fidelity.json, and prints the tables of docs/results.md.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.dicom import (
    Authorship,
    Scan,
    ScanIdentity,
    read_archive,
    read_series,
    read_structure_set,
    write_scan,
    write_structure_set,
)
from recontour.geometry import Contour, Grid, Structure, StructureSet, rasterise, traced
from recontour.geometry.arrays import Mask, Points

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared" / "data"
PACKAGES = {  # platipy needs pydicom 2
    "platipy": ("platipy==0.7.2",),
    "others": (
        "rt-utils==1.2.7",
        "DicomRTTool==6.2.0",
        "scikit-image==0.26.0",
        "opencv-python-headless==5.0.0.93",
    ),
}
TOOLS = ("rt-utils", "platipy", "DicomRTTool", "plastimatch", "scikit-image", "OpenCV")
ABLE_TO_READ = TOOLS[:4]
FINE = 16  # samples per pixel and direction

Masks = dict[str, Mask]
Parts = list[tuple[Points, float]]  # rings of a plane, and its z


def ring(
    radii_mm: tuple[float, float], centre_mm: tuple[float, float], degrees: float = 0.0
) -> Points:
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    return turned(np.column_stack([np.cos(angle), np.sin(angle)]) * radii_mm, degrees) + centre_mm


def turned(points: Points, degrees: float) -> Points:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def ball(
    radii_mm: tuple[float, float, float], degrees: float = 0.0
) -> Callable[[float], list[Points]]:
    """Return an ellipsoid's outlines by height; its centre is not that of a pixel."""

    def at(z_mm: float) -> list[Points]:
        share = 1 - ((z_mm - 0.3) / radii_mm[2]) ** 2
        if share <= 0:
            return []
        there = (radii_mm[0] * share**0.5, radii_mm[1] * share**0.5)
        return [ring(there, (0.37, -0.21), degrees)]

    return at


def slab(rings: list[Points], first_mm: float, last_mm: float) -> Callable[[float], list[Points]]:
    return lambda z_mm: rings if first_mm <= z_mm <= last_mm else []


NERVE_CORNERS = np.array([[-12.5, -1.5], [12.5, -1.5], [12.5, 1.5], [-12.5, 1.5]])
NERVE = turned(NERVE_CORNERS, 31) + np.array([0.3, 0.2])
SHAPES: dict[str, Callable[[float], list[Points]]] = {
    "lens, 4 mm": ball((4.0, 4.0, 4.0)),
    "optic nerve, oblique, 3 mm": slab([NERVE], -1, 1),
    "pituitary": ball((6.5, 4.5, 4.0)),
    "parotid": ball((19.0, 11.0, 10.5), 27),
    "ring": slab([ring((12.3, 12.3), (0.37, -0.21)), ring((7.2, 7.2), (0.37, -0.21))], -3, 3),
    "islands": slab([ring((5.2, 4.1), (-9.6, 0.2)), ring((3.3, 3.3), (8.3, 2.7))], -3, 3),
    "one slice": slab([ring((6.4, 5.1), (0.2, 0.4), 15)], 0, 0),
}


def small_grid() -> Grid:
    return Grid((25, 64, 64), (1.0, 1.0), tuple(float(z) for z in range(-12, 13)), (-31.5, -31.5))


def contours_of(shape: Callable[[float], list[Points]], grid: Grid) -> tuple[Contour, ...]:
    contours = []
    for z in grid.slice_z_mm:
        contours += [Contour(points, z) for points in shape(z)]
    return tuple(contours)


def shares_of(shape: Callable[[float], list[Points]], grid: Grid) -> npt.NDArray[np.float64]:
    """Return the share of each pixel that lies inside.

    It uses matplotlib's point in polygon on a fine raster, and none of recontour's code.
    """
    from matplotlib.path import Path as Polygon

    _, rows, cols = grid.shape
    row, col = np.mgrid[0 : rows * FINE, 0 : cols * FINE]
    row_px, col_px = [(at.ravel() + 0.5) / FINE - 0.5 for at in (row, col)]
    x_y = grid.to_mm(np.column_stack([col_px, row_px]))
    shares = np.zeros(grid.shape)
    for index, z_mm in enumerate(grid.slice_z_mm):
        inside = np.zeros(len(x_y), dtype=bool)
        for points in shape(z_mm):
            inside ^= Polygon(points).contains_points(x_y)
        shares[index] = inside.reshape(rows, FINE, cols, FINE).mean(axis=(1, 3))
    return shares


def compared(mask: Mask, true: npt.NDArray[np.generic], grid: Grid) -> dict[str, float]:
    """Compare a mask with another, or with the shares of pixels inside.

    Returns: Dice, disagreement and volume error in percent, and the shift of the centre in mm.
    """
    if not mask.any():
        return {
            "dsc": 0.0,
            "disagreement_percent": 100.0,
            "volume_percent": -100.0,
            "shift_mm": float("nan"),
        }
    volumes = [float(one.sum()) for one in (mask, true)]
    middles = [_middle_mm(one, grid) for one in (mask, true)]
    shared = 2 * float(true[mask].sum())
    return {
        "dsc": round(shared / sum(volumes), 4),
        "disagreement_percent": round(100 * (sum(volumes) - shared) / volumes[1], 2),
        "volume_percent": round(100 * (volumes[0] / volumes[1] - 1), 2),
        "shift_mm": round(float(np.linalg.norm(middles[0] - middles[1])), 4),
    }


def _middle_mm(share: npt.NDArray[np.generic], grid: Grid) -> Points:
    """Return the centre of mass: z, y, x."""
    _, rows, columns = grid.shape
    row_mm, column_mm = grid.spacing_mm
    y, x = np.arange(rows) * row_mm, np.arange(columns) * column_mm
    weights = share.astype(np.float64)
    sums = [weights.sum(axis=(1, 2)), weights.sum(axis=(0, 2)), weights.sum(axis=(0, 1))]
    places = (np.asarray(grid.slice_z_mm), y, x)
    middle = [float(at @ one) / float(one.sum()) for at, one in zip(places, sums, strict=True)]
    return np.array(middle)


def environment(tools: Path, name: str) -> Path:
    """Return the Python of an environment of other tools, which is made if it does not exist."""
    python = tools / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", tools / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
    return python


def foreign(
    tools: Path, tool: str, what: str, ct: Path, given: Path
) -> tuple[Masks, dict[str, float]] | str:
    """Return another tool's masks and seconds, or why there are none."""
    script = Path(__file__).with_name("foreign_contours.py")
    python = environment(tools, tool if tool in PACKAGES else "others")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out.npz"
        command: list[str | Path] = [python, script, tool, what, ct, given, out]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1][:160]
        seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        with np.load(out) as file:
            return dict(file), seconds


def clock() -> float:
    """Return the processor seconds of this process and its finished children.

    On a busy machine, the wall clock also counts other work.
    """
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def ours(what: str, scan: Scan, given: Masks | Path) -> tuple[Masks, dict[str, float]]:
    """Return recontour's masks and seconds, which are taken where `foreign` takes them."""
    with tempfile.TemporaryDirectory() as scratch:
        path = given if isinstance(given, Path) else Path(scratch) / "rs.dcm"
        seconds = {}
        if not isinstance(given, Path):
            began = clock()
            drawn = traced(given.items(), scan.grid)
            write_structure_set(path, drawn, scan, Authorship("benchmark"))
            seconds["write"] = clock() - began
        began = clock()
        read = read_structure_set(path, scan)
        found = {one.name: rasterise(one.contours, scan.grid) for one in read.structures}
        seconds["read"] = clock() - began
    return found, seconds


def scored(masks: Masks, true: dict[str, Any], grid: Grid) -> dict[str, dict[str, float]]:
    """Compare the masks that are there with the true ones, by name."""
    there = [name for name in true if name in masks]
    return {name: compared(masks[name], true[name], grid) for name in there}


def round_trip(
    tools: Path, tool: str, ct: Path, scan: Scan, masks: Masks, given: Path
) -> tuple[Masks, dict[str, float]] | str:
    """Let recontour, or another tool, write masks and read them again.

    given: the file with the masks, for other tools.
    """
    if tool == "recontour":
        return ours("roundtrip", scan, masks)
    return foreign(tools, tool, "roundtrip", ct, given)


def shapes(tools: Path, work: Path) -> dict[str, Any]:
    """Run each tool on each shape: read, round trip, and reading what recontour wrote."""
    grid = small_grid()
    ct = work / "shapes"
    scan = empty_scan(ct, grid, "shapes")
    # Short names: some tools turn names into file names or lower case.
    names = {name: f"s{index}" for index, name in enumerate(SHAPES)}
    drawn, shares, masks, best = [], {}, {}, {}
    for name, shape in SHAPES.items():
        short = names[name]
        drawn.append(Structure(short, contours_of(shape, grid)))
        shares[short] = shares_of(shape, grid)
        masks[short] = shares[short] >= 0.5
        best[short] = compared(masks[short], shares[short], grid)
    exact, written, given = work / "exact.dcm", work / "written.dcm", work / "masks.npz"
    write_structure_set(exact, StructureSet(tuple(drawn)), scan, Authorship("exact"))
    write_structure_set(written, traced(masks.items(), grid), scan, Authorship("benchmark"))
    np.savez_compressed(given, **masks)  # type: ignore[arg-type]

    table: dict[str, Any] = {
        "best possible": {"read": best},
        "recontour": {
            "read": scored(ours("read", scan, exact)[0], shares, grid),
            "round trip": scored(ours("roundtrip", scan, masks)[0], masks, grid),
        },
    }
    for tool in TOOLS:
        tries: dict[str, tuple[str, Path, dict[str, Any]]] = {
            "read": ("read", exact, shares),
            "round trip": ("roundtrip", given, masks),
        }
        if tool in ABLE_TO_READ:
            tries["foreign read"] = ("read", written, masks)
        table[tool] = {}
        for column, (what, source, true) in tries.items():
            done = foreign(tools, tool, what, ct, source)
            table[tool][column] = done if isinstance(done, str) else scored(done[0], true, grid)
    return with_names(table, names)


def with_names(table: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Give the table's shapes their full names back."""
    in_full = {short: name for name, short in names.items()}
    for columns in table.values():
        for column, rows in columns.items():
            if not isinstance(rows, str):
                columns[column] = {in_full[short]: row for short, row in rows.items()}
    return table


def empty_scan(ct: Path, grid: Grid, name: str) -> Scan:
    """Write a CT of zeros."""
    return write_scan(
        ct, np.zeros(grid.shape, dtype=np.int16), grid, ScanIdentity(name, "A", "A^A")
    )


def real_sets(work: Path) -> Iterator[tuple[str, Path, Scan, Masks]]:
    """Yield real structure sets: name, the CT's folder, the CT, and recontour's masks."""
    work.mkdir()
    for name in ("lung_pinnacle", "lung_varian_aria"):
        with tarfile.open(SHARED / "interop" / f"{name}.tar.xz") as archive:
            archive.extractall(work, filter="data")
    make_dicom(work / "openkbp", 1)
    openkbp = sorted((work / "openkbp").glob("*/*"))
    for folder in [work / "lung_pinnacle", work / "lung_varian_aria", *openkbp]:
        (pair,) = read_archive(folder).pairs
        scan = read_series(pair.series.files)
        ct = work / f"{folder.name}-ct"
        ct.mkdir()
        for file in pair.series.files:
            shutil.copy(file, ct)
        drawn = read_structure_set(pair.structure_set.path, scan)
        masks = {}
        for number, structure in enumerate(drawn.structures):
            mask = rasterise(structure.contours, scan.grid)
            if mask.any():
                masks[f"s{number}"] = mask
        yield folder.name, ct, scan, masks


def real(tools: Path, work: Path) -> dict[str, Any]:
    """Run the round trip of real structure sets; return the worst structure's Dice, by tool."""
    worst: dict[str, Any] = {}
    for name, ct, scan, masks in real_sets(work):
        given = work / f"{name}.npz"
        np.savez_compressed(given, **masks)  # type: ignore[arg-type]
        for tool in ("recontour", *TOOLS):
            done = round_trip(tools, tool, ct, scan, masks, given)
            if isinstance(done, str):
                worst.setdefault(tool, {})[name] = done
                continue
            rows = scored(done[0], masks, scan.grid).values()
            complete = len(rows) == len(masks)
            least = min(row["dsc"] for row in rows) if complete else "structures missing"
            worst.setdefault(tool, {})[name] = least
    return worst


def large(tools: Path, work: Path, repeats: int) -> dict[str, Any]:
    """Return the processor seconds of 12 organs on 100 slices of 512 x 512.

    The tools run in turns, and the least seconds of each count.
    """
    grid = Grid((100, 512, 512), (1.0, 1.0), tuple(3.0 * k for k in range(100)), (-255.5, -255.5))
    ct, given = work / "large", work / "large.npz"
    scan = empty_scan(ct, grid, "large")
    masks = large_masks(grid)
    np.savez_compressed(given, **masks)  # type: ignore[arg-type]
    turns: dict[str, list[dict[str, float]]] = {}
    for turn in range(repeats):
        once = ("plastimatch",) if turn == 0 else ()
        for tool in ("recontour", "rt-utils", *once):
            done = round_trip(tools, tool, ct, scan, masks, given)
            if not isinstance(done, str):
                turns.setdefault(tool, []).append(done[1])
    seconds: dict[str, dict[str, float]] = {}
    for tool, spent in turns.items():
        written = min(one["write"] for one in spent)
        read = min(one["read"] for one in spent)
        seconds[tool] = {"write": round(written, 3), "read": round(read, 3)}
    ratio = {}
    for way in ("write", "read"):
        ratio[way] = round(seconds["rt-utils"][way] / seconds["recontour"][way], 1)
    return {"processor_seconds": seconds, "rt-utils over recontour": ratio}


def large_masks(grid: Grid) -> Masks:
    """Return 12 organs that go through all slices, each turning and swelling on the way."""
    rng = np.random.default_rng(0)
    masks = {}
    for number in range(12):
        radii = rng.uniform(6, 30, 2)
        centre = rng.uniform(-120, 120, 2)
        degrees = rng.uniform(0, 180)
        rings = []
        for k, z in enumerate(grid.slice_z_mm):
            swollen = radii * (1 + 0.2 * np.sin(k / 9))
            rings.append(Contour(ring(tuple(swollen), tuple(centre), degrees + k), z))
        masks[f"s{number}"] = rasterise(rings, grid)
    return masks


def make_dicom(out: Path, of_each_role: int) -> None:
    script: list[str | Path] = [sys.executable, SHARED / "make_dicom.py"]
    command = [*script, out, "--limit", str(of_each_role)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def measured(command: list[object]) -> dict[str, float]:
    """Run a command; return its wall and processor seconds and its peak MiB."""
    began = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"failed: {command}")
    assert isinstance(usage, resource.struct_rusage)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def importing(work: Path, cases: int) -> dict[str, Any]:
    """Import real cases, and let plastimatch convert each to images of the CT and structures."""
    make_dicom(work / "cases", -(-cases // 3))
    folders = sorted((work / "cases").glob("*/*"))[:cases]
    for folder in set((work / "cases").glob("*/*")) - set(folders):
        shutil.rmtree(folder)
    words = ["import", work / "cases", work / "cohort", "--centre", "A"]
    us = measured([sys.executable, "-m", "recontour", *words])
    them = []
    for folder in folders:
        out = work / "converted" / folder.name
        files = ["--input", folder, "--output-img", out / "ct.nrrd", "--output-prefix", out]
        them.append(measured(["plastimatch", "convert", *files, "--prefix-format", "nrrd"]))
    total = {"peak_mib": max(one["peak_mib"] for one in them)}
    ratio = {}
    for key in ("seconds", "processor_seconds"):
        total[key] = sum(one[key] for one in them)
        ratio[key] = total[key] / us[key]
    return {
        "cases": len(folders),
        "recontour": rounded(us),
        "plastimatch": rounded(total),
        "plastimatch over recontour": rounded(ratio),
    }


def rounded(numbers: dict[str, float]) -> dict[str, float]:
    """Return numbers with two decimals, for the JSON file."""
    return {key: round(value, 2) for key, value in numbers.items()}


def show(result: dict[str, Any]) -> None:
    """Print the tables of docs/results.md."""
    for column in ("round trip", "read", "foreign read"):
        tools = [tool for tool, columns in result["shapes"].items() if column in columns]
        what = "where mask and shape differ, in % of the shape" if column == "read" else "DSC"
        print(f"\n{column}: {what} (volume error in %, shift in mm)\n")
        print("| shape |", " | ".join(tools), "|\n|---|" + "---|" * len(tools))
        for shape in SHAPES:
            cells = [cell_of(result["shapes"][tool][column], shape, column) for tool in tools]
            print(f"| {shape} |", " | ".join(cells), "|")
    for part in ("real sets", "large", "import"):
        print(f"\n{part}:", json.dumps(result.get(part, "left out"), indent=1))


def cell_of(rows: dict[str, dict[str, float]] | str, shape: str, column: str) -> str:
    """Return a tool's cell for a shape."""
    row = None if isinstance(rows, str) else rows.get(shape)
    if not row:
        return "fails"
    dsc, disagreement = f"{row['dsc']:.3f}", f"{row['disagreement_percent']:.1f}"
    first = disagreement if column == "read" else dsc
    return f"{first} ({row['volume_percent']:+.1f}, {row['shift_mm']:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50, help="how many real cases to import")
    parser.add_argument(
        "--repeats", type=int, default=3, help="how often to time writing and reading"
    )
    parser.add_argument("--tools", type=Path, default=REPO / "benchmarks" / "work" / "tools")
    options = parser.parse_args()
    if not shutil.which("plastimatch"):
        sys.exit("plastimatch is not here: apt-get install plastimatch")
    out = REPO / "docs" / "results" / "contour_fidelity.json"
    result: dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        # The import comes first: a process begins with its parent's peak memory.
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "import": lambda: importing(work, options.cases),
            "shapes": lambda: shapes(options.tools, work),
            "large": lambda: large(options.tools, work, options.repeats),
            "real sets": lambda: real(options.tools, work / "real"),
        }
        for name, part in parts.items():
            if SHARED.is_dir() or name in ("shapes", "large"):
                result[name] = part()
                out.write_text(json.dumps(result, indent=1) + "\n")
    show(result)


if __name__ == "__main__":
    main()
