import json

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from tessella.datasets.cityscapes import Cityscapes, CityscapesVideo
from tessella.datasets.nyudv2 import NYUDv2
from tessella.datasets.nyudv2_frames import NYUDv2Frames
from tessella.errors import InputError
from tessella.scenes import STREET, TRAIN_LABELS, render, sequence
from tessella.scenes.frame import sequence_key
from tessella.scenes.sensor import STEREO_BASELINE

SIZE = {"height": 60, "width": 80}
COUNTS = {"street": {"train": 2, "val": 1, "test": 1}, "room": {"train": 2, "test": 1}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A street and a room data set of three frames per sequence, and the frames of their first sequences."""
    made = {}
    for kind, counts in COUNTS.items():
        root = tmp_path_factory.mktemp(kind)
        render(kind, root, sequences=counts, frames=3, seed=5, **SIZE)
        made[kind] = root, list(sequence(kind, sequence_key(kind, "train", 0, 5), 3, **SIZE))
    return made


def _content(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["street", "room"])
def test_same_bytes_with_two_workers(kind, folders, tmp_path):
    calls = []
    render(
        kind,
        tmp_path,
        sequences=COUNTS[kind],
        frames=3,
        seed=5,
        workers=2,
        progress=lambda done, total: calls.append((done, total)),
        **SIZE,
    )
    assert _content(tmp_path) == _content(folders[kind][0])
    total = 3 * sum(COUNTS[kind].values())
    assert calls == [(done, total) for done in range(0, total + 1, 3)]


@pytest.mark.parametrize("kind", ["street", "room"])
def test_resumes_with_what_is_missing(kind, folders, tmp_path):
    render(kind, tmp_path, sequences={"train": 1}, frames=3, seed=5, **SIZE)
    lost = sorted(path for path in tmp_path.rglob("*.npz"))[1]
    content = _content(tmp_path)
    lost.unlink()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    render(kind, tmp_path, sequences={"train": 1}, frames=3, seed=5, **SIZE)
    assert _content(tmp_path) == content
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_more_sequences_may_be_added(tmp_path):
    render("street", tmp_path, sequences={"train": 1}, **SIZE)
    before = _content(tmp_path)
    render("street", tmp_path, sequences={"train": 2}, **SIZE)
    after = _content(tmp_path)
    assert before.items() <= after.items()
    assert len(Cityscapes(tmp_path, "train")) == 2


@pytest.mark.parametrize("kind", ["street", "room"])
def test_time_between_frames(kind, tmp_path):
    """The labelled frame stays where it is, but for noise; two steps of some time lead as far as one of twice that."""
    slow, fast = (list(sequence(kind, 3, 4, **SIZE, interval=time)) for time in (0.2, 0.1))
    assert np.array_equal(slow[2].labels, fast[2].labels)
    np.testing.assert_allclose(slow[2].pose, fast[2].pose)
    np.testing.assert_allclose(slow[1].pose, fast[0].pose)
    assert not np.allclose(slow[1].pose, fast[1].pose)
    usual = {"street": 1 / 17, "room": 0.1}[kind]
    explicit, default = (next(sequence(kind, 3, 2, **SIZE, interval=t)) for t in (usual, None))
    assert np.array_equal(explicit.image, default.image)
    render(kind, tmp_path, sequences={"train": 1}, frames=2, interval=0.2, **SIZE)
    if kind == "room":
        first, second = sorted((tmp_path / "raw").rglob("r-*.ppm"))
        assert float(second.name.split("-")[1]) - float(first.name.split("-")[1]) == pytest.approx(0.2)
    with pytest.raises(InputError, match=r"interval 0\.2 instead of 0\.3"):
        render(kind, tmp_path, sequences={"train": 1}, frames=2, interval=0.3, **SIZE)
    with pytest.raises(InputError, match="interval is 0"):
        render(kind, tmp_path, sequences={"train": 1}, frames=2, interval=0, **SIZE)


def test_other_settings_need_another_folder(tmp_path):
    render("street", tmp_path, sequences={"train": 1}, **SIZE)
    with pytest.raises(InputError, match="seed 0 instead of 1"):
        render("street", tmp_path, sequences={"train": 1}, seed=1, **SIZE)
    (tmp_path / "truth" / "render.json").write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        render("street", tmp_path, sequences={"train": 1}, **SIZE)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"kind": "forest"}, "kind is 'forest'"),
        ({"sequences": {"val": 1}, "kind": "room"}, "'val'"),
        ({"sequences": {"train": -1}}, r"sequences\['train'\] is -1"),
        ({"sequences": 0}, "sequences is 0"),
        ({"frames": 0}, "frames is 0"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_impossible_requests(arguments, named, tmp_path):
    arguments = {"kind": "street", "sequences": 1, **arguments}
    with pytest.raises(InputError, match=named):
        render(arguments.pop("kind"), tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_streets_read_back(folders):
    root, frames = folders["street"]
    stem = "train/altfurt/altfurt_000000_000019"
    assert np.array_equal(Image.open(root / f"leftImg8bit/{stem}_leftImg8bit.png"), frames[1].image)
    assert np.array_equal(Image.open(root / f"gtFine/{stem}_gtFine_labelIds.png"), frames[1].labels)
    instances = np.asarray(Image.open(root / f"gtFine/{stem}_gtFine_instanceIds.png"))
    things = np.isin(frames[1].labels, [24, 25, 26, 27, 28, 31, 32, 33])
    assert np.array_equal(np.where(things, instances // 1000, instances), frames[1].labels)
    assert np.asarray(Image.open(root / f"gtFine/{stem}_gtFine_color.png")).shape == (60, 80, 4)
    for place, frame in enumerate(frames):
        name = f"{stem[:-6]}{18 + place:06d}"
        video = Image.open(root / f"leftImg8bit_sequence/{name}_leftImg8bit.png")
        assert np.array_equal(video, frame.image)
        with np.load(root / f"truth/{name}.npz") as truth:
            assert set(truth) == set(vars(frame)) - {"image"}
            for field in truth:
                expected = getattr(frame, field)
                assert np.array_equal(truth[field], expected.astype(truth[field].dtype))
    code = np.asarray(Image.open(root / f"disparity/{stem}_disparity.png")).astype(float)
    camera = json.loads((root / f"camera/{stem}_camera.json").read_text())
    assert camera["extrinsic"]["baseline"] == STEREO_BASELINE
    depth = camera["intrinsic"]["fx"] * STEREO_BASELINE / np.maximum((code - 1) / 256, 1e-9)
    valid = frames[1].noisy_depth > 0
    assert np.array_equal(code > 1, valid)
    assert np.allclose(depth[valid], frames[1].noisy_depth[valid], rtol=1e-4)


def test_streets_through_the_reader_of_cityscapes(folders):
    root, frames = folders["street"]
    data = Cityscapes(root, "train", neighbours=(-1, 1), depth=True)
    assert len(data) == 2
    sample = data[data.ids.index("train/altfurt/altfurt_000000_000019")]
    assert np.array_equal(sample.image, frames[1].image)
    assert np.array_equal(sample.labels, TRAIN_LABELS["street"][frames[1].labels])
    assert [
        np.array_equal(near.image, frames[i].image) for near, i in zip(sample.neighbours, (0, 2), strict=True)
    ]
    assert np.allclose(sample.depth, frames[1].noisy_depth, rtol=1e-4)
    assert len(CityscapesVideo(root, "val")) == 3
    cities = [{path.name for path in (root / "leftImg8bit" / split).iterdir()} for split in COUNTS["street"]]
    assert not set.intersection(*cities)


def test_rooms_read_back(folders):
    root, frames = folders["room"]
    with h5py.File(root / "nyu_depth_v2_labeled.mat") as file:
        assert file["images"].shape == (3, 3, 80, 60)
        assert np.array_equal(file["images"][0].transpose(2, 1, 0), frames[1].image)
        assert np.array_equal(file["depths"][0].T, frames[1].depth)
        assert np.array_equal(file["rawDepths"][0].T, frames[1].noisy_depth)
        assert np.array_equal(file["labels"][0].T, frames[1].labels)
        assert file["instances"].dtype == np.uint8
        assert ((file["instances"][0] > 0) == (file["labels"][0] > 0)).all()
        names = ["".join(map(chr, file[cell][:, 0])) for cell in file["names"][0]]
        assert names[:4] == ["wall", "floor", "cabinet", "bed"]
        raw = "".join(map(chr, file[file["rawRgbFilenames"][0, 0]][:, 0]))
        scene = "".join(map(chr, file[file["scenes"][0, 0]][:, 0]))
    assert (root / "raw" / raw).exists()
    assert (root / "raw" / scene / "INDEX.txt").read_text().split() == sorted(
        (path.name for path in (root / "raw" / scene).glob("[rd]-*")), key=lambda name: name.split("-")[1]
    )
    splits = scipy.io.loadmat(root / "splits.mat")
    assert splits["trainNdxs"].ravel().tolist() == [1, 2]
    assert splits["testNdxs"].ravel().tolist() == [3]
    mapping = scipy.io.loadmat(root / "classMapping40.mat")
    assert mapping["mapClass"].ravel().tolist() == list(range(1, 41))
    assert mapping["className"].shape == (1, 40)


@pytest.mark.parametrize("classes", [40, 13, 4])
def test_rooms_through_the_readers_of_nyudv2(folders, classes):
    root, frames = folders["room"]
    data = NYUDv2(root, "train", classes=classes, depth=True)
    sample = data[0]
    assert len(data) == 2
    assert np.array_equal(sample.image, frames[1].image)
    assert np.array_equal(sample.depth, frames[1].depth)
    assert (sample.labels < classes).all()
    video = NYUDv2Frames(root / "frames", "train", classes=classes, depth=True, neighbours=(-1, 1))
    scene = next((root / "frames" / "train").glob("*_0000")).name
    plain = video[video.ids.index(f"train/{scene}/00001")]
    assert np.array_equal(plain.image, frames[1].image)
    assert np.array_equal(plain.labels, sample.labels)
    assert np.allclose(plain.depth, frames[1].depth, atol=1e-4)
    assert np.array_equal(plain.neighbours[1].image, frames[2].image)


@pytest.mark.parametrize("size", [(240, 320), (120, 160)])
def test_raw_videos_of_rooms_through_the_reader_of_nyudv2(size, tmp_path):
    """At a half and a quarter of the Kinect's size, the reader undoes lenses and the second camera as well."""
    height, width = size
    render("room", tmp_path, sequences={"train": 1}, frames=3, seed=5, height=height, width=width)
    sample = NYUDv2(tmp_path, "train", depth=True, neighbours=(-1, 1))[0]
    truths = sorted((tmp_path / "truth").rglob("*.npz"))
    pictures = sorted((tmp_path / "frames").rglob("*_color.png"))
    inner = np.s_[height // 12 : -height // 12, width // 12 : -width // 12]
    for near, place in zip(sample.neighbours, (0, 2), strict=True):
        picture = np.asarray(Image.open(pictures[place])).astype(int)
        assert np.median(np.abs(near.image - picture)[inner]) <= 2
        with np.load(truths[place]) as truth:
            depth = truth["depth"]
        present = near.depth > 0
        error = np.abs(near.depth - depth)[present] / depth[present]
        assert present.mean() > 0.7
        assert np.median(error) < 0.01
        assert np.quantile(error, 0.9) < 0.03  # the rest is at silhouettes, where resampling mixes two depths


def test_single_frames_have_no_video(tmp_path):
    render("street", tmp_path, sequences=1, **SIZE)
    assert not (tmp_path / "leftImg8bit_sequence").exists()
    assert (Cityscapes(tmp_path, "test")[0].labels != 255).any()
    assert STREET["road"] == 7
