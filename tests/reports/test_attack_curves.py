"""Curves of attacks against counts, and what is drawn where."""

import numpy as np
import pytest

from tessella.membership_inference.statistics import roc
from tessella.reports.attack_curves import draw_behind, draw_curves, precisions
from tessella.reports.style import MUTED, SERIES


def rates(gain, members=300, others=100, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(gain, 1, members).round(1), rng.normal(0, 1, others).round(1)
    curve = roc(*scores)
    return {"false": curve.false_positive_rate.tolist(), "true": curve.true_positive_rate.tolist()}, scores


def test_precision_is_that_of_counting():
    curve, (members, others) = rates(1.0)
    recall, precision = precisions(curve, share=0.75)
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    called = [((members >= t).sum(), (others >= t).sum()) for t in thresholds]
    assert recall == pytest.approx([true / 300 for true, _ in called])
    assert precision == pytest.approx([true / (true + false) for true, false in called])
    assert precision[-1] == pytest.approx(0.75)  # of whoever calls all of them members


def test_three_panels():
    curves = [("one", rates(1.0)[0]), ("other", rates(2.0)[0])]
    linear, logarithmic, precision = draw_curves(curves, share=0.75).axes
    assert (linear.get_xscale(), logarithmic.get_xscale()) == ("linear", "log")
    chance, one, other = precision.get_lines()
    assert set(chance.get_ydata()) == {0.75}
    for line, (_, curve), color in zip((one, other), curves, SERIES, strict=False):
        assert line.get_color() == color
        assert np.array_equal(line.get_xydata().T, precisions(curve, 0.75))
    assert np.array_equal(linear.get_lines()[1].get_xdata(), curves[0][1]["false"])
    assert precision.get_xlim() == (0, 1)


def test_each_defence_has_its_panels_with_what_it_changes_in_grey():
    names = ["none", "argmax", "gaussian=0.5", "a$b$"]
    behind = {name: {"RMIA": rates(1.0, seed=n)[0]} for n, name in enumerate(names)}
    behind["argmax"]["learned"] = rates(0.5)[0]
    figure = draw_behind(behind, ["RMIA", "learned"], share=0.75, columns=2)
    shown = [axes for axes in figure.axes if axes.axison]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(shown) == 6  # three defences, none being no panel of its own
    assert titles == ["argmax", "gaussian=0.5", r"a\$b\$"]
    argmax = shown[0].get_lines()[1:]
    assert [line.get_color() for line in argmax] == [MUTED, SERIES[0], SERIES[1]]
    assert np.array_equal(argmax[0].get_ydata(), behind["none"]["RMIA"]["true"])
    assert np.array_equal(argmax[1].get_ydata(), behind["argmax"]["RMIA"]["true"])
    precision = next(axes for axes in shown if axes.get_ylabel() == "Precision")
    assert np.array_equal(precision.get_lines()[2].get_xydata().T, precisions(behind["argmax"]["RMIA"], 0.75))
