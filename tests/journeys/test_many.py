"""`recontour contour` on a folder of many CT series."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.conftest import drafting
from tests.dicom.conftest import edit
from tests.journeys.conftest import Journey, with_a_square, write_patient

from recontour import contour_all
from recontour.cli import main
from recontour.contouring.contourer import Contourer
from recontour.dicom import read_archive
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model


@pytest.fixture
def contoured(monkeypatch: pytest.MonkeyPatch) -> list[Grid]:
    """Find every organ in its place; the list grows with every CT that is contoured."""
    seen: list[Grid] = []

    def empty(
        _contourer: object, _hu: object, grid: Grid, organs: tuple[str, ...]
    ) -> Iterator[tuple[str, Mask]]:
        seen.append(grid)
        yield from ((organ, np.zeros(grid.shape, dtype=bool)) for organ in organs)

    monkeypatch.setattr(Contourer, "drafts", drafting(with_a_square(empty)))
    return seen


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Three patients, of whom one has a hole in the CT, and a file that is damaged."""
    for number in range(3):
        write_patient(tmp_path / "dicom" / f"Müller {number}", number)
    slices = sorted((tmp_path / "dicom" / "Müller 1" / "CT").iterdir())
    slices[2].unlink()
    damaged = tmp_path / "dicom" / "damaged.dcm"
    damaged.write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00")
    return tmp_path / "dicom"


def test_every_series_gets_contours_and_failures_do_not_stop_the_rest(
    journey: Journey,
    many: Path,
    tmp_path: Path,
    contoured: list[Grid],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: list[Path] = []

    def load(path: Path) -> Model:
        loaded.append(path)
        return load_model(path)

    monkeypatch.setattr("recontour.contouring.contourer.load_model", load)
    out = tmp_path / "drafts"
    command = ["contour", str(journey.model_s), str(many), "--out", str(out)]
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(f"recontour: {many}: 2 of 4 failed, the rest is")
    assert said.out.splitlines()[0].startswith("Müller_0_CT.dcm: 2 organs")
    assert said.out.count("no slice between") == said.out.count("damaged.dcm") == 2  # and once more
    assert "2 contoured, 0 done before, 2 failed" in said.out
    assert len(loaded) == 1
    files = {path.name for path in out.iterdir()}
    assert files == {"Müller_0_CT.dcm", "Müller_2_CT.dcm", "contours.json"}
    shutil.copytree(out, many / "drafts")
    assert len(read_archive(many).pairs) == 3  # each on its own CT, or the patient's own

    assert main(command) == 2
    assert "0 contoured, 2 done before, 2 failed" in capsys.readouterr().out
    assert len(contoured) == 2


def test_an_interrupted_run_goes_on(
    journey: Journey,
    tmp_path: Path,
    contoured: list[Grid],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "drafts"
    command = ["contour", str(journey.model_s), str(journey.archive), "--out", str(out)]
    write_bytes = Path.write_bytes
    written: list[Path] = []

    def interrupted(path: Path, content: bytes) -> None:
        write_bytes(path, content[: len(content) // 2 if written else None])
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        assert main(command) == 2
    assert "interrupted; nothing was left half written" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {"0_deep_CT.dcm", "contours.json"}
    assert main(command) == 0
    assert "2 contoured, 1 done before, 0 failed" in capsys.readouterr().out
    assert len(contoured) == 4


def test_contours_of_another_model_or_other_options_are_not_mixed_in(
    journey: Journey,
    tmp_path: Path,
    contoured: list[Grid],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "drafts"
    names = tmp_path / "map.toml"
    names.write_text('output = {suffix = "_AI"}')
    archive = str(journey.archive)
    assert main(["contour", str(journey.model_s), archive, "--out", str(out)]) == 0
    for model, options, changed in (
        (journey.model_st, [], "model"),
        (journey.model_s, ["--organs", "Lens_L"], "organs"),
        (journey.model_s, ["--format", "nifti"], "format"),
        (journey.model_s, ["--names", str(names)], "names"),
    ):
        capsys.readouterr()
        assert main(["contour", str(model), archive, "--out", str(out), *options]) == 2
        assert f"were made with other {changed}; choose another" in capsys.readouterr().err
    assert len(contoured) == 3


def test_series_that_came_since_are_added_also_in_place_of_a_smaller_one(
    journey: Journey, tmp_path: Path, contoured: list[Grid]
) -> None:
    dicom, out = tmp_path / "dicom", tmp_path / "drafts"
    out.mkdir()
    write_patient(dicom / "0", 0)
    last = max((dicom / "0" / "CT").iterdir())
    kept = last.read_bytes()
    last.unlink()
    run = ["contour", str(journey.model_s), str(dicom), "--out", str(out)]
    assert main(run) == 0  # one series into a folder that is there
    last.write_bytes(kept)
    write_patient(dicom / "1", 1)
    assert main(run) == 0
    assert len(contoured) == 3
    names = {path.name for path in out.iterdir()}
    assert {"0_CT.dcm", "1_CT.dcm", "contours.json"} < names
    (grown,) = names - {"0_CT.dcm", "1_CT.dcm", "contours.json"}
    assert grown.startswith("0_CT-")


def test_many_in_one_folder_as_nifti_and_json(
    journey: Journey, tmp_path: Path, contoured: list[Grid], capsys: pytest.CaptureFixture[str]
) -> None:
    flat, out = tmp_path / "flat", tmp_path / "masks"
    flat.mkdir()
    for number in range(2):
        write_patient(tmp_path / "dicom", number)
        for path in (tmp_path / "dicom" / "CT").iterdir():
            shutil.move(path, flat / f"CT.1.2.{number}.{path.name}")
        shutil.rmtree(tmp_path / "dicom")
    capsys.readouterr()
    command = ["contour", str(journey.model_s), str(flat), "--out", str(out), "--json"]
    assert main([*command, "--format", "nifti"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["failure"] for one in answer["result"]["series"]] == [None, None]
    folders = [Path(one["screen_only"]["written"]) for one in answer["result"]["series"]]
    assert all((folder / "Brainstem.nii.gz").exists() for folder in folders)
    assert len(set(folders)) == 2


def set_series(uid: str, dataset: pydicom.Dataset) -> None:
    dataset.SeriesInstanceUID = uid


def test_parts_of_one_ct_are_told(journey: Journey, tmp_path: Path, contoured: list[Grid]) -> None:
    write_patient(tmp_path / "dicom", 0)
    for number, path in enumerate(sorted((tmp_path / "dicom" / "CT").iterdir())):
        edit(path, partial(set_series, f"1.2.{number // 3}"))
    many = contour_all(journey.model_s, tmp_path / "dicom", tmp_path / "drafts")
    found = [[type(warning).__name__ for warning in one.warnings] for one in many]
    # The lower part does not show the lens that is found there.
    about_both = ["TrainedOnThisPatient", "MayBeParts"]
    assert found == [["TrainedOnThisPatient", "OrganUnlikeTraining", "MayBeParts"], about_both]


@pytest.mark.parametrize("content", ["{", "[]", '{"made_by": 1, "files": {}}'])
def test_a_damaged_list_is_one_line(
    journey: Journey, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "contours.json").write_text(content)
    command = ["contour", str(journey.model_s), str(journey.archive), "--out", str(tmp_path)]
    assert main(command) == 2
    assert "the list of contours is damaged" in capsys.readouterr().err.splitlines()[-1]


def test_a_file_whose_name_may_be_a_folders_is_pointed_out(
    journey: Journey,
    many: Path,
    tmp_path: Path,
    contoured: list[Grid],
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = str(many / "Müller 0")
    command = ["contour", str(journey.model_s), one, "--out"]
    assert main([*command, str(tmp_path / "drafts")]) == 0
    assert "a file was written, as the folder holds one series" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "draft.dcm")]) == 0
    assert "a file was written" not in capsys.readouterr().err
    assert main([*command, str(tmp_path / "masks.nii.gz"), "--format", "nifti"]) == 0
    assert "this is a folder, with a NIfTI file for each organ" in capsys.readouterr().err
    assert len(contoured) == 3
