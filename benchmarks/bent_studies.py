"""Bent study folders for `bent_files.py`: one file of a small finished study is damaged.

Nothing is trained: the results are made up, with numbers that a study could find.
"""

import os
import random
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np

from bending import TEXTS, bent_json, hostile_value
from recontour.cohort import Cohort
from recontour.evaluation import CaseScore
from recontour.geometry import Grid
from recontour.study.cells import Cell
from recontour.study.folder import open_workspace, prepare, study_plan
from recontour.study.perform import Workspace, recipe_of
from recontour.study.results import Contouring, Point, Result, Training, write_masks, write_result
from recontour.study.settings import CentreSettings, DepthSettings, ModelsSettings, Study

GRID = Grid((4, 24, 24), (4.0, 4.0), tuple(3.0 * i for i in range(4)), (-46.0, -46.0))
STUDY = """
retention_cases = 1
threads = 1
[source]
cohort = "south"
test = 1
[target]
cohort = "north"
validation = 1
test = 2
[models]
iterations = 3
validate_every = 2
[depth]
iterations = 2
layers = [1]
controls = []
"""
BENT = ("*.json", "*.csv", "cells/*/*.json", "cells/*/*.csv", "cells/*/*.npz", "cells/*/failed.txt")
CELLS = [
    "", "nan", "inf", "-inf", "0", "-1", "1e30", "1" * 5000, "high", "true", "null", '"', "\0",
    "../../escaped",
]  # fmt: skip


def make_base(folder: Path) -> None:
    """Write two centres, STUDY.toml, and the study's folder with every cell finished."""
    for centre, cases in (("south", 2), ("north", 5)):
        _fill(Cohort.open_or_create(folder / centre, centre), cases)
    (folder / "STUDY.toml").write_text(STUDY)
    source = CentreSettings(folder / "south", test=1)
    target = CentreSettings(folder / "north", validation=1, test=2)
    models = ModelsSettings(iterations=3, validate_every=2)
    depth = DepthSettings(iterations=2, layers=(1,), controls=())
    study = Study(source=source, target=target, models=models, depth=depth, retention_cases=1)
    out = folder / "study"
    prepare(study, out, resume=False)
    workspace = open_workspace(out)
    for cell in study_plan(workspace).cells:
        write_result(out, _result(cell, workspace))
        if cell.validate_every:
            _write_masks(cell, workspace)
        (out / "cells" / cell.id / "diary.csv").write_text("step,1,0.5,0.2,0.01,0.0,.\n" * 3)


def bend(rng: random.Random, folder: Path) -> str:
    """Bend one file of the study's folder, once its paths point to where it lies now."""
    study = folder / "study"
    declared = study / "study.json"
    text = declared.read_text()
    declared.write_text(text.replace(str(folder.with_name("study-base")), str(folder)))
    paths: list[Path] = []
    for pattern in BENT:
        paths += study.glob(pattern)
    path = rng.choice(sorted(paths))
    name = path.relative_to(study)
    if path.suffix == ".json" and rng.random() < 0.8:
        bent, done = bent_json(rng, path.read_text())
        path.write_text(bent, encoding="utf-8", errors="surrogatepass")
        return f"{name}: {done}"
    if path.suffix == ".csv" and rng.random() < 0.7:
        return f"{name}: {_bend_table(rng, path)}"
    return f"{name}: {_bend_bytes(rng, path)}"


def commands(folder: Path, _out: Path) -> list[list[str]]:
    """Return what a user runs on an existing study."""
    toml, study = str(folder / "STUDY.toml"), str(folder / "study")
    return [
        ["report", study],
        ["study", toml, "--out", study, "--dry-run"],
        ["study", toml, "--out", study, "--resume"],
    ]


def _fill(cohort: Cohort, cases: int) -> None:
    """Add cases: a round body with two organs, and noise."""
    for number in range(cases):
        slices, rows, columns = np.indices(GRID.shape)
        body = (rows - 12) ** 2 + (columns - 12) ** 2 < 100
        noise = np.random.default_rng([len(cohort.centre), number, cases])
        hu = np.where(body, 40, -1000) + noise.normal(0, 8, GRID.shape)
        masks = {
            "Brainstem": (abs(rows - 12) <= 3) & (abs(columns - 12) <= 3) & (slices > 0),
            "Lens_L": (abs(rows - 6) <= 1) & (abs(columns - 16) <= 1) & (slices > 1),
        }
        stored = np.round(hu).astype(np.int16)
        cohort.add(f"{cohort.centre}-{number:08x}", stored, GRID, masks, str(number))


def _result(cell: Cell, workspace: Workspace) -> Result:
    """Return a made-up result of a cell."""
    validation = [Point(2, 0.4, 0.6), Point(3, 0.6, 0.7)] if cell.validate_every else []
    training = Training(
        iterations=cell.iterations,
        seconds=0.2 * cell.iterations,
        waiting=0.01,
        trunk=0.5 if cell.validate_every else nan,
        head=0.49 if cell.validate_every else nan,
        parameters=1000,
        retrained_parameters=400 if cell.retrain_last else 1000,
        loss=[Point(cell.iterations, 0.2 * cell.iterations, 0.5)],
        validation=validation,
    )
    scores: dict[str, list[CaseScore]] = {}
    for fold, cases in workspace.scored().items():
        scores[fold] = []
        for case in cases:
            scores[fold] += _scores(cell, case.id)
    recipe = recipe_of(workspace.study) | {"recontour": "0.1"}
    return Result(cell, training, Contouring(3, 12, 1.5), 2, scores, recipe)


def _scores(cell: Cell, case: str) -> list[CaseScore]:
    """Return made-up scores of a case's organs; ST is better than T, and T than S."""
    better = {"S": 0.0, "T": 0.05, "ST": 0.1}[cell.model]
    return [_score(cell, case, organ, better) for organ in cell.organs]


def _score(cell: Cell, case: str, organ: str, better: float) -> CaseScore:
    row = CaseScore(case, organ, cell.id, 0.7 + better, 0.9, 2.5, 3.0, 1.0, 0.5, 12.5)
    return row if organ == "Brainstem" else replace(row, dsc=0.5 + better)


def _write_masks(cell: Cell, workspace: Workspace) -> None:
    cases = workspace.cases("target", "test")
    masks = {}
    for case in cases:
        for organ in cell.organs:
            masks[case.id, organ] = case.mask(organ)
    write_masks(workspace.out, cell, masks)


def _bend_table(rng: random.Random, path: Path) -> str:
    """Replace cells of a table, or repeat, remove or cut its lines."""
    lines = path.read_text().splitlines()
    at = rng.randrange(len(lines))
    how = rng.choice(["cell", "cell", "cell", "column", "repeated", "removed", "longer"])
    cells = lines[at].split(",")
    if how == "cell":
        place = rng.randrange(len(cells))
        others = [rng.choice(CELLS), rng.choice(TEXTS), str(hostile_value(rng))[:1000]]
        cells[place] = rng.choice(others)
        lines[at] = ",".join(cells)
        done = f"line {at + 1}, cell {place + 1} = {ascii(cells[place])[:60]}"
    elif how == "column":
        place = rng.randrange(len(cells))
        value = rng.choice(CELLS)
        for number, line in enumerate(lines[1:], start=1):
            row = line.split(",")
            row[place : place + 1] = [value]
            lines[number] = ",".join(row)
        done = f"column {place + 1} = {ascii(value)[:60]}"
    elif how == "repeated":
        lines.insert(at, lines[at])
        done = f"line {at + 1} twice"
    elif how == "removed":
        del lines[at]
        done = f"line {at + 1} removed"
    else:
        lines[at] += "," + ",".join(cells)
        done = f"line {at + 1} longer"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return done


def _bend_bytes(rng: random.Random, path: Path) -> str:
    """Damage a file of any kind, or put something else in its place."""
    content = path.read_bytes()
    how = rng.choice(
        ["empty", "cut", "flipped", "garbage", "zeros", "array", "pipe", "folder", "link"]
    )
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[: rng.randrange(len(content) + 1)])
    elif how == "flipped":
        bits = bytearray(content or b"x")
        bits[rng.randrange(len(bits))] ^= 1 << rng.randrange(8)
        path.write_bytes(bits)
    elif how == "garbage":
        path.write_bytes(rng.randbytes(3000))
    elif how == "zeros":
        path.write_bytes(bytes(100_000))
    elif how == "array":
        np.savez_compressed(path.with_name("x.npz"), np.zeros((3000, 3000, 30), np.uint8))
        path.with_name("x.npz").replace(path)
    else:
        _replace(path, how)
    return how


def _replace(path: Path, how: str) -> None:
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
