"""Preparing videos: every file is what the functions give directly, once, whoever does the work."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from tests.datasets.fabricate import (
    fabricate_camvid,
    fabricate_cityscapes,
    fabricate_nyudv2_frames,
    fabricate_sun3d,
    truncate,
    write_image,
)

from tessella.cli import main
from tessella.commands.executor import executor
from tessella.datasets import SUN3D, CamVid, Cityscapes, NYUDv2, NYUDv2Frames, Prepared
from tessella.datasets.kinect import COLOR_CAMERA, camera_matrix
from tessella.datasets.prepared_folder import PreparedFolder, encode_flow, read_flow
from tessella.errors import InputError
from tessella.pooling import correspondences, fill_depth, hha, optical_flow, region_hierarchy
from tessella.pooling.superpixels import LEAVES, MATCHED
from tessella.runs import preparation
from tessella.runs.preparation import Settings, prepare
from tessella.scenes import render

LEVELS = (8, 30)


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def prepare_here(
    reader: type, root: Path, out: Path, settings: Settings | None = None, **options
) -> list[str]:
    executor = ThreadPoolExecutor(1)
    try:
        return prepare(reader, root, out, executor, settings or Settings(LEVELS), **options)
    finally:
        executor.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training and a test video of five frames; frames of the first have holes in their depth."""
    root = tmp_path_factory.mktemp("rooms")
    render("room", root, sequences={"train": 1, "test": 1}, frames=5, height=48, width=64)
    for path in sorted(root.glob("frames/train/*/*_depth_filled.png"))[:2]:
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        depth[10:20, 20:30] = 0
        cv2.imwrite(str(path), depth)
    return root


@pytest.fixture(scope="module")
def prepared(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    assert prepare_here(NYUDv2Frames, rooms / "frames", out) == ["train", "test"]
    return out


def read_back(rooms: Path, out: Path, split: str, reach: int = 50, **options):
    offsets = tuple(range(-reach, reach + 1))
    dataset = partial(NYUDv2Frames, depth=True, neighbours=offsets)
    return Prepared(rooms / "frames", split, dataset=dataset, folder=str(out), **options)


def test_what_is_read_back_is_what_is_computed(rooms: Path, prepared: Path) -> None:
    sample = read_back(rooms, prepared, "train")[0]
    plain = NYUDv2Frames(rooms / "frames", "train", depth=True, neighbours=range(-9, 10))
    video, target = list(plain[0].neighbours), plain.records[0].earlier
    video.insert(target, plain[0])
    assert (video[0].depth == 0).any()
    depths = [fill_depth(frame.depth) for frame in video]
    most = max(LEVELS)
    hierarchies = [
        region_hierarchy(frame.image, depth, LEAVES * most)
        for frame, depth in zip(video, depths, strict=True)
    ]
    regions = [hierarchy.cut(MATCHED * most) for hierarchy in hierarchies]
    regions[target] = np.stack([hierarchies[target].cut(count) for count in LEVELS])

    def flow(first, second):
        stored = encode_flow(optical_flow(first.image, second.image))
        assert stored[..., 2].all()
        return (stored[..., :2].astype(np.float32) - 2**15) / 64

    flows = [(flow(a, b), flow(b, a)) for a, b in pairwise(video)]
    expected = correspondences(regions, flows, target)
    views = list(sample.neighbours)
    views.insert(target, sample)
    camera = camera_matrix(COLOR_CAMERA, 48, 64)
    for view, frame, depth, maps in zip(views, video, depths, expected, strict=True):
        assert view.id == frame.id
        assert view.image.shape == (48, 64, 6)
        assert np.array_equal(view.image[..., :3], frame.image)
        assert np.array_equal(view.image[..., 3:], hha(depth, camera, frame.depth == 0))
        assert view.regions.dtype == np.int32
        assert np.array_equal(view.regions, np.moveaxis(maps, 0, 2))
    assert sample.regions.max(axis=(0, 1)).tolist() == [7, 29]
    assert np.array_equal(sample.labels, plain[0].labels)


def test_layout(rooms: Path, prepared: Path) -> None:
    scenes = {path.parent.name: path.name for path in (rooms / "frames").glob("*/*")}
    frames = [f"{split}/{scene}/{frame:05}" for split, scene in scenes.items() for frame in range(5)]
    first = [id_ for id_ in frames if not id_.endswith("4")]
    last = [id_ for id_ in frames if not id_.endswith("0" * 5)]
    targets = [id_ for id_ in frames if id_.endswith("3")]
    assert set(content(prepared)) == {
        "settings.json",
        *(f"hha/{id_}.png" for id_ in frames),
        *(f"regions/{id_}.npz" for id_ in frames),
        *(f"flow/{id_}.png" for id_ in first),
        *(f"flow_back/{id_}.png" for id_ in last),
        *(f"correspondences/{id_}.npz" for id_ in targets),
    }
    assert json.loads((prepared / "settings.json").read_text()) == {
        "version": 3,
        "dataset": "NYUDv2Frames",
        "regions": [8, 30],
        "window": 50,
        "step": 1,
        "match": "regions",
        "flow": "dis",
        "depth": True,
    }


def test_nothing_is_done_twice_and_what_is_lost_is_done_again(
    rooms: Path, prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(prepared, out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    calls: list[tuple[int, int]] = []
    prepare_here(NYUDv2Frames, rooms / "frames", out, progress=lambda *counts: calls.append(counts))
    assert calls == [(20, 20)]
    assert {path: path.stat().st_mtime_ns for path in times} == times
    lost = [next(out.glob("hha/train/*/00001.png")), next(out.glob("correspondences/test/*/*.npz"))]
    lost += [next(out.glob("regions/test/*/00000.npz")), next(out.glob("flow_back/test/*/00002.png"))]
    for path in lost:
        path.unlink()
    calls.clear()
    prepare_here(NYUDv2Frames, rooms / "frames", out, progress=lambda *counts: calls.append(counts))
    assert calls == [(done, 20) for done in range(16, 21)]
    assert content(out) == content(prepared)
    changed = {path for path, time_ in times.items() if path.stat().st_mtime_ns != time_}
    assert changed == set(lost)


def test_flow_and_regions_may_go_when_targets_are_done(rooms: Path, prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(prepared, out)
    for name in ("flow", "flow_back", "regions"):
        shutil.rmtree(out / name)
    prepare_here(NYUDv2Frames, rooms / "frames", out)
    assert {path.name for path in out.iterdir()} == {"settings.json", "hha", "correspondences"}
    assert len(read_back(rooms, out, "test")[0].neighbours) == 4


@pytest.mark.parametrize("pieces", [3, 13, 18])
def test_interrupted_and_finished_gives_the_same_bytes(
    rooms: Path, prepared: Path, tmp_path: Path, pieces: int
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == pieces:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_here(NYUDv2Frames, rooms / "frames", tmp_path, progress=interrupt)
    assert content(tmp_path).items() < content(prepared).items()
    prepare_here(NYUDv2Frames, rooms / "frames", tmp_path)
    assert content(tmp_path) == content(prepared)


def test_two_processes_give_the_same_bytes(rooms: Path, prepared: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        prepare(NYUDv2Frames, rooms / "frames", tmp_path, executor, Settings(LEVELS))
    assert content(tmp_path) == content(prepared)


@pytest.mark.filterwarnings("default")  # of Dask's own
def test_a_cluster_gives_the_same_bytes(
    rooms: Path, prepared: Path, tmp_path: Path, cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path), "--regions", "8,30", "--scheduler", cluster]
    assert main(["data", "prepare", "NYUDv2Frames", str(rooms / "frames"), *arguments]) == 0
    made = content(tmp_path)
    assert made.pop("regions.png").startswith(b"\x89PNG")
    assert made == content(prepared)
    assert "are found again" in capsys.readouterr().out


def test_pixels_are_followed_one_by_one(rooms: Path, prepared: Path, tmp_path: Path) -> None:
    prepare_here(NYUDv2Frames, rooms / "frames", tmp_path, Settings(match="pixels"))
    assert not (tmp_path / "regions").exists()
    by_pixel, by_region = (read_back(rooms, out, "train")[0] for out in (tmp_path, prepared))
    assert np.array_equal(by_pixel.regions[..., 0], np.arange(48 * 64).reshape(48, 64))
    own = by_region.regions[..., 1].ravel()
    for pixels, regions in zip(by_pixel.neighbours, by_region.neighbours, strict=True):
        known = pixels.regions[..., 0] >= 0
        assert known.mean() > 0.5
        # A pixel that is found comes with its region.
        assert np.array_equal(own[pixels.regions[..., 0][known]], regions.regions[..., 1][known])


def test_flow_of_the_users(
    rooms: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own; a folder of before there was a choice was made with DIS."""
    (tmp_path / "still.py").write_text(
        "import numpy as np\ndef flow(a, b):\n    return np.ones((*a.shape[:2], 2))\n"
        "def narrow(a, b):\n    return a\n"
    )
    settings = Settings(LEVELS, flow=f"{tmp_path}/still.py:flow")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        prepare(NYUDv2Frames, rooms / "frames", tmp_path / "out", executor, settings)
    folder = PreparedFolder(tmp_path / "out")
    flows = [path for path in folder.root.glob("flow*/**/*.png")]
    assert flows
    assert all(path.read_bytes() == flows[0].read_bytes() for path in flows)
    np.testing.assert_array_equal(read_flow(flows[0]), np.ones((48, 64, 2)))
    monkeypatch.chdir(tmp_path)
    command = ["data", "prepare", "NYUDv2Frames", str(rooms / "frames"), "--window", "1", "--workers", "1"]
    assert main([*command, "--flow", "still.py:flow", "--out", str(tmp_path / "named")]) == 0
    named = json.loads((tmp_path / "named" / "settings.json").read_text())
    assert named["flow"] == f"{tmp_path}/still.py:flow"  # workers may stand in another folder
    with pytest.raises(
        InputError, match=r"color\.png: .*narrow: gave uint8 \[48, 64, 3\] for frames of \[48, 64\]"
    ):
        prepare_here(
            NYUDv2Frames,
            rooms / "frames",
            tmp_path / "other",
            Settings(LEVELS, flow=f"{tmp_path}/still.py:narrow"),
        )
    old = tmp_path / "old"
    shutil.copytree(prepared, old)
    known = json.loads((old / "settings.json").read_text())
    assert known.pop("flow") == "dis"
    (old / "settings.json").write_text(json.dumps(known))
    prepare_here(NYUDv2Frames, rooms / "frames", old)


def test_a_target_without_window(rooms: Path, tmp_path: Path) -> None:
    prepare_here(NYUDv2Frames, rooms / "frames", tmp_path, Settings((5,), window=0))
    assert {path.name for path in tmp_path.iterdir()} == {
        "settings.json",
        "hha",
        "regions",
        "correspondences",
    }
    dataset = partial(NYUDv2Frames, depth=True)
    sample = Prepared(rooms / "frames", "test", dataset=dataset, folder=str(tmp_path))[0]
    assert len(np.unique(sample.regions)) == 5
    assert len(sample.neighbours) == 0


def test_a_smaller_window_than_prepared_and_a_larger_one(rooms: Path, prepared: Path, tmp_path: Path) -> None:
    near, far = read_back(rooms, prepared, "train", 1)[0], read_back(rooms, prepared, "train")[0]
    assert [frame.id for frame in near.neighbours] == [far.neighbours[2].id, far.neighbours[3].id]
    assert np.array_equal(near.neighbours[0].regions, far.neighbours[2].regions)
    prepare_here(NYUDv2Frames, rooms / "frames", tmp_path, Settings(LEVELS, window=1))
    with pytest.raises(InputError, match=r"00003\.npz: lacks train/.*/00001; prepare a larger window"):
        read_back(rooms, tmp_path, "train", 2, hha=False)[0].neighbours[0]


def test_raw_video_of_nyudv2(rooms: Path, tmp_path: Path) -> None:
    """Its labelled picture stands in for a raw frame."""
    prepare_here(NYUDv2, rooms, tmp_path, Settings((9,), window=3))
    dataset = partial(NYUDv2, depth=True, neighbours=(-1, 1))
    sample = Prepared(rooms, "train", dataset=dataset, folder=str(tmp_path))[0]
    found = [(frame.regions >= 0).mean() for frame in sample.neighbours]
    assert len(found) == 2
    assert min(found) > 0.5
    assert sample.neighbours[0].image.shape == (48, 64, 6)
    assert len(list(tmp_path.glob("flow/**/*-0001.png"))) == 1
    with h5py.File(rooms / "nyu_depth_v2_labeled.mat") as file:
        depth, unmeasured = file["depths"][0].T, file["rawDepths"][0].T == 0
    assert unmeasured.any()
    camera = camera_matrix(COLOR_CAMERA, 48, 64)
    assert np.array_equal(sample.image[..., 3:], hha(fill_depth(depth), camera, unmeasured))


def test_cityscapes_has_hha_where_it_has_depth(tmp_path: Path) -> None:
    render("street", tmp_path, sequences={"train": 1}, frames=3, height=48, width=64)
    assert prepare_here(Cityscapes, tmp_path, tmp_path / "prepared", Settings((6,))) == ["train"]
    assert len(list(tmp_path.glob("prepared/hha/**/*.png"))) == 1
    assert len(list(tmp_path.glob("prepared/regions/**/*.npz"))) == 3
    dataset = partial(Cityscapes, neighbours=(-1, 1))
    sample = Prepared(tmp_path, "train", dataset=dataset, hha=False)[0]
    assert [frame.regions.shape for frame in sample.neighbours] == [(48, 64, 1)] * 2
    with pytest.raises(InputError, match=r"hha/.*png: is not prepared; .*hha=False"):
        Prepared(tmp_path, "train", dataset=dataset)[0].neighbours[0]
    shutil.rmtree(tmp_path / "disparity")
    prepare_here(Cityscapes, tmp_path, tmp_path / "color", Settings((6,)))
    assert not (tmp_path / "color" / "hha").exists()
    assert not json.loads((tmp_path / "color" / "settings.json").read_text())["depth"]


def test_sun3d_has_a_camera_file(tmp_path: Path) -> None:
    fabricate_sun3d(tmp_path)
    prepare_here(SUN3D, tmp_path, tmp_path / "without", Settings((6,)))
    assert not (tmp_path / "without" / "hha").exists()
    camera = next(tmp_path.glob("*/*/image")).parent / "intrinsics.txt"
    camera.write_text("57 0 15.5\n0 57 11.5\n0 0 1")
    prepare_here(SUN3D, tmp_path, tmp_path / "with", Settings((6,)))
    assert len(list(tmp_path.glob("with/hha/**/*.png"))) == 4
    camera.write_text("57 0")
    with pytest.raises(InputError, match=r"intrinsics\.txt: holds no 3 x 3 numbers"):
        prepare_here(SUN3D, tmp_path, tmp_path / "with", Settings((6,)))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"regions": (8,)}, r"regions \[8, 30\], not \[8\]"),
        ({"window": 3}, "window 50, not 3"),
        ({"step": 2}, "step 1, not 2"),
        ({"match": "pixels"}, r"(regions|match) .*, not"),
        ({"flow": "interpolated"}, "flow dis, not interpolated"),
    ],
)
def test_other_settings_need_another_folder(rooms: Path, prepared: Path, changes: dict, named: str) -> None:
    settings = Settings(**{"regions": LEVELS, **changes})
    with pytest.raises(InputError, match=rf"settings\.json: its files were made with {named}"):
        prepare_here(NYUDv2Frames, rooms / "frames", prepared, settings)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"regions": ()}, r"regions: \[\]"),
        ({"regions": (0,)}, r"regions: \[0\]"),
        ({"window": -1}, "window: -1"),
        ({"step": 0}, "step: 0"),
        ({"match": "faces"}, "match: 'faces'"),
        ({"flow": "raft"}, "no flow raft: choose dis, interpolated or"),
        ({"flow": "nowhere.py:raft"}, r"no Python file nowhere\.py"),
    ],
)
def test_impossible_settings(changes: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        Settings(**changes)


def damage_picture(root: Path) -> str:
    truncate(root / "train/kitchen_0001/00001_color.png")
    return "00001_color.png: is truncated"


def damage_size(root: Path) -> str:
    write_image(root / "train/kitchen_0001/00001_color.png", size=(12, 16))
    return "00001_depth_filled.png: is 32x24, but its image 00001_color.png is 16x12"


def damage_whole_frame(root: Path) -> str:
    write_image(root / "train/kitchen_0001/00001_color.png", size=(12, 16))
    cv2.imwrite(str(root / "train/kitchen_0001/00001_depth_filled.png"), np.full((12, 16), 9999, np.uint16))
    return r"0000\d_color.png and 0000\d_color.png: frames of .* pixels: give one size"


def damage_depth(root: Path) -> str:
    cv2.imwrite(str(root / "train/kitchen_0001/00001_depth_filled.png"), np.zeros((24, 32), np.uint16))
    return "00001_depth_filled.png: depth is missing everywhere"


@pytest.mark.parametrize("damage", [damage_picture, damage_size, damage_whole_frame, damage_depth])
def test_a_bad_frame_is_named(damage, tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path, splits=("train",))
    with pytest.raises(InputError, match=damage(tmp_path)):
        prepare_here(NYUDv2Frames, tmp_path, tmp_path / "prepared")


def test_a_bad_frame_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fabricate_nyudv2_frames(tmp_path, splits=("train",))
    line = damage_picture(tmp_path)
    assert main(["data", "prepare", "nyudv2frames", str(tmp_path), "--workers", "1"]) == 2
    printed = capsys.readouterr().err.strip()
    assert line in printed
    assert len(printed.splitlines()) == 1


def test_a_frame_that_went_missing(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path, splits=("train",))

    def remove(done: int, total: int) -> None:
        (tmp_path / "train/office_0002/00004_color.png").unlink(missing_ok=True)

    with pytest.raises(InputError, match=r"00004_color\.png: cannot be read"):
        prepare_here(NYUDv2Frames, tmp_path, tmp_path / "prepared", progress=remove)


def test_bad_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fabricate_camvid(tmp_path)
    with pytest.raises(InputError, match="CamVid: has no video"):
        prepare_here(CamVid, tmp_path, tmp_path / "prepared")
    with pytest.raises(InputError, match="nowhere/train: no such folder"):
        prepare_here(NYUDv2Frames, tmp_path / "nowhere", tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()
    fabricate_cityscapes(tmp_path, splits=("train",))
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "settings.json").write_text("[1")
    with pytest.raises(InputError, match=r"settings\.json: is damaged"):
        prepare_here(Cityscapes, tmp_path, tmp_path / "prepared")


def test_bad_command_lines(
    rooms: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "prepare", "NYUDv2Frames", str(rooms / "frames")]
    assert main([*command, "--workers", "0"]) == 2
    assert "--workers 0" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main([*command, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "pip install tessella[cluster]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--regions", "many"])


def test_all_is_not_prepared_beside_its_parts(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path / "whole", splits=("train",))
    assert list(preparation._open(NYUDv2Frames, tmp_path / "whole", Settings())) == ["train"]
    assert list(preparation._open(NYUDv2Frames, tmp_path / "whole/train", Settings())) == ["all"]


def test_ctrl_c_leaves_a_command_to_be_given_again(rooms: Path, prepared: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tessella.cli", "data", "prepare", "NYUDv2Frames", str(rooms / "frames")]
    command += ["--out", str(tmp_path / "out"), "--regions", "8,30"]
    paths = os.pathsep.join(map(str, sys.path))
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True, process_group=0
    )
    while process.poll() is None and not list((tmp_path / "out").glob("regions/**/*.npz")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    _, errors = process.communicate(timeout=60)
    if process.returncode != 0:  # it may just have finished
        assert process.returncode == 130
        assert errors.splitlines() == [
            "tessella: what is finished stays; the same command goes on from there",
            "tessella: interrupted",
        ]
    prepare_here(NYUDv2Frames, rooms / "frames", tmp_path / "out")
    for beside in tmp_path.rglob(".*"):
        beside.unlink()
    assert content(tmp_path / "out") == content(prepared)


@pytest.mark.realdata
def test_real_video(tmp_path: Path) -> None:
    """Regions of a labelled frame of NYUDv2 in the two frames before and after."""
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("TESSELLA_DATA is not set")
    root = Path(os.environ["TESSELLA_DATA"]) / "nyudv2_dining_room_0036"
    prepare_here(NYUDv2Frames, root, tmp_path, Settings((200,), window=2))
    dataset = partial(NYUDv2Frames, depth=True, neighbours=(-2, -1, 1, 2))
    sample = Prepared(root, "all", dataset=dataset, folder=str(tmp_path))[0]
    assert sample.regions.max() == 199
    inner = np.s_[45:470, 40:600]
    assert all((frame.regions[inner] >= 0).mean() > 0.8 for frame in sample.neighbours)


def test_layout_of_a_frame_among_frames_of_another_kind(tmp_path: Path) -> None:
    folder = PreparedFolder(tmp_path)
    usual = folder.flows("train/a/1", "train/a/2")
    assert [path.relative_to(tmp_path).as_posix() for path in usual] == [
        "flow/train/a/1.png",
        "flow_back/train/a/2.png",
    ]
    assert not set(usual) & set(folder.flows("train/a/1", "train/0007"))


def lose_an_interruption() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    raise BrokenProcessPool("what Ctrl-C did to the processes")


def test_an_interruption_is_one_whichever_is_noticed_first() -> None:
    with pytest.raises(InputError, match="--workers 1: the system ended one"), executor(1, None):
        raise BrokenProcessPool("out of memory")
    with pytest.raises(KeyboardInterrupt), executor(1, None):
        lose_an_interruption()
