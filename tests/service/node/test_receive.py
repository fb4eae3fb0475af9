import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select
from tests.service.node.peers import HERE, calling, image, images, send, structures

from recontour.dicom.received import read_received
from recontour.errors import SettingsError
from recontour.findings import words
from recontour.service.child import Ending
from recontour.service.folder import SiteFolder
from recontour.service.node import keeping
from recontour.service.node.arrivals import Call, Ledger, begin_again
from recontour.service.node.receive import Receiver
from recontour.service.settings import Caller, Site
from recontour.service.store import (
    INCOMPLETE,
    TAKEN,
    Association,
    Audited,
    Carried,
    Series,
    Store,
)

UID = "1.2.826.1"


def files_of(site: Site, uid: str = UID) -> list[Path]:
    return sorted(SiteFolder(site.folder).received(uid).glob("*"))


def rows(store: Store, table: Any) -> list[Any]:
    with store.begin() as session:
        return list(session.scalars(select(table)))


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    for _ in range(1000):
        if is_so():
            return
        Ending().wait(0.01)
    raise AssertionError("it never was so")


def ended(store: Store) -> bool:
    return all(one.ended_at for one in rows(store, Association))


def test_what_is_acknowledged_is_on_the_disk_and_in_the_database(
    site: Site, store: Store, receiver: Receiver
) -> None:
    sent = images(UID, 3)
    assert send(site.node.port, sent) == [0, 0, 0]
    assert len(files_of(site)) == 3
    assert pydicom.dcmread(files_of(site)[0]) == sent[0]
    wait_for(lambda: ended(store))
    (series,) = rows(store, Series)
    assert (series.uid, series.modality, series.instances) == (UID, "CT", 3)
    assert (series.patient_id, series.patient_name) == ("4711", "Doe^Jane")
    assert (series.calling_ae, series.called_ae) == ("CT1", "RECONTOUR")
    (association,) = rows(store, Association)
    assert (association.calling_ae, association.how_ended) == ("CT1", "released")
    (audited,) = rows(store, Audited)
    assert (audited.event, audited.who, audited.patient_id) == ("received", "CT1", "4711")


def test_a_copy_is_acknowledged_and_counted_once_and_a_rival_is_kept_beside(
    site: Site, store: Store, receiver: Receiver
) -> None:
    rival = image(UID, 1, hu=5)
    assert send(site.node.port, [image(UID, 1), image(UID, 1), rival, rival]) == [0, 0, 0, 0]
    assert [path.name for path in files_of(site)] == [f"{UID}.1-2.dcm", f"{UID}.1.dcm"]
    kept, rivals = keeping.instances_in(files_of(site)[0].parent)
    assert (len(kept), rivals) == (1, 1)
    wait_for(lambda: ended(store))
    assert rows(store, Carried)[0].stored == 4


def test_a_damaged_image_and_what_is_no_image_are_refused_and_the_rest_goes_on(
    site: Site, store: Store, receiver: Receiver
) -> None:
    nameless = image(UID, 2)
    del nameless.SeriesInstanceUID
    escaping = image(UID, 3)
    with pytest.warns(UserWarning, match="Invalid value"):
        escaping.SeriesInstanceUID = "../../1"
    with calling(site.node.port) as association:
        answers = [association.send_c_store(one).Status for one in (image(UID, 1), nameless)]
        answers.append(association.send_c_store(escaping).Status)
        answers.append(association.send_c_store(image(UID, 5)).Status)
    assert answers == [0, 0xC000, 0xC000, 0]
    assert len(files_of(site)) == 2
    wait_for(lambda: ended(store))
    (association,) = rows(store, Association)
    assert association.unreadable == 2


def test_an_instance_of_another_modality_than_its_series_is_refused(
    site: Site, store: Store, receiver: Receiver
) -> None:
    assert send(site.node.port, [image(UID, 1), structures(UID, UID)]) == [0, 0xC000]
    assert len(files_of(site)) == 1


def test_a_disk_that_is_nearly_full_refuses_and_the_series_knows(
    site: Site, store: Store, start: Callable[..., Receiver]
) -> None:
    start(least_free_gib=1e6)
    assert send(site.node.port, images(UID, 2)) == [0xA700, 0xA700]
    with calling(site.node.port) as association:
        assert association.send_c_echo().Status == 0
    (carried,) = rows(store, Carried)
    assert carried.refused == [f"{UID}.1", f"{UID}.2"]
    assert rows(store, Series)[0].instances == 0


def test_a_disk_that_fails_refuses(
    site: Site, store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping, "sync_folder", fail)
    assert send(site.node.port, images(UID, 1)) == [0xA700]
    assert rows(store, Carried)[0].refused == [f"{UID}.1"]
    assert not list(SiteFolder(site.folder).all_received.glob(".*"))


def test_who_breaks_off_is_noted(site: Site, store: Store, receiver: Receiver) -> None:
    with calling(site.node.port) as association:
        association.send_c_store(image(UID, 1))
        association.abort()
    wait_for(lambda: ended(store))
    assert rows(store, Association)[0].how_ended == "aborted"


def test_who_hangs_up_is_noted(site: Site, store: Store, receiver: Receiver) -> None:
    with calling(site.node.port) as association:
        association.send_c_store(image(UID, 1))
        connection: Any = association.dul.socket
        connection.socket.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: ended(store))
    assert rows(store, Association)[0].how_ended == "aborted"


def test_late_slices_begin_a_new_generation_and_copies_do_not(
    site: Site, store: Store, receiver: Receiver
) -> None:
    send(site.node.port, images(UID, 2))
    wait_for(lambda: ended(store))
    with store.begin() as session:
        session.scalars(select(Series)).one().state = TAKEN
    send(site.node.port, images(UID, 2))
    wait_for(lambda: ended(store))
    assert (rows(store, Series)[0].state, rows(store, Series)[0].generation) == (TAKEN, 0)
    send(site.node.port, images(UID, 3))
    wait_for(lambda: ended(store))
    assert (rows(store, Series)[0].state, rows(store, Series)[0].generation) == ("arriving", 1)


def test_an_incomplete_series_that_is_carried_again_is_judged_again(
    site: Site, store: Store, receiver: Receiver
) -> None:
    send(site.node.port, images(UID, 2))
    wait_for(lambda: ended(store))
    with store.begin() as session:
        session.scalars(select(Series)).one().state = INCOMPLETE
    send(site.node.port, images(UID, 2))
    assert (rows(store, Series)[0].state, rows(store, Series)[0].generation) == ("arriving", 0)


@pytest.mark.parametrize(
    ("title", "address", "is_heard"),
    [("CT1", HERE, True), ("CT1", "192.0.2.7", False), ("CT2", HERE, False)],
)
def test_only_callers_are_heard(
    site: Site,
    store: Store,
    start: Callable[..., Receiver],
    title: str,
    address: str,
    is_heard: bool,
) -> None:
    start(callers=(Caller(title, address),))
    try:
        assert send(site.node.port, images(UID, 1)) == [0]
    except AssertionError:
        assert not is_heard
        assert [one.event for one in rows(store, Audited)] == ["refused"]
    else:
        assert is_heard


def test_another_title_than_ours_is_rejected(site: Site, receiver: Receiver) -> None:
    with pytest.raises(AssertionError), calling(site.node.port, called="OTHER"):
        pass


def test_a_start_makes_the_database_agree_with_the_files(site: Site, store: Store) -> None:
    folder = SiteFolder(site.folder)
    receiver = Receiver(site, store)
    receiver.start()
    send(site.node.port, images(UID, 3))
    receiver.stop()
    ledger = Ledger(store)
    call = Call("CT1", "RECONTOUR", HERE)
    with store.begin() as session:  # as if killed before it wrote of the second and the third
        session.scalars(select(Series)).one().instances = 1
        session.scalars(select(Series)).one().state = TAKEN
    received = read_received(files_of(site)[0])
    ledger.carry(call, received)
    ledger.close()
    (folder.all_received / f"{keeping.ARRIVING_FILE}1").write_bytes(b"half")
    assert begin_again(store, folder) == 2
    (series,) = rows(store, Series)
    assert (series.instances, series.state, series.generation) == (3, "arriving", 1)
    assert [one.how_ended for one in rows(store, Association)] == ["released", "lost"]
    assert not list(folder.all_received.glob(".*"))
    assert begin_again(store, folder) == 0


def test_files_of_which_a_database_knows_nothing_are_found(site: Site, store: Store) -> None:
    receiver = Receiver(site, store)
    receiver.start()
    send(site.node.port, images(UID, 2))
    receiver.stop()
    SiteFolder(site.folder).database.unlink()
    fresh = Store.of(site)
    assert begin_again(fresh, SiteFolder(site.folder)) == 2
    (series,) = rows(fresh, Series)
    assert (series.uid, series.calling_ae, series.instances) == (UID, "CT1", 2)
    assert [one.how_ended for one in rows(fresh, Association)] == ["lost"]


def test_a_port_that_is_taken_is_said(site: Site, store: Store, receiver: Receiver) -> None:
    second = Receiver(site, store)
    with pytest.raises(SettingsError) as error:
        second.start()
    assert f"port {site.node.port}" in words(error.value.finding)
    second.stop()


def test_what_nobody_foresaw_refuses_the_instance_and_the_series_knows(
    site: Site, store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise MemoryError

    assert send(site.node.port, images(UID, 2)) == [0, 0]
    monkeypatch.setattr("recontour.service.node.receive.looked_at", fail)
    assert send(site.node.port, [image(UID, 3)]) == [keeping.OUT_OF_RESOURCES]
    wait_for(lambda: ended(store))
    refused = [one.refused for one in rows(store, Carried)]
    assert refused == [[], [f"{UID}.3"]]
