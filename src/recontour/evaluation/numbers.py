"""Numbers as a report prints them."""

import numpy as np

from recontour.geometry.arrays import Floats

# Where there is nothing to measure.
NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
INFINITE = "∞"


def number(value: float, digits: int) -> str:
    """Round a number for print, with a real minus sign; NaN is a dash.

    >>> number(0.8125, 3), number(float("nan"), 3)
    ('0.812', '–')
    """
    if np.isnan(value):
        return NONE
    if np.isinf(value):
        return INFINITE
    # Adding zero turns -0.0 into 0.0.
    rounded = round(value, digits) + 0.0
    sign = MINUS if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """Round a number for print and give it a sign, unless it is 0.

    >>> signed(0.1), signed(0.0001)
    ('+0.100', '0.000')
    """
    plus = "+" if round(value, digits) > 0 else ""
    return plus + number(value, digits)


def from_to(low: float, high: float, digits: int = 3) -> str:
    """Print an interval of differences.

    >>> from_to(-0.25, 0.5)
    '\N{MINUS SIGN}0.250 to +0.500'
    """
    return f"{signed(low, digits)} to {signed(high, digits)}"


def p_value(p: float) -> str:
    """Print a p value with three decimals.

    >>> p_value(0.0004)
    '<0.001'
    """
    if np.isnan(p):
        return NONE
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}"


def mean_and_spread(values: Floats, digits: int) -> str:
    """Print mean and sample standard deviation of the finite values, and count the infinite ones.

    >>> mean_and_spread(np.array([1.0, 2.0, np.inf]), 1)
    '1.5 ± 0.7 (1 ∞)'
    """
    finite = values[np.isfinite(values)]
    infinite = len(values) - len(finite)
    counted = f" ({infinite} {INFINITE})" if infinite else ""
    if not len(finite):
        return NONE + counted
    mean = number(float(finite.mean()), digits)
    spread = f" ± {finite.std(ddof=1):.{digits}f}" if len(finite) > 1 else ""
    return mean + spread + counted


def middle(values: Floats, digits: int) -> str:
    """Print the median of some values, which may be infinite."""
    if not len(values):
        return NONE
    return number(float(np.median(values)), digits)


def without_nan(values: list[float]) -> Floats:
    """Return the values that are numbers; NaN, where both masks are empty, is left out."""
    numbers = np.array(values, dtype=np.float64)
    return numbers[~np.isnan(numbers)]
