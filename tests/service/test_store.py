"""The database of a site."""

import pytest
from sqlalchemy import select, text

from recontour.service import jobs
from recontour.service.settings import Site
from recontour.service.store import (
    ARRIVING,
    FORMAT,
    TAKEN,
    Draft,
    Edit,
    Format,
    Job,
    ModelVersion,
    Series,
    Store,
)


def arrived(uid: str) -> Series:
    return Series(uid=uid, modality="CT", first_at=0.0, last_at=0.0)


def test_a_deleted_series_number_is_not_given_to_another_patient(store: Store) -> None:
    with store.begin() as session:
        session.add(arrived("1.2"))
        gone = arrived("1.3")
        session.add(gone)
        session.flush()
        number = gone.id
        session.delete(gone)
    with store.begin() as session:
        later = arrived("1.4")
        session.add(later)
        session.flush()
        assert later.id > number


def test_who_only_reads_does_not_wait_for_who_writes_and_changes_nothing(store: Store) -> None:
    with store.begin() as session:
        session.add(arrived("1.2"))
    with store.begin() as session:
        session.scalars(select(Series)).one().state = TAKEN
        session.flush()
        with store.reading() as beside:
            series = beside.scalars(select(Series)).one()
            assert series.state == ARRIVING
    assert series.uid == "1.2"  # what was read stays at hand
    with pytest.raises(AssertionError, match="only reads"), store.reading() as session:
        session.scalars(select(Series)).one().state = ARRIVING
    with store.reading() as session:
        assert session.scalars(select(Series)).one().state == TAKEN


def test_a_database_of_the_second_format_is_brought_up_to_date(site: Site, store: Store) -> None:
    with store.begin() as session:
        session.add(ModelVersion(name="north", number=0, file="", sha256="", state="", made_at=0.0))
        session.add(arrived("1.2"))
        session.flush()
        session.add(
            Draft(series_id=1, generation=0, rule="all", model_id=1, folder="",
                  sop_instance_uid="1.2.3", made_at=0.0)
        )  # fmt: skip
        session.flush()
        session.add(
            Edit(draft_id=1, number=1, organ="Lens_L", kind="brush", who="doctor", at=0.0,
                 before={}, after={}, is_undone=True)
        )  # fmt: skip
    with store.begin() as session:
        session.execute(text("ALTER TABLE edits DROP COLUMN request"))
        session.execute(text("ALTER TABLE edits DROP COLUMN step"))
        session.execute(text("UPDATE format SET version = 2"))
    store = Store.of(site)
    with store.begin() as session:
        (edit,) = session.scalars(select(Edit))
        assert (edit.number, edit.organ, edit.is_undone, edit.request) == (1, "Lens_L", True, "")
        assert [one.version for one in session.query(Format)] == [FORMAT]


def test_a_database_of_the_first_format_is_brought_up_to_date(site: Site, store: Store) -> None:
    with store.begin() as session:
        job_id = jobs.put(session, "send", "send 1").id
        session.execute(text("ALTER TABLE jobs DROP COLUMN deaths"))
        session.execute(text("ALTER TABLE edits DROP COLUMN request"))
        session.execute(text("ALTER TABLE edits DROP COLUMN step"))
        session.execute(text("UPDATE format SET version = 1"))
    store = Store.of(site)
    with store.begin() as session:
        assert session.get_one(Job, job_id).deaths == 0
        assert list(session.scalars(select(Edit.request))) == []
        assert [one.version for one in session.query(Format)] == [FORMAT]
