"""The model file: one safetensors file, weights and JSON, no pickle; nothing that identifies a patient.

Its metadata entry "recontour" is a JSON object: format, architecture, organs, preprocessing, recipe, provenance, card
and the SHA-256 of the weights. The card follows the six sections of ESTRO's AID-RT model card
(Barragan-Montero et al. 2026, doi:10.1016/j.phro.2026.100940).
"""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from recontour.dicom import is_tg263
from recontour.errors import ModelFileError, RecontourError
from recontour.files import did_you_mean, write_bytes
from recontour.network.architecture import Architecture, Network
from recontour.network.preprocessing import Preprocessing

FORMAT = 1
Settings = TypeVar("Settings")
# Settings of earlier recontours, and the value with which they said nothing.
GONE = {"refine_channels": 0, "parent_head": False}
_FIELDS = ("architecture", "organs", "preprocessing", "recipe", "provenance", "weights_sha256")


class _OlderFieldError(Exception):
    """A setting that this recontour no longer has, and that was in use."""


class _NewerFieldError(Exception):
    """A setting that this recontour does not know."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from."""

    preset: str
    centre: str  # the label of the cohort it was last trained on
    cases: int
    cases_per_organ: Mapping[str, int]
    seed: int
    created: str  # ISO date
    versions: Mapping[str, str]
    parent_sha256: str | None = None  # of the adapted model's weights; None: trained from scratch
    parent_centres: tuple[str, ...] = ()  # the labels of the centres before, oldest first
    retrained_layers: int | None = None
    fresh_organs: tuple[str, ...] = ()  # whose scores started anew in the adaptation
    dropped_organs: tuple[str, ...] = ()  # of the adapted model, which this one does not contour
    notices: tuple[str, ...] = ()  # what a reader must know, such as that the patients are synthetic
    trained_on: tuple[str, ...] = ()  # fingerprints of all CTs learnt from, the parents' too; older files have none
    trained_on_patients: tuple[str, ...] = ()  # keys of all patients learnt from, as far as they are known

    @property
    def lineage(self) -> str:
        """The centres this model learnt from, oldest first."""
        return " -> ".join((*self.parent_centres, self.centre))


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network and everything needed to use it as it was trained."""

    network: Network
    architecture: Architecture
    organs: tuple[str, ...]  # TG-263 names, in the order of the network's outputs
    preprocessing: Preprocessing
    recipe: Mapping[str, Any]
    provenance: Provenance

    def card(self) -> dict[str, dict[str, str]]:
        """The model card, by section."""
        p = self.provenance
        per_organ = ", ".join(f"{organ} {count}" for organ, count in p.cases_per_organ.items())
        origin = f"adapted from a model of {' -> '.join(p.parent_centres)}" if p.parent_sha256 else "from scratch"
        return {
            "0 Card": {"written by": f"recontour {p.versions['recontour']}", "date": p.created},
            "1 Model": {
                "purpose": "contours organs at risk on axial planning CT of the head and neck; research use only",
                "not for": "clinical use without review of every contour by a qualified person; other sites or "
                "modalities; patients unlike those it was trained on. Not a medical device.",
                "organs": ", ".join(self.organs),
            },
            "2 Technical": {
                "architecture": "Chen et al. 2023 (ResNet-101-like, CAC, SPP), doi:10.3389/fphy.2023.1147900; "
                f"preset {p.preset}",
                "input": f"single slices, {self.preprocessing.pixel_mm} mm pixels, {self.preprocessing.crop_px} px "
                f"about the body's centre, HU window {self.preprocessing.window_hu}",
                "software": ", ".join(f"{name} {number}" for name, number in p.versions.items()),
            },
            "3 Training": {
                "centre": p.centre,
                "patients": f"{p.cases}; by organ: {per_organ}",
                "ground truth": "the centre's own contours by its own protocol",
                "method": f"{origin}; {self.recipe.get('iterations')} iterations, seed {p.seed}"
                + (f"; last {p.retrained_layers} layers retrained" if p.retrained_layers else ""),
                **({"notices": "; ".join(p.notices)} if p.notices else {}),
            },
            "4 Evaluation": {"results": "not part of this file: run `recontour evaluate` on your own test patients"},
            "5 Other": {
                "risks": "misses or shifts small organs; follows its centre's protocol, which may not be yours; "
                "slices are contoured one by one, so organ ends may be ragged",
                "privacy": "no names, identifiers, dates of birth or images of patients are in this file; "
                "a hash of each training CT tells who has that CT that it was used; a salted hash of a patient's ID "
                "tells that only to who has the salt, which stays at the centre",
            },
        }


def versions() -> dict[str, str]:
    """What this model was made with."""
    packages = {name: version(name) for name in ("recontour", "torch", "numpy", "scipy", "lightning-fabric")}
    return {"python": platform.python_version(), **packages}


def save_model(model: Model, path: Path) -> None:
    """Write a model file, whole or not at all; an existing file is refused (OutputError)."""
    weights = _weights(model.network)
    about = {
        "format": FORMAT,
        "architecture": asdict(model.architecture),
        "organs": model.organs,
        "preprocessing": asdict(model.preprocessing),
        "recipe": dict(model.recipe),
        "provenance": asdict(model.provenance),
        "card": model.card(),
        "weights_sha256": sha256_of(model.network),
    }
    write_bytes(path, safetensors.torch.save(weights, metadata={"recontour": json.dumps(about)}))


def load_model(path: Path) -> Model:
    """Read a model file.

    Raises: ModelFileError: it is missing, damaged, not recontour's, or of a newer recontour.
    """
    about, weights = _read(path)
    if missing := [name for name in _FIELDS if name not in about]:
        raise ModelFileError(f"{path}: its description lacks {', '.join(missing)}; ask for the file again")
    try:
        architecture = _settings(Architecture, about["architecture"])
        organs = tuple(str(organ) for organ in about["organs"])
        if not all(map(is_tg263, organs)) or len(set(organs)) < len(organs):
            raise ValueError("organs that are no TG-263 names, each once")
        model = Model(
            network=Network(architecture, len(organs)),
            architecture=architecture,
            organs=organs,
            preprocessing=_settings(Preprocessing, about["preprocessing"]),
            recipe=dict(about["recipe"]),
            provenance=_settings(Provenance, about["provenance"]),
        )
        model.network.load_state_dict(weights)
        model.card()  # it speaks of every field
    except _OlderFieldError as error:
        raise ModelFileError(f"{path} is of an older recontour ({error}); train or adapt it again") from error
    except _NewerFieldError as error:
        raise ModelFileError(f"{path} is of a newer recontour ({error}); update recontour") from error
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, RecontourError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path}: its description is damaged ({reason}); ask for the file again") from error
    if sha256_of(model.network) != about["weights_sha256"]:
        raise ModelFileError(f"{path}: the weights are not those that were saved (SHA-256); ask for the file again")
    model.network.eval()
    return model


def sha256_of(network: Network) -> str:
    """A fingerprint of all weights and normalisation statistics, independent of the memory layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_weights(network).items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _weights(network: Network) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().contiguous(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the weights, once it is sure that the file is a model's and of a known format."""
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder, and a model is a file; check the order of what you name (--help)")
    if not path.is_file():
        hint = did_you_mean(path) or "; make one with `recontour train`, or check the path"
        raise ModelFileError(f"{path}: no such model file{hint}")
    if not os.access(path, os.R_OK):
        raise ModelFileError(f"{path} may not be read; check its permissions")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if "recontour" not in metadata:
            raise ModelFileError(f"{path} is a safetensors file, but not a model of recontour's; check the path")
        about = json.loads(metadata["recontour"])
        if about["format"] > FORMAT:
            raise ModelFileError(
                f"{path} has model format {about['format']}, this recontour reads up to {FORMAT}; update recontour"
            )
        return about, safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(f"{path} is damaged, or not a model file ({error}); ask for the file again") from error


def _settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """A dataclass from JSON: lists become tuples, an unknown field is an error that names it."""
    values = {name: value for name, value in values.items() if name not in GONE or value != GONE[name]}
    if older := set(values) & set(GONE):
        raise _OlderFieldError(", ".join(sorted(older)))
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(values) - known:
        raise _NewerFieldError(f"it says {', '.join(sorted(unknown))} of its {kind.__name__.lower()}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
