from pathlib import Path

import pytest
from tests.durable import Disk

from recontour.errors import OutputError, ScoresError
from recontour.study.diary import WINDOW, Diary
from recontour.study.findings import DamagedDiary
from recontour.texts import NotUtf8
from recontour.training.loop import Step


def step(iteration: int, loss: float = 1.0) -> Step:
    return Step(iteration, loss, learning_rate=0.1, seconds=0.5, waited=0.1, features=0.05)


def test_what_was_written_is_there_again_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "diary.csv"
    with Diary(path) as diary:
        for iteration in range(1, 6):
            diary.note(step(iteration, loss=float(iteration)))
        diary.validate(5, lambda: 0.25)
    path.write_text(path.read_text() + "step,6,6.0,0.")  # cut off in the middle of a line
    with Diary(path) as diary:
        for iteration in range(4, 7):  # resumed from the checkpoint after the third
            diary.note(step(iteration, loss=float(iteration)))
        diary.validate(5, lambda: pytest.fail("measured twice"))
    with Diary(path) as diary:
        assert diary.seconds == pytest.approx(6 * 0.5)
        assert diary.waiting == pytest.approx(0.2)
        assert diary.features == pytest.approx(0.1)
        assert [(point.iteration, point.value) for point in diary.loss] == [(6, 3.5)]
        assert [(point.iteration, point.seconds, point.value) for point in diary.validation] == [
            (5, 2.5, 0.25)
        ]


def test_a_diary_is_on_the_disk_when_it_is_closed_and_not_after_each_line(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "diary.csv"
    # All within one second.
    monkeypatch.setattr("recontour.study.diary.time.monotonic", lambda: 0.0)
    with Diary(path) as diary:
        for iteration in (1, 2):
            diary.note(step(iteration))
        assert path in disk.lost(tmp_path)
        assert len(path.read_text().split()) == 2  # a kill leaves them
    assert path not in disk.lost(tmp_path)


def test_the_loss_curve_averages_windows(tmp_path: Path) -> None:
    with Diary(tmp_path / "diary.csv") as diary:
        for iteration in range(1, 2 * WINDOW + 1):
            diary.note(step(iteration, loss=0.0 if iteration <= WINDOW else 4.0))
        assert [(point.iteration, point.value) for point in diary.loss] == [
            (WINDOW, 0.0),
            (2 * WINDOW, 4.0),
        ]
        assert diary.loss[-1].seconds == pytest.approx(diary.seconds)


def test_an_empty_diary_has_no_time(tmp_path: Path) -> None:
    with Diary(tmp_path / "diary.csv") as diary:
        assert (diary.seconds, diary.waiting, diary.features, diary.loss, diary.validation) == (
            0,
            0,
            0,
            (),
            (),
        )


def test_a_look_at_the_validation_cases_comes_after_the_seconds_of_the_steps_before_it(
    tmp_path: Path,
) -> None:
    with Diary(tmp_path / "diary.csv") as diary:
        for iteration in range(1, 6):
            diary.note(step(iteration))
            if iteration % 2 == 0:
                diary.validate(iteration, lambda: 0.5)
        assert [(point.iteration, point.seconds) for point in diary.validation] == [
            (2, 1.0),
            (4, 2.0),
        ]


@pytest.mark.parametrize(
    "line",
    [
        "step,1,0.5,.",
        "step,one,0.5,0.2,0.1,0.0,.",
        "step,1,0.5,-0.2,0.1,0.0,.",
        "step,1,nan,0.2,0.1,0.0,.",
        "step,1,0.5,1e30,0.1,0.0,.",
        "step,0,0.5,0.2,0.1,0.0,.",
        f"step,{'1' * 5000},0.5,0.2,0.1,0.0,.",
        "validation,1,inf,.",
        "other,1,1,.",
        ",.",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "diary.csv"
    path.write_text(f"step,2,0.5,0.2,0.1,0.0,.\n{line}\n")
    with pytest.raises(ScoresError) as error, Diary(path):
        pass
    assert error.value.finding == DamagedDiary(path=path, line=2)


def test_a_diary_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "diary.csv"
    path.write_bytes(b"\xff")
    with pytest.raises(ScoresError) as error, Diary(path):
        pass
    assert error.value.finding == DamagedDiary(path=path, why=NotUtf8(byte=1))


def test_a_diary_is_not_written_through_a_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("")
    (tmp_path / "diary.csv").symlink_to(mine)
    (tmp_path / "second").hardlink_to(mine)
    for name in ("diary.csv", "second"):
        with pytest.raises(OutputError, match=name), Diary(tmp_path / name):
            pass
    assert mine.read_text() == ""


def test_only_a_whole_diary_has_a_training_s_time(tmp_path: Path) -> None:
    with Diary(tmp_path / "diary.csv") as diary:
        for iteration in (1, 2, 4):
            diary.note(step(iteration))
        assert diary.has(2)
        assert not diary.has(4)
