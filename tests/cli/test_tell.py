import logging
import shlex
import sys
from dataclasses import replace
from io import StringIO
from math import nan
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from recontour.cli import facts, main, next_steps, progress_bar, tell
from recontour.cli.console import say
from recontour.cli.progress_bar import ProgressBar
from recontour.cohort import Cohort
from recontour.demo import result_of
from recontour.evaluation import CaseScore
from recontour.evaluation.numbers import MINUS, NONE
from recontour.network import Model
from recontour.study.study import StudySummary
from recontour.workflows import CohortContents


class Clock:
    """Stands in for the time module: it is as late as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_second_training_has_a_time_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """700 iterations take 1 s each, then 350 take 2 s, then 350 more; each is reported half-way."""
    clock = Clock()
    monkeypatch.setattr(progress_bar, "time", clock)
    with ProgressBar() as progress:
        for total, seconds in ((700, 1), (350, 2), (350, 2)):
            progress("training", 0, total, "")
            clock.now += total / 2 * seconds
            progress("training", total // 2, total, "")
            clock.now += total / 2 * seconds
            progress("training", total, total, "")
    said = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "training 175/" in line or "training 350/700" in line
    ]
    assert [line.partition("about ")[2] for line in said] == ["6 min left"] * 3  # 350 seconds


def test_on_a_terminal_every_step_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "stderr", SimpleNamespace(isatty=lambda: True, write=len, flush=lambda: None)
    )
    with ProgressBar() as progress:
        for total in (2, 3, 3):
            for done in range(total + 1):
                progress("training", done, total, "")
        bars = [(bar.completed, bar.total) for bar in progress._bar.tasks]
    assert bars == [(2, 2), (3, 3), (3, 3)]


def test_what_is_to_be_known_is_said_whole_and_only_while_a_command_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = logging.getLogger("recontour.workflows")
    long = "2 of 3 patients [bold] " + "were used to train it " * 9
    with ProgressBar():
        log.warning(long)
        log.info("going on")
    log.info("nobody asked")
    assert capsys.readouterr().err.splitlines() == [f"warning: {long}", "note: going on"]


def row(case: str, organ: str, model: str, dsc: float) -> CaseScore:
    return CaseScore(case, organ, model, dsc, 0.9, 2.5, 3.0, 1.0)


def cells(text: str) -> list[list[str]]:
    """The rows of a drawn table."""
    return [
        [cell.strip() for cell in line.strip("│┃").split("│")]
        for line in text.splitlines()
        if "│" in line
    ]


class Screen(StringIO):
    """A terminal that keeps what is drawn."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "shows_words"), [(60, False), (80, False), (100, False), (120, True)]
)
@pytest.mark.parametrize("total", [4400, 200_000])
def test_a_narrow_bar_drops_its_words_and_keeps_count_and_time_left(
    monkeypatch: pytest.MonkeyPatch, columns: int, shows_words: bool, total: int
) -> None:
    """Iterations of 40 s each, more than Rich remembers by itself."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stderr", Screen())
    words = "loss 1.752, learning rate 1.43e-04"
    with ProgressBar() as progress:
        clock = Clock()
        progress._bar.get_time = lambda: clock.now
        for done in range(total - 40, total - 37):
            progress("training north-adapted-to-south", done, total, words)
            clock.now += 40.0
        clock.now -= 40.0
        table = progress._bar.make_tasks_table(progress._bar.tasks)
        screen = Console(width=columns, file=StringIO())
        screen.print(table)
    (line,) = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert f"{total - 38}/{total}" in line
    assert line.split()[-2:] == ["left", "0:25:20"]
    assert (words in line) is shows_words
    assert "training" in line


def test_the_mean_is_over_the_organs_that_every_model_scored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = [row(case, "Lens_L", model, 0.5) for case in "ab" for model in ("S", "ST")]
    scores += [
        row("a", "OpticChiasm", "S", 0.1),
        row("a", "Brain", "ST", 0.9),
        row("a", "Larynx", "S", nan),
    ]
    tell.scored(scores, Path("report"))
    assert cells(capsys.readouterr().out) == [
        ["Lens_L", "2", "0.500", "0.500"],
        ["OpticChiasm", "1", "0.100", NONE],
        ["Brain", "1", NONE, "0.900"],
        ["Larynx", "1", NONE, NONE],
        ["mean over 1 organ", "", "0.500", "0.500"],
    ]


def test_models_without_a_common_organ_have_no_mean(capsys: pytest.CaptureFixture[str]) -> None:
    tell.scored([row("a", "Lens_L", "S", 0.5), row("a", "Brain", "ST", 0.9)], Path("report"))
    assert cells(capsys.readouterr().out)[-1] == ["mean over 0 organs", "", NONE, NONE]


PATIENTS = "abcdefgh"


def demo_scores(s: float, t: float, st: float) -> list[CaseScore]:
    """The demo's scores, the same in each of its patients."""
    scores = []
    for model, dsc in {"Model_S": s, "Model_T": t, "Model_ST": st}.items():
        scores += [row(case, "Lens_L", model, dsc) for case in PATIENTS]
    return scores


@pytest.mark.parametrize(
    ("s", "t", "st", "said"),
    [
        (0.5, 0.6, 0.7, ["adapting Model_S helped", "interval +0.200 to", "is ahead of Model_T"]),
        (
            0.5,
            0.8,
            0.7,
            ["adapting Model_S helped", "is behind Model_T", f"95 % interval {MINUS}0.100"],
        ),
        (0.5, 0.7, 0.7, ["is neither ahead of nor behind Model_T"]),
        (0.8, 0.7, 0.7, ["adapting Model_S did harm"]),
        (0.0, 0.0, 0.0, ["no model found any organ"]),
    ],
)
def test_the_demo_says_in_one_sentence_what_its_result_means(
    capsys: pytest.CaptureFixture[str], s: float, t: float, st: float, said: list[str]
) -> None:
    tell.demonstrated(result_of(demo_scores(s, t, st)))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("In short")
    assert [words for words in said if words not in line] == []


def test_the_demo_decides_nothing_by_few_patients_or_by_patients_who_disagree(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = [score for score in demo_scores(0.5, 0.6, 0.7) if score.case in "abcde"]
    tell.demonstrated(result_of(few))
    scores = []
    for score in demo_scores(0.5, 0.6, 0.7):
        swapped = score.case in "ab" and score.model == "Model_T"
        scores.append(replace(score, dsc=0.8) if swapped else score)
    tell.demonstrated(result_of(scores))
    too_few, mixed = capsys.readouterr().out.splitlines()
    assert "too few patients for an interval" in too_few
    assert "is neither ahead" in too_few
    assert f"95 % interval {MINUS}0.100 to +0.100" in mixed
    assert "is neither ahead" in mixed


def test_the_next_command_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    long = Path("a folder", "x" * 300, "north.safetensors")
    next_steps.after_learning(long, parent=Path("south.safetensors"))
    _, command = capsys.readouterr().out.splitlines()
    words = shlex.split(command)
    assert words[:3] == ["recontour", "evaluate", "COHORT"]
    assert words[3:5] == ["south.safetensors", str(long)]
    assert words[5:] == ["--out", str(long.with_name("north-evaluation"))]


def test_a_lone_head_is_scored_with_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    head = Path("out", "n.head")
    whole = Path(f"south.x+{head}")
    next_steps.after_learning(whole, parent=Path("south.x"), head=head)
    _, command = capsys.readouterr().out.splitlines()
    assert command == f"recontour evaluate COHORT south.x {whole} --out {Path('out/n-evaluation')}"


def test_after_an_evaluation_the_best_model_contours(capsys: pytest.CaptureFixture[str]) -> None:
    models = [Path("m/S.x"), Path("m/T.x"), Path("m/ST.x")]
    scores = [row("a", "Lens_L", "S", 0.5), row("a", "Lens_L", "T", 0.8)]
    scores.append(row("a", "Lens_L", "ST", 0.7))
    next_steps.after_evaluating(scores, models)
    _, command = capsys.readouterr().out.splitlines()
    assert command == f"recontour contour {models[1]} CT_DIR --out contours.dcm"


def test_a_model_that_was_trained_on_a_test_patient_is_not_proposed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = replace(row("a", "Lens_L", "ST", 0.9), trained_on="same CT")
    scores = [row("a", "Lens_L", "S", 0.5), known]
    next_steps.after_evaluating(scores, [Path("S.x"), Path("ST.x")])
    _, command = capsys.readouterr().out.splitlines()
    assert command == "recontour contour S.x CT_DIR --out contours.dcm"
    next_steps.after_evaluating([known], [Path("ST.x")])
    assert capsys.readouterr().out == ""


def test_the_json_has_the_patients_that_a_model_was_trained_on() -> None:
    known = replace(row("a", "Lens_L", "S", 0.9), trained_on="same CT")
    scores = [known, row("b", "Lens_L", "S", 0.5), row("a", "Lens_L", "T", 0.7)]
    assert facts.scored(scores, Path("out"))["trained_on"] == {"S": ["a"]}


def test_after_an_evaluation_in_which_nothing_was_found_nothing_is_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    next_steps.after_evaluating([row("a", "Lens_L", "S", 0.0)], [Path("S.x")])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"", "this table is damaged"),
        (b"roi_name,tg263\n\xff\xfe\x00\n", "the table cannot be read (it is not UTF-8 text"),
    ],
)
def test_a_damaged_table_of_names_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes, words: str
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "north", "north")
    (cohort.path / "names.csv").write_bytes(damage)
    assert main(["inspect", str(cohort.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"recontour: {cohort.path / 'names.csv'}: {words}")


def test_a_cohort_without_cases_says_how_to_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "north", "North")
    tell.cohort(CohortContents(cohort, [], []))
    centre, note = capsys.readouterr().out.splitlines()
    assert centre == "Centre North"
    assert note == (
        f"note: {cohort.path}: no case is in this cohort; add patients with "
        f"`recontour import DICOM_DIR {cohort.path}`"
    )


HOSTILE = "[/] [bold red]x \x1b[2J\x1b]0;owned\x07 :smile: \u202e"
SHOWN = "[/] [bold red]x \ufffd[2J\ufffd]0;owned\ufffd :smile: \ufffd"


def test_what_comes_from_a_file_is_shown_letter_by_letter(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provenance = replace(
        model.provenance,
        centre=HOSTILE,
        retrained_layers=1,
        fresh_organs=(HOSTILE,),
        cases_per_organ={HOSTILE: 1},
    )
    tell.learnt(replace(model, provenance=provenance), tmp_path)
    tell.scored([row("a", HOSTILE, HOSTILE, 0.5)], tmp_path / HOSTILE)
    tell.studied({HOSTILE: HOSTILE}, StudySummary(HOSTILE, None), tmp_path)
    with ProgressBar() as progress:
        progress(HOSTILE, 1, 1, HOSTILE)
        logging.getLogger("recontour").warning(HOSTILE)
    told = "".join(capsys.readouterr())
    assert told.replace("\n", "").isprintable()
    assert " ".join(told.split()).count(SHOWN) == 13


def test_a_cohort_is_shown_letter_by_letter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "north", "[bold]:x:$_$", [HOSTILE])
    (cohort.path / "names.csv").write_text(f'ROI [/],b\n\'=cmd [/],"{HOSTILE}"\n')
    tell.cohort(CohortContents(cohort, [], []))
    told = capsys.readouterr().out
    assert told.replace("\n", "").isprintable()
    assert told.count(SHOWN) == 2
    assert "Centre [bold]:x:$_$" in told
    assert "ROI [/]" in told
    assert "\u2502 =cmd [/]" in told


def test_a_bar_on_a_terminal_shows_words_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    terminal = SimpleNamespace(
        isatty=lambda: True, write=drawn.append, flush=lambda: None, encoding="utf-8"
    )
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar() as progress:
        progress("training [/]", 1, 2, HOSTILE)
    assert "training [/]" in "".join(drawn)
    assert "owned\x07" not in "".join(drawn)


def test_an_option_that_is_a_file_s_name_steers_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "a", "b\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


def test_where_there_is_nothing_to_do_no_line_counts_it(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as progress:
        progress("importing", 0, 0, "")
    assert not capsys.readouterr().err


def test_a_long_line_of_a_log_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"note: {'a word ' * 60}".rstrip())
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_a_command_begins_with_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as progress:
        progress.begin(f"reading {'x' * 200}")
        assert capsys.readouterr().err == f"reading {'x' * 200} ...\n"
