"""Patients, voxels, contours and approvals, as a browser gets them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.page.conftest import Browser, Served
from tests.service.page.site_with_a_draft import GRID, add_returned, small_case

from recontour.findings import Unexpected, as_json
from recontour.geometry import Contour, rasterise
from recontour.service import jobs
from recontour.service.node.findings import OutdatedNotSent
from recontour.service.review.planes import from_plain
from recontour.service.store import (
    ARRIVING,
    COMPLETE,
    INCOMPLETE,
    UNMATCHED,
    Approval,
    Audited,
    Draft,
    Edit,
    Job,
    Series,
    now,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ANOTHER_UID = "1.2.3.9"
LABEL = "Plan <b>"
AWAY = Unexpected(reason="it does not answer")


def row(browser: Browser, search: str = "") -> dict[str, Any]:
    (found,) = browser.get("/api/series", params={"search": search}).json()["series"]
    return dict(found)


def voxels(contours: dict[str, Any], organ: str) -> Any:
    """Return the mask that a layer's rings enclose."""
    drawn = []
    for index, rings in from_plain(contours.get(organ, {})).items():
        drawn += [Contour(np.array(ring), GRID.slice_z_mm[index]) for ring in rings]
    return rasterise(drawn, GRID)


def test_the_list_says_what_became_of_a_series(served: Served) -> None:
    (viewer,) = served.browsers("viewer")
    found = row(viewer)
    assert (found["patient_name"], found["patient_id"]) == ("PHANTOM, Ada", "P-1")
    assert (found["state"], found["words"], found["organs"]) == ("to review", "", 2)
    assert found["look_first"] == ["Lens_R", "Brainstem", "Lens_L"]
    seen = []
    with served.store.begin() as session:
        jobs.put(session, "contour", "contour 1 1 all", {"rule": "all"}, series_id=1)
    seen.append(row(viewer)["state"])
    with served.store.begin() as session:
        claimed = jobs.claim(session, "contour", 1)
        assert claimed is not None
    seen.append(row(viewer)["state"])
    with served.store.begin() as session:
        jobs.failed(session, claimed.id, AWAY, again=False)
    seen.append(row(viewer)["state"])
    assert row(viewer)["words"] == "contouring failed: it does not answer"
    for state in (ARRIVING, INCOMPLETE, UNMATCHED):
        with served.store.begin() as session:
            series = session.get_one(Series, 1)
            series.state, series.finding = state, as_json(AWAY)
        seen.append(row(viewer)["state"])
        assert row(viewer)["words"].endswith("it does not answer")
    assert seen == ["waiting", "contouring", "failed", "arriving", "incomplete", "unmatched"]


def test_a_doubt_about_a_series_that_was_contoured_is_shown(served: Served) -> None:
    (viewer,) = served.browsers("viewer")
    with served.store.begin() as session:
        session.get_one(Series, 1).finding = as_json(AWAY)
    assert row(viewer)["words"] == "it does not answer"
    assert "it does not answer" in viewer.get("/api/series/1").json()["findings"]


def test_a_search_finds_parts_of_names_and_takes_no_pattern(served: Served) -> None:
    (viewer,) = served.browsers("viewer")
    for words in ("ada", "P-1", "NECK", "phantom^a"):
        assert row(viewer, words)["id"] == 1
    for words in ("%", "_-1", "' OR 1=1 --", "\\", "eve"):
        assert viewer.get("/api/series", params={"search": words}).json() == {"series": []}


def test_a_job_that_failed_is_put_back_and_a_series_contoured_again(served: Served) -> None:
    editor, viewer = served.browsers("editor", "viewer")
    first = editor.post("/api/series/1/contour", {"anyway": True}).json()["job"]
    again = editor.post("/api/series/1/contour").json()["job"]
    assert first["id"] == again["id"]  # it still waits
    with served.store.begin() as session:
        assert session.get_one(Job, first["id"]).key == "contour 1 0 all"
        claimed = jobs.claim(session, "contour", 1)
        assert claimed is not None
        jobs.failed(session, claimed.id, AWAY, again=False)
    (failed,) = row(viewer)["jobs"]
    assert (failed["state"], failed["words"]) == ("failed", "contouring failed: it does not answer")
    assert editor.post(f"/api/jobs/{failed['id']}/again").json()["job"]["state"] == "waiting"
    with served.store.begin() as session:
        events = session.query(Audited).filter_by(event="changed", what="contour tried again")
        assert [event.who for event in events] == ["editor"]
        jobs.done(session, failed["id"])
    other = editor.post("/api/series/1/contour").json()["job"]
    assert other["id"] != first["id"]
    with served.store.begin() as session:
        session.get_one(Series, 1).state = ARRIVING
    assert editor.post("/api/series/1/contour").status_code == 409


def test_a_reviewer_is_told_that_earlier_contours_were_not_sent(served: Served) -> None:
    (viewer,) = served.browsers("viewer")
    with served.store.begin() as session:
        job = jobs.put(session, "send", "send draft 1 tps", series_id=1)
        jobs.withdraw(session, job.id, OutdatedNotSent(destination="tps"))
    (told,) = viewer.get("/api/series/1").json()["findings"]
    assert "earlier contours were not sent to tps" in told
    assert row(viewer)["jobs"] == []


def test_a_training_is_tried_again_by_whoever_may_ask_for_one(served: Served) -> None:
    doctor, boss = served.browsers("doctor", "boss")
    with served.store.begin() as session:
        job = jobs.put(session, "learn", "learn north", {"model": "north"})
        jobs.claim(session, "learn", 1)
        jobs.failed(session, job.id, AWAY, again=False)
    path = f"/api/jobs/{job.id}/again"
    assert doctor.post(path).status_code == 403
    assert boss.post(path).json()["job"]["state"] == "waiting"
    with served.store.begin() as session:
        (event,) = session.query(Audited).filter_by(event="learnt")
        assert (event.who, event.what) == ("boss", "learn tried again")


def test_a_series_that_no_rule_takes_cannot_be_contoured(served: Served) -> None:
    (editor,) = served.browsers("editor")
    with served.store.begin() as session:
        series = session.get_one(Series, 1)
        series.state, series.rule = COMPLETE, None
    assert editor.post("/api/series/1/contour").status_code == 200  # "all" takes everything
    with served.store.begin() as session:
        assert session.get_one(Series, 1).rule == "all"


def test_a_series_comes_with_its_voxels_and_contours(served: Served) -> None:
    (viewer,) = served.browsers("viewer")
    found = viewer.get("/api/series/1").json()
    assert found["grid"]["shape"] == [6, 64, 64]
    assert found["may"] == {"edit": False, "approve": False}
    assert found["review_order"][0] == {"organ": "Lens_R", "reasons": ["not found on this CT"]}
    (layer,) = found["layers"]
    names = {one["organ"]: one["roi_name"] for one in layer["organs"]}
    assert names == {"Lens_R": "Lens_R", "Brainstem": "HIRNSTAMM", "Lens_L": "Linse links"}
    hu, structures = small_case()
    some = viewer.get("/api/series/1/volume", params={"first": 2, "count": 3})
    assert (np.frombuffer(some.content, "<i2").reshape(3, 64, 64) == hu[2:5]).all()
    everything = viewer.get("/api/series/1/volume", params={"count": 999})
    assert len(everything.content) == int(everything.headers["content-length"]) == hu.nbytes
    for wrong in ({"first": 6}, {"first": -1}, {"count": 0}, {"count": "x"}, {"first": "9" * 99}):
        assert viewer.get("/api/series/1/volume", params=wrong).status_code == 400
    contours = viewer.get(f"/api/layers/{layer['id']}/contours").json()
    for organ in structures.names:
        drawn = rasterise(structures[organ].contours, GRID)
        assert (voxels(contours, organ) == drawn).all()


def test_a_correction_is_approved_and_shown_as_a_layer(served: Served) -> None:
    doctor, viewer = served.browsers("doctor", "viewer")
    assert doctor.dab().json()["revision"] == 1
    working = viewer.get("/api/drafts/1/working").json()
    assert (working["edited"], working["can_undo"]) == (["Brainstem"], True)
    organs = ["Brainstem", "Lens_L", "Lens_R"]
    answer = doctor.change("approve", 1, organs=organs, seconds=9.5)
    assert (answer.json()["approval_id"], answer.json()["layer"]) == (1, "approved-1")
    assert answer.json()["findings"] == []
    approved, draft = viewer.get("/api/series/1").json()["layers"]
    assert (approved["id"], draft["id"]) == ("approved-1", "draft-1")
    assert [one["organ"] for one in approved["organs"]] == ["Brainstem", "Lens_L"]
    shown = viewer.get("/api/layers/approved-1/contours").json()
    for organ in ("Brainstem", "Lens_L"):
        assert (voxels(shown, organ) == voxels(working["contours"], organ)).all()
    found = row(viewer)
    assert (found["state"], found["approved_by"]) == ("approved", "doctor")
    with served.store.begin() as session:
        assert session.get_one(Approval, 1).seconds == 9.5


def came_back(served: Served, approved: Path, status: str) -> int:
    """Let another program have saved an approved set anew; return its row."""
    return add_returned(
        served.site, served.store, approved, 1, uid=ANOTHER_UID, status=status, label=LABEL
    )


@pytest.mark.parametrize(
    ("status", "review"),
    [("UNAPPROVED", "not approved"), ("APPROVED", "approved"), ("REJECTED", "rejected")],
)
def test_what_came_back_from_another_program_is_listed_and_shown(
    served: Served, status: str, review: str
) -> None:
    doctor, viewer = served.browsers("doctor", "viewer")
    doctor.dab()
    doctor.change("approve", 1, organs=["Brainstem"])
    with served.store.begin() as session:
        approved = served.site.folder / session.get_one(Approval, 1).file
    assert row(viewer)["returned"] is None
    number = came_back(served, approved, status)
    listed = row(viewer)["returned"]
    assert (listed["sender"], listed["review"], listed["label"]) == ("OHIF", review, LABEL)
    layer, *_ = viewer.get("/api/series/1").json()["layers"]
    assert (layer["id"], layer["kind"]) == (f"returned-{number}", "returned")
    assert layer["label"].startswith(f"From OHIF, {review}, ")
    assert layer["label"].endswith(f": {LABEL}")
    shown = viewer.get(f"/api/layers/returned-{number}/contours").json()
    assert shown == viewer.get("/api/layers/approved-1/contours").json()
    assert viewer.get("/api/layers/returned-1/contours").status_code == 404
    copy = {"kind": "copy", "layer": f"returned-{number}", "slices": None}
    doctor.change("undo", 1)
    changed = doctor.change("edits", 0, organ="Brainstem", op=copy).json()["changed"]
    assert list(changed["Brainstem"]) == ["2"]


def test_what_the_site_sent_and_got_back_is_nobody_else_s(served: Served) -> None:
    (doctor,) = served.browsers("doctor")
    doctor.change("approve", 0, organs=["Brainstem"])
    with served.store.begin() as session:
        approval = session.get_one(Approval, 1)
        approved = served.site.folder / approval.file
        approval.sop_instance_uid = ANOTHER_UID
    came_back(served, approved, "APPROVED")
    assert row(doctor)["returned"] is None


def test_who_approves_is_told_if_the_rule_has_gone(served: Served) -> None:
    (doctor,) = served.browsers("doctor")
    with served.store.begin() as session:
        session.get_one(Draft, 1).rule = "older"
    answer = doctor.change("approve", 0, organs=["Brainstem"]).json()
    (told,) = answer["findings"]
    assert "sent nowhere: the site has no rule older any more" in told
    assert answer["destinations"] == []


def test_copying_a_layer_brings_the_draft_back(served: Served) -> None:
    (doctor,) = served.browsers("doctor")
    before = doctor.get("/api/drafts/1/working").json()["contours"]
    doctor.dab()
    copy = {"kind": "copy", "layer": "draft-1", "slices": None}
    answer = doctor.change("edits", 1, organ="Brainstem", op=copy)
    assert list(answer.json()["changed"]["Brainstem"]) == ["2"]
    working = doctor.get("/api/drafts/1/working").json()
    assert (working["contours"], working["edited"]) == (before, [])
    for layer in ("draft-2", "approved-1", "draft-x", "x", "draft-"):
        other = copy | {"layer": layer}
        assert doctor.change("edits", 2, organ="Brainstem", op=other).status_code == 404


def test_two_people_at_one_draft_see_each_other_s_lock(served: Served) -> None:
    doctor, editor = served.browsers("doctor", "editor")
    assert doctor.get("/api/series/1").json()["lock"] is None
    assert doctor.dab().status_code == 200
    lock = editor.get("/api/series/1").json()["lock"]
    assert (lock["who"], lock["until"] > now()) == ("doctor", True)
    for answer in (editor.dab(1), editor.change("undo", 1),
                   editor.post("/api/drafts/1/lock")):  # fmt: skip
        assert answer.status_code == 409
        assert answer.json()["error"].startswith("doctor is editing this draft")
    assert editor.post("/api/drafts/1/unlock").json()["lock"]["who"] == "doctor"
    assert doctor.post("/api/drafts/1/unlock").json() == {"lock": None}
    assert editor.post("/api/drafts/1/lock").json()["lock"]["who"] == "editor"
    assert editor.dab(0).status_code == 409  # an old page
    assert editor.change("undo", 0).status_code == 409
    assert editor.dab(1, x_mm=25.0).json()["revision"] == 2


def test_an_old_window_does_not_change_another_draft_of_the_same_number(served: Served) -> None:
    (doctor,) = served.browsers("doctor")
    assert doctor.dab().status_code == 200
    with served.store.begin() as session:
        session.get_one(Draft, 1).sop_instance_uid += ".1"
    old = {"draft_uid": "1.2.3"}
    brush = {"kind": "delete", "slice": 2, "where": "here"}
    for path, sent in (
        ("edits", {"organ": "Brainstem", "op": brush}),
        ("undo", {}),
        ("redo", {}),
        ("approve", {"organs": ["Brainstem"]}),
    ):
        answer = doctor.change(path, 1, **(sent | old))
        assert answer.status_code == 409
        assert "of another draft" in answer.json()["error"]
        assert answer.json()["kind"] == "other_draft"


@pytest.mark.parametrize("field", ["draft_uid", "request"])
def test_a_stroke_says_which_draft_it_means_and_has_an_id(served: Served, field: str) -> None:
    (doctor,) = served.browsers("doctor")
    sent = {"draft_uid": doctor.draft_uid(), "revision": 0, "request": "first-stroke"}
    del sent[field]
    answer = doctor.post("/api/drafts/1/undo", sent)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{field} is missing")


def test_a_request_that_comes_twice_is_done_once(served: Served) -> None:
    (doctor,) = served.browsers("doctor")
    brush = {"kind": "brush", "add": True, "slice": 2, "radius_mm": 4, "path_mm": [[22.0, 0]]}
    stroke = {"organ": "Brainstem", "op": brush, "request": "first-stroke"}
    drawn = doctor.change("edits", 0, **stroke)
    assert doctor.change("edits", 0, **stroke).json() == drawn.json()
    undone = doctor.change("undo", 1, request="take-it-back")
    assert doctor.change("undo", 1, request="take-it-back").json() == undone.json()
    assert undone.json()["can_redo"]
    redone = doctor.change("redo", 0, request="do-it-again")
    assert doctor.change("redo", 0, request="do-it-again").json() == redone.json()
    with served.store.begin() as session:
        assert session.query(Edit).count() == 1
    undone = doctor.change("undo", 1, request="in-another-window")
    assert undone.json()["revision"] == 0
    assert doctor.change("edits", 0, **stroke).status_code == 409  # it is not drawn again
    assert doctor.change("redo", 0).json()["revision"] == 1
    doctor.dab(1, x_mm=25.0)
    late = doctor.change("redo", 0, request="do-it-again")  # what it shows is no longer so
    assert late.status_code == 409


def test_an_audit_trail_names_each_event_once_in_a_session(served: Served) -> None:
    (doctor,) = served.browsers("doctor")
    for revision in range(3):
        doctor.get("/api/series/1")
        doctor.dab(revision, x_mm=22.0 + revision)
    doctor.change("approve", 3, organs=["Brainstem"])
    with served.store.begin() as session:
        events = [
            (one.event, one.action, one.who, one.patient_id) for one in session.query(Audited)
        ]
    assert events == [
        ("login", "E", "doctor", ""),
        ("viewed", "R", "doctor", "P-1"),
        ("changed", "U", "doctor", "P-1"),
        ("approved", "U", "doctor", "P-1"),
    ]


def test_no_text_of_dicom_s_becomes_markup(served: Served) -> None:
    with served.store.begin() as session:
        series = session.get_one(Series, 1)
        for name in ("patient_name", "patient_id", "description", "body_part", "manufacturer"):
            setattr(series, name, HOSTILE)
        series.finding = as_json(Unexpected(reason=HOSTILE))
        series.state = INCOMPLETE
        draft = session.get_one(Draft, 1)
        draft.organs = dict.fromkeys(draft.organs, HOSTILE)
        draft.findings = [as_json(Unexpected(reason=HOSTILE))]
    (boss,) = served.browsers("boss")
    for path in ("/", "/review/1", "/models", "/nothing", f"/review/{HOSTILE}",
                 f"/acceptance/{HOSTILE}/report.html"):  # fmt: skip
        answer = boss.get(path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "alert(" not in answer.text
    for path in ("/api/series", "/api/series/1", "/api/layers/draft-1/contours",
                 f"/api/series/{HOSTILE}", "/api/models"):  # fmt: skip
        answer = boss.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_the_login_form_shows_again_is_text(served: Served) -> None:
    answer = served.browser().log_in(HOSTILE[:60], "wrong password")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_fault_says_no_more_than_its_kind(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (viewer,) = served.browsers("viewer")

    def fail(*_: object) -> None:
        raise RuntimeError("PHANTOM^Ada")

    monkeypatch.setattr("recontour.service.page.series.prepared", fail)
    answer = viewer.get("/api/series/1")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.json()["error"]
    assert "Ada" not in answer.text + caplog.text
    assert "RuntimeError at test_series.py" in caplog.text
