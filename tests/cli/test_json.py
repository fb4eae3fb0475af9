"""`--json`: one object on standard output, as docs/reference/json.md describes it."""

import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.conftest import drafting, fill
from tests.journeys.conftest import write_patient
from tests.network.test_heads import child_of

from recontour import demo
from recontour import study as studies
from recontour.cli import commands, main
from recontour.cli.answers import plain_value
from recontour.cohort import Cohort
from recontour.contouring.contourer import Contourer
from recontour.evaluation import CaseScore
from recontour.exchange.nifti import write_nifti
from recontour.network import Model, save_model
from recontour.processes import Interrupted
from recontour.service import accounts
from recontour.service.settings import example_site, read_site
from recontour.service.store import Account, Store
from recontour.study.estimate import Estimate, Forecast

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"


def section(title: str) -> str:
    """The part of the page below a heading."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f" {title}\n")
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def documented(title: str, *, table: int = 0) -> set[str]:
    """The fields in the first column of a section's table."""
    tables = re.findall(r"(?:^\|.*\n)+", section(title), flags=re.MULTILINE)
    fields: set[str] = set()
    for line in tables[table].splitlines()[2:]:
        first = line.split("|")[1]
        fields.update(re.findall(r"`(\w+)`", first))
    return fields


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with --json; return its exit code and its object."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = main([*map(str, words), "--json"])
        said = capsys.readouterr()
        (line,) = said.out.splitlines()
        answer = json.loads(line)
        assert set(answer) == documented("The object")
        assert answer["ok"] is (code == 0)
        if code:
            assert said.err.splitlines()[-1].startswith("recontour: ")
            assert answer["error"]["exit_code"] == code
        return code, answer

    return run


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return fill(Cohort.open_or_create(tmp_path / "north", "north"), 3)


def test_import(ask: Any, tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom" / "a", 0)
    write_patient(tmp_path / "dicom" / "b", 1)
    (tmp_path / "dicom" / "b" / "RS.dcm").unlink()
    code, answer = ask("import", tmp_path / "dicom", tmp_path / "cohort")
    result = answer["result"]
    assert (code, answer["command"]) == (0, "import")
    assert set(result) == documented("import")
    assert len(result["added"]) == 1
    (left_out,) = result["left_out"]
    assert set(left_out) == {"what", "finding", "screen_only"}
    assert left_out["screen_only"] == {"place": str(tmp_path / "dicom" / "b" / "CT")}
    assert set(left_out["finding"]) == documented("Findings")
    by_name = {row["screen_only"]["roi_name"]: row["organ"] for row in result["names"]}
    assert by_name["Brain Stem"] == "Brainstem"


def test_remove_and_undo(ask: Any, tmp_path: Path) -> None:
    for number in range(2):
        write_patient(tmp_path / "dicom" / str(number), number)
    added = ask("import", tmp_path / "dicom", tmp_path / "cohort")[1]["result"]["added"]
    code, answer = ask("remove", tmp_path / "cohort", added[0])
    assert (code, answer["command"]) == (0, "remove")
    assert set(answer["result"]) == documented("remove")
    undone = ask("import", "--undo", tmp_path / "cohort")[1]["result"]
    assert (undone["removed"], undone["cases"]) == ([added[1]], [])
    assert undone["undone_next"] == []


def test_import_without_importing(ask: Any, tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)
    code, answer = ask("import", tmp_path / "dicom", "--draft-map", tmp_path / "draft.toml")
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("import", table=1)
    assert result["structure_sets"] == 1
    assert result["draft_map"] == str(tmp_path / "draft.toml")
    assert result["names"][0]["organ"] == "Brainstem"


def test_an_error_is_a_finding(ask: Any, tmp_path: Path) -> None:
    code, answer = ask("import", tmp_path / "Zebedee", tmp_path / "cohort")
    error = answer["error"]
    assert (code, answer["result"]) == (2, None)
    assert set(error) == documented("Findings") | {"error", "exit_code"}
    assert "Zebedee" not in json.dumps(error["facts"])
    assert str(tmp_path / "Zebedee") in error["message"]


def test_inspect_a_cohort(ask: Any, cohort: Cohort) -> None:
    code, answer = ask("inspect", cohort.path)
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("inspect")
    assert [case["case"] for case in result["cases"]] == list(cohort.case_ids)
    assert result["organs"]["Brainstem"]["cases"] == 3


def test_damaged_cases_are_a_result_and_an_error(ask: Any, cohort: Cohort) -> None:
    first, *others = cohort.case_ids
    (cohort.path / "cases" / first / "case.json").write_text("{")
    code, answer = ask("inspect", cohort.path)
    assert code == 2
    assert [case["id"] for case in answer["result"]["damaged"]] == [first]
    assert [case["case"] for case in answer["result"]["cases"]] == others
    assert answer["error"]["kind"] == "damaged_cases"
    assert answer["error"]["facts"] == {"damaged": 1, "cases": 3}


def test_inspect_a_model(ask: Any, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m.safetensors")
    code, answer = ask("inspect", tmp_path / "m.safetensors")
    assert code == 0
    assert set(answer["result"]) == documented("inspect", table=1)
    assert answer["result"]["card"]["heads"][0]["organs"] == ["Brainstem", "Lens_L"]


def test_contour_and_convert(
    ask: Any, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = write_patient(tmp_path / "dicom", 0)
    save_model(model, tmp_path / "m")
    mask = np.zeros(scan.grid.shape, dtype=bool)
    mask[1:4, 10:20, 30:40] = True
    masks = {"Brainstem": mask, "Lens_L": np.zeros_like(mask)}
    monkeypatch.setattr(Contourer, "drafts", drafting(lambda *_: iter(masks.items())))
    ct = tmp_path / "dicom" / "CT"
    code, answer = ask("contour", tmp_path / "m", ct, "--out", tmp_path / "rs.dcm")
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("contour")
    assert result["not_found"] == ["Lens_L"]
    assert result["volumes_cc"] == {"Brainstem": pytest.approx(scan.grid.volume_cc(mask))}

    (tmp_path / "masks").mkdir()
    write_nifti(tmp_path / "masks" / "Brainstem.nii.gz", mask, scan.grid)
    code, answer = ask("convert", tmp_path / "masks", ct, "--out", tmp_path / "back.dcm")
    assert code == 0
    assert set(answer["result"]) == documented("convert")
    assert answer["result"]["volumes_cc"] == result["volumes_cc"]


def test_evaluate(ask: Any, model: Model, cohort: Cohort, tmp_path: Path) -> None:
    save_model(model, tmp_path / "S")
    shutil.copy(tmp_path / "S", tmp_path / "T")
    out = tmp_path / "report"
    code, answer = ask("evaluate", cohort.path, tmp_path / "S", tmp_path / "T", "--out", out)
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("evaluate and demo")
    (verdict,) = result["verdicts"]
    assert (verdict["baseline"], verdict["model"]) == ("S", "T")
    assert verdict["organs"] == {"Brainstem": "too few patients", "Lens_L": "found by neither"}
    assert result["too_few_patients"]["facts"]["patients"] == 3
    assert {row["organ"] for row in result["scores"]} == {"Brainstem", "Lens_L"}


def test_gain(ask: Any, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "S")
    four = fill(Cohort.open_or_create(tmp_path / "four", "north"), 4)
    out = tmp_path / "gain"
    code, answer = ask("gain", tmp_path / "S", four.path, "--out", out, "--iterations", 1)
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("gain")
    assert list(result["mean_dsc"]) == ["0", "1", "2"]
    assert [(step["fewer"], step["more"]) for step in result["steps"]] == [(0, 1), (1, 2)]
    assert set(result["organs"]) == {"Brainstem", "Lens_L"}
    assert result["advice"] in ("stop", "go on", "not known")
    assert result["finding"]["facts"]["advice"] == result["advice"]
    assert result["little_is_known"]["facts"]["patients"] == 4


def test_accept(ask: Any, model: Model, cohort: Cohort, tmp_path: Path) -> None:
    save_model(model, tmp_path / "S")
    save_model(child_of(model, "south"), tmp_path / "ST")
    words = ("accept", cohort.path, tmp_path / "ST", "--against", tmp_path / "S")
    code, answer = ask(*words, "--out", tmp_path / "out")
    result = answer["result"]
    assert code == 3
    assert set(result) == documented("accept")
    for name, held in {"decision": "decision.json", "limits": "limits.json"}.items():
        assert result[name] == json.loads((tmp_path / "out" / held).read_text())


def test_monitor(ask: Any, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "S")
    cohort = fill(Cohort.open_or_create(tmp_path / "south", "south"), 6)
    words = ("monitor", tmp_path / "S", cohort.path, "--baseline", 5, "--out", tmp_path / "out")
    code, answer = ask(*words)
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("monitor")
    assert (result["baseline"], len(result["cases"]), result["unchanged"]) == (5, 6, None)
    assert {one["kind"] for one in result["statements"]} == {"not_drifted"}


def test_the_demo_answers_as_evaluate_does(
    ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    score = CaseScore("north-1", "Brainstem", "Model_S", 0.5, 0.6, 1.0, 2.0, 3.0)
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: [score])
    code, answer = ask("demo", "--out", tmp_path)
    assert code == 0
    assert set(answer["result"]) == documented("evaluate and demo")
    assert answer["result"]["mean_dsc"] == {"Model_S": 0.5}


def test_export(ask: Any, cohort: Cohort, tmp_path: Path) -> None:
    out = tmp_path / "Dataset001_North"
    code, answer = ask("export", cohort.path, out, "--format", "nnunet")
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("export")
    assert result["cases"] == list(cohort.case_ids)
    assert result["organs"] == ["Brainstem", "Lens_L", "Lens_R"]


def test_train_and_adapt(ask: Any, cohort: Cohort, tmp_path: Path) -> None:
    short = ("--iterations", "1")
    model, head = tmp_path / "S", tmp_path / "head"
    code, answer = ask("train", cohort.path, "--preset", "compact", "--out", model, *short)
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("train and adapt")
    assert result["model"] == result["written"] == str(model)
    assert set(result["card"]["heads"][0]["organs"]) == {"Brainstem", "Lens_L", "Lens_R"}

    code, answer = ask(
        "adapt", model, cohort.path, "--retrain-last", "1", "--head-only", head, *short
    )
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("train and adapt")
    assert (result["model"], result["written"]) == (f"{model}+{head}", str(head))
    assert (result["lineage"], result["fresh_organs"]) == ("north -> north", [])


def test_deidentify(ask: Any, tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)
    code, answer = ask("deidentify", tmp_path / "dicom", tmp_path / "out")
    assert code == 0
    assert set(answer["result"]) == documented("deidentify")
    assert answer["result"]["series"] == 1


def test_study(ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two cells one at a time: of their caches, only the larger is on the disk."""
    cells = [SimpleNamespace(id="S", parent=None), SimpleNamespace(id="T", parent=None)]
    costs = {"S": Estimate(1.0, 10, 300), "T": Estimate(2.0, 20, 200)}
    monkeypatch.setattr(studies, "read_study", lambda _path, **_: None, raising=False)
    monkeypatch.setattr("recontour.study.declared.cohorts_of", lambda _study: {})
    forecast = Forecast(cells, costs, 1)  # type: ignore[arg-type]
    monkeypatch.setattr(studies, "dry_run", lambda *_, **__: forecast, raising=False)
    code, answer = ask("study", tmp_path / "STUDY.toml", "--dry-run")
    result = answer["result"]
    assert code == 0
    assert set(result) == documented("study")
    assert result["cells"][0] == {"cell": "S", "seconds": 1.0, "bytes": 10}
    assert (result["seconds"], result["bytes"], result["cache_bytes"]) == (3.0, 30, 300)
    assert result["seconds_with_workers"] == 3.0


def test_report(ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("recontour.study.declared.read_declared", lambda _folder: None)
    nothing = SimpleNamespace(models=None, headline="")
    monkeypatch.setattr(studies, "report_study", lambda _folder: {"S": "no disk"}, raising=False)
    monkeypatch.setattr(studies, "summary_of", lambda _folder: nothing, raising=False)
    code, answer = ask("report", tmp_path)
    assert code == 0
    assert answer["result"] == {
        "folder": str(tmp_path),
        "report": str(tmp_path / "report.html"),
        "failed": {"S": "no disk"},
    }
    assert all(f"`{field}`" in section("study") for field in answer["result"])


def test_account(ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "SITE.toml"
    site.write_text(example_site())
    given = io.StringIO("rather a long password\n")
    monkeypatch.setattr("sys.stdin", given)
    code, answer = ask("account", site, "anna", "--role", "approve")
    assert (code, answer["result"]) == (0, {"account": "anna", "role": "approve"})
    assert set(answer["result"]) == documented("account")
    store = Store.of(read_site(site))
    with store.begin() as session:
        account = session.get_one(Account, "anna")
        assert account.role == "approve"
        assert accounts.is_password(account, "rather a long password")
    monkeypatch.setattr("sys.stdin", io.StringIO())  # a password is asked for only if it is needed
    code, answer = ask("account", site, "../anna", "--role", "view")
    assert (code, answer["error"]["kind"]) == (2, "unsuitable_account")
    code, answer = ask("account", site, "anna", "--close")
    assert (code, answer["result"]) == (0, {"account": "anna", "role": None})
    with store.begin() as session:
        assert session.get_one(Account, "anna").is_closed
    store.engine.dispose()
    for words, kind in (("\n", "no_password"), ("short\n", "unsuitable_password")):
        monkeypatch.setattr("sys.stdin", io.StringIO(words))
        code, answer = ask("account", site, "anna", "--role", "view")
        assert (code, answer["error"]["kind"]) == (2, kind)


def test_no_number_is_left_that_json_does_not_have() -> None:
    values = {"nan": float("nan"), "far": (np.float64("inf"), -float("inf")), "path": Path("a\n")}
    assert plain_value(values) == {"nan": None, "far": ["inf", "-inf"], "path": "a\n"}


@pytest.mark.parametrize("signalled", [KeyboardInterrupt(), Interrupted("SIGTERM")])
def test_a_command_that_is_ended_says_interrupted(
    ask: Any, monkeypatch: pytest.MonkeyPatch, signalled: KeyboardInterrupt
) -> None:
    def end(*_: object) -> None:
        raise signalled

    monkeypatch.setattr(commands, "inspect", end)
    code, answer = ask("inspect", "cohort")
    error = answer["error"]
    assert (code, error["error"], error["kind"]) == (2, "Interrupted", "interrupted_run")
    assert "`Interrupted`" in section("The object")
