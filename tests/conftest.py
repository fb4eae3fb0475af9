"""Cohorts and a model small enough for a test: boxes and balls in a body, on a coarse grid."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

# tests run side by side; torch reads it when it is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from tests.durable import Disk

from recontour.cohort import Cohort, case_id_of
from recontour.contouring.predict import Draft, OrganMasks
from recontour.geometry import Grid
from recontour.network import Architecture, Model, Network, Preprocessing, Provenance, UNet
from recontour.network.model import versions

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # a busy machine fails no test

TINY = Architecture(
    stem_channels=16,
    widths=(16, 16, 16, 16),
    blocks=(1, 1, 1),
    expansion=1,
    spp_channels=16,
    norm="batch",
)
TINY_UNET = UNet(stem_channels=8, widths=(8, 12, 16, 20), blocks=(1, 2, 1, 1), decoder=(16, 12, 8))
GRID = Grid((6, 48, 48), (4.0, 4.0), tuple(3.0 * i for i in range(6)), (-94.0, -94.0))


def drafting(contour: Callable[..., OrganMasks]) -> Callable[..., Iterator[Draft]]:
    """Let a `Contourer` draft what a function contours, equally decided about every organ."""

    def drafts(*arguments: object) -> Iterator[Draft]:
        for organ, mask in contour(*arguments):
            yield Draft(organ, mask, soft_dice=0.9)

    return drafts


def fill(
    cohort: Cohort, cases: int, *, without: dict[int, str] | None = None, growth_px: int = 0
) -> Cohort:
    """Add cases with a brain stem in the middle and a lens on each side.

    without: an organ to leave out, by case number.
    """
    for number in range(cases):
        rng = np.random.default_rng(number)
        zz, yy, xx = np.mgrid[:6, :48, :48]
        hu = np.where((xx - 24) ** 2 + (yy - 24) ** 2 < 20**2, 40, -1000) + rng.normal(
            0, 8, GRID.shape
        )
        row, column = rng.integers(22, 27, size=2)
        masks = {
            "Brainstem": (abs(yy - row) <= 4 + growth_px)
            & (abs(xx - column) <= 4 + growth_px)
            & (zz > 0),
            "Lens_L": ((xx - column - 10) ** 2 + (yy - row + 10) ** 2 <= (2 + growth_px) ** 2)
            & (zz > 2),
            "Lens_R": ((xx - column + 10) ** 2 + (yy - row + 10) ** 2 <= (2 + growth_px) ** 2)
            & (zz > 2),
        }
        for organ, mask in masks.items():
            hu[mask] += 150 if organ == "Brainstem" else 300
        masks.pop((without or {}).get(number, ""), None)
        case_id = case_id_of(cohort.centre, f"1.2.{number}")
        cohort.add(case_id, np.round(hu).astype(np.int16), GRID, masks, source_hash=str(number))
    return cohort


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to grow a file beyond `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="session", autouse=True)
def a_users_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the folder of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("users") / "data"))
        yield


@pytest.fixture(autouse=True)
def a_processor_without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training times its precision, and all compute alike on any machine."""
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)


@pytest.fixture(autouse=True)
def a_quick_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare a trained model with one patient of its centre; test_comparing.py takes more."""
    monkeypatch.setattr("recontour.assess.case_offsets.MOST_PATIENTS", 1)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """What a power cut would take."""
    return Disk(monkeypatch)


@pytest.fixture(scope="session")
def north(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Three cases; the lens on the left of one is unknown."""
    return fill(
        Cohort.open_or_create(tmp_path_factory.mktemp("cohorts") / "north", "north"),
        3,
        without={1: "Lens_L"},
    )


@pytest.fixture(scope="session")
def south(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Two cases of a centre that draws everything a pixel larger."""
    return fill(
        Cohort.open_or_create(tmp_path_factory.mktemp("cohorts") / "south", "south"), 2, growth_px=1
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data are not here: {folder}")
    return folder


@pytest.fixture
def neighbourly(model: Model) -> Model:
    """The same, but it sees each slice with three others."""
    torch.manual_seed(1)
    architecture = replace(TINY, slices=4)
    return replace(
        model,
        network=Network(architecture, 2),
        preprocessing=replace(model.preprocessing, neighbours_mm=(4.0, -4.0, 9.0)),
    )


@pytest.fixture
def model() -> Model:
    """Two organs, untrained."""
    torch.manual_seed(1)
    organs = ("Brainstem", "Lens_L")
    return Model(
        network=Network(TINY, 2),
        organs=organs,
        preprocessing=Preprocessing(2.0, 33, (-200.0, 400.0)),
        recipe={"iterations": 3, "optimiser": "sgd"},
        provenance=Provenance(
            "compact", "north", 5, {"Brainstem": 5, "Lens_L": 4}, 0, "2026-11-24", versions()
        ),
    )


@pytest.fixture
def unet_model(model: Model) -> Model:
    """The same with a U-Net."""
    torch.manual_seed(1)
    return replace(model, network=Network(TINY_UNET, 2))
