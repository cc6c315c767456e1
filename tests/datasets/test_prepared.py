"""Prepared files beside the pictures of another reader; the files here are written by hand."""

import shutil
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.fabricate import fabricate_nyudv2_frames, truncate, write_image

from tessella.datasets import NYUDv2Frames, Prepared
from tessella.datasets.loading import training_loader
from tessella.datasets.prepared_folder import PreparedFolder, encode_flow, read_flow
from tessella.datasets.transforms import Compose, RandomAffineCrop, RandomViews
from tessella.errors import InputError
from tessella.runs.configuration import fields, from_json, override, to_json

SHAPE = (24, 32)
VIDEO = partial(NYUDv2Frames, neighbours=(-2, -1, 1, 2))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of five frames; the ids of frame n are 10 n and 10 n + 1 everywhere, on two levels."""
    root = tmp_path_factory.mktemp("nyudv2")
    fabricate_nyudv2_frames(root, splits=("train",))
    folder = PreparedFolder(root / "prepared")
    for video in ("kitchen_0001", "office_0002"):
        ids = [f"train/{video}/{frame:05}" for frame in range(5)]
        for number, id_ in enumerate(ids):
            write_image(folder.hha(id_), 50 + number)
        path = folder.correspondences(ids[2])
        path.parent.mkdir(parents=True)
        levels = np.arange(2, dtype=np.int32)[:, None, None] + np.zeros((1, *SHAPE), np.int32)
        np.savez(path, **{id_: 10 * number + levels for number, id_ in enumerate(ids)})
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "nyudv2")


def test_regions_and_hha_of_each_frame(root: Path) -> None:
    data = Prepared(root, "train", dataset=VIDEO)
    assert data.ids == ("train/kitchen_0001/00002", "train/office_0002/00002")
    assert len(data) == 2
    assert len(data.classes) == 13
    sample = data[1]
    assert sample.labels is not None
    for number, frame in zip((2, 0, 1, 3, 4), (sample, *sample.neighbours), strict=True):
        assert frame.regions.shape == (*SHAPE, 2)
        assert frame.regions[3, 4].tolist() == [10 * number, 10 * number + 1]
        expected = cv2.imread(str(root / f"prepared/hha/{frame.id}.png"), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(frame.image[..., 3:], expected)
    color = Prepared(root, "train", dataset=VIDEO, hha=False)[1]
    assert np.array_equal(color.image, sample.image[..., :3])


def test_a_step_reads_its_views_alone(root: Path) -> None:
    """With all other frames gone, a draw of one neighbour still works."""
    data = Prepared(root, "train", dataset=VIDEO)
    drawn = RandomViews(2)(data[0], np.random.default_rng(3)).neighbours[0].id
    for path in root.rglob("*_color.png"):
        if "kitchen" in str(path) and path.name[:5] not in ("00002", drawn[-5:]):
            path.unlink()
    assert RandomViews(2)(data[0], np.random.default_rng(3)).neighbours[0].id == drawn
    with pytest.raises(InputError, match="cannot be read"):
        list(data[0].neighbours)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_worker_processes(root: Path, workers: int) -> None:
    data = Prepared(root, "train", dataset=VIDEO)
    transform = Compose([RandomViews(3), RandomAffineCrop((16, 20), (0.9, 1.1))])
    loader = training_loader(data, transform, 2, seed=1, workers=workers)
    for batch in islice(loader, 2):
        assert batch["image"].shape == (2, 6, 16, 20)
        assert batch["neighbours"].shape == (2, 2, 6, 16, 20)
        assert batch["regions"].shape == (2, 3, 2, 16, 20)
        # Each view knows its frame on both levels, and the target is frame 2.
        known = batch["regions"][:, :, 0] >= 0
        assert torch.equal(
            (batch["regions"][:, :, 1] - batch["regions"][:, :, 0])[known], known[known].long()
        )
        assert batch["regions"][:, 0].max() == 21


def test_what_is_missing_is_named_with_the_command(root: Path, tmp_path: Path) -> None:
    command = f"run 'tessella data prepare NYUDv2Frames {root}"
    hha = root / "prepared/hha/train/kitchen_0001/00000.png"
    hha.unlink()
    sample = Prepared(root, "train", dataset=VIDEO)[0]
    with pytest.raises(
        InputError, match=rf"kitchen_0001/00000\.png: is not prepared; {command}', or give hha"
    ):
        sample.neighbours[0]
    (root / "prepared/hha/train/kitchen_0001/00002.png").unlink()
    with pytest.raises(InputError, match=r"hha/train/kitchen_0001/00002\.png: is not prepared"):
        Prepared(root, "train", dataset=VIDEO)
    with pytest.raises(
        InputError, match=rf"elsewhere/correspondences/.*npz: is not .*{command} --out elsewhere'"
    ):
        Prepared(root, "train", dataset=VIDEO, folder="elsewhere")


def test_damaged_and_foreign_files(root: Path) -> None:
    data = Prepared(root, "train", dataset=VIDEO)
    path = root / "prepared/correspondences/train/kitchen_0001/00002.npz"
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files[:4]}
    np.savez(path, **kept)
    neighbours = data[0].neighbours
    with pytest.raises(InputError, match=r"00002\.npz: lacks train/kitchen_0001/00004; prepare a larger"):
        neighbours[3]
    truncate(path)
    with pytest.raises(InputError, match=r"00002\.npz: is missing or damaged"):
        data[0]
    write_image(root / "prepared/hha/train/office_0002/00002.png", size=(12, 16))
    with pytest.raises(InputError, match=r"office_0002/00002\.png: is 16x12"):
        data[1]


def test_the_wrapped_reader_is_part_of_the_configuration() -> None:
    config = partial(Prepared, dataset=partial(NYUDv2Frames, classes=13, neighbours=(-1, 1)))
    names = {field.name: field.value for field in fields(config)}
    assert names["dataset.classes"] == 13
    assert names["folder"] is None
    changed = override(config, {"dataset.classes": 40, "hha": False})
    assert changed.keywords["dataset"].keywords["classes"] == 40
    assert to_json(from_json(to_json(changed))) == to_json(changed)


def test_flow_is_stored_as_kitti_does(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).uniform(-500, 500, (7, 9, 2)).astype(np.float32)
    flow[0, 0] = (1000, -1000)
    stored = encode_flow(flow)
    assert stored.dtype == np.uint16
    assert stored[0, 0].tolist() == [65535, 0, 0]
    assert (stored[1:, :, 2] == 1).all()
    cv2.imwrite(str(tmp_path / "flow.png"), stored[..., ::-1])
    read = read_flow(tmp_path / "flow.png")
    assert np.abs(read - flow)[1:].max() <= 1 / 128
    assert read[0, 0].tolist() == pytest.approx([512, -512], abs=0.1)
