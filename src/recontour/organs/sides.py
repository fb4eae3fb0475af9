"""Check whether left organs lie on the left."""

from collections.abc import Collection, Iterator, Mapping
from statistics import median

from recontour.organs.findings import OnOtherSide, SwappedSides
from recontour.organs.table import organ_of

# In 183 patients of three centres (OpenKBP), the parotids lie 45 to 71 mm from the median of the
# organs in the middle, and the middle of both parotids at most 8 mm from it.
CLEARLY_PAST_MM = 10.0


def sides_swapped(middles_x_mm: Mapping[str, float]) -> tuple[SwappedSides | OnOtherSide, ...]:
    """Find organs that lie on the other side than their names say.

    Left organs that lie to the right of their right twins; and any other organ with a side that
    lies clearly past the middle, as the organs in the middle and other pairs show it.

    middles_x_mm: TG-263 name -> x of the organ's middle in the DICOM patient frame, in which x
        grows to the patient's left; also of organs without a side.

    >>> (found,) = sides_swapped({"Lens_L": -30.0, "Lens_R": 30.0})
    >>> found.sentence()
    'Lens_L lies to the right of Lens_R: left and right may be swapped'
    >>> (found,) = sides_swapped({"Parotid_R": 52.0, "Brainstem": 2.0})
    >>> found.sentence()
    "lies 50 mm to the left of the patient's middle: left and right may be swapped"
    """
    swapped = tuple(_swapped_pairs(middles_x_mm))
    in_pairs: set[str] = set()
    for found in swapped:
        in_pairs.update((found.left, found.right))
    return (*swapped, *_past_the_middle(middles_x_mm, in_pairs))


def _swapped_pairs(middles_x_mm: Mapping[str, float]) -> Iterator[SwappedSides]:
    for name in sorted(middles_x_mm):
        organ = organ_of(name)
        twin = organ.twin
        if organ.side != "L" or twin is None or twin not in middles_x_mm:
            continue
        if middles_x_mm[name] < middles_x_mm[twin]:
            yield SwappedSides(left=name, right=twin)


def _past_the_middle(
    middles_x_mm: Mapping[str, float], settled: Collection[str]
) -> Iterator[OnOtherSide]:
    """Yield the organs that lie clearly past the middle. settled: those that are not looked at."""
    for name in sorted(set(middles_x_mm).difference(settled)):
        side = organ_of(name).side
        middle_x_mm = _middle_beside(name, middles_x_mm)
        if side is None or middle_x_mm is None:
            continue
        to_the_left_mm = middles_x_mm[name] - middle_x_mm
        if side == "L" and to_the_left_mm < -CLEARLY_PAST_MM:
            yield OnOtherSide(organ=name, side="right", past_mm=-to_the_left_mm)
        if side == "R" and to_the_left_mm > CLEARLY_PAST_MM:
            yield OnOtherSide(organ=name, side="left", past_mm=to_the_left_mm)


def _middle_beside(name: str, middles_x_mm: Mapping[str, float]) -> float | None:
    """Return the x of the patient's middle, as other organs than this one and its twin show it.

    None if there is none that shows it.
    """
    shown_x_mm = []
    for other, x_mm in middles_x_mm.items():
        organ = organ_of(other)
        if organ.in_the_middle:
            shown_x_mm.append(x_mm)
        twin_x_mm = middles_x_mm.get(organ.twin or "")
        is_another_pair = organ.side == "L" and name not in (other, organ.twin)
        if is_another_pair and twin_x_mm is not None:
            shown_x_mm.append((x_mm + twin_x_mm) / 2)
    return median(shown_x_mm) if shown_x_mm else None
