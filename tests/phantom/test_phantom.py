"""The embedded phantom: reproducible, plausible, readable as DICOM, with centres that differ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recontour.dicom import read_archive, read_series, read_structure_set
from recontour.geometry import StructureSet, rasterise
from recontour.organs import match_names
from recontour.phantom import SOURCE, TARGET, Centre, PhantomCase, make_case, write_centre

# of adults under any protocol: the smallest and the largest that are drawn
VOLUMES_CC = {
    "Brainstem": (12, 38),
    "SpinalCord": (4, 25),
    "Bone_Mandible": (30, 80),
    "Pituitary": (0.2, 1.6),
    "Parotid": (10, 50),
    "Lens": (0.1, 0.4),
    "OpticNrv": (0.25, 1.6),
    "Lobe_Temporal": (35, 110),
}
SMALL = replace(SOURCE, scanner=replace(SOURCE.scanner, size_px=128, pixel_mm=2.4, slice_mm=6.0))
COMPLETE = {centre.name: replace(centre, undrawn=0.0) for centre in (SOURCE, TARGET)}


@pytest.fixture(scope="module")
def cases() -> dict[str, PhantomCase]:
    """One case of each centre, with all organs drawn."""
    return {name: make_case(centre, 3) for name, centre in COMPLETE.items()}


def same(a: StructureSet, b: StructureSet) -> bool:
    return a.names == b.names and all(
        len(s.contours) == len(t.contours)
        and all(
            np.array_equal(c.points_mm, d.points_mm) and c.z_mm == d.z_mm
            for c, d in zip(s.contours, t.contours, strict=True)
        )
        for s, t in zip(a.structures, b.structures, strict=True)
    )


def base(organ: str) -> str:
    return organ.removesuffix("_L").removesuffix("_R")


def test_a_case_depends_on_seed_centre_and_number_alone() -> None:
    first = make_case(SMALL, 2)
    make_case(SMALL, 1)
    again = make_case(SMALL, 2)
    assert np.array_equal(first.hu, again.hu)
    assert same(first.structures, again.structures)
    assert not np.array_equal(first.hu, make_case(SMALL, 2, seed=1).hu)


@pytest.mark.parametrize("centre", [SOURCE, TARGET], ids=lambda centre: centre.name)
def test_every_name_is_understood_and_the_rest_left_out(centre: Centre) -> None:
    organs = {organ: name for organ, name in centre.roi_names.items() if organ[0].isupper()}
    table = match_names(list(centre.roi_names.values()))
    assert len(organs) == 12
    assert table.mapped == {name: organ for organ, name in organs.items()}
    assert {row.status for row in table.rows if row.roi_name not in table.mapped} == {"ignored"}


@pytest.mark.parametrize("name", ["source", "target"])
def test_organs_have_the_volumes_of_organs(cases: dict[str, PhantomCase], name: str) -> None:
    case = cases[name]
    for organ, roi_name in COMPLETE[name].roi_names.items():
        if organ[0].isupper():
            low, high = VOLUMES_CC[base(organ)]
            volume_cc = case.grid.volume_cc(
                rasterise(case.structures[roi_name].contours, case.grid)
            )
            assert low <= volume_cc <= high, f"{organ}: {volume_cc:.2f} cc"


@pytest.mark.parametrize("name", ["source", "target"])
def test_left_is_left(cases: dict[str, PhantomCase], name: str) -> None:
    """DICOM x grows to the patient's left."""
    centre, case = COMPLETE[name], cases[name]
    for organ in ("Parotid", "Lens", "OpticNrv", "Lobe_Temporal"):
        left, right = (
            np.concatenate(
                [c.points_mm for c in case.structures[centre.roi_names[f"{organ}_{side}"]].contours]
            )[:, 0]
            for side in "LR"
        )
        assert left.mean() > right.mean() + 15


@pytest.mark.parametrize("name", ["source", "target"])
def test_tissues_have_their_hounsfield_units(cases: dict[str, PhantomCase], name: str) -> None:
    """The CT shows what a contour encloses: bone, lenses brighter than the eyes, no air."""
    case = cases[name]

    def median_hu(organ: str) -> float:
        mask = rasterise(case.structures[COMPLETE[name].roi_names[organ]].contours, case.grid)
        return float(np.median(case.hu[mask]))

    assert median_hu("Bone_Mandible") > 200
    assert 15 < median_hu("Brainstem") < 60
    assert 15 < median_hu("Lobe_Temporal_L") < 60
    assert 0 < median_hu("SpinalCord") < 60
    assert median_hu("Lens_L") > 45
    assert -80 < median_hu("Parotid_R") < 90
    assert case.hu.dtype == np.int16
    assert case.hu.min() == -1024


def test_the_two_protocols_differ_as_centres_do(cases: dict[str, PhantomCase]) -> None:
    """In cross-section, canal against cord; along the neck, where brain stem and cord end."""
    source, target = cases["source"], cases["target"]
    cord, canal = (
        case.structures[COMPLETE[name].roi_names["SpinalCord"]].contours
        for name, case in (("source", source), ("target", target))
    )
    widths = [
        np.median([np.ptp(contour.points_mm[:, 0]) for contour in contours])
        for contours in (cord, canal)
    ]
    assert widths[1] > widths[0] + 3

    def length_mm(name: str, organ: str) -> float:
        heights = [c.z_mm for c in cases[name].structures[COMPLETE[name].roi_names[organ]].contours]
        return max(heights) - min(heights)

    assert length_mm("target", "Brainstem") > length_mm("source", "Brainstem") + 10
    assert target.grid != source.grid


def test_contours_run_between_the_pixels(cases: dict[str, PhantomCase]) -> None:
    case = cases["target"]
    points = np.concatenate([c.points_mm for c in case.structures["BRAINSTEM"].contours])
    off_mesh = np.abs(
        case.grid.to_pixels(points) * 2 - np.rint(case.grid.to_pixels(points) * 2)
    ).max(axis=1)
    assert np.mean(off_mesh > 0.02) > 0.5


def test_some_source_patients_lack_organs() -> None:
    """Each of 12 organs is drawn with a chance of one half; the case is always the same."""
    drawn = make_case(replace(SMALL, undrawn=0.5), 1).structures.names
    assert (
        {"BODY", "GTV primary", "PTV 70", "Brainstem PRV", "Dose 107%"}
        < set(drawn)
        < set(SOURCE.roi_names.values())
    )


def test_patients_differ() -> None:
    """The same brain stem in another head overlaps less than one hand's two tries would."""
    stems = [
        rasterise(case.structures["Brain Stem"].contours, case.grid)
        for case in (make_case(replace(SMALL, undrawn=0.0), number) for number in (3, 4))
    ]
    assert 2 * np.count_nonzero(stems[0] & stems[1]) / sum(map(np.count_nonzero, stems)) < 0.9


def test_a_centre_is_written_as_dicom(tmp_path: Path) -> None:
    write_centre(tmp_path / "archive", SMALL, [7])
    archive = read_archive(tmp_path / "archive")
    assert not archive.left_out
    assert not archive.unreadable
    (pair,) = archive.pairs
    scan = read_series(pair.series.files)
    made = make_case(SMALL, 7)
    assert np.array_equal(scan.hu, made.hu)
    assert scan.grid == made.grid
    read = read_structure_set(pair.structure_set.path, scan)
    assert read.names == made.structures.names
    for name in read.names:
        assert np.array_equal(
            rasterise(read[name].contours, scan.grid),
            rasterise(made.structures[name].contours, made.grid),
        )


def test_written_twice_is_written_the_same_and_never_over_another(tmp_path: Path) -> None:
    write_centre(tmp_path / "a", SMALL, [1])
    write_centre(tmp_path / "b", SMALL, [1])
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.dcm"))
    assert len(files) > 20
    assert all(
        (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        for file in files
    )
    (tmp_path / "a" / files[0]).unlink()
    write_centre(tmp_path / "a", SMALL, [1])
    assert not (tmp_path / "a" / files[0]).exists()  # a patient that is there stays as it is
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["source_001"]
