"""Pictures of two runs beside one another."""

import numpy as np
from PIL import Image

from tessella.pictures.difference import BLACK, CYAN, GREY, RED, WHITE
from tessella.reports import compare_runs
from tessella.reports.panels import _who_is_right, panels
from tessella.reports.run import read_run


def row(*colors):
    return np.array([colors], np.uint8)


def test_colours_of_the_comparison():
    first = row(WHITE, WHITE, RED, RED, GREY)
    second = row(WHITE, RED, WHITE, RED, GREY)
    assert _who_is_right(first, second).tolist() == row(WHITE, RED, CYAN, BLACK, GREY).tolist()


def test_images_that_both_runs_pictured(make_run):
    first, second = make_run("first"), make_run("second", seed=1)
    pictures = second / "evaluation/test/pictures"
    (pictures / "test__0003_difference.png").unlink()
    Image.new("RGB", (3, 3)).save(pictures / "test__0004_difference.png")  # of another size
    evaluations = [read_run(run).evaluations["test"] for run in (first, second)]
    found = panels(*evaluations, ("fixed", "learned"))
    assert sorted(panel.id for panel in found) == ["test/0000", "test/0001", "test/0002", "test/0005"]
    assert list(found[0].pictures) == ["Image", "Ground truth", "fixed", "learned", "Who is right"]
    assert len(panels(*evaluations, ("fixed", "learned"), limit=2)) == 2


def test_on_the_page(make_run, tmp_path, parse):
    page = parse(compare_runs([make_run("first"), make_run("second")], tmp_path / "comparison.html"))
    assert "second beside first on test" in page.headings
    assert page.tags.count("img") == 30
