"""A published model's predictions must give its published table."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tessella.metrics import ConfusionMatrix


@pytest.mark.realdata
def test_eigen_and_fergus_on_nyudv2_13_classes() -> None:
    """654 predictions of Eigen and Fergus (ICCV 2015) at 224x224, published with SceneNet's evaluation.

    In the files, 0 is void and 1 to 13 are the classes. The ground truth is resized to 224x224 by taking the
    pixel nearest to each centre. The published table gives the accuracy of each class to one decimal. The
    three totals are reference values for the same files; the table's own mean is 60.82, of rounded numbers.
    """
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("set TESSELLA_DATA to the folder that holds nyudv2_eval13")
    folder = Path(os.environ["TESSELLA_DATA"]) / "nyudv2_eval13"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    with (folder / "eigen13_class_accuracy_published.csv").open(newline="") as table:
        published = [float(row["accuracy_percent"]) for row in csv.DictReader(table)]

    matrix = ConfusionMatrix(num_classes=13)
    paths = sorted((folder / "eigen_predictions").glob("*.png"))
    assert len(paths) == 654
    for path in paths:
        prediction = np.asarray(Image.open(path))
        truth_image = Image.open(folder / "labels" / path.name.replace("eigen_", ""))
        truth = np.asarray(truth_image.resize(prediction.shape[::-1], Image.Resampling.NEAREST))
        # Void 0 wraps round to 255, the ignored label.
        matrix.update(torch.from_numpy(prediction - 1), torch.from_numpy(truth - 1))
    scores = matrix.compute()

    np.testing.assert_allclose(100 * scores.accuracy_per_class, published, atol=0.1)
    assert 100 * scores.pixel_accuracy == pytest.approx(68.09, abs=0.01)
    assert 100 * scores.class_accuracy == pytest.approx(60.84, abs=0.01)
    assert 100 * scores.mean_iou == pytest.approx(44.24, abs=0.01)
