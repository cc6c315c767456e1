"""tessella report: the page of a run, or a comparison of several."""

import argparse

from rich.console import Console

from tessella.reports import compare_runs, comparison_table, write_report


def run(options: argparse.Namespace) -> None:
    if len(options.runs) == 1:
        print(f"Report: {write_report(options.runs[0])}")
        return
    Console().print(comparison_table(options.runs))
    print(f"Report: {compare_runs(options.runs, options.out)}")
