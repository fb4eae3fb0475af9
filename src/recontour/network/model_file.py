"""The model file: one safetensors file, weights and JSON, no pickle; nothing identifies a patient.

A model is a trunk and heads. A file holds all of them, or only the model's own head with the
SHA-256 of the parts that it needs: such a head is used with the model that it was adapted from, as
TRUNK+HEAD.

The metadata entry "recontour" is the JSON object that `description.Description` describes, with the
model card. Tensors are called trunk.STAGE..., heads.0.STAGE... (the own head), heads.1.STAGE...
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor, nn

from recontour.errors import FaultError, ModelFileError, SettingsError
from recontour.files import UnreadableError, write_bytes
from recontour.findings import Finding
from recontour.network.card import card
from recontour.network.container import Container, damaged, first_line, open_container
from recontour.network.cost import cost_of
from recontour.network.description import MODEL_FORMAT, Description, HeadDescription, decoded
from recontour.network.findings import (
    ChangedWeights,
    DamagedModelPart,
    DivergedWeights,
    ForeignModel,
    HeadWithoutTrunk,
    ImpossibleNetwork,
    ImpossibleWeights,
    NewerModel,
    NotAHead,
    UnexpectedTensor,
    UnsupportedModelFormat,
    UnusableTensors,
    UnwritableModel,
    WrongTrunk,
)
from recontour.network.head import Head
from recontour.network.model import HeadRecord, Model, joint_sha256, part_sha256, weights_of
from recontour.network.network import Network, places, split
from recontour.network.paths import parts_of
from recontour.network.stages import stages_of
from recontour.network.strict_json import read_strict_json
from recontour.network.trunk import Trunk
from recontour.validation import Invalid
from recontour.wording import shown

OWN_HEAD = "heads.0."  # how names of its tensors begin
SAFETENSORS_DTYPES = {torch.float32: "F32", torch.int64: "I64"}  # all that a network has
LARGEST_FORMAT = 1000  # a larger number is damage, not a format

# Writing


def save_model(model: Model, path: Path) -> None:
    """Write a model file, whole or not at all.

    Raises: OutputError: the file exists already. FaultError: the disk is full, or the training left
        numbers that are no weights, with which the file could not be read again.

    >>> save_model(load_model("south.safetensors"), Path("south-again.safetensors"))
    """
    _save(model, path, head_only=False)


def save_head(model: Model, path: Path) -> None:
    """Write only what an adaptation learnt: the model's own head.

    Raises: as `save_model`.

    >>> save_head(load_model("north.safetensors"), Path("north.head.safetensors"))
    >>> load_model("south.safetensors+north.head.safetensors").organs
    ('Brainstem', 'Lens_L')
    """
    _save(model, path, head_only=True)


def _save(
    model: Model,
    path: Path,
    *,
    head_only: bool,
) -> None:
    odd = _odd_weights(model.network)
    if odd:
        raise FaultError(DivergedWeights(why=odd))
    weights = weights_of(model.network)
    if head_only:
        weights = _own_head(weights)
    described = json.dumps(_about(model, head_only=head_only))
    content = safetensors.torch.save(weights, metadata={"recontour": described})
    write_bytes(path, content)


def _own_head(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if name.startswith(OWN_HEAD)}


def _about(model: Model, *, head_only: bool) -> dict[str, Any]:
    """Return the JSON object of a model's file."""
    network = model.network
    trunk_sha256 = part_sha256(network.trunk)
    parts = [trunk_sha256]
    heads = []
    for place, record in enumerate(model.heads):
        sha256 = part_sha256(network.heads[place])
        parts.append(sha256)
        heads.append({"share": model.share_of(place), "sha256": sha256} | asdict(record))
    return {
        "format": MODEL_FORMAT,
        "head_only": head_only,
        "architecture": asdict(network.architecture),
        "preprocessing": asdict(model.preprocessing),
        "branch": network.branch,
        "weights_sha256": joint_sha256(parts),
        "trunk_sha256": trunk_sha256,
        "heads": heads,
        "card": card(model).sections(),
    }


def refuse_unwritable(model: Model) -> None:
    """Raise SettingsError if the file of this model could not be read again.

    Called before the training, not after it.
    """
    try:
        about = json.dumps(_about(model, head_only=False))
        described = decoded(json.loads(about))
        excess = cost_of(_shapes_alone(described), described.preprocessing.crop_px).excess()
    except UnreadableError as error:
        raise SettingsError(UnwritableModel(why=error.finding)) from error
    if excess:
        raise SettingsError(UnwritableModel(why=excess))


# Reading


def load_model(path: Path | str) -> Model:
    """Read a model file, or a head with its model as in "south.safetensors+north.head.safetensors".

    A file may come from anywhere: everything it says is checked before anything is built from it.

    Args:
        path: A model file, or TRUNK+HEAD.

    Returns:
        The model.

    Raises:
        ModelFileError: A file is missing, damaged, not recontour's, of another format, or beyond
            the limits of docs/decisions/029-model-limits.md; or a head is alone, or belongs to
            another model.
        FaultError: The machine cannot read it.

    Examples:
        >>> import recontour
        >>> recontour.load_model("north.safetensors").organs
        ('Brainstem', 'Lens_L')
    """
    path = Path(path)
    whole, *heads = parts_of(path)
    model = _load_whole(whole)
    for head in heads:
        model = _load_head(head, model)
    return model


def _load_whole(path: Path) -> Model:
    container = open_container(path)
    described = _described(container)
    if described.head_only:
        centres = described.heads[0].provenance.parent_centres
        raise ModelFileError(HeadWithoutTrunk(path=path, centres=centres))
    network = _network_of(container, described)
    _load_weights(container, network)
    for part, sha256, module in _parts(described, network):
        if part_sha256(module) != sha256:
            raise damaged(path, ChangedWeights(part=part))
    return _model(container, described, network)


def _load_head(path: Path, model: Model) -> Model:
    """Read a head that needs parts of a model."""
    container = open_container(path)
    described = _described(container)
    if not described.head_only:
        raise ModelFileError(NotAHead(path=path))
    network = _network_of(container, described)
    has = _parts_by_sha256(model.network, described.branch)
    for part, sha256, module in _parts(described, network):
        if module is network.own_head:
            _load_weights(container, module, prefix=OWN_HEAD)
            if part_sha256(module) != sha256:
                raise damaged(path, ChangedWeights(part=part))
        elif sha256 in has:
            _assign(path, module, has[sha256].state_dict())
        else:
            raise _other_trunk(path, described, model, part, sha256)
    return _model(container, described, network)


def _parts_by_sha256(network: Network, branch: str) -> dict[str, nn.Module]:
    """Return the trunks and heads that a network has, if its heads begin with a given stage.

    A network of the other family does not have that stage, and thus none of these parts.
    """
    if branch not in network.path:
        return {}
    parts: dict[str, nn.Module] = {}
    for head in network.heads:
        assert isinstance(head, Head)
        first, last = split(network.path_of(head), branch)
        for part in (Trunk(first), Head(last)):
            parts[part_sha256(part)] = part
    return parts


def _parts(
    described: Description, network: Network
) -> Iterator[tuple[Literal["trunk", "head"], str, nn.Module]]:
    """Yield trunk and heads with the SHA-256 that the file states."""
    yield "trunk", described.trunk_sha256, network.trunk
    for head, module in zip(described.heads, network.heads, strict=True):
        yield "head", head.sha256, module


def _described(container: Container) -> Description:
    """Return the description, once it is certain that the file is a model in our format."""
    path = container.path
    if "recontour" not in container.metadata:
        raise ModelFileError(ForeignModel(path=path))
    try:
        about = read_strict_json(container.metadata["recontour"])
        seen = about.get("format")
        if isinstance(seen, int) and 0 < seen < LARGEST_FORMAT and seen != MODEL_FORMAT:
            raise ModelFileError(
                UnsupportedModelFormat(
                    path=path,
                    seen=seen,
                    read=MODEL_FORMAT,
                )
            )
        described = decoded(about)
    except UnreadableError as error:
        raise _bad_description(path, error) from error
    parts = [described.trunk_sha256, *(head.sha256 for head in described.heads)]
    if joint_sha256(parts) != described.weights_sha256:
        raise damaged(path, ChangedWeights(part="model"))
    return described


def _network_of(container: Container, described: Description) -> Network:
    """Return the network that is described, without weights.

    Raises: ModelFileError: it is beyond the limits, or the file's tensors are not its own.
    """
    try:
        network = _shapes_alone(described)
    except UnreadableError as error:
        raise _bad_description(container.path, error) from error
    excess = cost_of(network, described.preprocessing.crop_px).excess()
    if excess:
        raise ModelFileError(replace(excess, path=container.path))
    weights = network.state_dict()
    if described.head_only:
        weights = _own_head(weights)
    _refuse_other_tensors(container, weights)
    return network


def _shapes_alone(described: Description) -> Network:
    """Return the network on torch's meta device, where nothing takes memory.

    Raises: UnreadableError: PyTorch cannot make it.
    """
    own, *asked = described.heads
    try:
        with torch.device("meta"):
            network = Network(described.architecture, len(own.organs))
            network.branch_at(described.branch)
            for head in asked:
                stages = stages_of(described.architecture, len(head.organs))
                _, last = split(stages, described.branch)
                known = places(own.organs, head.organs)
                shares = [head.share.get(organ, 0.0) for organ in own.organs]
                network.ask(Head(last), known, shares)
    except ValueError as error:  # channels that group normalisation cannot divide
        raise UnreadableError(ImpossibleNetwork(reason=str(error))) from error
    return network


def _refuse_other_tensors(container: Container, weights: Mapping[str, Tensor]) -> None:
    expected = {name: _claim_of(tensor) for name, tensor in weights.items()}
    claimed = {}
    for name, claim in container.claims.items():
        claimed[name] = (claim.dtype, claim.shape)
    for name in sorted({*expected, *claimed}):
        seen, wanted = claimed.get(name), expected.get(name)
        if seen != wanted:
            found = UnexpectedTensor(
                name=shown(name),
                seen=_in_words(seen),
                expected=_in_words(wanted),
            )
            raise damaged(container.path, found)


def _load_weights(
    container: Container,
    part: nn.Module,
    prefix: str = "",
) -> None:
    """Put a file's weights in place of shapes alone.

    prefix: what the file's names of these tensors begin with.
    """
    weights = {}
    for name, tensor in container.tensors().items():
        weights[name.removeprefix(prefix)] = tensor
    _assign(container.path, part, weights)


def _assign(
    path: Path,
    part: nn.Module,
    weights: Mapping[str, Tensor],
) -> None:
    try:
        part.load_state_dict(weights, assign=True)
    except RuntimeError as error:  # the file changed meanwhile, or describes another trunk
        raise damaged(path, UnusableTensors(reason=first_line(error))) from error


def _model(container: Container, described: Description, network: Network) -> Model:
    odd = _odd_weights(network)
    if odd:
        raise damaged(container.path, odd)
    own, *asked = map(_record, described.heads)
    return Model(
        network=network.eval(),
        organs=own.organs,
        preprocessing=described.preprocessing,
        recipe=own.recipe,
        provenance=own.provenance,
        asked=tuple(asked),
    )


def _record(head: HeadDescription) -> HeadRecord:
    return HeadRecord(head.organs, head.recipe, head.provenance)


def _bad_description(path: Path, error: UnreadableError) -> ModelFileError:
    why = error.finding
    if isinstance(why, Invalid) and why.problem == "unknown":
        return ModelFileError(NewerModel(path=path, why=why))
    return damaged(path, DamagedModelPart(part="description", why=why))


def _other_trunk(
    path: Path,
    described: Description,
    model: Model,
    part: Literal["trunk", "head"],
    sha256: str,
) -> ModelFileError:
    return ModelFileError(
        WrongTrunk(
            path=path,
            centres=described.heads[0].provenance.parent_centres,
            part=part,
            sha256=sha256,
            model=model.provenance.lineage,
        )
    )


def _claim_of(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    """Return a tensor's kind and shape as safetensors writes them."""
    return SAFETENSORS_DTYPES[tensor.dtype], tuple(tensor.shape)


def _in_words(claim: tuple[str, tuple[int, ...]] | None) -> str:
    if claim is None:
        return "none"
    dtype, shape = claim
    return f"{shown(dtype)} of shape {shown(shape)}"


def _odd_weights(network: Network) -> Finding | None:
    """Return the first number from which only nonsense can be computed, if there is one."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            return ImpossibleWeights(tensor=name, problem="not finite")
        if name.endswith("running_var") and (tensor < 0).any():
            return ImpossibleWeights(tensor=name, problem="negative variance")
    return None
