"""The page of sampled images."""

import json

import cv2
import numpy as np
import pytest

from tessella.errors import InputError
from tessella.reports.images import draw_best, write_image_samples


def errors(number, start):
    best = [start / m for m in range(1, number + 1)]
    return {"mean": start, "top 10": start / 2, "best of first": best, "best of any": best}


@pytest.fixture
def sampled(tmp_path):
    result = {
        "codes": 8,
        "branches": 4,
        "conditions": 3,
        "errors": {"rmse": errors(8, 41.25), "normals": errors(8, 12.0)},
        "means": {"mean distance to the mean image": 4.5, "normals of the real image": 7.65, "layer 1": 0.25},
        "diversity": 1.75,
        "distribution": {"fid": 123.4, "recall": 0.5},
    }
    (tmp_path / "scores.json").write_text(json.dumps(result))
    cv2.imwrite(str(tmp_path / "sheet.png"), np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    return tmp_path


def test_page(sampled):
    page = write_image_samples(sampled).read_text()
    for text in ("8 images of each condition, 4 of them by the codes", "41.2", "5.16", "7.65", "1.75", "123"):
        assert text in page, text
    assert "From one code to another" not in page
    assert "normals of the real image" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_normals_are_shown_beside_those_of_the_real_images(sampled):
    result = json.loads((sampled / "scores.json").read_text())
    names = ("mean", "median", "rmse", "within_11_25", "within_22_5", "within_30")
    for of, values in {
        "best": (12, 10, 14, 0.5, 0.75, 0.875),
        "real images": (7, 6, 8, 0.9, 0.95, 0.99),
    }.items():
        result[f"normals of the {of}"] = dict(zip(names, values, strict=True))
    (sampled / "scores.json").write_text(json.dumps(result))
    page = write_image_samples(sampled).read_text()
    assert "<td>of the best</td><td>12.0</td><td>10.0</td><td>14.0</td><td>50.0</td>" in page
    assert "<td>of the real images</td><td>7.0</td>" in page
    del result["normals of the best"]["median"]
    (sampled / "scores.json").write_text(json.dumps(result))
    with pytest.raises(InputError, match=r"scores\.json: is damaged"):
        write_image_samples(sampled)


def test_interpolations_are_shown(sampled):
    (sampled / "sheet.png").rename(sampled / "interpolation.png")
    with pytest.raises(InputError, match=r"sheet\.png"):
        write_image_samples(sampled)
    cv2.imwrite(str(sampled / "sheet.png"), np.zeros((60, 80, 3), np.uint8))
    assert "From one code to another" in write_image_samples(sampled).read_text()


def test_conditions_without_images(sampled):
    result = {"codes": 8, "branches": 0, "conditions": 0, "errors": {}, "means": {}}
    (sampled / "scores.json").write_text(json.dumps(result))
    page = write_image_samples(sampled).read_text()
    assert "How near they come" not in page
    assert "trained with" not in page


def test_new_codes_are_marked():
    result = {"branches": 4, "errors": {"rmse": errors(8, 40.0), "ssim": errors(8, 0.5)}}
    panels = draw_best(result).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["RMSE", "SSIM"]
    assert len(panels[0].lines) == 3
    assert len(draw_best({**result, "branches": 0}).axes[0].lines) == 2


def test_damaged(sampled):
    (sampled / "scores.json").write_text("{}")
    with pytest.raises(InputError, match=r"scores\.json: is damaged"):
        write_image_samples(sampled)
