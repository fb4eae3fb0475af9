"""The model card: what a person should know about a model, as facts and as words.

The words follow the six sections of ESTRO's AID-RT model card (Barragan-Montero et al. 2026,
doi:10.1016/j.phro.2026.100940).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from recontour.network.acquired import NOT_KEPT, SETTING_WORDS, Acquired
from recontour.network.architecture import AnyArchitecture, UNet
from recontour.network.baseline import Baseline
from recontour.network.check import Check, CheckedDsc
from recontour.network.cost import BYTES, Cost, cost_of
from recontour.network.counting import layers_of
from recontour.network.model import HeadRecord, Model, sha256_of
from recontour.network.preprocessing import Preprocessing
from recontour.network.ranges import Ranges
from recontour.wording import plural, size_in_words

PURPOSE = "contours organs at risk on axial planning CT of the head and neck; research use only"
NOT_FOR = (
    "clinical use without review of every contour by a qualified person; other sites or "
    "modalities; patients unlike those it was trained on. Not a medical device."
)
PAPER = "Chen et al. 2023 (ResNet-101-like, CAC, SPP), doi:10.3389/fphy.2023.1147900"
UNET = "2-D U-Net with residual blocks (Ronneberger et al. 2015), doi:10.1007/978-3-319-24574-4_28"
GROUND_TRUTH = "the centre's own contours by its own protocol"
RESULTS = "not part of this file: run `recontour evaluate` on your own test patients"
RISKS = (
    "misses or shifts small organs; follows its centre's protocol, which may differ from yours; "
    "contours each slice by itself, so organ ends may be ragged"
)
# The main settings of a recipe (training/recipe.py), and what each is called.
RECIPE = {
    "optimiser": "optimiser",
    "learning_rate": "learning rate",
    "batch": "slices per iteration",
    "weight_decay": "weight decay",
    "dice_weight": "weight of the Dice loss",
    "organ_share": "share of slices drawn to show a given organ",
    "parent_patients": "patients that the parent counts as",
    "precision": "computed in",
}
PRIVACY = (
    "this file holds no names, identifiers, dates of birth or images of patients; anyone with one "
    "of the training CTs can tell from its hash that it was used; the salted hash of a patient's "
    "ID reveals that only to someone with the salt, which stays at the centre"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCard:
    """One stage of the network: the layers as the paper counts them, and its parameters.

    shared: whether it is part of the trunk; if not, each head has its own.
    """

    name: str
    layers: int
    parameters: int
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCard:
    """One head: whose it is, what it contours and what it learnt from.

    share: by organ, its part of the model's answer. cts: those that it was trained on at its
    centre; patients: in how many people, None if unknown.
    """

    name: str
    centres: tuple[str, ...]
    organs: tuple[str, ...]
    share: Mapping[str, float]
    cts: int
    patients: int | None
    cts_by_organ: Mapping[str, int]
    iterations: int | None
    seed: int
    created: str
    parent_sha256: str | None
    retrained_layers: int | None
    parameters: int

    def learnt_from(self) -> str:
        """Say how many CTs and patients it was trained on, in all and by organ."""
        by_organ = [f"{organ} {count}" for organ, count in self.cts_by_organ.items()]
        people = "" if self.patients is None else f" of {plural(self.patients, 'patient')}"
        return f"{plural(self.cts, 'CT')}{people}; CTs by organ: {', '.join(by_organ)}"

    def method(self) -> str:
        """Say how it was trained."""
        *before, _ = self.centres
        parts = [f"adapted from a model of {' -> '.join(before)}" if before else "from scratch"]
        if self.iterations is not None:
            parts.append(plural(self.iterations, "iteration"))
        parts.append(f"seed {self.seed}")
        if self.retrained_layers:
            parts.append(f"last {plural(self.retrained_layers, 'layer')} retrained")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a person should know about a model: the answer of `inspect` for a model file.

    Attributes:
        heads: One card per head, the model's own head first.
        stages: The stages of the network, from the CT to the scores of its own head.
        preset: The name of the preset it was trained with.
        architecture: What determines the network's shape.
        preprocessing: What is done to a CT before the network sees it.
        recipe: The settings of its training.
        notices: What a user must know, for example that it learnt from synthetic patients.
        versions: The versions of recontour and of libraries that trained it.
        cost: What contouring with it takes.
        sha256: A hash of all weights, by which an adapted model names its parent.
        ranges: What bodies and organs measured in training; None for models from before.
        check: What a cross-validation of the adaptation found; None without one.
        baseline: How the centre's own contours lie beside the model's; None for models from before.

    Examples:
        >>> import recontour
        >>> card = recontour.inspect("north.safetensors")
        >>> card.preset, card.heads[0].organs
        ('accurate', ('Brainstem', 'Lens_L'))
    """

    heads: tuple[HeadCard, ...]
    stages: tuple[StageCard, ...]
    preset: str
    architecture: AnyArchitecture
    preprocessing: Preprocessing
    recipe: Mapping[str, Any]
    notices: tuple[str, ...]
    versions: Mapping[str, str]
    cost: Cost
    sha256: str
    ranges: Ranges | None = None
    check: Check | None = None
    baseline: Baseline | None = None

    @property
    def organs(self) -> tuple[str, ...]:
        """Return the organs that the model contours."""
        return self.heads[0].organs

    def sections(self) -> dict[str, dict[str, str]]:
        """Return the card in words, by section and subject."""
        own = self.heads[0]
        training = {
            "centre": own.name,
            "patients": own.learnt_from(),
            "ground truth": GROUND_TRUTH,
            "method": own.method(),
            "recipe": _recipe_in_words(self.recipe),
            "ranges": _ranges_in_words(self.ranges),
            "own contours beside the model's": _baseline_in_words(self.baseline),
            "CTs": _acquired_in_words(self.baseline.acquired if self.baseline else None),
        }
        if own.parent_sha256:
            training["fingerprint of the parent"] = own.parent_sha256
        if self.notices:
            training["notices"] = "; ".join(self.notices)
        written_by = f"recontour {self.versions['recontour']}"
        return {
            "0 Card": {"written by": written_by, "date": own.created},
            "1 Model": {
                "purpose": PURPOSE,
                "not for": NOT_FOR,
                "organs": ", ".join(self.organs),
                "heads": "; ".join(map(_head_in_words, self.heads)),
                "fingerprint of the weights": self.sha256,
            },
            "2 Technical": {
                "architecture": f"{self._network()}; preset {self.preset}",
                "input": self._input(),
                "layers": self._layers(),
                "size": self._size(),
                "software": _listed(self.versions),
            },
            "3 Training": training,
            "4 Evaluation": {"results": RESULTS} | _check_in_words(self.check),
            "5 Other": {"risks": RISKS, "privacy": PRIVACY},
        }

    def _network(self) -> str:
        return UNET if isinstance(self.architecture, UNet) else PAPER

    def _input(self) -> str:
        view = self.preprocessing
        low, high = view.window_hu
        return (
            f"{self._slices()}, {view.pixel_mm} mm pixels, {view.crop_px} px about the body's "
            f"centre, HU window {low:g} to {high:g}"
        )

    def _slices(self) -> str:
        neighbours_mm = self.preprocessing.neighbours_mm
        if not neighbours_mm:
            return "single slices"
        listed = ", ".join(f"{distance_mm:+g}" for distance_mm in neighbours_mm)
        return f"slices, each with those nearest to {listed} mm from it (+: towards the head)"

    def _layers(self) -> str:
        counts = [f"{stage.name} {stage.layers}" for stage in self.stages]
        shared = [stage.name for stage in self.stages if stage.shared]
        trunk = ", ".join(shared) or "none"
        total = sum(stage.layers for stage in self.stages)
        return f"{total} ({', '.join(counts)}); trunk: {trunk}"

    def _size(self) -> str:
        return (
            f"{self.cost.parameters / 1e6:.2f} million parameters, "
            f"{size_in_words(BYTES * self.cost.parameters)} of weights; "
            f"{self.cost.multiply_adds / 1e9:.1f} billion multiply-adds per slice"
        )


def card(model: Model) -> ModelCard:
    """Return a model's card.

    >>> from recontour.network import load_model
    >>> card(load_model("south.safetensors")).heads[0].centres
    ('south',)
    """
    network = model.network
    stages = [
        _stage_card(name, stage, shared=name in network.trunk)
        for name, stage in network.path.items()
    ]
    heads = []
    for place, record in enumerate(model.heads):
        share = model.share_of(place)
        heads.append(_head_card(record, share, _parameters(network.heads[place])))
    return ModelCard(
        heads=tuple(heads),
        stages=tuple(stages),
        preset=model.provenance.preset,
        architecture=network.architecture,
        preprocessing=model.preprocessing,
        recipe=model.recipe,
        notices=model.provenance.notices,
        versions=model.provenance.versions,
        cost=cost_of(network, model.preprocessing.crop_px),
        sha256=sha256_of(network),
        ranges=model.provenance.ranges,
        check=model.provenance.check,
        baseline=model.provenance.baseline,
    )


def _stage_card(
    name: str,
    stage: nn.Module,
    *,
    shared: bool,
) -> StageCard:
    return StageCard(
        name=name,
        layers=len(layers_of(name, stage)),
        parameters=_parameters(stage),
        shared=shared,
    )


def _head_card(
    record: HeadRecord,
    share: Mapping[str, float],
    parameters: int,
) -> HeadCard:
    provenance = record.provenance
    iterations = record.recipe.get("iterations")
    return HeadCard(
        name=record.name,
        centres=(*provenance.parent_centres, provenance.centre),
        organs=record.organs,
        share=share,
        cts=provenance.cases,
        patients=provenance.patients,
        cts_by_organ=provenance.cases_per_organ,
        iterations=iterations if isinstance(iterations, int) else None,
        seed=provenance.seed,
        created=provenance.created,
        parent_sha256=provenance.parent_sha256,
        retrained_layers=provenance.retrained_layers,
        parameters=parameters,
    )


def _parameters(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _head_in_words(head: HeadCard) -> str:
    lineage = " -> ".join(head.centres)
    shares = list(head.share.values()) or [0.0]
    least = round(100 * min(shares))
    most = round(100 * max(shares))
    span = f"{least} %" if least == most else f"{least} to {most} %"
    return f"{lineage} ({span} of the scores)"


def _recipe_in_words(recipe: Mapping[str, Any]) -> str:
    """Say the main settings of the training; those that are 0 play no part in it."""
    parts = []
    for name, said in RECIPE.items():
        value = recipe.get(name)
        if isinstance(value, int | float | str) and value:
            parts.append(f"{said} {value}")
    return ", ".join(parts) or "not kept"


def _ranges_in_words(ranges: Ranges | None) -> str:
    """Say what a person can compare with a patient at hand."""
    if ranges is None:
        return "not kept: the model was made before models had ranges"
    parts = []
    width = ranges.body.get("narrow_width_mm")
    if width:
        parts.append(f"body where it is narrow {width.low:g} to {width.high:g} mm wide")
    for organ, traits in ranges.organs.items():
        volume = traits.get("volume_cc")
        if volume:
            parts.append(f"{organ} {volume.low:g} to {volume.high:g} cc")
    return "; ".join(parts)


def _baseline_in_words(baseline: Baseline | None) -> str:
    """Say how far the centre's own contours lie outside the model's, all around."""
    if baseline is None:
        return "not kept: the model was made before models had a baseline"
    parts = []
    for organ, spreads in baseline.offsets.items():
        around = spreads.get("around")
        if around:
            parts.append(f"{organ} {around.mean:+.1f} mm (SD {around.sd:.1f})")
    return f"further out all around: {', '.join(parts)}" if parts else "not measured"


def _acquired_in_words(acquired: Acquired | None) -> str:
    """Say how the CTs that were learnt from were acquired, with numbers of patients."""
    if acquired is None:
        return NOT_KEPT
    parts = []
    for setting, name in SETTING_WORDS.items():
        if acquired.says(setting):
            parts.append(f"{name}: {acquired.in_words(setting)}")
    return "; ".join(parts) or "their headers did not say how they were acquired"


def _check_in_words(check: Check | None) -> dict[str, str]:
    """Return what a cross-validation of the adaptation found, by subject; empty without one."""
    if check is None:
        return {}
    organs = [f"{organ} {_dsc_in_words(dsc)}" for organ, dsc in check.organs.items()]
    patients = plural(check.patients, "patient")
    words = {
        "cross-validation": (
            f"{check.folds} folds of {patients}, mean DSC of the adapted models (of the parent): "
            f"{'; '.join(organs)}; mean over organs {_dsc_in_words(check.mean)}"
        ),
        "what it estimates": check.estimates().sentence(),
    }
    tried = check.tried()
    if tried:
        words["the parent's say"] = tried.sentence()
    return words


def _dsc_in_words(dsc: CheckedDsc) -> str:
    if dsc.adapted is None:
        return "not scored"
    words = f"{dsc.adapted:.3f}"
    if dsc.parent is not None:
        words += f" ({dsc.parent:.3f})"
    if dsc.difference is not None:
        words += f", difference {dsc.difference:+.3f}"
    if dsc.low is not None and dsc.high is not None:
        words += f" [{dsc.low:+.3f} to {dsc.high:+.3f}]"
    return f"{words}, n = {dsc.patients}"


def _listed(words: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {word}" for name, word in words.items())
