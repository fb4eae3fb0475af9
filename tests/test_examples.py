"""The examples in docstrings do what they say, in a folder that holds the files they name."""

import doctest
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from pkgutil import walk_packages

import pytest
from tests.conftest import drafting
from tests.journeys.conftest import with_a_square, write_patient

import recontour
from recontour.contouring.contourer import Contourer
from recontour.training import presets

MODULES = [
    module.name
    for module in walk_packages(recontour.__path__, "recontour.")
    if not module.name.endswith("__main__")
]
# These name files: their examples run in the prepared folder.
WITH_FILES = {
    "recontour.assess.acceptance",
    "recontour.assess.case_offsets",
    "recontour.cohort.case",
    "recontour.cohort.changes",
    "recontour.cohort.doubts",
    "recontour.cohort.early_ends",
    "recontour.cohort.folds",
    "recontour.cohort.importing",
    "recontour.cohort.lacking",
    "recontour.cohort.lengths",
    "recontour.cohort.patients",
    "recontour.cohort.preview",
    "recontour.cohort.sizes",
    "recontour.cohort.store",
    "recontour.cohort.who",
    "recontour.contouring.contourer",
    "recontour.dicom.archive",
    "recontour.dicom.ct",
    "recontour.dicom.deidentify",
    "recontour.dicom.equipment",
    "recontour.dicom.patient",
    "recontour.dicom.reading",
    "recontour.dicom.rtstruct_in",
    "recontour.dicom.rtstruct_out",
    "recontour.dicom.seg_in",
    "recontour.dicom.seg_out",
    "recontour.dicom.writing",
    "recontour.evaluation.tables",
    "recontour.exchange.convert",
    "recontour.exchange.export",
    "recontour.exchange.given",
    "recontour.network.card",
    "recontour.network.model",
    "recontour.network.model_file",
    "recontour.organs.template",
    "recontour.organs.tolerances",
    "recontour.organs.user_map",
    "recontour.service.store",
    "recontour.study.settings",
    "recontour.study.study",
    "recontour.transfer.measured",
    "recontour.workflows.accepting",
    "recontour.workflows.comparing",
    "recontour.workflows.contouring",
    "recontour.workflows.contouring_many",
    "recontour.workflows.evaluating",
    "recontour.workflows.gaining",
    "recontour.workflows.inspecting",
    "recontour.workflows.learning",
    "recontour.workflows.monitoring",
}
ITERATIONS = 2
STUDY = """
name = "an example"
workers = 1
threads = 1
[source]
cohort = "south"
validation = 0
test = 1
[target]
cohort = "north-train"
validation = 0
test = 1
[models]
iterations = 1
"""


@contextmanager
def quick_models() -> Iterator[None]:
    """Let every training take two iterations, and every model find something."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("accurate", "compact"):
            preset = presets.PRESETS[name]
            quick = replace(
                preset,
                train=replace(preset.train, iterations=ITERATIONS),
                adapt=replace(preset.adapt, iterations=ITERATIONS),
                iterations_per_patient=0,
            )
            patch.setitem(presets.PRESETS, name, quick)
        squares = with_a_square(Contourer.contour)
        patch.setattr(Contourer, "contour", squares)
        patch.setattr(Contourer, "drafts", drafting(squares))
        yield


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with archives, cohorts, models, labels and a study, as the examples name them."""
    folder = tmp_path_factory.mktemp("examples")
    with quick_models(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for centre, numbers in {
            "south": (0, 1),
            "north-train": (2, 3),
            "north-test": (4,),
            "north": (2, 3, 4, 6),
        }.items():
            for number in numbers:
                write_patient(folder / "dicom" / centre / str(number), number)
            recontour.import_dicom(f"dicom/{centre}", centre, centre=centre.partition("-")[0])
        write_patient(folder / "dicom" / "new-patient", 5)
        recontour.train("south", "south.safetensors")
        recontour.adapt("south.safetensors", "north-train", "north.safetensors")
        recontour.contour("north.safetensors", "dicom/new-patient", "corrected", format="nifti")
        recontour.evaluate("north-test", ["south.safetensors"], "evaluation-before")
        (folder / "STUDY.toml").write_text(STUDY)
        study = recontour.read_study("STUDY.toml")
        assert recontour.run_study(study, "study") == {}
    return folder


def failures(module: str) -> int:
    return doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS).failed


@pytest.mark.parametrize("name", ["recontour", *sorted({*MODULES} - WITH_FILES)])
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert failures(name) == 0


@pytest.mark.parametrize("name", sorted(WITH_FILES))
def test_the_examples_that_name_files_hold(
    name: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    with quick_models():
        assert failures(name) == 0


@pytest.mark.parametrize("name", sorted(set(recontour.__all__) - {"demo", "study", "__version__"}))
def test_every_public_function_and_class_shows_an_example(name: str) -> None:
    thing = getattr(recontour, name)
    is_error = isinstance(thing, type) and issubclass(thing, Exception)
    assert is_error or ">>>" in (thing.__doc__ or ""), name


@pytest.mark.parametrize("room", ["cohort", "dicom", "evaluation", "geometry", "network", "organs"])
def test_every_function_at_a_room_s_front_shows_an_example(room: str) -> None:
    front = import_module(f"recontour.{room}")
    functions = filter(isfunction, map(partial(getattr, front), front.__all__))
    assert not [one.__name__ for one in functions if ">>>" not in (one.__doc__ or "")]
