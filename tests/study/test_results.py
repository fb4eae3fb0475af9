"""A cell's files, as somebody else may have left them."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import ANY

import numpy as np
import pytest
from tests.study.test_study_report import a_result, the_plan

from recontour.errors import ScoresError
from recontour.files import NotPlainFile, UnreadableFile
from recontour.findings import Finding
from recontour.study.findings import (
    DamagedMasks,
    DamagedResult,
    DifferentScoredCases,
    ImpossibleScore,
    MisfitMask,
    RepeatedScore,
    RowOfAnotherCell,
    WrongNumberOfIterations,
    WrongNumberOfRows,
)
from recontour.study.results import (
    Training,
    cell_folder,
    read_mask,
    read_result,
    write_masks,
    write_result,
)
from recontour.validation import Invalid

CELL = the_plan().models[0].s
SHAPE = (3, 5, 11)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_result(tmp_path, a_result(CELL))
    return cell_folder(tmp_path, CELL)


@pytest.mark.parametrize(
    ("place", "value", "problem", "seen"),
    [
        ("training.iterations", "many", "wrong", "'many'"),
        ("training.seconds", -1, "wrong", "-1"),
        ("training.seconds", float("inf"), "wrong", "inf"),
        ("training.waiting", 7, "wrong", "7"),
        ("training.parameters", 10**400, "wrong", ANY),
        ("training.parameters", None, "wrong", "None"),
        ("training.loss", None, "wrong", "None"),
        ("training.loss", [{"iteration": 1}], "missing", ""),
        ("training.retrained_parameters", True, "wrong", "True"),
        ("contouring", [], "wrong", "[]"),
        ("contouring.slices", 0.5, "wrong", "0.5"),
        ("train_cases", -1, "wrong", "-1"),
        ("trained_with", {"a": 1}, "wrong", "1"),
        ("folds", {"another": []}, "wrong", "'another'"),
    ],
)
def test_a_result_that_no_cell_has_is_refused_by_name(
    tmp_path: Path, folder: Path, place: str, value: Any, problem: str, seen: str
) -> None:
    change(folder, place, value)
    why = refused(tmp_path, "result.json")
    assert isinstance(why, Invalid)
    assert why.place.startswith(place)
    assert (why.problem, why.seen) == (problem, seen)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("training.iterations", 99, WrongNumberOfIterations(found=99, expected=100)),
        ("folds.target test", ["x"], DifferentScoredCases(fold="target test")),
        ("rows.target test", 10**9, WrongNumberOfRows(found=40, expected=10**9 + 20)),
    ],
)
def test_a_result_that_is_not_its_cell_s_is_refused(
    tmp_path: Path, folder: Path, place: str, value: Any, why: Finding
) -> None:
    change(folder, place, value)
    assert refused(tmp_path, "result.json") == why


def change(folder: Path, place: str, value: Any) -> None:
    """Give one value of result.json, at "name.name", another one."""
    content = json.loads((folder / "result.json").read_text())
    holder = content
    *owners, name = place.split(".")
    for owner in owners:
        holder = holder[owner]
    holder[name] = value
    (folder / "result.json").write_text(json.dumps(content))


def refused(folder: Path, name: str) -> Finding:
    """Read the cell's result; return why it cannot be used."""
    with pytest.raises(ScoresError) as error:
        read_result(folder, CELL)
    finding = error.value.finding
    assert isinstance(finding, DamagedResult)
    assert finding.path == cell_folder(folder, CELL) / name
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)
    return finding.why


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[" * 5000, b"\xff", b"{", b'{"training": 1' + b"0" * 9000]
)
def test_a_result_that_is_no_json_of_ours_is_refused(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    (folder / "result.json").write_bytes(content)
    refused(tmp_path, "result.json")


@pytest.mark.parametrize("name", ["result.json", "scores.csv"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, folder: Path, name: str, make: Callable[[Path], None]
) -> None:
    (folder / name).unlink()
    make(folder / name)
    why = refused(tmp_path, "result.json")
    if isinstance(why, UnreadableFile):
        why = why.why
    assert why == NotPlainFile(is_folder=make is Path.mkdir)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dsc", 1.5),
        ("dsc", float("inf")),
        ("tolerance_mm", -1.0),
        ("surface_dsc_1mm", 1.5),
        ("hd95_mm", float("-inf")),
        ("volume_bias_percent", -200.0),
    ],
)
def test_a_score_that_cannot_be_is_refused_with_its_row(
    tmp_path: Path, folder: Path, column: str, value: float
) -> None:
    change_score(folder, column, str(value))
    why = refused(tmp_path, "result.json")
    assert isinstance(why, ImpossibleScore)
    assert isinstance(why.why, Invalid)
    assert (why.row, why.why.field, why.why.seen) == (2, column, str(value))


@pytest.mark.parametrize(
    ("column", "value", "model", "organ"),
    [("organ", "Larynx", CELL.id, "Larynx"), ("model", "another", "another", "Brainstem")],
)
def test_a_score_of_another_cell_is_refused(
    tmp_path: Path, folder: Path, column: str, value: str, model: str, organ: str
) -> None:
    change_score(folder, column, value)
    expected = RowOfAnotherCell(row=2, model=model, scored_organ=organ)
    assert refused(tmp_path, "result.json") == expected


def change_score(folder: Path, column: str, value: str) -> None:
    """Give the first row of scores.csv another value."""
    header, first, *rest = (folder / "scores.csv").read_text().splitlines()
    cells = first.split(",")
    cells[header.split(",").index(column)] = value
    (folder / "scores.csv").write_text("\n".join([header, ",".join(cells), *rest]))


def test_a_case_scored_twice_is_no_second_patient(tmp_path: Path, folder: Path) -> None:
    header, first, _, *rest = (folder / "scores.csv").read_text().splitlines()
    (folder / "scores.csv").write_text("\n".join([header, first, first, *rest]))
    assert refused(tmp_path, "result.json") == RepeatedScore(fold="target test")


def test_infinite_distances_and_nothing_to_measure_are_read(tmp_path: Path) -> None:
    result = a_result(CELL, trunk=float("nan"))
    rows = [
        replace(row, hd95_mm=float("inf"), msd_mm=float("nan"))
        for row in result.scores["target test"]
    ]
    write_result(tmp_path, replace(result, scores={"target test": rows}))
    kept = read_result(tmp_path, CELL)
    assert kept
    assert repr(kept.scores["target test"]) == repr(rows)


def test_scores_of_an_earlier_version_lack_columns_and_are_read(
    tmp_path: Path, folder: Path
) -> None:
    lines = (folder / "scores.csv").read_text().splitlines()
    older = [line.rsplit(",", 3)[0] for line in lines]
    (folder / "scores.csv").write_text("\n".join(older) + "\n")
    kept = read_result(tmp_path, CELL)
    assert kept
    assert {row.surface_dsc for row in kept.scores["target test"]} == {0.9}
    assert all(np.isnan(row.surface_dsc_1mm) for row in kept.scores["target test"])


def test_seconds_that_nobody_knows_are_no_speed() -> None:
    known = {"waiting": 0.1, "trunk": 0.5, "head": 0.4, "parameters": 1, "retrained_parameters": 1}
    for seconds in (0.0, float("nan")):
        assert np.isnan(Training(iterations=3, seconds=seconds, **known).seconds_per_iteration)  # type: ignore[arg-type]


def masks(folder: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    path = cell_folder(folder, CELL)
    path.mkdir(parents=True, exist_ok=True)
    named = {name.replace("__", "/"): array for name, array in arrays.items()}
    np.savez_compressed(path / "masks.npz", **named)  # type: ignore[arg-type]
    return path / "masks.npz"


def test_contours_come_back(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random(SHAPE) < 0.5
    write_masks(tmp_path, CELL, {("a", "Brainstem"): mask})
    kept = read_mask(tmp_path, CELL, "a", "Brainstem", SHAPE)
    assert kept is not None
    assert (kept == mask).all()
    assert read_mask(tmp_path, CELL, "b", "Brainstem", SHAPE) is None


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((3, 5, 1), np.uint8), "on another grid than its CT"),
        (np.zeros((3, 5, 2), np.float64), "on another grid than its CT"),
        (np.zeros((3000, 3000, 9), np.uint8), "larger than its CT"),
        (np.array(["a"], dtype=object), "on another grid than its CT"),
        (np.asfortranarray(np.zeros((3, 5, 2), np.uint8)), "on another grid than its CT"),
    ],
)
def test_contours_that_do_not_lie_on_their_ct_are_refused(
    tmp_path: Path,
    array: np.ndarray[Any, Any],
    problem: Literal["larger than its CT", "on another grid than its CT"],
) -> None:
    path = masks(tmp_path, a__Brainstem=array)
    with pytest.raises(ScoresError) as error:
        read_mask(tmp_path, CELL, "a", "Brainstem", SHAPE)
    assert error.value.finding == DamagedMasks(path=path, why=MisfitMask(problem=problem))


def test_a_damaged_file_of_contours_is_one_line(tmp_path: Path) -> None:
    path = masks(tmp_path, a__Brainstem=np.zeros((3, 5, 2), np.uint8))
    whole = path.read_bytes()
    for content in (b"", whole[:-30], b"PK" + bytes(100), whole[:40] + b"\xff" * 20 + whole[60:]):
        path.write_bytes(content)
        with pytest.raises(ScoresError) as error:
            read_mask(tmp_path, CELL, "a", "Brainstem", SHAPE)
        assert isinstance(error.value.finding, DamagedMasks)
        assert error.value.finding.path == path
