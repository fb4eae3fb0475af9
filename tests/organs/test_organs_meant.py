"""A misspelt organ is compared with those that there are."""

import pytest

from recontour.organs import known_organs, organs_meant

HERE = ("Brainstem", "Lens_L", "Lens_R", "OpticNrv_L", "OpticNrv_R", "Parotid_R")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("Brainstm", ("Brainstem",)),
        ("brainstem", ("Brainstem",)),
        ("Brain Stem", ("Brainstem",)),
        ("Brianstem", ("Brainstem",)),  # two letters changed places
        ("Lens", ("Lens_L", "Lens_R")),
        ("OpticNvr_R", ("OpticNrv_R",)),  # of its own side only
        ("OpticNrv_X", ("OpticNrv_L", "OpticNrv_R")),
        ("A_Carotid_R", ()),  # another organ of TG-263
        ("Lens_Left", ("Lens_L",)),
        ("Parotid_Rt", ("Parotid_R",)),
        ("Parotid_L", ()),  # a known organ, which is not here
        ("Brain", ()),
        ("Spleen", ()),
        ("", ()),
    ],
)
def test_organs_that_may_be_meant(words: str, meant: tuple[str, ...]) -> None:
    assert organs_meant(words, HERE) == meant


def test_nothing_is_meant_where_there_is_nothing() -> None:
    assert organs_meant("Brainstm", ()) == ()


def test_every_organ_means_itself() -> None:
    for organ in known_organs():
        assert organs_meant(organ, known_organs()) == (organ,)
