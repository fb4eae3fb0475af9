from math import isnan, nan

import pytest
from tests.evaluation.conftest import scored

from recontour.evaluation import common_organs, mean_over_organs
from recontour.evaluation.summary import tile

# S and ST know the lens; S alone the chiasm, ST alone the brain; of the larynx there is nothing to
# measure
SCORES = [
    *(
        scored(f"c{k}", "Lens_L", model, dsc)
        for k, dsc in enumerate((0.4, 0.6))
        for model in ("S", "ST")
    ),
    scored("c0", "OpticChiasm", "S", 0.1, hd95_mm=50.0, volume_bias_percent=-100.0),
    scored("c0", "Brain", "ST", 0.9, hd95_mm=1.0),
    *(
        scored("c0", "Larynx", model, nan, hd95_mm=nan, volume_bias_percent=nan)
        for model in ("S", "ST")
    ),
]


def test_common_organs_are_those_that_every_model_scored() -> None:
    assert common_organs(SCORES) == ["Lens_L"]
    assert common_organs([row for row in SCORES if row.model == "S"]) == ["Lens_L", "OpticChiasm"]
    assert common_organs([row for row in SCORES if row.organ == "Larynx"]) == []
    assert common_organs([]) == []


def test_each_organ_counts_alike() -> None:
    assert mean_over_organs(SCORES, "S", ["Lens_L", "OpticChiasm", "Larynx"]) == pytest.approx(
        (0.5 + 0.1) / 2
    )
    assert isnan(mean_over_organs(SCORES, "S", ["Brain"]))


def test_a_tile_compares_like_with_like_and_hides_no_missed_organ() -> None:
    s, st = (tile(SCORES, model, common_organs(SCORES)) for model in ("S", "ST"))
    assert (
        (s.dsc, s.surface_dsc, s.hd95_mm)
        == (st.dsc, st.surface_dsc, st.hd95_mm)
        == ("0.500", "0.900", "3.0")
    )
    assert (s.missed, st.missed) == ("1 of 3", "0 of 3")
