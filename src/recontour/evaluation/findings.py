"""What can be found where scores are measured, compared and read."""

from recontour.evaluation.numbers import p_value
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import plural

EVALUATE_AGAIN = "evaluate again, or repair the file"


@finding
class UnfoundOrgans(Finding):
    """No model found some organs in any patient: their DSC is 0 throughout.

    models: as scores and report show them. others: how many other organs were found.
    """

    models: FitToStore[tuple[str, ...]]
    organs: FitToStore[tuple[str, ...]]
    others: int

    def sentence(self) -> str:
        """Say which organs, and that nothing follows."""
        organs = ", ".join(self.organs)
        if self.others and len(self.organs) == 1:
            return (
                f"no model found {organs} in any patient, or only where it is not contoured: its "
                "DSC is 0 throughout, and nothing is concluded about it"
            )
        if self.others:
            return (
                f"no model found these organs in any patient, or only where they are not "
                f"contoured: {organs}; their DSC is 0 throughout, and nothing is concluded about "
                "them"
            )
        return (
            f"no model found any organ: DSC is 0 in every patient with {', '.join(self.models)} "
            f"({organs}), so nothing can be concluded"
        )

    def remedy(self) -> str:
        """Say what may help."""
        return "" if self.others else "train longer, or check that the models fit these CTs"


@finding
class TooFewPatients(Finding):
    """No organ can reach significance with so few patients.

    patients: of the organ that has most. smallest_p: that a lone test of theirs can reach.
    smallest_p_holm: the same, corrected for the number of organs. significant: the limit.
    """

    patients: int
    organs: int
    smallest_p: float
    smallest_p_holm: float
    significant: float

    def sentence(self) -> str:
        """Say what p can be reached."""
        patients = plural(self.patients, "patient")
        if self.no_test:
            return (
                f"with {patients} no test is possible: "
                f"not even a lone organ's p can fall below {p_value(self.smallest_p)}"
            )
        organs = plural(self.organs, "organ")
        return (
            f"with {patients} and {organs} the smallest Holm-corrected p that a lone organ can "
            f"reach is {p_value(self.smallest_p_holm)}"
        )

    def remedy(self) -> str:
        """Say what to look at instead."""
        return "" if self.no_test else "read the differences, not their significance"

    @property
    def no_test(self) -> bool:
        """Whether even a single organ could not reach significance."""
        return self.smallest_p >= self.significant


@finding
class WrongScoreColumns(Finding):
    """A table does not have the columns of scores.csv."""

    columns: ScreenOnly[tuple[str, ...]]
    expected: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Compare the columns."""
        expected = ", ".join(self.expected)
        if not self.columns:
            return f"the columns are missing; expected {expected}"
        return f"expected the columns {expected} (found {', '.join(self.columns)})"

    def remedy(self) -> str:
        """Name the file that is meant."""
        return "give the scores.csv of an evaluation"


@finding
class WrongNumberOfCells(Finding):
    """A line of scores.csv has too few or too many cells."""

    line: int
    cells: int
    expected: int

    def sentence(self) -> str:
        """Compare the numbers."""
        return f"line {self.line}: {plural(self.cells, 'cell')}, expected {self.expected}"

    def remedy(self) -> str:
        """Say how to get a good file."""
        return EVALUATE_AGAIN


@finding
class NotANumber(Finding):
    """A cell of scores.csv should hold a number."""

    line: int
    column: FitToStore[str]
    cell: ScreenOnly[str]

    def sentence(self) -> str:
        """Say where, and show the cell."""
        return f"line {self.line}: {self.column} is not a number ({self.cell})"

    def remedy(self) -> str:
        """Say how to get a good file."""
        return EVALUATE_AGAIN


@finding
class UnloadableMatplotlib(Finding):
    """Matplotlib, which draws the report, cannot be loaded."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        """Repeat what Matplotlib said."""
        return f"Matplotlib, which draws the report, cannot be loaded ({self.reason})"

    def remedy(self) -> str:
        """Name the usual causes."""
        return (
            "look for a file matplotlibrc in the current folder or in ~/.config/matplotlib and "
            "move it away; check that TMPDIR is writable"
        )
