"""Bent cohorts for `bent_files.py`: one or two files of a small cohort are damaged.

They are cohort.json, a case.json, an array (its length, header or voxels) or one of the two tables.
A folder, link, pipe, socket or device may also take a file's place.
"""

import os
import random
import shutil
import socket
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bending import TEXTS, bent_json, hostile_value, nested
from recontour.cohort import Cohort, case_id_of
from recontour.dicom import Authorship, ScanIdentity, write_scan, write_structure_set
from recontour.geometry import Grid, Structure, StructureSet, trace
from recontour.network import Architecture, Model, Network, Preprocessing, Provenance, save_model
from recontour.network.model import versions

GRID = Grid((6, 48, 48), (4.0, 4.0), tuple(3.0 * i for i in range(6)), (-94.0, -94.0))
ORGANS = ("Brainstem", "Lens_L")
MODEL, COHORT, DICOM = "model.safetensors", "north", "dicom"
SHORT = ["--iterations", "2"]
MOST_BENT_BYTES = 1 << 26  # a file that an earlier bend made larger is left as it is
ARRAYS = ("ct.npy", "masks.npy")
SHAPES = [
    "(6, 48, 48)", "(-6, 48, 48)", "(6, 48, 48, 1)", "()", "(6,)", "(10**9, 48, 48)", "(6, 48, -1)",
    "('a',)", "6",
]  # fmt: skip
LINKS = {
    "nowhere": "/nowhere",
    "zero": "/dev/zero",
    "terminal": "/dev/ptmx",
    "up": "..",
    "link": "../../cohort.json",
}
FOLDER_NAMES = [
    "a\nb", "\x1b[2J", "=1+1", "x" * 200, "@index", "[bold]", os.fsdecode(b"\xff\xfe"),
]  # fmt: skip
NO_HEADERS = ["(" * 5000, "1" * 5000, "__import__('os').system('id')", "{}", ""]
KINDS = ["<i2", ">i2", "<f4", "<f8", "|O", "<c16", "<U9", "|V4", "|b1", "<i8", "i2,i2"]


def make_base(folder: Path) -> None:
    """Write a cohort of three cases, a model of its organs, and one more patient's DICOM."""
    torch.manual_seed(1)
    cohort = Cohort.open_or_create(folder / COHORT, "north")
    for number in range(3):
        hu, masks = _patient(number)
        case_id = case_id_of("north", f"1.2.{number}")
        cohort.add(case_id, hu, GRID, masks, source_hash=f"{number}" * 16)
    (cohort.path / "names.csv").write_text(
        "roi_name,tg263,status,reason,patients\nCord,SpinalCord,mapped,TG-263,3\n"
    )
    (cohort.path / "left_out.csv").write_text(
        "what,reason,archive\nnorth-01234567,no organ,89abcdef\n"
    )
    hu, masks = _patient(3)
    identity = ScanIdentity("bent", patient_id="1", patient_name="X")
    scan = write_scan(folder / DICOM / "CT", hu, GRID, identity)
    structures = tuple(Structure(organ, trace(mask, GRID)) for organ, mask in masks.items())
    author = Authorship("a person", "HN", algorithm="MANUAL", seed="bent")
    write_structure_set(folder / DICOM / "RS.dcm", StructureSet(structures), scan, author)
    _write_model(folder / MODEL)


def _patient(number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return Hounsfield units and masks of a round body with two organs."""
    zz, yy, xx = np.mgrid[:6, :48, :48]
    noise = np.random.default_rng(number).normal(0, 8, GRID.shape)
    hu = np.where((xx - 24) ** 2 + (yy - 24) ** 2 < 400, 40, -1000) + noise
    masks = {
        "Brainstem": (abs(yy - 24) <= 4) & (abs(xx - 22 - number) <= 4) & (zz > 0),
        "Lens_L": ((xx - 34) ** 2 + (yy - 14) ** 2 <= 6) & (zz > 2),
    }
    for mask in masks.values():
        hu[mask] += 200
    return np.round(hu).astype(np.int16), masks


def _write_model(path: Path) -> None:
    tiny = Architecture(
        stem_channels=16,
        widths=(16, 16, 16, 16),
        blocks=(1, 1, 1),
        expansion=1,
        spp_channels=16,
        norm="batch",
    )
    counts = dict.fromkeys(ORGANS, 3)
    made_of = Provenance("compact", "south", 3, counts, 0, "2026-11-30", versions())
    seen = Preprocessing(2.0, 33, (-200.0, 400.0))
    network = Network(tiny, len(ORGANS))
    save_model(Model(network, ORGANS, seen, {"iterations": 2}, made_of), path)


def commands(folder: Path, out: Path) -> list[list[str]]:
    """Return the commands that read the cohort.

    `inspect` and `import` always run; of the others, which take longer, two do, in turns.
    """
    cohort, model = str(folder / COHORT), str(folder / MODEL)
    others = [
        ["evaluate", cohort, model, "--out", str(out / "report")],
        ["export", cohort, str(out / "Dataset001_North"), "--format", "nnunet"],
        ["export", cohort, str(out / "nifti"), "--format", "nifti"],
        ["train", cohort, "--out", str(out / "S"), *SHORT],
        ["adapt", model, cohort, "--out", str(out / "ST"), "--retrain-last", "1", *SHORT],
    ]
    first = zlib.crc32(folder.name.encode()) % len(others)
    in_turn = [others[first], others[(first + 2) % len(others)]]
    return [["inspect", cohort], *in_turn, ["import", str(folder / DICOM), cohort]]


@dataclass(frozen=True, slots=True)
class _Bend:
    """A way to bend one file."""

    name: str  # how the names of suitable files end; "" for all
    do: Callable[[random.Random, Path], str]


def bend(rng: random.Random, folder: Path) -> str:
    """Bend one or two files of the cohort; say what was done."""
    cohort = folder / COHORT
    cases = sorted((cohort / "cases").iterdir())
    done = []
    for _ in range(rng.choice([1, 1, 1, 2])):
        of_case = [rng.choice(cases) / name for name in ("case.json", *ARRAYS, *ARRAYS)]
        tables = [cohort / "names.csv", cohort / "left_out.csv"]
        path = rng.choice([cohort / "cohort.json", *of_case, *of_case, *tables])
        suited = [one for one in BENDS if path.name.endswith(one.name)]
        chosen = rng.choice(suited)
        what = chosen.do(rng, path) if _is_small_file(path) else "as it was left"
        done.append(f"{path.relative_to(cohort)}: {what}")
    return ", ".join(done)


def _is_small_file(path: Path) -> bool:
    """Whether a bend can read it: an earlier one may have put something else in its place."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size < MOST_BENT_BYTES


def _bend_json(rng: random.Random, path: Path) -> str:
    """Bend values of a JSON file."""
    bent, what = bent_json(rng, path.read_text())
    path.write_text(bent, errors="surrogatepass")
    return what


def _bend_label(rng: random.Random, path: Path) -> str:
    """Replace the centre's label, or a key of any JSON file."""
    words = rng.choice([*TEXTS, "../../../../tmp/escaped", "a" * 300])
    old = rng.choice(["north", "Brainstem", "slice_z_mm", "source_hash"])
    bent = path.read_text().replace(old, words)
    path.write_bytes(bent.encode("utf-8", "surrogatepass"))
    return f"{old} is {ascii(words)[:40]}"


def _bend_text(rng: random.Random, path: Path) -> str:
    """Write a JSON file as no library would."""
    texts = {
        "nested": nested(100_000),
        "digits": '{"format": ' + "1" * 5000 + "}",
        "twice": '{"grid": 1, "grid": 2}',
        "a BOM": "\ufeff{}",
        "null": "null",
        "32 MB": '{"format": "' + "x" * (32 << 20) + '"}',
    }
    what = rng.choice(list(texts))
    path.write_text(texts[what])
    return what


def _bend_bytes(rng: random.Random, path: Path) -> str:
    """Change some bytes."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 10, 1000])):
        if content:
            content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)
    return "bytes changed"


def _cut(rng: random.Random, path: Path) -> str:
    """Cut a file off."""
    size = path.stat().st_size
    cut = rng.choice([0, 1, 9, 60, 127, 128, size // 2, max(size - 1, 0)])
    os.truncate(path, cut)
    return f"cut to {cut} bytes"


def _grow(rng: random.Random, path: Path) -> str:
    """Append zeros, up to 16 GiB that take no place on the disk."""
    more = rng.choice([1, 1000, 1 << 34])
    os.truncate(path, path.stat().st_size + more)
    return f"{more} bytes longer"


def _bend_header(rng: random.Random, path: Path) -> str:
    """Change an array's header; its voxels stay as they were."""
    voxels = path.read_bytes()[128:]
    shape = rng.choice(SHAPES)
    kind = rng.choice(KINDS)
    order = rng.choice(["False", "True", "0", "[]"])
    header = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}"
    header = rng.choice([header, header, header, *NO_HEADERS])
    version = rng.choice([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\xff\x00"])
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    path.write_bytes(b"\x93NUMPY" + version + length + header.encode() + voxels)
    return f"header {version!r} {header[:80]}"


def _bend_voxels(rng: random.Random, path: Path) -> str:
    """Write another array in its place: of another kind or shape, or of impossible numbers."""
    shape = rng.choice([(6, 48, 48), (6, 48, 48), (2, 6, 48, 6), (0, 48, 48), (6, 48), (1, 1, 1)])
    kind = rng.choice(["int16", "float32", "float64", "uint8", "object", "U3", "complex64"])
    value = rng.choice(["nan", "inf", "0", "1e30", "-1"])
    filling: str | float = 0
    if kind == "U3":
        filling = value
    elif kind in ("float32", "float64", "object", "complex64"):
        filling = float(value)
    with np.errstate(all="ignore"):
        np.save(path, np.full(shape, filling, dtype=kind))
    return f"{kind} of {shape}, all {value}"


def _bend_table(rng: random.Random, path: Path) -> str:
    """Append a row with hostile cells, an open quote or control characters."""
    cells = [str(hostile_value(rng))[:5000] for _ in range(rng.choice([1, 5, 9]))]
    joined = ",".join(cells)
    row = rng.choice([joined, '"' + joined, "a\0b," * 5, "x" * 200_000, "\r\n\r\r"])
    text = path.read_text(errors="replace") + row + "\n"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return f"another row {ascii(row)[:40]}"


def _replace(rng: random.Random, path: Path) -> str:
    """Put something else in a file's place."""
    path.unlink()
    how = rng.choice(
        ["gone", "folder", "pipe", "socket", "loop", "nowhere", "zero", "terminal", "up", "link"]
    )
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "socket":
        address = os.path.relpath(path)[:100] if len(str(path)) > 100 else str(path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
    elif how == "loop":
        path.symlink_to(path.name)
    elif how != "gone":
        path.symlink_to(LINKS[how])
    return how


def _replace_case(rng: random.Random, path: Path) -> str:
    """Put something else in the place of a case's whole folder."""
    case = path.parent
    how = rng.choice(["file", "pipe", "nowhere", "loop", "empty", "renamed", "copied"])
    if how in ("renamed", "copied"):
        name = rng.choice(FOLDER_NAMES)
        shutil.copytree(case, case.with_name(name), symlinks=True)
        if how == "copied":
            return f"copied as {ascii(name)[:40]}"
    shutil.rmtree(case)
    if how == "file":
        case.touch()
    elif how == "pipe":
        os.mkfifo(case)
    elif how == "empty":
        case.mkdir()
    elif how == "nowhere":
        case.symlink_to("/nowhere")
    elif how == "loop":
        case.symlink_to(case.name)
    return f"its case's folder {how}"


JSON_BENDS: Sequence[_Bend] = [_Bend(".json", _bend_json)] * 6
BENDS = [
    *JSON_BENDS,
    _Bend(".json", _bend_label),
    _Bend(".json", _bend_label),
    _Bend(".json", _bend_text),
    _Bend("case.json", _replace_case),
    _Bend(".npy", _bend_header),
    _Bend(".npy", _bend_header),
    _Bend(".npy", _bend_voxels),
    _Bend(".npy", _bend_voxels),
    _Bend(".npy", _grow),
    _Bend(".csv", _bend_table),
    _Bend(".csv", _bend_table),
    _Bend("", _bend_bytes),
    _Bend("", _cut),
    _Bend("", _replace),
]
