import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from tests.conftest import GRID

from recontour.cohort import Cohort, case_id_of
from recontour.errors import CohortError, OrganError, OutputError, SettingsError
from recontour.exchange.export import export
from recontour.exchange.findings import NothingToExport, OrgansNotContoured, UnevenSlices
from recontour.geometry import Grid

FLOAT32_MM = 1e-4  # of coordinates of a hundred mm
UNEVEN = Grid(GRID.shape, GRID.spacing_mm, (0.0, 3.0, 6.0, 9.0, 15.0, 21.0), GRID.origin_mm)


def read(path: Path) -> sitk.Image:
    return sitk.ReadImage(str(path))


def places_mm(
    image: sitk.Image, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> list[tuple[float, ...]]:
    """Where voxels lie in the patient (LPS), as ITK has it."""
    return [
        image.TransformIndexToPhysicalPoint(tuple(map(int, at[::-1]))) for at in np.argwhere(inside)
    ]


@pytest.fixture
def overlapping(tmp_path: Path) -> Cohort:
    """One case: a brain stem of 27 voxels, and in its corner a pituitary of 8, 1 voxel of which is
    the brain stem's.
    """
    cohort = Cohort.open_or_create(tmp_path / "east", "east")
    stem, gland = np.zeros(GRID.shape, dtype=bool), np.zeros(GRID.shape, dtype=bool)
    stem[1:4, 10:13, 10:13] = True
    gland[3:5, 12:14, 12:14] = True
    hu = np.arange(np.prod(GRID.shape), dtype=np.int16).reshape(GRID.shape)
    cohort.add(
        case_id_of("east", "1"), hu, GRID, {"Brainstem": stem, "Pituitary": gland}, source_hash="1"
    )
    return cohort


def test_nifti_and_back_the_same_voxels_at_the_same_millimetres(
    north: Cohort, tmp_path: Path
) -> None:
    written = export(north.path, tmp_path / "out", format="nifti")
    assert (written.cases, written.left_out) == (north.case_ids, ())
    for case in north:
        ct = read(tmp_path / "out" / case.id / "ct.nii.gz")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ct), case.hu)
        files = {path.name for path in (tmp_path / "out" / case.id / "segmentations").iterdir()}
        # what is unknown has no file, not an empty one
        assert files == {f"{organ}.nii.gz" for organ in case.organs}
        for organ in case.organs:
            image = read(tmp_path / "out" / case.id / "segmentations" / f"{organ}.nii.gz")
            mask = case.mask(organ)
            np.testing.assert_array_equal(sitk.GetArrayFromImage(image), mask)
            slices, rows, columns = np.nonzero(mask)
            x_y = case.grid.to_mm(np.column_stack([columns, rows]).astype(float))
            expected = np.column_stack([x_y, np.array(case.grid.slice_z_mm)[slices]])
            np.testing.assert_allclose(places_mm(image, mask), expected, atol=FLOAT32_MM)


def test_a_raw_data_set_as_nnunet_reads_it(north: Cohort, tmp_path: Path) -> None:
    out = tmp_path / "Dataset017_North"
    written = export(north.path, out, format="nnunet")
    (lensless,) = [case.id for case in north if "Lens_L" not in case.organs]
    assert written.left_out == (OrgansNotContoured(case=lensless, organs=("Lens_L",)),)
    about = json.loads((out / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "Brainstem": 1, "Lens_L": 2, "Lens_R": 3}
    assert (about["channel_names"], about["numTraining"], about["file_ending"]) == (
        {"0": "CT"},
        2,
        ".nii.gz",
    )
    assert {path.name for path in (out / "imagesTr").iterdir()} == {
        f"{case}_0000.nii.gz" for case in written.cases
    }
    assert {path.name for path in (out / "labelsTr").iterdir()} == {
        f"{case}.nii.gz" for case in written.cases
    }
    for case_id in written.cases:
        ct, labels = (
            read(out / "imagesTr" / f"{case_id}_0000.nii.gz"),
            read(out / "labelsTr" / f"{case_id}.nii.gz"),
        )
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ct), north[case_id].hu)
        assert (ct.GetOrigin(), ct.GetSpacing(), ct.GetDirection()) == (
            labels.GetOrigin(),
            labels.GetSpacing(),
            labels.GetDirection(),
        )
        for organ, label in about["labels"].items():
            if organ != "background":
                np.testing.assert_array_equal(
                    sitk.GetArrayFromImage(labels) == label, north[case_id].mask(organ)
                )


def test_a_voxel_of_two_organs_is_the_smaller_one_s_and_told(
    overlapping: Cohort, tmp_path: Path
) -> None:
    (case,) = overlapping
    for name, organs in (
        ("Dataset001_a", ["Brainstem", "Pituitary"]),
        ("Dataset002_b", ["Pituitary", "Brainstem"]),
    ):
        written = export(overlapping.path, tmp_path / name, format="nnunet", organs=organs)
        assert written.shared_voxels == {case.id: 1}
        labels = sitk.GetArrayFromImage(read(tmp_path / name / "labelsTr" / f"{case.id}.nii.gz"))
        np.testing.assert_array_equal(
            labels == 1 + organs.index("Pituitary"), case.mask("Pituitary")
        )
        assert np.count_nonzero(labels == 1 + organs.index("Brainstem")) == 26


def test_uneven_slices_are_left_out_and_told(overlapping: Cohort, tmp_path: Path) -> None:
    (even,) = overlapping
    uneven = case_id_of("east", "2")
    overlapping.add(uneven, even.hu, UNEVEN, {"Brainstem": even.mask("Brainstem")}, source_hash="2")
    written = export(overlapping.path, tmp_path / "out", format="nifti")
    assert written.cases == (even.id,)
    (reason,) = written.left_out
    assert isinstance(reason, UnevenSlices)
    assert reason.case == uneven
    assert not (tmp_path / "out" / uneven).exists()


def test_only_the_organs_that_are_asked_for(north: Cohort, tmp_path: Path) -> None:
    out = tmp_path / "Dataset001_North"
    written = export(north.path, out, format="nnunet", organs=["Lens_R", "Brainstem"])
    assert (written.organs, len(written.cases)) == (("Lens_R", "Brainstem"), 3)
    assert json.loads((out / "dataset.json").read_text())["labels"] == {
        "background": 0,
        "Lens_R": 1,
        "Brainstem": 2,
    }


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("north", {"format": "nnunet"}, SettingsError, "like Dataset001_North"),
        ("out", {"format": "minc"}, SettingsError, "nnunet or nifti"),
        ("out", {"format": "nifti", "organs": ["Larynx"]}, OrganError, "no case has this .*Larynx"),
        (".", {"format": "nifti"}, OutputError, "exists"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    north: Cohort,
    tmp_path: Path,
    name: str,
    options: dict[str, str],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        export(north.path, tmp_path / name, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_no_case_with_all_organs_leaves_no_folder(overlapping: Cohort, tmp_path: Path) -> None:
    (case,) = overlapping
    overlapping.add(
        case_id_of("east", "3"), case.hu, GRID, {"Larynx": case.mask("Pituitary")}, source_hash="3"
    )
    with pytest.raises(OrganError) as caught:
        export(overlapping.path, tmp_path / "Dataset001_East", format="nnunet")
    assert caught.value.finding == NothingToExport(
        path=overlapping.path,
        format="nnunet",
        reasons=(
            OrgansNotContoured(organs=("Brainstem", "Pituitary")),
            OrgansNotContoured(organs=("Larynx",)),
        ),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["east"]


def test_an_empty_cohort_has_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no contoured case"):
        export(
            Cohort.open_or_create(tmp_path / "empty", "empty").path,
            tmp_path / "out",
            format="nifti",
        )
