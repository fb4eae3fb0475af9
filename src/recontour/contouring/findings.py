"""What can go wrong while a CT is contoured."""

from recontour.findings import Finding, FitToStore, ScreenOnly, finding


@finding
class OrgansNotInModel(Finding):
    """Organs were asked for that the model does not contour. meant: what they may stand for."""

    asked: ScreenOnly[tuple[str, ...]]
    known: FitToStore[tuple[str, ...]]
    meant: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        these = "this organ" if len(self.asked) == 1 else "these organs"
        return f"the model does not contour {these} ({', '.join(self.asked)})"

    def remedy(self) -> str:
        choose = f"choose from {', '.join(self.known)}"
        return f"did you mean {' or '.join(self.meant)}? {choose}" if self.meant else choose


@finding
class NonFiniteScores(Finding):
    """A model computes infinities or NaN from a CT."""

    def sentence(self) -> str:
        return "the model's scores for this CT are not finite, although all its weights are"

    def remedy(self) -> str:
        return "ask for the model again, or train it with another --seed"
