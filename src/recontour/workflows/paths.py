"""Wrong paths, found before the work; nothing here loads torch.

The command line calls this before it loads the rest, and each step of the Python API calls it
again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recontour.cohort import Cohort
from recontour.dicom import refuse_no_folder
from recontour.errors import SettingsError
from recontour.files import refuse_as_output
from recontour.findings import Finding, ScreenOnly, finding
from recontour.network.paths import refuse_no_model

# In the order in which a command takes them.
Order = Literal["MODEL COHORT", "MODEL CT_DIR", "COHORT MODEL"]


@finding
class OnePathForBoth(Finding):
    """The report and the model that `accept` writes were given the same path."""

    path: ScreenOnly[Path]

    def sentence(self) -> str:
        """Say what was given."""
        return "--out and --per-organ are both this path"

    def remedy(self) -> str:
        """Say what each is."""
        return "--out is the folder of the report, --per-organ a model file; name two paths"


@finding
class SwappedArguments(Finding):
    """A folder was given for a model, and none for a folder: two arguments were swapped.

    file: what was given for the folder; it may not exist yet.
    """

    file: ScreenOnly[Path]
    order: Order

    def sentence(self) -> str:
        """Say what was given."""
        folder = self.order.replace("MODEL", "").strip()
        return f"the model is a folder, and {folder} is no folder ({self.file})"

    def remedy(self) -> str:
        """Say the order."""
        first = self.order.split()[0]
        what = "the model" if first == "MODEL" else "the cohort"
        return f"give {what} first: the order is {self.order}"


@finding
class SeveralApproved(Finding):
    """Several folders of approved contours were given for one of drafts."""

    folders: int

    def sentence(self) -> str:
        """Say what was given."""
        return f"a folder of drafts takes one folder of approved contours (found {self.folders})"

    def remedy(self) -> str:
        """Say what takes several."""
        return "give one folder; only a model takes several cohorts"


@finding
class ComparedWithItself(Finding):
    """A cohort is also to stand for the model's centre."""

    def sentence(self) -> str:
        """Say what was given."""
        return "the cohort given with --home is the one that is to be compared"

    def remedy(self) -> str:
        """Say what to give."""
        return "give a cohort of the model's centre to --home, or leave it out"


def refuse_swapped(model: Path, folder: Path, order: Order) -> None:
    """Raise SettingsError if a folder was given as the model, and no folder as the folder."""
    try:
        is_swapped = model.is_dir() and not folder.is_dir()
    except OSError:  # a name that is too long, because it is two: TRUNK+HEAD
        is_swapped = False
    if is_swapped:
        raise SettingsError(
            SwappedArguments(
                path=model,
                file=folder,
                order=order,
            )
        )


def refuse_for_training(cohort: Path, out: Path) -> None:
    """Raise a RecontourError if `train` cannot use one of its paths."""
    refuse_as_output(out)
    Cohort.open(cohort)


def refuse_for_adapting(model: Path, cohort: Path, out: Path) -> None:
    """Raise a RecontourError if `adapt` cannot use one of its paths."""
    refuse_as_output(out)
    refuse_swapped(model, cohort, "MODEL COHORT")
    refuse_no_model(model)
    Cohort.open(cohort)


def refuse_for_contouring(model: Path, ct_dir: Path) -> None:
    """Raise a RecontourError if `contour` cannot use one of its inputs."""
    refuse_swapped(model, ct_dir, "MODEL CT_DIR")
    refuse_no_model(model)
    refuse_no_folder(ct_dir)


def refuse_for_evaluating(
    cohort: Path,
    models: Sequence[Path],
    contours: Sequence[Path],
    out: Path,
) -> None:
    """Raise a RecontourError if `evaluate` cannot use one of its paths.

    contours: folders of contours from elsewhere.
    """
    refuse_as_output(out)
    if models:
        refuse_swapped(models[0], cohort, "COHORT MODEL")
    Cohort.open(cohort)
    for model in models:
        refuse_no_model(model)
    for folder in contours:
        refuse_no_folder(folder)


def refuse_for_accepting(
    cohort: Path,
    models: Sequence[Path],
    out: Path,
    per_organ: Path | None,
) -> None:
    """Raise a RecontourError if `accept` cannot use one of its paths."""
    refuse_for_evaluating(cohort, models, (), out)
    if per_organ:
        refuse_as_output(per_organ)
        if per_organ.resolve() == out.resolve():
            raise SettingsError(OnePathForBoth(path=per_organ))


def refuse_for_monitoring(
    drafts: Path,
    approved: Sequence[Path],
    out: Path,
) -> None:
    """Raise a RecontourError if `monitor` cannot use one of its paths.

    drafts: a folder of drafts, or a model. approved: one folder, or cohorts for a model.
    """
    refuse_as_output(out)
    if is_model_path(drafts):
        refuse_no_model(drafts)
        for cohort in approved:
            Cohort.open(cohort)
        return
    refuse_no_folder(drafts)
    if len(approved) != 1:
        raise SettingsError(SeveralApproved(path=drafts, folders=len(approved)))
    refuse_no_folder(approved[0])


def is_model_path(path: Path) -> bool:
    """Return whether a path is a file, two as in TRUNK+HEAD, or a model's that does not exist."""
    try:
        is_named_as_one = "+" in str(path) or path.suffix == ".safetensors"
        return path.is_file() or (not path.exists() and is_named_as_one)
    except OSError:  # a name that is too long, because it is two
        return "+" in str(path)


def refuse_for_comparing(
    model: Path,
    cohort: Path,
    home: Path | None,
    out: Path,
) -> None:
    """Raise a RecontourError if `compare` cannot use one of its paths.

    home: a cohort of the model's centre; None: none is given.
    """
    refuse_as_output(out)
    refuse_swapped(model, cohort, "MODEL COHORT")
    refuse_no_model(model)
    for place in (cohort, home):
        if place is not None:
            Cohort.open(place)
    if home is not None and home.resolve() == cohort.resolve():
        raise SettingsError(ComparedWithItself(path=cohort))
