"""The presets: a network, what it sees, and how it is trained and adapted, under one name."""

from dataclasses import dataclass, replace

from recontour.errors import SettingsError
from recontour.network import AnyArchitecture, Architecture, Preprocessing, UNet
from recontour.training.recipe import Augmentation, Recipe
from recontour.validation import NotAChoice


@dataclass(frozen=True, slots=True)
class Preset:
    """Everything that `--preset NAME` stands for.

    train, adapt: their iterations are for a few patients; `train_on` and `adapt_to` give those for
    many. iterations_per_patient: 0 if all trainings are equally long. most_iterations: of a
    training that patients make longer.
    retrain_last: how many layers an adaptation retrains; None: all.
    """

    architecture: AnyArchitecture
    preprocessing: Preprocessing
    train: Recipe
    adapt: Recipe
    iterations_per_patient: int = 0
    most_iterations: int = 0
    retrain_last: int | None = None

    def __post_init__(self) -> None:
        """Raise SettingsError if the network takes another number of slices than it is shown."""
        self.preprocessing.refuse_other_input(self.architecture)

    def train_on(self, patients: int) -> Recipe:
        """Return the recipe of a training on so many patients.

        >>> compact = preset_of("compact")
        >>> compact.train_on(10).iterations, compact.train_on(100).iterations
        (4400, 8000)
        """
        return self._lengthened(self.train, patients)

    def adapt_to(self, patients: int) -> Recipe:
        """Return the recipe of an adaptation to so many patients."""
        return self._lengthened(self.adapt, patients)

    def depth(self, wanted: int | None, layers: int) -> int:
        """Return how many layers an adaptation retrains.

        wanted: what a user asks for; None: the preset's choice. layers: all that the network has.
        """
        if wanted is not None:
            return wanted
        return layers if self.retrain_last is None else self.retrain_last

    def _lengthened(self, recipe: Recipe, patients: int) -> Recipe:
        wanted = self.iterations_per_patient * patients
        allowed = min(wanted, self.most_iterations)
        return replace(recipe, iterations=max(recipe.iterations, allowed))


# Chen et al. 2023, Table 1 and section 2.3; normalisation, window and loss are readings
# (docs/explanation/paper.md).
_PAPER_RECIPE = Recipe(
    iterations=200_000,
    batch=1,
    optimiser="sgd",
    learning_rate=0.00025,
    power=0.9,
    warm_up=0,
    momentum=0.9,
    weight_decay=0.0005,
    dice_weight=0.0,
    inside_weight=0.0,
    organ_share=0.0,
    augmentation=Augmentation(
        zooms=(0.5, 0.75, 1.0, 1.25, 1.5),
        degrees=10.0,
        shift_mm=50.0,
    ),
)
_PAPER = Preset(
    architecture=Architecture(),
    preprocessing=Preprocessing(
        pixel_mm=1.0,
        crop_px=417,
        window_hu=(-200.0, 400.0),
    ),
    train=_PAPER_RECIPE,
    adapt=_PAPER_RECIPE,
    retrain_last=10,
)

# The same architecture with fewer blocks and channels: minutes of training on two cores. Its atrous
# rates are the paper's halved, as its pixels are larger and its crop is smaller.
_COMPACT_RECIPE = Recipe(
    iterations=4400,
    batch=8,
    optimiser="adamw",
    learning_rate=0.003,
    power=0.9,
    warm_up=20,
    momentum=0.9,
    weight_decay=0.01,
    dice_weight=1.0,
    # Without it, a lens is not found in the first thousand iterations. If it stays on to the end,
    # it costs 0.017 DSC.
    inside_weight=0.1,
    organ_share=0.7,
    augmentation=Augmentation(
        zoom_range=(0.8, 1.25),
        degrees=10.0,
        shift_mm=10.0,
        hu_offset=10.0,
        hu_gain=0.02,
    ),
)
# The parent has already found its organs.
_COMPACT_ADAPTATION = replace(
    _COMPACT_RECIPE,
    iterations=2200,
    learning_rate=0.001,
    inside_weight=0.0,
    parent_patients=3.0,
)
_COMPACT = Preset(
    architecture=Architecture(
        stem_channels=32,
        widths=(16, 32, 48, 48),
        blocks=(1, 2, 3),
        expansion=2,
        cac_rates=(2, 4, 8),
        spp_channels=32,
        spp_rates=(3, 6, 9),
    ),
    preprocessing=Preprocessing(
        pixel_mm=1.25,
        crop_px=225,
        window_hu=(-200.0, 400.0),
    ),
    train=_COMPACT_RECIPE,
    adapt=replace(
        _COMPACT_ADAPTATION,
        views=8,
        # Of 29 x 29. In nine slices out of ten the organs lie within; bodies are wider than deep.
        window=(13, 20),
        whole_iterations=220,
    ),
    # A parent that learnt longer from many patients makes better children
    # (docs/decisions/046-defaults-that-win.md).
    iterations_per_patient=80,
    most_iterations=10_000,
)

# A U-Net that also sees the slices about 4 and 12 mm above and below
# (docs/decisions/047-accurate.md). Its scores lie 4 pixels apart.
_ACCURATE = replace(
    _COMPACT,
    architecture=UNet(slices=5),
    preprocessing=replace(
        _COMPACT.preprocessing,
        neighbours_mm=(-12.0, -4.0, 4.0, 12.0),
    ),
    adapt=_COMPACT_ADAPTATION,
)

PRESETS = {"compact": _COMPACT, "accurate": _ACCURATE, "paper": _PAPER}


def preset_of(name: str) -> Preset:
    """Return the preset of a name.

    Raises: SettingsError: there is no such preset.

    >>> preset_of("compact").train.iterations
    4400
    """
    if name not in PRESETS:
        known = tuple(sorted(PRESETS))
        raise SettingsError(
            NotAChoice(
                name="preset",
                choices=known,
                seen=name,
            )
        )
    return PRESETS[name]
