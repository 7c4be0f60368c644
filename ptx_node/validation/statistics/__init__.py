"""The figures that a site, or an auditor, judges the node by: pure functions of arrays, the same to the last digit each time.

`estimate` a figure with its interval, n, method and seed; `proportions` shares; `two_by_two` the table and its ratios; `roc` and
`delong` AUC; `bootstrap` and `clustered` where patients repeat; `operating` thresholds; `calibration`; `decision_curve`; `verification`
who was verified; `uncertain` labels; `subgroups` what may be shown; `cusum` over time; `agreement` of readers. docs/statistics.md names
the method of each.
"""

from ptx_node.validation.statistics.agreement import kappa
from ptx_node.validation.statistics.bootstrap import bootstrap
from ptx_node.validation.statistics.calibration import (
    Bin,
    CalibrationLine,
    brier,
    calibration_line,
    expected_calibration_error,
    observed_to_expected,
    reliability,
    scaled_brier,
)
from ptx_node.validation.statistics.clustered import accuracy_by_patient, auc, auc_difference, mean
from ptx_node.validation.statistics.cusum import Cusum, Watch, average_run_length, cusum, limit_for
from ptx_node.validation.statistics.decision_curve import Benefit, decision_curve
from ptx_node.validation.statistics.delong import Difference, auc_interval, compare_auc
from ptx_node.validation.statistics.estimate import CONFIDENCE, Chance, Estimate, Method, Note
from ptx_node.validation.statistics.operating import PointEstimate, Proposal, Swept, point_with_interval, propose_threshold, sweep
from ptx_node.validation.statistics.proportions import clopper_pearson, wilson
from ptx_node.validation.statistics.roc import (
    Aim,
    OperatingPoint,
    binned_auc,
    operating_point,
    roc_auc,
    roc_curve,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    youden,
)
from ptx_node.validation.statistics.subgroups import Group, Release, groups_of, groups_up_to, release
from ptx_node.validation.statistics.two_by_two import Accuracy, Share, Table, accuracy, likelihood_ratios, predictive_values_at
from ptx_node.validation.statistics.uncertain import ThreeWays, three_ways
from ptx_node.validation.statistics.verification import Bounds, VerificationBias, begg_greenes

__all__ = [
    "CONFIDENCE",
    "Accuracy",
    "Aim",
    "Benefit",
    "Bin",
    "Bounds",
    "CalibrationLine",
    "Chance",
    "Cusum",
    "Difference",
    "Estimate",
    "Group",
    "Method",
    "Note",
    "OperatingPoint",
    "PointEstimate",
    "Proposal",
    "Release",
    "Share",
    "Swept",
    "Table",
    "ThreeWays",
    "VerificationBias",
    "Watch",
    "accuracy",
    "accuracy_by_patient",
    "auc",
    "auc_difference",
    "auc_interval",
    "average_run_length",
    "begg_greenes",
    "binned_auc",
    "bootstrap",
    "brier",
    "calibration_line",
    "clopper_pearson",
    "compare_auc",
    "cusum",
    "decision_curve",
    "expected_calibration_error",
    "groups_of",
    "groups_up_to",
    "kappa",
    "likelihood_ratios",
    "limit_for",
    "mean",
    "observed_to_expected",
    "operating_point",
    "point_with_interval",
    "predictive_values_at",
    "propose_threshold",
    "release",
    "reliability",
    "roc_auc",
    "roc_curve",
    "scaled_brier",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "sweep",
    "three_ways",
    "wilson",
    "youden",
]
