"""Other machines: one that sends CT slices, and one that takes what it is sent."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    generate_uid,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

HERE = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        return int(taken.getsockname()[1])


def image(series_uid: str, number: int, *, hu: int = 0, patient: str = "4711") -> Dataset:
    """A slice of 8 x 8 pixels, all of one value."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID = CTImageStorage
    one.SOPInstanceUID = f"{series_uid}.{number}"
    one.SeriesInstanceUID = series_uid
    one.StudyInstanceUID = f"{series_uid}.0"
    one.FrameOfReferenceUID = f"{series_uid}.1.1"
    one.Modality = "CT"
    one.PatientID = patient
    one.PatientName = "Doe^Jane"
    one.SeriesDescription = "Neck"
    one.Rows = one.Columns = 8
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit = 15
    one.PixelRepresentation = 1
    one.SamplesPerPixel = 1
    one.PhotometricInterpretation = "MONOCHROME2"
    one.RescaleIntercept, one.RescaleSlope = 0, 1
    one.ImagePositionPatient = [0, 0, 3 * number]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [1, 1]
    one.PixelData = np.full((8, 8), hu, dtype="<i2").tobytes()
    return one


def images(series_uid: str, count: int) -> list[Dataset]:
    return [image(series_uid, number) for number in range(1, count + 1)]


def structures(series_uid: str, drawn_on: str) -> Dataset:
    """A structure set without structures."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID = RTStructureSetStorage
    one.SOPInstanceUID = f"{series_uid}.1"
    one.SeriesInstanceUID = series_uid
    one.StudyInstanceUID = f"{drawn_on}.0"
    one.Modality = "RTSTRUCT"
    one.PatientID = "4711"
    series = Dataset()
    series.SeriesInstanceUID = drawn_on
    study = Dataset()
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = f"{drawn_on}.1.1"
    frame.RTReferencedStudySequence = [study]
    one.ReferencedFrameOfReferenceSequence = [frame]
    return one


@contextmanager
def calling(port: int, *, title: str = "CT1", called: str = "RECONTOUR") -> Iterator[Association]:
    """An association with the receiver, open until the block ends."""
    ae = AE(ae_title=title)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.add_requested_context(RTStructureSetStorage, ExplicitVRLittleEndian)
    ae.add_requested_context(Verification)
    association = ae.associate(HERE, port, ae_title=called)
    assert association.is_established
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port: int, instances: Iterable[Dataset], *, title: str = "CT1") -> list[int]:
    """Send instances by one association; return what each was answered with."""
    with calling(port, title=title) as association:
        return [int(association.send_c_store(one).Status) for one in instances]


@dataclass
class Taker:
    """A destination. answers: of C-STORE, one after the other, then 0. taken: files it was sent."""

    port: int
    answers: list[int] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    requests: list[Dataset] = field(default_factory=list)
    keeps: Callable[[Event], None] | None = None

    def store(self, event: Event) -> int:
        status = self.answers.pop(0) if self.answers else 0
        if status == 0:
            request: Any = event.request
            self.taken.append(str(request.AffectedSOPInstanceUID))
        return status

    def commit(self, event: Event) -> tuple[int, None]:
        self.requests.append(event.action_information)
        if self.keeps:
            threading.Thread(target=self.keeps, args=(event,)).start()
        return 0, None


@contextmanager
def taking(taker: Taker) -> Iterator[Taker]:
    ae = AE(ae_title="ARCHIVE")
    ae.add_supported_context(RTStructureSetStorage)
    ae.add_supported_context(Verification)
    ae.add_supported_context(StorageCommitmentPushModel)
    handlers: list[Any] = [(evt.EVT_C_STORE, taker.store), (evt.EVT_N_ACTION, taker.commit)]
    server = ae.start_server((HERE, taker.port), block=False, evt_handlers=handlers)
    try:
        yield taker
    finally:
        assert server is not None
        server.shutdown()


def saved(path: Path, one: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    one.save_as(path, enforce_file_format=True)
    return path


def new_uid() -> str:
    return str(generate_uid(prefix="1.2.3."))[:50]
