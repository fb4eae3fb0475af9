"""The whole job on two synthetic centres: what the README's first command runs."""

from pathlib import Path

from recontour import workflows
from recontour.evaluation import CaseScore, read_scores
from recontour.phantom import SOURCE, TARGET, Centre, write_centre
from recontour.progress import Progress, quiet

NOTICE = "These patients are synthetic: a computer-drawn phantom made to try recontour. The numbers say nothing of people."
SOURCE_CASES = range(20)
TARGET_TRAIN_CASES = range(6)
TARGET_TEST_CASES = range(6, 16)  # ten: fewer cannot reach significance over twelve organs
ITERATIONS, ADAPT_ITERATIONS = 700, 350  # minutes, not the presets' quarter of an hour
REPORT = Path("report")


def run_demo(out: Path, *, progress: Progress = quiet) -> list[CaseScore]:
    """Draw two centres, train on the first, adapt to the second, contour a patient, evaluate.

    A step whose result is there already is not repeated: a demo that was broken off goes on.
    """
    train = out / "cohorts" / "phantom-target-train"
    test = out / "cohorts" / "phantom-target-test"
    source = out / "cohorts" / "phantom-source"
    for cohort, centre, cases in (
        (source, SOURCE, SOURCE_CASES),
        (train, TARGET, TARGET_TRAIN_CASES),
        (test, TARGET, TARGET_TEST_CASES),
    ):
        _cohort(out / "dicom" / cohort.name, cohort, centre, cases, progress)
    model_s, model_t, model_st = (
        out / "models" / f"{name}.safetensors" for name in ("Model_S", "Model_T", "Model_ST")
    )
    if not model_s.exists():
        workflows.train(source, model_s, iterations=ITERATIONS, resume=True, progress=progress)
    if not model_t.exists():
        workflows.train(train, model_t, iterations=ADAPT_ITERATIONS, resume=True, progress=progress)
    if not model_st.exists():
        workflows.adapt(
            model_s, train, model_st, iterations=ADAPT_ITERATIONS, resume=True, progress=progress
        )
    patient = sorted((out / "dicom" / test.name).glob("[!.]*"))[0]
    rtstruct = out / "contoured" / f"{patient.name}.dcm"
    if not rtstruct.exists():
        workflows.contour(model_st, patient, rtstruct, progress=progress)
    report = out / REPORT
    if not report.exists():
        workflows.evaluate(test, [model_s, model_t, model_st], report, progress=progress)
    return read_scores(report / "scores.csv")


def _cohort(dicom: Path, cohort: Path, centre: Centre, cases: range, progress: Progress) -> None:
    """Draw a centre's patients as DICOM and import them, as far as that was not done before."""
    progress(f"drawing {cohort.name}", 0, len(cases), "phantom patients as DICOM")
    write_centre(dicom, centre, cases)
    progress(f"drawing {cohort.name}", len(cases), len(cases), "phantom patients as DICOM")
    workflows.import_dicom(dicom, cohort, notices=(NOTICE,), progress=progress)
