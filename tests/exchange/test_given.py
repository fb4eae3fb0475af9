"""Contours from elsewhere are scored on the case that they were drawn on, and on no other."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copy

import numpy as np
import pytest
from tests.dicom.conftest import edit

from recontour import evaluate, import_dicom
from recontour.assess.findings import SameAsReference
from recontour.cli import main
from recontour.cohort import Case, Cohort, case_id_of
from recontour.dicom import (
    Authorship,
    Scan,
    ScanIdentity,
    write_scan,
    write_segmentation,
    write_structure_set,
)
from recontour.dicom.findings import NewestStructureSetTaken, SharedStructureSetUid
from recontour.errors import LabelsError, NoSeriesError, SettingsError
from recontour.exchange.findings import (
    LackingOrgans,
    NoContoursOfCases,
    NoOrganInCommon,
    NotAllCases,
    SeveralContoursOfCase,
    SharedGrid,
    UnmatchedContours,
    UnusedNames,
)
from recontour.exchange.given import GivenContours, read_given
from recontour.exchange.nifti import write_nifti
from recontour.findings import Finding, stored_words
from recontour.geometry import Grid, traced
from recontour.geometry.arrays import Mask
from recontour.network import Model, save_model
from recontour.organs.findings import GivenTolerances, UnmatchedMapNames
from recontour.workflows.findings import NamesWithoutContours, NothingToScore, SharedModelName

STAMP = {"a": 0.0, "b": 0.0, "c": 1.0}  # the first two CTs share their grid


def grid_of(patient: str) -> Grid:
    z_mm = tuple(3.0 * k + STAMP.get(patient, 5.0) for k in range(5))
    return Grid((5, 24, 24), (2.0, 2.0), z_mm, (-23.0, -23.0))


def box(grid: Grid, row: int, *, shift: int = 0) -> Mask:
    mask = np.zeros(grid.shape, dtype=bool)
    mask[1:4, row : row + 5, 6 + shift : 12 + shift] = True
    return mask


def organs_of(grid: Grid, shift: int) -> dict[str, Mask]:
    return {"Brainstem": box(grid, 4, shift=shift), "Mandible": box(grid, 14, shift=shift)}


@dataclass(frozen=True)
class Place:
    """A cohort of three patients, and another observer's contours, two pixels to the side."""

    cohort: Cohort
    scans: dict[str, Scan]
    folder: Path

    def case(self, patient: str) -> Case:
        return self.cohort[self.case_id(patient)]

    def case_id(self, patient: str) -> str:
        return case_id_of("north", self.scans[patient].source.series_instance_uid)

    def draw(self, patient: str, names: Sequence[str] = ("Brainstem", "Mandible")) -> None:
        masks = organs_of(grid_of(patient), 2)
        drawn = traced([(name, masks[name]) for name in names], grid_of(patient))
        author = Authorship("an observer", algorithm="MANUAL", of_organs=False)
        self.folder.mkdir(exist_ok=True)
        write_structure_set(
            self.folder / f"{patient}.dcm",
            drawn,
            self.scans[patient],
            author,
        )

    def read(self, user_map: dict[str, str] | None = None) -> GivenContours:
        cases = list(self.cohort)
        return read_given("Observer", self.folder, cases, "north", user_map or {})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    scans = {}
    for patient in "abc":
        grid = grid_of(patient)
        hu = np.random.default_rng(ord(patient)).integers(0, 99, grid.shape, dtype=np.int16)
        identity = ScanIdentity(patient, patient_id=patient, patient_name=patient)
        scans[patient] = write_scan(tmp_path / "dicom" / patient, hu, grid, identity)
        drawn = traced(organs_of(grid, 0).items(), grid)
        author = Authorship("a person", algorithm="MANUAL")
        write_structure_set(tmp_path / "dicom" / f"{patient}.dcm", drawn, scans[patient], author)
    import_dicom(tmp_path / "dicom", tmp_path / "north")
    return Place(Cohort.open(tmp_path / "north"), scans, tmp_path / "observer")


def kinds(findings: Sequence[Finding]) -> set[type[Finding]]:
    return set(map(type, findings))


def test_structure_sets_are_matched_by_the_series_they_reference(place: Place) -> None:
    for patient in "abc":
        place.draw(patient)
    given = place.read()
    assert (given.matched.cases, given.matched.by_series, given.warnings) == (3, 3, ())
    for patient in "abc":
        masks = dict(given.masks(place.case(patient)))
        expected = organs_of(grid_of(patient), 2)
        assert masks.keys() == {"Brainstem", "Bone_Mandible"}
        assert np.array_equal(masks["Brainstem"], expected["Brainstem"])
        assert np.array_equal(masks["Bone_Mandible"], expected["Mandible"])


def test_that_another_structure_set_has_the_uid_of_the_one_taken_is_noted(place: Place) -> None:
    place.draw("a")
    older = place.folder / "older.dcm"
    copy(place.folder / "a.dcm", older)
    edit(older, lambda dataset: setattr(dataset, "StructureSetDate", "19991231"))
    assert {NewestStructureSetTaken, SharedStructureSetUid} <= kinds(place.read().notes)


def test_a_seg_and_a_structure_set_beside_its_ct_are_matched(place: Place) -> None:
    place.draw("a")
    seg = place.folder / "b.dcm"
    write_segmentation(
        seg, organs_of(grid_of("b"), 2).items(), place.scans["b"], Authorship("a tool")
    )
    source = place.folder.parent / "dicom" / "a"
    (place.folder / "ct").symlink_to(source)
    given = place.read()
    assert (given.matched.by_ct, given.matched.by_series) == (1, 1)
    seen = dict(given.masks(place.case("b")))["Brainstem"]
    assert np.array_equal(seen, organs_of(grid_of("b"), 2)["Brainstem"])


def test_what_matches_no_case_and_what_is_lacking_is_said(place: Place) -> None:
    place.draw("a")
    place.draw("b", ["Brainstem"])
    stranger = ScanIdentity("z", patient_id="z", patient_name="z")
    ct = np.zeros(grid_of("z").shape, dtype=np.int16)
    place.scans["z"] = write_scan(place.folder.parent / "z", ct, grid_of("z"), stranger)
    place.draw("z")
    given = place.read()
    (unmatched, partial, lacking) = given.warnings
    assert isinstance(unmatched, UnmatchedContours)
    assert unmatched.files == (place.folder / "z.dcm",)
    assert isinstance(partial, NotAllCases)
    assert partial.lacking == (place.case_id("c"),)
    assert isinstance(lacking, LackingOrgans)
    assert (lacking.organs, lacking.counts) == (("Bone_Mandible",), (1,))
    assert "z.dcm" not in stored_words(unmatched)


def test_names_are_mapped_and_unknown_ones_listed(place: Place) -> None:
    grid = grid_of("a")
    masks = {"Unterkiefer X": box(grid, 14, shift=2), "Stammhirn X": box(grid, 4, shift=2)}
    place.folder.mkdir()
    author = Authorship("an observer", of_organs=False)
    drawn = traced(masks.items(), grid)
    write_structure_set(place.folder / "a.dcm", drawn, place.scans["a"], author)
    given = place.read({"Stammhirn X": "Brainstem"})
    assert given.organs == ("Brainstem",)
    unused = [note for note in given.notes if isinstance(note, UnusedNames)]
    assert [note.roi_names for note in unused] == [("Unterkiefer X",)]
    with pytest.raises(LabelsError) as refused:
        place.read()
    assert isinstance(refused.value.finding, NoContoursOfCases)
    assert kinds(refused.value.finding.reasons) == {NoOrganInCommon}


def nifti_masks(folder: Path, patient: str) -> None:
    folder.mkdir(parents=True)
    for name, mask in organs_of(grid_of(patient), 2).items():
        write_nifti(folder / f"{name}.nii.gz", mask, grid_of(patient))


def test_masks_are_matched_by_the_cases_name_and_a_ct_beside_them_is_no_mask(place: Place) -> None:
    case = place.folder / place.case_id("a")
    nifti_masks(case / "segmentations", "a")
    write_nifti(case / "ct.nii.gz", place.scans["a"].hu, grid_of("a"))
    given = place.read()
    assert (given.matched.cases, given.matched.by_file_name) == (1, 1)
    seen = dict(given.masks(place.case("a")))["Bone_Mandible"]
    assert np.array_equal(seen, organs_of(grid_of("a"), 2)["Mandible"])


def test_a_label_map_is_matched_by_name_and_an_empty_label_is_a_missed_organ(place: Place) -> None:
    place.folder.mkdir()
    grid = grid_of("b")
    labels = box(grid, 4, shift=2).astype(np.uint8)
    write_nifti(place.folder / f"{place.case_id('b')}.nii.gz", labels, grid)
    names = {"labels": {"background": 0, "Brainstem": 1, "Bone_Mandible": 2}}
    (place.folder / "dataset.json").write_text(json.dumps(names))
    given = place.read()
    masks = dict(given.masks(place.case("b")))
    assert np.array_equal(masks["Brainstem"], box(grid, 4, shift=2))
    assert not masks["Bone_Mandible"].any()


def test_a_grid_matches_only_if_one_case_has_it(place: Place) -> None:
    nifti_masks(place.folder / "anyone", "c")
    nifti_masks(place.folder / "somebody", "a")  # so has b
    given = place.read()
    assert (given.matched.cases, given.matched.by_grid) == (1, 1)
    assert list(given.by_case) == [place.case_id("c")]
    shared = given.warnings[0]
    assert isinstance(shared, SharedGrid)
    assert shared.cases == 2


def test_two_sets_for_one_case_are_left_out(place: Place) -> None:
    place.draw("a")
    nifti_masks(place.folder / place.case_id("a"), "a")
    place.draw("b")
    given = place.read()
    assert list(given.by_case) == [place.case_id("b")]
    assert SeveralContoursOfCase in kinds(given.warnings)


def test_masks_off_the_grid_are_left_out_with_the_reason(place: Place) -> None:
    nifti_masks(place.folder / place.case_id("a"), "c")  # c's grid lies elsewhere
    place.draw("b")
    given = place.read()
    assert list(given.by_case) == [place.case_id("b")]
    assert given.warnings[0].case == place.case_id("a")


def test_a_folder_that_is_empty_or_not_there_is_an_error(place: Place) -> None:
    with pytest.raises(NoSeriesError):
        place.read()
    place.folder.mkdir()
    with pytest.raises(LabelsError) as refused:
        place.read()
    assert isinstance(refused.value.finding, NoContoursOfCases)


def test_contours_alone_are_scored_with_the_users_tolerances(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for patient in "abc":
        place.draw(patient)
    (tmp_path / "tolerances.toml").write_text("Brainstem = 4.5\nLens_L = 1\n")
    caplog.set_level(logging.INFO)
    scores = evaluate(
        place.cohort.path,
        [],
        tmp_path / "out",
        contours={"Observer": place.folder, "The same": tmp_path / "dicom"},
        tolerances=tmp_path / "tolerances.toml",
    )
    first, second = [row for row in scores if row.case == place.case_id("a")][:2]
    assert {first.organ, second.organ} == {"Brainstem", "Bone_Mandible"}
    by_organ = {first.organ: first, second.organ: second}
    # Two of six columns differ, so the faces lie up to 4 mm apart.
    assert by_organ["Brainstem"].dsc == pytest.approx(2 * 4 / 12)
    assert by_organ["Brainstem"].tolerance_mm == 4.5
    assert by_organ["Brainstem"].surface_dsc == 1
    assert by_organ["Bone_Mandible"].tolerance_mm == 1.01
    assert by_organ["Bone_Mandible"].surface_dsc < 1
    found = [record.finding for record in caplog.records if hasattr(record, "finding")]
    same = [one for one in found if isinstance(one, SameAsReference)]
    assert [(one.model, len(one.cases)) for one in same] == [("The same", 3)]
    used = GivenTolerances(organs=("Brainstem",), tolerances_mm=(4.5,), unused=("Lens_L",))
    assert used in found
    page = (tmp_path / "out" / "report.html").read_text()
    for words in (
        "2 sets of contours from elsewhere against the contours of north",
        "4.5‡",
        "Observer stands for contours from elsewhere of 3 of 3 cases, matched 3 by the series they",
        "matched 3 by the CT beside them",
        "--contours Observer=FOLDER",
        "equal the cohort&#39;s own to the voxel",
    ):
        assert words in page
    assert str(tmp_path) not in page


def test_a_map_is_refused_without_contours_and_lines_that_match_nothing_are_listed(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = tmp_path / "names.toml"
    names.write_text('names = {"nobody drew it" = "Larynx"}')
    with pytest.raises(SettingsError) as refused:
        evaluate(place.cohort.path, [tmp_path / "m"], tmp_path / "out", names=names)
    assert refused.value.finding == NamesWithoutContours(path=names)
    place.draw("a")
    caplog.set_level(logging.INFO)
    evaluate(place.cohort.path, [], tmp_path / "out", contours={"A": place.folder}, names=names)
    found = [getattr(record, "finding", None) for record in caplog.records]
    assert UnmatchedMapNames(roi_names=("'nobody drew it'",), count=1) in found


def test_nothing_to_score_and_a_name_twice_are_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        evaluate(place.cohort.path, [], tmp_path / "out")
    assert refused.value.finding == NothingToScore()
    place.draw("a")
    (tmp_path / "m.safetensors").touch()
    with pytest.raises(SettingsError) as refused:
        evaluate(
            place.cohort.path,
            [tmp_path / "m.safetensors"],
            tmp_path / "out",
            contours={"m": place.folder},
        )
    assert refused.value.finding == SharedModelName(names=("m",))
    assert not (tmp_path / "out").exists()


def test_contours_stand_beside_models_in_one_command(
    place: Place, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.draw("a")
    place.draw("b")
    save_model(model, tmp_path / "S")
    where = ["evaluate", place.cohort.path, tmp_path / "S", "--out", tmp_path / "out"]
    given = ["--contours", f"Observer={place.folder}", "--json"]
    assert main(list(map(str, [*where, *given]))) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"]["models"] == ["S", "Observer"]
    scored = {(row["model"], row["case"]) for row in answer["result"]["scores"]}
    assert len(scored) == 3 + 2
    assert {one["kind"] for one in answer["warnings"]} >= {"not_all_cases"}
    matched = [one for one in answer["notes"] if one["kind"] == "contours_matched"]
    assert [one["facts"]["by_series"] for one in matched] == [2]
    assert main(list(map(str, [*where[:-1], tmp_path / "more", *given, *given]))) == 2
    refused = json.loads(capsys.readouterr().out)
    assert refused["error"]["kind"] == "shared_contours_name"
