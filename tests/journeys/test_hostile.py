"""Some of the fuzz runner's cases, and names that would steer a terminal or leave a folder."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pydicom
import pytest
from tests.journeys.conftest import write_patient

from recontour.cli import main

REPO = Path(__file__).resolve().parents[2]
CASES = 100
FAULTY = """
import json, os, signal, sys
from pathlib import Path

import fuzz

used = []


def use(archive, out, looks_inside=True):
    case = int(archive.parent.name)
    used.append(case)
    yield "begun"
    if case == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif case == 2:
        (out.parents[1] / "escaped").touch()
        (out.parents[1] / "escaped").write_text("")
    elif case == 3:
        raise ValueError
    elif case == 4:
        while True:
            pass
    elif case == 5:
        print("\\x1b[31m")
    elif case == 6:
        (out / "cohort.partial").touch()
    elif case == 7 and len(used) > 1:
        raise ValueError


fuzz.use, fuzz.CPU_SECONDS = use, 1
cases = fuzz.some_cases(range(9), 1, {"plain": {"rs.dcm": bytes(500)}}, Path(sys.argv[1]), None)
print(json.dumps([[case["case"], case["fault"]] for case in cases]))
"""
HOSTILE = "../../../<b>\x1b]0;owned\x07\n[bold red]Lens[/]\u202e"


def test_fuzzed_archives_end_in_a_cohort_or_in_one_line(tmp_path: Path) -> None:
    """The runner checks for hangs, tracebacks, more than 2 GiB, and files outside the output."""
    runner = str(REPO / "benchmarks" / "fuzz.py")
    command = [sys.executable, "-W", "ignore", runner, "--cases", str(CASES), "--seed", "4"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*command, "--out", str(tmp_path / "fuzz.json")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads((tmp_path / "fuzz.json").read_text())
    assert found["faults"] == {}
    assert found["ends"]["import 0"] > CASES / 10  # not all are refused at the door
    assert found["ends"]["import 2"] > CASES / 10


def test_the_runner_sees_every_kind_of_fault_and_goes_on(tmp_path: Path) -> None:
    """This includes cases that share a process with others."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(REPO / "benchmarks"), *sys.path])
    }
    command = [sys.executable, "-W", "ignore", "-c", FAULTY, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    faults = dict(json.loads(ran.stdout.splitlines()[-1]))
    assert list(faults) == list(range(9))
    assert {case for case, fault in faults.items() if not fault} == {0, 8}
    begins = (
        "crash: -11",
        "outside: ",
        "ValueError",
        "hang",
        "control characters",
        "left half written",
        "only after",
    )
    for case, begin in enumerate(begins, start=1):
        assert faults[case].startswith(begin)


def test_names_that_would_steer_a_terminal_or_leave_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An enemy has named a ROI, a patient, a series and a file."""
    write_patient(tmp_path / "in" / "dicom" / "one", 0)
    structure_set = tmp_path / "in" / "dicom" / "one" / "RS.dcm"
    for file in (tmp_path / "in").rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.SpecificCharacterSet = "ISO_IR 192"
        if file == structure_set:
            storable = HOSTILE.replace("\x1b", "")  # pydicom does not write an escape character
            dataset.StructureSetROISequence[2].ROIName = storable
        else:
            dataset.PatientID = "../../../escaped"
        dataset.save_as(file)
    structure_set.rename(structure_set.with_name("x" + HOSTILE.replace("/", "") + ".dcm"))
    (tmp_path / "in" / "dicom" / os.fsdecode(b"\xff\xfe\x1b.dcm")).write_text("no text")

    out = tmp_path / "deep" / "deep" / "deep"
    out.mkdir(parents=True)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    assert main(["import", str(tmp_path / "in"), str(out / "north")]) == 0
    assert main(["inspect", str(out / "north")]) == 0
    screen = "".join(capsys.readouterr())
    assert "owned" in screen  # shown, since a user may want to map it
    assert not [
        letter
        for letter in screen
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter != "\n"
    ]
    written = out / "north"
    beside = [path for path in tmp_path.rglob("*") if written not in (path, *path.parents)]
    assert sorted(map(str, beside)) == before
    assert main(["contour", "no model", str(tmp_path / "in"), "--out", str(out / "new.dcm")]) == 2
    assert main(["import", str(tmp_path / "\x1b[2J\nnothing"), str(out / "south")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "nothing: not found; a folder of DICOM files is expected" in line
    assert "\x1b" not in line
