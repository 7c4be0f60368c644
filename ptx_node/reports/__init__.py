"""Radiology report text to label, in English and French: rules on folded text, with spans in the text as it came."""

from ptx_node.reports.examined import label_examined
from ptx_node.reports.label import Language, label_report
from ptx_node.reports.lexicon import labeller

__all__ = ["Language", "label_examined", "label_report", "labeller"]
