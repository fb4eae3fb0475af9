"""The receiver's connections: what pynetdicom leaves open.

It waits for a TLS handshake where it accepts connections, so that one silent client stops them all.
It has no time limit within a message, and none for a connection that asks for an association so
slowly that it never does.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from recontour.service.node.waiting import wait_well

ACSE_S = 10  # within which a connection must have asked for an association, and we have answered
IDLE_S = 60  # of silence, after which an association ends
BACKLOG = 256  # connections that wait to be accepted
CHECK_S = 0.5  # between two looks at the connections


@dataclass(frozen=True, slots=True)
class _Watched:
    """A connection, and what frees what it holds when it is over."""

    association: Association
    free: Callable[[], None]
    began: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Return whether both of its threads have ended."""
        threads = self.association, self.association.dul
        return not any(thread.ident is None or thread.is_alive() for thread in threads)

    @property
    def is_late(self) -> bool:
        """Return whether it has not become an association, and should have."""
        age_s = time.monotonic() - self.began
        return not self.association.accepted_contexts and age_s > ACSE_S + 1


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
        self.server.watch(association, wait_well(association))
        return association


class Server(ThreadedAssociationServer):
    """A server with limits. most: how many connections there may be at once, two for each slot."""

    request_queue_size = BACKLOG
    daemon_threads = True
    most = 600

    def __init__(self, *args: Any, **named: Any) -> None:
        self._watched: list[_Watched] = []
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

    def watch(self, association: Association, free: Callable[[], None]) -> None:
        """Look after a connection until it is over."""
        with self._lock:
            self._watched.append(_Watched(association, free))

    def service_actions(self) -> None:
        """Hang up on who asks for no association in time; free what is over; called regularly."""
        super().service_actions()
        with self._lock:
            watched = self._watched
            self._watched = [one for one in watched if not one.is_over]
            over = [one for one in watched if one not in self._watched]
        for one in over:
            one.free()
        for one in self._watched:
            if one.is_late:
                _hang_up(one.association)


def _hang_up(association: Association) -> None:
    """Close a connection under a thread that may be waiting for it."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        with suppress(OSError):  # the other side was faster
            connection.socket.shutdown(socket.SHUT_RDWR)


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
