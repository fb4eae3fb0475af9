"""What an import found of some cases, and every command that uses them must repeat.

So must every command that uses a model of them: what the model's file keeps is fixed words, numbers
and the centre's label, which it has anyway.
"""

from collections.abc import Sequence

from recontour.cohort.case import Case
from recontour.cohort.findings import DraftContours, MapNotApplied
from recontour.cohort.origins import mixed_origins
from recontour.cohort.store import Cohort
from recontour.cohort.traits import notes_on_traits
from recontour.findings import Finding
from recontour.wording import agreeing, plural


def draft_warnings(cases: Sequence[Case]) -> tuple[DraftContours, ...]:
    """Warn if contours to learn from, or to be scored against, are recontour's own drafts."""
    drafts = tuple(case.id for case in cases if case.is_draft)
    if not drafts:
        return ()
    return (DraftContours(drafts=drafts, cases=len(cases)),)


def cohort_warnings(cohort: Cohort, cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Warn of what an import found and a later command must repeat.

    Some cases come from elsewhere than the others, the names of the last import were not applied to
    some, or their contours are in doubt or incomplete.
    cases: those of the cohort that are used.
    """
    warnings: list[Finding] = []
    mixed = mixed_origins(cases)
    if mixed:
        warnings.append(mixed)
    stale = _stale(cohort, cases)
    if stale:
        warnings.append(stale)
    warnings += notes_on_traits(cases, Cohort.open(cohort.path).readable)
    return tuple(warnings)


def doubts_to_keep(cohort: Cohort, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return what everyone who uses a model of some cases must know, for the model's file.

    Some cases come from elsewhere than the others, or the names of the last import were not applied
    to some.

    >>> doubts_to_keep(Cohort.open("south"), list(Cohort.open("south")))
    ()
    """
    kept = []
    training_cases = plural(len(cases), "training case")
    mixed = mixed_origins(cases)
    if mixed:
        several = mixed.institutions > 1
        known = f" ({mixed.institutions} institutions)" if several else ""
        others = len(mixed.others)
        come = agreeing(others, "comes", "come")
        kept.append(
            f"Cohort {cohort.centre}: {others} of {training_cases} {come} from elsewhere than the "
            f"others{known}."
        )
    stale = _stale(cohort, cases)
    if stale:
        kept.append(
            f"Cohort {cohort.centre}: the names of the last import were not applied to "
            f"{stale.cases} of {training_cases}."
        )
    return tuple(kept)


def _stale(cohort: Cohort, cases: Sequence[Case]) -> MapNotApplied | None:
    """Return a finding if the names of the last import were not applied to some cases."""
    used = {case.id for case in cases}
    stale = used.intersection(cohort.not_applied)
    if not stale:
        return None
    return MapNotApplied(
        cases=len(stale),
        of=len(used),
        is_kept=True,
    )
