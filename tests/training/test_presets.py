from dataclasses import replace

import pytest

from recontour.training.presets import preset_of


@pytest.mark.parametrize(
    ("patients", "training", "adaptation"),
    [
        (1, 4400, 2200),
        (27, 4400, 2200),
        (28, 4400, 2240),
        (56, 4480, 4480),
        (104, 8320, 8320),
        (1000, 10_000, 10_000),
    ],
)
def test_more_patients_make_a_training_longer_up_to_a_limit(
    patients: int, training: int, adaptation: int
) -> None:
    # Other tests may shorten the presets of this process.
    of_a_few = preset_of("compact")
    compact = replace(
        of_a_few,
        train=replace(of_a_few.train, iterations=4400),
        adapt=replace(of_a_few.adapt, iterations=2200),
        iterations_per_patient=80,
        most_iterations=10_000,
    )
    assert compact.train_on(patients).iterations == training
    assert compact.adapt_to(patients).iterations == adaptation


def test_the_paper_s_training_has_one_length() -> None:
    paper = preset_of("paper")
    assert paper.train_on(1) == paper.train_on(1000) == paper.train
    assert paper.retrain_last == 10
