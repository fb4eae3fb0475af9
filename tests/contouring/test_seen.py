"""A slice's neighbours reach the network as its view shows them, each resampled once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from recontour.contouring import engine, seen
from recontour.contouring.engine import SLICES_THAT_PAY
from recontour.contouring.predict import predict
from recontour.contouring.seen import seen_of
from recontour.geometry import Grid
from recontour.network import Model, Network, Preprocessing
from recontour.network.body import body_centre_mm
from recontour.network.cost import SLICES_AT_ONCE
from recontour.network.preprocessing import view

PLAIN = Preprocessing(2.0, 33, (-200.0, 400.0))
NEIGHBOURS_MM = (4.0, -4.0, 12.0, -12.0)
Scans = Callable[[int], tuple[np.ndarray, Grid]]


def scan(*z_mm: float) -> tuple[np.ndarray, Grid]:
    """A body with noise."""
    rng = np.random.default_rng(0)
    hu = rng.normal(40, 100, (len(z_mm), 48, 48)).astype(np.int16)
    return hu, Grid(hu.shape, (2.0, 2.0), z_mm, (-47.0, -47.0))


def even(slices: int) -> tuple[np.ndarray, Grid]:
    return scan(*(3.0 * index for index in range(slices)))


def uneven(slices: int) -> tuple[np.ndarray, Grid]:
    """2.5 mm apart in the middle, 5 mm elsewhere."""
    steps = [2.5 if slices // 3 < index < slices // 2 else 5.0 for index in range(slices - 1)]
    return scan(-100.0, *(-100.0 + np.cumsum(steps)).tolist())


@pytest.mark.parametrize("neighbours_mm", [(), (4.0,), NEIGHBOURS_MM, (50.0, -100.0)])
@pytest.mark.parametrize("ct", [even, uneven])
@pytest.mark.parametrize("slices", [1, 8, 21])
def test_every_slice_comes_with_its_neighbours(
    neighbours_mm: tuple[float, ...], ct: Scans, slices: int
) -> None:
    hu, grid = ct(slices)
    preprocessing = replace(PLAIN, neighbours_mm=neighbours_mm)
    centre_mm = body_centre_mm(hu, grid)
    planes_NHW = torch.from_numpy(hu.astype(np.float32))
    whole_NHW = PLAIN.windowed(view(planes_NHW, grid, centre_mm, PLAIN))
    found_NSHW = torch.cat(list(seen_of(hu, grid, centre_mm, preprocessing)))
    assert found_NSHW.shape == (slices, 1 + len(neighbours_mm), 33, 33)
    for plane, found_SHW in enumerate(found_NSHW):
        expected_SHW = whole_NHW[list(preprocessing.planes_seen(grid, plane))]
        assert torch.equal(found_SHW, expected_SHW)


@pytest.mark.parametrize("neighbours_mm", [(), NEIGHBOURS_MM, (50.0, 60.0)])
def test_no_slice_is_resampled_twice_nor_more_than_a_few_at_once(
    monkeypatch: pytest.MonkeyPatch, neighbours_mm: tuple[float, ...]
) -> None:
    resampled = []

    def counting(planes_CHW: torch.Tensor, *given: object) -> torch.Tensor:
        resampled.append(len(planes_CHW))
        return view(planes_CHW, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(seen, "view", counting)
    hu, grid = even(60)
    list(seen_of(hu, grid, (0.0, 0.0), replace(PLAIN, neighbours_mm=neighbours_mm)))
    assert sum(resampled) == 60
    assert max(resampled) <= SLICES_AT_ONCE


@pytest.mark.parametrize("ct", [even, uneven])
def test_both_engines_contour_the_same_with_neighbours(
    neighbourly: Model, monkeypatch: pytest.MonkeyPatch, ct: Scans
) -> None:
    hu, grid = ct(SLICES_THAT_PAY)
    by_openvino = dict(predict(neighbourly, hu, grid))
    monkeypatch.setattr(engine, "has_openvino", lambda: False)
    by_pytorch = dict(predict(neighbourly, hu, grid))
    for organ, mask in by_pytorch.items():
        assert 0 < np.count_nonzero(mask) < mask.size
        # rounding may decide where a logit is nearly 0
        assert np.count_nonzero(mask != by_openvino[organ]) <= 1e-4 * mask.size


class Above(Network):
    """Stands in for a trained network: each organ is where the first neighbour is bright."""

    def scores(self, ct_NSHW: torch.Tensor) -> torch.Tensor:
        neighbour_N1HW = ct_NSHW[:, 1:2]
        return torch.cat([0 * neighbour_N1HW, neighbour_N1HW] * 2, dim=1)


def test_positive_is_towards_the_head(neighbourly: Model) -> None:
    hu = np.zeros((9, 60, 60), dtype=np.int16)
    hu[3:6, 20:40, 20:40] = 300
    grid = Grid(hu.shape, (1.0, 1.0), tuple(4.0 * index for index in range(9)), (-30.0, -30.0))
    model = replace(
        neighbourly,
        network=Above(neighbourly.network.architecture, 2),
        preprocessing=replace(neighbourly.preprocessing, pixel_mm=1.0, crop_px=65),
    )
    shown_by_their_neighbour = dict(predict(model, hu, grid))["Brainstem"].any(axis=(1, 2))
    assert np.flatnonzero(shown_by_their_neighbour).tolist() == [2, 3, 4]
