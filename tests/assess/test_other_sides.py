"""A score of nothing on both sides, and a good one across: left and right are exchanged."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import GRID

from recontour.assess.findings import SidesExchanged
from recontour.assess.other_sides import OtherSides, sides_exchanged
from recontour.assess.scoring import score_masks
from recontour.cohort import Cohort, case_id_of
from recontour.geometry.arrays import Mask


def box(column: int) -> Mask:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:4, 20:26, column : column + 6] = True
    return mask


LEFT, RIGHT, NOTHING = box(30), box(8), np.zeros(GRID.shape, dtype=bool)


@pytest.mark.parametrize(
    ("drawn_left", "drawn_right", "is_exchanged"),
    [
        (RIGHT, LEFT, True),
        (LEFT, RIGHT, False),
        (NOTHING, NOTHING, False),
        (RIGHT, NOTHING, False),
        (box(20), box(20), False),  # wrong, but not on the other side
    ],
)
def test_exchanged_sides_are_found(
    tmp_path: Path, drawn_left: Mask, drawn_right: Mask, is_exchanged: bool
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "north", "north")
    masks = {"Brainstem": box(20), "Parotid_L": LEFT, "Parotid_R": RIGHT}
    name = case_id_of("north", "1.2")
    case = cohort.add(name, np.zeros(GRID.shape, np.int16), GRID, masks, source_hash="1")
    sides = OtherSides()
    drawn = {"Parotid_R": drawn_right, "Brainstem": NOTHING, "Parotid_L": drawn_left}
    for row, mask in score_masks(case, "S", drawn.items()):
        sides.look(case, row, mask)
    found = SidesExchanged(model="S", left="Parotid_L", right="Parotid_R", cases=(name,))
    assert sides_exchanged({name: sides.exchanged}) == ((found,) if is_exchanged else ())
