"""Check whether left organs lie on the left."""

from collections.abc import Mapping

from recontour.organs.findings import SwappedSides
from recontour.organs.table import organ_of


def sides_swapped(middles_x_mm: Mapping[str, float]) -> tuple[SwappedSides, ...]:
    """Find left organs that lie to the right of their right twins.

    middles_x_mm: TG-263 name -> x of the organ's middle in the DICOM patient frame, in which x
        grows to the patient's left.

    >>> (found,) = sides_swapped({"Lens_L": -30.0, "Lens_R": 30.0})
    >>> found.sentence()
    'Lens_L lies to the right of Lens_R: left and right may be swapped'
    """
    found = []
    for name in sorted(middles_x_mm):
        organ = organ_of(name)
        twin = organ.twin
        if organ.side != "L" or twin is None or twin not in middles_x_mm:
            continue
        if middles_x_mm[name] < middles_x_mm[twin]:
            found.append(SwappedSides(left=name, right=twin))
    return tuple(found)
