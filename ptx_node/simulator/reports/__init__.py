"""The radiologist's report of a simulated patient's CT, in English or French, with what it truly says; SIMULATED, about nobody."""

from ptx_node.simulator.reports.report import CtReport, Odds, Part, Section
from ptx_node.simulator.reports.write import write

__all__ = ["CtReport", "Odds", "Part", "Section", "write"]
