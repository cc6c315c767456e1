"""An audit of models that are known to give images away, or not to."""

import json
import zlib
from dataclasses import replace
from unittest.mock import ANY

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.fabricate import fabricate_camvid
from tests.runs.test_end_to_end import TINY, run

from tessella.datasets import LabelClass, Sample
from tessella.errors import InputError
from tessella.membership_inference.answers import STEADINESS
from tessella.membership_inference.defences import Argmax
from tessella.reports.audit import write_audit
from tessella.runs.asking import Kept, ask_all
from tessella.runs.audit import Victim, audit
from tessella.runs.judging import blocks_of

CLASSES = tuple(LabelClass(name, (40 * place, 90, 90)) for place, name in enumerate(("sky", "road", "car")))


class Pictures:
    """Videos of six frames in front of a wall of one colour."""

    classes = CLASSES

    def __init__(self, videos, name="v", frames=6):
        self.samples = []
        for video in videos:
            rng = np.random.default_rng(video)
            base = rng.integers(0, 255, (16, 20, 3))
            for frame in range(frames):
                image = np.clip(base + rng.integers(-9, 9, base.shape), 0, 255).astype(np.uint8)
                labels = rng.integers(0, 3, (4, 5), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
                self.samples.append(Sample(f"{name}{video}_{frame}", image, labels))
        self.ids = [sample.id for sample in self.samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


class Victim_:
    """Posteriors around the truth; of what it has learned by heart, sharper ones. Counts what it is asked."""

    def __init__(self, *datasets, by_heart=(), gain=1.5):
        known = [sample for dataset in datasets for sample in dataset.samples]
        heart = {sample.id for dataset in by_heart for sample in dataset.samples}
        self.labels = {s.image.tobytes(): (torch.from_numpy(s.labels).long(), s.id in heart) for s in known}
        self.gain, self.asked = gain, 0

    def __call__(self, images):
        self.asked += len(images)
        return torch.cat([self.one(image) for image in images])

    def one(self, image):
        content = image.permute(1, 2, 0).contiguous().numpy().tobytes()
        labels, is_known = self.labels.get(content, (torch.zeros(image.shape[1:], dtype=torch.long), False))
        generator = torch.Generator().manual_seed(zlib.crc32(content))
        sharpness = 1 + (self.gain if is_known else 0) + 0.5 * torch.randn(1, generator=generator)
        noise = torch.randn(3, *labels.shape, generator=generator)
        logits = sharpness * torch.nn.functional.one_hot(labels.clamp(max=2), 3).movedim(-1, 0) + noise
        return logits.softmax(0)[None]


def named(victim):
    return Victim(victim, "a model", [label.name for label in CLASSES])


@pytest.fixture
def sides():
    """Thirty videos, every other one of which is a member."""
    return Pictures(range(0, 30, 2)), Pictures(range(1, 30, 2))


def test_a_planted_leak_is_found(sides, tmp_path):
    victim = Victim_(*sides, by_heart=sides[:1])
    result = audit(named(victim), *sides, tmp_path, chosen="by turns", command="tessella audit run x")
    assert result["verdict"].startswith("The model gives away")
    assert result["attacks"]["logit"]["auc"]["value"] > 0.9
    assert result["attacks"]["logit"]["true_positive_rate"]["0.001"] is None
    assert not result["blind"]["given_away"]
    assert result["utility"]["members"]["mean_iou"] > result["utility"]["nonmembers"]["mean_iou"]
    assert [row["name"] for row in result["classes"]] == ["sky", "road", "car"]
    assert all(row["auc"] > 0.7 for row in result["classes"])
    assert "learned attack" in result["not_run"]
    assert sum(result["confidences"]["members"]) == 90
    given_away = result["surest_of"]["members"]
    assert len(given_away) == 10
    assert given_away[0]["score"] >= given_away[-1]["score"]
    assert given_away[0]["false_positive_rate"]["value"] == 0
    assert all(image["id"] in sides[0].ids for image in given_away)
    assert victim.asked == 180 * 10
    page = write_audit(tmp_path).read_text()
    for text in (
        "gives away",
        "not resolvable",
        "by turns",
        "tessella audit run x",
        "learned attack",
        "<svg",
        "How sure it is",
        given_away[0]["id"],
    ):
        assert text in page, text


def test_a_model_that_saw_nothing_is_not_accused(tmp_path):
    """Twelve draws: the verdict's intervals are of 95% among all attacks."""
    accused, areas = 0, []
    for draw in range(12):
        videos = np.random.default_rng(draw).permutation(30)
        sides = Pictures(videos[:15], frames=4), Pictures(videos[15:], frames=4)
        result = audit(named(Victim_(*sides)), *sides, tmp_path / str(draw), label_only=False)
        accused += result["verdict"].startswith("The model gives away")
        areas.append(result["attacks"]["logit"]["auc"])
    assert accused <= 2
    assert sum(area["low"] <= 0.5 <= area["high"] for area in areas) >= 10
    assert np.mean([area["value"] for area in areas]) == pytest.approx(0.5, abs=0.05)


def test_sides_of_different_kinds_get_no_verdict(sides, tmp_path):
    for sample in sides[1].samples:
        sample.image[12:] = 0
    result = audit(named(Victim_(*sides, by_heart=sides[:1])), *sides, tmp_path, label_only=False)
    assert result["verdict"].startswith("No verdict: members and non-members can be told apart")
    assert "They should not" in write_audit(tmp_path).read_text()


def test_it_goes_on_where_it_stopped(sides, tmp_path):
    whole = audit(named(Victim_(*sides, by_heart=sides[:1])), *sides, tmp_path / "whole")

    class Stops(Victim_):
        def __call__(self, images):
            if self.asked >= 500:
                raise KeyboardInterrupt
            return super().__call__(images)

    with pytest.raises(KeyboardInterrupt):
        audit(named(Stops(*sides, by_heart=sides[:1])), *sides, tmp_path / "parts")
    with (tmp_path / "parts" / "answers.jsonl").open("a") as file:
        file.write('{"side": "members", "id": "v9')  # killed while it wrote
    victim = Victim_(*sides, by_heart=sides[:1])
    again = audit(named(victim), *sides, tmp_path / "parts")
    assert victim.asked == 1800 - 500
    assert again["attacks"] == whole["attacks"]
    assert again["blind"] == whole["blind"]
    with pytest.raises(InputError, match="of another audit"):
        audit(replace(named(victim), fingerprint="other weights"), *sides, tmp_path / "parts")
    sides[0].samples[0].image[:] = 7  # another picture of the same name
    asked = victim.asked
    audit(named(victim), *sides, tmp_path / "parts")
    assert victim.asked == asked + 10
    audit(named(victim), *sides, tmp_path / "parts", label_only=False)
    assert victim.asked == asked + 10
    sides[0].samples[1].labels[:] = 1  # other labels of the same picture
    audit(named(victim), *sides, tmp_path / "parts", label_only=False)
    assert victim.asked == asked + 11


def test_labels_alone_are_asked_for_later(sides, tmp_path):
    victim = Victim_(*sides, by_heart=sides[:1])
    first = audit(named(victim), *sides, tmp_path, label_only=False)
    assert first["not_run"][STEADINESS] == "it was not asked for"
    images = victim.asked
    then = audit(named(victim), *sides, tmp_path)
    assert victim.asked == 11 * images
    assert then["attacks"].keys() == {*first["attacks"], STEADINESS}
    assert then["attacks"]["logit"]["auc"] == first["attacks"]["logit"]["auc"]


def test_the_owners_test(sides, tmp_path):
    suspected, held_out = Pictures(range(100, 110), "o"), Pictures(range(110, 120), "o")
    victim = Victim_(*sides, suspected, held_out, by_heart=(sides[0], suspected))
    owner = (suspected, held_out)
    result = audit(named(victim), *sides, tmp_path, owner=owner, label_only=False)
    assert result["owners_test"]["p_value"] < 0.01
    innocent = audit(
        named(Victim_(*sides, *owner, by_heart=sides[:1])),
        *sides,
        tmp_path / "b",
        owner=owner,
        label_only=False,
    )
    assert innocent["owners_test"]["p_value"] > 0.05
    assert "p = 0.0" in write_audit(tmp_path).read_text()


def test_an_owner_whose_sides_look_different_gets_no_answer(sides, tmp_path):
    suspected, held_out = Pictures(range(100, 110), "o"), Pictures(range(110, 120), "o")
    for sample in suspected.samples:
        sample.image[12:] = 255
    victim = Victim_(*sides, suspected, held_out, by_heart=(sides[0], suspected))
    result = audit(named(victim), *sides, tmp_path, owner=(suspected, held_out), label_only=False)
    assert result["owners_test"]["p_value"] is None
    assert result["owners_test"]["auc"] > 0.9
    assert result["owners_test"]["blind"]["given_away"]
    assert "No answer: colours" in write_audit(tmp_path).read_text()


def test_labels_alone_are_attacked_too(sides, tmp_path):
    victim = Victim_(*sides, by_heart=sides[:1])
    result = audit(named(Argmax(victim)), *sides, tmp_path / "a")
    assert result["attacks"]["confidence"]["auc"]["value"] == 0.5
    assert result["attacks"]["correct"]["auc"]["value"] > 0.75
    maps = audit(named(lambda images: victim(images).argmax(1)), *sides, tmp_path / "b", label_only=False)
    assert maps["attacks"]["correct"] == {**result["attacks"]["correct"], "auc_among_attacks": ANY}


def test_what_cannot_be_audited_is_said(sides, tmp_path):
    victim = named(Victim_(*sides))
    same = Pictures([0])
    with pytest.raises(InputError, match="members and nonmembers share 6 images, as v0_0 and v0_0"):
        audit(victim, Pictures([0, 2]), same, tmp_path / "a", label_only=False)
    with pytest.raises(InputError, match="nonmembers: no image"):
        audit(victim, sides[0], Pictures([]), tmp_path / "b")
    with pytest.raises(InputError, match="labels of 3 classes where the model has 2"):
        audit(replace(victim, classes=["a", "b"]), *sides, tmp_path / "c")
    with pytest.raises(InputError, match="as of logits"):
        audit(replace(victim, black_box=lambda images: torch.randn(1, 3, 16, 20)), *sides, tmp_path / "d")
    with pytest.raises(InputError, match="is no map of posteriors: it is of type NoneType"):
        audit(replace(victim, black_box=lambda images: None), *sides, tmp_path / "e")
    sides[0].samples[0].labels[:2] = 7
    with pytest.raises(InputError, match=r"v0_0 holds label 7 \(40 pixels\), but the 3 classes are 0 to 2"):
        audit(victim, *sides, tmp_path / "g")
    with pytest.raises(InputError, match="members: class 0 is 'sky' where the model's is 'road'"):
        audit(replace(victim, classes=["road", "car", "sky"]), *sides, tmp_path / "h")
    few = audit(victim, Pictures([0]), Pictures([1]), tmp_path / "f", label_only=False)
    assert few["verdict"].startswith("No verdict: whether the two sides look alike could not be tested")
    write_audit(tmp_path / "f")


def test_images_without_a_class_are_left_out(sides, tmp_path):
    sides[0].samples[0].labels[:] = 255
    sides[0].samples[1].labels[:] = 1
    result = audit(named(Victim_(*sides, by_heart=sides[:1])), *sides, tmp_path, label_only=False)
    assert result["attacks"]["logit"]["images_left_out"] == 1
    assert result["attacks"]["logit at boundaries"]["images_left_out"] == 2


def test_blocks():
    ids = [f"a/{n:03}" for n in range(12)] + ["b/one", "b/two"]
    found = blocks_of(ids)
    assert len(set(found[:10])) == 1
    assert len(set(found[10:12])) == 1
    assert len(set(found)) == 4
    assert blocks_of(ids[::-1]) == found[::-1]
    unpadded = blocks_of([f"a_{n}" for n in range(1, 31)])
    assert [len(set(unpadded[start : start + 10])) for start in (0, 10, 20)] == [1, 1, 1]
    every_other = [f"drive_{n:05}" for n in range(0, 202, 2)]
    assert len(set(blocks_of(every_other))) == 11
    assert len(set(blocks_of(every_other, 300))) == 1  # of video time
    assert len(set(blocks_of(every_other, 100))) == 3


def test_the_length_of_blocks_is_given(sides, tmp_path):
    result = audit(named(Victim_(*sides)), *sides, tmp_path, block=3, label_only=False)
    assert (result["blocks"], result["block_length"]) == ([30, 30], 3)
    assert "in one block of 3 of that number" in write_audit(tmp_path).read_text()


def test_the_command(tmp_path, capsys):
    """A run of ours, as it is and behind defences."""
    data, model = tmp_path / "camvid", tmp_path / "run"
    fabricate_camvid(data)
    for path in (data / "val").iterdir():  # which has the pictures of train
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    assert run("train", "camvid", "--data", data, "--out", model, "--no-progress", *TINY) == 0
    command = ("audit", "run", model, "--members", f"{data}:train", "--nonmembers", f"{data}:val")
    assert run(*command, "--out", tmp_path / "plain", "--no-label-only") == 0
    defended = ("--defence", "temperature=3", "--defence", "rounded=1")
    assert run(*command, *defended, "--out", tmp_path / "defended", "--no-label-only") == 0
    plain, other = (
        json.loads((tmp_path / name / "audit.json").read_text()) for name in ("plain", "defended")
    )
    assert plain["victim"] == str(model)
    assert other["victim"] == f"{model} behind temperature=3 behind rounded=1"
    assert plain["attacks"]["confidence"] != other["attacks"]["confidence"]
    assert (tmp_path / "plain" / "audit.html").exists()
    capsys.readouterr()
    # What was answered at another zoom is not taken for what was asked now.
    assert run(*command, "--out", tmp_path / "plain", "--no-label-only", "--scales", "0.5") == 2
    assert "is of another audit" in capsys.readouterr().err
    for wrong, said in (
        (("--defence", "averaged=4", "--defence", "argmax"), "give it last"),
        (("--defence", "magic"), "choose argmax"),
        (("--defence", "topk=many"), "'many' is no strength"),
        (("--defence", "argmax=2"), "argmax has no strength"),
        (("--members", data), "and a split of it"),
        (("--defence", "gaussian=-1"), "variance: -1"),
    ):
        assert run(*command, *wrong, "--out", tmp_path / "wrong") == 2
        assert said in capsys.readouterr().err


def test_a_model_from_a_python_file(tmp_path, capsys):
    """Its classes are the data set's."""
    data = tmp_path / "camvid"
    fabricate_camvid(data)
    for path in (data / "val").iterdir():  # which has the pictures of train
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    code = tmp_path / "mine.py"
    code.write_text(
        "import torch\n"
        "def network(): return torch.nn.Conv2d(3, 11, 3, padding=1)\n"
        "def two(): return torch.nn.Conv2d(3, 2, 3, padding=1)\n"
        "def number(): return 3\n"
    )
    sides = ("--members", f"{data}:train", "--nonmembers", f"{data}:val", "--no-label-only")
    assert (
        run("audit", "run", f"{code}:network", *sides, "--dataset", "CamVid", "--out", tmp_path / "out") == 0
    )
    assert "sky" in (tmp_path / "out" / "audit.html").read_text()
    (tmp_path / "file").touch()
    capsys.readouterr()
    for model, out, said in (
        (f"{code}:two", "a", "it has 2 classes where the labels have 11"),
        (f"{code}:number", "b", "gives int; a torch.nn.Module is needed"),
        (f"{code}:gone", "c", "has no function gone"),
        (f"{tmp_path}/gone.py:network", "d", "there is no Python file"),
        (f"{code}:network", "file", "file: File exists"),
    ):
        assert run("audit", "run", model, *sides, "--dataset", "CamVid", "--out", tmp_path / out) == 2
        error = capsys.readouterr().err
        assert said in error
        assert len(error.splitlines()) == 1


@pytest.mark.slow  # torch.export, twice
def test_another_exported_file_of_the_same_name(tmp_path, capsys):
    data, model, file = tmp_path / "camvid", tmp_path / "run", tmp_path / "model.pt2"
    fabricate_camvid(data)
    for path in (data / "val").iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    sides = ("--members", f"{data}:train", "--nonmembers", f"{data}:val", "--no-label-only")
    command = ("audit", "run", file, *sides, "--dataset", "CamVid", "--out", tmp_path / "out")
    for seed, code in (("0", 0), ("1", 2)):
        train = ("train", "camvid", "--data", data, "--out", model / seed, "--no-progress", "--seed", seed)
        assert run(*train, *TINY) == 0
        assert run("export", model / seed, "--out", file, "--height", "24", "--width", "32") == 0
        assert run(*command) == code
    assert "is of another audit" in capsys.readouterr().err


def test_maps_follow_their_images_into_another_order(tmp_path):
    """Another audit into the same folder, with as many images in another order, is not shown the old one's maps."""
    pictures, again = Pictures(range(2)), Pictures((1, 0))
    victim = Victim_(pictures)
    for number, dataset in enumerate((pictures, again)):
        kept = Kept(tmp_path / "answers", {})
        ask_all(victim, dataset, kept, side="", label_only=False, maps=tmp_path / "maps.npy")
        found = np.load(tmp_path / "maps.npy")
        fresh = tmp_path / f"fresh_{number}"
        fresh.mkdir()
        ask_all(victim, dataset, Kept(fresh / "answers", {}), side="", label_only=False, maps=fresh / "m.npy")
        np.testing.assert_array_equal(found, np.load(fresh / "m.npy"))
    asked = victim.asked
    kept = Kept(tmp_path / "answers", {})
    ask_all(victim, again, kept, side="", label_only=False, maps=tmp_path / "maps.npy")
    assert victim.asked == asked
