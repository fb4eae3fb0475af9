#!/usr/bin/env python3
"""Measure in a browser how quickly the review page opens, changes slices and answers a stroke.

    .venv/bin/python benchmarks/page_speed.py [--repeats 5]

A patient of the phantom, resampled to 100 slices of 512 x 512, with a draft of all its organs, is
served on this machine by a process of its own, and opened in headless Chromium without a GPU, in a
window of 1920 x 1080. Measured by the browser's own clock:

first picture   from the click on a link to the first slice with its contours
all slices      until every slice is in the browser
slice change    from a key to the frame after the one that shows the new slice, with its contours
drawn           the page's own part of that: until the new slice is drawn
stroke          from letting the mouse go until the server has answered, on its disk

On a busy machine, `echo -15 > /proc/self/autogroup` in the shell gives it the processor first; the
file says that niceness, and the load of the machine.

Prints a table, and writes docs/results/page_speed.json.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for tests/, which know how to make a site and to drive a browser

from tests.journeys.browsers import Person, Served, free_port, someone  # noqa: E402
from tests.service.page.site_with_a_draft import (  # noqa: E402
    add_draft,
    add_people,
    password_of,
    write_site,
)

from real_centres import RESULTS, cpu_name  # noqa: E402
from recontour.geometry import Contour, Grid, Structure, StructureSet  # noqa: E402
from recontour.phantom import TARGET, make_case  # noqa: E402
from recontour.service.settings import read_site  # noqa: E402
from recontour.service.store import Store  # noqa: E402

SLICES = 100
WINDOW = (1920, 1080)
CHANGES = 60  # of the slice
STROKES = 10


def large_case() -> tuple[npt.NDArray[np.int16], Grid, StructureSet]:
    """Return a patient of the phantom with 100 slices of 512 x 512, and its contours."""
    made = make_case(TARGET, 3)
    count = made.grid.shape[0]
    factor = 512 // made.grid.shape[1]
    sources = np.arange(SLICES) * count // SLICES
    hu = made.hu[sources].repeat(factor, axis=1).repeat(factor, axis=2)
    z_mm = tuple(np.linspace(made.grid.slice_z_mm[0], made.grid.slice_z_mm[-1], SLICES).tolist())
    row_mm, column_mm = (spacing / factor for spacing in made.grid.spacing_mm)
    x_mm, y_mm = made.grid.origin_mm
    origin_mm = (x_mm - column_mm / 2, y_mm - row_mm / 2)
    grid = Grid((SLICES, 512, 512), (row_mm, column_mm), z_mm, origin_mm)
    return hu, grid, _moved(made.structures, made.grid, sources, z_mm)


def _moved(
    structures: StructureSet,
    old: Grid,
    sources: npt.NDArray[np.intp],
    z_mm: tuple[float, ...],
) -> StructureSet:
    """Return the organs' contours on new slices. sources: the old slice of each new one."""
    organ_by_name = {name: organ for organ, name in TARGET.roi_names.items()}
    moved = []
    for structure in structures.structures:
        organ = organ_by_name[structure.name]
        contours = []
        for contour in structure.contours:
            for new in np.flatnonzero(sources == old.slice_at(contour.z_mm)):
                contours.append(Contour(contour.points_mm, z_mm[new]))
        if organ[0].isupper() and contours:
            moved.append(Structure(organ, tuple(contours)))
    return StructureSet(tuple(moved))


def opened(person: Person, draft: int) -> dict[str, float]:
    """Open a patient; return when the first picture and all slices were there, in s."""
    person.open(draft)
    times: dict[str, float] = person.run("""
        const at = (name) => performance.getEntriesByName(name)[0].startTime / 1000;
        return {first_picture_s: at("first picture"), all_slices_s: at("all slices")};
    """)
    return times


def slice_changes(person: Person) -> dict[str, list[float]]:
    """Go through the slices by key; return how long each change took, in ms."""
    script = """
        const plane = document.querySelector("#axial");
        const frame = () => new Promise(requestAnimationFrame);
        const shown = [];
        const drawn = [];
        for (let i = 0; i < arguments[0]; i += 1) {
            const key = i < arguments[0] / 2 ? "PageUp" : "PageDown";
            await frame();
            const began = performance.now();
            const pressed = {key, bubbles: true, cancelable: true};
            plane.dispatchEvent(new KeyboardEvent("keydown", pressed));
            const handled = performance.now();
            const rendering = new Promise((done) => requestAnimationFrame((at) => done(at)));
            const painting = await rendering;
            drawn.push(handled - began + performance.now() - painting);
            await frame();
            shown.push(performance.now() - began);
        }
        return {slice_change_ms: shown, drawn_ms: drawn};
    """
    times: dict[str, list[float]] = person.run(f"return (async () => {{{script}}})()", CHANGES)
    return times


def strokes(person: Person) -> list[float]:
    """Paint some strokes; return how long the server took to answer each, in ms."""
    person.press("b")
    for number in range(STROKES):
        person.drag((number * 2.0, 0.0), (number * 2.0 + 8.0, 6.0))
        person.is_saved()
    took: list[float] = person.run("""
        const fetched = performance.getEntriesByType("resource");
        return fetched.filter((one) => one.name.endsWith("/edits")).map((one) => one.duration);
    """)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="how often the patient is opened")
    repeats = parser.parse_args().repeats
    hu, grid, structures = large_case()
    with TemporaryDirectory() as folder:
        path = write_site(Path(folder), port=free_port())
        site = read_site(path)
        store = Store.of(site)
        add_people(store)
        draft = add_draft(site, store, hu, grid, structures, uid="large")
        store.engine.dispose()
        with Served(path, site.page.port) as served, someone(served.url, WINDOW) as person:
            person.log_in("doctor", password_of("doctor"))
            openings = [opened(person, draft) for _ in range(repeats)]
            changes = slice_changes(person)
            answers = strokes(person)
    measured = {
        "first_picture_s": [one["first_picture_s"] for one in openings],
        "all_slices_s": [one["all_slices_s"] for one in openings],
        **changes,
        "stroke_ms": answers,
    }
    report(measured, len(structures.structures))


def group_niceness() -> int:
    """Return how far Linux puts this session's processes behind others; 0 if it does not say."""
    try:
        return int(Path("/proc/self/autogroup").read_text().split()[-1])
    except OSError:
        return 0


def report(measured: dict[str, list[float]], organs: int) -> None:
    """Print the median and the worst of each measure, and keep them."""
    rows = {}
    for name, values in measured.items():
        rows[name] = {
            "median": round(statistics.median(values), 3),
            "worst": round(max(values), 3),
            "measured": len(values),
        }
        print(f"{name:18} median {rows[name]['median']:8.3f}   worst {rows[name]['worst']:8.3f}")
    found = {
        "ct": [SLICES, 512, 512],
        "organs": organs,
        "window": WINDOW,
        "processor": cpu_name(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "group_niceness": group_niceness(),
        "found": rows,
    }
    RESULTS.joinpath("page_speed.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
