"""What the node asks of other machines: C-STORE, C-ECHO and storage commitment."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event as DicomEvent
from pynetdicom.sop_class import (  # type: ignore
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from recontour.dicom.received import EXPLICIT, IMPLICIT, Received
from recontour.dicom.requests import Commitment, commitment_request, read_commitment
from recontour.findings import Finding
from recontour.service.node.findings import (
    DestinationRefuses,
    DestinationRejects,
    DestinationSilent,
    KindRefused,
    NothingToSend,
)
from recontour.service.node.tls import client_context
from recontour.service.settings import Destination

CONNECT_S = 10.0
ANSWER_S = 60.0
COMMITMENT_S = 5.0  # for a commitment that comes at once
STORE_COMMITMENT = 1  # the action's type (PS3.4 J.3.2)
SUCCESS = 0x0000
STORED_WITH_WARNING = (0xB000, 0xB006, 0xB007)
THERE_ALREADY = 0x0111  # duplicate SOP instance: an earlier try arrived, and its answer did not
# What may be different at another try: out of resources, a failure while processing.
PASSING = (0x0110, 0x0213, *range(0xA700, 0xA800))
TRANSIENT = 0x02  # a result of PS3.8 9.3.4


class NotSentError(Exception):
    """Something was not sent, or not asked. may_pass: whether another try may help."""

    def __init__(self, finding: Finding, *, may_pass: bool) -> None:
        super().__init__(finding)
        self.finding = finding
        self.may_pass = may_pass


def send_file(our_title: str, destination: Destination, path: Path, sent: Received) -> None:
    """Send a file; when this returns, the destination has it under its SOP Instance UID.

    Raises: NotSentError. SettingsError: the TLS files cannot be used.
    """
    ae = AE(ae_title=our_title)
    ae.add_requested_context(sent.sop_class_uid, [EXPLICIT, IMPLICIT])
    with connected(ae, destination) as association:
        try:
            answer = association.send_c_store(path)
        except (AttributeError, OSError, ValueError) as error:  # as pydicom and pynetdicom raise
            raise NotSentError(NothingToSend(path=path), may_pass=False) from error
        if "Status" not in answer:
            raise NotSentError(DestinationSilent(destination=destination.name), may_pass=True)
        status = int(answer.Status)
    if status not in (SUCCESS, THERE_ALREADY, *STORED_WITH_WARNING):
        refused = DestinationRefuses(destination=destination.name, status=status)
        raise NotSentError(refused, may_pass=status in PASSING)


def ask_commitment(
    our_title: str, destination: Destination, transaction: str, sent: Received
) -> Commitment | None:
    """Ask a destination to keep an instance. Return its answer; None if it will come later.

    Raises: NotSentError. SettingsError: the TLS files cannot be used.
    """
    ae = AE(ae_title=our_title)
    ae.add_requested_context(StorageCommitmentPushModel)
    reports: list[Commitment] = []
    is_answered = threading.Event()

    def reported(event: DicomEvent) -> tuple[int, None]:
        report = read_commitment(event.event_information)
        if report is not None:
            reports.append(report)
        is_answered.set()
        return SUCCESS, None

    asked = commitment_request(transaction, sent.sop_class_uid, sent.sop_instance_uid)
    with connected(ae, destination, [(evt.EVT_N_EVENT_REPORT, reported)]) as association:
        status, _ = association.send_n_action(
            asked,
            STORE_COMMITMENT,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        if "Status" not in status:
            raise NotSentError(DestinationSilent(destination=destination.name), may_pass=True)
        if status.Status != SUCCESS:
            refused = DestinationRefuses(destination=destination.name, status=status.Status)
            raise NotSentError(refused, may_pass=True)
        is_answered.wait(COMMITMENT_S)
    for report in reports:
        if report.transaction == transaction:
            return report
    return None


def echo(our_title: str, destination: Destination) -> Finding | None:
    """Return what a C-ECHO finds against a destination; None if it answers.

    Raises: SettingsError: the TLS files cannot be used.
    """
    ae = AE(ae_title=our_title)
    ae.add_requested_context(Verification)
    try:
        with connected(ae, destination) as association:
            answer = association.send_c_echo()
            if "Status" not in answer or answer.Status != SUCCESS:
                return DestinationSilent(destination=destination.name)
    except NotSentError as error:
        return error.finding
    return None


@contextmanager
def connected(
    ae: AE, destination: Destination, handlers: list[Any] | None = None
) -> Iterator[Association]:
    """Give an association, and release it when the block ends well.

    Raises: NotSentError: there is none. SettingsError: the TLS files cannot be used.
    """
    ae.connection_timeout = CONNECT_S
    ae.acse_timeout = CONNECT_S
    ae.dimse_timeout = ANSWER_S
    ae.network_timeout = ANSWER_S
    tls = client_context(destination.tls) if destination.tls else None
    try:
        association = ae.associate(
            destination.address,
            destination.port,
            ae_title=destination.ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, _do_not_delay), *(handlers or [])],
            tls_args=(tls, destination.address) if tls else None,
        )
    except OSError as error:  # its name is unknown
        away = DestinationSilent(destination=destination.name)
        raise NotSentError(away, may_pass=True) from error
    if not association.is_established:
        raise _why_not(association, destination)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def _do_not_delay(event: DicomEvent) -> None:
    """Let small messages go at once."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why_not(association: Association, destination: Destination) -> NotSentError:
    """Return why there is no association."""
    name = destination.name
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        why = answer.reason_str  # a table of the standard's words
        rejects = DestinationRejects(destination=name, why=why[:1].lower() + why[1:])
        return NotSentError(rejects, may_pass=answer.result == TRANSIENT)
    if association.rejected_contexts:
        return NotSentError(KindRefused(destination=name), may_pass=False)
    return NotSentError(DestinationSilent(destination=name), may_pass=True)
