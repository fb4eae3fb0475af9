"""What may stand in cohort.json and case.json: bounds, and no name that leads elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from tests.conftest import fill

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.errors import CohortError
from recontour.geometry import Grid

NESTED = "[" * 1000 + "]" * 1000
DIGITS = "1" * 5000


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return fill(Cohort.open_or_create(tmp_path / "c", "north"), 2)


def change(path: Path, keys: tuple[str | int, ...], raw: str) -> None:
    """Put raw text in one place of a JSON file."""
    about = json.loads(path.read_text())
    holder: Any = about
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = "the raw text"
    path.write_text(json.dumps(about).replace('"the raw text"', raw))


@pytest.mark.parametrize(
    "label", ["/escaped", "../escaped", "a/b", "..", "", "\u001b[2J", "a\nb", "x" * 65, "a\\b"]
)
def test_a_label_that_leads_out_of_the_cohort_is_refused_where_it_is_read(
    cohort: Cohort, label: str
) -> None:
    change(cohort.path / "cohort.json", ("centre",), json.dumps(label))
    with pytest.raises(CohortError, match=r"cohort\.json is damaged \(centre: .*label"):
        Cohort.open(cohort.path)


@pytest.mark.parametrize("raw", [NESTED, DIGITS, "null", "1", "[]", "{}", '"\\ud800"'])
@pytest.mark.parametrize("key", ["format", "version", "centre", "notices"])
def test_a_bent_cohort_json_is_one_line(cohort: Cohort, key: str, raw: str) -> None:
    if (key, raw) in (("notices", "null"), ("notices", "[]"), ("version", "1")):
        pytest.skip("as it may be")
    change(cohort.path / "cohort.json", (key,), raw)
    with pytest.raises(CohortError, match=r"cohort\.json|cohort format"):
        Cohort.open(cohort.path)


@pytest.mark.parametrize(
    ("keys", "raw"),
    [
        (("grid", "shape", 0), "-6"),
        (("grid", "shape", 0), "0"),
        (("grid", "shape", 0), "6.5"),
        (("grid", "shape", 0), '"6"'),
        (("grid", "shape", 1), "1000000"),
        (("grid", "shape"), "[4096, 4096, 4096]"),
        (("grid", "shape"), "[6, 48]"),
        (("grid", "spacing_mm", 0), "0"),
        (("grid", "spacing_mm", 0), "1e-320"),
        (("grid", "spacing_mm", 0), "1e400"),
        (("grid", "spacing_mm", 0), "NaN"),
        (("grid", "slice_z_mm", 0), "Infinity"),
        (("grid", "slice_z_mm", 0), "1e30"),
        (("grid", "slice_z_mm", 1), "0.0"),
        (("grid", "slice_z_mm"), "[]"),
        (("grid", "origin_mm", 1), "null"),
        (("grid",), NESTED),
        (("grid",), DIGITS),
        (("volumes_cc", "Brainstem"), "NaN"),
        (("volumes_cc", "Brainstem"), "-1"),
        (("volumes_cc", "Brainstem"), "1e308"),
        (("volumes_cc", "/escaped"), "1"),
        (("volumes_cc", "../escaped"), "1"),
        (("volumes_cc",), "[]"),
        (("source_hash",), "1"),
        (("draft",), '"no"'),
        (("sha256", "ct.npy"), '"0"'),
        (("sha256",), "{}"),
    ],
)
def test_a_bent_case_json_is_one_line(
    cohort: Cohort, keys: tuple[str | int, ...], raw: str
) -> None:
    case = cohort[cohort.case_ids[0]]
    change(case.path / "case.json", keys, raw)
    with pytest.raises(
        CohortError, match=r"case\.json is damaged .*take the case out with `recontour remove`"
    ):
        cohort[case.id]


@pytest.mark.parametrize("case_id", ["../north-1", "/etc", "..", ".", "", "a/b", ".hidden", "a\nb"])
def test_a_case_s_name_that_leads_elsewhere_is_no_case(cohort: Cohort, case_id: str) -> None:
    assert case_id not in cohort
    with pytest.raises(CohortError, match="not a valid name for a case"):
        cohort[case_id]
    any_case = next(iter(cohort))
    with pytest.raises(CohortError, match="not a valid name for a case"):
        cohort.add(
            case_id, any_case.hu, any_case.grid, {"Brainstem": any_case.mask("Brainstem")}, ""
        )


@pytest.mark.parametrize("how", ["no case.json", "empty", "file", "link to nothing", "odd name"])
def test_a_case_that_is_none_is_reported_not_skipped(
    cohort: Cohort, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (cohort.path / "cases" / case_id for case_id in cohort.case_ids)
    if how == "odd name":
        first.rename(first.with_name("north\n1"))
    elif how == "no case.json":
        (first / "case.json").unlink()
    else:
        for path in first.iterdir():
            path.unlink()
        if how != "empty":
            first.rmdir()
        if how == "file":
            first.touch()
        elif how == "link to nothing":
            first.symlink_to("nowhere")
    assert len(cohort.case_ids) == 2
    with pytest.raises(CohortError, match=r"case\.json is damaged|not a valid name for a case"):
        list(cohort)
    assert main(["inspect", str(cohort.path)]) == 2
    shown = capsys.readouterr()
    assert shown.err == f"recontour: {cohort.path}: 1 of 2 cases cannot be used\n"
    assert shown.out.count("damaged: north") == 1
    assert second.name in shown.out


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "@eaDir", "#recycle", ".hidden"])
def test_what_systems_put_into_every_folder_is_no_case(cohort: Cohort, name: str) -> None:
    place = cohort.path / "cases" / name
    if "." in name[1:] or name == ".DS_Store":
        place.touch()
    else:
        place.mkdir()
    assert len(list(cohort)) == 2


def test_inspect_names_every_damaged_case_and_shows_the_others(
    cohort: Cohort, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a power cut left: case.json whole, its arrays empty; and voxels that changed since."""
    fill(Cohort.open(cohort.path), 0)
    first, second = cohort
    (first.path / "masks.npy").write_bytes(b"")
    content = bytearray((second.path / "ct.npy").read_bytes())
    content[-1] ^= 1
    (second.path / "ct.npy").write_bytes(content)
    assert main(["inspect", str(cohort.path)]) == 2
    shown = capsys.readouterr()
    assert f"damaged: {first.id}: {first.path}: masks.npy is damaged (it is empty)" in shown.out
    assert (
        f"damaged: {second.id}: {second.path}: ct.npy is damaged (its voxels changed" in shown.out
    )
    assert shown.err == f"recontour: {cohort.path}: 2 of 2 cases cannot be used\n"


AS_NOBODY = """
import os, sys
from recontour.cli import main
main(["inspect", sys.argv[1]])  # loads what another user may not
print("", flush=True)
print("as nobody", file=sys.stderr)
os.chmod(sys.argv[2], 0)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(["inspect", sys.argv[1]]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user, which only root can")
@pytest.mark.parametrize("what", ["cases", "case", "case.json", "ct.npy", "cohort.json"])
def test_what_may_not_be_read_is_reported_and_not_called_damaged(what: str) -> None:
    with TemporaryDirectory() as scratch:  # pytest's own folders are its user's alone
        folder = Path(scratch)
        folder.chmod(0o755)
        cohort = fill(Cohort.open_or_create(folder / "c", "north"), 2)
        case = next(iter(cohort))
        places = {
            "cases": cohort.path / "cases",
            "case": case.path,
            "cohort.json": cohort.path / what,
        }
        path = places.get(what, case.path / what)
        command = [sys.executable, "-c", AS_NOBODY, str(cohort.path), str(path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    said = ended.stdout + ended.stderr
    assert f"{path}" in said
    assert "no permission to read it; check its permissions" in said
    assert "import the patient again" not in said
    assert "Traceback" not in said


def test_a_grid_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    """Another reader of JSON must round as Python's does."""
    rng = np.random.default_rng(1)
    z_mm = tuple(np.sort(rng.uniform(-500, 500, 2000)).tolist())
    cohort = Cohort.open_or_create(tmp_path / "c", "north")
    grid = Grid((2000, 1, 1), (0.1 + 0.2, 1 / 3), z_mm, (-1e-7, 100.1))
    case = cohort.add(
        "north-1",
        np.zeros(grid.shape, np.int16),
        grid,
        {"Brainstem": np.ones(grid.shape, bool)},
        "",
    )
    assert cohort[case.id].grid == grid
