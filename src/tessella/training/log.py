"""The log of a run as one CSV file that a resumed run continues."""

import csv
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from tessella.files import write_text


class CsvLog(Logger):
    """Writes ``log.csv``: a row for each step at which something was measured, an empty cell for what was not.

    Lines beyond ``from_step`` are dropped at the start: a resumed run measures them again. The file is replaced
    whole at each flush, so a reader never sees half a line.
    """

    def __init__(self, path: Path, from_step: int = 0) -> None:
        super().__init__()
        self.path = path
        self._rows: dict[int, dict[str, str]] = {}
        if path.exists() and from_step > 0:
            with path.open(newline="") as file:
                self._rows = {int(row["step"]): row for row in csv.DictReader(file)}
            self._rows = {step: row for step, row in self._rows.items() if step < from_step}

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = self._rows.setdefault(int(step or 0), {"step": str(int(step or 0))})
        # Lightning's epochs mean nothing for an endless stream.
        row.update({name: f"{value:.6g}" for name, value in metrics.items() if name != "epoch"})

    @rank_zero_only
    def save(self) -> None:
        columns = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        table = StringIO()
        writer = csv.DictWriter(table, columns or ["step"])
        writer.writeheader()
        writer.writerows(self._rows[step] for step in sorted(self._rows))
        write_text(self.path, table.getvalue())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()
