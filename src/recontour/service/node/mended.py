"""Two habits of pynetdicom that a site cannot have: its log, and the sockets that it leaves open.

Its log holds data sets, which name patients, and writing them costs time. It does not close a
socket whose other side closed first.
"""

import logging
import socket
from contextlib import suppress

from pynetdicom import _config
from pynetdicom.transport import AssociationSocket


def mend_pynetdicom() -> None:
    """Let pynetdicom log nothing in this process, and close its sockets."""
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    AssociationSocket._shutdown_socket = _close  # type: ignore


def _close(connection: AssociationSocket) -> None:
    if connection.socket is not None:
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)
        connection.socket.close()
