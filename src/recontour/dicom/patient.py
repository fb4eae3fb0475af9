"""Whom a CT series is of, as a person reads it: for the screen only."""

from dataclasses import dataclass, field
from pathlib import Path

from recontour.dicom.pairing import CtSeries
from recontour.dicom.reading import read_header, text

KEYWORDS = ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate")


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's name, PatientID and birth date, and the folder of the CT; each may be empty.

    Neither a log nor a file may hold them, so nothing of them is in the `repr`.
    """

    name: str = field(repr=False)
    id: str = field(repr=False)
    birth_date: str = field(repr=False)
    place: Path = field(repr=False)


def patient_of(series: CtSeries) -> Patient:
    """Read whom a series is of from its first file.

    Raises: NotDicomError: the file is damaged.

    >>> from recontour.dicom import read_archive
    >>> pair = read_archive(Path("dicom/south")).pairs[0]
    >>> patient_of(pair.series).place == pair.series.place
    True
    """
    header = read_header(series.files[0], KEYWORDS)
    words = text(header, "PatientName").replace("^", " ").split()
    return Patient(
        name=" ".join(words),
        id=text(header, "PatientID"),
        birth_date=text(header, "PatientBirthDate"),
        place=series.place,
    )
