"""A model that stays ready: loaded and compiled once, for patient after patient."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Self

from recontour.contouring.engine import Engine, engine_of, uses_openvino
from recontour.contouring.predict import Answer, Draft, OrganMasks, answer_of, refuse_other_views
from recontour.geometry import Grid
from recontour.network import Model, load_model
from recontour.network.body import Voxels
from recontour.network.views import VIEWS_OF_A_SLICE


class Contourer:
    """Contours CT after CT with one model, which must not change meanwhile.

    Any number of threads may share a `Contourer`. An engine is compiled once, when the first CT
    needs it, and computes one batch at a time.

    Args:
        model: A model, as `load_model` returns it.
        views: How often the network sees each slice, 1 or 2. With 1, it runs half as often, and
            contours are less exact.

    Raises:
        SettingsError: Another number of views.

    Examples:
        >>> import recontour
        >>> contourer = recontour.Contourer.load("north.safetensors")
        >>> case = next(iter(recontour.Cohort.open("north-test")))
        >>> [organ for organ, mask in contourer.contour(case.hu, case.grid)]
        ['Brainstem', 'Lens_L']
    """

    def __init__(self, model: Model, *, views: int = VIEWS_OF_A_SLICE) -> None:
        refuse_other_views(views)
        self.model = model
        self.views = views
        self._engines: dict[bool, Engine] = {}
        self._compiling = Lock()

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a model file, or a head and its trunk; see `load_model`."""
        return cls(load_model(path))

    def contour(
        self,
        hu: Voxels,
        grid: Grid,
        organs: Sequence[str] | None = None,
    ) -> OrganMasks:
        """Contour a CT; arguments, masks and errors are those of `predict`."""
        return self.answer(hu, grid, organs).masks()

    def answer(
        self,
        hu: Voxels,
        grid: Grid,
        organs: Sequence[str] | None = None,
    ) -> Answer:
        """Return what the model says of a CT; arguments and errors are those of `predict`."""
        engine = self._engine_for(len(hu))
        return answer_of(self.model, engine, hu, grid, organs, self.views)

    def drafts(
        self,
        hu: Voxels,
        grid: Grid,
        organs: Sequence[str] | None = None,
    ) -> Iterator[Draft]:
        """Return organ by organ its mask, and how decided the network is about it.

        Arguments, masks and errors are those of `predict`.
        """
        return self.answer(hu, grid, organs).drafts()

    def _engine_for(self, slices: int) -> Engine:
        kind = uses_openvino(self.model, slices)
        with self._compiling:
            if kind not in self._engines:
                self._engines[kind] = engine_of(self.model, slices)
            return self._engines[kind]
