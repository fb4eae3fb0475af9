"""Bent DICOM archives for fuzz.py: one patient, stored in every way that is read, then damaged.

`bases` writes the whole archives, and `bend` damages one of them. What it does depends on the
random numbers alone, so a seed and a number give the same case again.
"""

import contextlib
import io
import os
import random
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from recontour.dicom import Authorship, ScanIdentity, write_scan, write_structure_set
from recontour.geometry import Grid, Structure, StructureSet, trace

GRID = Grid((3, 64, 64), (3.0, 3.0), (0.0, 3.0, 6.0), (-94.5, -94.5))
RS = "rs.dcm"  # the structure set; every other file is an image
MOST_INFLATED = 64 << 20  # bytes; a deflated file that holds more is left as it is
Files = dict[str, bytes]
Random = random.Random
Dataset = pydicom.Dataset
Change = Callable[[Dataset], None]
After = Callable[[Path], None]  # done to the folder once the files are written
Bent = tuple[str, After | None]  # what was done, in words

WORDS = [
    b"", b" ", b"\0", b"\0" * 64, b"../../../../escaped", b"/escaped", b"..", b"a\nb\r\nc",
    b"Brainstem\nmapped,yes", b"<script>alert(1)</script>", b"<img src=x onerror=alert(1)>",
    b"\x1b[2J\x1b[31mred\x1b]0;owned\x07", b"[bold red]x[/bold red]", b"[/]", b"%s%n{0}{x}",
    b"'; DROP TABLE cases; --", b"A" * 70000, b"\xff\xfe\x80\x81", b"\x1b$B\x1b(B\x1b",
    b"\x1b$)C\xb1\xe8", b"=cmd|' /C calc'!A0", b"Brainstem\0Lens_L", b"\\" * 40, b"1.2." * 60,
    b"\xe8\x85\xae\xe8\x85\xba", b"\xe2\x80\xaegpj.exe", b"\xed\xa0\x80", b"CON",
    b"\x7f\x08\x08\x9b31m", b"Brainstem",
]  # fmt: skip
NUMBERS = [
    b"", b" ", b"NaN", b"inf", b"-inf", b"1e30", b"-1e30", b"1e308", b"-1e308", b"1e-320", b"1e400",
    b"0", b"-0", b"-1", b"1e5", b"99999", b"1e-9", b"0.3333333333333333333", b"9" * 400,
    b"1\\" * 5000 + b"1", b"0x10", b"1,5", b"\\", b" \\ \\ ", b"1e", b"1_0", b"--1", b"\xd9\xa1",
    b"1\\0\\0\\0\\0\\-1", b"0\\0\\0\\0\\0\\0", b"1\\0\\0\\0\\1\\0", b"-1\\0\\0\\0\\-1\\0",
    b"0\\1\\0\\1\\0\\0", b"NaN\\NaN", b"1e30\\1e30\\1e30", b"0\\0\\1e308", b"3\\0", b"4294967296",
]  # fmt: skip
WHOLE = [0, 1, 2, 3, 7, 8, 12, 16, 17, 32, 63, 64, 65, 255, 4095, 32767, 32768, 40000, 65535]
SYNTAXES = [
    b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.51", b"1.2.840.10008.1.2.4.57",
    b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.81",
    b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.201", b"1.2.840.10008.1.2.4.100",
    b"1.2.840.10008.1.2.5", b"1.2.840.113619.5.2", b"1.2.3", b"", b"../..",
]  # fmt: skip
CHARACTER_SETS = [
    b"ISO_IR 192", b"ISO_IR 100", b"GB18030", b"GBK", b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 149",
    b"ISO 2022 IR 6\\ISO 2022 IR 58", b"ISO_IR 13", b"utf-8", b"nonsense", b"", b"\\\\\\",
    b"ISO_IR 192\\ISO 2022 IR 87", b"rot13", b"idna", b"unicode_escape",
]  # fmt: skip
CT_KEYWORDS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
    "ImageType", "Modality", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName", "PositionReferenceIndicator", "SpecificCharacterSet",
    "InstanceNumber", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing",
    "SliceThickness", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "PixelData", "NumberOfFrames", "PlanarConfiguration",
    "DeidentificationMethodCodeSequence", "DeidentificationMethod", "PatientIdentityRemoved",
    "FloatPixelData", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
    "ExtendedOffsetTable", "PixelPaddingValue",
]  # fmt: skip
RS_KEYWORDS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "PatientName", "PatientID",
    "SpecificCharacterSet", "StructureSetDate", "StructureSetTime",
    "ReferencedFrameOfReferenceSequence", "FrameOfReferenceUID", "RTReferencedStudySequence",
    "RTReferencedSeriesSequence", "ContourImageSequence", "ReferencedSOPInstanceUID",
    "StructureSetROISequence", "ROINumber", "ROIName", "ReferencedFrameOfReferenceUID",
    "ROIContourSequence", "ReferencedROINumber", "ContourSequence", "ContourGeometricType",
    "NumberOfContourPoints", "ContourData",
]  # fmt: skip
VRS = [
    "DS", "IS", "US", "UI", "LO", "PN", "SQ", "OB", "OW", "UN", "FD", "FL", "AT", "SH", "CS", "UT",
    "DA", "OF", "ZZ",
]  # fmt: skip
ELEMENT = re.compile(
    rb"(?=.[\0\x30\x7f\x52]..(?:" + "|".join(VRS[:-1]).encode() + rb")...)", re.DOTALL
)
LENGTHS = [0, 1, 3, 0xFFFF, 0xFFFE, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000]
LONG_VRS = (b"OB", b"OW", b"SQ", b"UN", b"UT")  # whose length takes four bytes
SEQUENCE_TAGS = [
    b"\x06\x30\x39\x00", b"\x12\x00\x64\x00", b"\x06\x30\x10\x00", b"\x00\x52\x30\x92",
    b"\x09\x00\x10\x10",
]  # fmt: skip
OPEN_ENDS = [
    b"\xfc\xff\xfc\xffOB\0\0\xff\xff\xff\x7f",
    b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff",
    b"",
]
CONTOUR_KINDS = [
    "odd", "odd", "many points", "zigzag", "one number", "many contours", "same ROI", "one of many",
]  # fmt: skip
ODD_FILE_NAMES = [
    b"a\nb.dcm", b"\x1b[31mred.dcm", b"\xff\xfe.dcm", b"<b>.dcm", b"[red]x[red].dcm", b"-rf.dcm",
    b"%s.dcm",
]  # fmt: skip


# ------------------------------------------------------------ whole archives


def bases(folder: Path) -> dict[str, Files]:
    """Write one patient and return it stored in every way: name -> file name -> bytes."""
    _write_patient(folder)
    plain = {}
    for path in [*sorted((folder / "ct").iterdir()), folder / RS]:
        plain[path.name] = path.read_bytes()
    without_preamble = {name: data[132:] for name, data in plain.items()}
    return {
        "explicit": plain,
        "implicit": _every(plain, lambda image: _as(image, ImplicitVRLittleEndian)),
        "big endian": _every(plain, lambda image: _as(image, ExplicitVRBigEndian)),
        "deflated": _every(plain, lambda image: _as(image, DeflatedExplicitVRLittleEndian)),
        "no preamble": without_preamble,
        "RLE": _every_image(plain, lambda image: _compress(image, RLELossless)),
        "JPEG 2000": _every_image(plain, lambda image: _compress(image, JPEG2000Lossless)),
        "JPEG-LS": _every_image(plain, _as_jpeg_ls),
        "multi-frame": _as_multi_frame(plain),
    }


def _write_patient(folder: Path) -> None:
    """Write a CT of three slices and a structure set with three equal rings."""
    rng = np.random.default_rng(0)
    _zz, yy, xx = np.mgrid[:3, :64, :64]
    squared_radius = (xx - 32) ** 2 + (yy - 32) ** 2
    hu = np.where(squared_radius < 28**2, 30, -1000) + rng.normal(0, 8, GRID.shape)
    scan = write_scan(folder / "ct", np.round(hu).astype(np.int16), GRID, ScanIdentity("fuzz"))
    ring = (squared_radius < 12**2) & ~(squared_radius < 5**2)
    contours = trace(ring, GRID)
    names = ("Brainstem", "LT PAROTID", "PTV 70")
    structures = StructureSet(tuple(Structure(name, contours) for name in names))
    write_structure_set(folder / RS, structures, scan, Authorship("a person", seed="fuzz"))


def _every(files: Files, change: Change) -> Files:
    """Change every file."""
    return {name: changed(data, change) for name, data in files.items()}


def _every_image(files: Files, change: Change) -> Files:
    """Change every image; the structure set stays as it is."""
    images = {name: data for name, data in files.items() if name != RS}
    return _every(images, change) | {RS: files[RS]}


def changed(data: bytes, change: Change) -> bytes:
    """Read a file, change it and write it again.

    Raises: ValueError: the file inflates to more than MOST_INFLATED, and pydicom would inflate it
    whole.
    """
    if DeflatedExplicitVRLittleEndian.encode() in data[:400]:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        inflating.decompress(data[_end_of_meta(data, 0) :], MOST_INFLATED)
        if inflating.unconsumed_tail:
            raise ValueError("the file inflates to more than is read here")
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    change(dataset)
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset)
    return out.getvalue()


def _as(image: Dataset, syntax: str) -> None:
    """Change the transfer syntax."""
    for element in image.iterall():
        assert element.VR  # this parses it, while its byte order is known
    if syntax == ExplicitVRBigEndian and "PixelData" in image:
        image.PixelData = image.pixel_array.astype(">i2").tobytes()
    image.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)


def _compress(image: Dataset, syntax: str) -> None:
    image.compress(syntax, generate_instance_uid=False)


def _as_jpeg_ls(image: Dataset) -> None:
    """Put another image's JPEG-LS frame in: pydicom cannot write one."""
    with pydicom.dcmread(str(get_testdata_file("MR_small_jpeg_ls_lossless.dcm"))) as other:
        frame = next(generate_frames(other.PixelData, number_of_frames=1))
    image.PixelData = encapsulate([frame])
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = JPEGLSLossless


def _as_multi_frame(plain: Files) -> Files:
    """Return one multi-frame CT, and the structure set drawn on its frames."""
    ct = _enhanced([data for name, data in plain.items() if name != RS])
    uid = pydicom.dcmread(io.BytesIO(ct), stop_before_pixels=True).SOPInstanceUID

    def refer(structure_set: Dataset) -> None:
        for element in structure_set.iterall():
            if element.keyword == "ReferencedSOPInstanceUID":
                element.value = uid

    return {"ct.dcm": ct, RS: changed(plain[RS], refer)}


def _enhanced(images: list[bytes]) -> bytes:
    """Return single-frame images as one Enhanced CT image."""
    datasets = [pydicom.dcmread(io.BytesIO(data)) for data in images]
    first = datasets[0]
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(first, "ImageOrientationPatient")
    shared.PixelMeasuresSequence = _item(first, "PixelSpacing")
    shared.PixelValueTransformationSequence = _item(
        first, "RescaleSlope", "RescaleIntercept", "RescaleType"
    )
    shared.CTImageFrameTypeSequence = [kind]
    frames = []
    for dataset in datasets:
        frame = Dataset()
        frame.PlanePositionSequence = _item(dataset, "ImagePositionPatient")
        frames.append(frame)
    pixels = b"".join(dataset.PixelData for dataset in datasets)
    first.SOPClassUID = EnhancedCTImageStorage
    first.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    first.NumberOfFrames = len(frames)
    first.PerFrameFunctionalGroupsSequence = frames
    first.SharedFunctionalGroupsSequence = [shared]
    first.PixelData = pixels
    out = io.BytesIO()
    first.save_as(out)
    return out.getvalue()


def _item(source: Dataset, *keywords: str) -> list[Dataset]:
    """Return a sequence of one item that holds some of a dataset's attributes."""
    item = Dataset()
    for keyword in keywords:
        item[keyword] = source[keyword]
    return [item]


# ------------------------------------------------------------ bending


class Case(NamedTuple):
    """A bent archive."""

    words: str  # what was done
    files: Files
    after: After


def bend(rng: Random, archives: dict[str, Files]) -> Case:
    """Bend one of the archives, in up to four ways."""
    base = rng.choice(list(archives))
    weights = [weight for weight, _ in KINDS.values()]
    kind = rng.choices(list(KINDS), weights=weights)[0]
    files = dict(archives[base])
    words = []
    after: After = _leave_alone
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        _, act = KINDS[kind]
        did, then = act(rng, files)
        words.append(did)
        after = then or after
        if kind == "recursion":  # pydicom, which would bend it once more, may fail on it
            break
        # The slow kinds are used once.
        if kind in ("contours", "bomb") or rng.random() < 0.2:
            kind = rng.choice(["bytes", "length", "element"])
    return Case(f"{base}: {'; '.join(words)}", files, after)


def _leave_alone(_folder: Path) -> None:
    """Do nothing to the folder."""


def _images(files: Files) -> list[str]:
    return [name for name in files if name != RS]


def _pick(rng: Random, files: Files) -> str:
    """Choose a file: the structure set in half of the cases."""
    images = _images(files)
    return RS if rng.random() < 0.5 or not images else rng.choice(images)


def cut(rng: Random, files: Files) -> Bent:
    """Cut a file off: anywhere, near an end, or where an attribute begins."""
    name = _pick(rng, files)
    data = files[name]
    anywhere = rng.randrange(len(data) + 1)
    near_the_start = min(rng.randrange(200), len(data))
    near_the_end = max(len(data) - 1 - rng.randrange(64), 0)
    places = [anywhere, near_the_start, near_the_end]
    elements = _elements(data)
    for at in elements[-3:]:
        places.append(at + rng.randrange(-1, 9))
    places.append(rng.choice(elements or [0]))
    at = rng.choice(places)
    files[name] = data[: max(at, 0)]
    return f"{name} cut at {at} of {len(data)}", None


def byte_noise(rng: Random, files: Files) -> Bent:
    """Flip, insert, remove, repeat or blank bytes, sometimes within the pixels."""
    # Its complexity is 11: one branch per kind of damage.
    name = _pick(rng, files)
    data = bytearray(files[name])
    how = rng.choice(
        ["flip", "flip", "flip", "insert", "remove", "repeat", "zeros", "ones", "pixels"]
    )
    pixels = data.find(b"\xe0\x7f\x10\x00") if how == "pixels" else 0
    low = max(pixels, 0)
    at = rng.randrange(low, len(data) or 1) if data else 0
    size = rng.choice([1, 2, 4, 8, 100, 1000])
    if how in ("flip", "pixels"):
        for _ in range(rng.choice([1, 2, 8, 64])):
            if data:
                data[rng.randrange(low, len(data))] ^= 1 << rng.randrange(8)
    elif how == "insert":
        data[at:at] = rng.randbytes(size)
    elif how == "remove":
        del data[at : at + size]
    elif how == "repeat":
        data[at:at] = data[at : at + size] * rng.choice([1, 5, 50])
    else:
        blank = b"\0" if how == "zeros" else b"\xff"
        data[at : at + size] = blank * size
    files[name] = bytes(data)
    return f"{name} {how} at {at}, {size}", None


def wrong_length(rng: Random, files: Files) -> Bent:
    """Give an attribute another length or another VR."""
    name = _pick(rng, files)
    data = bytearray(files[name])
    at = rng.choice(_elements(bytes(data)) or [0])
    if len(data) < at + 12:
        return "too short to bend", None
    if rng.random() < 0.3:
        vr = rng.choice(VRS)
        data[at + 4 : at + 6] = vr.encode()
        words = f"VR {vr}"
    else:
        length = rng.choice([*LENGTHS, len(data), 1 << 24])
        if bytes(data[at + 4 : at + 6]) in LONG_VRS:
            data[at + 8 : at + 12] = struct.pack("<I", length)
        else:
            data[at + 6 : at + 8] = struct.pack("<H", length & 0xFFFF)
        words = f"length {length}"
    files[name] = bytes(data)
    return f"{name} at {at}: {words}", None


def odd_element(rng: Random, files: Files) -> Bent:
    """Give an attribute a hostile value or another VR, or remove it: in one file or every image."""
    name = _pick(rng, files)
    keyword = rng.choice(RS_KEYWORDS if name == RS else CT_KEYWORDS)
    vr = dictionary_VR(keyword).partition(" ")[0]
    value = _hostile_value(rng, keyword, vr)
    how = rng.choice(["set", "set", "set", "set", "VR", "remove", "empty"])
    vr = rng.choice(VRS[:-1]) if how == "VR" else vr
    place = rng.random()
    in_every_image = name != RS and rng.random() < 0.25
    names = _images(files) if in_every_image else [name]

    def change(dataset: Dataset) -> None:
        _put(dataset, keyword, how, vr, value, place)

    for other in names:
        _try_to_change(files, other, change)
    return f"{' '.join(names)} {keyword}: {how} {vr} {value[:40]!r}", None


def _try_to_change(files: Files, name: str, change: Change) -> None:
    """Change a file; leave it as it is if pydicom cannot read or write it."""
    with contextlib.suppress(Exception):
        files[name] = changed(files[name], change)


def _hostile_value(rng: Random, keyword: str, vr: str) -> bytes:
    if keyword == "SpecificCharacterSet":
        return rng.choice(CHARACTER_SETS)
    if keyword == "ROIName" and rng.random() < 0.3:
        return rng.choice([b"Brainstem", b"Lens_L", b"\x1b[31mBrainstem", b"Brain\nStem"])
    if vr in ("DS", "IS", "FD"):
        return rng.choice(NUMBERS)
    if vr == "US":
        return struct.pack("<H", rng.choice(WHOLE)) * rng.choice([1, 1, 1, 2, 0])
    if vr in ("OB", "OW", "OF"):
        return rng.randbytes(rng.choice([0, 1, 2, 100, 8192, 8190]))
    return rng.choice(WORDS)


def _put(dataset: Dataset, keyword: str, how: str, vr: str, value: bytes, place: float) -> None:
    """Set or remove an attribute.

    place: which of the items that have it, from 0 (the first) to 1; the dataset itself if none has.
    """
    tag = Tag(tag_for_keyword(keyword) or 0)
    holders = [dataset]
    for element in dataset.iterall():
        if element.VR == "SQ":
            holders += element.value
    holding = [holder for holder in holders if tag in holder] or [dataset]
    holder = holding[int(place * len(holding))]
    if how == "remove":
        holder.pop(tag, None)
        return
    value = b"" if how == "empty" else value + b" " * (len(value) % 2)
    holder[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    holder.set_original_encoding(False, True, "iso8859")


def _put_numbers(dataset: Dataset, keyword: str, value: bytes) -> None:
    """Set an attribute of VR DS to any text."""
    _put(dataset, keyword, "set", "DS", value, 0)


def syntax(rng: Random, files: Files) -> Bent:
    """Claim another transfer syntax than the file has."""
    chosen = rng.choice(SYNTAXES)
    names = rng.choice([list(files), [_pick(rng, files)]])
    for name in names:
        with contextlib.suppress(Exception):
            files[name] = _with_syntax(files[name], chosen)
    return f"{' '.join(names)}: transfer syntax {chosen!r}", None


def _with_syntax(data: bytes, chosen: bytes) -> bytes:
    at = data.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack("<H", data[at + 6 : at + 8])[0]
    chosen += b"\0" * (len(chosen) % 2)
    return data[: at + 6] + struct.pack("<H", len(chosen)) + chosen + data[at + 8 + length :]


def contours(rng: Random, files: Files) -> Bent:
    """Bend what is drawn: impossible numbers, very many points or contours, crossing lines."""
    kind = rng.choice(CONTOUR_KINDS)
    # The large ones take long, so they are rare.
    count = rng.choices([500, 5000, 100_000, 2_000_000], weights=[40, 40, 3, 1])[0]

    def change(dataset: Dataset) -> None:
        first = dataset.ROIContourSequence[0]
        contour = first.ContourSequence[0]
        if kind == "odd":
            numbers = [rng.choice(NUMBERS[:20]) for _ in range(9)]
            _put_numbers(contour, "ContourData", b"\\".join(numbers))
        elif kind in ("many points", "zigzag"):
            _put_numbers(contour, "ContourData", _points(count, 180 if kind == "zigzag" else 1e-3))
            contour.NumberOfContourPoints = count
        elif kind == "one number":
            one = b"1\\2\\" * (count // 10) + b"1" * count + b"\\1\\2\\3"
            _put_numbers(contour, "ContourData", one)
        elif kind == "many contours":
            first.ContourSequence = list(first.ContourSequence) * (count // 500)
        elif kind == "same ROI":
            _name_alike(rng, dataset)
        else:
            some = dataset.ROIContourSequence[rng.randrange(3)].ContourSequence
            chosen = some[rng.randrange(len(some))]
            _put_numbers(chosen, "ContourData", rng.choice(NUMBERS))

    _try_to_change(files, RS, change)
    return f"rs.dcm contours: {kind} {count}", None


def _points(count: int, height_mm: float) -> bytes:
    """Return contour data whose points alternate between two heights in y."""
    index = np.arange(count)
    x = np.sin(index) * 90
    y = (index % 2 - 0.5) * height_mm
    pairs = zip(x.tolist(), y.tolist(), strict=True)
    return b"\\".join(b"%.3f\\%.3f\\0" % pair for pair in pairs)


def _name_alike(rng: Random, structure_set: Dataset) -> None:
    """Give ROIs one name, and some of them one number."""
    for roi in structure_set.StructureSetROISequence:
        roi.ROIName = "Brainstem" if rng.random() < 0.8 else "brain stem"
        roi.ROINumber = rng.choice([1, 1, 2])


def recursion(rng: Random, files: Files) -> Bent:
    """Nest sequences, with their lengths stated or left open."""
    name = _pick(rng, files)
    depth = rng.choice([3, 50, 250, 500, 5000, 50_000])
    tag = rng.choice(SEQUENCE_TAGS)
    stated = rng.random() < 0.3
    if stated:
        nested = _nested_with_lengths(tag, min(depth, 2000))
    else:
        nested = (tag + b"SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth
        if rng.random() < 0.5:  # close them again
            nested += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * depth
    data = files[name]
    at = rng.choice([*_elements(data), len(data)])
    files[name] = data[:at] + nested + data[at:]
    return f"{name}: {depth} nested sequences at {at}, stated {stated}", None


def _nested_with_lengths(tag: bytes, depth: int) -> bytes:
    nested = b""
    for _ in range(depth):
        inner = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(nested)) + nested
        nested = tag + b"SQ\0\0" + struct.pack("<I", len(inner)) + inner
    return nested


def bomb(rng: Random, files: Files) -> Bent:
    """Make a deflated file that inflates to GiB, or compressed images that claim to be huge."""
    name = _pick(rng, files)
    if rng.random() < 0.5:
        size_mib = rng.choice([1, 100, 1100, 5000, 40_000])
        with contextlib.suppress(Exception):
            _inflate(rng, files, name, size_mib)
        return f"{name}: deflated bomb of {size_mib} MiB", None
    claimed = rng.choice([32767, 65535, 4096, 20000])
    for image in _images(files):
        _claim_size(rng, files, image, claimed)
    return f"images that claim {claimed} x {claimed} pixels", None


def _inflate(rng: Random, files: Files, name: str, size_mib: int) -> None:
    """Deflate a file, and append zeros that deflate to next to nothing."""
    files[name] = changed(files[name], lambda dataset: _as(dataset, DeflatedExplicitVRLittleEndian))
    data = files[name]
    syntax_ends = data.index(b"1.2.840.10008.1.2.1.99") + 22
    begin = _end_of_meta(data, syntax_ends)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    whole = zlib.decompress(data[begin:], -zlib.MAX_WBITS)
    tail = rng.choice(OPEN_ENDS)
    start = deflate.compress(whole + tail) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    files[name] = data[:begin] + start + block * size_mib + deflate.flush()


def _claim_size(rng: Random, files: Files, name: str, claimed: int) -> None:
    """Let an image claim so many pixels a side: its codestream, and perhaps its header."""
    data = bytearray(files[name])
    jpeg_2000 = data.find(b"\xff\x4f\xff\x51")
    jpeg_ls = data.find(b"\xff\xf7")
    if jpeg_2000 >= 0:
        for field in (8, 12, 24, 28):  # width and height of the image and of its tiles
            place = jpeg_2000 + field
            data[place : place + 4] = struct.pack(">I", claimed)
    elif jpeg_ls >= 0:
        data[jpeg_ls + 5 : jpeg_ls + 9] = struct.pack(">HH", claimed, claimed)
    files[name] = bytes(data)

    def claim_pixels(dataset: Dataset) -> None:
        dataset.Rows = claimed
        dataset.Columns = claimed

    def claim_frames(dataset: Dataset) -> None:
        dataset.NumberOfFrames = rng.choice([10**4, 2**31 - 1])

    if rng.random() < 0.7:
        _try_to_change(files, name, claim_pixels)
    if rng.random() < 0.3:
        _try_to_change(files, name, claim_frames)


def places(rng: Random, files: Files) -> Bent:
    """Move the slices to one place, far away or next to each other, or change pixels' sizes."""
    kind = rng.choice(
        ["same", "far", "tiny steps", "tilt", "random", "huge pixels", "tiny pixels", "slope"]
    )
    for number, name in enumerate(_images(files)):

        def change(image: Dataset, number: int = number) -> None:
            _put_numbers(image, "ImagePositionPatient", _position(rng, kind, number))
            power = rng.randrange(1, 300)
            if kind == "huge pixels":
                _put_numbers(image, "PixelSpacing", b"1e%d\\1e%d" % (power, power))
            if kind == "tiny pixels":
                _put_numbers(image, "PixelSpacing", b"1e-%d\\1e-%d" % (power, power))
            if kind == "slope":
                keyword = rng.choice(["RescaleSlope", "RescaleIntercept"])
                _put_numbers(image, keyword, rng.choice(NUMBERS))

        _try_to_change(files, name, change)
    return f"places: {kind}", None


def _position(rng: Random, kind: str, number: int) -> bytes:
    """Return where a slice lies. Every kind draws the same random numbers."""
    far = number * 10 ** rng.randrange(4, 300)
    near = number * 10.0 ** rng.randrange(-300, 0)
    anywhere = tuple(rng.uniform(-1e3, 1e3) for _ in range(3))
    match kind:
        case "same":
            return b"0\\0\\0"
        case "far":
            return b"0\\0\\%d" % far
        case "tiny steps":
            return b"0\\0\\%.3g" % near
        case "tilt":
            return b"0\\%.3f\\%d" % (number * 0.5, number * 3)
        case "random":
            return b"%.1f\\%.1f\\%.1f" % anywhere
    return b"0\\0\\%d" % (number * 3)


def folder_tricks(rng: Random, files: Files) -> Bent:
    """Add what else a folder may hold: undecodable names, pipes, link loops, folders like files."""
    kind = rng.choice(
        ["names", "pipe", "device", "loop", "dangling", "folder", "deep", "empty", "copies", "long"]
    )
    odd = rng.choice(ODD_FILE_NAMES)
    name = _pick(rng, files)

    def rename(folder: Path) -> None:
        if (folder / name).exists():
            (folder / name).rename(os.fsdecode(os.fsencode(folder) + b"/" + odd))

    def loop(folder: Path) -> None:
        (folder / "loop").symlink_to(folder)
        (folder / "self.dcm").symlink_to(folder / "self.dcm")

    def deep(folder: Path) -> None:
        bottom = folder / "/".join("d" * 60)
        bottom.mkdir(parents=True)
        shutil.copy(folder / name, bottom / "copy.dcm")

    def copies(folder: Path) -> None:
        for number in range(50):
            shutil.copy(folder / name, folder / f"{number}")

    acts: dict[str, Callable[[Path], Any]] = {
        "names": rename,
        "pipe": lambda folder: os.mkfifo(folder / "pipe.dcm"),
        "device": lambda folder: (folder / "zero.dcm").symlink_to("/dev/zero"),
        "loop": loop,
        "dangling": lambda folder: (folder / "gone.dcm").symlink_to("/nowhere/at/all"),
        "folder": lambda folder: (folder / "folder.dcm").mkdir(),
        "deep": deep,
        "empty": lambda folder: (folder / "empty.dcm").touch(),
        "copies": copies,
        "long": lambda folder: (folder / ("n" * 250 + ".dcm")).write_bytes(files[name][:500]),
    }
    if kind == "names" and rng.random() < 0.7:
        files[name] = files[name][: rng.randrange(len(files[name]) + 1)]
    return f"folder: {kind} {odd!r} {name}", acts[kind]


KINDS: dict[str, tuple[float, Callable[[Random, Files], Bent]]] = {  # with their weights
    "cut": (3, cut),
    "bytes": (6, byte_noise),
    "length": (4, wrong_length),
    "element": (10, odd_element),
    "syntax": (1, syntax),
    "contours": (3, contours),
    "recursion": (1, recursion),
    "bomb": (1, bomb),
    "places": (2, places),
    "folder": (1, folder_tricks),
}


def _elements(data: bytes) -> list[int]:
    """Return where attributes seem to begin in a file of explicit VR, within sequences too."""
    return [found.start() for found in ELEMENT.finditer(data, 132) if found.start() % 2 == 0]


def _end_of_meta(data: bytes, at: int) -> int:
    """Return where the file meta information ends, or `at` if that is later."""
    length = struct.unpack("<I", data[140:144])[0]
    return max(144 + int(length), at)
