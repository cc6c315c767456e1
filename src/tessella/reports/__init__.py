"""Pages and tables made from the files of run folders, and from nothing else."""

from tessella.reports.comparison import compare_runs, comparison_table
from tessella.reports.report import write_report

__all__ = ["compare_runs", "comparison_table", "write_report"]
