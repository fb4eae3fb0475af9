"""The receiver: CT images and structure sets come in over DICOM.

An instance is acknowledged only when it is on the disk under its name, and so is the name. What is
not acknowledged is noted against its series, which is then not contoured.

    python -m recontour.service.node.receive SITE.toml
"""

import logging
import os
import resource
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event as DicomEvent
from pynetdicom.pdu_primitives import A_RELEASE
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore
from sqlalchemy.orm import Session

from recontour.dicom.received import READ_SYNTAXES, file_start, read_first_bytes
from recontour.dicom.requests import read_commitment
from recontour.errors import RecontourError, SettingsError
from recontour.findings import Unexpected, log_finding
from recontour.service.addresses import is_loopback, is_same_address
from recontour.service.audit import Event, Outcome, audit
from recontour.service.child import Ending, begin_child, where
from recontour.service.folder import SiteFolder
from recontour.service.node.arrivals import (
    ABORTED,
    RELEASED,
    Call,
    Ledger,
    NotWrittenError,
    begin_again,
    key_of,
)
from recontour.service.node.commitment import note_report
from recontour.service.node.findings import (
    FoundAgain,
    NotKept,
    NotWritten,
    PortTaken,
    TwoModalities,
    UnknownCaller,
)
from recontour.service.node.keeping import (
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    SUCCESS,
    Keeper,
    NotKeptError,
    is_proper,
    looked_at,
)
from recontour.service.node.mended import mend_pynetdicom
from recontour.service.node.server import ACSE_S, IDLE_S, listen
from recontour.service.node.tls import server_context
from recontour.service.node.waiting import MOST_PDU
from recontour.service.settings import NodeSettings, Site
from recontour.service.store import Store

LOG = logging.getLogger("recontour.receiver")
# What an association is rejected with (PS3.8 9.3.4): for good, by the user, caller not recognised.
UNKNOWN_CALLING_AE = (1, 1, 3)
PROCESSING_FAILURE = 0x0110
FIRST_BYTES = 1 << 14
LEAVE_S = 5.0  # for associations to end by themselves, when the receiver is asked to
LOOK_S = 0.2
MENDABLE = 2  # exit code


class Receiver:
    """Listens until it is stopped."""

    def __init__(self, site: Site, store: Store) -> None:
        self._node = site.node
        self._folder = SiteFolder(site.folder)
        self._store = store
        self._ledger = Ledger(store)
        self._keeper = Keeper(self._folder, site.node.least_free_gib)
        self._calls: dict[Association, Call] = {}
        self._lock = threading.Lock()
        self._hear_no_more: Callable[[], None] | None = None

    def start(self) -> None:
        """Make the database agree with the files, then listen.

        Raises: SettingsError: the port or the TLS files cannot be used.
        """
        tls = server_context(self._node.tls) if self._node.tls else None
        found = begin_again(self._store, self._folder)
        if found:
            log_finding(LOG, logging.WARNING, FoundAgain(instances=found))
        handlers = [
            (evt.EVT_REQUESTED, self._asked),
            (evt.EVT_C_STORE, self._store_instance),
            (evt.EVT_N_EVENT_REPORT, self._reported),
            (evt.EVT_ACSE_RECV, self._heard),
            (evt.EVT_ABORTED, lambda event: self._end(event.assoc, ABORTED)),
        ]
        address, port = self._node.address, self._node.port
        try:
            self._hear_no_more = listen(
                application_entity(self._node),
                (address, port),
                handlers,
                tls,
                self._node.most_associations,
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "no such address"
            raise SettingsError(PortTaken(address=address, port=port, reason=reason)) from error

    def run(self, ending: Ending) -> None:
        """Listen until it is time to end, and end well."""
        while not ending.wait(LOOK_S):
            self.look_after()
        self.stop()

    def look_after(self) -> None:
        """Note associations that ended without a word."""
        with self._lock:
            gone = [one for one in self._calls if not one.is_alive()]
        for association in gone:
            self._end(association, ABORTED)

    def stop(self) -> None:
        """Hear nobody any more, let associations end by themselves for a while, and end."""
        if self._hear_no_more:
            self._hear_no_more()
        ending = Ending()
        left_s = LEAVE_S
        while self._calls and left_s > 0:
            ending.wait(LOOK_S)
            left_s -= LOOK_S
            self.look_after()
        for association in list(self._calls):
            self._end(association, ABORTED)
        self._ledger.close()

    # Who calls

    def _asked(self, event: DicomEvent) -> None:
        """Reject who may not send."""
        association = event.assoc
        primitive = association.requestor.primitive
        title = str(primitive.calling_ae_title).strip() if primitive else ""
        address = _address_of(association)
        if may_call(self._node, title, address):
            return
        log_finding(LOG, logging.WARNING, UnknownCaller(title=title, address=address))
        with suppress(NotWrittenError):
            self._ledger.do(lambda session: _note_stranger(session, title, address))
        association.acse.send_reject(*UNKNOWN_CALLING_AE)
        association.is_rejected = True
        association.kill()

    def _call_of(self, association: Association) -> Call:
        """Return what is known of an open association."""
        with self._lock:
            if association not in self._calls:
                primitive = association.requestor.primitive
                called = str(primitive.called_ae_title) if primitive else ""
                self._calls[association] = Call(
                    calling_ae=str(association.requestor.ae_title).strip(),
                    called_ae=called.strip(),
                    address=_address_of(association),
                )
            return self._calls[association]

    def _heard(self, event: DicomEvent) -> None:
        """Note that an association is released, before that is confirmed.

        Who was told that all is well must not find a series called lost because we were killed.
        """
        primitive = getattr(event, "primitive", None)
        if isinstance(primitive, A_RELEASE) and primitive.result is None:
            self._end(event.assoc, RELEASED)

    def _end(self, association: Association, how: str) -> None:
        with self._lock:
            call = self._calls.pop(association, None)
        if call is not None:
            self._ledger.ended(call, how)

    # What comes

    def _store_instance(self, event: DicomEvent) -> int:
        """Answer a C-STORE."""
        call = self._call_of(event.assoc)
        request = cast(C_STORE, event.request)
        sop_class = str(request.AffectedSOPClassUID)
        uid = str(request.AffectedSOPInstanceUID)
        syntax = str(event.context.transfer_syntax)
        start = file_start(sop_class, uid, syntax, call.calling_ae, call.called_ae)
        content = cast(BytesIO, request.DataSet).getbuffer()
        try:
            self._keep(call, (start, content), sop_class, uid)
        except NotKeptError as refused:
            first = start + bytes(content[:FIRST_BYTES])
            return self._refuse(call, uid, first, refused)
        except Exception as error:  # whatever it is, the series must know that this one is missing
            LOG.error("an instance was not kept: %s", where(error))
            first = start + bytes(content[:FIRST_BYTES])
            reason = Unexpected(reason=type(error).__name__)
            unforeseen = NotKeptError(OUT_OF_RESOURCES, NotKept(reason=reason))
            return self._refuse(call, uid, first, unforeseen)
        return SUCCESS

    def _keep(self, call: Call, parts: tuple[bytes, memoryview], sop_class: str, uid: str) -> None:
        """Keep an instance. Raises: NotKeptError."""
        self._keeper.refuse_little_disk()
        with self._keeper.written(*parts) as (partial, descriptor):
            received = looked_at(partial, sop_class, uid)
            if key_of(received) not in call.series:
                try:
                    carrying = self._ledger.carry(call, received)
                except NotWrittenError as error:
                    raise NotKeptError(OUT_OF_RESOURCES, NotWritten()) from error
                if carrying.modality != received.modality:
                    of = carrying.modality
                    raise NotKeptError(NOT_UNDERSTOOD, TwoModalities(modality=of))
            os.fsync(descriptor)
            is_new = self._keeper.place(partial, received)
        self._ledger.stored(call, received, is_new=is_new)

    def _refuse(self, call: Call, uid: str, first: bytes, refused: NotKeptError) -> int:
        """Note that an instance is not acknowledged, say so once for each series, and answer."""
        received = read_first_bytes(first)
        if received is not None and not is_proper(received):
            received = None
        with suppress(NotWrittenError):
            self._ledger.refused(call, uid, received)
        told = (received.series_uid if received else "", refused.status)
        if told not in call.told:
            call.told.add(told)
            log_finding(LOG, logging.WARNING, refused.finding)
        return refused.status

    def _reported(self, event: DicomEvent) -> tuple[int, None]:
        """Answer a report on what another machine commits to keeping."""
        report = read_commitment(event.event_information)
        if report is None:
            return PROCESSING_FAILURE, None
        try:
            self._ledger.do(lambda session: note_report(session, report))
        except NotWrittenError:
            return PROCESSING_FAILURE, None
        return SUCCESS, None


def _address_of(association: Association) -> str:
    place = association.requestor.address_info
    return place.address if place else ""


def application_entity(node: NodeSettings) -> AE:
    """Return what the receiver offers: CT, structure sets, and answers to questions."""
    ae = AE(ae_title=node.ae_title)
    ae.require_called_aet = True
    ae.maximum_associations = node.most_associations
    ae.maximum_pdu_size = MOST_PDU
    ae.acse_timeout = ACSE_S
    ae.network_timeout = IDLE_S
    ae.dimse_timeout = IDLE_S
    for sop_class, syntaxes in READ_SYNTAXES.items():
        ae.add_supported_context(sop_class, list(syntaxes))
    ae.add_supported_context(Verification)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    return ae


def may_call(node: NodeSettings, title: str, address: str) -> bool:
    """Return whether a machine may send. Without a list of callers: whoever is on this machine.

    >>> may_call(NodeSettings(), "CT1", "127.0.0.1"), may_call(NodeSettings(), "CT1", "192.0.2.7")
    (True, False)
    """
    if not node.callers:
        return is_loopback(address)
    for one in node.callers:
        if one.ae_title == title and is_same_address(one.address, address):
            return True
    return False


def _note_stranger(session: Session, title: str, address: str) -> None:
    audit(session, Event.REFUSED, title, address=address, what="caller", outcome=Outcome.MINOR)


def _allow_many_files() -> None:
    """Let this process have as many open files as it may: a connection takes three."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a system that says it has no limit, and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    """Run the receiver. Returns: the exit code."""
    site, store, ending = begin_child("receiver")
    mend_pynetdicom()
    _allow_many_files()
    receiver = Receiver(site, store)
    try:
        receiver.start()
    except RecontourError as error:
        log_finding(LOG, logging.ERROR, error.finding)
        return MENDABLE
    receiver.run(ending)
    return 0


if __name__ == "__main__":
    sys.exit(main())
