from dataclasses import asdict, fields, replace
from pathlib import Path

from tests.network.test_heads import child_of

from recontour.network import Model, load_model, save_model
from recontour.network.acquired import Acquired
from recontour.network.baseline import Baseline
from recontour.network.card import RECIPE, card
from recontour.network.check import Check, CheckedDsc
from recontour.network.model import sha256_of
from recontour.network.ranges import Range, Ranges
from recontour.network.spread import Spread
from recontour.training.presets import preset_of
from recontour.training.recipe import Recipe
from recontour.transfer.depth import layers


def test_a_card_says_what_a_head_learnt_from(model: Model) -> None:
    shown = card(replace(model, provenance=replace(model.provenance, patients=4)))
    (own,) = shown.heads
    assert (own.name, own.cts, own.patients, own.centres) == ("north", 5, 4, ("north",))
    assert own.learnt_from() == "5 CTs of 4 patients; CTs by organ: Brainstem 5, Lens_L 4"
    assert own.method() == "from scratch, 3 iterations, seed 0"
    assert own.share == {"Brainstem": 1.0, "Lens_L": 1.0}
    assert shown.sha256 == sha256_of(model.network)


def test_patients_that_are_not_known_are_not_claimed(model: Model) -> None:
    (own,) = card(model).heads
    assert own.learnt_from().startswith("5 CTs; ")


def test_an_adapted_model_s_card_names_both_heads(model: Model) -> None:
    child = child_of(model, "south", organs=("Larynx", "Lens_L"))
    child = replace(child, provenance=replace(child.provenance, retrained_layers=10))
    shown = card(child)
    own, parent = shown.heads
    assert (own.name, parent.name) == ("south", "north")
    assert own.share == {"Larynx": 1.0, "Lens_L": 0.75}
    assert parent.share == {"Lens_L": 0.25}
    assert own.parent_sha256 == sha256_of(model.network)
    assert own.method() == (
        "adapted from a model of north, 3 iterations, seed 0, last 10 layers retrained"
    )
    words = shown.sections()["1 Model"]["heads"]
    assert words == "north -> south (75 to 100 % of the scores); north (25 % of the scores)"


def test_the_card_says_what_the_patients_measured(model: Model) -> None:
    assert card(model).sections()["3 Training"]["ranges"].startswith("not kept")
    ranges = Ranges(
        {"narrow_width_mm": Range(118.0, 168.0, 5)},
        {"Brainstem": {"volume_cc": Range(18.8, 44.8, 5)}, "Lens_L": {}},
    )
    measured = replace(model, provenance=replace(model.provenance, ranges=ranges))
    assert card(measured).ranges == ranges
    assert card(measured).sections()["3 Training"]["ranges"] == (
        "body where it is narrow 118 to 168 mm wide; Brainstem 18.8 to 44.8 cc"
    )


def test_the_card_says_what_a_cross_validation_found(model: Model, tmp_path: Path) -> None:
    assert "cross-validation" not in card(model).sections()["4 Evaluation"]
    brainstem = CheckedDsc(
        patients=6, parent=0.5, adapted=0.75, difference=0.25, low=0.125, high=0.375
    )
    larynx = CheckedDsc(patients=2, adapted=0.5)
    check = Check(
        folds=3,
        patients=6,
        iterations=2200,
        organs={"Brainstem": brainstem, "Larynx": larynx},
        mean=brainstem,
    )
    checked = replace(model, provenance=replace(model.provenance, check=check))
    save_model(checked, tmp_path / "checked")
    shown = card(load_model(tmp_path / "checked"))
    assert shown.check == check
    of_brainstem = "0.750 (0.500), difference +0.250 [+0.125 to +0.375], n = 6"
    words = shown.sections()["4 Evaluation"]
    assert words["cross-validation"] == (
        "3 folds of 6 patients, mean DSC of the adapted models (of the parent): "
        f"Brainstem {of_brainstem}; Larynx 0.500, n = 2; mean over organs {of_brainstem}"
    )
    assert "learnt from the other 2 of 3 folds" in words["what it estimates"]
    assert "folds share training patients" in words["what it estimates"]


def test_the_card_says_the_main_settings_and_the_parent(model: Model) -> None:
    recipe = preset_of("compact").adapt_to(3)
    child = replace(child_of(model, "south", organs=("Lens_L",)), recipe=asdict(recipe))
    training = card(child).sections()["3 Training"]
    assert training["recipe"] == (
        f"optimiser {recipe.optimiser}, learning rate {recipe.learning_rate}, "
        f"slices per iteration {recipe.batch}, weight decay {recipe.weight_decay}, "
        f"weight of the Dice loss {recipe.dice_weight}, "
        f"share of slices drawn to show a given organ {recipe.organ_share}, "
        f"patients that the parent counts as {recipe.parent_patients}"
    )
    plain = replace(child, recipe=asdict(recipe.plain()))
    assert "parent" not in card(plain).sections()["3 Training"]["recipe"]
    assert training["fingerprint of the parent"] == sha256_of(model.network)
    assert "fingerprint of the parent" not in card(model).sections()["3 Training"]


def test_the_settings_that_the_card_says_are_those_of_a_recipe() -> None:
    settings = {field.name for field in fields(Recipe)}
    assert {*RECIPE} - settings == {"precision"}  # which `with_precision` adds


def test_layers_are_counted_as_in_the_paper(model: Model) -> None:
    stages = card(model).stages
    counts = {stage.name: stage.layers for stage in stages}
    assert counts == {"conv1": 1, "conv2": 3, "conv3": 3, "conv4": 3, "conv5": 9, "spp": 1}
    assert sum(counts.values()) == len(layers(model.network))
    assert [stage.name for stage in stages if stage.shared] == ["conv1", "conv2", "conv3", "conv4"]
    assert sum(stage.parameters for stage in stages) == card(model).cost.parameters


def test_the_file_s_card_is_the_model_s(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    assert card(load_model(tmp_path / "m")).sections() == card(model).sections()


def test_the_card_says_what_the_network_sees(model: Model, neighbourly: Model) -> None:
    alone = card(model).sections()["2 Technical"]["input"]
    together = card(neighbourly).sections()["2 Technical"]["input"]
    assert alone.startswith("single slices, 2.0 mm pixels, 33 px about the body's centre, HU")
    assert together.startswith(
        "slices, each with those nearest to +4, -4, +9 mm from it (+: towards the head), 2.0 mm"
    )


def test_a_card_says_how_the_centres_own_contours_lie(model: Model) -> None:
    subject = "own contours beside the model's"
    assert card(model).sections()["3 Training"][subject].startswith("not kept")
    around = Spread(mean=0.25, sd=0.5, patients=20)
    acquired = Acquired(20, {"kernel": {"B30f": 20}, "kvp": {"120": 15}})
    baseline = Baseline({"Brainstem": {"around": around}}, acquired=acquired)
    kept = replace(model, provenance=replace(model.provenance, baseline=baseline))
    assert card(kept).baseline == baseline
    assert card(kept).sections()["3 Training"][subject] == (
        "further out all around: Brainstem +0.2 mm (SD 0.5)"
    )
    assert card(model).sections()["3 Training"]["CTs"].startswith("not kept")
    assert card(kept).sections()["3 Training"]["CTs"] == (
        "kernel: B30f (20); tube voltage in kV: 120 (15), unknown (5)"
    )
