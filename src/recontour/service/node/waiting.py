"""Associations that wait until there is something to do.

pynetdicom asks a thousand times a second, in two threads for each association, whether there is:
three hundred idle associations keep several cores busy. Here the one thread waits for its socket or
for something to send, the other for a message; both look up a few times a second nevertheless, for
what nobody tells them, such as a time limit.
"""

import os
import queue
import select
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import MethodType
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.transport import AssociationSocket

LOOK_UP_S = 0.25
MOST_PDU = 1 << 20  # bytes of a PDU that we ask for
MOST_MESSAGE = 2 << 30  # bytes of a message: more than any CT
MOST_ASKED = 1 << 16  # bytes of a PDU before there is an association


class _Telling(queue.Queue[Any]):
    """A queue that tells when something is put into it."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put something into the queue, and tell."""
        super().put(item, block, timeout)
        self._tell()


class WaitingSocket(AssociationSocket):
    """A socket whose thread waits for it, or for something to send; with limits on what it reads.

    It takes the place of a plain one by `wait_well`.
    """

    bell: "_Bell"

    @property
    def ready(self) -> bool:
        """Return whether there is something to read; wait a little if there is nothing to do."""
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        wait_s = LOOK_UP_S if self.provider_queue.empty() and self.event_queue.empty() else 0.0
        try:
            return self.bell.wait(connection.fileno(), wait_s)
        except (OSError, ValueError):  # it was closed meanwhile
            self.event_queue.put("Evt17")  # in the words of PS3.8 9.2: the connection is closed
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, or fewer if the connection ends.

        Raises: OSError: the other side is silent for long, or sends more than anyone does.
        """
        self._refuse_too_much(nr_bytes)
        received = bytearray(nr_bytes)
        done = 0
        with memoryview(received) as view:
            while done < nr_bytes and self.socket is not None:
                just = self.socket.recv_into(view[done:])
                if not just:
                    break
                done += just
        del received[done:]
        return received

    def _refuse_too_much(self, count: int) -> None:
        # They are known before we accept, and so before the first message can come.
        most = MOST_PDU + MOST_ASKED if self.assoc.accepted_contexts else MOST_ASKED
        message = self.assoc.dimse.message
        data_set = message.data_set if message is not None else None
        held = data_set.tell() if data_set is not None else 0
        if count > most or held + count > MOST_MESSAGE:
            raise OSError("more than anyone sends")


class _Bell:
    """Wakes a thread that waits for a socket."""

    def __init__(self) -> None:
        self._heard, self._pulled = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._pulled, False)
        self._lock = threading.Lock()
        self._is_closed = False

    def ring(self) -> None:
        """Wake whoever waits; nothing happens if it is closed, or has rung often and in vain."""
        with self._lock, suppress(BlockingIOError):
            if not self._is_closed:  # or its number may be another file's by now
                os.write(self._pulled, b"!")

    def wait(self, descriptor: int, seconds: float) -> bool:
        """Wait until there is something to read from a descriptor, or the bell rings."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._heard, select.POLLIN)
        told = dict(poll.poll(seconds * 1000))
        if self._heard in told:
            os.read(self._heard, 1024)
        return descriptor in told

    def close(self) -> None:
        """Free its descriptors."""
        with self._lock:
            self._is_closed = True
            os.close(self._heard)
            os.close(self._pulled)


def wait_well(association: Association) -> Callable[[], None]:
    """Let a new association wait instead of asking. Return what frees it when it is over."""
    bell = _Bell()
    connection = association.dul.socket
    assert connection is not None
    connection.__class__ = WaitingSocket
    assert isinstance(connection, WaitingSocket)
    connection.bell = bell
    something_came = threading.Event()
    association.dul.to_provider_queue = _Telling(bell.ring)
    association.dul.to_user_queue = _Telling(something_came.set)
    association.dimse.msg_queue = _Telling(something_came.set)

    def get_msg(dimse: DIMSEServiceProvider, block: bool = False) -> Any:
        if not block and dimse.msg_queue.empty() and association.dul.to_user_queue.empty():
            something_came.wait(LOOK_UP_S)
        something_came.clear()
        return DIMSEServiceProvider.get_msg(dimse, block)

    association.dimse.get_msg = MethodType(get_msg, association.dimse)  # type: ignore[method-assign]
    return bell.close
