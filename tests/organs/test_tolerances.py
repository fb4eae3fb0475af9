import pytest

from recontour.organs.tolerances import DEFAULT_MM, is_published, tolerance_mm


@pytest.mark.parametrize(
    ("organ", "expected"),
    [
        ("Brainstem", 2.5),
        ("SpinalCord", 2.93),
        ("Parotid_L", 2.85),
        ("Parotid_R", 2.85),
        ("Lens_R", 0.98),
    ],
)
def test_published_tolerances_do_not_depend_on_the_side(organ: str, expected: float) -> None:
    assert tolerance_mm(organ) == expected
    assert is_published(organ)


@pytest.mark.parametrize("organ", ["Pituitary", "Lobe_Temporal_L", "Larynx"])
def test_other_organs_get_the_default(organ: str) -> None:
    assert tolerance_mm(organ) == DEFAULT_MM
    assert not is_published(organ)
