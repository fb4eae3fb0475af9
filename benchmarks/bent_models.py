"""Bent model files and checkpoints for `bent_files.py`.

`contour`, `evaluate` and `adapt` read a model whose description, tensors, header or bytes are bent;
`train --resume` reads a bent checkpoint. Half of the files with bent tensors state the SHA-256 of
what they hold, as an attacker would.
"""

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from bending import DEPTH, ODD, bent_json, hostile_value, nested
from recontour.cohort import Case, Cohort, case_id_of
from recontour.dicom import ScanIdentity, write_scan
from recontour.geometry import Grid
from recontour.network import (
    AnyArchitecture,
    Architecture,
    Model,
    Network,
    Preprocessing,
    UNet,
    save_head,
    save_model,
)
from recontour.network.model import sha256_of
from recontour.training.folder import RunFolder
from recontour.training.presets import Preset, preset_of
from recontour.training.run import run
from recontour.transfer.models import begin

BENT = "bent.safetensors"
RESUMED = "resumed.safetensors"
IS_HEAD = "bent_is_a_head"  # a mark beside a bent head
PARENT, CHILD, HEAD = "parent.safetensors", "child.safetensors", "head.safetensors"
U_NET = "unet.safetensors"
WHOLE = (PARENT, CHILD, HEAD, U_NET)  # before they are bent
ITERATIONS = 2
TINY = Architecture(
    stem_channels=16,
    widths=(16, 16, 16, 16),
    blocks=(1, 1, 1),
    expansion=1,
    spp_channels=16,
    norm="batch",
)
TINY_U_NET = UNet(
    stem_channels=16,
    widths=(16, 16, 16, 16),
    blocks=(1, 1, 1, 1),
    decoder=(16, 16),
    slices=3,
)
SEEN = Preprocessing(pixel_mm=4.0, crop_px=33, window_hu=(-200.0, 400.0))
SEEN_TOGETHER = replace(SEEN, neighbours_mm=(-4.0, 4.0))
ORGANS = ("Brainstem", "Lens_L")
# Enough slices for contour to use OpenVINO.
GRID = Grid((26, 40, 40), (4.0, 4.0), tuple(3.0 * z for z in range(26)), (-78.0, -78.0))
Tensors = dict[str, np.ndarray[Any, Any]]
Random = random.Random


# ------------------------------------------------------------ whole files


def make_base(folder: Path) -> None:
    """Write a cohort, a CT, a model, one adapted from it, its head, and an interrupted run.

    Another process writes them: the one that forks must not have started torch's threads.
    """
    subprocess.run([sys.executable, __file__, str(folder)], check=True)


def _make_here(folder: Path) -> None:
    cohort = Cohort.open_or_create(folder / "cohort", "north")
    hu, masks = _patient()
    cohort.add(case_id_of("north", "1.2.3"), hu, GRID, masks, source_hash="0")
    write_scan(folder / "ct", hu, GRID, ScanIdentity("bent"))
    cases = list(cohort)
    parent = _model(cohort, cases, TINY, SEEN)
    save_model(parent, folder / PARENT)
    save_model(_model(cohort, cases, TINY_U_NET, SEEN_TOGETHER), folder / U_NET)
    save_model(_child_of(parent), folder / CHILD)
    save_head(_child_of(parent), folder / HEAD)
    _break_off(cohort, cases, folder / RESUMED)


def _model(
    cohort: Cohort,
    cases: list[Case],
    architecture: AnyArchitecture,
    seen: Preprocessing,
) -> Model:
    """Return an untrained model that contours something."""
    settings = replace(preset_of("compact"), architecture=architecture, preprocessing=seen)
    model = begin(cohort, cases, ORGANS, "compact", settings, 0)
    _find_everything(model.network)
    return model


def _patient() -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return Hounsfield units and masks of a round body with a brain stem and a lens."""
    zz, yy, xx = np.mgrid[:26, :40, :40]
    body = (xx - 20) ** 2 + (yy - 20) ** 2 < 17**2
    hu = np.where(body, 40, -1000).astype(np.int16)
    stem = (abs(yy - 20) <= 4) & (abs(xx - 20) <= 4) & (zz > 3)
    lens = ((xx - 28) ** 2 + (yy - 12) ** 2 <= 4) & (zz > 15)
    return hu, {"Brainstem": stem, "Lens_L": lens}


def _find_everything(network: Network) -> None:
    """Let an untrained network find each organ everywhere, so that `contour` writes something."""
    bias_2K = network.own_head.last_layer.bias
    assert bias_2K is not None
    with torch.no_grad():
        bias_2K[1::2] += 10


def _child_of(parent: Model) -> Model:
    """Return an adapted model that asks its parent's head, too."""
    network = deepcopy(parent.network)
    network.ask(deepcopy(network.own_head), [0, 1], [0.5, 0.25])
    provenance = replace(
        parent.provenance,
        centre="south",
        parent_sha256=sha256_of(parent.network),
        parent_centres=("north",),
        retrained_layers=10,
        notices=("synthetic patients",),
    )
    return replace(parent, network=network, provenance=provenance, asked=parent.heads)


def _break_off(cohort: Cohort, cases: list[Case], out: Path) -> None:
    """Train until after the last checkpoint, and stop before the model is written."""
    from recontour.training.batches import Batches
    from recontour.transfer import models

    settings: Preset = preset_of("compact")
    recipe = replace(settings.train, iterations=ITERATIONS)
    model = begin(cohort, cases, ORGANS, "compact", replace(settings, train=recipe), 0)
    batches = Batches(cases, model.organs, model.preprocessing, recipe, 0)
    folder = RunFolder(out.with_name(out.name + ".run"))
    identity = models._identity(model, cases)
    for step in run(model.network, batches, folder, identity, resume=False, checkpoint_seconds=0):
        if step.iteration == 1:
            break


# ------------------------------------------------------------ bending


def bend(rng: Random, folder: Path) -> str:
    """Bend one of the folder's models into another file, or the checkpoint in its place.

    Returns: what was done, in words.
    """
    if rng.random() < 0.1:
        return _bent_checkpoint(rng, folder / f"{RESUMED}.run" / "checkpoint.ckpt")
    whole = rng.choice(WHOLE)
    content = (folder / whole).read_bytes()
    how = rng.choice([_description] * 5 + [_tensors] * 3 + [_header] * 2 + [_bytes])
    bent, words = how(rng, content)
    (folder / BENT).write_bytes(bent)
    if whole == HEAD:
        (folder / IS_HEAD).touch()
    return f"{whole}: {words}"


def commands(folder: Path, out: Path) -> list[list[str]]:
    """Return the commands that read the bent model, or else the checkpoint."""
    few = ["--iterations", str(ITERATIONS)]
    model, cohort, ct = (str(folder / name) for name in (BENT, "cohort", "ct"))
    if (folder / IS_HEAD).exists():
        model = f"{folder / PARENT}+{model}"
    if not (folder / BENT).exists():
        return [["train", cohort, "--out", str(folder / RESUMED), *few, "--resume"]]
    return [
        ["contour", model, ct, "--out", str(out / "rs.dcm")],
        ["evaluate", cohort, str(folder / PARENT), model, "--out", str(out / "scores")],
        ["adapt", model, cohort, "--out", str(out / "adapted"), *few],
    ]


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a file's header, and the bytes after it."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: str, rest: bytes) -> bytes:
    raw = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(raw)) + raw + rest


def _with_description(content: bytes, text: str) -> bytes:
    header, rest = _parts(content)
    header["__metadata__"]["recontour"] = text
    return _joined(json.dumps(header), rest)


def _description_of(content: bytes) -> str:
    header, _ = _parts(content)
    description: str = header["__metadata__"]["recontour"]
    return description


def _with_true_hash(content: bytes, tensors: Tensors) -> bytes:
    """Return the file with the SHA-256 of these tensors in its description."""
    about = json.loads(_description_of(content))
    about["trunk_sha256"] = _sha256_of(tensors, "trunk.")
    for place, head in enumerate(about["heads"]):
        head["sha256"] = _sha256_of(tensors, f"heads.{place}.")
    parts = [about["trunk_sha256"], *(head["sha256"] for head in about["heads"])]
    about["weights_sha256"] = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return _with_description(content, json.dumps(about))


def _sha256_of(tensors: Tensors, prefix: str) -> str:
    """Return the fingerprint of the tensors of one part."""
    digest = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        if name.startswith(prefix):
            dtype = TORCH_DTYPES.get(str(array.dtype), str(array.dtype))
            digest.update(f"{name[len(prefix) :]} {array.shape} {dtype}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


TORCH_DTYPES = {"float32": "torch.float32", "int64": "torch.int64"}
SETTINGS = [
    ("architecture", "stem_channels"),
    ("architecture", "expansion"),
    ("architecture", "conv4_rate"),
    ("architecture", "spp_channels"),
    ("architecture", "norm"),
    ("architecture", "family"),
    ("architecture", "slices"),
    ("preprocessing", "pixel_mm"),
    ("preprocessing", "crop_px"),
]
LISTS = [
    ("architecture", "widths"),
    ("architecture", "blocks"),
    ("architecture", "cac_rates"),
    ("architecture", "spp_rates"),
    ("architecture", "decoder"),
    ("preprocessing", "neighbours_mm"),
    ("preprocessing", "window_hu"),
]
SIZES = [
    0, -1, 1, 2, 3, 17, 40, 50, 1000, 4097, 10**5, 10**6, 10**9, 2**31, 2**63, 1e30, 0.5, "16",
    True, None, [16],
]  # fmt: skip
WINDOWS = [
    [-1e30, 1e30], [400, -200], [0, 0], [0, 1e-300], [-1e308, 1e308], ["0", "1"], [None, 1], [0],
]  # fmt: skip


def _description(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Bend values of the description, or a setting that decides how much memory is needed."""
    text = _description_of(content)
    if rng.random() < 0.4:
        text, words = bent_json(rng, text)
        return _with_description(content, text), words
    about = json.loads(text)
    if rng.random() < 0.5:
        section, name = rng.choice(SETTINGS)
        value = rng.choice(SIZES)
    else:
        # A U-Net has lists that the paper's network lacks, and the other way round.
        section, name = rng.choice([(part, name) for part, name in LISTS if name in about[part]])
        value = _bent_list(rng, about[section][name], name)
    about[section][name] = value
    return _with_description(content, json.dumps(about)), f"{section}.{name} = {value!r:.60}"


def _bent_list(rng: Random, values: list[Any], name: str) -> Any:
    if name == "window_hu" and rng.random() < 0.5:
        return rng.choice(WINDOWS)
    values = values or [0.0]  # no neighbours yet
    how = rng.choice(["one", "one", "all", "longer", "shorter", "empty", "text"])
    if how == "one":
        values[rng.randrange(len(values))] = rng.choice(SIZES)
        return values
    others: dict[str, Any] = {
        "all": [rng.choice(SIZES)] * len(values),
        "longer": values * rng.choice([2, 1000]),
        "shorter": values[:-1],
        "empty": [],
        "text": "wide",
    }
    return others[how]


def _tensors(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Bend tensors: missing, renamed, of another shape or kind, or with impossible values."""
    tensors: Tensors = safetensors.numpy.load(content)
    changes: list[Callable[[Random, Tensors], str]] = [
        _removed,
        _renamed,
        _reshaped,
        _other_dtype,
        _odd_values,
    ]
    words = rng.choice([*changes, _odd_values])(rng, tensors)
    header, _ = _parts(content)
    bent = safetensors.numpy.save(tensors, header["__metadata__"])
    if rng.random() < 0.5:
        return _with_true_hash(bent, tensors), f"{words}, hash true"
    return bent, words


def _removed(rng: Random, tensors: Tensors) -> str:
    name = rng.choice([*sorted(tensors), ""])
    if not name:
        tensors.clear()
        return "no tensor left"
    del tensors[name]
    return f"{name} removed"


def _renamed(rng: Random, tensors: Tensors) -> str:
    name = rng.choice(sorted(tensors))
    others = ["", "../x", "x\x1b[2J", "A" * 5000, "[/]", name.upper(), "heads.1.spp.scores.bias"]
    new = rng.choice(others)
    tensors[new] = tensors.pop(name)
    return f"{name} renamed {ascii(new)[:40]}"


def _reshaped(rng: Random, tensors: Tensors) -> str:
    name = rng.choice(sorted(tensors))
    array = tensors[name]
    empty = array[..., :0] if array.ndim else array[None][:0]
    others = [array[..., None], array.reshape(-1), array[None], empty]
    tensors[name] = np.ascontiguousarray(rng.choice(others))
    return f"{name} of shape {tensors[name].shape}"


def _other_dtype(rng: Random, tensors: Tensors) -> str:
    name = rng.choice(sorted(tensors))
    dtype = rng.choice(["float64", "float16", "int32", "uint8", "bool", "complex64"])
    tensors[name] = tensors[name].astype(dtype)
    return f"{name} as {dtype}"


def _odd_values(rng: Random, tensors: Tensors) -> str:
    of_floats = [name for name in sorted(tensors) if tensors[name].dtype == np.float32]
    name = rng.choice(of_floats)
    value = rng.choice([np.nan, np.inf, -np.inf, -1.0, 1e30, -1e30, 3.4e38, 1e-40, 0.0])
    array = tensors[name].copy()
    array.flat[:: rng.choice([1, 1, max(1, array.size)])] = value
    tensors[name] = array
    return f"{name} holds {value}"


def _header(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Bend the header as JSON, as text, or in its length."""
    header, rest = _parts(content)
    if rng.random() < 0.15:
        huge = [2**63, 2**64 - 1, 10**18]
        length = rng.choice([0, 1, *huge, len(content), len(content) - 8, 100_000_000, 1 << 20])
        return struct.pack("<Q", length) + content[8:], f"a header of {length} bytes"
    if rng.random() < 0.3:
        text, words = bent_json(rng, json.dumps(header))
    else:
        how = rng.choice([_nested, _twice, _other_metadata, _many, _claims, _claims])
        text, words = how(rng, header, len(rest))
    return _joined(text, rest), f"header: {words}"


def _nested(rng: Random, header: dict[str, Any], _size: int) -> tuple[str, str]:
    depth = rng.choice([DEPTH, 100_000])
    return json.dumps(header)[:-1] + f', "x": {nested(depth)}}}', f"nested {depth} deep"


def _twice(rng: Random, header: dict[str, Any], _size: int) -> tuple[str, str]:
    key = rng.choice(sorted(header))
    again = f"{json.dumps(key)}: {json.dumps(header[key])}"
    return f"{json.dumps(header)[:-1]}, {again}}}", f"{key} twice"


def _other_metadata(rng: Random, header: dict[str, Any], _size: int) -> tuple[str, str]:
    others = [[], 5, None, {}, {"recontour": 5}, {"recontour": nested()}, {"x": [1]}]
    header["__metadata__"] = rng.choice(others)
    return json.dumps(header), f"metadata {header['__metadata__']!r:.30}"


def _many(_rng: Random, header: dict[str, Any], _size: int) -> tuple[str, str]:
    for number in range(100_000):
        header[f"x{number}"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return json.dumps(header), "100 000 empty tensors more"


def _claims(rng: Random, header: dict[str, Any], size: int) -> tuple[str, str]:
    """Claim other offsets, or another shape, than a tensor has."""
    name = rng.choice([key for key in sorted(header) if key != "__metadata__"])
    begin, end = header[name]["data_offsets"]
    offsets = [[end, begin], [begin - 1, end], [begin, end + 4], [0, size], [-4, 0], [begin, 2**64]]
    shapes = [[10**6, 10**6], [2**63, 2], [-1], [1e30], ["2"], [0] * 1000, [2**32] * 2]
    if rng.random() < 0.5:
        header[name]["data_offsets"] = rng.choice(offsets)
    else:
        header[name]["shape"] = rng.choice(shapes)
    return json.dumps(header), f"{name}: {header[name]!r:.80}"


def _bytes(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Cut the file, append to it, or change some bytes."""
    how = rng.choice(["cut", "cut", "longer", "other", "other"])
    if how == "cut":
        at = rng.choice([0, 7, 8, 9, rng.randrange(len(content)), len(content) - 1])
        return content[:at], f"cut at {at}"
    if how == "longer":
        return content + rng.randbytes(rng.choice([1, 4096])), "longer"
    changed = bytearray(content)
    places = []
    for _ in range(rng.choice([1, 9])):
        within = min(len(content), rng.choice([64, 4096, len(content)]))
        places.append(rng.randrange(within))
    for place in places:
        changed[place] = rng.randrange(256)
    return bytes(changed), f"other bytes at {places}"


def _bent_checkpoint(rng: Random, path: Path) -> str:
    """Bend a checkpoint's bytes, or what it holds."""
    if rng.random() < 0.4:
        content, words = _bytes(rng, path.read_bytes())
        path.write_bytes(content)
        return f"checkpoint: {words}"
    state = torch.load(path, weights_only=True)
    part = rng.choice(
        ["identity", "done", "network", "optimiser", "weight", "moment", "group", "everything"]
    )
    name = rng.choice(sorted(state["network"]))
    odd = [hostile_value(rng), rng.choice(ODD), torch.zeros(3), torch.tensor(float("nan"))]
    value: Any = rng.choice(odd)
    if part == "everything":
        state = value
    elif part == "weight":
        state["network"][name] = value
    elif part == "moment":
        state["optimiser"]["state"][rng.choice(sorted(state["optimiser"]["state"]))] = value
    elif part == "group":
        group = state["optimiser"]["param_groups"][0]
        group[rng.choice(sorted(group))] = value
    else:
        state[part] = value
    torch.save(state, path)
    return f"checkpoint: {part} ({name}) = {ascii(value)[:40]}"


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    _make_here(Path(sys.argv[1]))
