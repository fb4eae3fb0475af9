"""The numbers of an adaptation's check, which a model file keeps beside its provenance.

A cross-validation over the patients that a model was adapted to: for each fold of patients, the
parent was adapted to the others by the same recipe, and both were scored on the fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, Strict

from recontour.network.findings import CheckEstimates, TriedSays
from recontour.organs import OrganName

MOST_ORGANS = 1000
MOST_SAYS = 100

MeanDsc = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Change = Annotated[float, Strict(), Field(ge=-1, le=1, allow_inf_nan=False)]
Number = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]
Folds = Annotated[int, Strict(), Field(ge=2, le=1_000_000)]
Worth = Annotated[float, Strict(), Field(ge=0, le=1_000_000, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class CheckedDsc:
    """The mean DSC of the parent and of adapted models on one organ, or over several.

    patients: those that both have scored, or only the adapted model if the parent does not know the
    organ. difference: adapted minus parent; low, high: its 95 % t interval over the patients. None
    stands for what could not be measured.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    patients: Number
    parent: MeanDsc | None = None
    adapted: MeanDsc | None = None
    difference: Change | None = None
    low: Change | None = None
    high: Change | None = None


@dataclass(frozen=True, slots=True)
class TriedSay:
    """What the adapted models scored, over all folds, if the parent had a certain say.

    parent_patients: how many of the centre's patients the parent counted for. dsc: the mean.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    parent_patients: Worth
    dsc: MeanDsc


@dataclass(frozen=True, slots=True)
class Check:
    """What a cross-validation of an adaptation found.

    patients: of the cohort, each tested once. iterations: of each fold's adaptation; the fewest.
    organs: by TG-263 name. mean: over the organs that both models have scored, each counting the
    same. says: what was tried of the parent's say, if anything; the best was taken. In `organs` and
    `mean`, each fold's patients were scored with the say that was best on the other folds.

    >>> dsc = CheckedDsc(patients=6, parent=0.5, adapted=0.625, difference=0.125)
    >>> check = Check(folds=3, patients=6, iterations=2200, organs={"Lens_L": dsc}, mean=dsc)
    >>> check.mean.difference
    0.125
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    folds: Folds
    patients: Number
    iterations: Number
    organs: Annotated[Mapping[OrganName, CheckedDsc], Field(max_length=MOST_ORGANS)]
    mean: CheckedDsc
    says: Annotated[tuple[TriedSay, ...], Field(max_length=MOST_SAYS)] = ()

    def estimates(self) -> CheckEstimates:
        """Return what a reader of the numbers must know."""
        return CheckEstimates(folds=self.folds, iterations=self.iterations)

    def tried(self) -> TriedSays | None:
        """Return what was tried of the parent's say; None if there was no choice."""
        if not self.says:
            return None
        worths = tuple(say.parent_patients for say in self.says)
        return TriedSays(worths=worths, dscs=tuple(say.dsc for say in self.says))
