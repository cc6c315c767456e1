"""A network that has learned rendered streets by heart gives them away, and nothing about streets that it never saw."""

import json

import numpy as np
import pytest
from tests.runs.test_end_to_end import run

from tessella.datasets import Sample
from tessella.membership_inference.assess import assess
from tessella.membership_inference.signals import SIGNALS
from tessella.runs.asking import Kept, ask_all, scores_of
from tessella.runs.judging import blocks_of
from tessella.runs.model import load_model
from tessella.scenes import TRAIN_LABELS, sequence

BY_HEART = [
    *("--crop", "none", "--jitter", "0", "--class_weights", "none", "--weight_decay", "0", "--ema", "0"),
    *("--network.backbone.depth", "10", "--network.pyramid_channels", "16", "--network.head_channels", "32"),
    *("--inference.scales", "[1]", "--inference.flip", "false", "--precision", "fp32", "--workers", "0"),
    *("--batch_size", "5", "--learning_rate", "0.005", "--steps", "150", "--validate_every", "150"),
]


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """Every street is drawn by chance alone: the splits differ in nothing but who is trained on them."""
    root = tmp_path_factory.mktemp("streets")
    size = ("--sequences", "train=20,val=20", "--height", 48, "--width", 96)
    assert run("scenes", "render", "street", "--out", root, *size) == 0
    return root


@pytest.fixture(scope="module")
def trained(streets, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    assert run("train", "streets", "--data", streets, "--out", out, "--no-progress", *BY_HEART) == 0
    return out


def test_what_is_learned_by_heart_is_caught(streets, trained, tmp_path):
    sides = ("--members", f"{streets}:train", "--nonmembers", f"{streets}:val")
    assert run("audit", "run", trained, *sides, "--out", tmp_path, "--no-label-only") == 0
    result = json.loads((tmp_path / "audit.json").read_text())
    assert not result["blind"]["given_away"]
    assert max(attack["auc"]["value"] for attack in result["attacks"].values()) > 0.9
    assert result["verdict"].startswith("The model gives away")


class Drives:
    """Streets that no model is trained on, three frames of each."""

    def __init__(self, streets):
        self.samples = [
            Sample(f"drive{key:02}_{number}", frame.image, TRAIN_LABELS["street"][frame.labels])
            for key in range(streets)
            for number, frame in enumerate(sequence("street", 1000 + key, frames=3, height=48, width=96))
        ]
        self.ids = [sample.id for sample in self.samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@pytest.mark.slow
def test_what_was_never_seen_is_not_told_apart(trained, tmp_path):
    """Asked once, dealt to two sides 20 times, half of the drives to either.

    Of 20 intervals of 95%, 17 or more hold 0.5 with a chance of 98.4% (binomial): fewer mean that they are too narrow.
    """
    model = load_model(str(trained))
    drives = Drives(24)
    drives.classes = model.classes
    answers = ask_all(model, drives, Kept(tmp_path / "answers", {}), side="", label_only=False)
    blocks = np.array(blocks_of(drives.ids))
    names = sorted(set(blocks))
    for name in SIGNALS:
        scores, areas = scores_of(answers, name), []
        for deal in range(20):
            members = np.isin(blocks, np.random.default_rng(deal).permutation(names)[:12])
            found = assess(scores[members], scores[~members], blocks[members], blocks[~members])
            areas.append(found.auc)
        assert sum(area.low <= 0.5 <= area.high for area in areas) >= 17, name
        assert np.mean([area.value for area in areas]) == pytest.approx(0.5, abs=0.05), name
