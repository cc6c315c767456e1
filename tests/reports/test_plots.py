"""The figures show the numbers they were given."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tessella.datasets.sample import LabelClass
from tessella.reports import plots, style
from tessella.reports.embed import inline_svg
from tessella.reports.run import Boundaries, LearnedDilation, Reliability

CLASSES = [LabelClass("sky", (70, 130, 180)), LabelClass("car", (0, 0, 142)), LabelClass("tree", (0, 128, 0))]


def many_classes(count: int) -> list[LabelClass]:
    return [LabelClass(f"class {index}", (index, 0, 0)) for index in range(count)]


def bars(figure):
    return [patch for axes in figure.axes for patch in axes.patches]


def test_class_bars_are_sorted_and_coloured_and_a_missing_value_has_a_dash():
    figure = plots.class_iou_bars(CLASSES, np.array([0.5, np.nan, 0.75]), mean=0.625)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["tree", "sky", "car"]
    assert [bar.get_width() for bar in bars(figure)] == [0.75, 0.5, 0]
    assert bars(figure)[0].get_facecolor()[:3] == pytest.approx((0, 128 / 255, 0))
    assert [text.get_text() for text in figure.axes[0].texts] == ["75.0", "50.0", "–", "mean"]


def test_many_classes_stand_in_two_columns():
    figure = plots.class_iou_bars(many_classes(65), np.linspace(0, 1, 65), mean=0.5)
    assert len(figure.axes) == 2
    assert len(bars(figure)) == 65


def test_confusion_rows_sum_to_one_and_absent_classes_stay_empty():
    figure = plots.confusion_heatmap(CLASSES, np.array([[3.0, 1, 0], [0, 0, 0], [1, 1, 2]]))
    shown = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown, [[0.75, 0.25, 0], [np.nan] * 3, [0.25, 0.25, 0.5]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["75", "25", "25", "25", "50"]


def test_confusion_of_65_classes_keeps_every_label_apart():
    figure = plots.confusion_heatmap(many_classes(65), np.eye(65))
    figure.draw_without_rendering()
    for labels, low, high in (
        (figure.axes[0].get_yticklabels(), "y0", "y1"),
        (figure.axes[0].get_xticklabels(), "x0", "x1"),
    ):
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: getattr(box, low))
        assert len(boxes) == 65
        for first, second in pairwise(boxes):
            assert getattr(first, high) <= getattr(second, low) + 1.0  # a pixel of antialiasing


def test_reliability_shows_filled_bins_alone():
    figure = plots.reliability_diagram(
        Reliability(np.array([np.nan, 0.6, 0.9]), np.array([np.nan, 0.5, 0.8]), np.array([0.0, 10, 30]))
    )
    above, below = figure.axes
    np.testing.assert_allclose(above.lines[1].get_xydata(), [[0.6, 0.5], [0.9, 0.8]])
    np.testing.assert_allclose([bar.get_height() for bar in below.patches], [0, 0.25, 0.75])


def test_smoothing_keeps_a_constant_and_averages_noise():
    steps = np.arange(400.0)
    np.testing.assert_allclose(plots.smooth((steps, np.full(400, 2.5)))[1], 2.5)
    noise = np.random.default_rng(0).normal(size=400)
    assert plots.smooth((steps, noise))[1].std() < 0.5 * noise.std()


def test_a_long_log_makes_no_large_figure():
    steps = np.arange(200_000.0)
    loss = np.random.default_rng(0).random(200_000)
    assert len(inline_svg(plots.loss_curve((steps, loss)), "loss")) < 200_000


def test_loss_that_became_nan_is_still_drawn():
    steps, loss = np.arange(5.0), np.array([3, 2, np.nan, np.nan, np.nan])
    assert "Loss" in inline_svg(plots.loss_curve((steps, loss)), "loss")
    assert "Loss" in inline_svg(plots.loss_curve((steps, np.full(5, np.nan))), "loss")


def test_curves_skip_the_colour_of_a_run_without_measurements():
    series = np.array([1.0, 2]), np.array([0.1, 0.2])
    lines = plots.curves([series, None, series], "Mean IoU").axes[0].lines
    assert [line.get_color() for line in lines] == [style.SERIES[0], style.SERIES[2]]


def test_histogram_counts_the_images_that_have_a_score():
    figure = plots.image_iou_histogram(np.array([0.1, 0.5, 0.5, 1.0, np.nan]))
    assert sum(bar.get_height() for bar in bars(figure)) == 4


def test_differences_take_their_run_s_colour():
    figure = plots.class_iou_differences(
        ["sky", "car"], {1: np.array([-0.1, 0.2]), 3: np.array([0.0, np.nan])}
    )
    assert [bar.get_width() for bar in bars(figure)] == pytest.approx([20, -10, 0, 0])
    assert bars(figure)[0].get_facecolor()[:3] == to_rgb(style.SERIES[1])
    assert bars(figure)[2].get_facecolor()[:3] == to_rgb(style.SERIES[3])


@pytest.mark.parametrize("name", ["$x^$", "a $ b", "<b>&\"'", "_hidden", "車", ""])
def test_any_name_is_drawn_as_it_is_written(name):
    svg = inline_svg(plots.class_iou_bars([LabelClass(name, (0, 0, 0))], np.array([0.5]), 0.5), name)
    assert "<b>" not in svg
    if name == "$x^$":
        assert ">$x^$</text>" in svg


def test_svg_takes_its_colours_from_the_page_and_has_no_ids_of_its_own():
    svg = inline_svg(plots.curves([(np.arange(3.0), np.arange(3.0))], "Rate"), "Rate over steps")
    assert svg.startswith('<svg role="img" aria-label="Rate over steps" viewBox=')
    assert "var(--series-1)" in svg
    assert "var(--ink)" in svg
    assert style.INK not in svg
    assert 'id="axes_1"' not in svg
    assert "<style" not in svg


def test_no_global_pyplot_state():
    code = "import sys, tessella.reports; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
    )


@pytest.mark.parametrize("count", [1, 4, 26])
def test_dilation_histograms_count_every_channel(count):
    layers = [
        LearnedDilation(f"layer {i}", (1.0, 4.0 if i % 2 else 8.0), np.full(6, 2.0), np.linspace(1, 4, 6))
        for i in range(count)
    ]
    figure = plots.dilation_histograms(layers)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == (count if count <= 9 else 2)
    bars = [sum(bar.get_height() for bar in axes.containers[0]) for axes in panels]
    assert sum(bars) == 6 * count


def test_boundaries_of_several_runs_in_their_colours():
    curve = Boundaries(0.4, np.array([0.2, 0.5, np.nan]), np.array([0.9, 0.6, 0.0]))
    figure = plots.boundary_curves([None, curve])
    (line,) = figure.axes[0].lines
    assert line.get_color() == style.SERIES[1]
    assert line.get_xdata().tolist() == [0.9, 0.6, 0.0]
