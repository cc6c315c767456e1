"""Audits with the help of models whose training images are known."""

import numpy as np
import pytest
from tests.runs.test_audit import CLASSES, Pictures, Victim_, named

from tessella.errors import InputError
from tessella.reports.audit import write_audit
from tessella.runs.audit import audit
from tessella.runs.learned import attacker_of
from tessella.runs.shadows import ShadowModel

STEPS = 40


def split(videos):
    return Pictures(videos[::2]), Pictures(videos[1::2])


def shadow(videos, pool=(), number=0):
    """It has every other one of ``videos`` by heart, and can be asked about those of ``pool`` too."""
    members, nonmembers = split(videos)
    box = Victim_(members, nonmembers, *pool, by_heart=(members,))
    return ShadowModel(box, f"shadow {number}", str(number), members, nonmembers)


def test_a_shadow_of_other_images_teaches_the_learned_attack(tmp_path):
    sides = split(range(24))
    victim = Victim_(*sides, by_heart=sides[:1])
    other = shadow(range(100, 124), sides)
    result = audit(named(victim), *sides, tmp_path, shadows=[other], attacker_steps=STEPS, label_only=False)
    for name in (
        "learned, posteriors",
        "learned, posteriors, aligned",
        "learned, loss",
        "learned, loss, one patch",
    ):
        assert result["attacks"][name]["auc"]["value"] > 0.8, name
    assert {"learned, posteriors alone", "learned, posteriors alone, aligned"} <= result["attacks"].keys()
    assert not any(name.startswith(("RMIA", "LiRA")) for name in result["attacks"])
    assert "two shadow models" in result["not_run"]["reference models (LiRA, RMIA)"]
    assert "learned attack" not in result["not_run"]
    assert result["shadows"] == [{"model": "shadow 0", "images": [72, 72]}]
    assert "shadow 0" in write_audit(tmp_path).read_text()


def test_shadows_that_know_some_of_the_images_are_compared_with(tmp_path):
    pool = np.arange(24)
    sides = split(pool)
    victim = Victim_(*sides, by_heart=sides[:1])
    # What one has by heart the next has not, so every image is known to some and not to others.
    orders = [np.random.default_rng(seed).permutation(pool) for seed in range(3)]
    shadows = [shadow(order, sides, number) for number, order in enumerate(orders)]
    result = audit(named(victim), *sides, tmp_path, shadows=shadows, attacker_steps=0, label_only=False)
    assert result["attacks"]["RMIA"]["auc"]["value"] > 0.9
    assert result["attacks"]["RMIA, offline"]["auc"]["value"] > 0.9
    assert result["attacks"]["LiRA"]["auc"]["value"] > 0.9
    assert result["attacks"]["LiRA, several signals"]["auc"]["value"] > 0.9
    assert set(result["not_run"]) == {"learned attack", "steadiness of labels", "the owner's test"}


def test_it_goes_on_where_it_stopped(tmp_path):
    sides = split(range(8))
    other = shadow(range(100, 108), sides)
    arguments = {"shadows": [other], "attacker_steps": 2, "label_only": False}
    victim = Victim_(*sides, by_heart=sides[:1])
    # Asked without shadows first: what the learned attack looks at was not kept then.
    audit(named(victim), *sides, tmp_path, label_only=False)
    first = audit(named(victim), *sides, tmp_path, **arguments)
    asked = victim.asked, other.black_box.asked
    assert asked == (2 * 48, 2 * 48)
    np.load(tmp_path / "shadow_0.npy", mmap_mode="r+")[5] = 0  # killed before it was drawn
    again = audit(named(victim), *sides, tmp_path, **arguments)
    assert (victim.asked, other.black_box.asked) == (asked[0], asked[1] + 1)
    assert again["attacks"]["learned, loss"]["auc"] == pytest.approx(
        first["attacks"]["learned, loss"]["auc"], abs=1e-6
    )


def test_attackers_are_trained_once(tmp_path, monkeypatch):
    sides, other = split(range(8)), shadow(range(100, 108))
    trained = []
    monkeypatch.setattr(
        "tessella.runs.shadows.attacker_of",
        lambda shadows, kind, steps: trained.append(kind) or attacker_of(shadows, kind, steps),
    )
    victim = named(Victim_(*sides, by_heart=sides[:1]))
    first, again = (
        audit(victim, *sides, tmp_path, shadows=[other], attacker_steps=2, label_only=False) for _ in range(2)
    )
    assert len(trained) == 3
    assert again["attacks"] == first["attacks"]
    audit(victim, *sides, tmp_path, shadows=[other], attacker_steps=3, label_only=False)
    other.members.samples[0].labels[:] = 1
    audit(victim, *sides, tmp_path, shadows=[other], attacker_steps=3, label_only=False)
    assert len(trained) == 9


def test_shadows_that_cannot_serve(tmp_path):
    sides = split(range(8))
    victim = named(Victim_(*sides, by_heart=sides[:1]))
    same = ShadowModel(victim.black_box, "twin", "", Pictures([0, 1]), Pictures([1, 2]))
    with pytest.raises(InputError, match="twin: members and nonmembers share 6 images"):
        audit(victim, *sides, tmp_path / "a", shadows=[same])
    nothing = ShadowModel(victim.black_box, "empty", "", Pictures([0]), Pictures([]))
    with pytest.raises(InputError, match="empty: nonmembers: no image"):
        audit(victim, *sides, tmp_path / "b", shadows=[nothing])
    two = Pictures([50])
    two.classes = CLASSES[:2]
    with pytest.raises(InputError, match="labels of 2 classes where the model has 3"):
        audit(victim, *sides, tmp_path / "c", shadows=[ShadowModel(victim.black_box, "x", "", sides[0], two)])
    two.classes = CLASSES[::-1]
    with pytest.raises(InputError, match="x: nonmembers: class 0 is 'car' where the model's is 'sky'"):
        audit(victim, *sides, tmp_path / "c", shadows=[ShadowModel(victim.black_box, "x", "", sides[0], two)])
    with pytest.raises(InputError, match="attacker_steps: -1; give at least 0"):
        audit(victim, *sides, tmp_path / "d", attacker_steps=-1)
