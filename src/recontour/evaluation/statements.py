"""What differences between two centres' contours amount to, as findings."""

from collections.abc import Iterable, Sequence

from recontour.evaluation.consistency import Suspect
from recontour.evaluation.differences import LEAST_AT_HOME, Difference, PatientOffsets, twin_of
from recontour.evaluation.findings import (
    DrawnDifferently,
    DrawnFurther,
    DrawnUnlikeOthers,
    ImagesDiffer,
    NotFoundByModel,
    NothingElseDiffers,
    TooFewAtHome,
)
from recontour.evaluation.images import ImageDifference
from recontour.findings import Finding


def said_of_differences(
    found: Sequence[Difference],
    *,
    may_be_images: bool = False,
) -> list[Finding]:
    """Return one finding per organ that is drawn differently, and one that says what was compared.

    may_be_images: the images differ in sharpness or noise, which alone moves a model's contours.
    Nothing is said if nothing was compared.
    """
    if not found:
        return []
    tested = [one for one in found if one.is_tested]
    if not tested:
        most = max(one.home_patients for one in found)
        return [TooFewAtHome(patients=most, fewest=LEAST_AT_HOME)]
    said: list[Finding] = []
    stated = [one for one in found if one.is_stated]
    for organ in dict.fromkeys(one.organ for one in stated):
        parts = [_further(one, found) for one in stated if one.organ == organ]
        said.append(DrawnDifferently(organ=organ, parts=tuple(parts), may_be_images=may_be_images))
    organs = {one.organ for one in tested}
    said.append(NothingElseDiffers(organs=len(organs), comparisons=len(tested), stated=len(stated)))
    return said


def _further(difference: Difference, among: Sequence[Difference]) -> DrawnFurther:
    twin = twin_of(difference, among)
    return DrawnFurther(
        measure=difference.measure,
        mean=difference.mean,
        low=difference.low,
        high=difference.high,
        patients=difference.patients,
        p_holm=difference.p_holm,
        twin=twin.organ if twin else None,
        twin_mean=twin.mean if twin else None,
        twin_low=twin.low if twin else None,
        twin_high=twin.high if twin else None,
    )


def said_of_missed(rows: Iterable[PatientOffsets]) -> list[Finding]:
    """Return one finding per organ that the model does not find in some patients."""
    having: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for row in rows:
        having.setdefault(row.organ, set()).add(row.patient)
        if row.offsets:
            found.setdefault(row.organ, set()).add(row.patient)
    said: list[Finding] = []
    for organ, patients in having.items():
        missed = len(patients - found.get(organ, set()))
        if missed:
            said.append(NotFoundByModel(organ=organ, missed=missed, patients=len(patients)))
    return said


def said_of_suspects(found: Iterable[Suspect]) -> list[Finding]:
    """Return one finding per contour that is drawn unlike the cohort's others."""
    said: list[Finding] = []
    for one in found:
        said.append(
            DrawnUnlikeOthers(
                case=one.patient,
                organ=one.organ,
                measure=one.measure,
                excess_mm=one.excess_mm,
                z_score=one.z,
                others=one.others,
            )
        )
    return said


def said_of_images(found: Iterable[ImageDifference]) -> list[Finding]:
    """Return one finding per trait in which the images differ."""
    said: list[Finding] = []
    for one in found:
        if one.is_far:
            said.append(
                ImagesDiffer(trait=one.trait, own=one.own, home=one.home, home_sd=one.home_sd)
            )
    return said
