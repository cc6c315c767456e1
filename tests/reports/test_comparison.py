"""Runs beside one another, as a page and as a table for the terminal."""

import json
import shutil
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from tessella.errors import InputError
from tessella.metrics import compare
from tessella.reports import compare_runs, comparison_table


def set_metrics(run, **values):
    file = run / "evaluation/test/result.json"
    result = json.loads(file.read_text())
    result["metrics"] |= values
    file.write_text(json.dumps(result))


def shown(table):
    console = Console(file=StringIO(), width=400)
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def runs(make_run):
    first, second = make_run("first"), make_run("second", seed=1, rate=0.02)
    # The same images have the same ground truth: the second network only errs elsewhere.
    with np.load(first / "evaluation/test/per_image.npz") as arrays:
        ids, confusion = arrays["ids"], arrays["confusion"]
    confusion[:, 0, 0] += confusion[:, 0, 1]
    confusion[:, 0, 1] = 0
    np.savez(second / "evaluation/test/per_image.npz", ids=ids[::-1], confusion=confusion[::-1])
    set_metrics(second, mean_iou=0.5067, ece=0.05)
    return [first, second]


def test_page_has_metrics_curves_classes_and_differences(runs, tmp_path, parse):
    out = tmp_path / "pages" / "comparison.html"
    assert compare_runs(runs, out) == out
    page = parse(out)
    for heading in (
        "2 runs", "Results on test", "Training", "Validation mean IoU", "Training loss", "Classes on test",
        "IoU gained over first", "What differs in the configuration",
    ):  # fmt: skip
        assert heading in page.headings
    assert "first 45.7 81.2 – 70.3 2.1 reference" in page.text
    assert "second 50.7 81.2 – 70.3 5.0 +5.0" in page.text
    assert "optimizer.rate 0.01 0.02" in page.text
    assert "network.backbone" not in page.text
    assert page.tags.count("svg") == 4
    best = [name for name, value in page.attributes if value == "number best"]
    assert len(best) == 2  # the mean IoU of the second, the calibration error of the first


def test_class_accuracy_is_drawn_where_a_run_measured_it(runs, tmp_path, parse):
    page = parse(compare_runs(runs, tmp_path / "before.html"))
    assert "Validation class accuracy" not in page.headings
    log = runs[1] / "log.csv"
    head, *rows = log.read_text().splitlines()
    lines = [f"{head},val_class_accuracy", *(f"{row},{0.5 if row[-1] != ',' else ''}" for row in rows)]
    log.write_text("\n".join(lines))
    page = parse(compare_runs(runs, tmp_path / "after.html"))
    assert page.headings.index("Validation class accuracy") == page.headings.index("Validation mean IoU") + 1
    assert page.tags.count("svg") == 5


def test_interval_is_that_of_the_paired_comparison_in_the_order_of_the_first(runs, tmp_path, parse):
    confusions = []
    for run, order in zip(runs, (slice(None), slice(None, None, -1)), strict=True):
        with np.load(run / "evaluation/test/per_image.npz") as arrays:
            confusions.append(arrays["confusion"][order])
    low, high = (f"{100 * end:+.1f}" for end in compare(*confusions).interval)
    assert f"{low} to {high}" in parse(compare_runs(runs, tmp_path / "comparison.html")).text
    assert f"{low} to {high}" in shown(comparison_table(runs))


def test_no_interval_for_other_images(runs):
    file = runs[1] / "evaluation/test/per_image.npz"
    with np.load(file) as arrays:
        kept = {name: array[1:] for name, array in arrays.items()}
    np.savez(file, **kept)
    assert " to " not in shown(comparison_table(runs))


def test_other_ground_truth_of_the_same_images_is_an_error_that_names_both(runs):
    file = runs[1] / "evaluation/test/per_image.npz"
    with np.load(file) as arrays:
        ids, confusion = arrays["ids"], arrays["confusion"]
    np.savez(file, ids=ids, confusion=confusion + 1)
    with pytest.raises(InputError, match=r"first.evaluation.test and .*second.evaluation.test"):
        comparison_table(runs)


def test_table_shows_undefined_numbers_as_dashes_and_names_as_they_are(runs):
    strange = runs[1].rename(runs[1].with_name("[red]second"))
    text = shown(comparison_table([runs[0], strange]))
    assert "[red]second" in text
    assert "nan" not in text
    assert [cell.strip() for cell in text.splitlines()[3].split("│")[1:9]] == [
        "first", "test", "45.7", "81.2", "–", "70.3", "2.1", "–",
    ]  # fmt: skip


def test_runs_of_one_name_are_told_apart_by_their_paths(runs, tmp_path):
    namesake = tmp_path / "elsewhere" / "first"
    shutil.copytree(runs[0], namesake)
    assert str(namesake) in "".join(shown(comparison_table([runs[0], namesake])).split())


def test_runs_without_common_parts(runs, tmp_path, parse):
    shutil.rmtree(runs[0] / "evaluation")
    (runs[1] / "log.csv").unlink()
    page = parse(compare_runs(runs, tmp_path / "comparison.html"))
    assert "Results on test" in page.headings
    assert "Classes on test" not in page.headings
    assert page.tags.count("svg") == 3


def test_other_classes_are_not_set_beside_each_other(runs, tmp_path, parse):
    file = runs[1] / "evaluation/test/result.json"
    file.write_text(file.read_text().replace('"car"', '"bicycle"'))
    page = parse(compare_runs(runs, tmp_path / "comparison.html"))
    assert "Classes on test" not in page.headings
    assert " to " not in page.text


def test_names_with_markup_are_escaped(runs, tmp_path, parse):
    hostile = runs[0].rename(runs[0].with_name("<script>x"))
    assert "<script>x" in parse(compare_runs([hostile, runs[1]], tmp_path / "comparison.html")).text


def test_one_run_is_too_few(runs, tmp_path):
    with pytest.raises(InputError, match="at least two runs"):
        compare_runs(runs[:1], tmp_path / "comparison.html")
