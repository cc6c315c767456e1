"""Scores of sampled images by judges of any make, on noise."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tessella.datasets import HelenFaces, OxfordPetHeads, PairedFolders
from tessella.datasets.pairs import Pair, paired
from tessella.errors import InputError
from tessella.metrics import frechet_distance
from tessella.runs.image_scores import ImageScores
from tessella.runs.images import map_kind


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
