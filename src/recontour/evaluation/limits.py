"""limits.json: what is usual of a model's contours, as `recontour accept` measured it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from recontour.errors import SettingsError
from recontour.evaluation.control_chart import CHART_MEASURES, SCORES, AllUsual, ChartMeasure
from recontour.files import SystemReason, UnreadableError, UnreadableFile
from recontour.findings import Finding
from recontour.network.spread import Spread
from recontour.organs import OrganName
from recontour.texts import read_text
from recontour.validation import ExpectedError, Sha256, first_mistake

MOST_BYTES = 1 << 20
MOST_ORGANS = 500
HELP = "give the limits.json that `recontour accept` wrote"


def _possible(measures: dict[str, Spread]) -> dict[str, Spread]:
    """Return the measures of an organ. Raises: ExpectedError: the mean of a score is none."""
    for score in SCORES:
        one = measures.get(score)
        if one is not None and not 0 <= one.mean <= 1:
            raise ExpectedError(f"a mean of {score} from 0 to 1")
    return measures


Measures = Annotated[dict[str, Spread], AfterValidator(_possible)]
Tolerance = Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is usual of a model's contours.

    model_sha256: of its weights. tolerances_mm: of surface DSC, by organ; none in a file from
    before they were written, which means the organs' own.
    """

    model_sha256: str
    usual: AllUsual
    tolerances_mm: Mapping[str, float]


class _LimitsRecord(BaseModel):
    """limits.json. Fields and measures that are not charted are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_sha256: Sha256
    tolerances_mm: Annotated[dict[OrganName, Tolerance], Field(max_length=MOST_ORGANS)] = {}
    organs: Annotated[dict[OrganName, Measures], Field(max_length=MOST_ORGANS)]


def read_limits(path: Path) -> Limits:
    """Read what is usual of a model's contours.

    Raises: SettingsError: the file is missing or damaged, or holds something else.
    """
    try:
        text = read_text(path, MOST_BYTES)
        record = _LimitsRecord.model_validate_json(text)
    except ValidationError as error:
        raise _refused(path, first_mistake(error, _LimitsRecord)) from error
    except UnreadableError as error:
        raise _refused(path, error.finding) from error
    except OSError as error:
        raise _refused(path, SystemReason(number=error.errno)) from error
    return Limits(record.model_sha256, _usual(record), record.tolerances_mm)


def _refused(path: Path, why: Finding) -> SettingsError:
    return SettingsError(UnreadableFile(path=path, what="file of limits", why=why, help=HELP))


def _usual(record: _LimitsRecord) -> AllUsual:
    found: dict[str, dict[ChartMeasure, Spread]] = {}
    for organ, measures in record.organs.items():
        of_organ: dict[ChartMeasure, Spread] = {}
        for measure in CHART_MEASURES:
            one = measures.get(measure)
            if one is not None:
                of_organ[measure] = one
        found[organ] = of_organ
    return found
