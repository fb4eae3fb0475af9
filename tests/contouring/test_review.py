"""The order in which to look at contours."""

import numpy as np

from recontour.contouring.contourer import Contourer
from recontour.contouring.findings import ContourInParts, OrganNotFound
from recontour.contouring.review import ToReview, review_order
from recontour.geometry import Grid
from recontour.network import Model


def test_gross_failures_come_first_those_not_found_at_the_top() -> None:
    torn = ContourInParts(organ="Parotid_L", parts=2, between=1)
    organs = ["Brainstem", "Larynx", "Parotid_L", "Esophagus"]
    decided = {"Brainstem": 0.7, "Larynx": 0.6, "Parotid_L": 0.99}
    order = review_order(organs, decided, {"Parotid_L": [torn]})
    assert order == (
        ToReview("Esophagus", (OrganNotFound(organ="Esophagus"),), None),
        ToReview("Parotid_L", (torn,), 0.99),
        ToReview("Larynx", (), 0.6),
        ToReview("Brainstem", (), 0.7),
    )


def test_equals_keep_the_order_of_the_output() -> None:
    order = review_order(["b", "a"], {"a": 0.5, "b": 0.5}, {})
    assert [one.organ for one in order] == ["b", "a"]


def test_drafts_are_the_contours_bit_for_bit(model: Model) -> None:
    grid = Grid((4, 48, 48), (4.0, 4.0), (0.0, 3.0, 6.0, 9.0), (-94.0, -94.0))
    hu = np.random.default_rng(0).normal(40, 300, grid.shape).astype(np.float32)
    ready = Contourer(model)
    plain = dict(ready.contour(hu, grid))
    drafts = list(ready.drafts(hu, grid))
    assert [one.organ for one in drafts] == list(plain)
    for one in drafts:
        assert one.mask.tobytes() == plain[one.organ].tobytes()
        assert 0 <= one.soft_dice <= 1


def test_what_is_said_of_some_organs_is_the_same_alone(model: Model) -> None:
    grid = Grid((4, 48, 48), (4.0, 4.0), (0.0, 3.0, 6.0, 9.0), (-94.0, -94.0))
    hu = np.random.default_rng(1).normal(40, 300, grid.shape).astype(np.float32)
    ready = Contourer(model)
    every = {one.organ: one.soft_dice for one in ready.drafts(hu, grid)}
    (alone,) = ready.drafts(hu, grid, ["Lens_L"])
    assert alone.soft_dice == every["Lens_L"]
