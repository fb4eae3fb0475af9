"""What a study's folder says that the study is; nothing here loads torch."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from recontour.cohort import Cohort
from recontour.errors import OutputError, SettingsError
from recontour.files import UnreadableError, refuse_missing_folder
from recontour.findings import Finding
from recontour.study.findings import (
    DamagedStudy,
    ExistingStudy,
    FileInsteadOfStudy,
    NonEmptyFolder,
    NoStudy,
)
from recontour.study.settings import Study
from recontour.study.split import ROLES
from recontour.texts import MOST_TOML_BYTES, read_given
from recontour.validation import first_mistake

STUDY = TypeAdapter(Study)


def refuse_wrong_paths(
    study: Study,
    out: Path,
    *,
    resume: bool,
) -> None:
    """Raise a RecontourError if a study cannot be run in a folder, or its cohorts are not there."""
    refuse_missing_folder(out)
    if not is_study(out):
        _refuse_other_contents(out)
    elif not resume:
        raise OutputError(ExistingStudy(path=out))
    cohorts_of(study)


def _refuse_other_contents(out: Path) -> None:
    """Raise OutputError if something else is in the way.

    A run that was killed before it wrote study.json has left split.csv.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(FileInsteadOfStudy(path=out))
    if {path.name for path in out.iterdir()} - {"split.csv"}:
        raise OutputError(NonEmptyFolder(path=out))


def is_study(out: Path) -> bool:
    """Return whether a folder holds a study that was begun."""
    return declaration(out).exists()


def declaration(out: Path) -> Path:
    """Return the file that says what the study in a folder is."""
    return out / "study.json"


def read_declared(out: Path) -> Study:
    """Return the study that a folder holds. Raises: SettingsError."""
    path = declaration(out)
    try:
        content = read_given(path, MOST_TOML_BYTES)
        return STUDY.validate_json(content)
    except OSError as error:
        raise SettingsError(NoStudy(path=out, number=error.errno)) from error
    except ValidationError as error:
        why: Finding = first_mistake(error, Study)
        raise SettingsError(DamagedStudy(path=path, why=why)) from error
    except UnreadableError as error:
        raise SettingsError(DamagedStudy(path=path, why=error.finding)) from error


def cohorts_of(study: Study) -> dict[str, Cohort]:
    """Open the cohorts of a study, by role. Raises: CohortError."""
    return {role: Cohort.open(getattr(study, role).cohort) for role in ROLES}
