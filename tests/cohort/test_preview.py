"""`import --dry-run`: what import would make of the ROI names, and nothing written."""

from pathlib import Path

import pytest
from tests.cohort.test_importing import patient
from tests.dicom.conftest import make_scan
from tests.journeys.conftest import write_patient

from recontour import import_dicom, preview_import, read_template
from recontour.cli import main
from recontour.cohort.import_findings import (
    PartialForeseen,
    PartialNotMet,
    PartialWithoutEffect,
)
from recontour.cohort.preview import ImportPreview
from recontour.dicom import Authorship, write_segmentation
from recontour.errors import NamesError, NoSeriesError, OutputError
from recontour.findings import kind
from recontour.organs.findings import UnmatchedMapNames


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    patient(tmp_path / "dicom" / "1", ("Hirnstamm", "Parotis", "Stam"), seed="1")
    patient(tmp_path / "dicom" / "2", ("Hirnstamm", "PTV 70"), seed="2")
    return tmp_path / "dicom"


def counts(preview: ImportPreview) -> dict[str, tuple[str | None, str, int]]:
    return {row.roi_name: (row.tg263, row.status, count) for row, count in preview.names}


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_it_says_what_the_import_then_says_and_writes_nothing(dicom: Path) -> None:
    before = everything(dicom.parent)
    preview = preview_import(dicom)
    assert everything(dicom.parent) == before
    assert preview.structure_sets == 2
    assert counts(preview) == {
        "Hirnstamm": ("Brainstem", "mapped", 2),
        "Parotis": (None, "ambiguous", 1),
        "Stam": (None, "ignored", 1),
        "PTV 70": (None, "ignored", 1),
    }
    assert import_dicom(dicom, dicom.parent / "cohort").names == preview.names


def test_the_users_map_is_used(dicom: Path, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[names]\nStam = "Larynx"\nXY = "Lens_L"\n')
    preview = preview_import(dicom, names=tmp_path / "map.toml")
    assert counts(preview)["Stam"] == ("Larynx", "mapped", 1)
    assert preview.notes == (UnmatchedMapNames(roi_names=("'XY'",), count=1),)


def test_partly_contoured_organs_are_foreseen(tmp_path: Path) -> None:
    for number in range(2):
        write_patient(tmp_path / "dicom" / str(number), number)
    partial = ["Brainstem", "Lens_L=above", "Larynx"]
    preview = preview_import(tmp_path / "dicom", partial=partial)
    assert preview.notes == (
        PartialForeseen(organ="Brainstem", ends=("below", "above"), structure_sets=2, of=2),
        PartialNotMet(organs=("Larynx",)),
        PartialWithoutEffect(organ="Lens_L", ends=("above",), cases=2),
    )
    with pytest.raises(NamesError):
        preview_import(tmp_path / "dicom", partial=["Brainstem=left"])


def test_a_segmentation_s_names_are_read(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "dicom")
    masks = [("Kehlkopf", scan.hu > -2000)]
    write_segmentation(tmp_path / "dicom" / "seg.dcm", masks, scan, Authorship("a person"))
    assert counts(preview_import(tmp_path / "dicom")) == {"Kehlkopf": ("Larynx", "mapped", 1)}


def test_what_would_be_left_out_is_listed(dicom: Path) -> None:
    make_scan(dicom / "3", seed="3")
    patient(dicom / "4", seed="4")
    (dicom / "4" / "rs.dcm").write_bytes((dicom / "4" / "rs.dcm").read_bytes()[:700])
    preview = preview_import(dicom)
    assert preview.structure_sets == 2
    assert "no_structure_set" in {kind(left.finding) for left in preview.left_out}
    assert any(left.path.name == "rs.dcm" for left in preview.left_out)


def test_without_a_ct_there_is_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    with pytest.raises(NoSeriesError):
        preview_import(tmp_path / "dicom", draft_map=tmp_path / "draft.toml")
    assert not (tmp_path / "draft.toml").exists()


def test_a_draft_is_filled_in_and_used(dicom: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.toml"
    preview_import(dicom, draft_map=draft)
    text = draft.read_text(encoding="utf-8")
    assert 'a target, not an organ\n# "PTV 70" = ""' in text
    assert "Hirnstamm" not in text
    draft.write_text(text.replace('# "Parotis" = "Parotid_R"', '"Parotis" = "Parotid_R"'))
    assert counts(preview_import(dicom, names=draft))["Parotis"] == ("Parotid_R", "mapped", 1)
    assert read_template(draft).name_of("Parotid_R") == "Parotis"


def test_a_draft_never_replaces_a_file(dicom: Path, tmp_path: Path) -> None:
    (tmp_path / "draft.toml").write_text("mine")
    with pytest.raises(OutputError, match=r"draft\.toml"):
        preview_import(dicom, draft_map=tmp_path / "draft.toml")
    assert (tmp_path / "draft.toml").read_text() == "mine"


def test_the_command_shows_names_and_makes_no_cohort(
    dicom: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, draft = dicom.parent / "cohort", dicom.parent / "draft.toml"
    assert main(["import", str(dicom), str(cohort), "--dry-run", "--partial", "Larynx"]) == 0
    assert main(["import", str(dicom), "--draft-map", str(draft)]) == 0
    said = capsys.readouterr().out
    ending = "2 structure sets; names: 1 mapped, 1 ambiguous, 1 unknown, 1 left out for a reason."
    assert said.count(ending) == 2
    assert "a known spelling" in said
    assert "--partial: no patient here has Larynx" in said
    assert "map to fill in" in said
    assert draft.exists()
    assert not cohort.exists()


def test_an_import_needs_a_cohort(dicom: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(dicom)]) == 2
    assert "DICOM_DIR and COHORT are expected" in capsys.readouterr().err
