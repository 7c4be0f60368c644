"""What the founding documents published, as printed there, to stand beside our rows. Other patients, other images: no contest."""

from __future__ import annotations

THESIS_COLUMNS = ("AUC", "sensitivity", "specificity")
THESIS = {
    "thesis: SIIM-ACR, validation": (0.98, 0.81, 0.89),
    "thesis: local test, CT the same day as truth": (0.72, 0.40, 0.78),
}

CT_STUDY_COLUMNS = ("AUC", "binary accuracy", "binary IoU", "mean IoU", "precision", "recall", "F1 = DSC", "Jaccard")
CT_STUDY = {
    "CT study: validation, split by slice": (0.9963, 0.9991, 0.9827, 0.7080, 0.9781, 0.9848, 0.9658, 0.9339),
    "CT study: test, split by slice": (0.7265, 0.9990, 0.9669, 0.6883, 0.9681, 0.9648, 0.9644, 0.9313),
}
CT_STUDY_NOTE = (
    "Ours: pixels of all slices of all patients pooled, except mean IoU: IoU of the mask averaged over patients with air. "
    "Binary IoU: mean of mask and background. AUC over pixels of the network's grid."
)
CT_STUDY_OTHERS = {"Röhrich, 43 patients": 0.94, "Wu, 60 patients, mean": 0.9592}
"""Dice that the CT study compares itself with."""

CLASEGNET_COLUMNS = ("accuracy", "precision", "recall", "AUC", "Dice")
CLASEGNET = {
    "ResNet-50: validation": (0.894, 0.899, 0.889, 0.941, None),
    "ResNet-50: test": (0.896, 0.875, 0.923, 0.945, None),
    "ClaSegNet: validation": (0.95, 0.966, 0.933, 0.98, 0.518),
    "ClaSegNet: test": (0.923, 0.953, 0.89, 0.979, 0.5),
}
CLASEGNET_CONFUSION = {"ResNet-50: test": (77, 14, 8, 83), "ClaSegNet: test": (87, 4, 10, 81)}
"""True negatives, false positives, false negatives, true positives."""
