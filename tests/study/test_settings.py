import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from recontour.errors import SettingsError
from recontour.findings import stored_words
from recontour.study.settings import CentreSettings, example, read_study, threads_of, to_repeat

LEAST = """[source]
cohort = "north"
test = 1
[target]
cohort = "south"
test = 1
[models]
iterations = 3
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "STUDY.toml"
    path.write_text(text)
    return path


def test_the_example_is_a_study_with_every_section(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, example()))
    assert study.separately
    assert study.depth
    assert study.normalisation
    assert study.cases
    assert study.cases.numbers[-1] == "all"


def test_what_is_left_out_is_not_studied_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, LEAST))
    assert study.depth is None
    assert study.source.cohort == tmp_path.resolve() / "north"
    assert study.seeds == (0,)


def test_folds_may_be_asked_for_in_place_of_the_file_s_split(tmp_path: Path) -> None:
    asked = read_study(write(tmp_path, LEAST), folds=3)
    souths = 'cohort = "south"\n'
    in_folds = LEAST.replace(f"{souths}test = 1\n", f"{souths}folds = 3\n")
    assert asked == read_study(write(tmp_path, in_folds))
    assert (asked.target.folds, asked.target.test, asked.source.test) == (3, 0, 1)
    assert to_repeat(asked) == "recontour study STUDY.toml --folds 3 --out OUT"
    assert to_repeat(read_study(write(tmp_path, LEAST))) == "recontour study STUDY.toml --out OUT"
    path = write(tmp_path, LEAST)
    with pytest.raises(
        SettingsError, match=r"target\.folds: .*greater than or equal to 2, found 1"
    ):
        read_study(path, folds=1)


def test_a_path_has_no_steps_up_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "south").symlink_to(tmp_path / "elsewhere")
    study = read_study(write(tmp_path / "studies", LEAST.replace("north", "../co/north")))
    here = tmp_path.resolve()
    assert study.source.cohort == here / "co" / "north"
    assert study.target.cohort == here / "studies" / "south"


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "STUDY.toml").write_text(LEAST, encoding="utf-8-sig")
    assert read_study(tmp_path / "STUDY.toml") == read_study(write(tmp_path, LEAST))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            LEAST + "iteratoins = 4\n",
            r"unknown name in models: iteratoins; known names: iterations",
        ),
        (
            LEAST.replace("[target]", "split_seed = -1\n[target]"),
            r"source\.split_seed: .*greater than or equal to 0, found -1",
        ),
        ("seeds = []\n" + LEAST, "seeds: expected at least one item, found"),
        ("seeds = [0, 1, 0]\n" + LEAST, r"seeds: expected each item once, found \[0, 1, 0\]"),
        (
            "organs = ['Lens_L', 'Brainstem', 'Lens_L']\n" + LEAST,
            "organs: expected each item once, found .*'Lens_L', 'Brainstem', 'Lens_L'",
        ),
        ("organs = []\n" + LEAST, "organs: expected at least one item, found"),
        ("prset = 'compact'\n" + LEAST, r"unknown name: prset; known names: .*preset"),
        (
            LEAST.replace("iterations = 3", "iterations = 0"),
            r"models\.iterations: .*greater than or equal to 1, found 0",
        ),
        (
            LEAST.replace("iterations = 3", "iterations = 'many'"),
            r"models\.iterations: .*integer, found 'many'",
        ),
        (
            LEAST + "[depth]\niterations = 2\nlayers = [1, 'some']\n",
            r"depth\.layers\.1: .*found 'some'",
        ),
        (
            LEAST + "[depth]\niterations = 2\nlayers = []\n",
            r"depth\.layers: expected at least one item, found",
        ),
        (
            LEAST + "[cases]\niterations = 2\nnumbers = []\n",
            r"cases\.numbers: expected at least one item, found",
        ),
        (
            LEAST + "[normalisation]\nslices = 2\nnorms = []\n",
            r"normalisation\.norms: expected at least one item, found",
        ),
        (
            LEAST + "[normalisation]\nslices = 2\nbatches = []\n",
            r"normalisation\.batches: expected at least one item, found",
        ),
        (
            LEAST + "[depth]\niterations = 2\ncontrols = ['trunk']\n",
            r"depth\.controls\.0: .*found 'trunk'",
        ),
        ("[source\n", "is not TOML"),
        ("seeds = [0x" + "f" * 5000 + "]\n" + LEAST, r"seeds\.0: .*found too long to show"),
        ("seeds = " + "[" * 5000 + "]" * 5000 + LEAST, "nested too deep"),
        (
            'on = "slurm"\n' + LEAST,
            "on: expected local:N, slurm:N or tcp://HOST:PORT, N up to 1000",
        ),
        (
            "workers = 1000000\n" + LEAST,
            "workers: input should be less than or equal to 1000, found 1000000",
        ),
        (
            "organs = ['../../x']\n" + LEAST,
            r"organs\.0: expected a TG-263 name: .*, found '\.\./\.\./x'",
        ),
        ('name = "a\\u001b[2J"\n' + LEAST, "name: expected text on one line, found"),
        ("organs = [" + "1," * 1000 + "]\n" + LEAST, r"organs.*\d+ more|organs: .*at most 200"),
        (
            LEAST + "[cases]\niterations = 1\ndraws = 9000\n",
            "expected at most 20,000 cells, not 108,003 as there might be",
        ),
        (LEAST.replace('"north"', "3"), r"source\.cohort: expected a path, found 3"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read_study(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_points_to_the_example(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--example"):
        read_study(tmp_path / "none.toml")


def test_threads_are_as_declared_or_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recontour.study.settings.cores", lambda: 8)
    assert threads_of(read_study(write(tmp_path, "threads = 3\n" + LEAST))) == 3
    assert threads_of(read_study(write(tmp_path, "workers = 2\n" + LEAST))) == 4
    assert threads_of(read_study(write(tmp_path, "workers = 16\n" + LEAST))) == 1


def test_a_folder_whose_name_is_not_utf_8_is_kept_in_json() -> None:
    centre = CentreSettings(
        cohort=Path(os.fsdecode(b"/data/Z\xfcrich 50%")), split=Path("/data/Zürich 50%.csv")
    )
    kept = TypeAdapter(CentreSettings).dump_json(centre)
    assert b"file:///data/Z%FCrich%2050%25" in kept
    assert "/data/Zürich 50%.csv".encode() in kept
    assert TypeAdapter(CentreSettings).validate_json(kept) == centre


def test_a_study_file_is_read_and_the_example_printed_without_torch() -> None:
    code = (
        "import sys; from recontour import study; from recontour.study import settings; "
        "study.example(); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_a_mistake_is_stored_without_the_file_s_own_words(tmp_path: Path) -> None:
    path = tmp_path / "DOE^JANE.toml"
    path.write_text('DOE = 1\nname = "JANE\\u0007"\n' + LEAST)
    with pytest.raises(SettingsError, match=r"DOE\^JANE\.toml: .*JANE.*DOE") as caught:
        read_study(path)
    stored = stored_words(caught.value.finding)
    assert "name: expected text on one line" in stored
    assert "DOE" not in stored
    assert "JANE" not in stored
