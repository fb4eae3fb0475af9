#!/usr/bin/env python3
"""Hostile DICOM: each case is a small archive, bent, and given to what a user runs.

    .venv/bin/python benchmarks/fuzz.py [--cases 20000] [--seed 1] [--jobs N] [--log LOG] [--only
    CASE]

A case is made by its seed and number alone: `recontour import`, `inspect` and `deidentify`, the CT
as `contour` reads it and an RTSTRUCT written on it, and the structure sets by themselves. Whatever
is in the archive, a command may only succeed, or fail with one line and exit code 2. Counted as
faults: a hang, a traceback, a crash, memory that runs out, anything written outside the output
folder, a structure set that cannot be read back, and a control character on the screen. A few cases
run one after another in a process of their own, with at most 2 GiB of address space and for each 20
s of CPU; one with a fault is run again by itself.

Writes docs/results/fuzz.json, unless --only is given. With --log a run that was broken off goes on.
"""

import argparse
import contextlib
import gc
import io
import json
import logging
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

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

from recontour.cli import commands
from recontour.cli import main as recontour
from recontour.dicom import (
    Authorship,
    ScanIdentity,
    read_rois,
    read_scan,
    read_structure_set,
    write_scan,
    write_structure_set,
)
from recontour.errors import RecontourError
from recontour.geometry import Grid, Structure, StructureSet, rasterise, trace
from recontour.wording import printable

REPO = Path(__file__).resolve().parents[1]
MEMORY = 2 << 30  # bytes of address space
TURN = 10  # cases of one process: to start one takes as long as a case
INSPECTED = 5  # every fifth cohort that a case makes is looked into: tables take longest
WHOLE_ENDS = [
    "import 0",
    "deidentify 0",
    "contour: written",
    "structure set: read",
]  # of an archive nobody bent
CPU_SECONDS, WALL_SECONDS = 20, 120
GRID = Grid((3, 64, 64), (3.0, 3.0), (0.0, 3.0, 6.0), (-94.5, -94.5))
Files = dict[str, bytes]
Random = random.Random

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


# ---------------------------------------------------------------- whole archives, before they are
# bent


def bases(folder: Path) -> dict[str, Files]:
    """One patient, stored in every way that is read: name -> file name -> bytes."""
    rng = np.random.default_rng(0)
    _zz, yy, xx = np.mgrid[:3, :64, :64]
    hu = np.where((xx - 32) ** 2 + (yy - 32) ** 2 < 28**2, 30, -1000) + rng.normal(0, 8, GRID.shape)
    scan = write_scan(folder / "ct", np.round(hu).astype(np.int16), GRID, ScanIdentity("fuzz"))
    ring = ((xx - 32) ** 2 + (yy - 32) ** 2 < 12**2) & ~((xx - 32) ** 2 + (yy - 32) ** 2 < 5**2)
    structures = tuple(
        Structure(name, trace(ring, GRID)) for name in ("Brainstem", "LT PAROTID", "PTV 70")
    )
    write_structure_set(
        folder / "rs.dcm", StructureSet(structures), scan, Authorship("a person", seed="fuzz")
    )
    plain = {
        path.name: path.read_bytes()
        for path in [*sorted((folder / "ct").iterdir()), folder / "rs.dcm"]
    }

    def every(change: Callable[[pydicom.Dataset], None], images_only: bool = False) -> Files:
        return {
            name: data if images_only and name == "rs.dcm" else changed(data, change)
            for name, data in plain.items()
        }

    return {
        "explicit": plain,
        "implicit": every(lambda image: _as(image, ImplicitVRLittleEndian)),
        "big endian": every(lambda image: _as(image, ExplicitVRBigEndian)),
        "deflated": every(lambda image: _as(image, DeflatedExplicitVRLittleEndian)),
        "no preamble": {name: data[132:] for name, data in plain.items()},
        "RLE": every(
            lambda image: image.compress(RLELossless, generate_instance_uid=False), images_only=True
        ),
        "JPEG 2000": every(
            lambda image: image.compress(JPEG2000Lossless, generate_instance_uid=False),
            images_only=True,
        ),
        "JPEG-LS": every(_as_jpeg_ls, images_only=True),
        "multi-frame": _as_multi_frame(plain),
    }


def _as_multi_frame(plain: Files) -> Files:
    """One multi-frame CT, and the structure set drawn on its frames."""
    ct = _enhanced([data for name, data in plain.items() if name != "rs.dcm"])
    uid = pydicom.dcmread(io.BytesIO(ct), stop_before_pixels=True).SOPInstanceUID

    def refer(structure_set: pydicom.Dataset) -> None:
        for element in structure_set.iterall():
            if element.keyword == "ReferencedSOPInstanceUID":
                element.value = uid

    return {"ct.dcm": ct, "rs.dcm": changed(plain["rs.dcm"], refer)}


def changed(data: bytes, change: Callable[[pydicom.Dataset], Any]) -> bytes:
    """A file, read, changed and written again;

    a bomb is left alone, since pydicom would inflate it whole.
    """
    if DeflatedExplicitVRLittleEndian.encode() in data[:400]:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        inflating.decompress(data[_end_of_meta(data, 0) :], 64 << 20)
        if inflating.unconsumed_tail:
            raise ValueError("a bomb")
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    change(dataset)
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset)
    return out.getvalue()


def _as(image: pydicom.Dataset, syntax: str) -> None:
    assert all(
        element.VR for element in image.iterall()
    )  # each is parsed now, while its byte order is known
    if syntax == ExplicitVRBigEndian and "PixelData" in image:
        image.PixelData = image.pixel_array.astype(">i2").tobytes()
    image.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)


def _as_jpeg_ls(image: pydicom.Dataset) -> None:
    with pydicom.dcmread(str(get_testdata_file("MR_small_jpeg_ls_lossless.dcm"))) as other:
        image.PixelData = encapsulate([next(generate_frames(other.PixelData, number_of_frames=1))])
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = JPEGLSLossless


def _enhanced(images: list[bytes]) -> bytes:
    datasets = [pydicom.dcmread(io.BytesIO(data)) for data in images]
    first = datasets[0]

    def item(*keywords: str, of: pydicom.Dataset = first) -> list[pydicom.Dataset]:
        group = pydicom.Dataset()
        for keyword in keywords:
            group[keyword] = of[keyword]
        return [group]

    shared, kind = pydicom.Dataset(), pydicom.Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared.PlaneOrientationSequence = item("ImageOrientationPatient")
    shared.PixelMeasuresSequence = item("PixelSpacing")
    shared.PixelValueTransformationSequence = item(
        "RescaleSlope", "RescaleIntercept", "RescaleType"
    )
    shared.CTImageFrameTypeSequence = [kind]
    frames = []
    for dataset in datasets:
        frame = pydicom.Dataset()
        frame.PlanePositionSequence = item("ImagePositionPatient", of=dataset)
        frames.append(frame)
    pixels = b"".join(dataset.PixelData for dataset in datasets)
    first.SOPClassUID = first.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    first.NumberOfFrames, first.PerFrameFunctionalGroupsSequence = len(frames), frames
    first.SharedFunctionalGroupsSequence, first.PixelData = [shared], pixels
    out = io.BytesIO()
    first.save_as(out)
    return out.getvalue()


# ---------------------------------------------------------------- bending


def bend(rng: Random, archives: dict[str, Files]) -> tuple[str, Files, Callable[[Path], None]]:
    """One case: what was done in words, the files, and what is done to the folder they are written
    to.
    """
    base = rng.choice(list(archives))
    kind = rng.choices(list(KINDS), weights=[weight for weight, _ in KINDS.values()])[0]
    files = dict(archives[base])
    words = []
    after: Callable[[Path], None] = lambda folder: None
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        did, more = KINDS[kind][1](rng, files)
        words.append(did)
        after = more or after
        if kind == "recursion":  # what bends it once more may explode as what reads it
            break
        if kind in ("contours", "bomb") or rng.random() < 0.2:  # the heavy ones once
            kind = rng.choice(["bytes", "length", "element"])
    return f"{base}: {'; '.join(words)}", files, after


def _pick(rng: Random, files: Files) -> str:
    """A file: as often the structure set as an image."""
    images = [name for name in files if name != "rs.dcm"]
    return "rs.dcm" if rng.random() < 0.5 or not images else rng.choice(images)


def cut(rng: Random, files: Files) -> tuple[str, None]:
    """Cut a file off: anywhere, near an end, or at an attribute's border."""
    name = _pick(rng, files)
    data = files[name]
    places = [
        rng.randrange(len(data) + 1),
        min(rng.randrange(200), len(data)),
        max(len(data) - 1 - rng.randrange(64), 0),
    ]
    places += [at + rng.randrange(-1, 9) for at in _elements(data)[-3:]] + [
        rng.choice(_elements(data) or [0])
    ]
    at = rng.choice(places)
    files[name] = data[: max(at, 0)]
    return f"{name} cut at {at} of {len(data)}", None


def byte_noise(rng: Random, files: Files) -> tuple[str, None]:
    """Flip, insert, remove, repeat or blank bytes; now and then in an image's codestream."""
    name = _pick(rng, files)
    data = bytearray(files[name])
    how = rng.choice(
        ["flip", "flip", "flip", "insert", "remove", "repeat", "zeros", "ones", "pixels"]
    )
    low = data.find(b"\xe0\x7f\x10\x00") if how == "pixels" else 0
    at = rng.randrange(max(low, 0), len(data) or 1) if data else 0
    size = rng.choice([1, 2, 4, 8, 100, 1000])
    if how in ("flip", "pixels"):
        for _ in range(rng.choice([1, 2, 8, 64])):
            if data:
                data[rng.randrange(max(low, 0), len(data))] ^= 1 << rng.randrange(8)
    elif how == "insert":
        data[at:at] = rng.randbytes(size)
    elif how == "remove":
        del data[at : at + size]
    elif how == "repeat":
        data[at:at] = data[at : at + size] * rng.choice([1, 5, 50])
    else:
        data[at : at + size] = (b"\0" if how == "zeros" else b"\xff") * size
    files[name] = bytes(data)
    return f"{name} {how} at {at}, {size}", None


def wrong_length(rng: Random, files: Files) -> tuple[str, None]:
    """Give an attribute another length or VR."""
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
        length = rng.choice(
            [
                0,
                1,
                3,
                0xFFFF,
                0xFFFE,
                0xFFFFFFFF,
                0xFFFFFFFE,
                0x7FFFFFFF,
                0x80000000,
                len(data),
                1 << 24,
            ]
        )
        if bytes(data[at + 4 : at + 6]) in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
            data[at + 8 : at + 12] = struct.pack("<I", length)
        else:
            data[at + 6 : at + 8] = struct.pack("<H", length & 0xFFFF)
        words = f"length {length}"
    files[name] = bytes(data)
    return f"{name} at {at}: {words}", None


def odd_element(rng: Random, files: Files) -> tuple[str, None]:
    """Give an attribute a hostile value, another VR, or remove it;

    in one file, or in every image alike.
    """
    name = _pick(rng, files)
    keyword = rng.choice(RS_KEYWORDS if name == "rs.dcm" else CT_KEYWORDS)
    vr = dictionary_VR(keyword).partition(" ")[0]
    value = _hostile_value(rng, keyword, vr)
    how = rng.choice(["set", "set", "set", "set", "VR", "remove", "empty"])
    vr = rng.choice(VRS[:-1]) if how == "VR" else vr
    place = rng.random()
    names = (
        [other for other in files if other != "rs.dcm"]
        if name != "rs.dcm" and rng.random() < 0.25
        else [name]
    )
    for other in names:
        with contextlib.suppress(Exception):  # what pydicom cannot write stays as it is
            files[other] = changed(
                files[other], lambda data: _put(data, keyword, how, vr, value, place)
            )
    return f"{' '.join(names)} {keyword}: {how} {vr} {value[:40]!r}", None


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


def _put(
    dataset: pydicom.Dataset, keyword: str, how: str, vr: str, value: bytes, place: float
) -> None:
    tag = Tag(tag_for_keyword(keyword) or 0)
    holders = [
        dataset,
        *(item for element in dataset.iterall() if element.VR == "SQ" for item in element.value),
    ]
    holding = [holder for holder in holders if tag in holder] or [dataset]
    holder = holding[int(place * len(holding))]
    if how == "remove":
        holder.pop(tag, None)
        return
    value = b"" if how == "empty" else value + b" " * (len(value) % 2)
    holder[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    holder.set_original_encoding(False, True, "iso8859")


def syntax(rng: Random, files: Files) -> tuple[str, None]:
    """Claim another transfer syntax than the file has."""
    chosen, names = rng.choice(SYNTAXES), rng.choice([list(files), [_pick(rng, files)]])
    for name in names:
        with contextlib.suppress(Exception):
            files[name] = _with_syntax(files[name], chosen)
    return f"{' '.join(names)}: transfer syntax {chosen!r}", None


def _with_syntax(data: bytes, chosen: bytes) -> bytes:
    at = data.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack("<H", data[at + 6 : at + 8])[0]
    chosen += b"\0" * (len(chosen) % 2)
    return data[: at + 6] + struct.pack("<H", len(chosen)) + chosen + data[at + 8 + length :]


def contours(rng: Random, files: Files) -> tuple[str, None]:
    """Bend what is drawn:

    numbers that are none, very many points, lines that cross everything, very many contours.
    """
    kind = rng.choice(
        [
            "odd",
            "odd",
            "many points",
            "zigzag",
            "one number",
            "many contours",
            "same ROI",
            "one of many",
        ]
    )
    count = rng.choices([500, 5000, 100_000, 2_000_000], weights=[40, 40, 3, 1])[
        0
    ]  # few of full weight: they take long

    def change(dataset: pydicom.Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        if kind == "odd":
            _put(
                contour,
                "ContourData",
                "set",
                "DS",
                b"\\".join(rng.choice(NUMBERS[:20]) for _ in range(9)),
                0,
            )
        elif kind in ("many points", "zigzag"):
            x, y = (
                np.sin(np.arange(count)) * 90,
                (np.arange(count) % 2 - 0.5) * (180 if kind == "zigzag" else 1e-3),
            )
            points = b"\\".join(
                b"%.3f\\%.3f\\0" % pair for pair in zip(x.tolist(), y.tolist(), strict=True)
            )
            _put(contour, "ContourData", "set", "DS", points, 0)
            contour.NumberOfContourPoints = count
        elif kind == "one number":
            _put(
                contour,
                "ContourData",
                "set",
                "DS",
                b"1\\2\\" * (count // 10) + b"1" * count + b"\\1\\2\\3",
                0,
            )
        elif kind == "many contours":
            dataset.ROIContourSequence[0].ContourSequence = list(
                dataset.ROIContourSequence[0].ContourSequence
            ) * (count // 500)
        elif kind == "same ROI":
            for roi in dataset.StructureSetROISequence:
                roi.ROIName = "Brainstem" if rng.random() < 0.8 else "brain stem"
                roi.ROINumber = rng.choice([1, 1, 2])
        else:
            contours = dataset.ROIContourSequence[rng.randrange(3)].ContourSequence
            _put(
                contours[rng.randrange(len(contours))],
                "ContourData",
                "set",
                "DS",
                rng.choice(NUMBERS),
                0,
            )

    with contextlib.suppress(Exception):
        files["rs.dcm"] = changed(files["rs.dcm"], change)
    return f"rs.dcm contours: {kind} {count}", None


def recursion(rng: Random, files: Files) -> tuple[str, None]:
    """Sequences within sequences, of stated or of unstated length."""
    name, depth = _pick(rng, files), rng.choice([3, 50, 250, 500, 5000, 50_000])
    tag = rng.choice(
        [
            b"\x06\x30\x39\x00",
            b"\x12\x00\x64\x00",
            b"\x06\x30\x10\x00",
            b"\x00\x52\x30\x92",
            b"\x09\x00\x10\x10",
        ]
    )
    stated = rng.random() < 0.3
    if stated:
        nested = b""
        for _ in range(min(depth, 2000)):
            inner = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(nested)) + nested
            nested = tag + b"SQ\0\0" + struct.pack("<I", len(inner)) + inner
    else:
        nested = (tag + b"SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth
        if rng.random() < 0.5:
            nested += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * depth
    at = rng.choice([*_elements(files[name]), len(files[name])])
    files[name] = files[name][:at] + nested + files[name][at:]
    return f"{name}: {depth} nested sequences at {at}, stated {stated}", None


def bomb(rng: Random, files: Files) -> tuple[str, None]:
    """A deflated file that grows without end, or a compressed image that claims to be huge."""
    name = _pick(rng, files)
    if rng.random() < 0.5:
        size = rng.choice([1, 100, 1100, 5000, 40_000])  # MiB
        with contextlib.suppress(Exception):
            files[name] = changed(
                files[name], lambda dataset: _as(dataset, DeflatedExplicitVRLittleEndian)
            )
            header = files[name].index(b"1.2.840.10008.1.2.1.99") + 22
            deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
            whole = zlib.decompress(
                files[name][_end_of_meta(files[name], header) :], -zlib.MAX_WBITS
            )
            tail = rng.choice(
                [
                    b"\xfc\xff\xfc\xffOB\0\0\xff\xff\xff\x7f",
                    b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff",
                    b"",
                ]
            )
            start = deflate.compress(whole + tail) + deflate.flush(zlib.Z_FULL_FLUSH)
            block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
            files[name] = (
                files[name][: _end_of_meta(files[name], header)]
                + start
                + block * size
                + deflate.flush()
            )
        return f"{name}: deflated bomb of {size} MiB", None
    claimed = rng.choice([32767, 65535, 4096, 20000])

    def claim(dataset: pydicom.Dataset) -> None:
        dataset.Rows = dataset.Columns = claimed

    for image in [other for other in files if other != "rs.dcm"]:
        data = bytearray(files[image])
        if (
            siz := data.find(b"\xff\x4f\xff\x51")
        ) >= 0:  # JPEG 2000: width and height of the image and of its tiles
            for field in (8, 12, 24, 28):
                data[siz + field : siz + field + 4] = struct.pack(">I", claimed)
        elif (sof := data.find(b"\xff\xf7")) >= 0:  # JPEG-LS
            data[sof + 5 : sof + 9] = struct.pack(">HH", claimed, claimed)
        files[image] = bytes(data)
        if rng.random() < 0.7:
            with contextlib.suppress(Exception):
                files[image] = changed(files[image], claim)
        if rng.random() < 0.3:
            with contextlib.suppress(Exception):
                files[image] = changed(
                    files[image],
                    lambda d: setattr(d, "NumberOfFrames", rng.choice([10**4, 2**31 - 1])),
                )
    return f"images that claim {claimed} x {claimed} pixels", None


def places(rng: Random, files: Files) -> tuple[str, None]:
    """Move the slices: to one place, far away, tilted, turned, not quite apart."""
    kind = rng.choice(
        ["same", "far", "tiny steps", "tilt", "random", "huge pixels", "tiny pixels", "slope"]
    )
    for number, name in enumerate(name for name in files if name != "rs.dcm"):

        def change(image: pydicom.Dataset, number: int = number) -> None:
            value = {
                "same": b"0\\0\\0",
                "far": b"0\\0\\%d" % (number * 10 ** rng.randrange(4, 300)),
                "tiny steps": b"0\\0\\%.3g" % (number * 10.0 ** rng.randrange(-300, 0)),
                "tilt": b"0\\%.3f\\%d" % (number * 0.5, number * 3),
                "random": b"%.1f\\%.1f\\%.1f" % tuple(rng.uniform(-1e3, 1e3) for _ in range(3)),
            }.get(kind, b"0\\0\\%d" % (number * 3))
            _put(image, "ImagePositionPatient", "set", "DS", value, 0)
            power = rng.randrange(1, 300)
            if kind in ("huge pixels", "tiny pixels"):
                sign = "" if kind == "huge pixels" else "-"
                _put(
                    image,
                    "PixelSpacing",
                    "set",
                    "DS",
                    f"1e{sign}{power}\\1e{sign}{power}".encode(),
                    0,
                )
            if kind == "slope":
                _put(
                    image,
                    rng.choice(["RescaleSlope", "RescaleIntercept"]),
                    "set",
                    "DS",
                    rng.choice(NUMBERS),
                    0,
                )

        with contextlib.suppress(Exception):
            files[name] = changed(files[name], change)
    return f"places: {kind}", None


def folder_tricks(rng: Random, files: Files) -> tuple[str, Callable[[Path], None]]:
    """What else a folder may hold:

    names that are no text, pipes, links in circles, folders named as files.
    """
    kind = rng.choice(
        ["names", "pipe", "device", "loop", "dangling", "folder", "deep", "empty", "copies", "long"]
    )
    odd = rng.choice(
        [
            b"a\nb.dcm",
            b"\x1b[31mred.dcm",
            b"\xff\xfe.dcm",
            b"<b>.dcm",
            b"[red]x[red].dcm",
            b"-rf.dcm",
            b"%s.dcm",
        ]
    )
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


KINDS: dict[
    str, tuple[float, Callable[[Random, Files], tuple[str, Callable[[Path], None] | None]]]
] = {
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
    """Where attributes seem to begin in a file of explicit VR, those within sequences too."""
    return [found.start() for found in ELEMENT.finditer(data, 132) if found.start() % 2 == 0]


def _end_of_meta(data: bytes, at: int) -> int:
    length = struct.unpack("<I", data[140:144])[0]
    return max(144 + int(length), at)


# ---------------------------------------------------------------- one case, in a process of its own


def commanded(*words: str) -> str:
    """Run one of recontour's commands, which may only succeed or refuse what it is given."""
    code = recontour(list(words))
    if code not in (0, 2):
        raise AssertionError(f"{words[0]} ended with {code}")
    return f"{words[0]} {code}"


def use(archive: Path, out: Path, looks_inside: bool = True) -> Iterator[str]:
    """Do what a user does;

    yields how each step ended. looks_inside: whether what was imported is inspected, too.
    """
    imported = commanded("import", str(archive), str(out / "cohort"), "--centre", "fuzz")
    yield imported
    if imported == "import 0" and looks_inside and recontour(["inspect", str(out / "cohort")]):
        raise AssertionError("what was imported cannot be inspected")
    yield commanded("deidentify", str(archive), str(out / "deidentified"))
    try:
        scan = read_scan(archive)
        mask = np.zeros(scan.grid.shape, dtype=bool)
        mask[:, :2, :2] = True
        drawn = StructureSet((Structure("Brainstem", trace(mask, scan.grid)),))
        write_structure_set(out / "new.dcm", drawn, scan, Authorship("model"))
    except RecontourError as error:
        if error.exit_code != 2:
            raise
        print(printable(str(error)))  # as the command line does
        yield f"contour: {type(error).__name__}"
    else:
        back = read_structure_set(out / "new.dcm", scan)["Brainstem"]
        if not (rasterise(back.contours, scan.grid) == mask).all():
            raise AssertionError("the structure set that was written does not hold what was drawn")
        yield "contour: written"
    for path in sorted(archive.glob("rs*")):
        try:
            for roi in read_rois(path, None):
                with contextlib.suppress(RecontourError):
                    roi.contours()
            yield "structure set: read"
        except RecontourError as error:
            yield f"structure set: {type(error).__name__}"


class Watch:
    """Notes whatever is written outside a folder: Python asks before every such act."""

    acts = (
        "os.mkdir",
        "os.rename",
        "os.link",
        "os.symlink",
        "os.remove",
        "os.rmdir",
        "os.truncate",
        "shutil.rmtree",
    )

    def __init__(self) -> None:
        self.allowed = Path("/dev/null")
        self.told: list[str] = []
        sys.addaudithook(self._hook)

    def begin(self, allowed: Path) -> None:
        """Forget what was noted, and watch over another folder."""
        self.allowed = allowed
        self.told.clear()

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            writes = any(letter in (arguments[1] or "") for letter in "wxa+") or bool(
                (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            paths = arguments[:1] if writes else ()
        elif event in self.acts:
            paths = tuple(path for path in arguments[:2] if isinstance(path, (str, bytes)))
            if (
                event in ("os.remove", "os.rmdir") and arguments[1] != -1
            ):  # within a folder that is open
                paths = (f"/proc/self/fd/{arguments[1]}/{os.fsdecode(arguments[0])}",)
        else:
            return
        for path in paths:
            real = os.path.realpath(os.fsdecode(path))
            if not real.startswith((f"{self.allowed}/", "/dev/null")) and real != str(self.allowed):
                self.told.append(f"{event} {real}")


def child(cases: Sequence[Path], parent: socket.socket) -> None:
    """Use archives one after another, within limits, and tell how each went; does not return."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most_seconds = resource.getrlimit(resource.RLIMIT_CPU)
        watch = Watch()
        for case in cases:
            used = resource.getrusage(resource.RUSAGE_SELF)
            until = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (until, most_seconds))
            parent.send(json.dumps(used_by(case, watch)).encode())
    finally:
        os._exit(0)


def used_by(case: Path, watch: Watch) -> dict[str, Any]:
    """Use an archive; how it ended, and what it took."""
    began = time.monotonic()
    ends: list[str] = []
    fault = ""
    try:
        screen = os.open(case / "screen.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(screen, number)
        os.close(screen)
        watch.begin(case / "out")
        for end in use(case / "dicom", case / "out", looks_inside=int(case.name) % INSPECTED == 0):
            ends.append(end)
        if watch.told:
            fault = f"outside: {watch.told[:3]}"
    except BaseException as error:  # whatever it is, it is a fault
        where = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {str(error)[:200]}"
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ends": ends, "fault": fault, "mib": mib, "seconds": time.monotonic() - began}


def run(cases: Sequence[Path]) -> list[dict[str, Any]]:
    """Run cases in processes of their own, one process for as many as go well;

    how each ended, and what it took.
    """
    results: list[dict[str, Any]] = []
    while len(results) < len(cases):
        results += run_until_one_dies(cases[len(results) :])
    return results


def run_until_one_dies(cases: Sequence[Path]) -> list[dict[str, Any]]:
    """How cases ended, up to the last or to the one that took its process down."""
    results: list[dict[str, Any]] = []
    ours, theirs = socket.socketpair(
        socket.AF_UNIX, socket.SOCK_SEQPACKET
    )  # what is sent at once is received at once
    pid = os.fork()
    if pid == 0:
        ours.close()
        child(cases, theirs)
    theirs.close()
    ours.settimeout(WALL_SECONDS)
    hangs = False
    with ours:
        while len(results) < len(cases):
            began = time.monotonic()
            try:
                said = ours.recv(1 << 16)
            except TimeoutError:
                said, hangs = b"", True
                os.kill(pid, signal.SIGKILL)
            if not said:
                break
            results.append(json.loads(said))
    _, status, usage = os.wait4(pid, 0)
    if len(results) < len(cases):
        hangs = hangs or os.waitstatus_to_exitcode(status) in (-signal.SIGXCPU, -signal.SIGKILL)
        fault = "hang" if hangs else f"crash: {os.waitstatus_to_exitcode(status)}"
        took = {"mib": usage.ru_maxrss / 1024, "seconds": time.monotonic() - began}
        results.append({"ends": [], "fault": fault, **took})
    return results


def screen_fault(text: str) -> str:
    """What should not have been printed: control characters, or a traceback."""
    if "Traceback" in text:
        return "traceback on the screen"
    odd = {
        letter
        for letter in text
        if unicodedata.category(letter) in ("Cc", "Cf") and letter not in "\n"
    }
    return f"control characters on the screen: {sorted(map(ascii, odd))}" if odd else ""


def some_cases(
    numbers: Sequence[int], seed: int, archives: dict[str, Files], work: Path, keep: Path | None
) -> list[dict[str, Any]]:
    """How cases end in one process;

    of one with a fault, how it ends by itself, if that is a fault too.
    """
    results = tried(numbers, seed, archives, work, keep)
    for result in [one for one in results if one["fault"] and len(numbers) > 1]:
        (again,) = tried([result["case"]], seed, archives, work, keep)
        result.update(
            again if again["fault"] else {"fault": f"only after others: {result['fault']}"}
        )
    return results


def tried(
    numbers: Sequence[int], seed: int, archives: dict[str, Files], work: Path, keep: Path | None
) -> list[dict[str, Any]]:
    """Make cases, run them, look at what they left."""
    made = [make(seed, number, archives, work / f"{number}") for number in numbers]
    gc.collect()
    results = run([work / f"{number}" for number in numbers])
    for number, (words, before), result in zip(numbers, made, results, strict=True):
        case = work / f"{number}"
        screen = case / "screen.txt"
        text = screen.read_text(errors="backslashreplace") if screen.exists() else ""
        result["fault"] = result["fault"] or screen_fault(text) or left_fault(case, before)
        result.update(seed=seed, case=number, words=words, screen=text[-2000:])
        if result["fault"] and keep:
            shutil.copytree(case, keep / f"{number}", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(case)
    return results


def make(seed: int, number: int, archives: dict[str, Files], case: Path) -> tuple[str, list[str]]:
    """Make a case; what was done in words, and what its archive holds."""
    words, files, after = bend(Random(f"recontour {seed} {number}"), archives)
    write(case, files)
    after(case / "dicom")
    return words, held(case)


def write(case: Path, files: Files) -> None:
    """A case's folders, with the files of its archive."""
    (case / "dicom").mkdir(parents=True)
    (case / "out").mkdir()
    for name, data in files.items():
        (case / "dicom" / name).write_bytes(data)


def held(case: Path) -> list[str]:
    return sorted(map(str, (case / "dicom").rglob("*")))


def left_fault(case: Path, before: list[str]) -> str:
    """What should not have become of a case's folders."""
    if before != held(case) or {path.name for path in case.iterdir()} != {
        "dicom",
        "out",
        "screen.txt",
    }:
        return "outside: the archive was changed"
    left = [path.name for path in (case / "out").rglob("*.partial")]
    return f"left half written: {left}" if left else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="how many at a time; all cores",
    )
    parser.add_argument("--only", type=int, help="one case, whose end and screen are shown")
    parser.add_argument(
        "--log", type=Path, help="how each case ended; those in it are not run again"
    )
    parser.add_argument("--keep", type=Path, help="where archives of cases with faults are left")
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "fuzz.json")
    options = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    assert commands  # loaded before the first fork
    numbers = range(options.cases) if options.only is None else [options.only]
    results = {case["case"]: case for case in _logged(options.log) if case["seed"] == options.seed}
    waiting = [number for number in numbers if number not in results]
    turns = [waiting[start : start + TURN] for start in range(0, len(waiting), TURN)]
    memory_disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory_disk if memory_disk.is_dir() else None) as scratch:
        work = Path(scratch).resolve()
        archives = bases(work / "bases")
        warm_up(archives["RLE"], work / "warm")
        assert not run_whole(archives, work), "an archive that is not bent must be imported whole"
        do = partial(some_cases, seed=options.seed, archives=archives, work=work, keep=options.keep)
        with get_context("fork").Pool(options.jobs) as pool:
            for result in chain.from_iterable(pool.imap_unordered(do, turns)):
                screen = result.pop("screen")
                results[result["case"]] = result
                if options.log:
                    with options.log.open("a") as log:
                        log.write(json.dumps(result) + "\n")
                if result["fault"] or options.only is not None:
                    how = (
                        f"{result['fault'] or 'fine'} [{result['words']}] {result['seconds']:.1f} s"
                    )
                    print(f"{result['case']}: {how}", flush=True)
                if options.only is not None:
                    print(result["ends"], screen, sep="\n")
    summary = summed_up([results[number] for number in numbers])
    print(json.dumps(summary, indent=1))
    if options.only is None:
        options.out.write_text(json.dumps(summary, indent=1) + "\n")
    sys.exit(bool(summary["faults"]))


def _logged(log: Path | None) -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in log.read_text().splitlines()] if log and log.exists() else []
    )


def summed_up(results: list[dict[str, Any]]) -> dict[str, Any]:
    """All cases in a few numbers."""
    kinds = Counter(
        case["fault"].partition(":")[0].partition(" at ")[0] for case in results if case["fault"]
    )
    slowest = max(results, key=lambda case: float(case["seconds"]))
    return {
        "seed": slowest["seed"],
        "cases": len(results),
        "faults": dict(kinds),
        "hangs": kinds["hang"],
        "outside": kinds["outside"],
        "tracebacks, crashes and other": sum(kinds.values()) - kinds["hang"] - kinds["outside"],
        "peak_mib": round(max(case["mib"] for case in results)),
        "longest_case_seconds": round(slowest["seconds"], 1),
        "longest_case": f"{slowest['case']}: {slowest['words']}",
        "minutes": round(sum(case["seconds"] for case in results) / 60, 1),
        "ends": dict(sorted(Counter(end for case in results for end in case["ends"]).items())),
    }


def warm_up(files: Files, folder: Path) -> None:
    """Load what a case loads, before the first is forked off."""
    (folder / "out").mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert list(use(folder, folder / "out"))
    gc.collect()
    gc.freeze()
    gc.disable()  # a case is short, and what it leaves goes with its process


def run_whole(archives: dict[str, Files], work: Path) -> list[str]:
    """Which archives are not imported whole although nobody bent them."""
    cases = [work / f"{number}" for number in range(len(archives))]
    for case, files in zip(cases, archives.values(), strict=True):
        write(case, files)
    failed = []
    for case, name, result in zip(cases, archives, run(cases), strict=True):
        if result["fault"] or result["ends"] != WHOLE_ENDS:
            failed.append(f"{name}: {result} {(case / 'screen.txt').read_text()}")
            print(failed[-1])
        shutil.rmtree(case)
    return failed


if __name__ == "__main__":
    main()
