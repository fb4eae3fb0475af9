"""Tables of docs/results.md are made of scores that lie beside it, and of nothing else."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / "docs" / "results"
PAGE = (REPO / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """A benchmark by its name."""
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    return importlib.import_module(request.param)


@pytest.mark.parametrize("script", ["metric_readings"], indirect=True)
def test_the_tables_of_metric_readings_are_those_of_its_rows(script: ModuleType) -> None:
    rows = script.read(RESULTS / "metric_readings.csv")
    assert "\n".join(script.tables(rows)).replace("\n\n", "\n").splitlines() == [
        line for line in script.tables(rows) if line and line in PAGE
    ]


@pytest.mark.parametrize("script", ["metric_readings"], indirect=True)
def test_metric_readings_writes_what_it_reads(script: ModuleType, tmp_path: Path) -> None:
    row = dict.fromkeys(script.COLUMNS, 1) | {
        "kind": "organ",
        "true": 0.25,
        "faces": 0.5,
        "patches": 0.75,
        "voxels": 0.0,
    }
    script.write(tmp_path / "rows.csv", [row, row | {"faces": 0.0}])
    read = script.read(tmp_path / "rows.csv")
    assert [one["faces"] for one in read] == ["0.5", "0"]
    assert [line for line in script.tables(read) if line.startswith("| 1 x 1")] == [
        "| 1 x 1 | 2 | 0.250 | 0.250 | 0.750 | 0.000 | -0.500 | 0.250 | 0.500 | 0.250 |"
    ]
