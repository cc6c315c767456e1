"""The page of one run."""

import json
import os
import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tessella.errors import InputError
from tessella.reports import write_report
from tessella.reports.embed import thumbnail


def edit_json(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_report_has_every_section_and_the_headline_numbers(make_run, parse):
    run = make_run()
    assert write_report(run) == run / "report.html"
    page = parse(run / "report.html")
    for heading in (
        "toy-pspnet", "Results on test", "Training", "Loss", "Validation mean IoU", "Learning rate",
        "Classes on test", "IoU per class", "Confusion", "Most frequent confusions", "Reliability", "Boundaries",
        "Pictures of test", "Worst images", "More images", "Repeat this run",
    ):  # fmt: skip
        assert heading in page.headings
    for text in (
        "PSPNet-18 on Toy streets, 2025-01-02", "Mean IoU 45.7 %", "Pixel accuracy 81.2 %",
        "Frequency-weighted IoU 70.3 %", "Calibration error (ECE) 2.1 %", "12 images in 12.3 s",
        "checkpoints/best.ckpt", "tessella train toy --rate 0.01", "network.backbone resnet18",
        "commit 0123abc",
    ):  # fmt: skip
        assert text in page.text
    assert page.tags.count("img") == 6 * 4
    assert page.tags.count("svg") == 8


def test_undefined_metric_is_a_dash(make_run, parse):
    page = parse(write_report(make_run()))
    assert "Class accuracy – %" in page.text
    assert "nan" not in page.text.lower()


def test_confusions_are_shares_of_the_ground_truth(make_run, parse):
    run = make_run()
    edit_json(
        run / "evaluation/test/result.json", confusion=[[6, 3, 1, 0], [0, 9, 1, 0], [0, 0, 5, 0], [0] * 4]
    )
    text = parse(write_report(run)).text
    assert "sky → road 30.0 %" in text
    assert text.index("sky → road") < text.index("sky → car 10.0 %")
    assert "car → car" not in text


def test_images_come_worst_first_with_their_rank(make_run, parse):
    text = parse(write_report(make_run())).text
    worst, others = text[text.index("Worst images") :].split("More images")
    ranks = [int(rank) for rank in re.findall(r"rank (\d+) of 12", worst)]
    assert len(ranks) == 3
    assert ranks == sorted(ranks, reverse=True)
    assert len(re.findall(r"rank \d+ of 12", others)) == 3


def test_several_splits(make_run, parse):
    run = make_run()
    shutil.copytree(run / "evaluation/test", run / "evaluation/val")
    headings = parse(write_report(run)).headings
    assert {"Results on test", "Results on val", "Classes on val", "Pictures of val"} <= set(headings)


@pytest.mark.parametrize(
    ("missing", "heading"),
    [
        ("log.csv", "Training"),
        ("evaluation", "Results on test"),
        ("evaluation/test/pictures", "Pictures of test"),
        ("evaluation/test/per_image.npz", "Worst images"),
        ("config.json", "Configuration"),
    ],
)
def test_missing_parts_are_left_out(make_run, parse, missing, heading):
    run = make_run()
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = parse(write_report(run))
    assert "toy-pspnet" in page.headings
    assert heading not in page.headings


@pytest.mark.parametrize(
    "fields", [("confusion", "dataset", "seconds"), ("reliability", "network", "checkpoint")]
)
def test_missing_fields_are_left_out(make_run, parse, fields):
    run = make_run()
    shutil.rmtree(run / "evaluation/test/pictures")
    edit_json(run / "evaluation/test/result.json", **dict.fromkeys(fields))
    page = parse(write_report(run))
    assert "None" not in page.text
    assert "nan" not in page.text


def test_bare_metrics_are_enough(make_run, parse):
    run = make_run()
    shutil.rmtree(run / "evaluation/test/pictures")
    (run / "evaluation/test/per_image.npz").unlink()
    (run / "evaluation/test/result.json").write_text('{"classes": [], "metrics": {"mean_iou": 0.5}}')
    page = parse(write_report(run))
    assert "Mean IoU 50.0 %" in page.text
    assert "Classes on test" not in page.headings


def test_interrupted_run_says_that_it_was_not_evaluated(make_run, parse):
    run = make_run()
    shutil.rmtree(run / "evaluation")
    page = parse(write_report(run))
    assert "has not been evaluated" in page.text
    assert "Loss" in page.headings


def test_images_without_scores_are_shown_without_rank(make_run, parse):
    run = make_run()
    (run / "evaluation/test/per_image.npz").unlink()
    page = parse(write_report(run))
    assert "Images" in page.headings
    assert page.tags.count("img") == 6 * 4


def test_names_with_markup_are_escaped(make_run, parse):
    run = make_run()
    hostile = "<script>alert(1)</script>"
    result = json.loads((run / "evaluation/test/result.json").read_text())
    result["classes"][0]["name"] = hostile
    result["network"] = "<img src=x onerror=alert(1)>"
    (run / "evaluation/test/result.json").write_text(json.dumps(result))
    edit_json(run / "config.json", note="</td><iframe>")
    per_image = run / "evaluation/test/per_image.npz"
    with np.load(per_image) as arrays:
        ids, confusion = arrays["ids"].astype("<U40"), arrays["confusion"]
    ids[0] = "<iframe src=a>"
    np.savez(per_image, ids=ids, confusion=confusion)
    pictures = run / "evaluation/test/pictures"
    for kind in ("image", "truth", "prediction", "difference"):
        (pictures / f"test__0000_{kind}.png").rename(pictures / f"<iframe src=a>_{kind}.png")
    page = parse(write_report(run))  # which finds no script or iframe
    assert hostile in page.text
    assert "<iframe src=a>" in page.text
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_broken_picture_is_named(make_run):
    run = make_run()
    picture = run / "evaluation/test/pictures/test__0000_truth.png"
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(InputError, match=r"test__0000_truth\.png"):
        write_report(run)


def test_broken_result_leaves_the_earlier_report(make_run):
    run = make_run()
    (run / "report.html").write_text("earlier")
    (run / "evaluation/test/result.json").write_text("{")
    with pytest.raises(InputError, match=r"result\.json is not valid JSON"):
        write_report(run)
    assert (run / "report.html").read_text() == "earlier"


def test_full_disk_leaves_the_earlier_report_and_no_other_file(make_run, monkeypatch):
    run = make_run()
    (run / "report.html").write_text("earlier")
    files = sorted(os.listdir(run))

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(InputError, match=r"report\.html: No space left"):
        write_report(run)
    assert (run / "report.html").read_text() == "earlier"
    assert sorted(os.listdir(run)) == files


def test_same_files_give_the_same_page(make_run):
    run = make_run()
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_thumbnails_are_small_and_label_maps_keep_their_colours(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    photo = thumbnail(tmp_path / "photo.png", 480)
    assert photo.startswith("data:image/webp;base64,")
    assert len(photo) < 120_000
    labels = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4), np.ones((300, 400), np.uint8))
    palette = np.random.default_rng(1).integers(0, 256, (16, 3), np.uint8)
    Image.fromarray(palette[labels]).save(tmp_path / "labels.png")
    small = Image.open(BytesIO(b64decode(thumbnail(tmp_path / "labels.png", 480).split(",")[1])))
    assert small.size == (480, 360)
    assert {color for _, color in small.getcolors(16)} == {tuple(color) for color in palette.tolist()}
