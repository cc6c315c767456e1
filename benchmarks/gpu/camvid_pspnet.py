"""Full-size PSPNet on CamVid on one GPU, from scratch: under ten minutes on an H200.

Method: recipe camvid_pspnet with a ResNet-50, trained on train, best checkpoint by val, measured on test with flips
and scales.
``python benchmarks/gpu/camvid_pspnet.py CAMVID`` writes ``benchmarks/results/gpu_camvid_pspnet.json``.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch

from tessella.recipes.camvid import camvid_pspnet
from tessella.runs.configuration import override
from tessella.runs.environment import environment, write_json
from tessella.runs.evaluation import evaluate
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_split, train
from tessella.training.fit import Machine

CHANGES = {
    "network.backbone.depth": 50,
    "train_split": "train",
    "crop": (352, 480),
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "head_factor": 1.0,
    "weight_decay": 0.02,
    "warmup": 100,
    "ema": 0.995,
    "class_weights": "balanced",
    "steps": 4000,
    "validate_every": 500,
    "workers": 8,
    "inference.scales": (0.75, 1.0, 1.25),
    "inference.flip": True,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camvid", type=Path, help="CamVid in SegNet's layout")
    parser.add_argument("--steps", type=int, default=CHANGES["steps"], help="updates")
    options = parser.parse_args()
    config = override(camvid_pspnet(), {**CHANGES, "steps": options.steps})
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        outcome = train(
            config, "camvid_pspnet", options.camvid, run, machine=Machine(accelerator="gpu", progress=False)
        )
        device = torch.device("cuda")
        model = load_model(str(run))
        model.network.to(device)
        scores = evaluate(
            model.on_batches(device), open_split(config, options.camvid, "test"), run / "test", description={}
        )
    result = {
        "test_mean_iou": round(scores.mean_iou, 4),
        "iou_per_class": [round(value, 4) for value in scores.iou_per_class.tolist()],
        "steps": outcome.step,
        "training_seconds": round(outcome.seconds, 1),
        **environment(),
    }
    write_json(Path(__file__).parents[1] / "results" / "gpu_camvid_pspnet.json", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
