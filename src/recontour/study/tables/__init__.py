"""The numbers of a study's report, computed from its finished cells. A row of a table here is a row
of its CSV file.

Means are over the patients of each organ, then over the organs, so that each organ counts alike.
Where a model was trained with several seeds (or on several draws of cases), a patient's score is
the mean over those. Intervals are 95 % t intervals over patients.

finished.py (which cells are there) <- scores.py (means and intervals) <- one module an experiment
<- found.py (all)
"""

from recontour.study.tables.cases import Cases, CasesRow
from recontour.study.tables.curves import CurveRow
from recontour.study.tables.depth import PAPERS_DEPTH, Depth, DepthRow
from recontour.study.tables.every_score import ScoreRow
from recontour.study.tables.finished import MODELS, organs_of, progress
from recontour.study.tables.found import Found, find
from recontour.study.tables.models import PAIRS, DifferenceRow, Main, ModelRow
from recontour.study.tables.normalisation import Normalisation, NormalisationRow
from recontour.study.tables.published import published
from recontour.study.tables.scores import ALL, SOURCE, TARGET, Estimate, Level
from recontour.study.tables.separately import Separately, SeparatelyRow
from recontour.study.tables.times import TimesRow

__all__ = [
    "ALL",
    "MODELS",
    "PAIRS",
    "PAPERS_DEPTH",
    "SOURCE",
    "TARGET",
    "Cases",
    "CasesRow",
    "CurveRow",
    "Depth",
    "DepthRow",
    "DifferenceRow",
    "Estimate",
    "Found",
    "Level",
    "Main",
    "ModelRow",
    "Normalisation",
    "NormalisationRow",
    "ScoreRow",
    "Separately",
    "SeparatelyRow",
    "TimesRow",
    "find",
    "organs_of",
    "progress",
    "published",
]
