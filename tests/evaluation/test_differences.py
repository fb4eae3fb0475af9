"""What is stated of two centres' contours, and what is not."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from recontour.evaluation.consistency import suspects
from recontour.evaluation.differences import (
    PatientOffsets,
    differences,
    write_differences,
    write_offsets,
)
from recontour.evaluation.findings import (
    DrawnDifferently,
    DrawnUnlikeOthers,
    ImagesDiffer,
    ImagesMayMoveContours,
    NotCompared,
    NothingElseDiffers,
)
from recontour.evaluation.images import image_differences, may_move_contours
from recontour.evaluation.page import as_notice
from recontour.evaluation.statements import (
    said_of_differences,
    said_of_doubt,
    said_of_images,
    said_of_missed,
    said_of_suspects,
    said_of_untested,
)
from recontour.findings import words
from recontour.geometry.offsets import SIDES, Measure
from recontour.network.baseline import Spreads
from recontour.network.image_traits import ImageTrait
from recontour.network.spread import Spread, spread_of

ByOrgan = dict[str, Spreads]
HOME = Spread(mean=0.5, sd=1.0, patients=40)


def rows_of(organ: str, measure: Measure, values: Sequence[float]) -> list[PatientOffsets]:
    found = []
    for index, value in enumerate(values):
        found.append(PatientOffsets(f"p-{index}", f"p-{index}", organ, {measure: value}))
    return found


def test_a_difference_is_that_of_two_differences() -> None:
    rows = rows_of("Brainstem", "caudal", [9.5, 10.5, 9.0, 11.0, 10.0])

    (found,) = differences(rows, {"Brainstem": {"caudal": HOME}})

    assert found.mean == pytest.approx(9.5)
    assert (found.own, found.home, found.patients) == (10.0, 0.5, 5)
    assert found.low < 9.5 < found.high
    assert found.is_stated


def test_intervals_cover_and_chance_is_rarely_stated() -> None:
    random = np.random.default_rng(0)
    home = {"SpinalCord": dict.fromkeys(SIDES, Spread(mean=0.0, sd=1.0, patients=40))}
    stated = covered = 0
    for _ in range(300):
        rows = []
        for who in "abcdefgh":
            values = random.normal(0, 1, 4)
            rows.append(
                PatientOffsets(who, who, "SpinalCord", dict(zip(SIDES, values, strict=True)))
            )
        found = differences(rows, home)
        stated += any(one.is_stated for one in found)
        covered += sum(one.low <= 0 <= one.high for one in found)

    assert stated <= 0.08 * 300
    assert covered / 1200 > 0.93


def test_a_patient_with_two_cts_counts_once() -> None:
    rows = rows_of("Brainstem", "caudal", [1.0, 2.0, 3.0])
    rows.append(PatientOffsets("p-0", "another-ct", "Brainstem", {"caudal": 3.0}))

    (found,) = differences(rows, {"Brainstem": {"caudal": HOME}})

    assert found.patients == 3
    assert found.own == pytest.approx(7 / 3)


def test_what_was_not_measured_at_home_or_in_three_patients_is_left_out() -> None:
    rows = [*rows_of("Brainstem", "caudal", [1, 2, 3]), *rows_of("Lens_L", "left", [1, 2])]

    assert differences(rows, {"Lens_L": {"left": HOME}}) == []


def test_small_and_uncertain_differences_are_not_stated() -> None:
    certain = differences(
        rows_of("Brainstem", "left", [0.9] * 8),
        {"Brainstem": {"left": Spread(mean=0.5, sd=0.01, patients=40)}},
    )
    uncertain = differences(
        rows_of("Brainstem", "left", [-9, 9, -8, 12]), {"Brainstem": {"left": HOME}}
    )

    assert not certain[0].is_stated
    assert not uncertain[0].is_stated


def test_a_volume_is_shown_but_neither_tested_nor_stated() -> None:
    rows = rows_of("Brainstem", "volume", [30.0, 31.0, 32.0])

    (found,) = differences(rows, {"Brainstem": {"volume": HOME}})

    assert math.isnan(found.p_holm)
    assert not found.is_stated


def test_words_name_organ_size_interval_and_side() -> None:
    ends = rows_of("Brainstem", "caudal", [9.5, 10.5, 9.0, 11.0, 10.0])
    volumes = rows_of("Brainstem", "volume", [1.0, 2.0, 1.0, 2.0, 1.0])
    found = differences([*ends, *volumes], {"Brainstem": {"caudal": HOME, "volume": HOME}})

    different, rest = said_of_differences(found)

    assert words(different).startswith("Brainstem: drawn 9.5 mm (")
    assert words(different).endswith(") lower at its lower end")
    assert isinstance(rest, NothingElseDiffers)
    assert (rest.comparisons, rest.stated) == (1, 1)


def test_a_negative_difference_is_said_with_positive_numbers() -> None:
    rows = rows_of("Brainstem", "left", [-3.5, -3.4, -3.6, -3.5])

    (different, _) = said_of_differences(differences(rows, {"Brainstem": {"left": HOME}}))

    assert "drawn 4.0 mm (3.0 to 5.0) " in words(different)
    assert words(different).endswith("narrower on the left")


def test_a_difference_of_one_twin_alone_is_doubted() -> None:
    lone = rows_of("Parotid_L", "left", [6.0, 6.1, 5.9, 6.0, 6.2])
    like = rows_of("Parotid_R", "right", [0.5, 0.6, 0.4, 0.5, 0.6])
    home: ByOrgan = {"Parotid_L": {"left": HOME}, "Parotid_R": {"right": HOME}}

    different = said_of_differences(differences([*lone, *like], home))[0]

    assert isinstance(different, DrawnDifferently)
    assert "Parotid_R differs by 0.0 mm (" in words(different)


def test_twins_that_agree_are_not_doubted() -> None:
    left = rows_of("Parotid_L", "left", [6.0, 6.1, 5.9, 6.0, 6.2])
    right = rows_of("Parotid_R", "right", [6.0, 6.1, 5.9, 6.0, 6.2])
    home: ByOrgan = {"Parotid_L": {"left": HOME}, "Parotid_R": {"right": HOME}}

    for different in said_of_differences(differences([*left, *right], home))[:2]:
        assert "twin" not in words(different)


def test_unlike_images_are_named_beside_a_difference() -> None:
    rows = rows_of("Brainstem", "left", [6.0, 6.1, 5.9, 6.0])
    found = differences(rows, {"Brainstem": {"left": HOME}})

    said = said_of_differences(found, may_be_images=True)

    assert words(said[0]).endswith("; perhaps only because of the images")
    spread = Spread(mean=10.0, sd=2.0, patients=40)
    blurred = image_differences({"noise_hu": [30.0] * 3}, {"noise_hu": spread})
    assert said_of_doubt(said, blurred) == [ImagesMayMoveContours(do_differ=True)]
    assert said_of_doubt(said, []) == [ImagesMayMoveContours(do_differ=False)]
    assert said_of_doubt(said[1:], blurred) == []


def test_an_organ_that_too_few_patients_show_is_said_not_to_be_compared() -> None:
    few_at_home = Spread(mean=0.0, sd=0.5, patients=9)
    home: ByOrgan = {"Brainstem": {"left": HOME}, "Esophagus": {"left": few_at_home}}
    rows = rows_of("Brainstem", "left", [0.0, 0.1, 0.2])
    rows += rows_of("Esophagus", "left", [0.0, 0.1, 0.2])
    rows += rows_of("Larynx", "left", [0.0, 0.1])
    rows.append(PatientOffsets("p", "p", "Lens_L", {}))

    said = said_of_untested(rows, differences(rows, home), home)

    assert said == [
        NotCompared(organs=("Larynx",), fewest=3, at_home=False),
        NotCompared(organs=("Esophagus",), fewest=10, at_home=True),
    ]
    assert said_of_untested(rows, [], {}) == []


def test_sharpness_and_noise_move_contours_and_hu_do_not() -> None:
    home: dict[ImageTrait, Spread] = {
        "edge_width_mm": Spread(mean=4.0, sd=0.5, patients=40),
        "noise_hu": Spread(mean=10.0, sd=2.0, patients=40),
        "muscle_hu": Spread(mean=50.0, sd=5.0, patients=40),
    }
    sharp = image_differences({"edge_width_mm": [4.1, 4.0, 4.2]}, home)
    blurred = image_differences({"edge_width_mm": [5.1, 5.0, 5.2]}, home)
    brighter = image_differences({"muscle_hu": [80.0, 81.0, 79.0]}, home)

    quiet = image_differences({"noise_hu": [10.0, 10.0, 10.0]}, home)
    assert not may_move_contours([*sharp, *quiet])
    assert may_move_contours([*blurred, *quiet])
    assert not may_move_contours([*sharp, *quiet, *brighter])
    assert may_move_contours(sharp)  # nothing is known of the noise
    assert said_of_images(sharp) == []
    assert words(said_of_images(brighter)[0]) == "muscle: 80 HU, at the model's centre 50 (SD 5)"


def test_equal_images_at_home_are_like_themselves_although_their_mean_is_rounded() -> None:
    at_home = spread_of([0.9765625] * 40)
    assert at_home
    at_home = at_home.rounded()
    assert at_home.mean != 0.9765625
    assert at_home.sd == 0

    (same,) = image_differences({"pixel_mm": [0.9765625] * 3}, {"pixel_mm": at_home})
    (other,) = image_differences({"pixel_mm": [1.2] * 3}, {"pixel_mm": at_home})

    assert not same.is_far
    assert other.is_far


def test_a_contour_wider_all_around_is_suspect() -> None:
    values = []
    for index in range(9):
        values.append(0.2 * (index % 3))
    rows = rows_of("SpinalCord", "around", [*values, 3.0])

    (found,) = suspects(rows)

    assert (found.patient, found.organ, found.others) == ("p-9", "SpinalCord", 9)
    (said,) = said_of_suspects([found])
    assert "wider" in words(said)
    assert "9 other patients" in words(said)


def test_numbers_in_sentences_have_a_real_minus_sign() -> None:
    odd = DrawnUnlikeOthers(measure="left", excess_mm=-3.0, z_score=-4.4, others=9)
    air = ImagesDiffer(trait="air_hu", own=-1024.0, home=-999.0, home_sd=0.3)

    assert words(odd).endswith(
        "3.0 mm narrower on the left than in the 9 other patients (beside "
        "the model's contours; robust z \N{MINUS SIGN}4.4)"
    )
    assert (
        words(air) == "air: \N{MINUS SIGN}1024 HU, at the model's centre \N{MINUS SIGN}999 (SD 0)"
    )


def test_few_patients_have_no_suspects() -> None:
    rows = rows_of("SpinalCord", "left", [0.0, 0.1, 0.0, 0.1, 9.0])

    assert suspects(rows) == []


def test_tables_hold_numbers_and_leave_unknown_ones_out(tmp_path: Path) -> None:
    rows = rows_of("Brainstem", "caudal", [-9.5, -10.5, -9.0])
    found = differences(rows, {"Brainstem": {"caudal": HOME}})

    write_offsets(tmp_path / "offsets.csv", rows)
    write_differences(tmp_path / "differences.csv", found)

    lines = (tmp_path / "offsets.csv").read_text().splitlines()
    assert lines[1] == "p-0,p-0,Brainstem,,,,,,-9.5,,"
    assert "Brainstem,caudal,3,-10.1667," in (tmp_path / "differences.csv").read_text()


def test_patients_in_whom_the_model_finds_nothing_are_counted() -> None:
    rows = rows_of("Larynx", "left", [1.0, 2.0, 3.0])
    rows.append(PatientOffsets("p-9", "p-9", "Larynx", {}))

    (said,) = said_of_missed(rows)

    assert words(said) == (
        "Larynx: not found by the model in 1 of 4 patients, so not compared there"
    )


def test_a_notice_keeps_a_cases_name_as_it_is() -> None:
    rows = rows_of("SpinalCord", "around", [0.0] * 9 + [3.0])

    (said,) = said_of_suspects(suspects(rows))

    assert as_notice(said).startswith("p-9: SpinalCord: drawn 3.0 mm wider all around")
    assert as_notice(said).endswith(").")


def test_what_is_not_tested_has_an_empty_cell(tmp_path: Path) -> None:
    rows = rows_of("Brainstem", "volume", [30.0, 31.0, 32.0])

    found = differences(rows, {"Brainstem": {"volume": HOME}})
    write_differences(tmp_path / "differences.csv", found)

    header, line = (tmp_path / "differences.csv").read_text().splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True))["p_holm"] == ""
