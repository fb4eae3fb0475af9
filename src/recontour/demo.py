"""The whole job on two synthetic centres: what the README's first command runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour import workflows
from recontour.cohort import PHANTOM_NOTICE
from recontour.evaluation import CaseScore, OverallChange, overall_change, read_scores
from recontour.evaluation.means import found_by
from recontour.files import make_folder, refuse_missing_folder
from recontour.phantom import SOURCE, TARGET, Centre, write_centre
from recontour.progress import Progress, quiet

# With fewer than ten test patients, twelve organs cannot reach significance.
SOURCE_CASES = range(20)
TARGET_TRAIN_CASES = range(6)
TARGET_TEST_CASES = range(6, 16)
# Minutes instead of the presets' quarter of an hour.
ITERATIONS = 700
ADAPT_ITERATIONS = 250
SCRATCH_ITERATIONS = 2 * ADAPT_ITERATIONS  # an adaptation takes as many again to choose a say
REPORT = Path("report")


@dataclass(frozen=True, slots=True)
class _DemoFolder:
    """Where the demo's files lie."""

    out: Path

    def make(self) -> None:
        """Make the folders that hold several outputs, as far as they are missing.

        Raises: OutputError, FaultError.
        """
        refuse_missing_folder(self.out)
        for name in ("dicom", "cohorts", "models", "contoured"):
            make_folder(self.out / name)

    def dicom(self, cohort: str) -> Path:
        """Return the folder of a cohort's DICOM."""
        return self.out / "dicom" / cohort

    def cohort(self, cohort: str) -> Path:
        """Return a cohort folder."""
        return self.out / "cohorts" / cohort

    def model(self, name: str) -> Path:
        """Return a model file."""
        return self.out / "models" / f"{name}.safetensors"


def run_demo(out: Path | str, *, progress: Progress = quiet) -> list[CaseScore]:
    """Draw two centres, train on the first, adapt to the second, contour a patient, evaluate.

    A step whose result exists is not repeated: a demo that was interrupted continues.

    Args:
        out: The folder to write.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        One score per case, organ and model.

    Examples:
        >>> import recontour
        >>> scores = recontour.run_demo("recontour-demo")  # doctest: +SKIP
    """
    place = _DemoFolder(Path(out))
    place.make()
    source = _cohort(place, "phantom-source", SOURCE, SOURCE_CASES, progress)
    train = _cohort(place, "phantom-target-train", TARGET, TARGET_TRAIN_CASES, progress)
    test = _cohort(place, "phantom-target-test", TARGET, TARGET_TEST_CASES, progress)
    model_s = place.model("Model_S")
    model_t = place.model("Model_T")
    model_st = place.model("Model_ST")
    if not model_s.exists():
        workflows.train(
            source,
            model_s,
            iterations=ITERATIONS,
            resume=True,
            progress=progress,
        )
    if not model_t.exists():
        workflows.train(
            train,
            model_t,
            iterations=SCRATCH_ITERATIONS,
            resume=True,
            progress=progress,
        )
    if not model_st.exists():
        workflows.adapt(
            model_s,
            train,
            model_st,
            iterations=ADAPT_ITERATIONS,
            resume=True,
            progress=progress,
        )
    patient = min(place.dicom(test.name).glob("[!.]*"))
    rtstruct = place.out / "contoured" / f"{patient.name}.dcm"
    if not rtstruct.exists():
        workflows.contour(model_st, patient, rtstruct, progress=progress)
    report = place.out / REPORT
    if not report.exists():
        workflows.evaluate(test, [model_s, model_t, model_st], report, progress=progress)
    return read_scores(report / "scores.csv")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found.

    patients: that Model_T and Model_ST learnt from. found: whether any model found any organ.
    adapting: Model_ST against Model_S, which it was adapted from. adapted: Model_ST against
    Model_T, which learnt from the same patients alone.
    """

    patients: int
    found: bool
    adapting: OverallChange
    adapted: OverallChange


def result_of(scores: Sequence[CaseScore]) -> DemoResult:
    """Return what the demo's scores amount to."""
    return DemoResult(
        patients=len(TARGET_TRAIN_CASES),
        found=any(found_by(scores).values()),
        adapting=overall_change(scores, "Model_S", "Model_ST"),
        adapted=overall_change(scores, "Model_T", "Model_ST"),
    )


def _cohort(
    place: _DemoFolder,
    name: str,
    centre: Centre,
    cases: range,
    progress: Progress,
) -> Path:
    """Draw a centre's patients as DICOM and import them, as far as that was not done before."""
    dicom, cohort = place.dicom(name), place.cohort(name)
    what, words = f"drawing {name}", "phantom patients as DICOM"
    progress(what, 0, len(cases), words)
    write_centre(dicom, centre, cases)
    progress(what, len(cases), len(cases), words)
    workflows.import_dicom(dicom, cohort, notices=(PHANTOM_NOTICE,), progress=progress)
    return cohort
