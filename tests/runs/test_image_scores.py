"""Scores of sampled images by judges of any make, on noise."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from tests.runs.blocks import MACHINE
from tests.runs.spheres import FEW, LANDMARKS, NORMALS
from torch import nn

from tessella.datasets import HelenFaces, OxfordPetHeads, PairedFolders
from tessella.datasets.conditions import encode_normals, read_normals
from tessella.datasets.pairs import Pair, paired
from tessella.errors import InputError
from tessella.image_generation import ConditionEstimator
from tessella.metrics import frechet_distance
from tessella.runs.image_sampling import condition_picture
from tessella.runs.image_scores import ImageScores
from tessella.runs.image_training import train_images
from tessella.runs.images import ImageJudge, load_judge, map_kind


def noise(index: int) -> Pair:
    image = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return paired(f"test/{index}", np.zeros((32, 32, 3), np.float32), image)


class Means(nn.Module):
    """An embedding that is the image's mean colour."""

    kind = "embedding"

    def represent(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images, images.mean((2, 3))]


@pytest.mark.parametrize("at_once", [2, 32])
def test_distributions_are_of_all_codes(at_once: int) -> None:
    images = torch.randint(0, 256, (5, 3, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    pairs = [noise(index) for index in range(5)]
    scores = ImageScores([Means()], at_once)
    for pair, samples in zip(pairs, images, strict=True):
        scores.update(pair, samples.float())
    real = torch.from_numpy(np.stack([pair.image for pair in pairs])).permute(0, 3, 1, 2)
    chosen = torch.stack([samples[index % 3] for index, samples in enumerate(images)])
    of_real, of_chosen = (torch.cat([i.float().mean((2, 3)) / 255] * 2, 1) for i in (real, chosen))
    assert scores.compute()["distribution"]["fid"] == pytest.approx(
        frechet_distance(of_real, of_chosen), abs=1e-4
    )


def test_a_judge_of_ones_own_measures_variety() -> None:
    scores = ImageScores([Means()])
    scores.update(noise(0), torch.rand(3, 3, 32, 32) * 255)
    result = scores.compute()
    assert result["diversity"] == pytest.approx(
        result["means"]["layer 1"] + result["means"]["embedding"], abs=2e-5
    )
    assert result["means"]["embedding"] > 0


def test_a_judge_of_no_kind() -> None:
    judge = Means()
    judge.kind = "faces"
    with pytest.raises(InputError, match=r"^judges: of kind faces; there are landmarks, maps, embedding$"):
        ImageScores([judge])


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        (OxfordPetHeads, "normals"),
        (partial(OxfordPetHeads, condition="trimap"), "labels"),
        (partial(PairedFolders, condition="edges"), "edges"),
        (partial(PairedFolders, condition="landmarks"), None),
        (PairedFolders, None),
        (HelenFaces, None),
    ],
)
def test_data_sets_say_what_their_maps_are(dataset, kind: str | None) -> None:
    assert map_kind(dataset) == kind


def test_landmarks_from_training_to_scores(marked):
    config = ImageJudge(LANDMARKS, kind="landmarks", width=2, steps=2, mirror=False, **FEW)
    train_images(config, "marks", marked, marked / "judge", machine=MACHINE)
    judge = load_judge(str(marked / "judge"))
    pair = LANDMARKS(marked, "test")[1]
    images = torch.rand(4, 3, 32, 32) * 255
    scores = ImageScores([judge])
    scores.update(pair, images)
    apart = judge.landmarks(images / 255) * 32 - 0.5 - torch.from_numpy(pair.landmarks)
    wanted = apart.norm(dim=2).sum(1) / 32
    found = scores.compute()["errors"]["landmarks"]
    assert found["mean"] == pytest.approx(wanted.mean().item(), abs=1e-4)
    assert found["best of first"][-1] == pytest.approx(wanted.min().item(), abs=1e-4)


def test_a_judge_of_other_maps(spheres):
    """Three classes are as many channels as normals."""
    labels = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(0, 3, (32, 32))]
    pair = replace(NORMALS(spheres / "data", "test")[0], condition=labels)
    with pytest.raises(InputError, match="one reads normals in an image, test/000 has a condition of labels"):
        ImageScores([load_judge(str(spheres / "judge"))]).update(pair, torch.rand(1, 3, 32, 32))


def test_a_judge_of_other_conditions(spheres, marked):
    pair = LANDMARKS(marked, "test")[0]
    with pytest.raises(
        InputError, match="one reads 3 maps in an image, test/0 has a condition of 3 landmarks"
    ):
        ImageScores([load_judge(str(spheres / "judge"))]).update(pair, torch.rand(1, 3, 32, 32))


def test_normals_are_judged_where_there_are_any(spheres):
    judge, pair = load_judge(str(spheres / "judge")), NORMALS(spheres / "data", "test")[0]
    images = torch.rand(2, 3, 32, 32) * 255
    scores = ImageScores([judge])
    scores.update(pair, images)
    found = judge(images / 255).permute(0, 2, 3, 1).double().numpy()
    there = np.linalg.norm(pair.condition, axis=2) > 0.5
    angles = []
    for normals in found:
        cosine = (normals * pair.condition).sum(2) / np.linalg.norm(normals, axis=2)
        cosine = cosine[there] / np.linalg.norm(pair.condition, axis=2)[there]
        angles.append(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())
    result = scores.compute()
    assert result["errors"]["normals"]["mean"] == pytest.approx(np.mean(angles), abs=1e-2)
    assert result["normals of the best"]["mean"] == pytest.approx(min(angles), abs=1e-2)
    assert result["normals of the real images"]["mean"] == pytest.approx(
        result["means"]["normals of the real image"], abs=1e-3
    )


def test_normals_without_negative_parts_are_normals(spheres, tmp_path):
    """A wall that faces the camera, in a file of 8 bits."""
    towards = np.zeros((32, 32, 3), np.float32)
    towards[..., 2] = 1
    cv2.imwrite(str(tmp_path / "wall.png"), encode_normals(towards)[..., ::-1])
    pair = replace(NORMALS(spheres / "data", "test")[0], condition=read_normals(tmp_path / "wall.png"))
    assert pair.condition.min() >= 0
    assert (condition_picture(pair) == (128, 128, 255)).all()
    scores = ImageScores([load_judge(str(spheres / "judge"))])
    scores.update(pair, torch.rand(2, 3, 32, 32) * 255)
    result = scores.compute()
    assert "labels" not in result["errors"]
    assert result["normals of the best"]["mean"] == pytest.approx(
        result["errors"]["normals"]["best of first"][-1], abs=1e-2
    )


def test_maps_that_are_none_of_these(spheres):
    pair = NORMALS(spheres / "data", "test")[0]
    soft = replace(pair, condition=np.full((32, 32, 4), 0.25, np.float32))
    with pytest.raises(InputError, match="are judged, not 4 channels of other values"):
        ImageScores([ConditionEstimator(4, width=2)]).update(soft, torch.rand(2, 3, 32, 32) * 255)


def test_a_condition_without_normals(spheres):
    pair = NORMALS(spheres / "data", "test")[0]
    empty = replace(pair, condition=np.zeros_like(pair.condition))
    with pytest.raises(InputError, match="test/000: its normals are empty; leave it"):
        ImageScores([load_judge(str(spheres / "judge"))]).update(empty, torch.rand(2, 3, 32, 32))


def test_label_maps_and_edges_are_judged(spheres):
    pair, images = NORMALS(spheres / "data", "test")[0], torch.rand(2, 3, 32, 32) * 255
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (32, 32))]
    labels[:5] = 0  # of no class: do not count
    edges = rng.integers(0, 2, (32, 32, 1)).astype(np.float32)
    for name, condition in {"labels": labels, "edges": edges}.items():
        judge = ConditionEstimator(condition.shape[2], width=4).eval()
        scores = ImageScores([judge])
        scores.update(replace(pair, condition=condition), images)
        with torch.no_grad():
            found = judge(images / 255).permute(0, 2, 3, 1).numpy()
        if name == "labels":
            expected = (found.argmax(3) != labels.argmax(2))[:, 5:].mean((1, 2))
        else:
            expected = np.abs(found - edges).mean((1, 2, 3))
        result = scores.compute()
        assert result["errors"][name]["mean"] == pytest.approx(expected.mean(), abs=2e-3)
        assert result["errors"][name]["best of first"][-1] == pytest.approx(expected.min(), abs=2e-3)
        assert result["means"][f"{name} of the real image"] > 0
