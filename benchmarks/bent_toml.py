"""Bent TOML for `bent_files.py`: a study file or a map of ROI names is damaged."""

import os
import random
import re
import socket
from pathlib import Path

import numpy as np

from bending import TEXTS
from recontour.cohort import Cohort
from recontour.dicom import Authorship, ScanIdentity, write_scan, write_structure_set
from recontour.geometry import Grid, Structure, StructureSet, trace
from recontour.study import example

GRID = Grid((4, 48, 48), (4.0, 4.0), tuple(3.0 * i for i in range(4)), (-94.0, -94.0))
NAMES = (
    '[names]\n"Hirnstamm" = "Brainstem"\n"Linse li" = "Lens_L"\n"PTV 70" = ""\n"Ring" = "ignore"\n'
)
WHOLE = [
    "", " ", "\0", "a", "=", "[", "[names", "[[names]]", "[names]\n[names]\n", "names = 1\n",
    "names = []\n", "a = " + "[" * 5000 + "]" * 5000, "a = " + "{a=" * 5000 + "1" + "}" * 5000,
    "[names]\na = " + "1" * 5000, "[names]\na = 0x" + "f" * 100_000,
    "[names]\na = 1" + "0" * 100_000 + ".0", "[names]\na = 1e999999999", "[" + "a." * 1000 + "a]\n",
    "[names]\n" + "a." * 1000 + "a = 1\n", "[names]\n" + '"a,".' * 20_000 + "a = 1\n",
    "[names]\nx = { " + "a." * 50_000 + "a = 1 }\n", "a" * 3_000_000, "# " + "a" * 3_000_000 + "\n",
    "[names]\n" * 100_000,
    "[names]\n" + "".join(f'"{number}" = "Brainstem"\n' for number in range(50_000)),
    "".join(f"[{'a.' * 30}b{number}]\n" for number in range(15_000)),
    "".join(f"[[{'a.' * 30}b]]\n" for number in range(15_000)),
    "[names]\na = 1979-05-27T07:32:00Z\n", "[names]\na = 07:32:00\n",
    "[names]\na = '''\n" + "\n" * 100_000 + "'''\n", "[names]\n" + '"""' * 100_000,
    "[names]\na = [" + "{}," * 100_000 + "]\n", "[names]\na = [" + "1.5," * 100_000 + "]\n",
    "[names]\na = true\n", "[names]\na = nan\n", "[names]\na = {}\n", "[names]\na = [[[[]]]]\n",
    "{}\n", '{"names": {}}\n',
]  # fmt: skip
VALUES = [
    "0", "-1", "1", "true", "nan", "inf", "1e30", "1" * 5000, "0x" + "f" * 5000, "[]", "{}", "[[]]",
    '""', '"all"', "1000000000", "9223372036854775807", "99999999999999999999", "1979-05-27",
    "[" * 1000 + "]" * 1000, "{ a = " * 300 + "1" + " }" * 300, '["all", "all"]', "[1, 1]", "[0]",
    "[1, 'x', {}]", "'x'", "[" + "1," * 20_000 + "]",
    "[" + ",".join(map(str, range(1, 2000))) + "]", '"' + "A" * 70_000 + '"', '"../../x"',
    '"/etc/passwd"', '"/dev/zero"',
]  # fmt: skip


def make_base(folder: Path) -> None:
    """Write two centres, STUDY.toml, a DICOM archive of one patient, and a map of its names."""
    for centre, cases in (("south", 2), ("north", 4)):
        cohort = Cohort.open_or_create(folder / centre, centre)
        for number in range(cases):
            hu, masks = _patient(len(centre) * 10 + cases + number)
            cohort.add(f"{centre}-{number:08x}", hu, GRID, masks, str(number))
    (folder / "STUDY.toml").write_text(_study())
    (folder / "names.toml").write_text(NAMES)
    hu, masks = _patient(1)
    scan = write_scan(folder / "dicom" / "CT", hu, GRID, ScanIdentity("bent", patient_id="bent"))
    stem = Structure("Hirnstamm", trace(masks["Brainstem"], GRID))
    lens = Structure("Linse li", trace(masks["Lens_L"], GRID))
    author = Authorship("a person", "HN", algorithm="MANUAL", seed="bent")
    write_structure_set(folder / "dicom" / "RS.dcm", StructureSet((stem, lens)), scan, author)


def bend(rng: random.Random, folder: Path) -> str:
    """Bend the study file or the map, whole or in one place."""
    path = folder / rng.choice(["STUDY.toml", "names.toml"])
    how = rng.choice(["whole", "value", "value", "value", "line", "bytes", "file"])
    if how == "whole":
        text = rng.choice(WHOLE)
        path.write_text(text)
        done = ascii(text)[:60]
    elif how == "value":
        done = _bend_value(rng, path)
    elif how == "line":
        done = _bend_line(rng, path)
    elif how == "bytes":
        done = _bend_bytes(rng, path)
    else:
        done = _not_a_file(rng, path)
    (folder / "bent").write_text(path.name)
    return f"{path.name}: {done}"


def commands(folder: Path, out: Path) -> list[list[str]]:
    """Return the commands that read the bent file."""
    if (folder / "bent").read_text() == "STUDY.toml":
        return [["study", str(folder / "STUDY.toml"), "--dry-run"]]
    dicom, names = str(folder / "dicom"), ["--names", str(folder / "names.toml")]
    return [
        ["import", dicom, str(out / "cohort"), "--centre", "east", *names],
        ["deidentify", dicom, str(out / "clean"), *names],
    ]


def _patient(number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return Hounsfield units and masks of a round body with two organs."""
    slices, rows, columns = np.indices(GRID.shape)
    body = (rows - 24) ** 2 + (columns - 24) ** 2 < 400
    hu = np.where(body, 40, -1000) + np.random.default_rng(number).normal(0, 8, GRID.shape)
    masks = {
        "Brainstem": (abs(rows - 24) <= 3) & (abs(columns - 24) <= 3) & (slices > 0),
        "Lens_L": (abs(rows - 12) <= 1) & (abs(columns - 32) <= 1) & (slices > 1),
    }
    return np.round(hu).astype(np.int16), masks


def _study() -> str:
    """Return the example study, made small, on the two centres here."""
    text = example()
    text = re.sub(r"(?m)^(test|validation) = \d+", r"\1 = 1", text)
    text = text.replace("workers = 2", "workers = 1")
    return re.sub(r"(?m)^(iterations|slices|validate_every) = \d+", r"\1 = 3", text)


def _bend_value(rng: random.Random, path: Path) -> str:
    """Give one key another value."""
    lines = path.read_text().splitlines()
    with_value = [number for number, line in enumerate(lines) if re.match(r"[^#=]*=", line)]
    at = rng.choice(with_value)
    name = lines[at].partition("=")[0].strip()
    text = rng.choice(TEXTS).replace("\\", "").replace('"', "")
    value = rng.choice([*VALUES, f'"{text}"'])
    lines[at] = f"{name} = {value}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return f"{name} = {ascii(value)[:60]}"


def _bend_line(rng: random.Random, path: Path) -> str:
    """Repeat, remove, cut or move a line, or put a very long name in its place."""
    lines = path.read_text().splitlines()
    at = rng.randrange(len(lines))
    how = rng.choice(["twice", "removed", "cut", "moved", "longer name"])
    line = lines.pop(at)
    if how == "twice":
        lines[at:at] = [line, line]
    elif how == "cut":
        lines.insert(at, line[: rng.randrange(len(line) + 1)])
    elif how == "moved":
        lines.insert(rng.randrange(len(lines) + 1), line)
    elif how == "longer name":
        lines.insert(at, '"' + "A" * 70_000 + '" = "x"')
    path.write_text("\n".join(lines) + "\n")
    return f"line {at + 1} {how}"


def _bend_bytes(rng: random.Random, path: Path) -> str:
    """Damage the file's bytes, or encode it otherwise."""
    text = path.read_text()
    how = rng.choice(["cut", "flipped", "garbage", "zeros", "utf-16", "latin-1", "mark", "huge"])
    content = text.encode()
    flipped = bytearray(content)
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    bent = {
        "cut": content[: rng.randrange(len(content))],
        "flipped": bytes(flipped),
        "garbage": rng.randbytes(3000),
        "zeros": bytes(100_000),
        "utf-16": text.encode("utf-16"),
        "latin-1": content + '# "Gl\u00e4ser"\n'.encode("latin-1"),
        "mark": b"\xef\xbb\xbf" + content,
        "huge": content + b"# more\n" * 2_000_000,
    }
    path.write_bytes(bent[how])
    return how


def _not_a_file(rng: random.Random, path: Path) -> str:
    """Put something else in the file's place."""
    path.unlink()
    how = rng.choice(["pipe", "folder", "/dev/zero", "itself", "nothing", "unreadable", "socket"])
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "unreadable":
        path.touch(mode=0)
    elif how == "socket":
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))
    elif how != "nothing":
        path.symlink_to(path if how == "itself" else how)
    return how
