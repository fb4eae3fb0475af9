"""benchmarks/phantom.py: its table, bars and pictures, of scores and masks that are known."""

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from tests.conftest import TINY

from recontour.cohort import Cohort
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import UNet
from recontour.training.presets import PRESETS, preset_of

REPO = Path(__file__).resolve().parents[2]
DSC = {"Lens_L": 0.75, "Lens_R": 0.61, "Pituitary": 0.85, "Bone_Mandible": 0.95, "OpticNrv_L": 0.70}


@pytest.fixture
def phantom(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    return importlib.import_module("phantom")


@pytest.fixture
def pictures(phantom: ModuleType) -> ModuleType:
    return importlib.import_module("phantom_pictures")


def raw(phantom: ModuleType, model: str, cohort: str, case: str, organ: str, dsc: float) -> object:
    return phantom.RawScore(model, cohort, 0, case, organ, dsc, 0.5, 2.5, 3.0, 1.0, 0.5, 10.0)


def scores(phantom: ModuleType) -> list[object]:
    """Each model's DSC is the next one's less 0.1; on source all have 0.25."""
    found = []
    for more, model in enumerate(phantom.MODELS):
        for organ, dsc in DSC.items():
            shown = dsc + 0.1 * (more - 2)
            found.append(raw(phantom, model, "target-test", "a", organ, shown))
            found.append(raw(phantom, model, phantom.WATCHED, "s", organ, 0.25))
    return found


def test_the_table_and_the_bars_are_made_of_the_scores_alone(
    phantom: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Lenses: (0.75 + 0.61) / 2 = 0.68; all: 3.86 / 5 = 0.772. Source is in no bar."""
    monkeypatch.setattr(phantom, "RESULTS", tmp_path)
    phantom.raw_scores.write(tmp_path / "phantom_compact_scores.csv", scores(phantom))
    monkeypatch.setattr("sys.argv", ["phantom", "--table", "--presets", "compact"])
    phantom.main()
    lines = capsys.readouterr().out.splitlines()
    assert "| Lens_L | 0.550 | 0.650 | 0.750 | 0.500 | 0.500 | 0.500 |" in lines
    assert "| mean | 0.572 | 0.672 | 0.772 | 0.500 | 0.500 | 0.500 |" in lines
    assert "| mean, source | 0.250 | 0.250 | 0.250 | 0.500 | 0.500 | 0.500 |" in lines
    assert lines[-5:] == [
        "Model_ST, Lens: DSC 0.680; 0.70 is not reached",
        "Model_ST, OpticNrv: DSC 0.700; 0.70 holds",
        "Model_ST, Pituitary: DSC 0.850; 0.80 holds",
        "Model_ST, Bone_Mandible: DSC 0.950; 0.90 holds",
        "Model_ST, mean: DSC 0.772; 0.82 is not reached",
    ]


def test_models_of_other_settings_are_kept_elsewhere(phantom: ModuleType) -> None:
    accurate = preset_of("accurate")
    preset = replace(  # other tests may shorten the presets of this process
        accurate,
        train=replace(accurate.train, iterations=4400),
        adapt=replace(accurate.adapt, iterations=2200),
        iterations_per_patient=80,
    )
    one = phantom.candidate_of("x", preset, None)
    assert one.iterations == {"Model_S": 4400, "Model_T": 4400, "Model_ST": 2200}
    assert isinstance(preset.architecture, UNet)
    finer = replace(preset, architecture=replace(preset.architecture, decoder=(64, 48, 32, 24)))
    others = [
        phantom.candidate_of("x", preset, (60, 60, 40)),
        phantom.candidate_of("x", finer, None),
    ]
    folders = {candidate.folder(Path("work")) for candidate in (one, *others)}
    assert len(folders) == 3
    assert phantom.candidate_of("x", preset, None).folder(Path("work")) in folders


def test_no_patient_is_in_two_cohorts(phantom: ModuleType) -> None:
    seen = set()
    for centre, numbers in phantom.COHORTS.values():
        seen |= {(centre.name, number) for number in numbers}
    assert len(seen) == sum(len(numbers) for _, numbers in phantom.COHORTS.values())


def test_the_worst_and_the_median_patient(phantom: ModuleType, pictures: ModuleType) -> None:
    """Of four the lower middle is the median; only Model_ST counts."""
    found = []
    for case, dsc in {"a": 0.9, "b": 0.3, "c": 0.7, "d": 0.5}.items():
        found.append(raw(phantom, "Model_ST", "target-test", case, "Lens_L", dsc))
        found.append(raw(phantom, "Model_T", "target-test", case, "Lens_L", 1 - dsc))
    assert pictures.chosen_patients(found) == {"median": "d", "worst": "b"}


@dataclass(frozen=True)
class Stack:
    """A case of ten slices. areas: pixels of each organ on each slice, all in one row."""

    areas: dict[str, tuple[int, ...]]
    grid: Grid

    def mask(self, organ: str) -> Mask:
        return np.arange(9) < np.array(self.areas[organ])[:, None, None]


def test_the_slice_to_show_has_something_of_each_organ(pictures: ModuleType) -> None:
    """Slice 2 shows all of both lenses; slice 5 half a lens and half a nerve."""
    case = Stack(
        grid=Grid((10, 1, 9), (1.0, 1.0), tuple(map(float, range(10))), (0.0, 0.0)),
        areas={
            "Lens_L": (0, 4, 8, 4, 0, 0, 0, 0, 0, 0),
            "Lens_R": (0, 0, 8, 4, 0, 4, 0, 0, 0, 0),
            "OpticNrv_L": (0, 0, 0, 0, 0, 0, 0, 0, 6, 0),
            "OpticNrv_R": (0, 0, 0, 0, 0, 3, 0, 0, 6, 0),
        },
    )
    assert pictures.most_of_all(case, tuple(case.areas)) == 5
    assert pictures.most_of_all(case, ("Lens_L", "OpticNrv_L")) in {2, 8}
    assert pictures.most_of_all(case, ("Lens_L",)) == 2


def test_a_picture_shows_the_reference_and_the_model_where_they_lie(
    pictures: ModuleType, north: Cohort, tmp_path: Path
) -> None:
    """The brain stem is a square of 9 pixels of 4 mm, 20 mm from the edges of the crop.

    The model's lies 2 pixels further down. Lines are smoothed by less than half a pixel.
    """
    case = north[north.case_ids[0]]
    level = pictures.Level("stem", "brain stem", ("Brainstem",), 20.0, pictures.most_of_all)
    index = level.slice_of(case, level.organs)
    plane = pictures.Plane(case, index, pictures.crop_of(case, level))
    masks = {organ: np.zeros(case.grid.shape, dtype=bool) for organ in case.organs}
    masks["Brainstem"] = np.roll(case.mask("Brainstem"), 2, axis=1)
    panel = Figure().subplots()
    assert "Brainstem" in pictures.draw(panel, plane, masks)
    by_colour = {}
    for line in panel.lines:
        x_mm, y_mm = np.asarray(line.get_data())
        is_stem = np.ptp(x_mm) > 30
        if is_stem:
            by_colour[line.get_color()] = (x_mm.min(), y_mm.min(), np.ptp(x_mm), np.ptp(y_mm))
    assert by_colour.keys() == {"black", "white", (1.0, 0.0, 0.0)}
    assert by_colour["white"] == pytest.approx((20, 20, 36, 36), abs=4)
    assert by_colour["white"] == by_colour["black"]
    down = np.subtract(by_colour[1.0, 0.0, 0.0], by_colour["white"])
    assert down == pytest.approx((0, 8, 0, 0))
    of_models = {("compact", model): masks for model in pictures.MODELS}
    dsc = dict.fromkeys(of_models, 0.5)
    path = tmp_path / "stem.png"
    pictures.draw_level(path, case, level, of_models, dsc, "A patient")
    height, width, _ = imread(path).shape
    assert width > height > 0


def test_models_are_trained_scored_and_drawn(
    phantom: ModuleType,
    pictures: ModuleType,
    north: Cohort,
    south: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole script, with a tiny preset, other cohorts, and in one process."""
    cohorts = tmp_path / "work" / "cohorts"
    cohorts.mkdir(parents=True)
    for name, (centre, _) in phantom.COHORTS.items():
        cohort = south if centre.name == "source" else north
        (cohorts / name).symlink_to(cohort.path)
    compact = preset_of("compact")
    seen = replace(compact.preprocessing, crop_px=33)
    tiny = replace(compact, architecture=TINY, preprocessing=seen, adapt=compact.train)
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    monkeypatch.setattr(phantom, "RESULTS", tmp_path)
    monkeypatch.setattr(phantom, "make_cohorts", lambda work, fold: None)
    monkeypatch.setattr(phantom, "in_processes", lambda call, jobs: list(map(call, jobs)))
    level = pictures.Level("stem", "brain stem", ("Brainstem",), 20.0, pictures.most_of_all)
    monkeypatch.setattr(pictures, "LEVELS", (level,))
    monkeypatch.setattr(pictures, "IMAGES", tmp_path)
    monkeypatch.setattr(pictures, "PAGE", tmp_path / "page.md")
    options = ["--presets", "tiny", "--iterations", "2,2,1", "--seeds", "0"]
    command = ["phantom", *options, "--work", str(tmp_path / "work")]
    monkeypatch.setattr("sys.argv", [*command, "--pictures"])
    with pytest.raises(SystemExit, match="not trained yet"):
        phantom.main()
    monkeypatch.setattr("sys.argv", command)
    phantom.main()
    name = "phantom_tiny_2_2_1"
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["iterations"] == {"Model_S": 2, "Model_T": 2, "Model_ST": 1}
    assert result["means"]["dsc"].keys() == {*north.organs, "mean", "mean, source"}
    rows = phantom.raw_scores.read(tmp_path / f"{name}_scores.csv")
    organs = [organ for case in (*north, *south) for organ in case.organs]
    assert len(rows) == len(phantom.MODELS) * len(organs)
    monkeypatch.setattr("sys.argv", [*command, "--pictures"])
    phantom.main()
    page = (tmp_path / "page.md").read_text()
    assert f"| Brainstem | {result['means']['dsc']['Brainstem']['Model_S']:.3f} |" in page
    for rank in ("median", "worst"):
        assert f"phantom-{rank}-stem.png" in page
        assert (tmp_path / f"phantom-{rank}-stem.png").exists()
