"""CT -> one mask an organ.

Scores of the whole CT are kept as the network gives them, coarse; masks one at a time.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from recontour.contouring.engine import engine_of
from recontour.contouring.finish import drop_islands
from recontour.errors import ModelFileError, OrganError
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import Model
from recontour.network.preprocessing import body_centre_mm, unview, view

SLICES_AT_ONCE = 8


def predict(
    model: Model, hu: npt.NDArray[np.generic], grid: Grid, organs: Sequence[str] | None = None
) -> Iterator[tuple[str, Mask]]:
    """Contour a CT.

    hu: Hounsfield units, (slice, row, column). organs: which of the model's; all if None.
    Yields: organ by organ its finished mask, bool (slice, row, column). Until then an organ takes 3
        kB a slice (`compact`), whatever the CT's pixels.
    Raises: OrganError: the model does not know an organ. ModelFileError: its weights lead to no
        numbers.
    """
    organs = chosen_organs(model, organs)
    centre = body_centre_mm(hu, grid)
    logits_KNhw = _logits(model, hu, grid, centre, [model.organs.index(organ) for organ in organs])
    for organ, logits_Nhw in zip(organs, logits_KNhw, strict=True):
        yield organ, drop_islands(unview(logits_Nhw, grid, centre, model.preprocessing), organ)


def chosen_organs(model: Model, organs: Sequence[str] | None) -> tuple[str, ...]:
    """The organs to contour, checked against the model's."""
    if organs is None:
        return model.organs
    if unknown := [organ for organ in organs if organ not in model.organs]:
        raise OrganError(
            f"the model does not know {', '.join(unknown)}; it knows {', '.join(model.organs)}"
        )
    return tuple(dict.fromkeys(organs))


def _logits(
    model: Model,
    hu: npt.NDArray[np.generic],
    grid: Grid,
    centre_mm: tuple[float, float],
    rows: Sequence[int],
) -> npt.NDArray[np.float32]:
    """How much each organ beats its background, (K, N, h, w): as coarse as the network's scores.

    rows: the organs' places among the model's.
    """
    scores = engine_of(model, len(hu))
    batches = []
    for first in range(0, len(hu), SLICES_AT_ONCE):
        planes_NHW = torch.from_numpy(
            np.asarray(hu[first : first + SLICES_AT_ONCE], dtype=np.float32)
        )
        seen_NHW = view(planes_NHW, grid, centre_mm, model.preprocessing)
        scores_N2Khw = scores(model.preprocessing.windowed(seen_NHW)[:, None])
        if not torch.isfinite(scores_N2Khw).all():
            raise ModelFileError(
                "the model's scores for this CT are not finite numbers, although each of its weights is; "
                "ask for the model again, or train it with another --seed"
            )
        organs = torch.tensor(rows)
        batches.append(scores_N2Khw[:, 2 * organs + 1] - scores_N2Khw[:, 2 * organs])
    return torch.cat(batches).transpose(0, 1).numpy()
