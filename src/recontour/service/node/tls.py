"""TLS with certificates on both sides (PS3.15 B.12), for DICOM.

Whom to trust is decided by the authority that the site file names for each side: a file of its own
for those that call, and one for each destination. Names in certificates are not compared with
addresses: few DICOM devices have certificates that hold any.
"""

import ssl

from recontour.errors import SettingsError
from recontour.service.node.findings import UnusableTls
from recontour.service.settings import TlsSettings


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return how to talk to those that call: without a certificate of the authority's, not at all.

    Raises: SettingsError: the files cannot be used.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, tls)


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return how to talk to a destination. Raises: SettingsError: the files cannot be used."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, tls)


def _context(side: int, tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        context.load_verify_locations(tls.authority)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "unreadable"
        raise SettingsError(UnusableTls(path=tls.certificate, reason=str(reason))) from error
    return context


def _no_password() -> str:
    """Answer for a key with a password, for which nobody is here to ask."""
    return ""
