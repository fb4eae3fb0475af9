"""The Python face: what `import recontour` offers, without loading what takes seconds."""

import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import recontour
from recontour import errors
from recontour.network import Model, save_model

LOADED = """
import sys, recontour
names = dir(recontour)
print("torch" in sys.modules, "numpy" in sys.modules, "adapt" in names, "study" in names)
recontour.RecontourError, recontour.Cohort, recontour.read_study, recontour.import_dicom
print("torch" in sys.modules)
"""


def test_the_api_is_listed_without_loading_it() -> None:
    command = [sys.executable, "-c", LOADED]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["False False True True", "False"]


@pytest.mark.parametrize("name", recontour.__all__)
def test_everything_listed_is_there(name: str) -> None:
    assert getattr(recontour, name) is not None


def test_every_error_class_is_listed() -> None:
    classes = {
        name
        for name, of in vars(errors).items()
        if isinstance(of, type) and issubclass(of, errors.RecontourError)
    }
    assert classes <= set(dir(recontour))


def test_the_version_is_the_package_s() -> None:
    assert recontour.__version__ == version("recontour")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'adopt'"):
        _ = recontour.adopt


FUNCTIONS = (
    "adapt", "contour", "convert", "deidentify", "evaluate", "export", "gain",
    "import_dicom", "inspect", "load_model", "preview_import", "read_scores", "read_study",
    "remove", "report_study", "run_demo", "run_study", "train", "undo_import",
)  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_paths_may_be_text(name: str) -> None:
    """Every argument that takes a path takes text, too; and each function says what it does."""
    function = getattr(recontour, name)
    parameters = inspect.signature(function).parameters.values()
    hints = [str(parameter.annotation) for parameter in parameters]
    with_path = [hint for hint in hints if "Path" in hint]
    assert with_path
    assert all("str" in hint for hint in with_path)
    assert inspect.getdoc(function)


def test_a_model_is_inspected_by_a_path_in_text(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    card = recontour.inspect(str(tmp_path / "m"))
    assert not isinstance(card, recontour.workflows.CohortContents)
    assert card.organs == model.organs
