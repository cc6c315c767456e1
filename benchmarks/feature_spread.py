"""How much features of one layout differ, and how well a frozen decoder reads them: why they may not help.

    python benchmarks/feature_spread.py RUN --data CAMVID
    python benchmarks/feature_spread.py RUN --data CAMVID --name feature_spread_places   # --generator.code_stride 4

RUN is a generator's. On 40 training and 40 test images: cross-entropy of the frozen decoder on real and on sampled
features, and in units of the variance of real features, the variance over codes of one layout, that of real features
around the mean over codes, and the whole variance of sampled ones.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from tessella.datasets.loading import Transformed, evaluation_loader
from tessella.files import write_json
from tessella.runs.environment import environment
from tessella.runs.feature_gan import TrainedGenerator, load_generator
from tessella.runs.segmentation import evaluation_transform, open_split

CODES = 6


@torch.no_grad()
def measure(trained: TrainedGenerator, data: Path, split: str) -> dict[str, float]:
    dataset = images_of(trained, data, split)
    standardise = trained.generator.standardise
    rows: dict[str, list[float]] = {}
    every = max(1, len(dataset) // 40)
    for batch in evaluation_loader(torch.utils.data.Subset(dataset, range(0, len(dataset), every))):  # type: ignore[arg-type]
        labels = batch["labels"]
        size = (labels.shape[1], labels.shape[2])
        real = trained.halves.encode(batch["image"])
        made = torch.stack([trained.make(labels, trained.draw(labels)) for _ in range(CODES)])
        z, samples = standardise(real), torch.stack([standardise(each) for each in made])
        found = {
            "cross-entropy, real": F.cross_entropy(
                trained.halves.decode(real, size), labels, ignore_index=255
            ),
            "cross-entropy, sampled": F.cross_entropy(
                trained.halves.decode(made[0], size), labels, ignore_index=255
            ),
            "variance of real features": z.var((0, 2, 3)).mean(),
            "variance of sampled features": samples[0].var((0, 2, 3)).mean(),
            "variance over codes": samples.var(0).mean(),
            "variance of real features around the mean over codes": (z - samples.mean(0)).square().mean(),
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(float(value))
    return {name: round(float(np.mean(values)), 4) for name, values in rows.items()}


def images_of(trained: TrainedGenerator, data: Path, split: str) -> Transformed:
    """As the network that the generator was trained for sees them."""
    of_network = trained.of_network
    return Transformed(open_split(of_network, data, split), evaluation_transform(of_network))


def main(description: str | None, measured: Callable[..., Any], name: str) -> None:
    """The command of this file, and of feature_pasting.py: a generator on training and on test images."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--name", default=name, help="of the file in results/")
    options = parser.parse_args()
    trained = load_generator(options.run)
    torch.manual_seed(0)
    result = {split: measured(trained, options.data, split) for split in ("train", "test")}
    write_json(Path(__file__).parent / "results" / f"{options.name}.json", {**result, **environment()})
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(__doc__, measure, "feature_spread")
