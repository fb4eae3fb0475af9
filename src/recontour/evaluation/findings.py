"""What can be found where scores are measured, compared and read."""

import math
from collections.abc import Mapping
from typing import Literal

from recontour.evaluation.measure_words import DRAWN, SCORE_NAMES, measure_name, where
from recontour.evaluation.numbers import from_to, number, p_value, signed
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.geometry.offsets import UNITS, Measure
from recontour.network.image_traits import ImageTrait
from recontour.wording import agreeing, enumerated, plural

EVALUATE_AGAIN = "evaluate again, or repair the file"


@finding
class UnfoundOrgans(Finding):
    """No model found some organs in any patient: their DSC is 0 throughout.

    models: as scores and report show them. others: how many other organs were found.
    """

    models: FitToStore[tuple[str, ...]]
    organs: FitToStore[tuple[str, ...]]
    others: int

    def sentence(self) -> str:
        """Say which organs, and that nothing follows."""
        organs = ", ".join(self.organs)
        if self.others and len(self.organs) == 1:
            return (
                f"no model found {organs} in any patient, or only where it is not contoured: its "
                "DSC is 0 throughout, and nothing is concluded about it"
            )
        if self.others:
            return (
                f"no model found these organs in any patient, or only where they are not "
                f"contoured: {organs}; their DSC is 0 throughout, and nothing is concluded about "
                "them"
            )
        return (
            f"no model found any organ: DSC is 0 in every patient with {', '.join(self.models)} "
            f"({organs}), so nothing can be concluded"
        )

    def remedy(self) -> str:
        """Say what may help."""
        return "" if self.others else "train longer, or check that the models fit these CTs"


@finding
class TooFewPatients(Finding):
    """No organ can reach significance with so few patients.

    patients: of the organ that has most. smallest_p: that a lone test of theirs can reach.
    smallest_p_holm: the same, corrected for the number of organs. significant: the limit.
    """

    patients: int
    organs: int
    smallest_p: float
    smallest_p_holm: float
    significant: float

    def sentence(self) -> str:
        """Say what p can be reached."""
        patients = plural(self.patients, "patient")
        if self.no_test:
            return (
                f"with {patients} no test is possible: "
                f"not even a lone organ's p can fall below {p_value(self.smallest_p)}"
            )
        organs = plural(self.organs, "organ")
        return (
            f"with {patients} and {organs} the smallest Holm-corrected p that a lone organ can "
            f"reach is {p_value(self.smallest_p_holm)}"
        )

    def remedy(self) -> str:
        """Say what to look at instead."""
        return "" if self.no_test else "read the differences, not their significance"

    @property
    def no_test(self) -> bool:
        """Whether even a single organ could not reach significance."""
        return self.smallest_p >= self.significant


@finding
class GainOfMore(Finding):
    """What the last patients to learn from brought, and whether to contour further ones.

    fewer, more, next_patients: how many patients the models before and after the last step learnt
    from, and would after the next one. patients: that were scored. gain, low, high: in mean DSC, by
    the last step. next_low, next_high: by the next one; intervals are 90 %. useful: the smallest
    gain that is worth it. patients_to_tell: how many scored patients would settle what is not
    known; None: nobody can say.
    """

    fewer: int
    more: int
    next_patients: int
    patients: int
    gain: float
    low: float
    high: float
    next_low: float
    next_high: float
    useful: float
    advice: Literal["stop", "go on", "not known"]
    patients_to_tell: int | None = None

    def sentence(self) -> str:
        """Say what the last step brought, and what the next one may bring."""
        scored = plural(self.patients, "scored patient")
        before = f"rather than {self.fewer}" if self.fewer else "rather than none"
        learnt = f"learning from {plural(self.more, 'patient')} {before}"
        if math.isnan(self.low):
            return f"{learnt} changed mean DSC by {signed(self.gain)} on {scored}"
        last = f"{signed(self.gain)} (90 % interval {from_to(self.low, self.high)})"
        return (
            f"{learnt} changed mean DSC by {last} on {scored}; learning from "
            f"{self.next_patients} would change it by {from_to(self.next_low, self.next_high)} "
            "(90 % interval), or by nothing if it stays as it is"
        )

    def remedy(self) -> str:
        """Advise."""
        useful = number(self.useful, 3)
        if self.advice == "stop":
            ends = "the 90 % interval of the next step ends below"
            return f"stop: {ends} {useful}, the gain that would be worth it"
        if self.advice == "go on":
            return "go on: the last patients helped; contour more, and ask again"
        unknown = "whether to go on is not known: more patients may bring nothing, or a useful gain"
        if self.patients_to_tell is None:
            return unknown
        further = plural(self.patients_to_tell - self.patients, "further scored patient")
        return f"{unknown}; about {further} would tell, if the differences scatter as they do now"


@finding
class LittleIsKnown(Finding):
    """A gain was measured on few patients.

    patients: that were scored. unseen: the largest gain that cannot be told from none.
    """

    patients: int
    unseen: float

    def sentence(self) -> str:
        """Say how little."""
        scored = plural(self.patients, "scored patient")
        if math.isnan(self.unseen):
            return f"nothing can be said from {scored}: how far patients differ is not known"
        return (
            f"little is known from {scored}: a gain below {number(self.unseen, 3)} cannot be told "
            "from none, and one unusual patient can change the advice"
        )


@finding
class WrongScoreColumns(Finding):
    """A table does not have the columns of scores.csv."""

    columns: ScreenOnly[tuple[str, ...]]
    expected: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Compare the columns."""
        expected = ", ".join(self.expected)
        if not self.columns:
            return f"the columns are missing; expected {expected}"
        return f"expected the columns {expected} (found {', '.join(self.columns)})"

    def remedy(self) -> str:
        """Name the file that is meant."""
        return "give the scores.csv of an evaluation"


@finding
class WrongNumberOfCells(Finding):
    """A line of scores.csv has too few or too many cells."""

    line: int
    cells: int
    expected: int

    def sentence(self) -> str:
        """Compare the numbers."""
        return f"line {self.line}: {plural(self.cells, 'cell')}, expected {self.expected}"

    def remedy(self) -> str:
        """Say how to get a good file."""
        return EVALUATE_AGAIN


@finding
class NotANumber(Finding):
    """A cell of scores.csv should hold a number."""

    line: int
    column: FitToStore[str]
    cell: ScreenOnly[str]

    def sentence(self) -> str:
        """Say where, and show the cell."""
        return f"line {self.line}: {self.column} is not a number ({self.cell})"

    def remedy(self) -> str:
        """Say how to get a good file."""
        return EVALUATE_AGAIN


@finding
class UnloadableMatplotlib(Finding):
    """Matplotlib, which draws the report, cannot be loaded."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        """Repeat what Matplotlib said."""
        return f"Matplotlib, which draws the report, cannot be loaded ({self.reason})"

    def remedy(self) -> str:
        """Name the usual causes."""
        return (
            "look for a file matplotlibrc in the current folder or in ~/.config/matplotlib and "
            "move it away; check that TMPDIR is writable"
        )


# Control charts


@finding
class Drifted(Finding):
    """Some patients in a row lie beyond a limit of a control chart.

    since: the first of these patients. first, last: their places among all, from 1. patients: how
    many they are. value: their mean. usual: the mean of the baseline. limit: which all are beyond.
    is_difference: value and limit are differences from what is usual, over all organs. also: other
    measures of the organ that signal.
    """

    measure: FitToStore[str]
    since: FitToStore[str]
    first: int
    last: int
    patients: int
    value: float
    usual: float
    limit: float
    is_difference: bool = False
    also: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        """Say what changed, from which patient on, and by how much."""
        also = f"; also {', '.join(map(measure_name, self.also))}" if self.also else ""
        return f"{self._what()} {self._where()} {self._numbers()}{also}"

    def remedy(self) -> str:
        """Say where to look."""
        return "look at these patients: was the protocol, the scanner or the model changed?"

    @property
    def _is_score(self) -> bool:
        return self.measure in SCORE_NAMES

    def _what(self) -> str:
        if self._is_score:
            return f"{measure_name(self.measure)} fell"
        way = "further out" if self.value > self.usual else "further in"
        return f"drafts lie {way} {where(self.measure)}"

    def _where(self) -> str:
        where = (
            f"in {self.patients} patients in a row, {self.first} to {self.last} (since "
            f"{self.since})"
        )
        return f"{where}," if self.is_difference else f"{where}:"

    def _numbers(self) -> str:
        if self.is_difference:
            lost, allowed = self.usual - self.value, self.usual - self.limit
            words = f"to {number(lost, 3)} below usual on average"
            return f"{words} (limit {number(allowed, 3)} below)"
        digits, unit = (3, "") if self._is_score else (1, " mm")
        value, usual, limit = [
            f"{signed(one, digits) if unit else number(one, digits)}{unit}"
            for one in (self.value, self.usual, self.limit)
        ]
        return f"{value}, usually {usual}, limit {limit}"


@finding
class NotDrifted(Finding):
    """No chart of an organ signals. patients: who were watched. needed: for any signal."""

    patients: int
    needed: int

    def sentence(self) -> str:
        """Say that it is as before, or that this cannot be told yet."""
        patients = plural(self.patients, "patient")
        if self.patients < self.needed:
            return f"{patients} watched; a change can show from {self.needed} on"
        return f"no change shows in {patients}"


@finding
class FarPatient(Finding):
    """A patient lies beyond the limits of a single one, in charts that do not signal.

    where: organs, with the measure.
    """

    where: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Say where."""
        return f"far from what is usual: {', '.join(self.where)}; a single patient is no drift"

    def remedy(self) -> str:
        """Say what to do."""
        return "look at the contours"


@finding
class NotCharted(Finding):
    """Too few patients say what is usual of an organ. fewest: that are needed."""

    patients: int
    fewest: int

    def sentence(self) -> str:
        """Say how many there are."""
        few = plural(self.patients, "patient")
        return f"only {few} of the baseline can say what is usual (at least {self.fewest} must)"


@finding
class DrawnFurther(Finding):
    """By one measure, a centre draws an organ otherwise than the model's home centre.

    mean: above 0, further out, or larger; low, high: its 95 % interval. twin: the organ on the
    other side, which differs by twin_mean by the mirrored measure, with an interval as well; None:
    there is none, or it was not measured.
    """

    measure: Measure
    mean: float
    low: float
    high: float
    patients: int
    p_holm: float
    twin: FitToStore[str | None] = None
    twin_mean: float | None = None
    twin_low: float | None = None
    twin_high: float | None = None

    def sentence(self) -> str:
        """Say how it is drawn, with the interval."""
        more, less = DRAWN[self.measure]
        unit = UNITS[self.measure]
        low, high = sorted((abs(self.low), abs(self.high)))
        how = more if self.mean > 0 else less
        return f"{abs(self.mean):.1f} {unit} ({low:.1f} to {high:.1f}) {how}"

    @property
    def is_of_one_twin(self) -> bool:
        """Return whether the organ's twin differs otherwise: the two intervals do not meet."""
        if self.twin_low is None or self.twin_high is None:
            return False
        return self.twin_high < self.low or self.twin_low > self.high


@finding
class DrawnDifferently(Finding):
    """A centre draws an organ otherwise than the model's home centre.

    parts: by measure. may_be_images: the images differ in sharpness or noise, which alone moves a
    model's contours.
    """

    parts: tuple[DrawnFurther, ...]
    may_be_images: bool = False

    def sentence(self) -> str:
        """Say how it is drawn, and what speaks against believing it."""
        listed = enumerated([part.sentence() for part in self.parts], "and")
        said = f"drawn {listed}"
        lone = [part for part in self.parts if part.is_of_one_twin]
        if lone:
            twin_means = [_of_twin(part) for part in lone]
            said += (
                f"; {lone[0].twin} differs by {enumerated(twin_means, 'and')} on the mirrored "
                f"{agreeing(len(lone), 'side', 'sides')}, so look at the contours of both"
            )
        if self.may_be_images:
            said += "; perhaps only because of the images"
        return said


def _of_twin(part: DrawnFurther) -> str:
    assert part.twin_mean is not None
    assert part.twin_low is not None
    assert part.twin_high is not None
    mean = signed(part.twin_mean, 1)
    interval = from_to(part.twin_low, part.twin_high, 1)
    return f"{mean} {UNITS[part.measure]} ({interval})"


@finding
class NothingElseDiffers(Finding):
    """How many comparisons were made, and that the others show no difference.

    stated: how many of the comparisons are stated as differences. organs: compared.
    """

    organs: int
    comparisons: int
    stated: int

    def sentence(self) -> str:
        """Say so, and that this proves no equality."""
        what = "nothing else differs" if self.stated else "nothing differs"
        return (
            f"{what} by more than chance and 0.5 mm ({plural(self.comparisons, 'comparison')}"
            f" of {plural(self.organs, 'organ')}, corrected by Holm's rule); a smaller difference "
            "may exist"
        )


@finding
class NotFoundByModel(Finding):
    """A model finds an organ in only some patients, and the others are not compared."""

    missed: int
    patients: int

    def sentence(self) -> str:
        """Count them."""
        return (
            f"not found by the model in {self.missed} of {plural(self.patients, 'patient')}, so "
            "not compared there"
        )


@finding
class NotCompared(Finding):
    """Organs of which too few patients show both contours. fewest: patients that would do.

    at_home: those of the model's centre are too few; otherwise this centre's.
    """

    organs: FitToStore[tuple[str, ...]]
    fewest: int
    at_home: bool

    def sentence(self) -> str:
        """Name the organs, and say whose patients are too few."""
        whose = "the model's centre" if self.at_home else "this centre"
        return (
            f"not compared: {', '.join(self.organs)} (fewer than {self.fewest} patients of {whose} "
            "show both contours)"
        )


@finding
class NotContouredByModel(Finding):
    """Organs of a cohort that a model does not contour, so nothing is said of them."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name the organs."""
        return f"not compared: {', '.join(self.organs)} (the model does not contour them)"


@finding
class ImagesMayMoveContours(Finding):
    """What is said of contours may be due to the images.

    do_differ: they are known to differ in sharpness or noise; otherwise nobody knows.
    """

    do_differ: bool

    def sentence(self) -> str:
        """Say why what is said of the contours is in doubt."""
        how = "differ" if self.do_differ else "could not be compared"
        return (
            f'"perhaps only because of the images": they {how} in sharpness or noise, which alone '
            "moves a model's contours"
        )


@finding
class DrawnUnlikeOthers(Finding):
    """A contour is drawn unlike those of the same organ in the cohort's other patients.

    measure: that shows it most. excess_mm: above 0, further
    out than the median of the others. z_score: robust. others: patients.
    """

    measure: Measure
    excess_mm: float
    z_score: float
    others: int

    def sentence(self) -> str:
        """Say how it is drawn."""
        more, less = DRAWN[self.measure]
        how = more if self.excess_mm > 0 else less
        return (
            f"drawn {abs(self.excess_mm):.1f} mm {how} than in the {self.others} other patients "
            f"(beside the model's contours; robust z {number(self.z_score, 1)})"
        )


# What each trait of an image is called, its unit, and the digits that say something.
TRAIT_WORDS: Mapping[ImageTrait, tuple[str, str, int]] = {
    "pixel_mm": ("pixels", "mm", 2),
    "slice_mm": ("distance of slices", "mm", 1),
    "field_of_view_mm": ("field of view", "mm", 0),
    "edge_width_mm": ("width of edges (sharpness)", "mm", 1),
    "noise_hu": ("noise", "HU", 0),
    "air_hu": ("air", "HU", 0),
    "muscle_hu": ("muscle", "HU", 0),
    "bone_hu": ("dense bone", "HU", 0),
    "vessel_percent": ("bright vessels (contrast medium)", "% of soft tissue", 1),
}


@finding
class ImagesDiffer(Finding):
    """By one trait, a centre's images differ from those of a model's centre.

    own, home: means, in the trait's unit. home_sd: over the home centre's patients.
    """

    trait: ImageTrait
    own: float
    home: float
    home_sd: float

    def sentence(self) -> str:
        """Compare the numbers."""
        name, unit, digits = TRAIT_WORDS[self.trait]
        own, home, home_sd = [
            number(value, digits) for value in (self.own, self.home, self.home_sd)
        ]
        return f"{name}: {own} {unit}, at the model's centre {home} (SD {home_sd})"
