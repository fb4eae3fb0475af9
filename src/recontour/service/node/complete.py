"""Whether a series is complete, from what is known of its transfer.

It is when it has been quiet for a while, no association that carries it is open, and nothing of it
was refused or broken off; or that was made good since. A refused instance is made good when it is
stored; an association that broke off, when a later one of the same caller carries the series and
ends well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recontour.findings import Finding
from recontour.service.node.findings import (
    BrokenOff,
    NoInstances,
    OtherContent,
    RefusedInstances,
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one association brought of a series.

    how_ended: as in `Association`; None while it is open. unreadable: objects of which not even the
    series could be told: they may have been of this one. refused: SOP Instance UIDs.
    """

    caller: str
    how_ended: str | None
    unreadable: int = 0
    refused: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Return whether all that it brought was kept."""
        return self.how_ended == "released" and not self.unreadable and not self.refused


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a series is. why: of an incomplete one, the gravest reason."""

    state: Literal["arriving", "complete", "incomplete"]
    why: Finding | None = None


STILL_ARRIVING = Verdict("arriving")
COMPLETE = Verdict("complete")


def judge(
    transfers: Sequence[Transfer],
    kept: frozenset[str],
    rivals: int,
    quiet_for_s: float,
    quiet_s: float,
) -> Verdict:
    """Return whether a series is complete.

    transfers: in the order in which they began. kept: SOP Instance UIDs of what is on the disk.
    rivals: how many of them came with different contents.

    >>> judge([Transfer("CT1", "released")], frozenset({"1.2"}), 0, 31, 30).state
    'complete'
    >>> judge([Transfer("CT1", "aborted")], frozenset({"1.2"}), 0, 31, 30).state
    'incomplete'
    """
    is_open = any(transfer.how_ended is None for transfer in transfers)
    if is_open or quiet_for_s < quiet_s:
        return STILL_ARRIVING
    why = _against(transfers, kept, rivals)
    return Verdict("incomplete", why) if why else COMPLETE


def _against(transfers: Sequence[Transfer], kept: frozenset[str], rivals: int) -> Finding | None:
    """Return what speaks against a series that is quiet; None if nothing does."""
    refused: set[str] = set()
    for transfer in transfers:
        refused.update(transfer.refused)
    missing = len(refused - kept)
    if missing:
        return RefusedInstances(instances=missing)
    if rivals:
        return OtherContent(instances=rivals)
    for number, transfer in enumerate(transfers):
        how = _broken_off(transfer)
        if how and not _is_made_good(transfer, transfers[number + 1 :]):
            return BrokenOff(how=how)
    return None if kept else NoInstances()


def _broken_off(transfer: Transfer) -> Literal["aborted", "lost", "damaged"] | None:
    if transfer.how_ended == "lost":
        return "lost"
    if transfer.how_ended != "released":
        return "aborted"
    return "damaged" if transfer.unreadable else None


def _is_made_good(transfer: Transfer, later: Sequence[Transfer]) -> bool:
    return any(one.is_clean and one.caller == transfer.caller for one in later)
