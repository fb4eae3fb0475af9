"""Nine mistakes that a user may make: each is said at once, and by every command that goes on.

On the screen and in the JSON. `pytest -s tests/journeys/test_nine_mistakes.py` prints at its end
how many of the nine are silent anywhere.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from tests.conftest import drafting
from tests.dicom.conftest import edit
from tests.journeys.conftest import Journey, with_a_square, write_patient
from tests.journeys.mistakes import SHORT, SWAPPED, Arguments, Command, Mistake

from recontour.cli import main
from recontour.contouring.contourer import Contourer
from recontour.dicom import ScanIdentity, read_scan, write_scan
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.phantom import SOURCE, write_centre
from recontour.study.cells import Cell
from recontour.study.estimate import Estimate

BRIEF: Arguments = ["--iterations", "1", "--precision", "float32", "--no-check"]
STUDY = """
preset = "compact"
precision = "float32"
retention_cases = 1
[source]
cohort = "{source}"
test = 1
[target]
cohort = "{target}"
validation = 1
test = 1
[models]
iterations = 1
"""
MISTAKES = 9


@pytest.fixture(scope="module")
def loud() -> Iterator[set[str]]:
    """The tests that heard everything; how many of the nine did not is printed at the end."""
    heard: set[str] = set()
    yield heard
    print(f"\n{MISTAKES - len(heard)} of {MISTAKES} silent")


@pytest.fixture(autouse=True)
def quick_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study's dry run times no training: only what else it says is heard here."""

    def estimate(cells: Sequence[Cell], _: object) -> dict[str, Estimate]:
        return {cell.id: Estimate(1.0, 0, 0) for cell in cells}

    monkeypatch.setattr("recontour.study.study.estimate", estimate)


@pytest.fixture
def mistake(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    loud: set[str],
    request: pytest.FixtureRequest,
) -> Iterator[Mistake]:
    made = Mistake(tmp_path, capsys)
    yield made
    assert made.silent == []
    loud.add(request.node.name)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DICOM of four coarse phantoms, a cohort of three, and a model that was trained on them."""
    folder = tmp_path_factory.mktemp("phantom")
    scanner = replace(SOURCE.scanner, pixel_mm=4.8, size_px=64, slice_mm=6.0)
    coarse = replace(SOURCE, scanner=scanner)
    write_centre(folder / "dicom", coarse, range(3))
    write_centre(folder / "fourth", coarse, range(3, 4))
    assert main(["import", str(folder / "dicom"), str(folder / "cohort")]) == 0
    model = ["train", str(folder / "cohort"), "--out", str(folder / "model")]
    assert main([*model, *map(str, SHORT)]) == 0
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of three other people, which a study begins with."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(20, 23):
        write_patient(folder / "dicom" / str(number), number)
    assert main(["import", str(folder / "dicom"), str(folder / "cohort")]) == 0
    return folder / "cohort"


def copied(cohort: Path, to: Path) -> Path:
    shutil.copytree(cohort, to)
    return to


def study(folder: Path, source: Path, target: Path) -> Path:
    folder.mkdir()
    path = folder / "STUDY.toml"
    path.write_text(STUDY.format(source=source, target=target))
    return path


def users(cohort: Path, model: Path, source: Path) -> dict[str, Command]:
    """The commands that use a cohort."""
    return {
        "inspect": lambda _: ["inspect", cohort],
        "train": lambda out: ["train", cohort, "--out", out, *SHORT],
        "adapt": lambda out: ["adapt", model, cohort, "--out", out, *BRIEF],
        "evaluate": lambda out: ["evaluate", cohort, model, "--out", out],
        "study": lambda out: ["study", study(out, source, cohort), "--dry-run"],
        "export": lambda out: ["export", cohort, out, "--format", "nifti"],
    }


def test_another_region_or_the_wrong_model(
    mistake: Mistake, journey: Journey, phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = read_scan(journey.archive / "0" / "deep" / "CT")
    row_mm, column_mm = scan.grid.spacing_mm
    wide = replace(scan.grid, spacing_mm=(2.2 * row_mm, 2.2 * column_mm))
    pelvis = mistake.folder / "pelvis"
    write_scan(pelvis / "CT", scan.hu.astype(np.int16), wide, ScanIdentity("pelvis"))
    squares = with_a_square(Contourer.contour)
    monkeypatch.setattr(Contourer, "contour", squares)
    monkeypatch.setattr(Contourer, "drafts", drafting(squares))
    area = "area of the body where it is narrow"
    contour: Arguments = ["contour", journey.model_s]
    body = "body_unlike_training"
    mistake.is_said_by(lambda out: [*contour, pelvis, "--out", f"{out}.dcm"], area, body)
    anyway = mistake.folder / "anyway.dcm"
    told = mistake.hear(lambda _: [*contour, pelvis, "--out", anyway, "--anyway"])
    assert area in " ".join(told.split())
    assert area in dcmread(anyway).StructureSetDescription

    of_phantom = phantom / "model"
    person, drawn = journey.archive / "0", phantom / "dicom"
    kind = "phantom_and_patient"
    learnt = "was trained on recontour's phantom"
    mistake.is_said_by(
        lambda out: ["contour", of_phantom, person, "--out", f"{out}.dcm"], learnt, kind
    )
    mistake.is_said_by(
        lambda out: ["contour", journey.model_s, drawn, "--out", out],
        "this CT is of recontour's phantom",
        kind,
    )
    mistake.is_said_by(
        lambda out: ["evaluate", journey.cohort, of_phantom, "--out", out], learnt, kind
    )
    mistake.is_said_by(
        lambda out: ["adapt", of_phantom, journey.cohort, "--out", out, *BRIEF], learnt, kind
    )
    told = mistake.hear(lambda _: ["inspect", of_phantom])
    assert "computer-drawn phantom" in " ".join(told.split())


def test_two_centres_in_one_cohort(mistake: Mistake, journey: Journey, source: Path) -> None:
    other = mistake.folder / "other"
    for number in range(3, 5):
        write_patient(other / str(number), number)
        edit(other / str(number) / "CT", from_another_scanner)
    mistake.is_said_by(
        lambda out: ["import", other, copied(journey.cohort, out)],
        "new patients come from another scanner",
        "from_elsewhere",
    )
    mixed = copied(journey.cohort, mistake.folder / "mixed")
    assert main(["import", str(other), str(mixed), "--also-from-elsewhere"]) == 0
    for command in users(mixed, journey.model_s, source).values():
        mistake.is_said_by(command, "2 of 5 cases come from elsewhere", "mixed_origins")


def from_another_scanner(image: Dataset) -> None:
    image.ManufacturerModelName = "SOMATOM Force"


def test_left_and_right_swapped(mistake: Mistake, phantom: Path, source: Path) -> None:
    names = mistake.folder / "swapped.toml"
    names.write_text(SWAPPED)
    fourth = phantom / "fourth"
    words, kind = "left and right look swapped in 1 case", "doubtful_sides"
    mistake.is_said_by(lambda out: ["import", fourth, out, "--names", names], words, kind)
    cohort = copied(phantom / "cohort", mistake.folder / "cohort")
    assert main(["import", str(fourth), str(cohort), "--names", str(names)]) == 0
    for command in users(cohort, phantom / "model", source).values():
        mistake.is_said_by(command, words, kind)
    mistake.is_said_by(
        lambda out: ["deidentify", fourth, out, "--names", names],
        "the name says Parotid_L",
        "swapped_sides",
    )


def test_a_typo_in_the_map(mistake: Mistake, journey: Journey) -> None:
    names = mistake.folder / "typo.toml"
    names.write_text('[names]\n"Lens OS" = "Lens_left"\n')
    archive = journey.archive
    given: Arguments = ["--names", names]
    others = mistake.folder / "others"
    write_patient(others / "0", 0)
    person = archive / "0"
    commands: list[Command] = [
        lambda out: ["import", archive, out, *given],
        lambda _: ["import", archive, "--dry-run", *given],
        lambda out: ["deidentify", archive, out, *given],
        lambda out: ["contour", journey.model_s, person, "--out", f"{out}.dcm", *given],
        lambda out: [
            *("evaluate", journey.cohort, "--contours", f"Other={others}", "--out", out),
            *given,
        ],
    ]
    for command in commands:
        mistake.is_said_by(command, "did you mean Lens_L?", "new_organs")
    names.write_text('[names]\n"Linse lnks" = "Lens_L"\n')
    mistake.is_said_by(
        lambda out: ["import", archive, out, *given],
        "no ROI here is called by 1 name of the map",
        "unmatched_map_names",
    )


def test_a_changed_map_on_a_cohort_that_is_there(
    mistake: Mistake, journey: Journey, source: Path
) -> None:
    names = mistake.folder / "names.toml"
    names.write_text('[names]\n"Lens OS" = "ignore"\n')
    mistake.is_said_by(
        lambda out: ["import", journey.archive, copied(journey.cohort, out), "--names", names],
        "not applied to 3 of 3 cases",
        "map_not_applied",
    )
    stale = copied(journey.cohort, mistake.folder / "stale")
    assert main(["import", str(journey.archive), str(stale), "--names", str(names)]) == 0
    commands = users(stale, journey.model_s, source)
    inspected = commands.pop("inspect")
    assert "not applied to 3 of 3 cases" in mistake.hear(inspected)
    answer = json.loads(mistake.hear(inspected, "--json"))
    assert len(answer["result"]["not_applied"]) == 3
    for command in commands.values():
        mistake.is_said_by(command, "not applied to 3 of 3 cases", "map_not_applied")


def test_structure_sets_of_one_uid(mistake: Mistake, journey: Journey, source: Path) -> None:
    archive = with_two_structure_sets(mistake.folder / "dicom")
    words, kind = "share their date, time and SOPInstanceUID", "equally_new_structure_sets"
    cohort = mistake.folder / "cohort"
    assert main(["import", str(archive), str(cohort)]) == 0
    for command in ("import", "deidentify"):
        mistake.is_said_by(partial(reading, command, archive), words, kind)
    told = json.loads(mistake.hear(lambda _: ["inspect", cohort], "--json"))
    (left_out,) = told["result"]["left_out"]
    assert words in left_out["reason"]

    edit(archive / "0" / "RS2.dcm", draw_later)
    words, kind = "another structure set has the same SOPInstanceUID", "shared_structure_set_uid"
    for command in ("import", "deidentify"):
        mistake.is_said_by(partial(reading, command, archive), words, kind)
    newer = mistake.folder / "newer"
    assert main(["import", str(archive), str(newer)]) == 0
    kept = "another structure set had the SOPInstanceUID of the one taken"
    for use in users(newer, journey.model_s, source).values():
        mistake.is_said_by(use, kept, "shared_source_uid")


def with_two_structure_sets(archive: Path) -> Path:
    """Write three patients, the first with two structure sets of one UID, date and time."""
    for number in range(3):
        write_patient(archive / str(number), number)
    shutil.copy(archive / "0" / "RS.dcm", archive / "0" / "RS2.dcm")
    edit(archive / "0" / "RS2.dcm", rename_lens)
    return archive


def rename_lens(dataset: Dataset) -> None:
    for roi in dataset.StructureSetROISequence:
        roi.ROIName = roi.ROIName.replace("Lens OS", "Optic Chiasm")


def draw_later(dataset: Dataset) -> None:
    dataset.StructureSetDate = "20991231"


def reading(command: str, archive: Path, out: Path) -> Arguments:
    return [command, archive, out]


def test_models_that_found_nothing(
    mistake: Mistake, journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study's cells run elsewhere; what it says then is in tests/study/test_study_report.py."""
    monkeypatch.setattr(Contourer, "contour", nothing)
    cohort, model = journey.cohort, journey.model_s
    mistake.is_said_by(
        lambda out: ["evaluate", cohort, model, "--out", out],
        "no model found any organ",
        "unfound_organs",
    )
    mistake.is_said_by(
        lambda out: ["train", cohort, "--out", out, *SHORT],
        "not found on the patients that the model was trained on",
        "organs_not_found_after_training",
    )


def nothing(
    contourer: Contourer, _hu: object, grid: Grid, organs: Sequence[str] | None = None
) -> Iterator[tuple[str, Mask]]:
    """Find nothing."""
    for organ in organs or contourer.model.organs:
        yield organ, np.zeros(grid.shape, dtype=bool)


def test_the_same_patient_in_training_and_test(
    mistake: Mistake, journey: Journey, source: Path
) -> None:
    archive = mistake.folder / "dicom"
    for number in range(3):
        again = archive / str(number)
        write_patient(again, 10 + number)
        for path in (again / "CT", again / "RS.dcm"):
            edit(path, partial(set_patient, f"MRN-4711{number}"))
    cohort = mistake.folder / "cohort"
    assert main(["import", str(archive), str(cohort), "--centre", "north"]) == 0
    mistake.is_said_by(
        lambda out: ["evaluate", cohort, journey.model_s, "--out", out],
        "3 of 3 patients share a PatientID with someone whose other CT was used to train",
        "trained_on_test_patients",
    )
    mistake.is_said_by(
        lambda out: ["study", study(out, journey.cohort, cohort), "--dry-run"],
        "the PatientID, or nearly the CT, of someone the",
        "patients_of_both_centres",
    )
    mistake.is_said_by(
        lambda out: ["import", archive, copied(journey.cohort, out)],
        "2 CTs under one PatientID count as one patient",
        "several_cts_of_one_patient",
    )
    both = copied(journey.cohort, mistake.folder / "both")
    assert main(["import", str(archive), str(both)]) == 0
    assert "CTs of one patient: " in mistake.hear(lambda _: ["inspect", both])


def set_patient(patient_id: str, dataset: Dataset) -> None:
    dataset.PatientID = patient_id


def test_cord_and_canal_and_organs_cut_by_the_scan(
    mistake: Mistake, journey: Journey, source: Path
) -> None:
    archive, names = mistake.folder / "dicom", mistake.folder / "names.toml"
    for number in range(3):
        write_patient(archive / str(number), number, ("Brain Stem", "Spinal Canal"))
    names.write_text('[names]\n"Spinal Canal" = "SpinalCord"\n')
    cohort = mistake.folder / "cohort"
    assert main(["import", str(archive), str(cohort), "--names", str(names)]) == 0
    said = {
        "cord_called_canal": "the structure set calls it a canal in 3 cases",
        "cord_like_canal": "as wide as the spinal canal in 3 of 3 cases",
        "cut_by_scan": "reaches the upper end of the scan in 3 of 3 cases",
    }
    commands = users(cohort, journey.model_s, source)
    commands["import"] = lambda out: ["import", archive, out, "--names", names]
    for command in commands.values():
        mistake.are_said_by(command, said)
