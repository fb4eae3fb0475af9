"""What `compare` says of two centres, of which one draws everything a pixel larger."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from tests.conftest import fill

from recontour.assess.case_offsets import MOST_PATIENTS, baseline_of
from recontour.cli import main
from recontour.cohort import Cohort
from recontour.cohort.acquisition import UNKNOWN_ACQUISITION, Acquisition
from recontour.cohort.case import UNKNOWN_ORIGIN, Origin
from recontour.contouring.contourer import Contourer
from recontour.errors import CohortError, OrganError, OutputError, RecontourError, SettingsError
from recontour.evaluation.findings import DrawnDifferently, NotCompared, NotContouredByModel
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model, save_model
from recontour.network.acquired import NOT_KEPT
from recontour.workflows import compare, train
from recontour.workflows.findings import HomeOfAnotherCentre, NoBaseline, OnlyDrafts
from recontour.workflows.paths import ComparedWithItself


def _by_density(
    _contourer: Contourer, hu: Any, _grid: Grid, organs: Sequence[str]
) -> Iterator[tuple[str, Mask]]:
    """Contour the brain stem and the lenses of a test's cohort exactly, by their HU."""
    bright = np.asarray(hu) > 120
    lens = np.asarray(hu) > 280
    for organ in organs:
        yield organ, lens if organ.startswith("Lens") else bright & ~lens


@pytest.fixture(autouse=True)
def a_whole_baseline(a_quick_baseline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recontour.assess.case_offsets.MOST_PATIENTS", MOST_PATIENTS)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contourer, "contour", _by_density)


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Ten cases of a centre that draws the brain stem as it is."""
    folder = tmp_path_factory.mktemp("near")
    return fill(Cohort.open_or_create(folder / "near", "near"), 10)


def test_a_home_centre_of_few_patients_is_shown_and_not_tested(
    exact: None, model: Model, near: Cohort, tmp_path: Path
) -> None:
    few = near.without(near.case_ids[:4])
    path = with_baseline(model, few, tmp_path / "of-few.safetensors")

    found = compare(path, drawn_wider(tmp_path).path, tmp_path / "compared")

    assert found.differences
    assert not any(one.is_tested for one in found.differences)
    assert not any(isinstance(said, DrawnDifferently) for said in found.statements)
    organs = ("Brainstem", "Lens_L")
    assert NotCompared(organs=organs, fewest=10, at_home=True) in found.statements


def test_a_patient_alone_is_said_to_be_too_few(of_near: Path, tmp_path: Path) -> None:
    alone = fill(Cohort.open_or_create(tmp_path / "alone", "alone"), 1)

    found = compare(of_near, alone.path, tmp_path / "compared")

    organs = ("Brainstem", "Lens_L")
    assert found.statements == (
        NotCompared(organs=organs, fewest=3, at_home=False),
        NotContouredByModel(organs=("Lens_R",)),
    )


def test_a_cohort_is_not_compared_with_itself(of_near: Path, near: Cohort, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        compare(of_near, near.path, tmp_path / "compared", home=near.path)

    assert refused.value.finding == ComparedWithItself(path=near.path)


def drawn_wider(tmp_path: Path, acquisition: Acquisition = UNKNOWN_ACQUISITION) -> Cohort:
    """Four cases of a centre that draws every organ a pixel of 4 mm wider than it is."""
    as_it_is = fill(Cohort.open_or_create(tmp_path / "as-it-is", "wide"), 4)
    wider = Cohort.open_or_create(tmp_path / "wide", "wide")
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = True
    for case in as_it_is:
        masks = {}
        for organ in case.organs:
            masks[organ] = ndimage.binary_dilation(case.mask(organ), in_plane)
        wider.add(
            case.id,
            np.asarray(case.hu),
            case.grid,
            masks,
            case.source_hash,
            acquisition=acquisition,
            origin=Origin(maker="SIEMENS") if acquisition.known() else UNKNOWN_ORIGIN,
        )
    return wider


def with_baseline(model: Model, cohort: Cohort, path: Path) -> Path:
    baseline = baseline_of(model, list(cohort))
    provenance = replace(model.provenance, baseline=baseline)
    save_model(replace(model, provenance=provenance), path)
    return path


@pytest.fixture
def of_near(exact: None, model: Model, near: Cohort, tmp_path: Path) -> Path:
    return with_baseline(model, near, tmp_path / "of-near.safetensors")


def test_a_centre_that_draws_wider_is_said_to_by_how_much(of_near: Path, tmp_path: Path) -> None:
    wider = drawn_wider(tmp_path)

    found = compare(of_near, wider.path, tmp_path / "compared")

    by_organ = {said.organ: said for said in found.statements}
    stem = by_organ["Brainstem"]
    assert isinstance(stem, DrawnDifferently)
    sides = {part.measure: part.mean for part in stem.parts}
    assert set(sides) == {"right", "left", "anterior", "posterior"}
    assert all(3.5 < mean < 4.5 for mean in sides.values())  # pixels of 4 mm
    assert found.home == load_model(of_near).provenance.centre


def test_a_centre_that_draws_alike_is_not_said_to_differ(of_near: Path, tmp_path: Path) -> None:
    alike = fill(Cohort.open_or_create(tmp_path / "alike", "alike"), 4)

    found = compare(of_near, alike.path, tmp_path / "compared")

    assert not any(isinstance(said, DrawnDifferently) for said in found.statements)
    assert found.suspects == ()
    assert sorted(path.name for path in (tmp_path / "compared").iterdir()) == [
        "differences.csv",
        "offsets.csv",
        "report.html",
    ]


def test_an_end_that_the_scan_cuts_is_not_compared(of_near: Path, tmp_path: Path) -> None:
    cut = fill(Cohort.open_or_create(tmp_path / "cut", "cut"), 3)

    found = compare(of_near, cut.path, tmp_path / "compared")

    of_stem = {one.measure for one in found.differences if one.organ == "Brainstem"}
    assert "caudal" in of_stem
    assert "cranial" not in of_stem  # it reaches the last slice
    assert "volume" not in of_stem


def test_an_older_model_says_that_its_centre_is_unknown(
    exact: None, model: Model, north: Cohort, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "older")

    found = compare(tmp_path / "older", north.path, tmp_path / "compared")

    assert NoBaseline(path=tmp_path / "older") in found.warnings
    assert not found.differences
    assert found.statements == (NotContouredByModel(organs=("Lens_R",)),)
    assert not found.images
    assert found.offsets
    page = (tmp_path / "compared" / "report.html").read_text()
    assert "no organ could be compared" in page
    assert page.count("Not compared: Lens_R (the model does not contour them)") == 1


def test_the_home_centre_may_be_given_as_a_cohort(
    exact: None, model: Model, north: Cohort, near: Cohort, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "older")

    found = compare(tmp_path / "older", north.path, tmp_path / "compared", home=near.path)

    assert found.differences
    assert found.home == "near"
    kinds = [type(warning) for warning in found.warnings]
    assert NoBaseline not in kinds
    assert HomeOfAnotherCentre in kinds


def test_training_keeps_what_compare_needs(south: Cohort, tmp_path: Path, exact: None) -> None:
    model = train(south.path, tmp_path / "trained", iterations=1, preset="compact")

    baseline = load_model(tmp_path / "trained").provenance.baseline
    assert baseline == model.provenance.baseline
    assert baseline
    assert baseline.offsets["Brainstem"]["left"].patients == 2
    assert baseline.offsets["Brainstem"]["left"].mean == pytest.approx(0, abs=0.1)
    assert baseline.image["muscle_hu"].mean == pytest.approx(40, abs=5)


def test_a_baseline_is_of_forty_patients_at_most(
    exact: None, model: Model, near: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_PATIENTS == 40
    monkeypatch.setattr("recontour.assess.case_offsets.MOST_PATIENTS", 3)

    assert baseline_of(model, list(near)).offsets["Brainstem"]["left"].patients == 3


def test_drafts_are_not_a_centres_contours(exact: None, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    cohort = fill(Cohort.open_or_create(tmp_path / "drafts", "drafts"), 2)
    for case in cohort:
        place = case.path / "case.json"
        place.write_text(json.dumps({**json.loads(place.read_text()), "draft": True}))

    with pytest.raises(CohortError) as caught:
        compare(tmp_path / "model", cohort.path, tmp_path / "compared")

    assert caught.value.finding == OnlyDrafts(path=cohort.path, drafts=2)
    assert not (tmp_path / "compared").exists()


def test_what_cannot_be_compared_is_refused_before_any_work(
    exact: None, model: Model, north: Cohort, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "model")
    (tmp_path / "taken").mkdir()

    with pytest.raises(OutputError):
        compare(tmp_path / "model", north.path, tmp_path / "taken")
    with pytest.raises(RecontourError):
        compare(tmp_path / "model", tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(RecontourError):
        compare(north.path, tmp_path / "model", tmp_path / "out")
    save_model(replace(model, organs=("Cochlea_L", *model.organs[1:])), tmp_path / "other")
    lone = Cohort.open_or_create(tmp_path / "lone", "lone")
    case = next(iter(north))
    lone.add("lone-00000000", case.hu, case.grid, {"OpticChiasm": case.mask("Brainstem")}, "x")
    with pytest.raises(OrganError):
        compare(tmp_path / "model", lone.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_it_and_answers_in_json(
    of_near: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wider = drawn_wider(tmp_path)
    command = ["compare", str(of_near), str(wider.path), "--out"]

    assert main([*command, str(tmp_path / "one")]) == 0
    printed = capsys.readouterr().out
    assert "Brainstem: drawn" in printed
    assert "report.html" in printed

    assert main([*command, str(tmp_path / "two"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"]["centre"] == "wide"
    assert answer["result"]["differences"][0]["organ"] == "Brainstem"
    assert answer["result"]["statements"][0]["kind"] == "drawn_differently"


def test_how_cts_were_acquired_is_shown_beside_the_home_centre(
    exact: None, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    home = drawn_wider(tmp_path / "home", Acquisition(kvp=140.0, kernel="H30s"))
    path = with_baseline(model, home, tmp_path / "of-home.safetensors")
    cohort = drawn_wider(tmp_path, Acquisition(kvp=120.0, kernel="B30f"))

    found = compare(path, cohort.path, tmp_path / "compared")
    assert main(["compare", str(path), str(cohort.path), "--out", str(tmp_path / "two")]) == 0

    assert found.acquired.settings == {
        "maker": {"SIEMENS": 4},
        "kernel": {"B30f": 4},
        "kvp": {"120": 4},
    }
    assert found.home_acquired
    assert found.home_acquired.settings["kvp"] == {"140": 4}
    page = (tmp_path / "compared" / "report.html").read_text()
    assert '<td>kernel</td><td class="words">B30f (4)</td><td class="words">H30s (4)</td>' in page
    printed = " ".join(capsys.readouterr().out.split())
    assert f"kernel: wide: B30f (4); {found.home}: H30s (4)" in printed


def test_an_older_model_says_that_it_lacks_how_its_cts_were_acquired(
    exact: None, model: Model, near: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = replace(baseline_of(model, list(near)), acquired=None)
    kept = replace(model, provenance=replace(model.provenance, baseline=baseline))
    save_model(kept, tmp_path / "older")
    cohort = drawn_wider(tmp_path, Acquisition(kernel="B30f"))
    out = tmp_path / "compared"

    assert main(["compare", str(tmp_path / "older"), str(cohort.path), "--out", str(out)]) == 0

    assert NOT_KEPT in " ".join(capsys.readouterr().out.split())
    assert NOT_KEPT in (out / "report.html").read_text()


def test_the_page_names_no_folder_and_shows_the_difference(of_near: Path, tmp_path: Path) -> None:
    wider = drawn_wider(tmp_path)

    compare(of_near, wider.path, tmp_path / "compared")

    page = (tmp_path / "compared" / "report.html").read_text()
    assert str(tmp_path) not in page
    assert "wider on the right" in page
    assert "Every comparison" in page
