from typing import Literal

import pytest

from recontour.findings import Finding
from recontour.service.node.complete import Transfer, judge
from recontour.service.node.findings import (
    BrokenOff,
    NoInstances,
    OtherContent,
    RefusedInstances,
)

KEPT = frozenset({"1", "2"})
WHOLE = Transfer("CT1", "released")
ABORTED = Transfer("CT1", "aborted")
LOST = Transfer("CT1", "lost")
DAMAGED = Transfer("CT1", "released", unreadable=1)
REFUSED = Transfer("CT1", "released", refused=("3",))
ELSEWHERE = Transfer("CT2", "released")


def verdict(*transfers: Transfer, kept: frozenset[str] = KEPT, rivals: int = 0) -> Finding | None:
    found = judge(transfers, kept, rivals, quiet_for_s=30, quiet_s=30)
    assert found.state == ("incomplete" if found.why else "complete")
    return found.why


def test_a_series_is_complete_when_it_is_quiet_and_no_association_of_it_is_open() -> None:
    assert verdict(WHOLE, WHOLE) is None
    assert judge([WHOLE], KEPT, 0, quiet_for_s=29, quiet_s=30).state == "arriving"
    is_open = Transfer("CT1", None)
    assert judge([WHOLE, is_open], KEPT, 0, quiet_for_s=3000, quiet_s=30).state == "arriving"


@pytest.mark.parametrize(
    ("transfer", "how"), [(ABORTED, "aborted"), (LOST, "lost"), (DAMAGED, "damaged")]
)
def test_what_broke_off_is_made_good_by_a_later_clean_transfer(
    transfer: Transfer, how: Literal["aborted", "lost", "damaged"]
) -> None:
    assert verdict(transfer) == BrokenOff(how=how)
    assert verdict(WHOLE, transfer) == BrokenOff(how=how)
    assert verdict(transfer, WHOLE) is None
    assert verdict(transfer, ELSEWHERE) == BrokenOff(how=how)
    assert verdict(transfer, REFUSED, kept=KEPT | {"3"}) == BrokenOff(how=how)


def test_a_refused_instance_is_made_good_only_by_itself() -> None:
    assert verdict(REFUSED) == RefusedInstances(instances=1)
    assert verdict(REFUSED, WHOLE) == RefusedInstances(instances=1)
    assert verdict(REFUSED, REFUSED, WHOLE) == RefusedInstances(instances=1)
    assert verdict(REFUSED, WHOLE, kept=KEPT | {"3"}) is None


def test_rivals_and_nothing_at_all_are_no_series() -> None:
    assert verdict(WHOLE, rivals=1) == OtherContent(instances=1)
    assert verdict(WHOLE, kept=frozenset()) == NoInstances()
