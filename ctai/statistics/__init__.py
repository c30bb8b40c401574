"""Statistical methods: intervals, paired and clustered tests, effect sizes, power and agreement, on scipy and statsmodels.

Owns the choice of methods and their conventions for degenerate data. Does not own thresholds (configuration) or
verdicts (`ctai.gates`). Each function names its method and source. Invalid arguments raise ValueError. The coverage of
every interval is simulated (docs/statistics.md).
"""

from ctai.statistics.agreement import Kappa, cohen_kappa
from ctai.statistics.classification import Auroc, BalancedAccuracy, auroc, balanced_accuracy
from ctai.statistics.clustered import (
    MIN_CLUSTERS,
    clustered_rate,
    observed_design_effect,
    planned_design_effect,
)
from ctai.statistics.comparison import PairedResults, compare, compare_paired, surely_worse
from ctai.statistics.description import SummaryStatistics, describe
from ctai.statistics.intervals import rate, wilson_interval
from ctai.statistics.multiple import Adjusted, benjamini_hochberg
from ctai.statistics.paired import EXACT_BELOW, cohens_h, mcnemar, paired_interval
from ctai.statistics.power import mcnemar_power, non_inferiority_power
from ctai.statistics.prevalence import CorrectedShare, corrected_share
from ctai.statistics.selection import SelectionCounts, selection_gain, share_among_accepted

__all__ = [
    "EXACT_BELOW",
    "MIN_CLUSTERS",
    "Adjusted",
    "Auroc",
    "BalancedAccuracy",
    "CorrectedShare",
    "Kappa",
    "PairedResults",
    "SelectionCounts",
    "SummaryStatistics",
    "auroc",
    "balanced_accuracy",
    "benjamini_hochberg",
    "clustered_rate",
    "cohen_kappa",
    "cohens_h",
    "compare",
    "compare_paired",
    "corrected_share",
    "describe",
    "mcnemar",
    "mcnemar_power",
    "non_inferiority_power",
    "observed_design_effect",
    "paired_interval",
    "planned_design_effect",
    "rate",
    "selection_gain",
    "share_among_accepted",
    "surely_worse",
    "wilson_interval",
]
