"""What can go wrong while a CT is contoured, and what speaks against the contours."""

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.network.traits import BodyTrait, OrganTrait
from recontour.wording import did_you_mean, plural

# What a trait is called, and its unit.
TRAITS: dict[BodyTrait | OrganTrait, tuple[str, str]] = {
    "narrow_width_mm": ("width of the body where it is narrow", "mm"),
    "narrow_area_cm2": ("area of the body where it is narrow", "cm2"),
    "volume_cc": ("volume", "cc"),
    "width_mm": ("width", "mm"),
    "depth_mm": ("depth", "mm"),
    "height_mm": ("height", "mm"),
    "from_middle_x_mm": ("place to the left of the body's middle", "mm"),
    "from_middle_y_mm": ("place behind the body's middle", "mm"),
    "mean_hu": ("mean", "HU"),
    "body_area_cm2": ("area of the body around it", "cm2"),
}


@finding
class OrgansNotInModel(Finding):
    """Organs were asked for that the model does not contour. meant: what they may stand for."""

    asked: ScreenOnly[tuple[str, ...]]
    known: FitToStore[tuple[str, ...]]
    meant: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        these = "this organ" if len(self.asked) == 1 else "these organs"
        return f"the model does not contour {these} ({', '.join(self.asked)})"

    def remedy(self) -> str:
        choose = f"choose from {', '.join(self.known)}"
        question = did_you_mean(self.meant)
        return f"{question} {choose}" if question else choose


@finding
class NonFiniteScores(Finding):
    """A model computes infinities or NaN from a CT."""

    def sentence(self) -> str:
        return "the model's scores for this CT are not finite, although all its weights are"

    def remedy(self) -> str:
        return "ask for the model again, or train it with another --seed"


@finding
class Deviation(Finding):
    """A number lies far outside of the range that a model's own patients have.

    seen, low, high: in the trait's unit. cts: how many CTs the range is of.
    """

    trait: BodyTrait | OrganTrait
    seen: float
    low: float
    high: float
    cts: int

    def sentence(self) -> str:
        name, unit = TRAITS[self.trait]
        low, high = _number(self.low), _number(self.high)
        known = low if low == high else f"{low} to {high}"
        return f"{name} {_number(self.seen)} {unit}, in training {known}"


def _number(value: float) -> str:
    """Return a number as a person would say it: three digits are enough.

    >>> _number(0.2345), _number(769.4)
    ('0.23', '769')
    """
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


@finding
class OrganUnlikeTraining(Finding):
    """A contour is unlike those that the model learnt from."""

    deviations: tuple[Deviation, ...]

    def sentence(self) -> str:
        return f"unlike what the model learnt from ({self.details()})"

    def details(self) -> str:
        return _together(self.deviations)


@finding
class BodyUnlikeTraining(Finding):
    """The body on a CT is unlike those that the model learnt from."""

    deviations: tuple[Deviation, ...]

    def sentence(self) -> str:
        return (
            "the body on this CT is unlike those that the model learnt from "
            f"({_together(self.deviations)})"
        )


def _together(deviations: tuple[Deviation, ...]) -> str:
    return "; ".join(deviation.sentence() for deviation in deviations)


@finding
class ContourInParts(Finding):
    """A contour consists of parts that do not touch each other.

    between: how many slices between its first and last lack a contour.
    """

    parts: int
    between: int

    def sentence(self) -> str:
        parts = f"found in {self.parts} separate parts"
        if not self.between:
            return parts
        slices = plural(self.between, "slice")
        return f"{parts}, and nothing on {slices} between its first and last"


@finding
class OrganNotFound(Finding):
    """An organ was searched for on a CT, and not found."""

    def sentence(self) -> str:
        return "not found on this CT"
