"""The receiver's connections: those that mean no good, and those with TLS."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom import AE
from tests.service.node.peers import HERE, calling, images, send

from recontour.errors import SettingsError
from recontour.findings import words
from recontour.service.node import receive, server, waiting
from recontour.service.node.receive import Receiver
from recontour.service.node.send import connected, echo
from recontour.service.node.tls import client_context
from recontour.service.settings import Destination, Site, TlsSettings

UID = "1.2.826.1"


def is_hung_up(connection: socket.socket) -> bool:
    """Whether the other side ends a connection, within 20 s."""
    connection.settimeout(20)
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionError:
        return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ACSE_S", 0.2)
    monkeypatch.setattr(receive, "ACSE_S", 0.2)


@pytest.mark.parametrize("said", [b"", b"\x01\x00\x00\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n"])
def test_who_asks_for_no_association_is_hung_up_on(
    site: Site, impatient: None, receiver: Receiver, said: bytes
) -> None:
    with socket.create_connection((HERE, site.node.port)) as silent:
        silent.sendall(said)
        assert send(site.node.port, images(UID, 1)) == [0]
        while not is_hung_up(silent):  # an abort may come first
            pass


def test_who_announces_gigabytes_is_hung_up_on(site: Site, receiver: Receiver) -> None:
    with socket.create_connection((HERE, site.node.port)) as greedy:
        greedy.sendall(b"\x01\x00\xff\xff\xff\xff" + bytes(1000))
        while not is_hung_up(greedy):
            pass
    assert send(site.node.port, images(UID, 1)) == [0]


def test_a_message_that_never_ends_is_broken_off(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with calling(site.node.port) as association:
        monkeypatch.setattr(waiting, "MOST_MESSAGE", 100)
        answer = association.send_c_store(images(UID, 1)[0])
    assert "Status" not in answer
    assert not association.is_established


def test_no_more_associations_than_there_may_be(site: Site, start: Callable[..., Receiver]) -> None:
    start(most_associations=2)
    port = site.node.port
    with calling(port), calling(port), pytest.raises(AssertionError), calling(port):
        pass


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsSettings]:
    """Two that trust each other, and a stranger."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("tls")
    made = {}
    for authority in ("ours", "theirs"):
        make_authority(place, authority)
    for name, authority in (("node", "ours"), ("peer", "ours"), ("stranger", "theirs")):
        make_certificate(place, name, authority)
        ours = place / "ours.pem"
        made[name] = TlsSettings(place / f"{name}.pem", place / f"{name}.key", ours)
    return made


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_authority(place: Path, name: str) -> None:
    openssl("req", "-x509", *NEW_KEY, "-days", "2", "-subj", f"/CN={name}",
            "-keyout", place / f"{name}.key", "-out", place / f"{name}.pem")  # fmt: skip


def make_certificate(place: Path, name: str, authority: str) -> None:
    openssl("req", *NEW_KEY, "-subj", f"/CN={name}",
            "-keyout", place / f"{name}.key", "-out", place / f"{name}.csr")  # fmt: skip
    openssl("x509", "-req", "-days", "2", "-in", place / f"{name}.csr",
            "-CA", place / f"{authority}.pem", "-CAkey", place / f"{authority}.key",
            "-CAcreateserial", "-out", place / f"{name}.pem")  # fmt: skip


def test_only_who_has_a_certificate_of_the_authority_s_is_heard(
    site: Site, start: Callable[..., Receiver], certificates: dict[str, TlsSettings]
) -> None:
    start(tls=certificates["node"])
    destination = Destination("node", "RECONTOUR", HERE, site.node.port)
    outcomes = {}
    for name in ("peer", "stranger"):
        tls = replace(destination, tls=certificates[name])
        outcomes[name] = echo("CT1", tls)
    outcomes["nobody"] = echo("CT1", destination)
    assert outcomes["peer"] is None
    assert outcomes["stranger"] is not None
    assert outcomes["nobody"] is not None


def test_a_client_that_is_silent_in_the_handshake_holds_up_nobody(
    site: Site, start: Callable[..., Receiver], certificates: dict[str, TlsSettings]
) -> None:
    start(tls=certificates["node"])
    destination = Destination("node", "RECONTOUR", HERE, site.node.port, tls=certificates["peer"])
    with socket.create_connection((HERE, site.node.port)):
        assert echo("CT1", destination) is None


def test_images_come_by_tls(
    site: Site, start: Callable[..., Receiver], certificates: dict[str, TlsSettings]
) -> None:
    start(tls=certificates["node"])
    destination = Destination("node", "RECONTOUR", HERE, site.node.port, tls=certificates["peer"])
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    with connected(ae, destination) as association:
        assert [association.send_c_store(one).Status for one in images(UID, 3)] == [0, 0, 0]


def test_files_that_are_no_certificates_are_said(tmp_path: Path) -> None:
    for name in ("certificate", "key", "authority"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(SettingsError) as error:
        client_context(
            TlsSettings(*(tmp_path / one for one in ("certificate", "key", "authority")))
        )
    assert "check the three PEM files" in words(error.value.finding)
