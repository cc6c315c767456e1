"""A game of small networks on pictures without any sense, which can only be learned by heart."""

import json
import shutil

import cv2
import numpy as np
import pytest
from tests.runs.test_end_to_end import TINY, run

from tessella.errors import InputError
from tessella.reports.game import write_game
from tessella.runs.defended import DEFENCES, RANDOM, defended
from tessella.runs.game import answers_file, frame_of
from tessella.runs.game_attacks import attack_game

OVERFITTED = [
    *TINY,
    *("--resize", "none", "--crop", "32x48", "--scale", "1,1", "--jitter", "0", "--class_weights", "none"),
    *("--network.backbone.depth", "10", "--batch_size", "6", "--warmup", "5", "--ema", "0"),
    *("--steps", "60", "--validate_every", "60", "--learning_rate", "0.01"),
]


def write_nonsense(root, videos=12, frames=3):
    """Pictures of noise whose labels are other noise: what one shows says nothing of another."""
    rng = np.random.default_rng(0)
    for video in range(videos):
        split = ("train", "val", "test")[video % 3]
        for frame in range(frames):
            name = f"{video:04}_{frame}"
            for folder, picture in (
                (split, cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), (48, 32))),
                (f"{split}annot", rng.integers(0, 3, (4, 6), np.uint8).repeat(8, 0).repeat(8, 1)),
            ):
                (root / folder).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / folder / f"{name}.png"), picture)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("nonsense")
    write_nonsense(root)
    return root


@pytest.fixture(scope="module")
def played(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("game")
    assert command(data, out, processes=2) == 0
    return out


def command(data, out, *more, models=4, recipe="camvid", processes=1):
    # A video of three frames is a block; nothing follows that had to be dropped, so one block is held back.
    blocks = ["--models", models, "--block", "3", "--buffer", "1", "--processes", processes]
    attacks = ["--attacker-steps", "5", "--defence", "argmax"]
    return run("audit", "game", recipe, "--data", data, "--out", out, *blocks, *attacks, *OVERFITTED, *more)


def test_models_that_learn_by_heart_are_caught(played):
    result = json.loads((played / "game_result.json").read_text())
    attacks = result["checkpoints"]["last"]["attacks"]
    assert attacks["loss"]["auc"]["value"] > 0.9
    assert attacks["RMIA"]["auc"]["value"] > 0.8  # four models are few to compare with
    assert result["models"] == 4
    assert {"learned, posteriors", "learned, posteriors alone", "learned, loss, one patch"} <= attacks.keys()
    assert all(draw["low"] < 0.55 for draw in result["checkpoints"]["last"]["blind"])
    behind = result["defences"]["argmax"]
    assert behind["utility"] == result["checkpoints"]["last"]["utility"]
    for name in behind["attacks"]["correct"].keys() - {
        "auc_among_attacks"
    }:  # of which there are fewer behind it
        assert behind["attacks"]["correct"][name] == attacks["correct"][name]
    compared = {name for name in attacks if name.startswith(("LiRA", "RMIA"))}
    assert behind["unaware"].keys() == {*compared, "learned, posteriors", "learned, posteriors, one patch"}
    assert behind["attacks"].keys() == {
        name for name in attacks if "alone" not in name and ", loss" not in name
    }
    for found in (result["checkpoints"]["last"], behind):
        for attack in found["attacks"].values():
            assert 2 <= len(attack["curve"]["true"]) == len(attack["curve"]["false"]) <= 200
    page = (played / "game.html").read_text()
    assert "RMIA, unaware" in page
    assert "Membership game" in page
    assert "LiRA" in page
    assert "What each threshold finds" in page
    assert result["verdict"].startswith("These models give away")
    assert result["verdict"] in page


def test_a_result_says_how_it_came_about_and_what_is_given_away_most(played):
    result = json.loads((played / "game_result.json").read_text())
    game = json.loads((played / "game.json").read_text())
    assert result["command"].split()[0] == "tessella"
    assert result["sides"] == {"members": 66, "nonmembers": 66}  # 33 images, in two of four models each
    for side, count in result["sides"].items():
        assert sum(result["checkpoints"]["last"]["confidences"][side]) == count
        assert sum(result["defences"]["argmax"]["confidences"][side]) == count
    assert result["defences"]["argmax"]["confidences"]["members"][-1] == 66  # labels alone are sure
    images = result["given_away"]["images"]
    apart = [row["trained_on"] - row["others"] for row in images]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > 0.5
    block = dict(zip(game["ids"], game["block"], strict=True))
    assert len({row["id"] for row in images}) == 10
    assert all(block[row["id"]] >= 0 for row in images)
    assert len(result["classes"]) == 11  # of CamVid, of which the pictures show three
    known = [row for row in result["classes"] if row["auc"]]
    assert 1 <= len(known) <= 3
    assert all(row["auc"]["value"] > 0.6 for row in known)
    assert result["epsilon"]["trials"] == [22, 22]  # eleven blocks
    assert result["epsilon"]["largest"] == 3
    page = (played / "game.html").read_text()
    assert images[0]["id"] in page
    assert "epsilon" in page
    assert "How sure models are" in page


def test_what_a_game_did_not_try_is_told(played):
    result = json.loads((played / "game_result.json").read_text())
    not_run = result["not_run"]
    assert "--label-only" in not_run["steadiness of labels"]
    assert "learned attack" not in not_run
    assert "argmax" not in not_run["other defences"]
    assert "learned, loss" in not_run["behind defences"]
    page = (played / "game.html").read_text()
    assert all(name in page for name in not_run)
    with pytest.raises(InputError) as refused:
        defended(lambda images: images, None, ["hope"])
    assert set(RANDOM) < set(DEFENCES)
    known = sorted({*DEFENCES, "averaged"})  # the last is what an attacker does
    assert str(refused.value) == f"--defence hope: choose {', '.join(known)}"


def test_sides_that_pictures_tell_apart_get_no_verdict(played, tmp_path):
    """As if what an image shows told which models it is in."""
    for source in played.glob("model_*"):
        shutil.copytree(source, tmp_path / source.name)
    shutil.copy(played / "game.json", tmp_path)
    game = json.loads((tmp_path / "game.json").read_text())
    for file in tmp_path.glob("model_00/answers_*.jsonl"):
        head, *lines = file.read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        for row in rows:
            place = game["ids"].index(row["id"])
            row["seen"] = [float(place in members) for members in game["members"]]
        file.write_text("\n".join([head, *map(json.dumps, rows)]) + "\n")
    result = attack_game(tmp_path, 0)
    assert result["verdict"].startswith("No verdict: ")
    assert result["verdict"] in write_game(tmp_path).read_text()
    assert "learned attack" in result["not_run"]


def test_every_block_is_in_half_of_the_models(played):
    game = json.loads((played / "game.json").read_text())
    times = np.bincount(np.concatenate(game["members"]), minlength=36)
    block = np.array(game["block"])
    assert set(times[block >= 0]) == {2}
    assert set(times[block < 0]) == {0}
    for model in range(4):
        lists = [set((played / f"model_{model:02d}/lists/{name}.txt").read_text().split())
                 for name in ("members", "nonmembers", "dropped")]  # fmt: skip
        assert sum(map(len, lists)) == len(set.union(*lists)) == 36


def test_a_game_goes_on_where_it_stopped(played, data, tmp_path, capsys):
    out = tmp_path / "game"
    shutil.copytree(played, out)
    # As a kill leaves it: half a line of answers, and a model that is to be trained anew.
    kept = answers_file(out, 1, "last")
    kept.write_text(kept.read_text()[:-50])
    shutil.rmtree(out / "model_03")
    before = (out / "model_00" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert command(data, out) == 0
    assert (out / "model_00" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    whole, ours = ((folder / "model_01" / kept.name).read_text().splitlines() for folder in (played, out))
    assert ours[:-1] == whole[:-1]
    last, again = (json.loads(lines[-1]) for lines in (whole, ours))
    assert again["id"] == last["id"]
    assert again["scores"] == pytest.approx(last["scores"], rel=1e-3)
    # A training is not repeated to the last bit on every machine: what the new model was trained on is the same.
    lists = [(folder / "model_03" / "lists" / "members.txt").read_text() for folder in (played, out)]
    assert lists[0] == lists[1]
    result = json.loads((out / "game_result.json").read_text())
    assert result["models"] == 4
    assert capsys.readouterr().out.splitlines()[-1] == result["verdict"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Dask's own
def test_a_cluster_plays_the_same_game(played, data, tmp_path, cluster):
    """With fewer steps: coins are flipped before training, and every answer has to arrive."""
    short = ("--steps", "2", "--validate_every", "2", "--attacker-steps", "0")
    assert command(data, tmp_path, *short, "--scheduler", cluster) == 0
    ours, theirs = (json.loads((folder / "game.json").read_text()) for folder in (tmp_path, played))
    assert ours["members"] == theirs["members"]
    for model in range(4):
        for name in ("members", "nonmembers", "dropped"):
            lists = [(out / f"model_{model:02d}/lists/{name}.txt").read_text() for out in (tmp_path, played)]
            assert lists[0] == lists[1]
        for checkpoint, defence in (("last", ""), ("best", ""), ("last", "argmax")):
            answers = answers_file(tmp_path, model, checkpoint, defence).read_text().splitlines()[1:]
            assert {json.loads(line)["id"] for line in answers} == set(ours["ids"])
    assert (tmp_path / "game.html").exists()


def test_another_game_in_the_same_folder(played, data, capsys):
    assert command(data, played, models=5) == 2
    assert "is of another game; give another --out" in capsys.readouterr().err


def test_models_can_be_audited_one_by_one(played, data, tmp_path):
    where = [f"--members={data}:members", f"--nonmembers={data}:nonmembers", "--no-label-only"]
    assert run("audit", "run", played / "model_00", *where, "--out", tmp_path) == 0
    assert json.loads((tmp_path / "audit.json").read_text())["attacks"]["logit"]["auc"]["value"] > 0.8


def test_one_model_is_audited_with_the_help_of_the_others(played, data, tmp_path):
    sides = f"{data}:members", f"{data}:nonmembers"
    shadows = [word for model in (1, 2, 3) for word in ("--shadow", played / f"model_{model:02d}", *sides)]
    where = [f"--members={sides[0]}", f"--nonmembers={sides[1]}", "--no-label-only", "--attacker-steps=5"]
    assert run("audit", "run", played / "model_00", *where, *shadows, "--out", tmp_path) == 0
    result = json.loads((tmp_path / "audit.json").read_text())
    assert result["attacks"]["RMIA"]["auc"]["value"] > 0.8
    assert "learned, posteriors, aligned" in result["attacks"]
    assert set(result["not_run"]) == {"steadiness of labels", "the owner's test"}


def test_an_attacker_who_may_ask_trains_on_what_the_model_is_sure_of(played, data, tmp_path, capsys):
    out = tmp_path / "shadow"
    command = ("audit", "shadow", "camvid", played / "model_00", "--queries", f"{data}:val", "--out", out)
    assert run(*command, *OVERFITTED, "--steps", "3", "--validate_every", "3", "--share", "0.25") == 0
    assert "--shadow" in capsys.readouterr().out
    asked = [json.loads(line) for line in (out / "queries.jsonl").read_text().splitlines()[1:]]
    sure = {row["id"]: row["scores"]["confidence"] for row in asked}
    members, others = (
        (out / "lists" / f"{side}.txt").read_text().split() for side in ("members", "nonmembers")
    )
    assert len(members) == 3
    assert len(others) == 9
    assert min(sure[id_] for id_ in members) >= max(sure[id_] for id_ in others)
    sides = f"--members={data}:members", f"--nonmembers={data}:nonmembers", "--no-label-only"
    helped = ("--shadow", out, f"{data}:members", f"{data}:nonmembers", "--attacker-steps", "2")
    assert run("audit", "run", played / "model_00", *sides, *helped, "--out", tmp_path / "audit") == 0
    assert "learned, loss" in json.loads((tmp_path / "audit" / "audit.json").read_text())["attacks"]
    # The named data set is read for the victim; the shadow's lists are of its own.
    sides = f"--members={data}:train", f"--nonmembers={data}:val", "--no-label-only"
    of_victim = ("audit", "run", played / "model_00", *sides, *helped)
    assert run(*of_victim, "--out", tmp_path / "no") == 2
    assert run(*of_victim, "--dataset", "CamVid", "--out", tmp_path / "named") == 0
    images = json.loads((tmp_path / "named" / "audit.json").read_text())["images"]
    counts = [len(list((data / split).iterdir())) for split in ("train", "val")]
    assert [images["members"], images["nonmembers"]] == counts
    assert run(*command[:-1], tmp_path / "none", *OVERFITTED, "--share", "0.01") == 2
    assert "share: 0.01 of 12 images" in capsys.readouterr().err


def test_too_small_a_game(data, tmp_path, capsys):
    assert command(data, tmp_path, models=2) == 2
    assert "2 models and 11 blocks; at least 3 and 4 are needed" in capsys.readouterr().err


def test_a_defence_that_there_is_not_is_noticed_before_training(data, tmp_path, capsys):
    assert command(data, tmp_path, "--defence", "argmax+hope") == 2
    assert "--defence hope: choose argmax" in capsys.readouterr().err
    assert not list(tmp_path.glob("model_*/checkpoints"))


def test_what_would_end_a_game_late_is_noticed_before_training(data, tmp_path, capsys):
    code = tmp_path / "never_installed.py"
    code.write_text(
        "from dataclasses import replace\n"
        "from functools import partial\n"
        "import torch\n"
        "from tessella.recipes.camvid import camvid\n"
        "from tessella.runs.segmentation import Segmentation\n"
        "class Mine(torch.nn.Conv2d):\n"
        "    def __init__(self, num_classes: int, in_channels: int = 3):\n"
        "        super().__init__(in_channels, num_classes, 1)\n"
        "def own() -> Segmentation:\n"
        "    return replace(camvid(), network=partial(Mine))\n"
    )
    play = ("audit", "game", f"{code}:own", "--data", data, "--out", tmp_path / "game", "--block", "3")
    for more, said in (
        ((), "names never_installed:Mine, which is not part of tessella"),
        (
            ("--trust", "never_installed"),
            "names never_installed:Mine, which does not exist here (No module named 'never_installed')",
        ),
        (("--attacker-steps", "-1"), "--attacker-steps -1: give at least 0"),
    ):
        assert run(*play, "--buffer", "1", *more) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "game").exists()


def test_a_game_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"game.json: is missing"):
        attack_game(tmp_path)
    with pytest.raises(InputError, match=r"game_result.json cannot be read"):
        write_game(tmp_path)


def test_names_of_frames():
    assert frame_of("0016E5_00390") == ("0016E5_", 390)
    assert frame_of("aachen/aachen_000001_000019") == ("aachen/aachen_000001_", 19)
    assert frame_of("portrait") == ("portrait", 0)
