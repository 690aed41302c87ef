"""One page and one JSON file about one run."""

from trigger_ml.report.data import Agreement, BudgetLine, GraphSummary, Layer, ReportData, Skipped
from trigger_ml.report.network import summarize
from trigger_ml.report.writer import write

__all__ = ["Agreement", "BudgetLine", "GraphSummary", "Layer", "ReportData", "Skipped", "summarize", "write"]
