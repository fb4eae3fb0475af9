"""Mean and standard deviation of what several patients measure, as files keep them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import ConfigDict, Field, Strict

DIGITS = 4  # of a rounded spread: no more of a patient than is needed

Number = Annotated[float, Strict(), Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Size = Annotated[float, Strict(), Field(ge=0, le=1e6, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=2, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation of so many patients' values."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    mean: Number
    sd: Size
    patients: Count

    def rounded(self) -> "Spread":
        """Return the same with four significant digits.

        >>> Spread(1.23456, 0.5, 2).rounded()
        Spread(mean=1.235, sd=0.5, patients=2)
        """
        return Spread(_rounded(self.mean), _rounded(self.sd), self.patients)


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return the spread of several patients' values; None of fewer than two.

    >>> spread_of([1.0, 2.0, 3.0])
    Spread(mean=2.0, sd=1.0, patients=3)
    """
    measured = list(values)
    if len(measured) < 2:
        return None
    return Spread(float(np.mean(measured)), float(np.std(measured, ddof=1)), len(measured))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
