"""Synthetic features of a full-size PSPNet-50 on CamVid, on one GPU; not run yet.

    python benchmarks/gpu/features.py --data CAMVID --seeds 0

Method, for each seed: the fixed network of camvid_pspnet.py, trained on train; a generator for conv4_3 of it, before
its rectifier (``layer3.2.relu``), and the score of what it samples for test layouts; then the network trained on, with
its features and with as many real images in their place, each also with the encoder frozen, so that its features stay
those that the generator learned. Each result is a file under ``benchmarks/results/gpu_features/``, and what is there
already is not repeated.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from camvid_pspnet import recipe

sys.path.insert(0, str(Path(__file__).parents[1]))
from completing import tested

from tessella.files import write_json
from tessella.recipes.features import ade20k_features
from tessella.runs.environment import environment
from tessella.runs.feature_gan import load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.sampling import find_layouts, sample_features
from tessella.runs.segmentation import Segmentation
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train
from tessella.training.machine import Machine

OUT = Path(__file__).parents[1] / "results" / "gpu_features"
DEVICE = torch.device("cuda")


def test(run: Path, config: Segmentation, data: Path) -> dict[str, Any]:
    return tested(run, config, data, "test", dataset="CamVid", network="PSPNet-50").as_row()


def measure(
    data: Path, seed: int, steps: int, generator_steps: int, more_steps: int, folder: Path
) -> dict[str, Any]:
    base, run = folder / "base", folder / "generator"
    machine = Machine(accelerator="gpu", progress=False)
    config = recipe("fixed", steps, seed)
    seconds = {"network": train(config, "camvid_pspnet", data, base, machine=machine).seconds}
    of_generator = replace(
        ade20k_features(),
        network=str(base),
        batch_size=8,
        steps=generator_steps,
        validate_every=generator_steps,
        seed=seed,
        workers=3,
    )
    seconds["generator"] = train_generator(of_generator, "features", data, run, machine=machine).seconds
    trained = load_generator(str(run))
    layouts = find_layouts([f"{data}:test"], trained)
    sampled = sample_features(trained, layouts, folder / "samples", device=DEVICE)
    assert sampled.real is not None
    result = {
        "before": test(base, config, data),
        "score": sampled.synthetic.as_row(),
        "score_of_images": sampled.real.as_row(),
    }
    rows = {"real": Synthetic(label_smoothing=0.0), "features": Synthetic(str(run))}
    for (kind, synthetic), stages in product(rows.items(), (0, 3)):
        name = f"{kind}, frozen encoder" if stages else kind
        more = replace(
            config,
            weights=str(base / "checkpoints" / "best.ckpt"),
            steps=more_steps,
            validate_every=more_steps,
            learning_rate=config.learning_rate / 10,
            keep_statistics=True,
            batch_size=7,
            frozen_stages=stages,
            synthetic=synthetic,
        )
        seconds[name] = train(more, "camvid_pspnet", data, folder / name, machine=machine).seconds
        result[name] = test(folder / name, more, data)
    return {"seed": seed, **result, "seconds": {k: round(v, 1) for k, v in seconds.items()}, **environment()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="CamVid in SegNet's layout")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=800, help="updates of the network")
    parser.add_argument("--generator-steps", type=int, default=1500)
    parser.add_argument("--more-steps", type=int, default=200)
    options = parser.parse_args()
    for seed in options.seeds:
        file = OUT / f"{seed}.json"
        if not file.exists():
            with tempfile.TemporaryDirectory() as folder:
                result = measure(
                    options.data,
                    seed,
                    options.steps,
                    options.generator_steps,
                    options.more_steps,
                    Path(folder),
                )
            write_json(file, result)
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
