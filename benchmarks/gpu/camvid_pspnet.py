"""Full-size PSPNet-50 on CamVid on one GPU, from scratch, with fixed and with learned dilation: minutes on an H200.

    python benchmarks/gpu/camvid_pspnet.py --data CAMVID --seeds 0 1 2 [--rows fixed learned] [--at-once 4]

Method: recipe camvid_pspnet_dilation with a ResNet-50, trained on train, the last weights (an average over steps)
measured on test. The recipe's rate of the factors, 20, is one for plain gradient descent; AdamW's steps are as long as
the rate, hence 0.02. A row and a seed is a file of its own under ``benchmarks/results/gpu_camvid_pspnet/``, and what is
there already is not repeated; ``--at-once`` rows are trained at the same time: a step waits for
Python longer than for the GPU.
"""

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from tessella.files import write_json
from tessella.recipes.dilation import camvid_pspnet_dilation
from tessella.runs.configuration import override
from tessella.runs.environment import environment
from tessella.runs.evaluation import evaluate
from tessella.runs.model import load_model
from tessella.runs.segmentation import Segmentation, open_split
from tessella.runs.training import train
from tessella.training.machine import Machine

OUT = Path(__file__).parents[1] / "results" / "gpu_camvid_pspnet"
CHANGES = {
    "network.network.backbone.depth": 50,
    "resize": None,
    "crop": (240, 320),
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "dilation_learning_rate": 0.02,
    "head_factor": 1.0,
    "weight_decay": 0.02,
    "warmup": 100,
    "ema": 0.99,
    "class_weights": "balanced",
    "batch_size": 8,
    "workers": 2,
}


def recipe(row: str, steps: int, seed: int) -> Segmentation:
    changes = {**CHANGES, "steps": steps, "validate_every": steps, "seed": seed}
    config = override(camvid_pspnet_dilation(), changes)
    if row == "fixed":  # the same network of ordinary convolutions
        config = replace(config, network=partial(config.network.keywords["network"]))
    return config


def final_factors(run: Path) -> dict[str, list[float]]:
    """Quantiles (0, 1/10, 1/4, 1/2, 3/4, 9/10, 1) of the factors at the end, by what they began at."""
    layers = json.loads((run / "dilation.json").read_text())["layers"]
    found: dict[str, list[float]] = {}
    for layer in layers:
        found.setdefault(f"{layer['factors'][0][0]:g}", []).extend(layer["factors"][-1])
    shares = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
    return {start: np.quantile(factors, shares).round(3).tolist() for start, factors in found.items()}


def measure(data: Path, steps: int, row: str, seed: int) -> None:
    out = OUT / f"{row}_{seed}.json"
    if out.exists():
        return
    config = recipe(row, steps, seed)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        outcome = train(
            config, "camvid_pspnet_dilation", data, run, machine=Machine(accelerator="gpu", progress=False)
        )
        model = load_model(str(run))
        device = torch.device("cuda")
        model.network.to(device)
        factors = final_factors(run) if row == "learned" else {}
        scores = evaluate(
            model.on_batches(device), open_split(config, data, "test"), run / "test", description={}
        )
    result = {
        "row": row,
        "seed": seed,
        "test_mean_iou": round(scores.mean_iou, 4),
        "iou_per_class": [round(value, 4) for value in scores.iou_per_class.tolist()],
        "steps": outcome.step,
        "optimizer": config.optimizer,
        "learning_rate": config.learning_rate,
        "dilation_learning_rate": config.dilation_learning_rate,
        "factors": factors,
        "training_seconds": round(outcome.seconds, 1),
        **environment(),
    }
    write_json(out, result)
    print(json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="CamVid in SegNet's layout")
    parser.add_argument("--steps", type=int, default=800, help="updates")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", choices=("fixed", "learned"), default=["fixed", "learned"])
    parser.add_argument("--at-once", type=int, default=2, help="rows trained at the same time")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.at_once, mp_context=get_context("spawn")) as pool:
        jobs = product(options.seeds, options.rows)
        running = [pool.submit(measure, options.data, options.steps, row, seed) for seed, row in jobs]
        for job in running:
            job.result()


if __name__ == "__main__":
    main()
