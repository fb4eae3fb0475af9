"""A cell's files, as somebody else may have left them."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.study.test_study_report import a_result, the_plan

from recontour.errors import ScoresError
from recontour.study.results import (
    Training,
    cell_folder,
    read_mask,
    read_result,
    write_masks,
    write_result,
)

CELL = the_plan().models[0].s
SHAPE = (3, 5, 11)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_result(tmp_path, a_result(CELL))
    return cell_folder(tmp_path, CELL)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("training", "iterations"), "many", "training.iterations: .*'many'"),
        (("training", "iterations"), 99, "99 iterations, not 100"),
        (("training", "seconds"), -1, "training.seconds: .*-1: a number from 0 to"),
        (("training", "seconds"), float("inf"), "training.seconds: .*inf"),
        (("training", "waiting"), 7, "training.waiting: .*7"),
        (("training", "parameters"), 10**400, "training.parameters: .*"),
        (("training", "parameters"), None, "training.parameters: .*None"),
        (("training", "loss"), None, "training.loss: .*None"),
        (("training", "loss"), [{"iteration": 1}], "training.loss.* is missing"),
        (("training", "retrained_parameters"), True, "training.retrained_parameters: .*True"),
        (("contouring",), [], "contouring: .*"),
        (("contouring", "slices"), 0.5, "contouring.slices: .*0.5"),
        (("train_cases",), -1, "train_cases: .*-1"),
        (("trained_with",), {"a": 1}, "trained_with.a: .*1"),
        (("folds",), {"another": []}, "folds.another"),
        (("folds", "target test"), ["x"], "other cases than result.json in target test"),
        (("rows", "target test"), 10**9, "scores.csv has 40 rows, not"),
    ],
)
def test_a_result_that_no_cell_has_is_refused_by_name(
    tmp_path: Path, folder: Path, place: tuple[str, ...], value: Any, said: str
) -> None:
    about = json.loads((folder / "result.json").read_text())
    holder = about
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    (folder / "result.json").write_text(json.dumps(about))
    with pytest.raises(
        ScoresError, match=rf"result\.json cannot be used \(.*{said}.*delete that file"
    ) as caught:
        read_result(tmp_path, CELL)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[" * 5000, b"\xff", b"{", b'{"training": 1' + b"0" * 9000]
)
def test_a_result_that_is_no_json_of_ours_is_refused(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    (folder / "result.json").write_bytes(content)
    with pytest.raises(ScoresError, match=r"result\.json cannot be used"):
        read_result(tmp_path, CELL)


@pytest.mark.parametrize("name", ["result.json", "scores.csv"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, folder: Path, name: str, make: Callable[[Path], None]
) -> None:
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ScoresError, match=r"not a plain file|a folder"):
        read_result(tmp_path, CELL)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (1, "Larynx", "model 'S-.*', organ 'Larynx'"),
        (2, "another", "model 'another'"),
        (3, "1.5", "dsc is 1.5: a number from 0 to 1"),
        (3, "inf", "dsc is inf"),
        (5, "-1", "tolerance_mm is -1"),
        (6, "-inf", "hd95_mm is -inf"),
        (7, "-200", "volume_bias_percent is -200"),
    ],
)
def test_a_score_that_cannot_be_is_refused_with_its_row(
    tmp_path: Path, folder: Path, column: int, value: str, said: str
) -> None:
    header, first, *rest = (folder / "scores.csv").read_text().splitlines()
    cells = first.split(",")
    cells[column] = value
    (folder / "scores.csv").write_text("\n".join([header, ",".join(cells), *rest]))
    with pytest.raises(ScoresError, match=rf"scores\.csv, row 2: {said}"):
        read_result(tmp_path, CELL)


def test_a_case_scored_twice_is_no_second_patient(tmp_path: Path, folder: Path) -> None:
    header, first, _, *rest = (folder / "scores.csv").read_text().splitlines()
    (folder / "scores.csv").write_text("\n".join([header, first, first, *rest]))
    with pytest.raises(ScoresError, match="scores an organ of a case twice in target test"):
        read_result(tmp_path, CELL)


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
    "array",
    [
        np.zeros((3, 5, 1), np.uint8),
        np.zeros((3, 5, 2), np.float64),
        np.zeros((3000, 3000, 9), np.uint8),
        np.array(["a"], dtype=object),
        np.asfortranarray(np.zeros((3, 5, 2), np.uint8)),
    ],
)
def test_contours_that_do_not_lie_on_their_ct_are_refused(
    tmp_path: Path, array: np.ndarray[Any, Any]
) -> None:
    masks(tmp_path, a__Brainstem=array)
    with pytest.raises(ScoresError, match=r"masks\.npz is damaged .* delete that file"):
        read_mask(tmp_path, CELL, "a", "Brainstem", SHAPE)


def test_a_damaged_file_of_contours_is_one_line(tmp_path: Path) -> None:
    path = masks(tmp_path, a__Brainstem=np.zeros((3, 5, 2), np.uint8))
    whole = path.read_bytes()
    for content in (b"", whole[:-30], b"PK" + bytes(100), whole[:40] + b"\xff" * 20 + whole[60:]):
        path.write_bytes(content)
        with pytest.raises(ScoresError, match="is damaged"):
            read_mask(tmp_path, CELL, "a", "Brainstem", SHAPE)
