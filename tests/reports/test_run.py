"""Reading a run folder: what is missing is left out, what is broken is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.reports.run import PerImage, read_run


def edit_result(run: Path, **fields: object) -> None:
    file = run / "evaluation" / "test" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_reads_every_file(make_run):
    run = read_run(make_run())
    assert run.name == "toy-pspnet"
    assert run.config["network"]["backbone"] == "resnet18"
    evaluation = run.evaluations["test"]
    assert evaluation.num_images == 12
    assert evaluation.metrics["mean_iou"] == 0.4567
    assert evaluation.classes[2] == ("car", (0, 0, 142))
    assert evaluation.confusion.shape == (4, 4)


def test_null_is_nan(make_run):
    evaluation = read_run(make_run()).evaluations["test"]
    assert np.isnan(evaluation.metrics["class_accuracy"])
    np.testing.assert_array_equal(np.isnan(evaluation.iou_per_class), [False, False, False, True])
    assert np.isnan(evaluation.reliability.accuracy[0])


def test_series_skip_empty_cells(make_run):
    run = read_run(make_run())
    steps, values = run.series("val_mean_iou")
    np.testing.assert_array_equal(steps, [10, 20, 30, 40, 50, 60])
    np.testing.assert_allclose(values, steps / 150, atol=5e-5)
    assert run.series("val_boundary") is None


def test_last_line_cut_by_a_crash_is_left_out(make_run):
    run = make_run()
    log = run / "log.csv"
    log.write_text(log.read_text() + "61,6,0.1e")
    assert read_run(run).series("step")[0][-1] == 60


def test_mean_iou_per_image_equals_naive_loops():
    confusion = np.random.default_rng(0).integers(0, 5, (7, 4, 4))
    confusion[2, 1, :] = confusion[2, :, 1] = 0
    confusion[5] = 0
    expected = []
    for matrix in confusion:
        ious = []
        for label in range(4):
            union = matrix[label, :].sum() + matrix[:, label].sum() - matrix[label, label]
            if union > 0:
                ious.append(matrix[label, label] / union)
        expected.append(np.mean(ious) if ious else np.nan)
    images = PerImage(list("abcdefg"), confusion)
    np.testing.assert_allclose(images.mean_iou(), expected)
    assert images.worst_first()[-1] == "f"  # no score
    assert images.worst_first()[0] == "abcdefg"[np.nanargmin(expected)]


def test_pictured_images_come_worst_first(make_run):
    evaluation = read_run(make_run()).evaluations["test"]
    scores = dict(zip(evaluation.per_image.ids, evaluation.per_image.mean_iou(), strict=True))
    pictured = evaluation.pictured_ids()
    assert len(pictured) == 6
    assert pictured == sorted(pictured, key=scores.get)


@pytest.mark.parametrize("name", ["config.json", "environment.json", "evaluation/test/result.json"])
@pytest.mark.parametrize("text", ['{"seed": ', "[1, 2]", ""])
def test_broken_json_is_named(make_run, name, text):
    run = make_run()
    (run / name).write_text(text)
    with pytest.raises(InputError, match=name) as error:
        read_run(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"classes": [{"name": "sky"}]}, "classes"),
        ({"classes": [{"name": "sky", "color": [0, 0, 256]}]}, "classes"),
        ({"metrics": None}, "metrics"),
        ({"metrics": {"mean_iou": "high"}}, "mean_iou"),
        ({"metrics": {"iou_per_class": [0.5]}}, "iou_per_class"),
        ({"confusion": [[1, 2], [3, 4]]}, "confusion"),
        ({"confusion": [[1, 2], [3]]}, "confusion"),
        ({"seconds": "long"}, "seconds"),
        ({"reliability": {"count": [1], "accuracy": [1, 2], "confidence": [1]}}, "accuracy"),
        ({"reliability": {"count": [1]}}, "reliability"),
        ({"boundaries": {"recall": [1, 2], "precision": [1]}}, "precision"),
        ({"boundaries": {"precision": [1]}}, "boundaries"),
    ],
)
def test_unusable_field_is_named(make_run, fields, named):
    run = make_run()
    edit_result(run, **fields)
    with pytest.raises(InputError, match=rf"result\.json.*{named}"):
        read_run(run)


def test_log_cell_that_is_no_number_is_named_with_its_line(make_run):
    run = make_run()
    log = run / "log.csv"
    log.write_text(log.read_text() + "61,6,high,,,\n")
    with pytest.raises(InputError, match=r"log\.csv, line 62: 'train_loss'"):
        read_run(run)


def test_log_line_with_too_many_cells_is_named(make_run):
    run = make_run()
    log = run / "log.csv"
    log.write_text(log.read_text() + "61,6,,,,,1\n")
    with pytest.raises(InputError, match=r"log\.csv, line 62: 7 cells for 6 columns"):
        read_run(run)


def test_truncated_per_image_file_is_named(make_run):
    run = make_run()
    file = run / "evaluation" / "test" / "per_image.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"per_image\.npz"):
        read_run(run)


def test_per_image_of_other_classes_is_named(make_run):
    run = make_run()
    file = run / "evaluation" / "test" / "per_image.npz"
    np.savez_compressed(file, ids=np.array(["a"]), confusion=np.zeros((1, 3, 3), np.int64))
    with pytest.raises(InputError, match=r"per_image\.npz.*\(1, 3, 3\)"):
        read_run(run)


def test_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read_run(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        read_run(tmp_path / "absent")


def test_learned_dilation(make_run):
    run = make_run("run")
    layer = {"name": "backbone.layer4.0.conv2", "range": [1, 8], "factors": [[4, 4], [3.5, 5.25]]}
    (run / "dilation.json").write_text(json.dumps({"steps": [0, 10], "layers": [layer]}))
    (learned,) = read_run(run).dilation
    assert (learned.name, learned.range) == ("backbone.layer4.0.conv2", (1, 8))
    assert learned.initial.tolist() == [4, 4]
    assert learned.final.tolist() == [3.5, 5.25]
    (run / "dilation.json").write_text('{"layers": [{"name": "a"}]}')
    with pytest.raises(InputError, match=r"dilation\.json: 'layers' must be a list"):
        read_run(run)
