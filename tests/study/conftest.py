"""A small study of two centres, and what was logged of it."""

from pathlib import Path
from typing import TypeVar

import pytest
from tests.conftest import fill

from recontour.cohort import Cohort, case_id_of
from recontour.findings import Finding
from recontour.study.folder import prepare
from recontour.study.settings import CentreSettings, ModelsSettings, Study

Kind = TypeVar("Kind", bound=Finding)


def logged(caplog: pytest.LogCaptureFixture, kind: type[Kind]) -> list[Kind]:
    """Findings of one kind; `prepare` also says what is odd about the cohorts."""
    findings = [getattr(record, "finding", None) for record in caplog.records]
    return [finding for finding in findings if isinstance(finding, kind)]


@pytest.fixture
def study(north: Cohort, tmp_path: Path) -> Study:
    """A study whose only training patient of the target lacks the left lens."""
    target = fill(
        Cohort.open_or_create(tmp_path / "target", "target"), 2, without={1: "Lens_L"}, growth_px=1
    )
    tested, trained = (case_id_of("target", f"1.2.{number}") for number in range(2))
    (tmp_path / "target.csv").write_text(f"case,fold\n{trained},train\n{tested},test\n")
    one, two, three = north.case_ids
    (tmp_path / "source.csv").write_text(f"case,fold\n{one},train\n{two},train\n{three},test\n")
    return Study(
        source=CentreSettings(cohort=north.path, split=tmp_path / "source.csv"),
        target=CentreSettings(cohort=target.path, split=tmp_path / "target.csv"),
        models=ModelsSettings(iterations=1),
    )


@pytest.fixture
def out(study: Study, tmp_path: Path) -> Path:
    """The folder of that study, which has begun."""
    prepare(study, tmp_path / "out", resume=False)
    return tmp_path / "out"
