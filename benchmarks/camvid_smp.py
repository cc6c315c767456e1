"""What a user of segmentation_models_pytorch reaches on CamVid in a given time on this machine, from scratch.

Method: its own network with a ResNet-18, as its users take it; our data loading, loss and scores, so that nothing else
differs: 240x320 crops, zoom 0.5 to 1.5, flips, batch 8, AdamW 1e-3 with poly decay over the time that is left, test on
whole images. Needs the environment of ``make test-zoo``:
``.venv-zoo/bin/python benchmarks/camvid_smp.py CAMVID --network Unet --minutes 25``.
"""

import argparse
import json
import time
from pathlib import Path

import segmentation_models_pytorch as smp
import torch

from tessella.datasets import CamVid
from tessella.datasets.loading import evaluation_loader, training_loader
from tessella.datasets.transforms import ColorJitter, Compose, RandomAffineCrop
from tessella.files import write_json
from tessella.metrics import ConfusionMatrix
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD, Normalized
from tessella.runs.environment import environment
from tessella.training.losses import SegmentationLoss

RESULT = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--network", choices=["Unet", "DeepLabV3Plus"], default="Unet")
    parser.add_argument("--minutes", type=float, default=25)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = getattr(smp, options.network)("resnet18", encoder_weights=None, classes=11)
    network = Normalized(network, IMAGENET_MEAN, IMAGENET_STD).to(memory_format=torch.channels_last)
    steps = train(network, options.camvid, 60 * options.minutes)
    mean_iou = test(network, options.camvid)
    name = f"camvid_smp_{options.network.lower()}_{options.minutes:g}min.json"
    result = {
        "test_mean_iou": round(mean_iou, 4),
        "steps": steps,
        "minutes": options.minutes,
        "smp": smp.__version__,
        **environment(),
    }
    write_json(RESULT / name, result)
    print(json.dumps(result, indent=1))


def train(network: torch.nn.Module, camvid: Path, seconds: float) -> int:
    transform = Compose([RandomAffineCrop((240, 320), (0.5, 1.5)), ColorJitter()])
    loader = training_loader(CamVid(camvid, "train"), transform, 8, seed=0, workers=1)
    loss = SegmentationLoss()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01)
    start = time.monotonic()
    steps = 0
    for batch in loader:
        left = 1 - (time.monotonic() - start) / seconds
        if left <= 0:
            break
        optimizer.param_groups[0]["lr"] = 1e-3 * left**0.9
        optimizer.zero_grad()
        loss(network(batch["image"]), batch["labels"]).backward()
        optimizer.step()
        steps += 1
    return steps


@torch.inference_mode()
def test(network: torch.nn.Module, camvid: Path) -> float:
    network.eval()
    confusion = ConfusionMatrix(11)
    for batch in evaluation_loader(CamVid(camvid, "test"), workers=1):
        # Its networks take sides that 32 divides: 360 rows are padded by 24.
        image = torch.nn.functional.pad(batch["image"], (0, 0, 0, 24))
        confusion.update(network(image)[..., :360, :].argmax(1), batch["labels"])
    return confusion.compute().mean_iou


if __name__ == "__main__":
    main()
