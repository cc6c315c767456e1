import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tessella.cli import main
from tessella.datasets import PairedFolders
from tessella.errors import InputError
from tessella.scenes import MODES, mode_of, mode_tolerance, render_objects
from tessella.scenes.object_shapes import FORMS, Form, Solid, draw_solids, gradient, value
from tessella.scenes.objects import JITTER, PICTURES, build_objects, draw_mode, normal_map, paint

SIZE = 32
COUNTS = {"train": 6, "test": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("objects")
    render_objects(root, COUNTS, size=SIZE, seed=3)
    return root


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_value(form: Form) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (3, 50))
    for axis in range(3):
        step = np.zeros((3, 1))
        step[axis] = 1e-6
        slope = (value(form, points + step) - value(form, points - step)) / 2e-6
        np.testing.assert_allclose(gradient(form, points)[axis], slope, atol=1e-6)


def test_sphere_has_the_normals_of_geometry() -> None:
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    sphere = Solid("ellipsoid", np.array([0.2, -0.1]), np.full(3, 0.5), turned)
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, 2000))
    hit, normals, own = sphere.first_hit(x, y)
    across, down = (x - 0.2) / 0.5, (y + 0.1) / 0.5
    is_inside = across**2 + down**2 < 1
    # A line of sight that only grazes the rim may be missed.
    assert set(np.flatnonzero(across**2 + down**2 < 0.995)) <= set(hit) <= set(np.flatnonzero(is_inside))
    expected = np.stack([across, down, -np.sqrt(np.maximum(1 - across**2 - down**2, 0))], axis=1)[hit]
    inner = expected[:, 2] < -0.1
    np.testing.assert_allclose(normals[inner], expected[inner], atol=2e-3)
    np.testing.assert_allclose(own[inner] @ turned.T, expected[inner], atol=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_hits_are_the_first_points_of_the_surface(form: Form) -> None:
    rng = np.random.default_rng(2)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    solid = Solid(form, np.array([0.1, 0.0]), np.array([0.6, 0.45, 0.4]), turned)
    x, y = rng.uniform(-1, 1, (2, 1500))
    hit, normals, own = solid.first_hit(x, y)
    np.testing.assert_allclose(value(form, own.T), 0, atol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert (normals[:, 2] < 0.05).all()  # they face the camera, but for the halved step at the rim
    points = (own * solid.half_axes) @ turned.T + [0.1, 0, 0]
    np.testing.assert_allclose(points[:, :2], np.stack([x, y], axis=1)[hit], atol=1e-9)
    # A far finer walk along each line finds nothing before the hit, and nothing on the lines without one.
    depths = np.linspace(-1.5, 1.5, 1501)
    lines = np.stack(np.broadcast_arrays(x[:, None] - 0.1, y[:, None], depths))
    inside = (
        value(form, np.einsum("ij,jnd->ind", turned.T / solid.half_axes[:, None], lines).reshape(3, -1)) < 0
    )
    inside = inside.reshape(1500, -1)
    first = depths[inside[hit].argmax(axis=1)]
    # The bumps can be touched at the rim, for less than a step, before they are met.
    assert np.mean(np.abs(points[:, 2] - first) < 3e-3) > 0.99
    missed = np.setdiff1d(np.arange(1500), hit)
    assert (inside[missed].sum(axis=1) < 32).all()  # less than a step, 0.0625


def test_solids_lie_in_the_picture_and_are_longest_along_the_first_axis() -> None:
    counts = Counter()
    for seed in range(60):
        solids = draw_solids(np.random.default_rng(seed))
        counts[len(solids)] += 1
        for solid in solids:
            assert (np.abs(solid.centre) + solid.half_axes[0] <= 1).all()
            assert (solid.half_axes[1:] < 0.8 * solid.half_axes[0]).all()
            np.testing.assert_allclose(solid.rotation.T @ solid.rotation, np.eye(3), atol=1e-12)
            assert np.abs(solid.rotation[2, 0]) <= np.sin(np.pi / 4) + 1e-12
    assert set(counts) == {1, 2, 3}


def test_layout_reads_as_paired_folders(folder: Path) -> None:
    for split, count in COUNTS.items():
        data = PairedFolders(folder, split, condition="normals")
        assert data.ids == tuple(f"{split}/{i:05}" for i in range(count))
        lines = [line.split() for line in (folder / split / "modes.txt").read_text().splitlines()]
        assert [name for name, _ in lines] == [f"{i:05}" for i in range(count)]
        assert all(0 <= int(mode) < len(MODES) for _, mode in lines)
        for pair in data:
            assert pair.image.shape == (SIZE, SIZE, 3)
            objects = pair.condition.any(axis=2)
            assert 0.05 < objects.mean() < 0.8
            np.testing.assert_allclose(np.linalg.norm(pair.condition[objects], axis=1), 1, atol=0.01)
            assert (pair.condition[objects][:, 2] < 0.1).all()  # towards the camera
    assert not (folder / "train/modes").exists()


def test_each_picture_is_its_mode_with_jitter(folder: Path) -> None:
    lines = (folder / "test/modes.txt").read_text().split()
    for i in range(COUNTS["test"]):
        references = np.stack([picture(folder / f"test/modes/{i:05}/{mode:02}.png") for mode in range(12)])
        objects = PairedFolders(folder, "test", condition="normals")[i].condition.any(axis=2)
        images = picture(folder / f"test/images/{i:05}.png")[None]
        mode, distance = mode_of(images, references, objects)
        assert mode[0] == int(lines[2 * i + 1])
        assert distance[0] <= np.sqrt((references[mode[0]][objects].astype(float) ** 2).mean()) * JITTER + 1
        assert distance[0] < mode_tolerance(references, objects) / 3


def test_one_ground_and_one_condition_for_all_modes() -> None:
    objects = build_objects(SIZE, np.random.default_rng(0))
    pictures = np.stack([paint(objects, mode) for mode in range(12)])
    is_ground = ~objects.normals.any(axis=2).reshape(SIZE, 2, SIZE, 2).any(axis=(1, 3))
    assert is_ground.mean() > 0.2
    assert (pictures[:, is_ground] == 204).all()
    is_object = normal_map(objects).any(axis=2)
    assert mode_tolerance(pictures, is_object) > 10


def test_brightness_scales_the_objects() -> None:
    objects = build_objects(SIZE, np.random.default_rng(1))
    inner = objects.normals.any(axis=2).reshape(SIZE, 2, SIZE, 2).all(axis=(1, 3))
    plain, dark = paint(objects, 2).astype(float), paint(objects, 2, 0.9).astype(float)
    shaded = inner & (plain < 180).all(axis=2)  # no highlight that is cut off
    assert shaded.sum() > 100
    np.testing.assert_allclose(dark[shaded], 0.9 * plain[shaded], atol=1)


def test_normals_of_pixels_are_means_of_their_points() -> None:
    objects = build_objects(SIZE, np.random.default_rng(1))
    found = normal_map(objects)
    for row in range(0, SIZE, 3):
        for column in range(SIZE):
            points = objects.normals[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(4, 3)
            mean = points.sum(axis=0)
            expected = mean / np.linalg.norm(mean) if points.any(axis=1).sum() >= 2 else np.zeros(3)
            np.testing.assert_allclose(found[row, column], expected, atol=1e-9)


def test_modes_and_brightness_have_equal_chances() -> None:
    drawn = [draw_mode(0, "train", number) for number in range(3000)]
    counts = np.bincount([mode for mode, _ in drawn], minlength=12)
    # Chi-squared with 11 degrees of freedom is below 31.3 with a probability of 99.9%.
    assert ((counts - 250) ** 2 / 250).sum() < 31.3
    brightness = np.array([brightness for _, brightness in drawn])
    assert np.abs(brightness - 1).max() <= JITTER
    assert brightness.mean() == pytest.approx(1, abs=0.002)
    assert brightness.std() == pytest.approx(JITTER / np.sqrt(3), rel=0.05)


def test_mode_of_against_loops() -> None:
    rng = np.random.default_rng(0)
    images, references = (
        rng.integers(0, 256, (5, 6, 7, 3), np.uint8),
        rng.integers(0, 256, (4, 6, 7, 3), np.uint8),
    )
    objects = rng.random((6, 7)) < 0.4
    images[2] = references[3]
    mode, distance = mode_of(images, references, objects)
    for i in range(5):
        expected = [
            np.sqrt(np.mean((images[i][objects].astype(float) - references[m][objects]) ** 2))
            for m in range(4)
        ]
        assert mode[i] == np.argmin(expected)
        assert distance[i] == pytest.approx(min(expected))
    assert (mode[2], distance[2]) == (3, 0)
    pairs = [
        np.sqrt(np.mean((references[a][objects].astype(float) - references[b][objects]) ** 2))
        for a in range(4)
        for b in range(a)
    ]
    assert mode_tolerance(references, objects) == pytest.approx(min(pairs) / 2)
    with pytest.raises(InputError, match="objects: marks no pixel"):
        mode_of(images, references, np.zeros((6, 7), bool))


def test_resumes_with_what_is_missing_and_takes_more(folder: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    render_objects(
        tmp_path, {"train": 2}, size=SIZE, seed=3, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(0, 2), (1, 2), (2, 2)]
    first = tmp_path / "train/images/00000.png"
    time = first.stat().st_mtime_ns
    (tmp_path / "train/conditions/00001.png").unlink()
    render_objects(tmp_path, COUNTS, size=SIZE, seed=3)
    assert content(tmp_path) == content(folder)
    assert first.stat().st_mtime_ns == time
    render_objects(tmp_path, {"train": 1}, size=SIZE, seed=3)
    assert content(tmp_path) == content(folder)


def test_seed_and_split_change_the_objects(folder: Path, tmp_path: Path) -> None:
    render_objects(tmp_path, {"train": 1}, size=SIZE, seed=4)
    pictures = {
        (root / f"{split}/conditions/{i:05}.png").read_bytes()
        for root, split, i in (
            (folder, "train", 0),
            (folder, "train", 1),
            (folder, "test", 0),
            (tmp_path, "train", 0),
        )
    }
    assert len(pictures) == 4


def test_impossible_requests(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names the split 'dev'"):
        render_objects(tmp_path, {"dev": 1})
    with pytest.raises(InputError, match=r"pictures\['train'\] is -1"):
        render_objects(tmp_path, {"train": -1})
    with pytest.raises(InputError, match="pictures is 0"):
        render_objects(tmp_path, {"train": 0})
    with pytest.raises(InputError, match="size is 8"):
        render_objects(tmp_path, {"train": 1}, size=8)
    assert not list(tmp_path.iterdir())
    render_objects(tmp_path, {"train": 1}, size=SIZE)
    with pytest.raises(InputError, match="seed 0 instead of 1"):
        render_objects(tmp_path, {"train": 1}, size=SIZE, seed=1)


def test_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--sequences", "train=6,test=3", "--size", str(SIZE), "--seed", "3"]
    assert main(["scenes", "render", "objects", "--out", str(tmp_path), *arguments]) in (None, 0)
    assert content(tmp_path) == content(folder)
    assert json.loads((tmp_path / "truth/render.json").read_text())["kind"] == "objects"
    assert f"Rendered to {tmp_path}" in capsys.readouterr().out.replace("\n", "")
    assert dict(PICTURES) == {"train": 2000, "test": 100}
