"""What is approved is what the RTSTRUCT says."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.service.review.conftest import Desk

from recontour.dicom import drafted_by, read_archive, read_structure_set
from recontour.errors import FaultError, SettingsError
from recontour.exchange.approvals import match_approvals
from recontour.geometry import rasterise
from recontour.service.review.approve import Approver, _written, approve, shown_contours
from recontour.service.review.conflicts import ConflictError, UnknownPartError
from recontour.service.store import Approval, Audited, Job, Lock, Series

ALL = ("Brainstem", "Lens_L", "Lens_R")


def approve_all(desk: Desk, organs: tuple[str, ...] = ALL, seconds: float = 0.0) -> Approval:
    state = desk.state()
    approver = Approver(desk.who, "127.0.0.1", seconds)
    approval_id = approve(
        desk.site, desk.store, desk.workbench, desk.draft_id, state.revision, organs, approver
    )
    with desk.store.begin() as session:
        return session.get_one(Approval, approval_id)


def rois(path: Path) -> dict[str, pydicom.Dataset]:
    dataset = pydicom.dcmread(path)
    return {roi.ROIName: roi for roi in dataset.StructureSetROISequence}


def contour_data(path: Path, name: str) -> list[list[str]]:
    dataset = pydicom.dcmread(path)
    number = rois(path)[name].ROINumber
    for item in dataset.ROIContourSequence:
        if item.ReferencedROINumber == number:
            return [list(map(str, contour.ContourData)) for contour in item.ContourSequence]
    raise KeyError(name)


def test_the_file_says_who_approved_what_and_from_which_draft(desk: Desk) -> None:
    desk.dab()
    before = datetime.now() - timedelta(seconds=1)
    approval = approve_all(desk, seconds=42.5)
    path = desk.site.folder / approval.file
    written = pydicom.dcmread(path)
    assert (written.ApprovalStatus, str(written.ReviewerName)) == ("APPROVED", "doctor")
    reviewed = datetime.strptime(written.ReviewDate + written.ReviewTime, "%Y%m%d%H%M%S")
    assert before.replace(microsecond=0) <= reviewed <= datetime.now()
    (predecessor,) = written.PredecessorStructureSetSequence
    assert predecessor.ReferencedSOPInstanceUID == desk.draft.sop_instance_uid
    assert written.SOPInstanceUID == approval.sop_instance_uid != desk.draft.sop_instance_uid
    algorithms = {name: roi.ROIGenerationAlgorithm for name, roi in rois(path).items()}
    assert algorithms == {"HIRNSTAMM": "SEMIAUTOMATIC", "Linse links": "AUTOMATIC"}
    assert drafted_by(path) == "north version 0"
    assert (desk.shown.folder / "RS.dcm").is_file()
    assert (approval.reviewer, approval.seconds) == ("doctor", 42.5)


def test_monitor_finds_the_draft_and_sees_an_approved_set(desk: Desk) -> None:
    desk.dab()
    approve_all(desk)
    (pair,) = match_approvals(desk.site.folder / "drafts", desk.site.folder).pairs
    assert pair.by_predecessor
    (approved,) = read_archive(desk.site.folder / "approved").structure_sets
    assert approved.is_approved
    assert not approved.is_draft


def test_what_nobody_edited_is_the_draft_s_to_the_digit(desk: Desk) -> None:
    desk.dab()
    path = desk.site.folder / approve_all(desk).file
    draft = desk.shown.folder / "RS.dcm"
    assert contour_data(path, "Linse links") == contour_data(draft, "Linse links")
    was, is_now = contour_data(draft, "HIRNSTAMM"), contour_data(path, "HIRNSTAMM")
    edited_mm = desk.shown.grid.slice_z_mm[2]
    assert [one for one in was if float(one[2]) != edited_mm] == [
        one for one in is_now if float(one[2]) != edited_mm
    ]


def test_the_voxels_are_those_that_the_page_showed(desk: Desk) -> None:
    desk.dab()
    desk.edit("Brainstem", kind="brush", add=False, slice=3, path_mm=[[4.0, 3.0]], radius_mm=2.5,
              reach=1)  # fmt: skip
    desk.dab(-20.0, organ="Lens_R")
    state = desk.state()
    path = desk.site.folder / approve_all(desk).file
    grid = desk.shown.grid
    written = read_structure_set(path, None)
    names = {"Brainstem": "HIRNSTAMM", "Lens_L": "Linse links", "Lens_R": "Lens_R"}
    assert set(written.names) == set(names.values())
    for organ, name in names.items():
        says = rasterise(written[name].contours, grid)
        assert says.any()
        assert (says == rasterise(shown_contours(state.contours[organ], grid), grid)).all()


def test_changes_are_kept_in_mm(desk: Desk) -> None:
    # A ball of 6 mm at the border of the brain stem, on one slice of 3 mm.
    desk.edit("Brainstem", kind="brush", add=True, slice=2, path_mm=[[21.0, 1.0]], radius_mm=6.0)
    changes = approve_all(desk).changes
    assert changes["Lens_L"] == {
        "edited": False, "mean_mm": 0.0, "max_mm": 0.0, "added_path_mm": 0.0, "volume_cc": 0.0,
    }  # fmt: skip
    stem = changes["Brainstem"]
    assert stem["edited"]
    # The disc's area outside the stem is between a third and all of 113 mm2, 3 mm thick.
    assert 0.1 < stem["volume_cc"] < 0.34
    # The disc reaches 27 mm from the middle, the stem 21 mm; but 3 mm above there is stem as well.
    assert 3.0 <= stem["max_mm"] <= 8.0
    assert 0 < stem["mean_mm"] < 1
    assert stem["added_path_mm"] > 12


def test_only_chosen_organs_are_approved_and_unknown_or_empty_ones_never(desk: Desk) -> None:
    path = desk.site.folder / approve_all(desk, ("Lens_L", "Lens_R")).file
    assert list(rois(path)) == ["Linse links"]
    for organs in (("Lens_R",), ()):
        with pytest.raises(SettingsError, match="none of the chosen organs"):
            approve_all(desk, organs)
    with pytest.raises(UnknownPartError):
        approve_all(desk, ("Kidney_L",))
    assert len(list((desk.site.folder / "approved").rglob("*.dcm"))) == 1


def test_approving_puts_jobs_and_is_audited_in_one_transaction(desk: Desk) -> None:
    first, second = approve_all(desk), approve_all(desk)
    with desk.store.begin() as session:
        jobs = {job.key: job.subject for job in session.query(Job)}
        (event, _) = session.query(Audited).filter_by(event="approved")
    assert jobs[f"send approval {first.id} tps"] == {"file": first.file, "destination": "tps"}
    assert jobs[f"collect {second.id}"] == {"approval": second.id}
    assert len(jobs) == 4
    assert first.file != second.file
    assert (event.who, event.patient_id, event.address) == ("doctor", "P-1", "127.0.0.1")


def test_of_two_approvals_at_once_one_counts_and_keeps_its_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Approval] = []

    def written_while_another_approves(*arguments: Any) -> Any:
        monkeypatch.undo()
        first.append(approve_all(desk))
        return _written(*arguments)

    monkeypatch.setattr("recontour.service.review.approve._written", written_while_another_approves)
    with pytest.raises(ConflictError, match="approved just now"):
        approve_all(desk)
    (file,) = (desk.site.folder / "approved").rglob("*.dcm")
    assert file == desk.site.folder / first[0].file


@pytest.mark.parametrize("change", [{"generation": 1}, {"state": "incomplete"}])
def test_a_draft_of_fewer_slices_cannot_be_approved(desk: Desk, change: dict[str, Any]) -> None:
    with desk.store.begin() as session:
        (series,) = session.query(Series)
        for name, value in change.items():
            setattr(series, name, value)
    with pytest.raises(ConflictError, match="the CT has changed"):
        approve_all(desk)


def test_a_lock_or_newer_edits_stop_an_approval(desk: Desk) -> None:
    desk.dab()
    approver = Approver("editor")
    with pytest.raises(ConflictError, match="doctor is editing"):
        approve(desk.site, desk.store, desk.workbench, 1, 1, ALL, approver)
    with desk.store.begin() as session:
        session.query(Lock).delete()
    with pytest.raises(ConflictError, match="changed meanwhile"):
        approve(desk.site, desk.store, desk.workbench, 1, 0, ALL, approver)
    assert not list((desk.site.folder / "approved").rglob("*.dcm"))


def test_a_file_that_says_something_else_is_not_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.dab()
    state = desk.state()
    monkeypatch.setattr(
        "recontour.service.review.approve.contours_of", lambda *_: []
    )  # what a fault in writing might do
    with pytest.raises(FaultError, match="differs from the page by"):
        approve_all(desk)
    assert not list((desk.site.folder / "approved").rglob("*.dcm"))
    assert desk.state() == state
