"""What differences between two centres' contours amount to, as findings."""

from collections.abc import Container, Iterable, Mapping, Sequence

from recontour.evaluation.consistency import Suspect
from recontour.evaluation.differences import (
    LEAST_AT_HOME,
    LEAST_PATIENTS,
    Difference,
    PatientOffsets,
    twin_of,
    values_by_organ,
)
from recontour.evaluation.findings import (
    DrawnDifferently,
    DrawnFurther,
    DrawnUnlikeOthers,
    ImagesDiffer,
    ImagesMayMoveContours,
    NotCompared,
    NotContouredByModel,
    NotFoundByModel,
    NothingElseDiffers,
)
from recontour.evaluation.images import MOVE_CONTOURS, ImageDifference
from recontour.findings import Finding
from recontour.network.baseline import Spreads


def said_of_differences(
    found: Sequence[Difference],
    *,
    may_be_images: bool = False,
) -> list[Finding]:
    """Return one finding per organ that is drawn differently, and one that says what was compared.

    may_be_images: the images differ in sharpness or noise, which alone moves a model's contours.
    Nothing is said if nothing was tested.
    """
    tested = [one for one in found if one.is_tested]
    if not tested:
        return []
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


def said_of_untested(
    rows: Iterable[PatientOffsets],
    found: Iterable[Difference],
    home: Mapping[str, Spreads],
) -> list[Finding]:
    """Return which organs were not tested at all, by whose patients are too few.

    found: the differences of the rows. home: by organ; nothing is said if it is empty. An organ
    that the model never finds is not named: `said_of_missed` does that.
    """
    tested = {one.organ for one in found if one.is_tested}
    too_few_here: list[str] = []
    too_few_at_home: list[str] = []
    for organ, by_measure in values_by_organ(rows).items():
        if organ in tested or not by_measure:
            continue
        is_enough = max(map(len, by_measure.values())) >= LEAST_PATIENTS
        (too_few_at_home if is_enough else too_few_here).append(organ)
    said: list[Finding] = []
    if home and too_few_here:
        organs = tuple(too_few_here)
        said.append(NotCompared(organs=organs, fewest=LEAST_PATIENTS, at_home=False))
    if home and too_few_at_home:
        organs = tuple(too_few_at_home)
        said.append(NotCompared(organs=organs, fewest=LEAST_AT_HOME, at_home=True))
    return said


def said_of_unknown(present: Iterable[str], known: Container[str]) -> list[Finding]:
    """Return which organs of a cohort the model does not contour, as one finding.

    present: the cohort's. known: the model's.
    """
    unknown = tuple(organ for organ in present if organ not in known)
    return [NotContouredByModel(organs=unknown)] if unknown else []


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


def said_of_doubt(said: Iterable[Finding], images: Iterable[ImageDifference]) -> list[Finding]:
    """Return why statements may be due to the images, if any of those that were said is."""
    if not any(isinstance(one, DrawnDifferently) and one.may_be_images for one in said):
        return []
    far = {one.trait for one in images if one.is_far}
    return [ImagesMayMoveContours(do_differ=not far.isdisjoint(MOVE_CONTOURS))]


def said_of_images(found: Iterable[ImageDifference]) -> list[Finding]:
    """Return one finding per trait in which the images differ."""
    said: list[Finding] = []
    for one in found:
        if one.is_far:
            said.append(
                ImagesDiffer(trait=one.trait, own=one.own, home=one.home, home_sd=one.home_sd)
            )
    return said
