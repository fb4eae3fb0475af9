#!/usr/bin/env python3
"""Contours and masks: recontour beside the tools people use, on the same shapes, in one run.

    .venv/bin/python benchmarks/contour_fidelity.py [--cases 50] [--tools ENVIRONMENT]

Shapes are known exactly, as functions of x, y and z. *Read*: their contours as an RTSTRUCT, each
tool's mask compared with the exact shape by areas (no mask of whole pixels agrees wholly; the best
possible is shown).
*Round trip*: the mask of the pixels that lie at least half inside, written and read by the same
tool. *Foreign read*: that mask written by recontour, read by the other tool. The same round trip
for the real structure sets of ../shared/data. Then the processor seconds that 12 organs on 100
slices of 512 x 512 take, the CT being loaded already, and importing --cases real cases beside
plastimatch's conversion of them.

The foreign tools get an environment of their own, made on the first run (`--tools` says where);
plastimatch comes from apt. Writes docs/results/contour_fidelity.json and the tables of
docs/results.md, which are pasted from the output.
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
FINE = 16  # samples a pixel and direction

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
    """An ellipsoid's outline at a height, off the pixels' centres."""

    def at(z_mm: float) -> list[Points]:
        share = 1 - ((z_mm - 0.3) / radii_mm[2]) ** 2
        return (
            [ring((radii_mm[0] * share**0.5, radii_mm[1] * share**0.5), (0.37, -0.21), degrees)]
            if share > 0
            else []
        )

    return at


def slab(rings: list[Points], first_mm: float, last_mm: float) -> Callable[[float], list[Points]]:
    return lambda z_mm: rings if first_mm <= z_mm <= last_mm else []


NERVE = turned(np.array([[-12.5, -1.5], [12.5, -1.5], [12.5, 1.5], [-12.5, 1.5]]), 31) + np.array(
    [0.3, 0.2]
)
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
    return tuple(Contour(points, z) for z in grid.slice_z_mm for points in shape(z))


def shares_of(shape: Callable[[float], list[Points]], grid: Grid) -> npt.NDArray[np.float64]:
    """The share of every pixel inside:

    matplotlib's point in polygon on a fine raster, no code of recontour's.
    """
    from matplotlib.path import Path as Polygon

    _, rows, cols = grid.shape
    row, col = np.mgrid[0 : rows * FINE, 0 : cols * FINE]
    x_y = grid.to_mm(
        np.column_stack([(col.ravel() + 0.5) / FINE - 0.5, (row.ravel() + 0.5) / FINE - 0.5])
    )
    shares = np.zeros(grid.shape)
    for index, z_mm in enumerate(grid.slice_z_mm):
        inside = np.zeros(len(x_y), dtype=bool)
        for points in shape(z_mm):
            inside ^= Polygon(points).contains_points(x_y)
        shares[index] = inside.reshape(rows, FINE, cols, FINE).mean(axis=(1, 3))
    return shares


def compared(mask: Mask, true: npt.NDArray[np.generic], grid: Grid) -> dict[str, float]:
    """Dice with a mask, or with the shares of pixels;

    where they differ and volume error in percent; shift in mm.
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
    return {
        "dsc": round(2 * float(true[mask].sum()) / sum(volumes), 4),
        "disagreement_percent": round(
            100 * (sum(volumes) - 2 * float(true[mask].sum())) / volumes[1], 2
        ),
        "volume_percent": round(100 * (volumes[0] / volumes[1] - 1), 2),
        "shift_mm": round(float(np.linalg.norm(middles[0] - middles[1])), 4),
    }


def _middle_mm(share: npt.NDArray[np.generic], grid: Grid) -> Points:
    """The centre of mass, (z, y, x)."""
    y, x = (np.arange(n) * step for n, step in zip(grid.shape[1:], grid.spacing_mm, strict=True))
    weights = share.astype(np.float64)
    sums = [weights.sum(axis=(1, 2)), weights.sum(axis=(0, 2)), weights.sum(axis=(0, 1))]
    places = (np.asarray(grid.slice_z_mm), y, x)
    return np.array(
        [float(at @ one) / float(one.sum()) for at, one in zip(places, sums, strict=True)]
    )


def environment(tools: Path, name: str) -> Path:
    """The Python of an environment of foreign tools, made if need be."""
    python = tools / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", tools / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
    return python


def foreign(
    tools: Path, tool: str, what: str, ct: Path, given: Path
) -> tuple[Masks, dict[str, float]] | str:
    """A tool's masks and seconds, or why there are none."""
    script = Path(__file__).with_name("foreign_contours.py")
    python = environment(tools, tool if tool in PACKAGES else "others")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out.npz"
        done = subprocess.run(
            [python, script, tool, what, ct, given, out],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.stderr.strip().splitlines()[-1][:160]
        with np.load(out) as file:
            return {name: file[name] for name in file.files}, json.loads(
                done.stdout.splitlines()[-1]
            )


def clock() -> float:
    """Processor seconds of this process and its finished children:

    on a busy machine the wall clock tells of others.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ours(what: str, scan: Scan, given: Masks | Path) -> tuple[Masks, dict[str, float]]:
    """As `foreign`, by recontour; the seconds of either way begin and end where the others' do."""
    with tempfile.TemporaryDirectory() as scratch:
        path = given if isinstance(given, Path) else Path(scratch) / "rs.dcm"
        seconds = {}
        if not isinstance(given, Path):
            began = clock()
            write_structure_set(
                path, traced(given.items(), scan.grid), scan, Authorship("benchmark")
            )
            seconds["write"] = clock() - began
        began = clock()
        read = read_structure_set(path, scan)
        found = {one.name: rasterise(one.contours, scan.grid) for one in read.structures}
        seconds["read"] = clock() - began
    return found, seconds


def scored(masks: Masks, true: dict[str, Any], grid: Grid) -> dict[str, dict[str, float]]:
    return {name: compared(masks[name], one, grid) for name, one in true.items() if name in masks}


def shapes(tools: Path, work: Path) -> dict[str, Any]:
    """Every tool on every shape: read, round trip, and the reading of what recontour wrote."""
    grid = small_grid()
    ct = work / "shapes"
    scan = write_scan(
        ct, np.zeros(grid.shape, dtype=np.int16), grid, ScanIdentity("shapes", "A", "A^A")
    )
    names = {
        name: f"s{index}" for index, name in enumerate(SHAPES)
    }  # some tools make file names or small letters of them
    shares = {names[name]: shares_of(shape, grid) for name, shape in SHAPES.items()}
    masks = {name: share >= 0.5 for name, share in shares.items()}
    exact, written, given = work / "exact.dcm", work / "written.dcm", work / "masks.npz"
    analytic = tuple(
        Structure(names[name], contours_of(shape, grid)) for name, shape in SHAPES.items()
    )
    write_structure_set(exact, StructureSet(analytic), scan, Authorship("exact"))
    write_structure_set(written, traced(masks.items(), grid), scan, Authorship("benchmark"))
    np.savez_compressed(given, **masks)  # type: ignore[arg-type]

    best = {
        names[name]: compared(share >= 0.5, share, grid)
        for name, share in zip(SHAPES, shares.values(), strict=True)
    }
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
    code = {short: name for name, short in names.items()}
    return {
        tool: {
            column: rows
            if isinstance(rows, str)
            else {code[short]: row for short, row in rows.items()}
            for column, rows in columns.items()
        }
        for tool, columns in table.items()
    }


def real_sets(work: Path) -> Iterator[tuple[str, Path, Scan, Masks]]:
    """Real structure sets: name, the CT's folder, the CT, the masks as recontour reads them."""
    work.mkdir()
    for name in ("lung_pinnacle", "lung_varian_aria"):
        with tarfile.open(SHARED / "interop" / f"{name}.tar.xz") as archive:
            archive.extractall(work, filter="data")
    make_dicom(work / "openkbp", 1)
    for folder in [
        work / "lung_pinnacle",
        work / "lung_varian_aria",
        *sorted((work / "openkbp").glob("*/*")),
    ]:
        (pair,) = read_archive(folder).pairs
        scan = read_series(pair.series.files)
        ct = work / f"{folder.name}-ct"
        ct.mkdir()
        for file in pair.series.files:
            shutil.copy(file, ct)
        drawn = read_structure_set(pair.structure_set.path, scan)
        masks = {
            f"s{i}": rasterise(one.contours, scan.grid) for i, one in enumerate(drawn.structures)
        }
        yield folder.name, ct, scan, {name: mask for name, mask in masks.items() if mask.any()}


def real(tools: Path, work: Path) -> dict[str, Any]:
    """The round trip of real structure sets: the worst structure's Dice, by tool."""
    worst: dict[str, Any] = {}
    for name, ct, scan, masks in real_sets(work):
        given = work / f"{name}.npz"
        np.savez_compressed(given, **masks)  # type: ignore[arg-type]
        for tool in ("recontour", *TOOLS):
            done = (
                ours("roundtrip", scan, masks)
                if tool == "recontour"
                else foreign(tools, tool, "roundtrip", ct, given)
            )
            if isinstance(done, str):
                worst.setdefault(tool, {})[name] = done
                continue
            rows = scored(done[0], masks, scan.grid).values()
            complete = len(rows) == len(masks)
            worst.setdefault(tool, {})[name] = (
                min(row["dsc"] for row in rows) if complete else "structures missing"
            )
    return worst


def large(tools: Path, work: Path, repeats: int) -> dict[str, Any]:
    """Processor seconds of 12 organs on 100 slices of 512 x 512, the least of some turns taken in
    alternation.
    """
    grid = Grid((100, 512, 512), (1.0, 1.0), tuple(3.0 * k for k in range(100)), (-255.5, -255.5))
    ct, given = work / "large", work / "large.npz"
    scan = write_scan(
        ct, np.zeros(grid.shape, dtype=np.int16), grid, ScanIdentity("large", "A", "A^A")
    )
    rng = np.random.default_rng(0)
    masks = {}
    for number in range(12):
        radii, centre, degrees = (
            rng.uniform(6, 30, 2),
            rng.uniform(-120, 120, 2),
            rng.uniform(0, 180),
        )
        rings = [
            Contour(ring(tuple(radii * (1 + 0.2 * np.sin(k / 9))), tuple(centre), degrees + k), z)
            for k, z in enumerate(grid.slice_z_mm)
        ]
        masks[f"s{number}"] = rasterise(rings, grid)
    np.savez_compressed(given, **masks)  # type: ignore[arg-type]
    turns: dict[str, list[dict[str, float]]] = {}
    for turn in range(repeats):
        for tool in (
            ("recontour", "rt-utils", "plastimatch") if turn == 0 else ("recontour", "rt-utils")
        ):
            done = (
                ours("roundtrip", scan, masks)
                if tool == "recontour"
                else foreign(tools, tool, "roundtrip", ct, given)
            )
            if not isinstance(done, str):
                turns.setdefault(tool, []).append(done[1])
    seconds = {
        tool: {way: round(min(turn[way] for turn in spent), 3) for way in ("write", "read")}
        for tool, spent in turns.items()
    }
    ratio = {
        way: round(seconds["rt-utils"][way] / seconds["recontour"][way], 1)
        for way in ("write", "read")
    }
    return {"processor_seconds": seconds, "rt-utils over recontour": ratio}


def make_dicom(out: Path, of_each_role: int) -> None:
    command: list[str | Path] = [
        sys.executable,
        SHARED / "make_dicom.py",
        out,
        "--limit",
        str(of_each_role),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def measured(command: list[object]) -> dict[str, float]:
    """Wall and processor seconds and peak MiB of a command."""
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
    """`recontour import` of real cases, and plastimatch's conversion of each to images of CT and
    structures.
    """
    make_dicom(work / "cases", -(-cases // 3))
    folders = sorted((work / "cases").glob("*/*"))[:cases]
    for folder in set((work / "cases").glob("*/*")) - set(folders):
        shutil.rmtree(folder)
    us = measured(
        [
            sys.executable,
            "-m",
            "recontour",
            "import",
            work / "cases",
            work / "cohort",
            "--centre",
            "A",
        ]
    )
    them = []
    for folder in folders:
        out = work / "converted" / folder.name
        command: list[object] = [
            "plastimatch",
            "convert",
            "--input",
            folder,
            "--output-img",
            out / "ct.nrrd",
        ]
        them.append(measured([*command, "--output-prefix", out, "--prefix-format", "nrrd"]))
    total = {key: sum(one[key] for one in them) for key in ("seconds", "processor_seconds")}
    total["peak_mib"] = max(one["peak_mib"] for one in them)
    return {
        "cases": len(folders),
        "recontour": {key: round(value, 2) for key, value in us.items()},
        "plastimatch": {key: round(value, 2) for key, value in total.items()},
        "plastimatch over recontour": {
            key: round(total[key] / us[key], 2) for key in ("seconds", "processor_seconds")
        },
    }


def show(result: dict[str, Any]) -> None:
    """The tables, as they stand in docs/results.md."""
    for column in ("round trip", "read", "foreign read"):
        tools = [tool for tool, columns in result["shapes"].items() if column in columns]
        what = "where mask and shape differ, in % of the shape" if column == "read" else "DSC"
        print(f"\n{column}: {what} (volume error in %, shift in mm)\n")
        print("| shape |", " | ".join(tools), "|\n|---|" + "---|" * len(tools))
        for shape in SHAPES:
            cells = []
            for tool in tools:
                rows = result["shapes"][tool][column]
                row = None if isinstance(rows, str) else rows.get(shape)
                if not row:
                    cells.append("fails")
                    continue
                first = (
                    f"{row['disagreement_percent']:.1f}"
                    if column == "read"
                    else f"{row['dsc']:.3f}"
                )
                cells.append(f"{first} ({row['volume_percent']:+.1f}, {row['shift_mm']:.2f})")
            print(f"| {shape} |", " | ".join(cells), "|")
    for part in ("real sets", "large", "import"):
        print(f"\n{part}:", json.dumps(result.get(part, "left out"), indent=1))


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
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "import": lambda: importing(
                work, options.cases
            ),  # first: a process begins with its parent's peak memory
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
