import csv
from pathlib import Path

from tessella.training.log import CsvLog


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_one_step_are_joined_and_missing_cells_are_empty(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "log.csv")
    log.log_metrics({"train_loss": 2.0, "epoch": 0}, 9)
    log.log_metrics({"train_loss": 1.0}, 19)
    log.log_metrics({"val_mean_iou": 0.5}, 19)
    log.save()  # as Lightning does whenever something was measured
    assert rows(log.path) == [
        {"step": "9", "train_loss": "2", "val_mean_iou": ""},
        {"step": "19", "train_loss": "1", "val_mean_iou": "0.5"},
    ]


def test_resumed_run_keeps_what_lies_before_its_step(tmp_path: Path) -> None:
    first = CsvLog(tmp_path / "log.csv")
    for step in (9, 19, 29):
        first.log_metrics({"train_loss": step}, step)
    first.finalize("interrupted")
    second = CsvLog(tmp_path / "log.csv", from_step=20)
    second.log_metrics({"train_loss": 7}, 29)
    second.finalize("success")
    assert [(row["step"], row["train_loss"]) for row in rows(second.path)] == [
        ("9", "9"),
        ("19", "19"),
        ("29", "7"),
    ]


def test_new_run_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,train_loss\n9,1\n")
    log = CsvLog(tmp_path / "log.csv")
    log.finalize("success")
    assert rows(log.path) == []
