"""Numbers as a study's report prints them."""

from collections.abc import Iterable

import numpy as np

from recontour.evaluation.numbers import NONE, number, signed
from recontour.study.tables import Interval


def interval(
    value: Interval,
    digits: int = 3,
    *,
    with_sign: bool = False,
) -> str:
    """Return a 95 % interval in words."""
    if np.isnan(value.low):
        return NONE
    printed = signed if with_sign else number
    return f"{printed(value.low, digits)} to {printed(value.high, digits)}"


def spread(values: Iterable[float], *, with_sign: bool = False) -> str:
    """Return the lowest and the highest of several numbers; NaN does not count.

    >>> spread([0.7, float("nan"), 0.5])
    '0.500 … 0.700'
    """
    known = [value for value in values if not np.isnan(value)]
    if len(known) < 2:
        return NONE
    printed = signed if with_sign else number
    return f"{printed(min(known), 3)} … {printed(max(known), 3)}"


def gain(value: Interval) -> str:
    """Return a difference and its interval, for use within a sentence."""
    return f"{signed(value.mean)}, 95 % interval {interval(value, with_sign=True)}"


def percent(share: float) -> str:
    """Return a share in percent.

    >>> percent(0.334)
    '33 %'
    """
    return NONE if np.isnan(share) else f"{number(100 * share, 0)} %"
