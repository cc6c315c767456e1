"""From rendered video to a network trained and evaluated with several views, as a user types it."""

import json
from pathlib import Path

import pytest
import torch
from tests.datasets.fabricate import fabricate_sun3d
from tests.runs.test_end_to_end import run

from tessella.datasets import NYUDv2Frames, Prepared
from tessella.datasets.loading import collate
from tessella.errors import InputError
from tessella.pooling import SpatioTemporalPooling
from tessella.recipes.pooling import rooms_pooling
from tessella.runs.configuration import override
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_test_split
from tessella.runs.views import predict_views, room_for_views
from tessella.scenes import render

SMALL = [
    *("--network.backbone.width", "16", "--network.pyramid_channels", "8", "--network.head_channels", "8"),
    *("--crop", "32x40", "--batch_size", "1", "--steps", "2", "--validate_every", "2", "--workers", "0"),
]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rooms")
    render("room", root, sequences={"train": 2, "test": 1}, frames=4, height=48, width=64)
    command = ("data", "prepare", "NYUDv2Frames", root / "frames", "--window", 3, "--workers", 1)
    assert run(*command, "--regions", "12,40") == 0
    return root / "frames"


@pytest.fixture(scope="module")
def trained(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pooling"
    views = ("--views.training", 3, "--views.test", 4)
    assert run("train", "rooms_pooling", "--data", rooms, "--out", out, "--no-progress", *SMALL, *views) == 0
    return out


def mean_iou(folder: Path) -> float:
    return json.loads((folder / "result.json").read_text())["metrics"]["mean_iou"]


def test_views_regions_or_neither_at_test(trained: Path, tmp_path: Path) -> None:
    """One network: the full model, superpixel+ and the network alone."""
    confusions = []
    for views in (None, 4, 1, 0):
        out = tmp_path / str(views)
        chosen = () if views is None else ("--views", views)
        assert run("evaluate", trained, "--out", out, *chosen) == 0
        confusions.append(json.loads((out / "result.json").read_text())["confusion"])
    assert confusions[0] == confusions[1]
    assert len({str(confusion) for confusion in confusions}) == 3


def test_evaluation_brings_the_drawn_views_together(trained: Path, rooms: Path) -> None:
    model = load_model(str(trained))
    batch = collate([open_test_split(model.config, rooms, "test")[0]])
    assert batch["neighbours"].shape == (1, 3, 6, 48, 64)
    assert batch["regions"].shape == (1, 4, 2, 48, 64)
    posteriors = model.on_batches(torch.device("cpu"))(batch)
    torch.testing.assert_close(posteriors.sum(1), torch.ones(1, 48, 64))
    assert not posteriors.isnan().any()
    finest = batch["regions"][0, 0, 1]
    for region in finest.unique():
        inside = posteriors[0][:, finest == region]
        torch.testing.assert_close(inside, inside[:, :1].expand_as(inside))


def test_a_model_of_another_library_learns_from_views(
    rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SegFormer, whose logits are a quarter of the image's size: trained with views, tested with and without."""
    monkeypatch.syspath_prepend(tmp_path)
    recipes = tmp_path / "my_recipes.py"
    recipes.write_text(
        "from dataclasses import replace\n"
        "from functools import partial\n"
        "from transformers import SegformerConfig, SegformerForSemanticSegmentation\n"
        "from tessella.datasets import NYUDv2Frames, Prepared\n"
        "from tessella.inference import InferencePlan\n"
        "from tessella.networks.adapters import as_network\n"
        "from tessella.recipes.streets import rooms\n"
        "from tessella.runs.segmentation import Segmentation\n"
        "from tessella.runs.views import Views\n"
        "def segformer(num_classes: int, in_channels: int):\n"
        "    config = SegformerConfig(num_labels=num_classes, num_channels=in_channels,\n"
        "        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32],\n"
        "        num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16)\n"
        "    return as_network(SegformerForSemanticSegmentation(config), num_classes)\n"
        "def views() -> Segmentation:\n"
        "    video = partial(NYUDv2Frames, classes=13, depth=True, neighbours=tuple(range(-3, 4)))\n"
        "    data = partial(Prepared, dataset=video, hha=False)\n"
        "    return replace(rooms(), network=partial(segformer), dataset=data, views=Views(training=3, test=4),\n"
        "        inference=InferencePlan())\n"
    )
    out = tmp_path / "run"
    command = ("train", f"{recipes}:views", "--data", rooms, "--out", out, "--no-progress", *SMALL[6:])
    assert run(*command) == 0
    scores = []
    for views in (4, 1, 0):
        assert (
            run("evaluate", out, "--trust", "my_recipes", "--views", views, "--out", tmp_path / str(views))
            == 0
        )
        scores.append(json.loads((tmp_path / str(views) / "result.json").read_text())["confusion"])
    assert len({str(score) for score in scores}) == 3


def test_frozen_stages_are_computed_once_for_each_frame(rooms: Path, tmp_path: Path) -> None:
    options = (*SMALL, "--crop", "none", "--jitter", 0, "--frozen_stages", 2, "--views.recompute", "true")
    views = ("--views.training", 3, "--views.test", 1, "--steps", 4, "--validate_every", 4)
    command = ("train", "rooms_pooling", "--data", rooms, "--out", tmp_path / "run", "--no-progress")
    assert run(*command, *options, *views) == 0
    kept = len(list((tmp_path / "run" / "features").glob("*.pt")))
    assert kept <= 2 * 4 + 1  # frames of the training videos, and the image that validates


def test_what_is_missing_is_said(rooms: Path, trained: Path, tmp_path: Path, capsys) -> None:
    assert run("evaluate", trained, "--data", tmp_path, "--out", tmp_path / "out") == 2
    assert str(tmp_path) in capsys.readouterr().err
    folders = tmp_path / "folders.py"
    folders.write_text(
        "from dataclasses import replace\n"
        "from functools import partial\n"
        "from tessella.datasets import NYUDv2Frames\n"
        "from tessella.recipes.pooling import rooms_pooling\n"
        "from tessella.runs.segmentation import Segmentation\n"
        "def unprepared() -> Segmentation:\n"
        "    return replace(rooms_pooling(), dataset=partial(NYUDv2Frames))\n"
    )
    command = ("train", f"{folders}:unprepared", "--data", rooms, "--out", tmp_path / "run", "--no-progress")
    assert run(*command, *SMALL) == 2
    assert "views need a data set that is Prepared" in capsys.readouterr().err
    with pytest.raises(Exception, match="not prepared"):
        Prepared(rooms, "train", dataset=NYUDv2Frames, folder=str(tmp_path / "nothing"))
    assert run("evaluate", trained, "--views", -1, "--out", tmp_path / "out") == 2
    assert "at least 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("views.training", 0, "views.training: 0 given; 1 is the labelled picture alone"),
        ("views.test", -3, "views.test: -3 given"),
        ("views.pooling.spatial", "biggest", "spatial: 'biggest' given; choose mean or max"),
        ("views.pooling.temporal", "sum", "temporal: 'sum' given; choose mean or max"),
    ],
)
def test_options_of_views_are_refused_when_they_are_given(field: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        override(rooms_pooling(), {field: value})
    assert override(rooms_pooling(), {"views.pooling.spatial": "max"}).views.pooling().spatial == "max"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."
        ),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_more_views_than_memory(error: Exception, trained: Path, rooms: Path) -> None:
    """In a step of the network, and in a prediction."""

    def no_room(views: torch.Tensor) -> torch.Tensor:
        raise error

    batch = collate([open_test_split(load_model(str(trained)).config, rooms, "test")[0]])
    predict = predict_views(no_room, SpatioTemporalPooling(), torch.device("cpu"))
    with pytest.raises(
        InputError, match=r"memory does not suffice for so many views: give fewer with --views"
    ):
        predict(batch)


def test_other_errors_stay_what_they_are() -> None:
    for error in (RuntimeError("shapes differ"), KeyError("image")):
        with pytest.raises(type(error)) as caught, room_for_views("nothing"):
            raise error
        assert caught.value is error


def test_a_training_with_more_views_than_memory_names_the_ways_out(
    rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def no_room(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("tessella.runs.views.logits_of_views", no_room)
    command = ("train", "rooms_pooling", "--data", rooms, "--out", tmp_path / "run", "--no-progress")
    assert run(*command, *SMALL) == 2
    said = capsys.readouterr().err
    assert "--views.recompute true" in said
    assert "--frozen_stages" in said
    assert "--views.training" in said


def test_forty_classes_are_merged_for_sun3d(rooms: Path, tmp_path: Path) -> None:
    """A model of prepared NYUDv2 frames on another data set, with views of that (table 3.6)."""
    fabricate_sun3d(tmp_path / "sun3d", frames=3)
    assert run("data", "prepare", "SUN3D", tmp_path / "sun3d", "--window", 1, "--workers", 1) == 0
    options = (*SMALL, "--dataset.dataset.classes", 40, "--dataset.hha", "false")
    out = tmp_path / "run"
    assert run("train", "rooms_pooling", "--data", rooms, "--out", out, "--no-progress", *options) == 0
    other = ("--dataset", "SUN3D", "--data", tmp_path / "sun3d", "--split", "all")
    assert run("evaluate", out, *other, "--out", tmp_path / "result") == 0
    assert len(json.loads((tmp_path / "result" / "result.json").read_text())["classes"]) == 33
