from pathlib import Path
from typing import Literal

import pytest

from recontour.study.cells import Lengths
from recontour.study.defaults import depth_of, lengths_of, papers_depth
from recontour.study.settings import CentreSettings, ModelsSettings, Study

CENTRE = CentreSettings(cohort=Path("north"), test=1)
PATIENTS = {"source": 100, "target": 7}


def study_of(**models: object) -> Study:
    settings = ModelsSettings(**models)  # type: ignore[arg-type]
    return Study(source=CENTRE, target=CENTRE, models=settings)


def test_without_a_number_each_model_is_as_long_as_its_patients_make_it() -> None:
    assert lengths_of(study_of(), PATIENTS) == Lengths(s=8000, t=4400, st=2200)


def test_a_number_holds_for_all_models() -> None:
    assert lengths_of(study_of(iterations=10), PATIENTS) == Lengths(s=10, t=10, st=10)


@pytest.mark.parametrize(
    ("wanted", "depth", "papers"), [(None, 29, 10), ("all", 29, 10), (4, 4, 4), (30, 30, 30)]
)
def test_a_study_is_as_deep_as_it_says(
    wanted: int | Literal["all"] | None, depth: int, papers: int
) -> None:
    study = study_of(retrain_last=wanted)
    assert depth_of(study, layers=29) == depth
    assert papers_depth(study, layers=29) == papers
