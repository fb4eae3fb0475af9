"""A study's folder, before any cell is run."""

from pathlib import Path

import pytest

from recontour.cohort import Cohort
from recontour.errors import OutputError
from recontour.study.run import open_ground, prepare
from recontour.study.settings import Centre, Models, Study


def test_what_a_kill_left_between_split_and_declaration_is_replaced(
    north: Cohort, south: Cohort, tmp_path: Path
) -> None:
    source, target = Centre(cohort=north.path, test=1), Centre(cohort=south.path, test=1)
    study = Study(source=source, target=target, models=Models(iterations=1))
    (tmp_path / "split.csv").write_text("centre,case,fold\nsource,half of a na")
    prepare(study, tmp_path, resume=False)
    ground = open_ground(tmp_path)
    assert ground.study == study
    assert sorted(len(ground.cases("source", fold)) for fold in ("train", "validation", "test")) == [0, 1, 2]


def test_a_file_is_no_study(north: Cohort, south: Cohort, tmp_path: Path) -> None:
    source, target = Centre(cohort=north.path, test=1), Centre(cohort=south.path, test=1)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"mine\.txt is a file, and a study is a folder; choose another --out"):
        prepare(Study(source=source, target=target, models=Models(iterations=1)), tmp_path / "mine.txt", resume=False)
    assert (tmp_path / "mine.txt").read_text() == "mine"
