"""Everything a user can cause.

Each error carries a finding: where it happened, what was seen, what was expected and what to do.
The command line prints it as one line and exits with the error's code; nothing is left half
written.

    RecontourError                  exit code 2: the user can mend it
    ├── DicomError                  the DICOM that was given
    │   ├── NotDicomError           a damaged file, no DICOM, or an encoding that is not read
    │   ├── NoSeriesError           no CT series or structure set where one is needed
    │   ├── MixedSeriesError        several series or acquisitions where one is needed
    │   ├── OrientationError        oblique, coronal, sagittal or tilted slices
    │   ├── MissingSliceError       a gap between slices
    │   ├── DuplicateSliceError     two slices at one position
    │   ├── RescaleError            no Hounsfield units
    │   └── FrameOfReferenceError   contours and CT do not share a frame of reference
    ├── NamesError                  an unusable map of ROI names
    ├── GridMismatchError           arrays that should share one grid do not
    ├── ContoursError               contours that no organ has
    ├── CohortError                 a cohort is missing, empty, damaged or too new
    ├── ModelFileError              a model file is missing, damaged, foreign or too new
    ├── LabelsError                 damaged labels, or labels without a name or case
    ├── UnlikeTrainingError         a CT unlike those that the model learnt from
    ├── OrganError                  organs that the model or the cohort does not have
    ├── ScoresError                 a table of scores is missing or damaged
    ├── SettingsError               an impossible or unknown setting
    ├── OutputError                 an output exists, or cannot be made
    ├── ResumeError                 a checkpoint of another run
    ├── NotPromotedError            exit code 3: a candidate may not replace the model in use
    ├── DriftError                  exit code 3: done, and contours have drifted
    └── FaultError                  exit code 1: the machine failed, or training diverged
"""

from recontour.findings import Finding, words


class RecontourError(Exception):
    """Something the user can mend.

    finding: the facts; `str(error)` is the one line that `words` makes of them.
    """

    exit_code = 2

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding

    def __str__(self) -> str:
        return words(self.finding)


class DicomError(RecontourError):
    """The DICOM that was given cannot be used."""


class NotDicomError(DicomError):
    """A file is damaged, no DICOM at all, or encoded in a way that is not read."""


class NoSeriesError(DicomError):
    """No CT series, or no structure set, where one is needed."""


class MixedSeriesError(DicomError):
    """Several series, or acquisitions that overlap, where one is needed."""


class OrientationError(DicomError):
    """The slices are not axial: oblique, coronal, sagittal or tilted."""


class MissingSliceError(DicomError):
    """A gap between slices."""


class DuplicateSliceError(DicomError):
    """Two slices at one position."""


class RescaleError(DicomError):
    """The pixel values cannot be turned into Hounsfield units."""


class FrameOfReferenceError(DicomError):
    """Contours and CT do not share one frame of reference."""


class NamesError(RecontourError):
    """A map of ROI names cannot be used."""


class GridMismatchError(RecontourError):
    """Arrays that should share one grid do not."""


class ContoursError(RecontourError):
    """Contours that zigzag far more than any organ's."""


class CohortError(RecontourError):
    """A cohort folder is missing, empty, damaged or newer than this recontour."""


class ModelFileError(RecontourError):
    """A model file is missing, damaged, foreign, out of bounds or newer than this recontour."""


class LabelsError(RecontourError):
    """Labels or contours are missing or damaged, have no name, or belong to no case."""


class OrganError(RecontourError):
    """Organs that the model or the cohort does not have."""


class UnlikeTrainingError(RecontourError):
    """A CT, or what was found on it, is unlike what the model learnt from."""


class ScoresError(RecontourError):
    """A table of scores is missing or damaged."""


class SettingsError(RecontourError):
    """An impossible or unknown setting."""


class OutputError(RecontourError):
    """An output exists already, or cannot be made."""


class ResumeError(RecontourError):
    """A checkpoint that does not belong to the run that was asked for."""


class NotPromotedError(RecontourError):
    """A candidate may not replace the model in use for every organ; all was done as asked."""

    exit_code = 3


class DriftError(RecontourError):
    """Contours have drifted. The work is done, and the report is written."""

    exit_code = 3


class FaultError(RecontourError):
    """The machine failed, or training diverged; the input was fine."""

    exit_code = 1
