"""A report is drawn with its own settings, even if Matplotlib has others elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from tests.evaluation.conftest import scored

from recontour.evaluation.figures import box_plots

DRAW = """
from tests.evaluation.conftest import scored
from recontour.evaluation.figures import box_plots
print(len(box_plots([scored("a", "Lens_L", "S", 0.5)], ["S"])))
"""


def test_settings_of_the_user_change_no_figure() -> None:
    scores = [scored(case, "Lens_L", model, 0.5) for case in "ab" for model in "ST"]
    before = box_plots(scores, ["S", "T"])
    with mpl.rc_context({"text.usetex": True, "axes.facecolor": "red", "lines.linewidth": 9.0}):
        assert box_plots(scores, ["S", "T"]) == before
        # who uses recontour from Python keeps what was set
        assert mpl.rcParams["text.usetex"] is True


@pytest.mark.parametrize("rc", ["text.usetex: True\n", "backend: nonsense\nno setting at all\n"])
def test_neither_a_file_here_nor_a_variable_ends_a_report(tmp_path: Path, rc: str) -> None:
    (tmp_path / "matplotlibrc").write_text(rc)
    (tmp_path / "config").write_text("a file where a folder is expected")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {
        "MPLBACKEND": "nonsense",
        "MPLCONFIGDIR": str(tmp_path / "config"),
        "PYTHONPATH": f"{root / 'src'}:{root}",
    }
    ended = subprocess.run(
        [sys.executable, "-c", DRAW],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    assert int(ended.stdout) > 1000


def test_a_file_that_matplotlib_cannot_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe")
    code = "from recontour.evaluation.plotting import refuse_unplottable; refuse_unplottable()"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SettingsError: Matplotlib, which draws the report, cannot be loaded" in ended.stderr
    assert "matplotlibrc in the current folder" in ended.stderr
