"""Check whether left organs lie on the left."""

from collections.abc import Iterator, Mapping
from statistics import median

from recontour.organs.findings import MisplacedOrgan, SwappedSides
from recontour.organs.table import organ_of

# Measured on parotids of 183 patients of three centres (OpenKBP), and on the phantom's organs:
# docs/decisions/057-one-side.md.
CLEARLY_PAST_MM = 10.0
FEWEST_PAIRS = 2  # that show where the middle is


def misplaced_organs(
    middles_x_mm: Mapping[str, float],
) -> tuple[SwappedSides | MisplacedOrgan, ...]:
    """Find organs that lie on the side opposite to the one in their names.

    Left organs that lie to the right of their right twins; and any other organ with a side that
    lies clearly past the middle, as other organs show it, also the one of a pair that does so
    alone.

    middles_x_mm: TG-263 name -> x of the organ's middle in the DICOM patient frame, in which x
        grows to the patient's left; also of organs without a side.

    >>> (found,) = misplaced_organs({"Lens_L": -30.0, "Lens_R": 30.0})
    >>> found.sentence()
    'Lens_L lies to the right of Lens_R: left and right may be swapped'
    >>> (found,) = misplaced_organs({"Parotid_R": 52.0, "Brainstem": 2.0})
    >>> found.sentence()
    "lies 50 mm to the left of the patient's middle: left and right may be swapped"
    """
    past = {found.organ: found for found in _past_the_middle(middles_x_mm)}
    swapped = []
    for pair in _swapped_pairs(middles_x_mm):
        if (pair.left in past) != (pair.right in past):
            continue  # one of the two is where it belongs
        swapped.append(pair)
        past.pop(pair.left, None)
        past.pop(pair.right, None)
    return (*swapped, *past.values())


def _swapped_pairs(middles_x_mm: Mapping[str, float]) -> Iterator[SwappedSides]:
    for name in sorted(middles_x_mm):
        organ = organ_of(name)
        twin = organ.twin
        if organ.side != "L" or twin is None or twin not in middles_x_mm:
            continue
        if middles_x_mm[name] < middles_x_mm[twin]:
            yield SwappedSides(left=name, right=twin)


def _past_the_middle(middles_x_mm: Mapping[str, float]) -> Iterator[MisplacedOrgan]:
    """Yield the organs that lie clearly past the middle."""
    for name in sorted(middles_x_mm):
        side = organ_of(name).side
        middle_x_mm = middle_beside(name, middles_x_mm) if side else None
        if middle_x_mm is None:
            continue
        to_the_left_mm = middles_x_mm[name] - middle_x_mm
        if side == "L" and to_the_left_mm < -CLEARLY_PAST_MM:
            yield MisplacedOrgan(organ=name, side="right", past_mm=-to_the_left_mm)
        if side == "R" and to_the_left_mm > CLEARLY_PAST_MM:
            yield MisplacedOrgan(organ=name, side="left", past_mm=to_the_left_mm)


def middle_beside(name: str, middles_x_mm: Mapping[str, float]) -> float | None:
    """Return the x of the patient's middle, as other organs than this one and its twin show it.

    The organs in the middle show it; without any, other pairs that agree. None if nothing does: of
    a single pair, both organs may lie on one side.

    >>> middle_beside("Parotid_L", {"Brainstem": 2.0, "Larynx": 4.0})
    3.0
    >>> middle_beside("Parotid_L", {"Lens_L": 30.0, "Lens_R": -30.0})
    """
    in_the_middle = [x_mm for other, x_mm in middles_x_mm.items() if organ_of(other).in_the_middle]
    if in_the_middle:
        return median(in_the_middle)
    of_pairs = []
    for other, x_mm in middles_x_mm.items():
        organ = organ_of(other)
        is_its_own = name in (other, organ.twin)
        twin_x_mm = middles_x_mm.get(organ.twin or "")
        if organ.side != "L" or is_its_own or twin_x_mm is None:
            continue
        of_pairs.append((x_mm + twin_x_mm) / 2)
    if len(of_pairs) < FEWEST_PAIRS or max(of_pairs) - min(of_pairs) > CLEARLY_PAST_MM:
        return None
    return median(of_pairs)
