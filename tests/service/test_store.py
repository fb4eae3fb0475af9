"""The database of a site."""

from recontour.service.store import Series, Store


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
