"""What may be wrong with a CT series, or worth knowing about it."""

from dataclasses import dataclass

from recontour.findings import Finding, FitToStore
from recontour.wording import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddingInside(Finding):
    """Pixels inside the image hold the padding value; they may be tissue.

    share: of all voxels, from 0 to 1. hu: the lowest HU that counts as padding. became_hu: the
    HU that these voxels got; None if they stay as stored.
    """

    voxels: int
    share: float
    hu: float
    became_hu: int | None

    def sentence(self) -> str:
        """Say how many voxels it is about, and what became of them."""
        became = "left as stored"
        if self.became_hu is not None:
            became = f"set to air ({self.became_hu} HU)"
        return (
            f"{plural(self.voxels, 'voxel')} inside the image ({100 * self.share:.2g} %) hold the "
            f"PixelPaddingValue ({self.hu:g} HU) and may be tissue; they are {became}"
        )

    def remedy(self) -> str:
        """Point to the attribute."""
        return "check PixelPaddingValue"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAir(Finding):
    """Nothing in the CT is as thin as air."""

    lowest_hu: float

    def sentence(self) -> str:
        """Give the lowest value."""
        return f"the lowest value is {self.lowest_hu:g} HU, so the CT shows no air"

    def remedy(self) -> str:
        """Point to the attribute."""
        return "check RescaleIntercept"


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseStretch(Finding):
    """Slices lie closer together in one stretch, though their thickness stays the same."""

    from_mm: float
    to_mm: float

    def sentence(self) -> str:
        """Say where."""
        return (
            f"slices lie closer together {stretch(self.from_mm, self.to_mm)}, but SliceThickness "
            "stays the same; they may be two acquisitions that overlap"
        )

    def remedy(self) -> str:
        """Point to the slices."""
        return "check these slices"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver(Finding):
    """Images in the folder of a CT that are no slices, such as a localiser."""

    what: FitToStore[str]
    count: int

    def sentence(self) -> str:
        """Say what they are."""
        return f"passed over: {self.count} x {self.what}"


def stretch(from_mm: float, to_mm: float) -> str:
    """Return a stretch of z in words.

    >>> stretch(1.0, 4.0), stretch(1.0, 1.0)
    ('from z = 1.0 to 4.0 mm', 'at z = 1.0 mm')
    """
    if f"{from_mm:.1f}" == f"{to_mm:.1f}":
        return f"at z = {from_mm:.1f} mm"
    return f"from z = {from_mm:.1f} to {to_mm:.1f} mm"
