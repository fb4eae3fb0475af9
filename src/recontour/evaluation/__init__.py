"""Measure how well a model contours: scores, tests, verdicts, tables, a report.

metrics     one organ: overlap, surfaces, volume    patients   scores per patient
means       means over organs                       tables     scores.csv, statistics.csv
intervals   means with t intervals over patients
gains       what more patients brought              gain_report   its page and tables
statistics  exact tests on a few patients           verdicts   what a comparison amounts to
report      the HTML file; page: its frame          summary    its words and rounded numbers
figures     its pictures; plotting: Matplotlib      planes     which planes of a CT they show
differences what two centres draw differently      images     how their images differ
statements  both as findings; difference_figures: as a picture
consistency which contours are unlike a cohort's others
gate        whether a candidate may replace its parent; gate_words: in words
numbers     numbers as they are printed             findings   what can be found in scores
measure_words  what scores and directions are called
control_chart  whether something has drifted        limits     limits.json: what is usual
monitor_page   its page
"""

from recontour.evaluation.means import common_organs, mean_over_organs
from recontour.evaluation.metrics import (
    Scores,
    apl_mm,
    dice,
    hd95_mm,
    msd_mm,
    score,
    surface_dice,
    volume_bias_percent,
)
from recontour.evaluation.patients import per_patient
from recontour.evaluation.statistics import OverallChange, compare, overall_change
from recontour.evaluation.tables import (
    CaseScore,
    Comparison,
    read_scores,
    write_scores,
    write_statistics,
)
from recontour.evaluation.verdicts import ModelVerdict, OrganVerdict, Verdict, judge

__all__ = [
    "CaseScore",
    "Comparison",
    "ModelVerdict",
    "OrganVerdict",
    "OverallChange",
    "Scores",
    "Verdict",
    "apl_mm",
    "common_organs",
    "compare",
    "dice",
    "hd95_mm",
    "judge",
    "mean_over_organs",
    "msd_mm",
    "overall_change",
    "per_patient",
    "read_scores",
    "score",
    "surface_dice",
    "volume_bias_percent",
    "write_scores",
    "write_statistics",
]
