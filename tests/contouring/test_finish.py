import numpy as np
import pytest

from recontour.contouring.finish import drop_islands
from recontour.organs import organ_of

ONE_PIECE = (
    "Brainstem",
    "Larynx",
    "Lens_L",
    "Lobe_Temporal_R",
    "Parotid_L",
    "Parotid_R",
    "Pituitary",
)


def blocks(*sizes: int) -> np.ndarray:
    """Bars of so many voxels, each apart from the others."""
    mask = np.zeros((3, 2 * len(sizes) + 1, max(sizes) + 2), dtype=bool)
    for number, size in enumerate(sizes):
        mask[1, 2 * number + 1, 1 : 1 + size] = True
    return mask


def sizes_left(mask: np.ndarray, organ: str) -> list[int]:
    return [int(n) for n in drop_islands(mask, organ).sum(axis=(0, 2)) if n]


@pytest.mark.parametrize(
    ("organ", "expected"),
    [
        *((organ, [100]) for organ in ONE_PIECE),
        ("SpinalCord", [100, 50, 10, 2]),  # at least 2 %
        ("Glnd_Submand_L", [100, 50, 10]),  # like every organ without a rule: at least 10 %
        ("OpticNrv_R", [100, 50]),  # at least 20 %
    ],
)
def test_islands_go_by_the_organ_s_rule(organ: str, expected: list[int]) -> None:
    assert sizes_left(blocks(100, 50, 10, 2, 1), organ) == expected


def test_of_two_equal_parts_of_a_compact_organ_one_stays() -> None:
    assert organ_of("Pituitary").kept_share == 1.0
    assert sizes_left(blocks(5, 5), "Pituitary") == [5]


def test_parts_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((2, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert (drop_islands(mask, "Lens_L") == mask).all()


def test_an_empty_mask_stays_empty() -> None:
    assert not drop_islands(np.zeros((2, 3, 3), dtype=bool), "Lens_L").any()
