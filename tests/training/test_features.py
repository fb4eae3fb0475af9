"""A frozen trunk's features are the same bits, cached or not, and computed once if cached."""

import io
import logging
import mmap
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import TINY_UNET
from tests.training.test_run import ORGANS, RECIPE, TINY, network, steps

from recontour.cohort import Cohort
from recontour.errors import FaultError
from recontour.findings import words
from recontour.network import Network, Preprocessing
from recontour.network.model import sha256_of
from recontour.training import features
from recontour.training.batches import Batches
from recontour.training.features import (
    FeatureBatches,
    FeatureStore,
    Window,
    begin_of,
    features_of,
    for_learning,
    share_seen,
)
from recontour.training.findings import (
    CachingFeatures,
    FeaturesNotShared,
    NoRoomForFeatures,
)
from recontour.training.loop import Step, set_training_mode
from recontour.transfer.depth import freeze_all_but_last

VIEWS = replace(RECIPE, views=2, iterations=8, window=(2, 3), whole_iterations=4)  # of 5 x 5 cells
PREPROCESSING = Preprocessing(4.0, 33, (-200.0, 400.0))


def frozen(layers: int = 10) -> Network:
    net = network()
    freeze_all_but_last(net, layers)
    return net


def batches_of(cohort: Cohort, views: int = 2) -> Batches:
    return Batches(list(cohort), ORGANS, PREPROCESSING, replace(VIEWS, views=views), seed=0)


def cached(net: Network, cohort: Cohort, folder: Path) -> FeatureBatches:
    lessons = for_learning(net, batches_of(cohort), folder / "features.bin")
    assert isinstance(lessons, FeatureBatches)
    assert lessons.store
    set_training_mode(net)
    return lessons


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every slice that goes through a trunk from now on."""
    seen: list[int] = []

    def counted(net: Network, ct_SHW: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        return features_of(net, ct_SHW)

    monkeypatch.setattr(features, "features_of", counted)
    return seen


def losses(net: Network, cohort: Cohort, folder: Path) -> list[float]:
    return [step.loss for step in steps(net, cohort, folder, VIEWS)]


def test_what_is_kept_changes_no_bit(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unseen: list[int]
) -> None:
    kept, fresh = frozen(), frozen()
    with_store = losses(kept, north, tmp_path / "kept")
    made = len(unseen)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    without = losses(fresh, north, tmp_path / "fresh")
    assert with_store == without
    assert sha256_of(kept) == sha256_of(fresh)
    assert not (tmp_path / "fresh" / "features.bin").exists()
    # Without a cache, every slice goes through the trunk every time.
    assert made < len(unseen) - made == VIEWS.iterations * VIEWS.batch


def test_a_broken_run_ends_in_the_bits_of_an_unbroken_one_whatever_was_kept(
    north: Cohort, tmp_path: Path
) -> None:
    unbroken, broken, again = frozen(), frozen(), frozen()
    list(steps(unbroken, north, tmp_path / "a", VIEWS))
    started = steps(broken, north, tmp_path / "b", VIEWS)
    for _ in range(4):
        next(started)
    started.close()  # type: ignore[attr-defined]  # a generator
    assert not (tmp_path / "b" / "features.bin").exists()
    # A kill leaves this file, and every record claims to be whole.
    (tmp_path / "b" / "features.bin").write_bytes(b"\x01" * 10**6)
    *_, last = steps(again, north, tmp_path / "b", VIEWS, resume=True)
    assert last.iteration == 8
    assert sha256_of(again) == sha256_of(unbroken)


def test_what_was_made_is_not_made_again(north: Cohort, tmp_path: Path, unseen: list[int]) -> None:
    net = frozen()
    lessons = cached(net, north, tmp_path)
    drawn = [
        one
        for iteration in range(VIEWS.iterations)
        for one in lessons.batches.slice_views(iteration)
    ]
    assert len(set(drawn)) < len(drawn)
    for _ in range(2):
        for iteration in range(VIEWS.iterations):
            lessons.given(net, lessons[iteration])
        in_one_batch = len(unseen) - len(set(drawn))  # drawn twice at once
        assert 0 <= in_one_batch < len(drawn) - len(set(drawn))


def test_a_stored_batch_is_what_was_stored_in_another_process_too(
    north: Cohort, tmp_path: Path
) -> None:
    net = frozen()
    lessons = cached(net, north, tmp_path)
    plain = lessons.batches[5]
    first = lessons[5]
    made = lessons.given(net, first)
    second = pickle.loads(pickle.dumps(lessons))[5]
    assert len(first.unseen_M) == 2
    assert len(second.unseen_M) == 0
    assert torch.equal(lessons.given(net, second), made)
    for batch in (first, second):
        assert torch.equal(batch.organs_NKHW, plain.organs_NKHW)
        assert torch.equal(batch.known_NK, plain.known_NK)
    assert torch.equal(first.ct_MSHW, plain.ct_NSHW)


def test_the_head_on_stored_features_says_what_the_network_says(
    north: Cohort, tmp_path: Path
) -> None:
    net = frozen()
    lessons = cached(net, north, tmp_path)
    net.eval()
    with torch.no_grad():
        by_features = lessons.logits(net, lessons.given(net, lessons[7]))
        whole = net(lessons.batches[7].ct_NSHW)
    # float16 has 11 bits.
    assert torch.allclose(by_features, whole, atol=2e-3 * float(whole.abs().max()))
    assert not torch.equal(by_features, whole)


def test_features_of_slices_with_neighbours_are_cached_too(north: Cohort, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Network(replace(TINY, slices=3), len(ORGANS))
    freeze_all_but_last(net, 10)
    together = replace(PREPROCESSING, neighbours_mm=(4.0, -4.0))
    batches = Batches(list(north), ORGANS, together, VIEWS, seed=0)
    lessons = for_learning(net, batches, tmp_path / "features.bin")
    assert isinstance(lessons, FeatureBatches)
    set_training_mode(net)
    first = lessons[5]
    made = lessons.given(net, first)
    again = lessons[5]
    assert torch.equal(first.ct_MSHW, batches[5].ct_NSHW)
    assert again.ct_MSHW.shape == (0, 3, 33, 33)
    assert torch.equal(lessons.given(net, again), made)


@pytest.mark.parametrize(("views", "layers"), [(0, 10), (2, 11)])
def test_without_fixed_views_or_a_frozen_trunk_there_is_nothing_to_keep(
    north: Cohort, tmp_path: Path, views: int, layers: int
) -> None:
    batches = batches_of(north, views)
    lessons = for_learning(frozen(layers), batches, tmp_path / "features.bin")
    assert isinstance(lessons, Batches)
    assert (lessons.recipe.views, batches.recipe.views) == (0, views)  # none comes back
    assert not list(tmp_path.iterdir())


def test_whether_features_are_cached_is_reported_with_numbers(
    north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(FeatureStore, "record_bytes", 10**8)
    monkeypatch.setattr(FeatureStore, "create", lambda _: None)
    most, enough, too_little = 1_600_000_000, 3_300_000_000, 3_100_000_000
    for free in (enough, too_little):  # of 36 views, 16 are drawn at most
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        for_learning(frozen(), batches_of(north), tmp_path / "features.bin")
    for_learning(frozen(), batches_of(north), None)
    second = batches_of(north)
    second.rank = 1
    for_learning(frozen(), second, None)
    cached, no_room, together = (record.finding for record in caplog.records)  # type: ignore[attr-defined]
    assert cached == CachingFeatures(path=tmp_path, most_bytes=most, free_bytes=enough)
    assert no_room == NoRoomForFeatures(path=tmp_path, most_bytes=most, free_bytes=too_little)
    assert together == FeaturesNotShared()
    assert "caching up to 1.6 GB" in words(cached)
    assert str(tmp_path) not in caplog.text


def test_a_disk_that_fills_up_is_a_fault(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = frozen()
    lessons = cached(net, north, tmp_path)
    batch = lessons[0]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(FaultError, match="No space left"):
        lessons.given(net, batch)


def test_a_record_counts_once_it_is_whole(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", slots=3, features_hwC=(2, 2, 16), organs_KHW=(2, 9, 9))
    store.create()
    organs = torch.rand(2, 9, 9) < 0.5
    values = torch.randn(2, 2, 16).half()
    assert store.read(1) is None
    store.write(1, values, organs)
    assert (store.read(0), store.read(2)) == (None, None)
    stored = store.read(1)
    assert stored
    assert torch.equal(stored[0], values)
    assert torch.equal(stored[1], organs)
    assert store.path.stat().st_size == 3 * store.record_bytes


def test_records_are_kept_on_a_share_whose_files_cannot_be_mapped(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = mmap.mmap

    def no_maps(descriptor: int, *words: Any, **more: Any) -> mmap.mmap:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "features.bin":
            raise OSError(19, "No such device")
        return mapped(descriptor, *words, **more)

    monkeypatch.setattr(mmap, "mmap", no_maps)
    assert len(losses(frozen(), north, tmp_path)) == VIEWS.iterations


def test_a_record_is_written_to_its_end_in_however_many_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reluctant(io.FileIO):
        """A file that takes only a part of what it is given, as on a disk with little space."""

        def write(self, content: Any) -> int:
            return super().write(bytes(content)[: max(1, len(content) // 2)])

    def opened(path: Path, mode: str, buffering: int = -1) -> Any:
        raw = Reluctant(path, mode)
        return io.BufferedRandom(raw) if buffering else raw

    store = FeatureStore(tmp_path / "store", slots=1, features_hwC=(2, 2, 16), organs_KHW=(2, 9, 9))
    store.create()
    values, organs = torch.randn(2, 2, 16).half(), torch.ones(2, 9, 9, dtype=torch.bool)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        store.write(0, values, organs)
    stored = store.read(0)
    assert stored
    assert torch.equal(stored[0], values)
    assert torch.equal(stored[1], organs)


def test_steps_say_how_long_features_took(north: Cohort, tmp_path: Path) -> None:
    done: list[Step] = list(steps(frozen(), north, tmp_path, VIEWS))
    assert all(0 <= step.features < step.seconds for step in done)
    assert sum(step.features for step in done) > 0


def test_a_window_is_a_part_of_the_whole_in_the_first_iterations_alone(
    north: Cohort, tmp_path: Path
) -> None:
    net = frozen()
    lessons, everything = cached(net, north, tmp_path), batches_of(north)
    everything.recipe = replace(VIEWS, window=(0, 0))
    whole_lessons = FeatureBatches(everything, (5, 5, TINY.feature_channels), None)
    places = [Window(row, column, 2, 3) for row in range(4) for column in range(3)]
    for iteration in range(VIEWS.iterations):
        part, whole = lessons[iteration], whole_lessons[iteration]
        part_NChw, whole_NChw = lessons.given(net, part), whole_lessons.given(net, whole)
        assert torch.equal(part.known_NK, whole.known_NK)
        if iteration >= 4:
            assert torch.equal(part_NChw, whole_NChw)
            continue
        for n in range(VIEWS.batch):
            found = [
                at
                for at in places
                if torch.equal(at.of(whole.features_NhwC[n]), part.features_NhwC[n])
            ]
            (window,) = found
            assert torch.equal(window.shows(whole.organs_NKHW[n]), part.organs_NKHW[n])
        assert lessons.logits(net, part_NChw).shape[2:] == part.organs_NKHW.shape[2:] == (9, 17)


@pytest.mark.parametrize(
    ("pixels", "places"),
    [
        ((), {0, 1, 2, 3}),
        ((20, 24), {1, 2}),  # cells 2 and 3
        ((25, 30), {2, 3}),  # cells 3 and 4, the last one
        ((0, 1), {0}),
        ((2, 39), {0, 1, 2, 3}),  # more than a window holds: any part of it
        ((0, 24), {0, 1}),
    ],
)
def test_a_window_covers_what_is_shown_or_as_much_as_it_holds(
    pixels: tuple[int, ...], places: set[int]
) -> None:
    shown = torch.zeros(41, dtype=torch.bool)
    shown[list(pixels)] = True
    rng = np.random.default_rng(0)
    assert {begin_of(3, 6, shown, rng) for _ in range(200)} == places


def test_how_much_of_the_features_steps_see() -> None:
    assert share_seen(VIEWS, 5) == pytest.approx(0.5 + 0.5 * 6 / 25)
    assert (
        share_seen(replace(VIEWS, window=(0, 0)), 5)
        == share_seen(replace(VIEWS, whole_iterations=9), 5)
        == 1
    )


def test_of_a_u_net_no_features_are_cached(north: Cohort, tmp_path: Path) -> None:
    net = network(architecture=TINY_UNET)
    freeze_all_but_last(net, 1)
    lessons = for_learning(net, batches_of(north), tmp_path / "features.bin")
    assert isinstance(lessons, Batches)
    assert lessons.recipe.views == 0  # each view is new
    assert list(tmp_path.iterdir()) == []
