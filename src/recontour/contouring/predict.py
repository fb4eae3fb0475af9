"""From a CT to one mask per organ.

Each slice is seen in two views, half a stride of the network's output apart; a pixel belongs to an
organ if the mean of the views' logits there is positive. The scores of the whole CT are kept as
coarse as the network gives them; masks are made one by one.
"""

from collections.abc import Iterator, Sequence

import torch

from recontour.contouring.engine import Engine, engine_of
from recontour.contouring.findings import NonFiniteScores, OrgansNotInModel
from recontour.contouring.finish import drop_islands
from recontour.contouring.seen import seen_of
from recontour.errors import ModelFileError, OrganError, SettingsError
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import Model
from recontour.network.preprocessing import PointMm, Voxels, body_centre_mm
from recontour.network.views import VIEWS_OF_A_SLICE, Logits, centres_mm_of, unview
from recontour.organs import organs_meant
from recontour.validation import NotAChoice

OrganMasks = Iterator[tuple[str, Mask]]


def predict(
    model: Model,
    hu: Voxels,
    grid: Grid,
    organs: Sequence[str] | None = None,
    *,
    views: int = VIEWS_OF_A_SLICE,
) -> OrganMasks:
    """Contour one CT; for several CTs, a `Contourer` compiles the model only once.

    hu: Hounsfield units, (slice, row, column). organs: some of the model's; all if None. views: of
        each slice, 1 or 2. With 1, the network runs half as often, and contours are less exact.
    Yields: organ by organ its finished mask, bool (slice, row, column). Until then an organ takes
        7 kB per slice (`compact`), however fine the CT's pixels are.
    Raises: OrganError: the model does not contour an organ. ModelFileError: its weights lead to
        infinities. SettingsError: another number of views.
    """
    refuse_other_views(views)
    return finished_masks(model, engine_of(model, len(hu)), hu, grid, organs, views)


def finished_masks(
    model: Model,
    engine: Engine,
    hu: Voxels,
    grid: Grid,
    organs: Sequence[str] | None,
    views: int,
) -> OrganMasks:
    """Contour one CT with a compiled model; otherwise as `predict`."""
    organs = chosen_organs(model, organs)
    rows = [model.organs.index(organ) for organ in organs]
    body_mm = body_centre_mm(hu, grid)
    first_KNhw = _logits(model, engine, hu, grid, body_mm, rows)
    points = first_KNhw.shape[-1]
    centres_mm = centres_mm_of(body_mm, model.preprocessing, points, views)
    logits_VKNhw = [first_KNhw]
    for centre_mm in centres_mm[1:]:
        logits_VKNhw.append(_logits(model, engine, hu, grid, centre_mm, rows))
    for place, organ in enumerate(organs):
        logits_VNhw = [logits_KNhw[place] for logits_KNhw in logits_VKNhw]
        mask = unview(logits_VNhw, grid, centres_mm, model.preprocessing)
        yield organ, drop_islands(mask, organ)


def refuse_other_views(views: int) -> None:
    """Raise SettingsError for a number of views that there is not."""
    choices = range(1, VIEWS_OF_A_SLICE + 1)
    if views not in choices:
        raise SettingsError(
            NotAChoice(
                name="views",
                choices=tuple(map(str, choices)),
                seen=str(views),
            )
        )


def chosen_organs(model: Model, organs: Sequence[str] | None) -> tuple[str, ...]:
    """Return the organs to contour, each once.

    Raises: OrganError: the model does not contour one of them.
    """
    if organs is None:
        return model.organs
    if isinstance(organs, str):
        organs = (organs,)
    unknown = tuple(organ for organ in organs if organ not in model.organs)
    if unknown:
        meant = organs_meant(unknown[0], model.organs)
        raise OrganError(OrgansNotInModel(asked=unknown, known=model.organs, meant=meant))
    return tuple(dict.fromkeys(organs))


def _logits(
    model: Model,
    engine: Engine,
    hu: Voxels,
    grid: Grid,
    centre_mm: PointMm,
    rows: Sequence[int],
) -> Logits:
    """Return each organ's score less its background's, (K, N, h, w), as coarse as the network.

    centre_mm: of the view. rows: the organs' places among the model's.
    """
    background_K = 2 * torch.tensor(rows)
    foreground_K = background_K + 1
    batches = []
    for ct_NSHW in seen_of(hu, grid, centre_mm, model.preprocessing):
        scores_N2Khw = engine(ct_NSHW)
        if not torch.isfinite(scores_N2Khw).all():
            raise ModelFileError(NonFiniteScores())
        foreground = scores_N2Khw[:, foreground_K]
        background = scores_N2Khw[:, background_K]
        batches.append(foreground - background)
    return torch.cat(batches).transpose(0, 1).numpy()
