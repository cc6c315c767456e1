"""Sampled features, their sheet and scores, on blocks of colour."""

import json
from dataclasses import replace

import cv2
import numpy as np
import torch

from tessella.cli import main
from tessella.runs.feature_gan import load_generator
from tessella.runs.sampling import Layout, _Row, _telling, find_layouts


def test_the_network_reads_its_layouts_in_sampled_features(feature_runs, tmp_path, capsys):
    arguments = [
        "sample",
        str(feature_runs / "generator"),
        f"{feature_runs / 'data'}:test",
        "--out",
        str(tmp_path),
    ]
    assert main([*arguments, "--codes", "2", "--features"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["real"]["mean_iou"] > 0.6
    assert scores["synthetic"]["mean_iou"] > 0.7 * scores["real"]["mean_iou"]
    assert "Sampled features under the frozen decoder: mean IoU" in capsys.readouterr().out
    assert len(list((tmp_path / "decoded").rglob("*.png"))) == 12
    (first, *_) = (tmp_path / "features").rglob("*_0.npz")
    assert np.load(first)["features"].shape == (32, 6, 8)
    other = np.load(str(first).replace("_0.npz", "_1.npz"))["features"]
    assert not np.array_equal(np.load(first)["features"], other)  # another code
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 6 * 120

    labels = feature_runs / "data" / "test" / "labels"
    assert (
        main(["sample", str(feature_runs / "generator"), str(labels), "--out", str(tmp_path / "maps")]) == 0
    )
    of_maps = json.loads((tmp_path / "maps" / "scores.json").read_text())
    assert of_maps["real"] is None
    assert of_maps["synthetic"]["mean_iou"] > 0.7 * scores["real"]["mean_iou"]


def test_behind_a_rectifier_no_feature_is_below_zero(feature_runs):
    trained = load_generator(str(feature_runs / "generator"))
    labels = torch.zeros(2, 48, 64, dtype=torch.long)
    assert trained.config.side == "output"
    assert trained.make(labels, 5 * trained.draw(labels)).min() == 0


def test_layouts_are_brought_to_the_size_of_the_network(feature_runs):
    trained = load_generator(str(feature_runs / "generator"))
    smaller = replace(trained, of_network=replace(trained.of_network, resize=(24, 32)))
    data = feature_runs / "data"
    of_split, of_files = (
        list(find_layouts([text], smaller)) for text in (f"{data}:test", str(data / "test" / "labels"))
    )
    assert [layout.labels.shape for layout in of_split + of_files] == [(24, 32)] * 12
    for one, other in zip(of_split, of_files, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    assert of_split[0].image is not None
    assert of_files[0].image is None


def test_two_layouts_of_one_name(feature_runs, tmp_path, capsys):
    (one, other) = (feature_runs / "data" / split / "labels" / "0.png" for split in ("train", "test"))
    assert (
        main(["sample", str(feature_runs / "generator"), str(one), str(other), "--out", str(tmp_path)]) == 2
    )
    assert "two layouts are named 0: sample them into separate folders" in capsys.readouterr().err


def test_layouts_with_and_without_images(feature_runs, tmp_path):
    """On the sheet they have the same columns; scores are compared only where both are of the same layouts."""
    masks, split = str(feature_runs / "data/train/labels"), f"{feature_runs / 'data'}:test"
    sheets = []
    for number, layouts in enumerate(([split, masks], [masks, split], [masks])):
        out = tmp_path / str(number)
        assert main(["sample", str(feature_runs / "generator"), *layouts, "--out", str(out)]) == 0
        assert json.loads((out / "scores.json").read_text())["real"] is None
        sheets.append(cv2.imread(str(out / "sheet.png")))
    assert sheets[0].shape[1] == sheets[1].shape[1] > sheets[2].shape[1]


def test_channels_that_tell_classes_apart_not_ignored_areas():
    labels = np.repeat(np.array([[0, 1, 255, 255]], np.uint8), 4, 0)
    features = torch.rand(6, 4, 4)
    features[2] += 10 * torch.from_numpy(labels == 255)
    features[4] += 3 * torch.from_numpy(labels == 1)
    rows = [_Row(Layout("1", labels), labels, features, None)] * 2
    assert _telling(rows)[0] == 4
    ratio = [
        features[c][:, :1].mean().sub(features[c][:, 1:2].mean()).abs() / features[c].std(correction=0)
        for c in range(6)
    ]
    assert _telling(rows) == torch.tensor(ratio).topk(4).indices.tolist()


def test_a_layout_of_no_class_is_reported(feature_runs, tmp_path):
    cv2.imwrite(str(tmp_path / "void.png"), np.full((48, 64), 255, dtype=np.uint8))
    layout, out = str(tmp_path / "void.png"), tmp_path / "out"
    assert main(["sample", str(feature_runs / "generator"), layout, "--out", str(out)]) == 0
    assert "<td>sampled features</td><td>–</td>" in (out / "samples.html").read_text()
