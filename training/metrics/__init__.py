"""Figures by which a model is judged: pure functions of numpy arrays, each tested against another implementation.

`proportions` intervals of shares; `roc` AUC and operating points; `overlap` masks; `calibration` whether a probability is one.
"""

from training.metrics.calibration import Bin, brier, calibration_line, expected_calibration_error, reliability
from training.metrics.overlap import PixelCounts, binned_auc, dice
from training.metrics.proportions import Estimate, bootstrap, clopper_pearson, wilson
from training.metrics.roc import (
    OperatingPoint,
    auc_interval,
    roc_auc,
    roc_curve,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    youden,
)

__all__ = [
    "Bin",
    "Estimate",
    "OperatingPoint",
    "PixelCounts",
    "auc_interval",
    "binned_auc",
    "bootstrap",
    "brier",
    "calibration_line",
    "clopper_pearson",
    "dice",
    "expected_calibration_error",
    "reliability",
    "roc_auc",
    "roc_curve",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "wilson",
    "youden",
]
