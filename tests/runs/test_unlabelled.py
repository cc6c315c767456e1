"""Audits of images without labels."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.runs.test_audit import Pictures, Victim_, named
from tests.runs.test_end_to_end import run
from tests.runs.test_shadows import shadow

from tessella.errors import InputError
from tessella.membership_inference.answers import STEADINESS
from tessella.reports.audit import write_audit
from tessella.runs.audit import audit
from tessella.runs.not_run import BY_LABELS


def stripped(pictures, which=slice(None)):
    """Pictures without the labels of some of their images."""
    found = Pictures([])
    found.samples = list(pictures.samples)
    found.samples[which] = [replace(sample, labels=None) for sample in pictures.samples[which]]
    found.ids = pictures.ids
    return found


@pytest.fixture
def sides():
    """Sixteen videos, every other one of which is a member."""
    return Pictures(range(0, 16, 2), frames=4), Pictures(range(1, 16, 2), frames=4)


def test_what_needs_no_labels_is_tried(sides, tmp_path):
    victim = Victim_(*sides, by_heart=sides[:1])
    result = audit(named(victim), *map(stripped, sides), tmp_path)
    assert victim.asked == 64 * 10
    assert set(result["attacks"]) == {"confidence", "entropy", STEADINESS}
    assert result["attacks"]["confidence"]["auc"]["value"] > 0.8
    assert all(attack["images_left_out"] == 0 for attack in result["attacks"].values())
    assert result["not_run"][BY_LABELS] == "no image has labels"
    assert set(result["not_run"]) == {BY_LABELS, "learned attack", "the owner's test"}
    assert set(result["utility"]["members"].values()) == {None}
    assert all(row["auc"] is None and row["images"] == [0, 0] for row in result["classes"])
    page = write_audit(tmp_path).read_text()
    assert page.count(">no labels<") == 2
    assert "has no labels" in page
    assert page.count("too few") >= 3
    # Labels that come later are asked about.
    again = audit(named(victim), *sides, tmp_path, label_only=False)
    assert victim.asked == 64 * 11
    assert again["attacks"]["logit"]["auc"]["value"] > 0.8
    assert "no labels<" not in write_audit(tmp_path).read_text()


def test_the_owners_test_is_by_confidence(sides, tmp_path):
    suspected, held_out = (Pictures(range(start, start + 8), "o", frames=4) for start in (100, 110))
    victim = Victim_(*sides, suspected, held_out, by_heart=(sides[0], suspected))
    owner = (stripped(suspected), stripped(held_out))
    found = audit(named(victim), *sides, tmp_path, owner=owner, label_only=False)
    assert found["owners_test"]["score"] == "confidence"
    assert found["owners_test"]["p_value"] < 0.05
    assert "by the mean confidence" in write_audit(tmp_path).read_text()
    labelled = audit(named(victim), *sides, tmp_path, owner=(suspected, held_out), label_only=False)
    assert labelled["owners_test"]["score"] == "logit"
    assert "by the mean logit" in write_audit(tmp_path).read_text()


def test_few_images_without_labels_are_left_out(sides, tmp_path):
    victim = named(Victim_(*sides, by_heart=sides[:1]))
    mixed = audit(victim, stripped(sides[0], slice(3)), sides[1], tmp_path / "a", label_only=False)
    assert {attack["images_left_out"] for attack in mixed["attacks"].values()} == {3}
    rest = Pictures([])
    rest.samples, rest.ids = sides[0].samples[3:], sides[0].ids[3:]
    without = audit(victim, rest, sides[1], tmp_path / "b", label_only=False)
    for name in ("confidence", "loss"):
        assert mixed["attacks"][name]["roc"] == without["attacks"][name]["roc"]


def test_sides_of_different_kinds_are_refused(sides, tmp_path):
    victim = Victim_(*sides)
    with pytest.raises(InputError, match=r"^nonmembers: have no labels, unlike those .* \(--unlabelled\)"):
        audit(named(victim), sides[0], stripped(sides[1]), tmp_path)
    owner = (stripped(Pictures([100])), Pictures([101]))
    with pytest.raises(InputError, match="suspected: have no labels"):
        audit(named(victim), *sides, tmp_path, owner=owner)
    assert victim.asked == 0


def test_shadows_teach_what_is_seen_of_posteriors_alone(tmp_path):
    sides = Pictures([0, 2, 4]), Pictures([1, 3, 5])
    victim = Victim_(*sides, by_heart=sides[:1])
    shadows = [shadow(range(start, start + 4), sides, start) for start in (100, 200)]
    arguments = {"shadows": shadows, "attacker_steps": 2, "label_only": False}
    result = audit(named(victim), *map(stripped, sides), tmp_path / "a", **arguments)
    alone = {
        f"learned, posteriors alone{how}" for how in ("", ", aligned", ", one patch", ", aligned, one patch")
    }
    assert set(result["attacks"]) == {"confidence", "entropy", *alone}
    assert set(result["not_run"]) == {BY_LABELS, STEADINESS, "the owner's test"}
    few = stripped(sides[0], slice(3)), sides[1]
    mixed = audit(named(victim), *few, tmp_path / "b", **arguments)["attacks"]
    assert mixed["learned, loss"]["images_left_out"] == mixed["RMIA, offline"]["images_left_out"] == 3
    assert mixed["learned, posteriors alone"]["images_left_out"] == 0


def test_folders_of_images(tmp_path, capsys):
    """Of a model that does not name its classes; and a split whose labels are not looked at."""
    rng = np.random.default_rng(0)
    for side in ("seen", "unseen"):
        (tmp_path / side).mkdir()
        for number in range(3):
            cv2.imwrite(str(tmp_path / side / f"{number}.jpg"), rng.integers(0, 255, (32, 40, 3)))
    code = tmp_path / "mine.py"
    code.write_text("import torch\ndef network(): return torch.nn.Conv2d(3, 4, 3, padding=1)\n")
    sides = ("--members", tmp_path / "seen", "--nonmembers", tmp_path / "unseen", "--no-label-only")
    command = ("audit", "run", f"{code}:network", *sides)
    assert run(*command, "--unlabelled", "--out", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert result["images"] == {"members": 3, "nonmembers": 3}
    assert not result["labelled"]
    assert [row["name"] for row in result["classes"]] == [f"class {number}" for number in range(4)]
    assert run(*command, "--out", tmp_path / "wrong") == 2
    error = capsys.readouterr().err
    assert "seen: give a data set's folder and a split of it" in error
    assert "--unlabelled" in error
