"""What we would not have of pynetdicom: its log, and sockets that it leaves open.

Its lines hold data sets, which name patients, and making them costs time. It does not close a
socket whose other side was faster.
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
