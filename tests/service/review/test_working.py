"""Edits, undo and redo without end, revisions, locks."""

import json

import pytest
from sqlalchemy import func, select
from tests.service.review.conftest import Desk

from recontour.findings import words
from recontour.service.review import locks
from recontour.service.review.conflicts import ConflictError, UnknownPartError
from recontour.service.review.prepared import SHOWN
from recontour.service.review.working import Workbench, organs_of
from recontour.service.store import Draft, Edit


def test_strokes_are_undone_and_done_again_without_end(desk: Desk) -> None:
    states = [desk.state().contours]
    for step in range(12):
        assert desk.dab(18.0 + 2 * step).revision == step + 1
        states.append(desk.state().contours)
    assert not desk.state().can_redo
    for step in reversed(range(12)):
        change = desk.undo()
        assert (change.revision, change.can_undo) == (step, step > 0)
        assert desk.state().contours == states[step]
    assert desk.undo().changed == {}
    assert desk.state().edited == ()
    for step in range(12):
        assert desk.redo().revision == step + 1
        assert desk.state().contours == states[step + 1]
    assert desk.redo().changed == {}


def test_an_answer_holds_what_changed_and_nothing_else(desk: Desk) -> None:
    before = desk.state().contours
    change = desk.dab()
    assert list(change.changed) == ["Brainstem"]
    assert list(change.changed["Brainstem"]) == [2]
    after = desk.state()
    assert after.contours["Brainstem"][2] == change.changed["Brainstem"][2]
    assert after.contours["Brainstem"][3] == before["Brainstem"][3]
    assert after.contours["Lens_L"] == before["Lens_L"]
    assert after.edited == ("Brainstem",)
    assert desk.undo().changed["Brainstem"][2] == before["Brainstem"][2]


def test_another_process_finds_every_stroke_that_was_answered(desk: Desk) -> None:
    desk.dab(20.0)
    desk.dab(24.0)
    desk.undo()
    assert desk.state(Workbench()).contours == desk.state().contours
    assert desk.state(Workbench()).can_redo


def test_a_stroke_after_undo_removes_what_was_undone_and_gets_a_number_of_its_own(
    desk: Desk,
) -> None:
    desk.dab(20.0)
    assert desk.dab(24.0).revision == 2
    assert desk.undo().revision == 1
    third = desk.dab(28.0)
    assert (third.revision, third.can_redo) == (3, False)
    with desk.store.begin() as session:
        assert session.scalar(select(func.count()).select_from(Edit)) == 2
    # Somebody who still sees revision 2 sees other contours.
    with pytest.raises(ConflictError, match="changed meanwhile"):
        desk.edit("Brainstem", at_revision=2, kind="delete", slice=2, where="here")
    assert desk.undo().revision == 1
    assert desk.redo().revision == 3


def test_a_stroke_that_changes_nothing_is_no_edit(desk: Desk) -> None:
    change = desk.dab(0.0)
    assert (change.revision, change.changed, change.can_undo) == (0, {}, False)


def test_an_organ_that_was_not_found_can_be_drawn_and_an_unknown_one_cannot(desk: Desk) -> None:
    assert organs_of(desk.draft) == ["Lens_R", "Brainstem", "Lens_L"]
    desk.dab(-20.0, organ="Lens_R")
    assert desk.state().edited == ("Lens_R",)
    assert list(desk.state().contours["Lens_R"]) == [2]
    with pytest.raises(UnknownPartError):
        desk.dab(-20.0, organ="Kidney_L")


def test_one_person_edits_at_a_time_and_a_lock_ends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(locks, "now", lambda: clock[0])
    desk.dab(20.0)
    other = Desk(desk.site, desk.store, desk.workbench, desk.draft_id, "editor")
    with pytest.raises(ConflictError) as refused:
        other.dab(24.0)
    assert words(refused.value.finding).startswith("doctor is editing this draft")
    with pytest.raises(ConflictError):
        other.undo()
    assert desk.state().revision == 1
    clock[0] += locks.HELD_S - 1
    desk.dab(24.0)  # keeps it
    clock[0] += locks.HELD_S - 1
    with pytest.raises(ConflictError):
        other.dab(28.0)
    clock[0] += 1
    assert other.dab(28.0).revision == 3
    with desk.store.begin() as session:
        locks.release(session, desk.draft_id, "doctor")  # not theirs any more
        held = locks.holder(session, desk.draft_id)
        assert held is not None
        assert held.who == "editor"
        locks.release(session, desk.draft_id, "editor")
        session.flush()
        assert locks.holder(session, desk.draft_id) is None


def test_a_stroke_that_fails_leaves_no_trace(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.dab(20.0)

    def fail(*_arguments: object) -> None:
        raise OSError("full")

    before = desk.state()
    with monkeypatch.context() as patch:
        patch.setattr("recontour.service.review.working.as_plain", fail)
        with pytest.raises(OSError, match="full"):
            desk.dab(24.0)
    assert desk.state() == before
    assert desk.dab(24.0).revision == 2


def test_a_draft_that_gets_the_number_of_a_deleted_one_shows_its_own_contours(desk: Desk) -> None:
    desk.dab(30.0)
    desk.undo()
    before = desk.state().contours
    with desk.store.begin() as session:
        draft = session.get_one(Draft, desk.draft_id)
        session.query(Edit).delete()
        draft.sop_instance_uid = "1.2.3"
    shown = desk.site.folder / desk.draft.folder / SHOWN
    stored = json.loads(shown.read_text())
    stored["contours"].pop("Linse links")
    shown.write_text(json.dumps(stored))
    assert desk.state().contours.keys() == before.keys() - {"Lens_L"}
