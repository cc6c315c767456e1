"""What scoring costs beside the forward passes that an audit asks for.

    python benchmarks/audit.py [--images 40]

Method: images of 480x360 with 11 classes; for each image in turn the network's answers alone to the ten pictures that
the attacks ask about, or to the one that all but the steadiness of labels need; then those attacks; medians of seconds.
Networks: the small one of the recipe ``camvid_game``, and a DeepLab-v3+ with ResNet-50. Pictures are noise, since what
a network says does not change how long it takes.
"""

import argparse
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from tessella.files import write_json
from tessella.inference import Predictor
from tessella.membership_inference.answers import ask
from tessella.networks import DeepLabV3Plus, ResNet
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD, Normalized, to_float
from tessella.recipes.camvid import camvid_game
from tessella.runs.environment import environment

CLASSES, HEIGHT, WIDTH = 11, 360, 480
QUERIES = {"one query": (1, False), "all attacks, ten queries": (10, True)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=40)
    options = parser.parse_args()
    networks: dict[str, Callable[..., nn.Module]] = {
        "camvid_game": camvid_game().network,
        "DeepLab-v3+, ResNet-50": partial(DeepLabV3Plus, backbone=partial(ResNet, depth=50)),
    }
    measured = {}
    for name, build in networks.items():
        network = Normalized(build(CLASSES, 3), IMAGENET_MEAN, IMAGENET_STD).eval()
        predict = Predictor(network)
        for what, (queries, label_only) in QUERIES.items():
            measured[f"{name}, {what}"] = measure(predict, queries, label_only, options.images)
            print(name, what, measured[f"{name}, {what}"], flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    file = Path(__file__).parent / "results" / "audit.json"
    write_json(
        file, {"measured": measured, "peak MiB": round(memory), "images": options.images, **environment()}
    )


def measure(
    predict: Callable[[Tensor], Tensor], queries: int, label_only: bool, images: int
) -> dict[str, float]:
    def black_box(images: Tensor) -> Tensor:
        return predict(to_float(images))

    generator = torch.Generator().manual_seed(0)
    alone, audited = [], []
    with torch.inference_mode():
        for number in range(images + 1):  # the first is not counted
            image = torch.randint(0, 256, (1, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator)
            labels = torch.randint(0, CLASSES, (1, HEIGHT // 20, WIDTH // 20), generator=generator)
            labels = labels.repeat_interleave(20, 1).repeat_interleave(20, 2)
            start = perf_counter()
            for _ in range(queries):
                black_box(image)
            between = perf_counter()
            ask(black_box, image, labels, label_only)
            if number:
                alone.append(between - start)
                audited.append(perf_counter() - between)
    return {
        "forward seconds": round(median(alone), 4),
        "audit seconds": round(median(audited), 4),
        "ratio": round(median(audited) / median(alone), 3),
    }


if __name__ == "__main__":
    main()
