"""The data sets of what a node asks of other machines: a count of images, and a commitment."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import generate_uid

from recontour.dicom.reading import reading, text, value
from recontour.errors import NotDicomError

COUNT = "NumberOfSeriesRelatedInstances"


@dataclass(frozen=True, slots=True)
class Commitment:
    """What another machine says of a request to keep instances (PS3.4 J.3.3).

    transaction: the request's UID. kept, not_kept: SOP Instance UIDs.
    """

    transaction: str
    kept: frozenset[str]
    not_kept: frozenset[str]


def count_request(study_uid: str, series_uid: str) -> Dataset:
    """Return the identifier of a C-FIND that asks how many instances a series has."""
    asked = Dataset()
    asked.QueryRetrieveLevel = "SERIES"
    asked.StudyInstanceUID = study_uid
    asked.SeriesInstanceUID = series_uid
    asked.NumberOfSeriesRelatedInstances = None
    return asked


def counted(answer: Dataset, series_uid: str) -> int | None:
    """Return the count that an answer to a C-FIND gives for a series; None if it gives none."""
    try:
        with reading(Path()):
            number = value(answer, COUNT)
            is_ours = text(answer, "SeriesInstanceUID") == series_uid
            return int(number) if is_ours and number is not None else None
    except NotDicomError:
        return None


def new_transaction() -> str:
    """Return a UID for a request of commitment."""
    return str(generate_uid(prefix=None))


def commitment_request(transaction: str, sop_class: str, sop_instance: str) -> Dataset:
    """Return what asks another machine to commit to keeping one instance."""
    instance = Dataset()
    instance.ReferencedSOPClassUID = sop_class
    instance.ReferencedSOPInstanceUID = sop_instance
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = [instance]
    return asked


def read_commitment(report: Dataset) -> Commitment | None:
    """Return what a report says; None if it cannot be read."""
    try:
        with reading(Path()):
            return Commitment(
                transaction=text(report, "TransactionUID"),
                kept=_instances(report, "ReferencedSOPSequence"),
                not_kept=_instances(report, "FailedSOPSequence"),
            )
    except NotDicomError:
        return None


def _instances(report: Dataset, keyword: str) -> frozenset[str]:
    items = report.get(keyword) or ()
    return frozenset(text(item, "ReferencedSOPInstanceUID") for item in items)
