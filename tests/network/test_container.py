import errno
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from recontour.errors import FaultError, ModelFileError
from recontour.network.container import MOST_MODEL_BYTES, open_container
from recontour.network.findings import DamagedModel, NotModelFile
from recontour.network.paths import unreadable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tensors = {"a": torch.arange(4.0), "b": torch.tensor(7)}
    (tmp_path / "m").write_bytes(safetensors.torch.save(tensors, metadata={"x": "y"}))
    return tmp_path / "m"


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def write(path: Path, header: str, rest: bytes, length: int | None = None) -> None:
    raw = header.encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + rest)


def test_a_sound_file_is_read(path: Path) -> None:
    container = open_container(path)
    assert container.metadata == {"x": "y"}
    claims = {name: (claim.dtype, claim.shape) for name, claim in container.claims.items()}
    assert claims == {"a": ("F32", (4,)), "b": ("I64", ())}
    tensors = container.tensors()
    assert torch.equal(tensors["a"], torch.arange(4.0))
    assert torch.equal(tensors["b"], torch.tensor(7))


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_exabytes_is_not_read(path: Path, length: int) -> None:
    header, rest = parts(path)
    write(path, json.dumps(header), rest, length)
    with pytest.raises(ModelFileError, match="the model file is damaged"):
        open_container(path)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ('{"a": ' + "[" * 100_000, "nested too deep"),
        ('{"a": 5}', "header: "),
        ('{"__metadata__": 5}', "header: "),
        ('{"__metadata__": {"recontour": 5}}', "header: "),
        (
            '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
            "greater than or equal to 0",
        ),
        ('{"a": {"dtype": "F32", "shape": [1e30], "data_offsets": [0, 4]}}', "header: "),
        (
            '{"a": {"dtype": "F32", "shape": [99999999999999999999], "data_offsets": [0, 4]}}',
            "header: ",
        ),
        ('{"__metadata__": {}, "__metadata__": {}}', "one key occurs twice"),
        (
            '{"a": {"dtype": "F32", "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
            "one key occurs twice",
        ),
        ('{"\\ud800": 1}', "header: "),
        ("{", "not JSON"),
    ],
)
def test_a_header_that_is_none_is_damaged(path: Path, header: str, says: str) -> None:
    write(path, header, b"\0" * 16)
    with pytest.raises(ModelFileError, match=says):
        open_container(path)


@pytest.mark.parametrize("offsets", [[0, 8], [4, 20], [0, 2**62], [16, 0], [0, 0]])
def test_offsets_that_overlap_or_leave_gaps_are_damaged(path: Path, offsets: list[int]) -> None:
    header, rest = parts(path)
    header["a"]["data_offsets"] = offsets
    write(path, json.dumps(header), rest)
    with pytest.raises(ModelFileError, match="the model file is damaged"):
        open_container(path).tensors()


def test_a_file_larger_than_any_model_is_not_read(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(MOST_MODEL_BYTES + 1)  # sparse: it takes no disk
    with pytest.raises(ModelFileError, match=r"its file has .+ bytes"):
        open_container(path)


def test_a_header_of_countless_tensors_is_damaged(path: Path) -> None:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    write(path, json.dumps({f"x{number}": empty for number in range(20_001)}), b"")
    with pytest.raises(ModelFileError, match="its list of tensors has 20,001 tensors"):
        open_container(path)


def test_a_fault_of_the_machine_is_not_the_file_s(path: Path) -> None:
    assert isinstance(unreadable(path, OSError(errno.EMFILE, "Too many open files")), FaultError)
    assert isinstance(unreadable(path, OSError(errno.EIO, "Input/output error")), FaultError)
    assert isinstance(unreadable(path, OSError(errno.EACCES, "Permission denied")), ModelFileError)


@pytest.mark.parametrize(
    "content",
    [
        b'[names]\n"Brain Stem" = "Brainstem"\n',
        bytes(128) + b"DICM",
        b"PK\x03\x04 and so on",
        struct.pack("<Q", 2) + b"[]",
    ],
)
def test_a_file_of_another_kind_is_not_called_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as error:
        open_container(path)
    assert error.value.finding == NotModelFile(path=path)


@pytest.mark.parametrize("size", [0, 7, 8, 9, 20])
def test_a_model_that_is_cut_off_is_damaged(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelFileError) as error:
        open_container(path)
    assert isinstance(error.value.finding, DamagedModel)
