"""Everything that could name a patient, planted everywhere;

then every byte that is stored is searched for it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag
from tests.dicom.conftest import edit, make_scan, make_structure_set
from tests.geometry.conftest import make_grid

from recontour import evaluate, import_dicom
from recontour.cli.main import main
from recontour.dicom.deidentify import deidentify
from recontour.exchange.export import export
from recontour.network import load_model, save_model

WORD = "XYLOPHAGUS"  # no word of ours, of the standard or of a hash
SECRETS = (WORD, "19470811", "471108155")
PLANTED = {
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE"), WORD),
    "PN": f"{WORD}^{WORD}",
    "CS": WORD,
    "DA": "19470811",
    "DT": "19470811101500",
    "AS": "047Y",
}
NEEDED = {  # by which the files belong together, or are what they are
    "SpecificCharacterSet",
    "StructureSetLabel",
    "ROIName",
    "PhotometricInterpretation",
    "ContourGeometricType",
    "RescaleType",
    "BurnedInAnnotation",
    "ApprovalStatus",
    "TransferSyntaxUID",
}


def attributes() -> Iterator[tuple[int, str]]:
    """The tag and kind of every attribute of the standard that holds text or a date."""
    for tag, (kind, *_) in DicomDictionary.items():
        group, element = divmod(tag, 0x10000)
        is_of_images = group > 0x0008 or (group == 0x0008 and element > 0x0005)
        if is_of_images and kind in PLANTED and keyword_for_tag(tag) not in NEEDED:
            yield tag, kind


def plant(dataset: Dataset) -> None:
    """Fill every attribute of text, known, unknown or private, and a sequence."""
    for tag, kind in attributes():
        dataset[tag] = DataElement(tag, kind, PLANTED[kind])
    dataset.PatientID = "471108155"
    dataset.private_block(0x0009, WORD, create=True).add_new(1, "LO", WORD)
    dataset.add_new(0x00991001, "UN", WORD.encode())
    inner = Dataset()
    inner.PatientName, inner.ImageComments = PLANTED["PN"], WORD
    dataset.RequestAttributesSequence = dataset.OriginalAttributesSequence = [inner]


def plant_in_file(file: Dataset) -> None:
    plant(file)
    file.Modality = "CT" if "PixelData" in file else "RTSTRUCT"
    file.preamble = WORD.encode().ljust(128, b"\0")
    file.file_meta.SourceApplicationEntityTitle = WORD


def name_rois(structure_set: Dataset) -> None:
    plant_in_file(structure_set)
    for roi, name in zip(
        structure_set.StructureSetROISequence, ("Brainstem", f"GTV {WORD}"), strict=True
    ):
        plant(roi)
        roi.ROIName = name


def stored(folder: Path) -> bytes:
    """Every byte of every file, and what files and folders are called, in capitals."""
    found = b""
    for path in sorted(folder.rglob("*")):
        found += os.fsencode(path.relative_to(folder)) + b"\0"
        found += path.read_bytes() if path.is_file() else b""
    return found.upper()


def held(folder: Path) -> list[str]:
    content = stored(folder)
    assert content
    spelt = {
        secret: (secret.encode(), secret.encode("utf-16-le"), secret.encode("utf-16-be"))
        for secret in SECRETS
    }
    return [secret for secret, ways in spelt.items() if any(way in content for way in ways)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A patient to import, and others that are left out, each for another reason."""
    folder = tmp_path / WORD / "dicom" / WORD
    grid = make_grid((5, 32, 32))
    for name in ("good", "bad rescaling", "no set", "cut off"):
        scan = make_scan(folder / f"{WORD} {name}" / WORD, grid, seed=name)
        if name != "no set":
            make_structure_set(
                folder / f"{WORD} {name}" / f"{WORD}.dcm", scan, ("Brainstem", "GTV"), seed=name
            )
            edit(folder / f"{WORD} {name}" / f"{WORD}.dcm", name_rois)
        edit(folder / f"{WORD} {name}" / WORD, plant_in_file)
    edit(folder / f"{WORD} bad rescaling" / WORD, lambda image: setattr(image, "RescaleType", WORD))
    for file in (folder / f"{WORD} cut off" / WORD).iterdir():
        file.write_bytes(file.read_bytes()[:-300])
    return tmp_path / WORD / "dicom"


def test_nothing_that_is_stored_names_the_patient(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "recontour.dicom.deidentify.secrets.token_bytes", lambda size: bytes(range(size))
    )
    monkeypatch.chdir(tmp_path)
    assert held(archive) == list(SECRETS)  # the search finds what is there
    cohort = Path(WORD) / "cohort"
    report = import_dicom(Path(WORD) / "dicom", cohort)
    assert len(report.added) == 1
    assert len(report.left_out) == 3
    written = deidentify(Path(WORD) / "dicom", Path(WORD) / "deidentified")
    assert written.series == 3
    assert written.structure_sets == 2
    export(cohort, Path(WORD) / "nifti", format="nifti")
    assert main(["inspect", str(cohort)]) == 0
    assert (
        main(["train", str(cohort), "--out", f"{WORD}/south.safetensors", "--iterations", "1"]) == 0
    )
    save_model(load_model(Path(WORD) / "south.safetensors"), Path(WORD) / "again")
    evaluate(
        cohort, [Path(WORD) / "south.safetensors", Path(WORD) / "again"], Path(WORD) / "evaluation"
    )
    capsys.readouterr()
    for name in ("cohort", "deidentified", "nifti", "evaluation"):
        assert held(Path(WORD) / name) == [], name
    assert WORD.encode() not in (Path(WORD) / "south.safetensors").read_bytes()
