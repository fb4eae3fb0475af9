"""The database of a site."""

from sqlalchemy import text

from recontour.service import jobs
from recontour.service.settings import Site
from recontour.service.store import FORMAT, Format, Job, Series, Store


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


def test_a_database_of_the_first_format_is_brought_up_to_date(site: Site, store: Store) -> None:
    with store.begin() as session:
        job_id = jobs.put(session, "send", "send 1").id
        session.execute(text("ALTER TABLE jobs DROP COLUMN deaths"))
        session.execute(text("UPDATE format SET version = 1"))
    store = Store.of(site)
    with store.begin() as session:
        assert session.get_one(Job, job_id).deaths == 0
        assert [one.version for one in session.query(Format)] == [FORMAT]
