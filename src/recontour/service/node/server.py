"""The receiver's connections: what pynetdicom leaves open.

It waits for a TLS handshake where it accepts connections, so that one silent client stops them all;
it has no time limit within a message, none for a connection that never asks for an association, and
no limit on what a message may hold; and it reads 4 KB at a time.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import MethodType
from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

ACSE_S = 10  # within which a connection must have asked for an association, and we have answered
IDLE_S = 60  # of silence, after which an association ends
BACKLOG = 256  # connections that wait to be accepted
MOST_PDU = 1 << 20  # bytes of a PDU that we ask for
MOST_MESSAGE = 2 << 30  # bytes of a message: more than any CT
MOST_ASKED = 1 << 16  # bytes of a PDU before there is an association
CHECK_S = 0.5


class _Handler(RequestHandler):
    """One connection, in a thread of its own."""

    server: "Server"

    def handle(self) -> None:
        """Begin an association, once TLS agrees."""
        connection = self.request
        connection.settimeout(ACSE_S)
        if isinstance(connection, ssl.SSLSocket):
            try:
                connection.do_handshake()
            except OSError:
                connection.close()
                return
        connection.settimeout(IDLE_S)
        super().handle()

    def _create_association(self) -> Association:
        association = super()._create_association()
        quick = association.dul.socket
        assert quick is not None
        quick.recv = MethodType(_receive, quick)  # type: ignore[method-assign]
        self.server.watch(association)
        return association


class Server(ThreadedAssociationServer):
    """A server with limits. most: how many connections there may be at once, two for each slot."""

    request_queue_size = BACKLOG
    daemon_threads = True
    most = 600

    def __init__(self, *args: Any, **named: Any) -> None:
        self._young: list[tuple[float, Association]] = []
        self._lock = threading.Lock()
        super().__init__(*args, **named)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; the handshake of TLS is for its own thread."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether there is room for another connection."""
        return threading.active_count() < 3 * self.most

    def watch(self, association: Association) -> None:
        """Close a connection that has no association in time, however slowly it talks."""
        with self._lock:
            self._young.append((time.monotonic(), association))

    def service_actions(self) -> None:
        """Look after young connections; called twice a second."""
        super().service_actions()
        moment = time.monotonic()
        with self._lock:
            young = self._young
            self._young = []
            for began, association in young:
                if association.is_established or not _is_open(association):
                    continue
                if moment - began < ACSE_S + 1:
                    self._young.append((began, association))
                else:
                    _hang_up(association)


def _is_open(association: Association) -> bool:
    connection = association.dul.socket
    return connection is not None and connection.socket is not None


def _hang_up(association: Association) -> None:
    """Close a connection under a thread that may be waiting for it."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        with suppress(OSError):  # the other side was faster
            connection.socket.shutdown(socket.SHUT_RDWR)


def _receive(connection: AssociationSocket, count: int) -> bytearray:
    """Read so many bytes, or fewer if the connection ends.

    Raises: OSError: the other side is silent, or sends more than anyone does.
    """
    association = connection.assoc
    most = MOST_PDU + MOST_ASKED if association.is_established else MOST_ASKED
    message = association.dimse.message
    held = message.data_set.tell() if message is not None and message.data_set is not None else 0
    if held + count > MOST_MESSAGE:
        raise OSError("the message is too long")
    if count > most:
        raise OSError("the PDU is too long")
    received = bytearray(count)
    view = memoryview(received)
    done = 0
    while done < count:
        just = connection.socket.recv_into(view[done:]) if connection.socket else 0
        if not just:
            break
        done += just
    view.release()
    del received[done:]
    return received


def listen(
    ae: ApplicationEntity,
    address: tuple[str, int],
    handlers: list[Any],
    tls: ssl.SSLContext | None,
    most_associations: int,
) -> Callable[[], None]:
    """Listen. Return what ends it.

    Raises: OSError: the address or port cannot be had.
    """
    server = ae.make_server(
        address,
        evt_handlers=handlers,
        ssl_context=tls,
        server_class=Server,
        request_handler=_Handler,
    )
    assert isinstance(server, Server)
    server.most = 2 * most_associations
    ae._servers.append(server)
    thread = threading.Thread(
        target=server.serve_forever, args=(CHECK_S,), name="server", daemon=True
    )
    thread.start()
    return server.shutdown
