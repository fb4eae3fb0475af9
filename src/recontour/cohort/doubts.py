"""What an import found of some cases, and every command that uses them must repeat."""

from collections.abc import Sequence

from recontour.cohort.case import Case
from recontour.cohort.findings import DraftContours, MapNotApplied
from recontour.cohort.origins import mixed_origins
from recontour.cohort.store import Cohort
from recontour.cohort.traits import notes_on_traits
from recontour.findings import Finding


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
    used = {case.id for case in cases}
    stale = used.intersection(cohort.not_applied)
    if stale:
        warnings.append(
            MapNotApplied(
                cases=len(stale),
                of=len(used),
                is_kept=True,
            )
        )
    warnings += notes_on_traits(cases, Cohort.open(cohort.path).readable)
    return tuple(warnings)
