from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recontour.contouring import contourer, engine
from recontour.contouring.contourer import Contourer
from recontour.contouring.predict import predict
from recontour.geometry import Grid
from recontour.network import Model, save_model

MANY = 30


def scan(slices: int, seed: int) -> tuple[np.ndarray, Grid]:
    """A body with noise."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 100, (slices, 48, 48)).astype(np.int16)
    z_mm = tuple(3.0 * index for index in range(slices))
    return hu, Grid(hu.shape, (2.0, 2.0), z_mm, (-47.0, -47.0))


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    """Whether both have the same masks."""
    return all(np.array_equal(found[organ], expected[organ]) for organ in expected)


@pytest.mark.parametrize("slices", [3, MANY])
def test_a_contourer_finds_what_predict_finds(model: Model, slices: int, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    hu, grid = scan(slices, 0)
    expected = dict(predict(model, hu, grid))
    ready = Contourer.load(tmp_path / "m")
    assert expected["Brainstem"].any()
    assert same(dict(ready.contour(hu, grid)), expected)
    assert list(dict(ready.contour(hu, grid, ["Lens_L"]))) == ["Lens_L"]


def test_a_contourer_may_see_one_view(model: Model) -> None:
    hu, grid = scan(3, 0)
    once = dict(Contourer(model, views=1).contour(hu, grid))
    assert same(once, dict(predict(model, hu, grid, views=1)))
    assert not same(once, dict(predict(model, hu, grid)))


def test_each_engine_is_compiled_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def counting(model: Model, slices: int) -> engine.Engine:
        compiled.append(slices)
        return engine.engine_of(model, slices)

    monkeypatch.setattr(contourer, "engine_of", counting)
    ready = Contourer(model)
    for slices in (3, 5, MANY, MANY + 1, 4):
        list(ready.contour(*scan(slices, slices)))
    assert compiled == [3, MANY]


def test_threads_share_a_contourer(model: Model) -> None:
    model = replace(model, preprocessing=replace(model.preprocessing, crop_px=65))
    scans = [scan(MANY if number % 2 else 9, number) for number in range(8)]
    expected = [dict(predict(model, hu, grid)) for hu, grid in scans]
    ready = Contourer(model)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda given: dict(ready.contour(*given)), scans))
    assert all(map(same, found, expected))
