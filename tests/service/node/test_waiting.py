from types import SimpleNamespace
from typing import Any, cast

import pytest

from recontour.service.node.waiting import MOST_ASKED, MOST_PDU, WaitingSocket


def refuse(count: int, *, accepted: bool, held: int = 0) -> None:
    data_set = SimpleNamespace(tell=lambda: held)
    dimse = SimpleNamespace(message=SimpleNamespace(data_set=data_set))
    contexts = ["CT"] if accepted else []
    association = SimpleNamespace(accepted_contexts=contexts, dimse=dimse, is_established=False)
    connection: Any = SimpleNamespace(assoc=association)
    WaitingSocket._refuse_too_much(cast(WaitingSocket, connection), count)


def test_a_caller_that_was_just_accepted_may_send_large_pieces() -> None:
    """The first may come before pynetdicom has noted that there is an association."""
    refuse(MOST_PDU, accepted=True)


@pytest.mark.parametrize(
    ("count", "accepted", "held"),
    [(MOST_ASKED + 1, False, 0), (2 * MOST_PDU, True, 0), (1000, True, 2 << 30)],
)
def test_nobody_may_send_more_than_anyone_does(count: int, accepted: bool, held: int) -> None:
    with pytest.raises(OSError, match="more than anyone sends"):
        refuse(count, accepted=accepted, held=held)
