"""The numbers of a study's report, computed from its finished cells.

Means are over the patients of each organ, then over the organs, so that each organ counts alike.
Where a model was trained with several seeds (or on several draws of cases), a patient's score is
the mean over those. Intervals are 95 % t intervals over patients.

finished (which cells are there) <- scores (means and intervals) <- one module per table <-
all_tables. A row here is a row of the table's CSV file, its fields the columns.
"""

from recontour.evaluation.intervals import Interval
from recontour.study.tables.all_tables import StudyTables, study_tables
from recontour.study.tables.cases import CasesRow, CasesTable
from recontour.study.tables.curves import CurveRow
from recontour.study.tables.depth import DepthRow, DepthTable
from recontour.study.tables.every_score import ScoreRow
from recontour.study.tables.finished import MODELS, count_cells, organs_of
from recontour.study.tables.models import PAIRS, DifferenceRow, ModelRow, ModelsTable
from recontour.study.tables.normalisation import NormalisationRow, NormalisationTable
from recontour.study.tables.published import published
from recontour.study.tables.scores import ALL, SOURCE, TARGET, Level
from recontour.study.tables.separately import SeparatelyRow, SeparatelyTable
from recontour.study.tables.times import TimesRow

__all__ = [
    "ALL",
    "MODELS",
    "PAIRS",
    "SOURCE",
    "TARGET",
    "CasesRow",
    "CasesTable",
    "CurveRow",
    "DepthRow",
    "DepthTable",
    "DifferenceRow",
    "Interval",
    "Level",
    "ModelRow",
    "ModelsTable",
    "NormalisationRow",
    "NormalisationTable",
    "ScoreRow",
    "SeparatelyRow",
    "SeparatelyTable",
    "StudyTables",
    "TimesRow",
    "count_cells",
    "organs_of",
    "published",
    "study_tables",
]
