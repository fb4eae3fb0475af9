"""The model file: one safetensors file, weights and JSON, no pickle; nothing that identifies a
patient.

Its metadata entry "recontour" is a JSON object: format, architecture, organs, preprocessing,
recipe, provenance, card and the SHA-256 of the weights. The card follows the six sections of
ESTRO's AID-RT model card (Barragan-Montero et al. 2026, doi:10.1016/j.phro.2026.100940).
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from recontour.errors import FaultError, ModelFileError, SettingsError
from recontour.files import write_bytes
from recontour.network.architecture import Architecture, Network
from recontour.network.container import DTYPES, Container, damaged, open_container
from recontour.network.cost import CostError, cost_of
from recontour.network.description import (
    FORMAT,
    Description,
    DescriptionError,
    NewerFieldError,
    NotJsonError,
    OlderFieldError,
    Provenance,
    decoded,
    strict_json,
)
from recontour.network.preprocessing import Preprocessing
from recontour.wording import shown


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
        origin = (
            f"adapted from a model of {' -> '.join(p.parent_centres)}"
            if p.parent_sha256
            else "from scratch"
        )
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
            "4 Evaluation": {
                "results": "not part of this file: run `recontour evaluate` on your own test patients"
            },
            "5 Other": {
                "risks": "misses or shifts small organs; follows its centre's protocol, which may not be yours; "
                "slices are contoured one by one, so organ ends may be ragged",
                "privacy": "no names, identifiers, dates of birth or images of patients are in this file; "
                "whoever has one of the training CTs can tell from its hash that it was used; the salted hash of a "
                "patient's ID tells that only to whoever has the salt, which stays at the centre",
            },
        }


def versions() -> dict[str, str]:
    """What this model was made with."""
    packages = {
        name: version(name) for name in ("recontour", "torch", "numpy", "scipy", "lightning-fabric")
    }
    return {"python": platform.python_version(), **packages}


def save_model(model: Model, path: Path) -> None:
    """Write a model file, whole or not at all.

    Raises: OutputError: the file exists already. FaultError: the disk is full, or the training left
        numbers that are no weights, with which the file could not be read again.
    """
    if odd := _odd_weights(model.network):
        raise FaultError(
            f"training diverged: {odd}. No model was written; take another seed (--seed, or a study's)"
        )
    content = safetensors.torch.save(
        _weights(model.network), metadata={"recontour": json.dumps(_about(model))}
    )
    write_bytes(path, content)


def refuse_unwritable(model: Model) -> None:
    """Raise SettingsError where the file of this model could not be read again:

    before the training, not after it.
    """
    try:
        described = decoded(json.loads(json.dumps(_about(model))))
        _shapes_alone(described)
    except (DescriptionError, NewerFieldError, OlderFieldError, CostError, SettingsError) as error:
        raise SettingsError(
            f"the model's file could not be read again ({error}); choose other settings"
        ) from error


def load_model(path: Path) -> Model:
    """Read a model file. It may come from anywhere: what it says is checked before anything is
    built from it.

    Raises: ModelFileError: it is missing, damaged, not recontour's, of a newer recontour, or beyond
        the limits of docs/decisions/029-model-limits.md. FaultError: the machine cannot read it.
    """
    container = open_container(path)
    described = _described(container)
    network = _network(container, described)
    try:
        network.load_state_dict(container.tensors(), assign=True)  # in place of the shapes alone
    except RuntimeError as error:  # the file changed meanwhile
        raise damaged(path, str(error)) from error
    if sha256_of(network) != described.weights_sha256:
        raise ModelFileError(
            f"{path}: the weights are not those that were saved (SHA-256); ask for the file again"
        )
    if odd := _odd_weights(network):
        raise ModelFileError(f"{path} is damaged: {odd}; ask for the file again")
    network.eval()
    return Model(
        network=network,
        architecture=described.architecture,
        organs=described.organs,
        preprocessing=described.preprocessing,
        recipe=described.recipe,
        provenance=described.provenance,
    )


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


def _about(model: Model) -> dict[str, Any]:
    """The JSON object of a model's file."""
    return {
        "format": FORMAT,
        "architecture": asdict(model.architecture),
        "organs": model.organs,
        "preprocessing": asdict(model.preprocessing),
        "recipe": dict(model.recipe),
        "provenance": asdict(model.provenance),
        "card": model.card(),
        "weights_sha256": sha256_of(model.network),
    }


# ---------------------------------------------------------------- what a file says, before its
# weights are read


def _described(container: Container) -> Description:
    """The description, once it is sure that the file is a model's and of a known format."""
    path = container.path
    if "recontour" not in container.metadata:
        raise ModelFileError(
            f"{path} is a safetensors file, but not a model of recontour's; check the path"
        )
    try:
        about = strict_json(container.metadata["recontour"])
    except NotJsonError as error:
        raise damaged(path, f"its description: {error}") from error
    said = about.get("format") if isinstance(about, dict) else None
    if isinstance(said, int) and said > FORMAT:
        raise ModelFileError(
            f"{path} has model format {shown(said)}, this recontour reads up to {FORMAT}; update recontour"
        )
    try:
        return decoded(about)
    except OlderFieldError as error:
        raise ModelFileError(
            f"{path} is of an older recontour ({error}); train or adapt it again"
        ) from error
    except NewerFieldError as error:
        raise ModelFileError(
            f"{path} is of a newer recontour ({error}); update recontour"
        ) from error
    except (DescriptionError, SettingsError) as error:
        raise _damaged_description(path, error) from error


def _network(container: Container, described: Description) -> Network:
    """The network that is described, without weights;

    refused unless the file's tensors are its own.
    """
    try:
        network = _shapes_alone(described)
    except DescriptionError as error:
        raise _damaged_description(container.path, error) from error
    except CostError as error:
        raise ModelFileError(
            f"{container.path} is refused: {error}; both presets are far below that, so ask who made it what it is"
        ) from error
    expected = {name: _claim_of(tensor) for name, tensor in network.state_dict().items()}
    claimed = {name: (claim.dtype, claim.shape) for name, claim in container.claims.items()}
    for name in sorted({*expected, *claimed}):
        if expected.get(name) != claimed.get(name):
            seen, wanted = _in_words(claimed.get(name)), _in_words(expected.get(name))
            raise ModelFileError(
                f"{container.path} is damaged: its tensors are not those of the network that it describes "
                f"({shown(name)}: {seen} seen, {wanted} expected); ask for the file again"
            )
    return network


def _shapes_alone(described: Description) -> Network:
    """The network on torch's meta device, where nothing takes memory.

    Raises: DescriptionError: it cannot be made. CostError: it is beyond the limits.
    """
    try:
        with torch.device("meta"):
            network = Network(described.architecture, len(described.organs))
    except ValueError as error:  # channels that group normalisation cannot part
        raise DescriptionError(f"its network cannot be made: {error}") from error
    cost_of(network, described.preprocessing.crop_px).refuse_excess()
    return network


def _damaged_description(path: Path, error: Exception) -> ModelFileError:
    return ModelFileError(f"{path}: its description is damaged ({error}); ask for the file again")


def _claim_of(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    """A tensor's kind and shape, as safetensors says them."""
    kind = next(word for word, dtype in DTYPES.items() if dtype == str(tensor.dtype))
    return kind, tuple(tensor.shape)


def _in_words(claim: tuple[str, tuple[int, ...]] | None) -> str:
    if claim is None:
        return "none"
    dtype, shape = claim
    return f"{shown(dtype)} of shape {shown(shape)}"


def _odd_weights(network: Network) -> str:
    """What no training leaves, and from which nothing but nonsense can be computed;

    empty if there is nothing.
    """
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            return f"{name} holds numbers that are not finite"
        if name.endswith("running_var") and (tensor < 0).any():
            return f"{name} holds variances below 0"
        if name == "parent_share_K" and ((tensor < 0) | (tensor > 1)).any():
            return f"{name} holds shares outside 0 to 1"
    return ""
