"""Beyond the drawn part of an organ nobody knows: neither training nor scoring counts it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import write_patient

from recontour import CohortContents, Finding, confirm_extent, import_dicom, inspect
from recontour.assess.pictures import Planes
from recontour.assess.scoring import score_masks
from recontour.cohort import Case, Cohort, case_id_of
from recontour.cohort.doubts import cohort_warnings
from recontour.cohort.findings import NothingBeyond, PartlyContoured, ShortOrgan
from recontour.cohort.import_findings import (
    PartialNotApplied,
    PartialNotMet,
    PartialWithoutEffect,
    UnknownPartialOrgan,
)
from recontour.cohort.partly import Ends, read_ends, short_organs
from recontour.cohort.traits import NO_ENDS, notes_on_traits
from recontour.errors import CohortError, NamesError, SettingsError
from recontour.evaluation.figures import draw
from recontour.exchange.export import export
from recontour.exchange.findings import OrgansPartlyContoured
from recontour.findings import words
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import Preprocessing
from recontour.training.batches import Batches
from recontour.training.presets import PRESETS
from recontour.transfer.measured import measured
from recontour.validation import NotAChoice

GRID = Grid((40, 16, 16), (4.0, 4.0), tuple(3.0 * i for i in range(40)), (-30.0, -30.0))


def cord(first: int, last: int) -> Mask:
    """A square on the slices from the first to the last."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[first : last + 1, 6:9, 6:9] = True
    return mask


def add(cohort: Cohort, number: int, mask: Mask, partial: Ends = NO_ENDS) -> Case:
    hu = np.full(GRID.shape, 40 + number, dtype=np.int16)
    name = case_id_of(cohort.centre, f"1.2.{number}")
    masks = {"SpinalCord": mask}
    return cohort.add(name, hu, GRID, masks, source_hash=str(number), partial=partial)


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return Cohort.open_or_create(tmp_path / "north", "north")


@pytest.mark.parametrize(
    ("ends", "known"),
    [
        ((), range(40)),
        (("below",), range(10, 40)),
        (("above",), range(16)),
        (("below", "above"), range(10, 16)),
    ],
)
def test_what_lies_beyond_the_drawn_part_is_unknown(
    cohort: Cohort, ends: tuple[str, ...], known: range
) -> None:
    partial = read_ends([f"SpinalCord={end}" for end in ends])
    case = add(cohort, 1, cord(10, 15), partial)
    assert np.flatnonzero(case.known_slices("SpinalCord")).tolist() == list(known)
    assert not case.known_slices("Larynx").any()


def test_nothing_lies_beyond_the_end_of_the_scan(cohort: Cohort) -> None:
    case = add(cohort, 1, cord(0, 20), read_ends(["SpinalCord"]))
    assert case.traits.partly_contoured == {"SpinalCord": ("above",)}
    assert notes_on_traits([case], [case]) == [
        PartlyContoured(organ="SpinalCord", cases=(case.id,), of=1)
    ]


def test_batches_do_not_ask_for_what_is_unknown(cohort: Cohort) -> None:
    case = add(cohort, 1, cord(10, 15), read_ends(["SpinalCord"]))
    recipe = replace(PRESETS["compact"].train, iterations=1, batch=32, organ_share=0.0, views=1)
    batches = Batches([case], ["SpinalCord"], Preprocessing(4.0, 17, (-200.0, 400.0)), recipe, 0)
    batch = batches[0]
    planes = [chosen.plane for chosen in batches.slice_views(0)]
    assert batch.known_NK[:, 0].tolist() == [10 <= plane <= 15 for plane in planes]


def test_slices_beyond_the_drawn_part_are_not_scored(cohort: Cohort) -> None:
    whole = add(cohort, 1, cord(10, 15))
    part = add(cohort, 2, cord(10, 15), read_ends(["SpinalCord"]))
    drawn = [("SpinalCord", cord(5, 30))]
    ((too_long, _),) = score_masks(whole, "S", drawn)
    ((right, mask),) = score_masks(part, "S", drawn)
    assert too_long.dsc == pytest.approx(2 * 6 / (6 + 26))
    assert (right.dsc, right.hd95_mm, right.volume_bias_percent) == (1.0, 0.0, 0.0)
    assert np.array_equal(mask, cord(5, 30)), "pictures show where the model really stops"
    planes = Planes()
    planes.keep(part, "SpinalCord", "S", mask)
    axial, sagittal, coronal = planes.overlays(part, "SpinalCord")
    assert axial.is_scored is None
    for upright in (sagittal, coronal):
        assert upright.predicted["S"].any(axis=1).sum() == 26
        assert upright.is_scored is not None
        assert np.flatnonzero(upright.is_scored[::-1]).tolist() == list(range(10, 16))
    above, below = draw(sagittal).not_scored_mm
    assert above[0] == 0.0
    assert below[0] - above[1] == 6 * 3.0


def test_a_part_has_no_size_that_a_whole_organ_is_measured_by(cohort: Cohort) -> None:
    part = add(cohort, 1, cord(10, 15), read_ends(["SpinalCord"]))
    whole = add(cohort, 2, cord(10, 15))
    assert "height_mm" in measured([whole], ["SpinalCord"]).organs["SpinalCord"]
    ranges = measured([part], ["SpinalCord"]).organs["SpinalCord"]
    assert {"height_mm", "volume_cc"}.isdisjoint(ranges)


def test_nnunet_gets_no_organ_in_part(cohort: Cohort, tmp_path: Path) -> None:
    part = add(cohort, 1, cord(10, 15), read_ends(["SpinalCord"]))
    whole = add(cohort, 2, cord(5, 30))
    written = export(cohort.path, tmp_path / "Dataset001_North", format="nnunet")
    assert written.cases == (whole.id,)
    assert written.left_out == (OrgansPartlyContoured(case=part.id, organs=("SpinalCord",)),)


def test_a_contour_much_shorter_than_the_others_is_a_doubt_and_no_more(cohort: Cohort) -> None:
    others = [add(cohort, number, cord(5, 34)) for number in range(5)]
    assert short_organs(others, others) == []
    short = add(cohort, 5, cord(16, 23))  # 24 of 90 mm, with 48 mm of CT on either side
    at_the_end = add(cohort, 6, cord(1, 8))
    cut = add(cohort, 7, cord(0, 7))
    cases = list(cohort)
    found = ShortOrgan(
        path=cohort.path,
        organ="SpinalCord",
        cases=(short.id,),
        extents_mm=(24.0,),
        usual_mm=90.0,
    )
    assert short_organs(cases, cases) == [found]
    assert short_organs([at_the_end, cut], cases) == []
    assert f"confirm-extent {cohort.path} {short.id} --partial SpinalCord" in words(found)
    assert found in cohort_warnings(cohort, [short, at_the_end]), "compared with the whole cohort"
    assert short.known_slices("SpinalCord").all()
    said = replace(short, traits=replace(short.traits, partly_contoured={"SpinalCord": ("above",)}))
    assert short_organs([said], [*others, said]) == []


def test_a_short_contour_is_one_note_until_a_person_answers(cohort: Cohort) -> None:
    for number in range(6):
        add(cohort, number, cord(5, 34))
    short = add(cohort, 6, cord(16, 23)).id

    def kinds() -> list[type[Finding]]:
        found = inspect(cohort.path)
        assert isinstance(found, CohortContents)
        return [type(note) for note in found.notes]

    assert kinds() == [ShortOrgan]
    assert confirm_extent(cohort.path, [short], whole="SpinalCord") == (short,)
    assert kinds() == []
    assert cohort[short].known_slices("SpinalCord").all()
    confirm_extent(cohort.path, short, partial="SpinalCord=below")
    assert kinds() == [PartlyContoured]
    assert not cohort[short].known_slices("SpinalCord")[:16].any()
    confirm_extent(cohort.path, [short], whole="SpinalCord")
    assert kinds() == []


def test_an_extent_is_confirmed_of_all_cases_or_of_none(cohort: Cohort) -> None:
    case = add(cohort, 1, cord(10, 15))
    wrong: list[tuple[type[Exception], dict[str, str]]] = [
        (SettingsError, {}),
        (SettingsError, {"whole": "SpinalCord", "partial": "SpinalCord"}),
        (NamesError, {"partial": "Spinal_Cord"}),
        (CohortError, {"whole": "Larynx"}),
        (NamesError, {"whole": "Spinal_Cord"}),
    ]
    for error, answer in wrong:
        with pytest.raises(error):
            confirm_extent(cohort.path, [case.id], **answer)
    with pytest.raises(CohortError):
        confirm_extent(cohort.path, [case.id, "nobody-12345678"], partial="SpinalCord")
    assert cohort[case.id].traits == case.traits


def test_an_organ_that_reaches_the_scan_s_end_is_not_called_whole(cohort: Cohort) -> None:
    inside = add(cohort, 1, cord(10, 15))
    cut = add(cohort, 2, cord(0, 15))
    with pytest.raises(CohortError, match="it reaches the lower end of the scan") as caught:
        confirm_extent(cohort.path, [inside.id, cut.id], partial="SpinalCord=below")
    assert caught.value.finding == NothingBeyond(
        path=cohort.path, case=cut.id, organ="SpinalCord", ends=("below",)
    )
    for case in (inside, cut):
        assert cohort[case.id].traits == case.traits
    confirm_extent(cohort.path, cut.id, partial="SpinalCord")
    assert cohort[cut.id].traits.partly_contoured == {"SpinalCord": ("above",)}


def test_a_case_of_the_days_before_the_release_is_still_partly_contoured(cohort: Cohort) -> None:
    case = add(cohort, 1, cord(10, 15), read_ends(["SpinalCord"]))
    place = case.path / "case.json"
    place.write_text(place.read_text().replace("partly_contoured", "partly_drawn"))
    assert cohort[case.id].traits == case.traits


def test_a_case_that_was_confirmed_to_be_whole_before_the_release_still_is(cohort: Cohort) -> None:
    case = add(cohort, 1, cord(10, 15))
    confirm_extent(cohort.path, case.id, whole="SpinalCord")
    place = case.path / "case.json"
    record = json.loads(place.read_text())
    record["traits"]["contoured_whole"] = ["SpinalCord"]
    place.write_text(json.dumps(record))
    assert cohort[case.id].traits.contoured_whole == {"SpinalCord": ("below", "above")}


def test_few_cases_say_nothing_of_a_usual_length(cohort: Cohort) -> None:
    for number in range(4):
        add(cohort, number, cord(5, 34))
    add(cohort, 5, cord(16, 23))
    assert notes_on_traits(list(cohort), list(cohort)) == []


def test_an_import_says_what_it_did_not_apply_and_reading_again_forgets_nothing(
    tmp_path: Path,
) -> None:
    write_patient(tmp_path / "dicom", 0)  # the brain stem ends one slice above the scan's lower end
    archive, cohort = tmp_path / "dicom", tmp_path / "north"
    (name,) = import_dicom(archive, cohort).added
    stale = import_dicom(archive, cohort, partial=["Brainstem", "Larynx"])
    assert PartialNotApplied(cases=(name,), organs=("Brainstem",)) in stale.notes
    assert PartialNotMet(organs=("Larynx",)) in stale.notes
    assert Cohort.open(cohort)[name].traits.partly_contoured == {}
    for partial in (["Brainstem"], []):
        again = import_dicom(archive, cohort, partial=partial, again=True)
        assert PartlyContoured(organ="Brainstem", cases=(name,), of=1) in again.notes
        assert Cohort.open(cohort)[name].traits.partly_contoured == {"Brainstem": ("below",)}
    united = import_dicom(archive, cohort, partial=["Brainstem=above"], again=True)
    assert united.replaced == ()  # above, it reaches the scan's end
    assert Cohort.open(cohort)[name].traits.partly_contoured == {"Brainstem": ("below",)}
    applied = import_dicom(archive, cohort, partial=["Brainstem"])
    assert not any(isinstance(note, PartialNotApplied) for note in applied.notes)
    confirm_extent(cohort, [name], whole="Brainstem")
    assert import_dicom(archive, cohort, again=True).replaced == ()
    traits = Cohort.open(cohort)[name].traits
    assert (traits.partly_contoured, traits.contoured_whole) == (
        {},
        {"Brainstem": ("below", "above")},
    )


def test_an_import_says_which_partial_organs_have_no_effect(tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)  # the lens reaches the upper end of the scan
    partial = ["Lens_L=above", "Brainstem", "Larynx"]
    report = import_dicom(tmp_path / "dicom", tmp_path / "north", partial=partial)
    without = [note for note in report.notes if isinstance(note, PartialWithoutEffect)]
    assert without == [PartialWithoutEffect(organ="Lens_L", ends=("above",), cases=1)]
    assert PartialNotMet(organs=("Larynx",)) in report.notes
    assert words(without[0]).startswith("Lens_L: --partial has no effect: it reaches the upper end")
    again = import_dicom(tmp_path / "dicom", tmp_path / "north", partial=["Lens_L"])
    assert not any(isinstance(note, PartialWithoutEffect) for note in again.notes)  # below


def test_ends_add_up() -> None:
    assert read_ends(["SpinalCord=above", "SpinalCord=below"]) == read_ends(["SpinalCord"])
    assert read_ends(["Myelon_x"], ["Myelon_x"]) == {"Myelon_x": ("below", "above")}


def test_another_end_or_a_misspelt_organ_is_refused() -> None:
    with pytest.raises(NamesError) as caught:
        read_ends(["SpinalCord=left"])
    assert isinstance(caught.value.finding, NotAChoice)
    with pytest.raises(NamesError, match=r"did you mean SpinalCord\?") as caught:
        read_ends(["Spinal_Cord"])
    assert isinstance(caught.value.finding, UnknownPartialOrgan)
