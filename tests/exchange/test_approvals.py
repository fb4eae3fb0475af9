"""Approved contours are compared with the draft that they came of, and with no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from tests.dicom.conftest import edit

from recontour.dicom import Authorship, Scan, ScanIdentity, write_scan, write_structure_set
from recontour.errors import NoSeriesError
from recontour.exchange.approvals import Approvals, match_approvals, read_both
from recontour.exchange.findings import ApprovalsMatched, NotMonitored, SeveralDraftModels
from recontour.findings import Finding, stored_words, words
from recontour.geometry import Grid, traced
from recontour.geometry.arrays import Mask

GRID = Grid((5, 24, 24), (2.0, 2.0), tuple(3.0 * k for k in range(5)), (-23.0, -23.0))


def box(shift: int) -> Mask:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[1:4, 6:12, 6 + shift : 12 + shift] = True
    return mask


def on_day(day: int) -> datetime:
    return datetime(2026, 3, day, 12, 0, 0)


@dataclass
class Clinic:
    """Folders of CTs with approved contours, and of drafts."""

    folder: Path
    scans: dict[str, Scan] = field(default_factory=dict)

    @property
    def drafts(self) -> Path:
        return self.folder / "drafts"

    @property
    def approved(self) -> Path:
        return self.folder / "approved"

    def scan(self, patient: str) -> Scan:
        if patient not in self.scans:
            hu = np.random.default_rng(ord(patient)).integers(0, 99, GRID.shape, dtype=np.int16)
            identity = ScanIdentity(patient, patient_id=patient, patient_name=f"Doe^{patient}")
            self.scans[patient] = write_scan(self.approved / patient, hu, GRID, identity)
        return self.scans[patient]

    def draft(self, patient: str, day: int, *, model: str = "north", shift: int = 0) -> Path:
        author = Authorship(model, is_draft=True, made=on_day(day))
        return self._write(self.drafts / f"{patient}{day}.dcm", patient, author, shift)

    def approve(self, patient: str, day: int, *, shift: int = 0) -> Path:
        author = Authorship("a person", algorithm="MANUAL", made=on_day(day))
        path = self.approved / patient / f"approved{day}.dcm"
        written = self._write(path, patient, author, shift)

        def by_the_planning_system(dataset: Dataset) -> None:
            dataset.Manufacturer = "a planning system"

        edit(written, by_the_planning_system)
        return written

    def _write(
        self,
        path: Path,
        patient: str,
        author: Authorship,
        shift: int,
    ) -> Path:
        scan = self.scan(patient)
        path.parent.mkdir(exist_ok=True, parents=True)
        write_structure_set(path, traced([("Brainstem", box(shift))], GRID), scan, author)
        return path

    def match(self) -> Approvals:
        return match_approvals(self.drafts, self.approved)


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


def reasons(found: Approvals) -> list[str]:
    return sorted(one.why for one in found.left_out if isinstance(one, NotMonitored))


def change(path: Path, how: Callable[[Dataset], None]) -> None:
    edit(path, how)


def test_the_order_is_that_of_approval(clinic: Clinic) -> None:
    for patient, drafted, approved in (("a", 1, 9), ("b", 2, 5), ("c", 3, 7)):
        clinic.draft(patient, drafted)
        clinic.approve(patient, approved)
    found = clinic.match()
    days = [pair.moment[0] for pair in found.pairs]
    assert days == ["20260305", "20260307", "20260309"]
    assert found.notes == [ApprovalsMatched(pairs=3, by_predecessor=0, by_ct=3)]
    assert not found.left_out


@pytest.mark.parametrize(
    ("by_predecessor", "by_ct", "said"),
    [
        (0, 1, "1 draft has approved contours, found by the CT that both are drawn on"),
        (2, 0, "2 drafts have approved contours, which name the draft that they come from"),
        (
            1,
            2,
            "3 drafts have approved contours: 1 names the draft, 2 were found by the CT that both "
            "are drawn on",
        ),
    ],
)
def test_what_belongs_together_is_said_in_plain_words(
    by_predecessor: int, by_ct: int, said: str
) -> None:
    pairs = by_predecessor + by_ct
    matched = ApprovalsMatched(pairs=pairs, by_predecessor=by_predecessor, by_ct=by_ct)
    assert words(matched) == said


def test_the_review_counts_before_the_structure_set(clinic: Clinic) -> None:
    for patient in "ab":
        clinic.draft(patient, 1)
    clinic.approve("a", 2)

    def reviewed(dataset: Dataset) -> None:
        dataset.ApprovalStatus = "APPROVED"
        dataset.ReviewDate, dataset.ReviewTime, dataset.ReviewerName = "20260320", "080000", "x"

    change(clinic.approve("b", 1), reviewed)
    moments = [pair.moment for pair in clinic.match().pairs]
    assert [date for date, _ in moments] == ["20260302", "20260320"]


def test_a_predecessor_counts_before_the_ct(clinic: Clinic) -> None:
    first = clinic.draft("a", 1)
    clinic.draft("a", 2)

    def made_from_first(dataset: Dataset) -> None:
        from pydicom import dcmread

        reference = Dataset()
        reference.ReferencedSOPClassUID = dataset.SOPClassUID
        reference.ReferencedSOPInstanceUID = dcmread(first).SOPInstanceUID
        dataset.PredecessorStructureSetSequence = Items([reference])

    change(clinic.approve("a", 3), made_from_first)
    found = clinic.match()
    (pair,) = found.pairs
    assert pair.by_predecessor
    assert pair.draft.path == first
    assert reasons(found) == ["not approved"]


def test_of_several_drafts_the_newest_before_the_approval_counts(clinic: Clinic) -> None:
    clinic.draft("a", 1)
    taken = clinic.draft("a", 3)
    clinic.draft("a", 8)
    clinic.approve("a", 5)
    found = clinic.match()
    assert [pair.draft.path for pair in found.pairs] == [taken]
    assert reasons(found) == ["not approved", "not approved"]


def test_nothing_is_dropped_silently(clinic: Clinic) -> None:
    clinic.draft("a", 2)
    clinic.approve("a", 3)
    clinic.approve("a", 4)  # the first one was corrected
    clinic.draft("b", 2)  # nobody approved it
    clinic.approve("c", 3)  # never drafted
    clinic.draft("d", 5)
    clinic.approve("d", 4)  # older than the draft
    clinic.draft("e", 1)

    def rejected(dataset: Dataset) -> None:
        dataset.ApprovalStatus = "REJECTED"

    def without_date(dataset: Dataset) -> None:
        dataset.StructureSetDate = ""

    change(clinic.approve("e", 2), rejected)
    clinic.draft("f", 1)
    change(clinic.approve("f", 2), without_date)
    found = clinic.match()
    assert [pair.moment[0] for pair in found.pairs] == ["20260304"]
    assert reasons(found) == [
        "approved again",
        "no date",
        "no draft",
        "not approved",
        "not approved",
        "not approved",
        "not approved",
        "older than its draft",
        "rejected",
    ]


def test_an_approved_draft_is_unchanged(clinic: Clinic) -> None:
    for patient, shift in (("a", 0), ("b", 1)):
        clinic.draft(patient, 1)
        clinic.approve(patient, 2, shift=shift)
    pairs = sorted(clinic.match().pairs, key=lambda pair: str(pair.approved.path))
    notes: list[Finding] = []
    same, moved = (read_both(pair, {}, notes.append) for pair in pairs)
    assert same.is_unchanged
    assert not moved.is_unchanged
    assert (moved.approved["Brainstem"] == box(1)).all()
    assert not notes


def test_a_draft_that_lies_among_the_approved_ones_is_none(clinic: Clinic) -> None:
    clinic.draft("a", 1)
    clinic.approve("a", 2)
    clinic.draft("b", 1)
    moved = clinic.draft("b", 3)
    moved.rename(clinic.approved / "b" / "RS.dcm")
    found = clinic.match()
    assert len(found.pairs) == 1
    assert reasons(found) == ["not approved", "still a draft"]

    def approved(dataset: Dataset) -> None:
        dataset.ApprovalStatus = "APPROVED"

    change(clinic.approved / "b" / "RS.dcm", approved)
    assert len(clinic.match().pairs) == 2


def test_drafts_of_several_models_are_noted(clinic: Clinic) -> None:
    for patient, model in (("a", "north"), ("b", "south")):
        clinic.draft(patient, 1, model=model)
        clinic.approve(patient, 2)
    notes = clinic.match().notes
    assert SeveralDraftModels(models=("north", "south"), counts=(1, 1)) in notes


def test_without_a_ct_there_is_nothing_to_compare_on(clinic: Clinic) -> None:
    clinic.draft("a", 1)
    path = clinic.approve("a", 2)
    for ct in path.parent.glob("*.dcm"):
        if ct != path:
            ct.unlink()
    with pytest.raises(NoSeriesError, match="the CT that it was drawn on is in neither folder"):
        clinic.match()


def test_folders_without_drafts_or_approvals_are_refused(clinic: Clinic) -> None:
    clinic.approve("a", 2)
    clinic.drafts.mkdir()
    with pytest.raises(NoSeriesError, match="no structure set here is a draft"):
        clinic.match()
    clinic.draft("b", 1)
    with pytest.raises(NoSeriesError, match="nothing here belongs to a draft"):
        clinic.match()


def test_what_is_left_out_names_nobody_when_stored(clinic: Clinic) -> None:
    clinic.draft("a", 1)
    clinic.approve("a", 2)
    clinic.approve("b", 2)
    findings: Sequence[Finding] = clinic.match().left_out
    said = " ".join(map(stored_words, findings))
    assert "Doe" not in said
    assert "2026" not in said
    assert str(clinic.folder) not in said


def test_free_text_of_a_header_is_no_model(clinic: Clinic) -> None:
    for patient in "ab":
        clinic.draft(patient, 1)
        clinic.approve(patient, 2)

    def described_by_a_person(dataset: Dataset) -> None:
        dataset.SeriesDescription = "recontour draft: see Doe/Jane"

    change(clinic.drafts / "a1.dcm", described_by_a_person)
    notes = clinic.match().notes
    assert SeveralDraftModels(models=("a model", "north"), counts=(1, 1)) in notes


@pytest.mark.parametrize("date", ["NOTADATE", "20261350", "99", "2026031 "])
def test_what_is_no_date_has_no_place_in_time(clinic: Clinic, date: str) -> None:
    for patient in "ab":
        clinic.draft(patient, 1)
        clinic.approve(patient, 2)

    def undated(dataset: Dataset) -> None:
        dataset.StructureSetDate = date

    change(clinic.approved / "a" / "approved2.dcm", undated)
    found = clinic.match()
    assert len(found.pairs) == 1
    assert "no date" in reasons(found)
