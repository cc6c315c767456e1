"""The page of sampled features."""

import json

import cv2
import numpy as np
import pytest

from tessella.errors import InputError
from tessella.reports.features import draw_histograms, write_samples


@pytest.fixture
def sampled(tmp_path):
    rng = np.random.default_rng(0)
    scores = dict.fromkeys(("pixel_accuracy", "class_accuracy", "mean_iou", "frequency_weighted_iou"), 0.512)
    result = {
        "classes": [{"name": name, "color": [0, 0, 0]} for name in ("road", "sky <b>", "car")],
        "layouts": 3,
        "codes": 1,
        "seed": 0,
        "at": "backbone.layer3",
        "side": "input",
        "synthetic": scores,
        "real": {**scores, "mean_iou": 0.634},
    }
    (tmp_path / "scores.json").write_text(json.dumps(result))
    counts = rng.integers(0, 50, (2, 3, 3, 256))
    np.savez(
        tmp_path / "histograms.npz", counts=counts, low=np.zeros(3), high=np.ones(3), channels=np.arange(3)
    )
    cv2.imwrite(str(tmp_path / "sheet.png"), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    return tmp_path


def test_page(sampled):
    page = write_samples(sampled).read_text()
    for text in (
        "51.2",
        "63.4",
        "backbone.layer3",
        "its input",
        "sky &lt;b&gt;",
        "Filled: features of the images",
    ):
        assert text in page, text
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_without_images(sampled):
    result = json.loads((sampled / "scores.json").read_text())
    (sampled / "scores.json").write_text(json.dumps({**result, "real": None}))
    with np.load(sampled / "histograms.npz") as file:
        arrays = dict(file)
    np.savez(sampled / "histograms.npz", **{**arrays, "counts": arrays["counts"][:1]})
    page = write_samples(sampled).read_text()
    assert "features of the images" not in page


def test_a_line_for_each_class_and_a_panel_for_each_channel():
    counts = np.ones((1, 4, 3, 256), dtype=int)
    figure = draw_histograms(counts, np.zeros(3), np.ones(3), [5, 9, 2])
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["Channel 5", "Channel 9", "Channel 2"]
    assert all(len(axes.patches) == 4 for axes in panels)


def test_damaged(sampled):
    (sampled / "scores.json").write_text("{")
    with pytest.raises(InputError, match=r"scores\.json is not valid JSON .*; sample again"):
        write_samples(sampled)


@pytest.mark.parametrize("kept", [0, 30, 2000])
def test_damaged_histograms(sampled, kept):
    file = sampled / "histograms.npz"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"histograms\.npz cannot be read .*; sample again"):
        write_samples(sampled)


def test_histograms_of_other_channels(sampled):
    np.savez(sampled / "histograms.npz", counts=np.ones(3), low=0, high=1, channels=np.arange(3))
    with pytest.raises(InputError, match=r"scores\.json, or histograms\.npz beside it: is damaged"):
        write_samples(sampled)
