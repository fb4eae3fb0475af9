"""Nothing that is stored names a patient, a folder or a file.

Every text attribute of the standard, every file and folder, and ROI names hold a word of their own
that nothing else does. Every command runs, with its errors, and every byte that is written or
logged is searched for these words, and so is every `--json` answer. What goes back to the planning
system may name the patient, but no file, folder or foreign ROI.
"""

import base64
import gzip
import io
import json
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.config import disable_value_validation
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID
from tests.dicom.conftest import edit
from tests.journeys.conftest import write_patient

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.cohort.patients import salt_path

WORD = "XYLOPHAG"  # no word of ours, of the standard or of a hash
TOKEN = re.compile(rb"X\0?Y\0?L\0?O\0?P\0?H\0?A\0?G\0?(?:[0-9A-F]\0?)*", re.IGNORECASE)
BIRTH = b"19470811"
TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT")
DATES = {"DA": BIRTH.decode(), "DT": f"{BIRTH.decode()}101500"}
NEEDED = {  # what files are and belong together by, and what the errors below are made of
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ROIName",
    "ReferencedFrameOfReferenceUID",
    "PhotometricInterpretation",
    "ContourGeometricType",
    "RescaleType",
    "BurnedInAnnotation",
    "ApprovalStatus",
    "TransferSyntaxUID",
}
NAME = f"{WORD}F"  # of files and folders
ROI = f"{WORD}A"
SHORT = ["--iterations", "1"]
COMMANDS = {
    "import", "inspect", "deidentify", "export", "convert", "train", "adapt", "gain",
    "contour", "evaluate", "study", "report",
}  # fmt: skip
STUDY = """
retention_cases = 1
threads = 1
[source]
cohort = "{source}"
test = 1
[target]
cohort = "{target}"
validation = 1
test = 1
[models]
iterations = 1
validate_every = 1
"""


# Planting


def attributes() -> Iterator[tuple[int, str, str]]:
    """The tag, kind and word of every attribute of the standard that holds text or a date."""
    numbers = count()
    for tag, (kind, *_) in DicomDictionary.items():
        group, element = divmod(tag, 0x10000)
        is_of_images = group > 0x0008 or (group == 0x0008 and element > 0x0005)
        if not is_of_images or keyword_for_tag(tag) in NEEDED:
            continue
        if kind in TEXT:
            yield tag, kind, f"{WORD}{next(numbers):04X}"
        elif kind in DATES:
            yield tag, kind, DATES[kind]


PLANTED = list(attributes())


def plant(dataset: Dataset) -> None:
    """Fill every attribute of text, known, unknown or private, and a sequence."""
    for tag, kind, word in PLANTED:
        dataset[tag] = DataElement(tag, kind, f"{word}^{word}" if kind == "PN" else word)
    dataset.private_block(0x0009, WORD, create=True).add_new(1, "LO", WORD)
    dataset.add_new(0x00991001, "UN", WORD.encode())
    inner = Dataset()
    inner.PatientName, inner.ImageComments = WORD, WORD
    dataset.RequestAttributesSequence = dataset.OriginalAttributesSequence = [inner]


def plant_in_patient(folder: Path, number: int) -> None:
    """Fill the files of one patient, whose ID only these have."""

    def change(dataset: Dataset) -> None:
        plant(dataset)
        dataset.PatientID = f"{WORD}{number}"
        dataset.preamble = WORD.encode().ljust(128, b"\0")
        dataset.file_meta.SourceApplicationEntityTitle = WORD
        for roi in dataset.get("StructureSetROISequence", ()):
            name = roi.ROIName
            plant(roi)
            roi.ROIName = name

    edit(folder / "CT", change)
    edit(folder / "RS.dcm", change)


def patient(folder: Path, number: int) -> Path:
    """One patient; every file and folder has a name that may be a person's."""
    place = folder / f"{NAME} {number}"
    write_patient(place, number)
    with disable_value_validation():
        plant_in_patient(place, number)
    for index, file in enumerate(sorted((place / "CT").iterdir())):
        file.rename(file.with_name(f"{NAME}{index}"))
    (place / "CT").rename(place / NAME)
    (place / "RS.dcm").rename(place / f"{NAME}.dcm")
    return place


def ct_of(place: Path) -> Path:
    return place / NAME


def structures_of(place: Path) -> Path:
    return place / f"{NAME}.dcm"


def rescaled(place: Path) -> None:
    edit(ct_of(place), lambda image: setattr(image, "RescaleType", WORD))


def without_structures(place: Path) -> None:
    structures_of(place).unlink()


def cut_off(place: Path) -> None:
    for file in ct_of(place).iterdir():
        file.write_bytes(file.read_bytes()[:-300])


def without_a_slice(place: Path) -> None:
    (ct_of(place) / f"{NAME}2").unlink()


def in_another_frame(place: Path) -> None:
    edit(ct_of(place), lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3"))


def named(*names: str) -> Callable[[Path], None]:
    """A structure set with ROIs of these names."""

    def rename(structure_set: Dataset) -> None:
        rois = structure_set.StructureSetROISequence
        for roi, name in zip(rois, names, strict=True):
            roi.ROIName = name

    return lambda place: edit(structures_of(place), rename)


def bent(place: Path) -> None:
    """A contour that is no plane's, and one that is open."""

    def change(structure_set: Dataset) -> None:
        first, second, _ = structure_set.ROIContourSequence
        first.ContourSequence[0].ContourData[2] += 3
        second.ContourSequence[0].ContourGeometricType = WORD

    edit(structures_of(place), change)


def with_a_slice_twice(place: Path) -> None:
    def change(image: Dataset) -> None:
        image.SOPInstanceUID = UID("1.2.3.4")
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID

    copied = ct_of(place) / f"{NAME} copy"
    copied.write_bytes((ct_of(place) / f"{NAME}2").read_bytes())
    edit(copied, change)


SPOILT: list[Callable[[Path], None]] = [
    rescaled,
    without_structures,
    cut_off,
    without_a_slice,
    in_another_frame,
    named(ROI, f"{ROI}1", f"{ROI}2"),
    bent,
    with_a_slice_twice,
]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two centres; at the first also patients who are left out, each for another reason."""
    folder = tmp_path_factory.mktemp("archives") / NAME
    for number in range(2):
        named("Brain Stem", "Lens OS", f"GTV {ROI}")(patient(folder / "north", number))
    for number in range(2, 5):
        patient(folder / "south", number)
    for number, spoil in enumerate(SPOILT, start=5):
        spoil(patient(folder / "north", number))
    (folder / "north" / f"{NAME}.dcm").write_text(WORD)
    return folder


# Searching


def texts(content: bytes) -> Iterator[bytes]:
    """Yield some bytes, and all that is packed into them."""
    yield content
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                yield from texts(packed.read(name))
    elif content.startswith(b"\x1f\x8b"):
        yield from texts(gzip.decompress(content))
    elif content.startswith(b"\x89PNG"):
        yield from unpacked(content)
    for found in re.finditer(rb"base64,([A-Za-z0-9+/=]+)", content):
        yield from texts(base64.b64decode(found[1]))


def unpacked(picture: bytes) -> Iterator[bytes]:
    """Yield the chunks of a PNG that may be compressed text."""
    at = 8
    while at < len(picture):
        size = int.from_bytes(picture[at : at + 4], "big")
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        if kind in (b"zTXt", b"iTXt"):
            yield zlib.decompressobj().decompress(body[body.rindex(b"\0") + 1 :])
        at += size + 12


def found_in(content: bytes) -> set[str]:
    """Return the planted words in some bytes, with the attributes they stand for."""
    keywords = {word.encode(): keyword_for_tag(tag) for tag, _, word in PLANTED}
    found = set()
    for text in texts(content):
        for match in TOKEN.finditer(text):
            word = match[0].replace(b"\0", b"").upper()
            found.add(f"{word.decode()} {keywords.get(word, '')}".strip())
        if BIRTH in text:
            found.add("a date")
    return found


def held(folder: Path) -> dict[str, set[str]]:
    """Return what is found in a folder, by file."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    assert files
    found = {}
    for path in files:
        name = os.fsencode(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() else b""
        if words := found_in(name) | found_in(content):
            found[str(path.relative_to(folder))] = words
    return found


def damage(cohort: Path) -> None:
    """Change a voxel in the CT of every case, which is noticed only when voxels are used."""
    for ct in cohort.glob("cases/*/ct.npy"):
        content = bytearray(ct.read_bytes())
        content[-1] ^= 1
        ct.write_bytes(content)


def run_folder(model: Path) -> Path:
    return model.with_name(f"{model.name}.run")


class Records(logging.Handler):
    """All that is logged, as a handler that knows nothing of findings writes it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def records() -> Iterator[Records]:
    handler = Records()
    log = logging.getLogger("recontour")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def test_the_search_finds_what_is_there(archives: Path) -> None:
    north = held(archives / "north")
    assert {"a date", f"{WORD}0 PatientID".split()[0]} <= set().union(*north.values())
    for content in (
        gzip.compress(WORD.encode()),
        WORD.encode("utf-16-le"),
        b"src='data:image/png;base64," + base64.b64encode(WORD.encode()) + b"'",
    ):
        assert found_in(content) == {WORD}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", WORD)
    assert found_in(packed.getvalue()) == {WORD}


def to_keep(answer: Any) -> Any:
    """Return what a script may keep of a `--json` answer, as docs/reference/json.md says."""
    if isinstance(answer, list):
        return list(map(to_keep, answer))
    if not isinstance(answer, dict):
        return answer
    is_finding = {"kind", "message", "facts"} <= set(answer)
    left_out = {"screen_only", "message"} if is_finding else {"screen_only"}
    return {name: to_keep(value) for name, value in answer.items() if name not in left_out}


def without(words: set[str], answer: Any) -> Any:
    """Return an answer without the values that are among these words."""
    if isinstance(answer, list):
        return [without(words, value) for value in answer]
    if isinstance(answer, dict):
        return {name: without(words, value) for name, value in answer.items()}
    return None if answer in words else answer


def test_what_a_script_may_keep_of_an_answer_is_everything_else() -> None:
    finding = {"kind": "k", "message": WORD, "facts": {"a": 1}, "screen_only": {"path": WORD}}
    answer = {"notes": [finding], "result": {"message": ROI, "screen_only": WORD, "out": NAME}}
    kept = without({NAME}, to_keep(answer))
    assert kept == {
        "notes": [{"kind": "k", "facts": {"a": 1}}],
        "result": {"message": ROI, "out": None},
    }


@dataclass(frozen=True)
class Clinic:
    """The commands that a clinic may run, and their errors. answers: what `--json` said of each."""

    archives: Path
    cohorts: Path
    work: Path
    printed: pytest.CaptureFixture[str]
    answers: list[Any] = field(default_factory=list)

    @property
    def north(self) -> Path:
        return self.cohorts / "north"

    @property
    def south(self) -> Path:
        return self.cohorts / "south"

    @property
    def model(self) -> Path:
        return self.work / "S.safetensors"

    @property
    def adapted(self) -> Path:
        return self.work / "ST.safetensors"

    def patient(self, number: int) -> Path:
        return self.archives / "north" / f"{NAME} {number}"

    def runs(self, *arguments: str | Path) -> None:
        assert self.exit_code(*arguments) == 0, arguments

    def fails(self, *arguments: str | Path) -> None:
        assert self.exit_code(*arguments) in (1, 2), arguments

    def exit_code(self, *arguments: str | Path) -> int:
        """Run a command with `--json`, and keep its answer."""
        given = list(map(str, arguments))
        self.printed.readouterr()
        code = main([*given, "--json"])
        answer = json.loads(self.printed.readouterr().out)
        assert (answer["command"], answer["ok"]) == (given[0], code == 0)
        own = {*given[1:], *(str(Path(place) / "report.html") for place in given[1:])}
        self.answers.append(without(own, to_keep(answer)))
        return code

    def import_archives(self) -> None:
        archive, names = self.archives / "north", self.work / f"{NAME}.names"
        self.runs("import", archive, self.north)
        self.runs("import", self.archives / "south", self.south)
        self.runs("import", archive, self.north)
        self.fails("import", archive, self.work / "other", "--names", names)
        self.fails("import", self.archives / "nothing", self.north)
        self.fails("import", self.patient(6), self.work / "nobody")
        assert (len(Cohort.open(self.north)), len(Cohort.open(self.south))) == (3, 3)
        self.runs("inspect", self.north)
        self.fails("inspect", self.archives)

    def hand_out(self) -> None:
        clean, nifti = self.work / "deidentified", self.work / "nifti"
        self.runs("deidentify", self.archives / "north", clean)
        self.fails("deidentify", self.archives / "north", clean)
        self.runs("export", self.north, nifti, "--format", "nifti")
        self.fails("export", self.north, nifti, "--format", "nifti")

    def learn(self) -> None:
        new = self.work / "new"
        self.runs("train", self.north, "--out", self.model, *SHORT, "--keep-log")
        self.fails("train", self.north, "--out", self.model, *SHORT)
        self.fails("train", self.north, "--out", new, "--organs", ROI)
        self.runs("adapt", self.model, self.south, "--out", self.adapted, *SHORT, "--keep-log")
        self.fails("adapt", self.archives, self.south, "--out", new)
        # Two folds of three patients leave one to learn from.
        self.fails("gain", self.model, self.south, "--out", new, "--folds", "2", *SHORT)
        report = self.work / "evaluation"
        self.runs("evaluate", self.south, self.model, self.adapted, "--out", report)
        self.fails("evaluate", self.south, self.work / f"{NAME}.safetensors", "--out", new)

    def contour(self) -> None:
        scan, new = ct_of(self.patient(0)), self.work / "new"
        self.runs("contour", self.model, scan, "--out", self.work / "RS.dcm")
        seg = ("--out", self.work / "SEG.dcm", "--format", "seg")
        self.runs("contour", self.model, scan, *seg)
        masks = self.work / "masks"
        self.runs("contour", self.model, scan, "--out", masks, "--format", "nifti")
        self.fails("contour", self.model, ct_of(self.patient(5)), "--out", new)
        self.runs("convert", masks, scan, "--out", self.work / "converted.dcm")
        self.fails("convert", self.work / f"{NAME}.nii.gz", scan, "--out", new)

    def study(self) -> None:
        """The second time its cells fail, since voxels have changed."""
        declared, out = self.work / "STUDY.toml", self.work / "study"  # in a folder of that name
        declared.write_text(STUDY.format(source=self.north, target=self.south))
        self.runs("study", declared, "--dry-run")
        self.runs("study", declared, "--out", out)
        self.fails("study", declared, "--out", out)
        for result in (out / "cells").glob("*/result.json"):
            result.unlink()
        damage(self.south)
        self.fails("study", declared, "--out", out, "--resume")
        assert list(out.glob("cells/*/failed.txt"))
        self.runs("report", out)
        declared.write_text(f"[{WORD}]\n")
        self.fails("study", declared, "--out", self.work / "another")

    def use_what_is_damaged(self) -> None:
        damage(self.north)
        self.fails("inspect", self.north)
        self.fails("train", self.north, "--out", self.work / "new", *SHORT)
        self.fails("import", self.archives / "north", self.north)

    @property
    def stored(self) -> list[Path]:
        """All that may not name a patient."""
        names = ("deidentified", "nifti", "masks", "evaluation", "study")
        return [
            self.north,
            self.south,
            salt_path(self.north),
            self.model,
            run_folder(self.model),
            self.adapted,
            run_folder(self.adapted),
            *(self.work / name for name in names),
        ]


def test_no_command_stores_or_logs_what_names_a_patient(
    archives: Path,
    tmp_path: Path,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohorts").mkdir()
    clinic = Clinic(archives, tmp_path / "cohorts", tmp_path / NAME, capsys)
    clinic.work.mkdir()
    clinic.import_archives()
    clinic.hand_out()
    clinic.learn()
    clinic.contour()
    clinic.study()
    clinic.use_what_is_damaged()
    for place in clinic.stored:
        assert held(place) == {}, place
    assert len(records.lines) > 1
    assert found_in("\n".join(records.lines).encode()) == set()
    assert {answer["command"] for answer in clinic.answers} == COMMANDS
    leaks = [answer for answer in clinic.answers if found_in(json.dumps(answer).encode())]
    assert leaks == []
    for name in ("RS.dcm", "SEG.dcm", "converted.dcm"):
        drawn = clinic.work / name
        assert pydicom.dcmread(drawn).PatientID == f"{WORD}0"
        words = {word.partition(" ")[0] for word in held(drawn)["."]}
        assert words.isdisjoint({NAME, ROI}), name
