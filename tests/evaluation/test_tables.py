import csv
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.conftest import scored

from recontour.errors import OutputError, ScoresError
from recontour.evaluation import CaseScore, compare, read_scores, write_scores, write_statistics

OLDER_HEADER = "case,organ,model,dsc,surface_dsc,tolerance_mm,hd95_mm,volume_bias_percent\n"
OLD_HEADER = OLDER_HEADER.replace("\n", ",msd_mm,apl_mm\n")
OF_PATIENTS_HEADER = OLD_HEADER.replace("\n", ",patient\n")
OF_MILLIMETRES_HEADER = OF_PATIENTS_HEADER.replace("\n", ",surface_dsc_1mm,surface_dsc_2mm\n")
HEADER = OF_MILLIMETRES_HEADER.replace("\n", ",trained_on\n")
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8) | st.sampled_from(
    ['a,b"c', "=1+1", "é 左"]
)
numbers = st.floats(allow_nan=True)
rows = st.builds(CaseScore, words, words, words, *[numbers] * 7, words, numbers, numbers, words)


@given(st.lists(rows, max_size=4))
def test_scores_come_back_digit_for_digit(
    tmp_path_factory: pytest.TempPathFactory, scores: list[CaseScore]
) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_scores(path, scores)
    assert repr(read_scores(path)) == repr(scores)  # NaN equals itself in print only


def test_scores_are_the_stated_columns(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    row = CaseScore(
        "p1",
        "Lens_L",
        "S",
        np.float64(0.1) + np.float64(0.2),
        nan,
        0.98,
        inf,
        -100.0,
        inf,
        12.5,
        "p0",
        0.25,
        0.5,
        "same CT",
    )
    write_scores(path, [row])
    assert (
        path.read_text()
        == HEADER
        + "p1,Lens_L,S,0.30000000000000004,,0.98,inf,-100.0,inf,12.5,p0,0.25,0.5,same CT\n"
    )


def test_statistics_are_the_stated_columns(tmp_path: Path) -> None:
    path = tmp_path / "statistics.csv"
    scores = [
        scored("p1", "Lens_L", "S", 0.25),
        scored("p1", "Lens_L", "T", 0.5),
        scored("p1", "Eye_L", "T", 0.5),
    ]
    write_statistics(path, compare(scores, ["S", "T"]))
    assert path.read_text() == (
        "organ,model_a,model_b,n,median_difference,p,p_holm,rank_biserial,median_low,median_high,"
        "mean_difference,missed_a,missed_b,cts\n"
        "Lens_L,S,T,1,0.25,1.0,1.0,1.0,,,0.25,0,0,1\n"
        "Eye_L,S,T,0,,,,,,,,0,0,0\n"
    )


def test_statistics_hold_the_interval_and_the_effect_that_the_report_prints(tmp_path: Path) -> None:
    path = tmp_path / "statistics.csv"
    scores = [
        scored(f"p{k}", "Lens_L", model, 0.5 + k * gain)
        for k in range(9)
        for model, gain in (("S", 0), ("T", 0.01))
    ]
    (found,) = compare(scores, ["S", "T"])
    write_statistics(path, [found])
    (row,) = csv.DictReader(path.read_text().splitlines())
    for name in ("rank_biserial", "median_low", "median_high"):
        assert float(row[name]) == getattr(found, name)


def test_an_existing_table_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"scores\.csv"):
        write_scores(path, [])
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the columns are missing; expected case, organ"),
        (b"a,b\n1,2\n", r"expected the columns case, organ, .* \(found a, b\); give the"),
        (HEADER.encode() + b"p1,Lens_L,S,0.5\n", "line 2: 4 cells, expected 14"),
        (
            HEADER.encode() + b"p1,Lens_L,S,high,1,1,1,1,1,1,,1,1,\n",
            r"line 2: dsc is not a number \(high\)",
        ),
        (OLDER_HEADER.encode() + b"p1,Lens_L,S,1,1,1,1,1,1,1\n", "line 2: 10 cells, expected 8"),
        (b"\xff\xfe\x00", "the table of scores cannot be read"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(content)
    with pytest.raises(ScoresError, match=message) as caught:
        read_scores(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """A byte order mark in front, other line ends, and blank lines."""
    path = tmp_path / "scores.csv"
    row = scored(
        "p1",
        "Lens_L",
        "S",
        0.5,
        msd_mm=0.7,
        apl_mm=12.5,
        surface_dsc_1mm=0.6,
        surface_dsc_2mm=0.8,
    )
    write_scores(path, [row, row])
    header, first, second = path.read_text().splitlines()
    path.write_bytes("\r\n".join(["\ufeff" + header, first, "", second, "", "", ""]).encode())
    assert read_scores(path) == [row, row]


def test_a_table_from_before_there_were_all_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(
        OF_MILLIMETRES_HEADER + "p1,Lens_L,S,0.5,0.9,0.98,3.0,1.0,0.7,12.5,p0,0.25,0.5\n"
    )
    (row,) = read_scores(path)
    assert (row.surface_dsc_2mm, row.trained_on) == (0.5, "")
    path.write_text(OF_PATIENTS_HEADER + "p1,Lens_L,S,0.5,0.9,0.98,3.0,1.0,0.7,12.5,p0\n")
    (row,) = read_scores(path)
    assert (row.apl_mm, row.patient) == (12.5, "p0")
    assert isnan(row.surface_dsc_1mm)
    assert isnan(row.surface_dsc_2mm)
    path.write_text(OLD_HEADER + "p1,Lens_L,S,0.5,0.9,0.98,3.0,1.0,0.7,12.5\n")
    (row,) = read_scores(path)
    assert (row.msd_mm, row.apl_mm, row.patient) == (0.7, 12.5, "")
    path.write_text(OLDER_HEADER + "p1,Lens_L,S,0.5,0.9,0.98,3.0,1.0\n")
    (row,) = read_scores(path)
    assert (row.dsc, row.volume_bias_percent) == (0.5, 1.0)
    assert isnan(row.msd_mm)
    assert isnan(row.apl_mm)


def test_a_damaged_line_keeps_its_number_after_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(HEADER + "\n\np1,Lens_L,S,0.5\n")
    with pytest.raises(ScoresError, match="line 4: 4 cells"):
        read_scores(path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"nowhere\.csv: the table of scores cannot be read"):
        read_scores(tmp_path / "nowhere.csv")


def test_a_missed_organ_is_an_empty_prediction() -> None:
    assert scored("p1", "Lens_L", "S", 0.0, hd95_mm=inf, volume_bias_percent=-100.0).is_missed
    assert scored(
        "p1", "Lens_L", "S", 0.0, volume_bias_percent=-99.99999999999999
    ).is_missed  # as read from a file
    assert scored(
        "p1", "Lens_L", "S", 0.3, hd95_mm=inf, volume_bias_percent=-60.0
    ).is_missed  # mean of several models
    assert not scored("p1", "Lens_L", "S", 0.1, volume_bias_percent=-99.0).is_missed
    assert not scored(
        "p1", "Lens_L", "S", 0.0, hd95_mm=inf, volume_bias_percent=inf
    ).is_missed  # there is none
    assert not scored("p1", "Lens_L", "S", nan, hd95_mm=nan, volume_bias_percent=nan).is_missed


def test_a_model_s_name_is_no_formula(tmp_path: Path) -> None:
    row = scored("-a", "Lens_L", "=cmd|' /C calc'!A0", 0.5, volume_bias_percent=-12.5)
    write_scores(tmp_path / "scores.csv", [row])
    assert (tmp_path / "scores.csv").read_text().splitlines()[1] == (
        "'-a,Lens_L,'=cmd|' /C calc'!A0,0.5,0.9,2.5,3.0,-12.5,,,,,,"
    )
    assert repr(read_scores(tmp_path / "scores.csv")) == repr([row])
