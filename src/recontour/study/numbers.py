"""Numbers as a study's report prints them."""

from collections.abc import Iterable

import numpy as np

from recontour.evaluation.numbers import NONE, number, signed
from recontour.study.tables import Interval


def interval(value: Interval, digits: int = 3, *, with_sign: bool = False) -> str:
    """An estimate's 95 % interval."""
    if np.isnan(value.low):
        return NONE
    one = signed if with_sign else number
    return f"{one(value.low, digits)} to {one(value.high, digits)}"


def spread(values: Iterable[float], *, with_sign: bool = False) -> str:
    """The lowest and the highest of several numbers, NaN left out."""
    there = [value for value in values if not np.isnan(value)]
    one = signed if with_sign else number
    return f"{one(min(there), 3)} … {one(max(there), 3)}" if len(there) > 1 else NONE


def gain(value: Interval) -> str:
    """A difference and its interval, within a sentence."""
    return f"{signed(value.mean)}, 95 % interval {interval(value, with_sign=True)}"


def percent(share: float) -> str:
    """A share."""
    return NONE if np.isnan(share) else f"{number(100 * share, 0)} %"
