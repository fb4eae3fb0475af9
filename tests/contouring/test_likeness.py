"""Whether a CT and its contours are like those of training, and how far they may differ."""

from typing import get_args

import numpy as np
import pytest

from recontour.contouring.findings import (
    TRAITS,
    ContourInParts,
    Deviation,
    OrganUnlikeTraining,
)
from recontour.contouring.likeness import (
    BODY_MARGINS,
    ORGAN_MARGINS,
    Margin,
    body_unlike,
    in_parts,
    is_unlike_as_a_whole,
    organ_unlike,
)
from recontour.network.ranges import Range, Ranges
from recontour.network.traits import BodyTrait, OrganTrait

RANGES = Ranges(
    body={"narrow_area_cm2": Range(100.0, 200.0, 20)},
    organs={"Brainstem": {"volume_cc": Range(20.0, 30.0, 20), "mean_hu": Range(-10.0, 30.0, 20)}},
)


def test_a_body_within_the_margin_is_like_those_of_training() -> None:
    # 200 cm2, 40 % more, and that a tenth wider for twenty CTs: 288.
    assert body_unlike(RANGES, {"narrow_area_cm2": 287.0}) is None
    unlike = body_unlike(RANGES, {"narrow_area_cm2": 289.0})
    assert unlike is not None
    assert unlike.deviations == (
        Deviation(trait="narrow_area_cm2", seen=289.0, low=100.0, high=200.0, cts=20),
    )
    assert body_unlike(RANGES, {"narrow_area_cm2": 55.0}) is not None
    assert body_unlike(RANGES, {}) is None


def test_an_organ_is_judged_by_what_was_measured_of_it() -> None:
    assert organ_unlike(RANGES, "Brainstem", {"volume_cc": 25.0, "mean_hu": 20.0}) is None
    assert organ_unlike(RANGES, "Brainstem", {"mean_hu": -700.0}) == OrganUnlikeTraining(
        organ="Brainstem",
        deviations=(Deviation(trait="mean_hu", seen=-700.0, low=-10.0, high=30.0, cts=20),),
    )
    # A trait that no patient of training showed, and an organ that none had, say nothing.
    assert organ_unlike(RANGES, "Brainstem", {"width_mm": 900.0}) is None
    assert organ_unlike(RANGES, "Lens_L", {"volume_cc": 900.0}) is None


def test_few_patients_make_a_wide_margin() -> None:
    margin = Margin(0.5, 1.0)
    assert [margin.at(10.0, cts) for cts in (1, 2, 4)] == [18.0, 12.0, 9.0]
    assert margin.at(10.0, 10**6) == pytest.approx(6.0, abs=1e-4)
    assert margin.at(-10.0, 2) == 12.0


def test_the_words_give_the_numbers() -> None:
    unlike = organ_unlike(RANGES, "Brainstem", {"volume_cc": 0.4567, "mean_hu": -700.0})
    assert unlike is not None
    assert unlike.sentence() == (
        "unlike what the model learnt from (volume 0.46 cc, in training 20 to 30; "
        "mean -700 HU, in training -10 to 30)"
    )


def test_one_odd_contour_does_not_speak_against_the_ct() -> None:
    assert not is_unlike_as_a_whole(marked=1, found=1)
    assert is_unlike_as_a_whole(marked=2, found=2)
    assert not is_unlike_as_a_whole(marked=3, found=6)
    assert is_unlike_as_a_whole(marked=4, found=6)


def test_every_trait_has_a_margin_and_a_name() -> None:
    of_bodies, of_organs = get_args(BodyTrait), get_args(OrganTrait)
    assert set(BODY_MARGINS) == set(of_bodies)
    assert set(ORGAN_MARGINS) == set(of_organs)
    assert set(TRAITS) == {*of_bodies, *of_organs}


def test_a_contour_in_parts_says_what_lies_between() -> None:
    mask = np.zeros((9, 4, 4), dtype=bool)
    mask[1:3, 1, 1] = True
    assert in_parts("Bone_Mandible", mask) is None
    mask[6, 1, 1] = True
    found = in_parts("Bone_Mandible", mask)
    assert found == ContourInParts(organ="Bone_Mandible", parts=2, between=3)
    assert found.sentence() == (
        "found in 2 separate parts, and nothing on 3 slices between its first and last"
    )
    beside = np.zeros((3, 4, 4), dtype=bool)
    beside[1, 0, 0] = beside[1, 3, 3] = True
    assert in_parts("Lens_L", beside) == ContourInParts(organ="Lens_L", parts=2, between=0)
    assert in_parts("Lens_L", np.zeros_like(beside)) is None
