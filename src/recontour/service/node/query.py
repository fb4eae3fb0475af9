"""How many images another machine has of a series, asked by C-FIND (PS3.4 C)."""

from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore
    StudyRootQueryRetrieveInformationModelFind,
)

from recontour.dicom.requests import count_request, counted
from recontour.service.node.send import connected
from recontour.service.settings import Destination

PENDING = (0xFF00, 0xFF01)


def images_of_series(
    our_title: str, source: Destination, study_uid: str, series_uid: str
) -> int | None:
    """Return how many images a source has of a series; None if it has none, or does not say.

    Raises: NotSentError: it cannot be asked. SettingsError: the TLS files cannot be used.
    """
    ae = AE(ae_title=our_title)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    asked = count_request(study_uid, series_uid)
    found = None
    with connected(ae, source) as association:
        answers = association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind)
        for status, identifier in answers:
            if status and status.Status in PENDING and identifier is not None:
                number = counted(identifier, series_uid)
                found = number if number is not None else found
    return found
