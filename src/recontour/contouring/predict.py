"""From a CT to one mask per organ.

Each slice is seen in two views, half a stride of the network's output apart; a pixel belongs to an
organ if the mean of the views' logits there is positive. The scores of the whole CT are kept as
coarse as the network gives them; masks are made one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from recontour.contouring.engine import Engine, engine_of
from recontour.contouring.findings import NonFiniteScores, OrgansNotInModel
from recontour.contouring.finish import drop_islands
from recontour.contouring.seen import seen_of
from recontour.errors import ModelFileError, OrganError, SettingsError
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network import Model
from recontour.network.body import PointMm, Voxels, body_centre_mm
from recontour.network.preprocessing import Preprocessing
from recontour.network.views import VIEWS_OF_A_SLICE, Logits, centres_mm_of, unview, unview_softly
from recontour.organs import organs_meant
from recontour.validation import NotAChoice

OrganMasks = Iterator[tuple[str, Mask]]


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """One organ on a CT.

    mask: bool (slice, row, column). soft_dice: how decided the network is about it, 0 to 1
    (`unview_softly`).
    """

    organ: str
    mask: Mask
    soft_dice: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model says of a CT before it is decided: logits, as coarse as the network gives them.

    organs: those that were asked for. centres_mm: of each view. logits_VKNhw: of each view each
    organ's score less its background's, (K, N, h, w).
    """

    organs: tuple[str, ...]
    grid: Grid
    preprocessing: Preprocessing
    centres_mm: Sequence[PointMm]
    logits_VKNhw: Sequence[Logits]

    def mask(self, organ: str) -> Mask:
        """Return an organ's finished mask, bool (slice, row, column)."""
        mask = unview(self._logits(organ), self.grid, self.centres_mm, self.preprocessing)
        return drop_islands(mask, organ)

    def drafts(self) -> Iterator[Draft]:
        """Yield each organ's finished mask, and how decided the network is about it."""
        for organ in self.organs:
            mask, soft_dice = unview_softly(
                self._logits(organ), self.grid, self.centres_mm, self.preprocessing
            )
            yield Draft(organ, drop_islands(mask, organ), soft_dice)

    def masks(self) -> OrganMasks:
        """Yield organ by organ its finished mask."""
        for organ in self.organs:
            yield organ, self.mask(organ)

    def _logits(self, organ: str) -> list[Logits]:
        """Return an organ's logits of each view, (N, h, w)."""
        place = self.organs.index(organ)
        return [logits_KNhw[place] for logits_KNhw in self.logits_VKNhw]

    def mixed(self, other: "Answer", shares: Mapping[str, float]) -> "Answer":
        """Return what a network would say that asks another one's head, too.

        other: about the same CT, by a network that sees it in the same way. shares: the other's
            part of an organ's logits, 0 to 1; an organ that it was not asked for has none.
        """
        mixed_VKNhw = []
        for own_KNhw, other_KNhw in zip(self.logits_VKNhw, other.logits_VKNhw, strict=True):
            mixed_KNhw = own_KNhw.copy()
            for place, organ in enumerate(self.organs):
                if organ in other.organs:
                    share = shares[organ]
                    mixed_KNhw[place] *= 1 - share
                    mixed_KNhw[place] += share * other_KNhw[other.organs.index(organ)]
            mixed_VKNhw.append(mixed_KNhw)
        return replace(self, logits_VKNhw=mixed_VKNhw)


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
    engine = engine_of(model, len(hu))
    return answer_of(model, engine, hu, grid, organs, views).masks()


def answer_of(
    model: Model,
    engine: Engine,
    hu: Voxels,
    grid: Grid,
    organs: Sequence[str] | None,
    views: int,
) -> Answer:
    """Return what a compiled model says of a CT; arguments and errors are those of `predict`."""
    organs = chosen_organs(model, organs)
    rows = [model.organs.index(organ) for organ in organs]
    body_mm = body_centre_mm(hu, grid)
    first_KNhw = _logits(model, engine, hu, grid, body_mm, rows)
    points = first_KNhw.shape[-1]
    centres_mm = centres_mm_of(body_mm, model.preprocessing, points, views)
    logits_VKNhw = [first_KNhw]
    for centre_mm in centres_mm[1:]:
        logits_VKNhw.append(_logits(model, engine, hu, grid, centre_mm, rows))
    return Answer(organs, grid, model.preprocessing, centres_mm, logits_VKNhw)


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
