"""What a decision of the gate means, in words for a report and the screen."""

from recontour.evaluation.gate import ALPHA, Needed, OrganGate, Reason
from recontour.wording import plural


def why(one: OrganGate) -> str:
    """Say why an organ is promoted or not.

    >>> from recontour.evaluation.gate import not_tested
    >>> why(not_tested("Lens_L"))
    'the cohort has no contours of it that count'
    """
    patients = plural(one.patients, "patient")
    missed = plural(one.missed_candidate, "patient")
    words = {
        Reason.NOT_INFERIOR: f"in {patients}, not worse by more than the margins{_but_worse(one)}",
        Reason.WORSE: f"in {patients}, worse than the model in use",
        Reason.MISSED_MORE: (
            f"missed in {missed}; the model in use missed it in {one.missed_parent}"
        ),
        Reason.NOT_SHOWN: (
            "not shown to be within the margins, although a model as good as the one in use would "
            f"have had {_chance(one)} of being promoted"
        ),
        Reason.TOO_FEW: f"{patients} cannot decide: {_of_an_equal(one)}",
        Reason.FOUND_BY_NEITHER: _of_neither(one),
        Reason.NOT_TESTED: "the cohort has no contours of it that count",
        Reason.NO_PARENT: (
            "the model in use does not contour it, so there is nothing to compare with"
        ),
    }
    return words[one.reason]


def _but_worse(one: OrganGate) -> str:
    """Say that an organ which is promoted is worse all the same, if that is shown."""
    return ", but worse than the model in use" if one.p_worse_holm < ALPHA else ""


def _of_neither(one: OrganGate) -> str:
    """Say that both models' DSC is 0: nothing was drawn, or it was drawn elsewhere."""
    patients = plural(one.patients, "patient")
    if one.missed_parent == one.missed_candidate == one.patients:
        return f"found by neither model in {patients}"
    return f"in {patients}, neither model's contours overlap the reference"


def _of_an_equal(one: OrganGate) -> str:
    return f"a model as good as the one in use had {_chance(one)} of being promoted"


def _chance(one: OrganGate) -> str:
    """Say how likely a model as good as the one in use was promoted."""
    percent = 100 * one.power
    return f"a chance of at least {percent:.0f} %" if percent >= 1 else "almost no chance"


def how_many_more(needed: Needed | None) -> str:
    """Say how many patients more would promote an organ, and how little is known of that.

    >>> how_many_more(Needed(likely=8, fewest=2, most=None))
    'about 8 patients more, if the means stay (at least 2; perhaps no number suffices)'
    """
    if needed is None:
        return ""
    if needed.likely is None and needed.fewest is None:
        return "no number of patients would promote it"
    if needed.likely is None:
        return f"no number of patients, if the means stay; with luck, {needed.fewest} more"
    few = plural(needed.likely, "patient")
    if needed.most is None:
        least = f"at least {needed.fewest}; perhaps no number suffices"
        return f"about {few} more, if the means stay ({least})"
    return f"about {few} more, if the means stay ({needed.fewest} to {needed.most})"
