"""Why a request is refused: a finding, and the status of HTTP that goes with it."""

from collections.abc import Mapping

from recontour.errors import (
    FaultError,
    RecontourError,
    SettingsError,
)
from recontour.findings import Finding
from recontour.service.review.conflicts import ConflictError, UnknownPartError


class RefusedError(Exception):
    """A request is refused. headers: to add to the answer."""

    def __init__(
        self,
        status: int,
        finding: Finding,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(finding)
        self.status = status
        self.finding = finding
        self.headers = dict(headers or {})


STATUS: tuple[tuple[type[RecontourError], int], ...] = (
    (ConflictError, 409),
    (UnknownPartError, 404),
    (SettingsError, 400),
    (FaultError, 500),
    (RecontourError, 422),
)


def status_of(error: RecontourError) -> int:
    """Return the status that goes with an error of ours.

    >>> from recontour.findings import Unexpected
    >>> status_of(SettingsError(Unexpected(reason="too few")))
    400
    """
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return 500
