import pytest

from recontour.training.presets import preset_of


@pytest.mark.parametrize(
    ("patients", "iterations"), [(1, 2200), (27, 2200), (28, 2240), (104, 8320), (1000, 10_000)]
)
def test_more_patients_make_a_training_longer_up_to_a_limit(patients: int, iterations: int) -> None:
    compact = preset_of("compact")
    assert compact.train_on(patients).iterations == iterations
    assert compact.adapt_to(patients).iterations == iterations


def test_the_paper_s_training_has_one_length() -> None:
    paper = preset_of("paper")
    assert paper.train_on(1) == paper.train_on(1000) == paper.train
    assert paper.retrain_last == 10
