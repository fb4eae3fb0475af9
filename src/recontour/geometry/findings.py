"""What may be wrong with a grid, or with contours and masks on it."""

from typing import Literal

from recontour.findings import Finding, finding


@finding
class ContradictoryGrid(Finding):
    """The fields of a grid contradict each other.

    why: which rule they break. shape: (slices, rows, columns). positions: how many z positions.
    """

    why: Literal["shape", "positions", "numbers", "order"]
    shape: tuple[int, ...]
    positions: int

    def sentence(self) -> str:
        match self.why:
            case "shape":
                return f"a grid is (slices, rows, columns), each at least 1; got {self.shape}"
            case "positions":
                slices = self.shape[0]
                return f"{slices} slices need as many z positions; got {self.positions}"
            case "numbers":
                return "the spacing, origin and z positions must be finite, and the spacing > 0"
            case "order":
                return "the z positions of the slices must ascend"


@finding
class WrongShape(Finding):
    """A CT, a mask or another array does not have the shape that its grid, or case.json, says."""

    what: Literal["CT", "mask", "reference mask", "predicted mask", "array"]
    shape: tuple[int, ...]
    expected: tuple[int, ...]
    said_by: Literal["grid", "case.json"] = "grid"

    def sentence(self) -> str:
        expected = f"its grid has {self.expected}"
        if self.said_by == "case.json":
            expected = f"case.json says {self.expected}"
        return f"the {self.what} has shape {self.shape}; {expected}"

    def remedy(self) -> str:
        if self.said_by == "case.json":
            return ""
        return "give an array (slice, row, column) of the grid's shape"


@finding
class EndlessContours(Finding):
    """Contours that zigzag far more than any organ's. crossings: of pixel rows."""

    crossings: int

    def sentence(self) -> str:
        return (
            f"contours of one slice or a few cross its rows {self.crossings:,} times; no organ's do"
        )

    def remedy(self) -> str:
        return "export the structure set again"
