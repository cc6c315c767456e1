"""Writes tiny trees in the official layouts: random pictures, labels that show every id at least once."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tessella.datasets.camvid import MEMBERS

HEIGHT, WIDTH = 24, 32


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A random RGB picture; returned as written, exact for lossless formats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(image).save(path)
    return image


def write_labels(
    path: Path, ids: Sequence[int], seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> np.ndarray:
    """A label PNG with each of ``ids`` in it, in random order; returned as written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.resize(np.array(ids, np.uint8), size)
    np.random.default_rng(seed).shuffle(labels.reshape(-1))
    Image.fromarray(labels).save(path)
    return labels


def truncate(path: Path, keep: float = 0.5) -> None:
    """Cuts a file off, as an interrupted download does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def fabricate_camvid(root: Path, count: int = 3, ending: str = ".png") -> None:
    """SegNet's layout."""
    for split in ("train", "val", "test"):
        for i in range(count):
            write_image(root / split / f"0001TP_{i:06}{ending}", i)
            write_labels(root / f"{split}annot" / f"0001TP_{i:06}.png", range(12), i)


CAMVID_FRAMES = (
    "0001TP_008520",
    "0001TP_008550",
    "0006R0_f00930",
    "0016E5_07959",
    "0016E5_08640",
    "Seq05VD_f00000",
)


def fabricate_camvid_published(root: Path) -> None:
    """The layout with 32 colours: each label map shows them all, 4 pixels wide."""
    colors = [color for members in MEMBERS.values() for color in members.values()]
    labels = np.repeat(np.array(colors, np.uint8), 4, axis=0)[None].repeat(6, axis=0)
    for frame in CAMVID_FRAMES:
        write_image(root / "701_StillsRaw_full" / f"{frame}.png", size=labels.shape[:2])
        path = root / "LabeledApproved_full" / f"{frame}_L.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(labels).save(path)
    lines = [f"{r} {g} {b}\t\t{name}" for members in MEMBERS.values() for name, (r, g, b) in members.items()]
    (root / "label_colors.txt").write_text("\n".join(lines))


def fabricate_cityscapes(root: Path, count: int = 2, splits: Sequence[str] = ("train", "val")) -> None:
    """Fine and coarse labels (none for test), five video frames around each image, disparity and camera."""
    for split in splits:
        for i in range(count):
            city = f"{split}/aachen"
            name = f"aachen_{i:06}_000019"
            write_image(root / "leftImg8bit" / city / f"{name}_leftImg8bit.png", i)
            if split not in ("test", "train_extra"):
                write_labels(root / "gtFine" / city / f"{name}_gtFine_labelIds.png", range(34), i)
            if split != "test":
                write_labels(root / "gtCoarse" / city / f"{name}_gtCoarse_labelIds.png", range(34), i)
            for number in range(17, 22):
                frame = f"aachen_{i:06}_{number:06}_leftImg8bit.png"
                write_image(root / "leftImg8bit_sequence" / city / frame, 100 * i + number)
            disparity = np.full((HEIGHT, WIDTH), 1 + 256 * 50, np.uint16)
            disparity[0, 0] = 0
            path = root / "disparity" / city / f"{name}_disparity.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), disparity)
            path = root / "camera" / city / f"{name}_camera.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"extrinsic": {"baseline": 0.2}, "intrinsic": {"fx": 2000.0}}))


def fabricate_ade20k(root: Path, count: int = 2) -> None:
    """Labels 0 to 150; testing has none."""
    for split in ("training", "validation", "testing"):
        for i in range(count):
            name = f"ADE_{split}_{i:08}"
            write_image(root / "images" / split / f"{name}.jpg", i)
            if split != "testing":
                write_labels(root / "annotations" / split / f"{name}.png", range(151), i)


def fabricate_bdd100k(root: Path, count: int = 2) -> None:
    """Labels 0 to 18 and 255; test has none."""
    for split in ("train", "val", "test"):
        for i in range(count):
            write_image(root / "images/10k" / split / f"{i:08x}-{i:08x}.jpg", i)
            if split != "test":
                write_labels(
                    root / "labels/sem_seg/masks" / split / f"{i:08x}-{i:08x}.png", [*range(19), 255], i
                )


_VISTAS = (
    "Bird, Ground Animal, Curb, Fence, Guard Rail, Barrier, Wall, Bike Lane, Crosswalk - Plain, Curb "
    "Cut, Parking, Pedestrian Area, Rail Track, Road, Service Lane, Sidewalk, Bridge, Building, Tunnel, "
    "Person, Bicyclist, Motorcyclist, Other Rider, Lane Marking - Crosswalk, Lane Marking - General, "
    "Mountain, Sand, Sky, Snow, Terrain, Vegetation, Water, Banner, Bench, Bike Rack, Billboard, Catch "
    "Basin, CCTV Camera, Fire Hydrant, Junction Box, Mailbox, Manhole, Phone Booth, Pothole, Street "
    "Light, Pole, Traffic Sign Frame, Utility Pole, Traffic Light, Traffic Sign (Back), Traffic Sign "
    "(Front), Trash Can, Bicycle, Boat, Bus, Car, Caravan, Motorcycle, On Rails, Other Vehicle, "
    "Trailer, Truck, Wheeled Slow, Car Mount, Ego Vehicle, Unlabeled"
)
VISTAS_NAMES = _VISTAS.split(", ")


def fabricate_mapillary_vistas(root: Path, count: int = 2, is_versioned: bool = True) -> None:
    """Palette PNGs with ids 0 to 65 and the configuration; testing has no labels."""
    rows = [
        {"readable": name, "color": [i, 2 * i, 3 * i], "evaluate": name != "Unlabeled", "instances": False}
        for i, name in enumerate(VISTAS_NAMES)
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / ("config_v1.2.json" if is_versioned else "config.json")).write_text(json.dumps({"labels": rows}))
    for split in ("training", "validation", "testing"):
        for i in range(count):
            write_image(root / split / "images" / f"{i:022}.jpg", i, size=(66, 40))
            if split != "testing":
                path = root / split / ("v1.2/labels" if is_versioned else "labels") / f"{i:022}.png"
                labels = write_labels(path, range(66), i, size=(66, 40))
                picture = Image.fromarray(labels)
                picture.putpalette([channel for row in rows for channel in row["color"]])
                picture.save(path)


def fabricate_synscapes(root: Path, count: int = 2) -> None:
    """Images and ids 0 to 33; depth needs OpenEXR and is left to the test."""
    for i in range(1, count + 1):
        write_image(root / f"img/rgb/{i}.png", i)
        write_labels(root / f"img/class/{i}.png", range(34), i)
        (root / "meta").mkdir(exist_ok=True)
        (root / f"meta/{i}.json").write_text("{}")


def fabricate_nyudv2(root: Path, count: int = 4, num_names: int = 894) -> np.ndarray:
    """Labelled file, splits, mapping, raw videos of five frames; returns the mapping of names to 40 ids."""
    import h5py
    import scipy.io

    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    height, width = 480, 640
    id40_of_name = np.resize(np.arange(1, 41, dtype=np.uint8), num_names)
    labels = np.zeros((count, width, height), np.uint16)
    labels[:] = np.resize(np.arange(num_names + 1), (width, height))
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = rng.integers(0, 256, (count, 3, width, height), np.uint8)
        file["labels"] = labels
        file["depths"] = rng.uniform(1, 9, (count, width, height)).astype(np.float32)
        references = file.create_dataset("rawRgbFilenames", (1, count), dtype=h5py.ref_dtype)
        for i in range(count):
            scene = f"kitchen_{i // 2:04}"
            name = f"{scene}/r-{1000 + 10 * (i % 2) + 2}.5-77.ppm"
            text = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(c)] for c in name], np.uint16))
            references[0, i] = text.ref
            folder = root / "raw" / scene
            folder.mkdir(parents=True, exist_ok=True)
            for frame in range(5):
                second = 1000 + 10 * (i % 2) + frame
                color = rng.integers(0, 256, (height, width, 3), np.uint8)
                cv2.imwrite(str(folder / f"r-{second}.5-77.ppm"), color)
                disparity = np.full((height, width), 700 + frame, np.uint16)
                cv2.imwrite(str(folder / f"d-{second}.6-78.pgm"), disparity.byteswap())
    numbers = np.arange(1, count + 1)[:, None]
    scipy.io.savemat(root / "splits.mat", {"trainNdxs": numbers[::2], "testNdxs": numbers[1::2]})
    scipy.io.savemat(root / "classMapping40.mat", {"mapClass": id40_of_name[None]})
    return id40_of_name


def fabricate_nyudv2_frames(root: Path, splits: Sequence[str] = ("train", "val"), frames: int = 5) -> None:
    """Two videos a split; the middle frame of each has labels 0 to 13."""
    for split in splits:
        for video in ("kitchen_0001", "office_0002"):
            folder = root / split / video
            for i in range(frames):
                write_image(folder / f"{i:05}_color.png", i)
                depth = np.full((HEIGHT, WIDTH), 65535 // 4, np.uint16)
                depth[0, 0] = 0
                cv2.imwrite(str(folder / f"{i:05}_depth_filled.png"), depth)
            write_labels(folder / f"{frames // 2:05}_label13.png", range(14))


def fabricate_sun3d(root: Path, frames: int = 4) -> None:
    """One scan; its second frame has a wall, and in it a chair, a thing without class, and a dresser."""
    scan = root / "hotel_umd" / "maryland_hotel3"
    for i in range(frames):
        write_image(scan / f"image/{i + 1:07}-{33333 * i:012}.jpg", i)
        millimetres = np.full((HEIGHT, WIDTH), 1500, np.uint16)
        path = scan / f"depth/{i + 1:07}-{33333 * i + 100:012}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), (millimetres << 3) | (millimetres >> 13))

    def box(left: int, top: int, right: int, bottom: int, thing: int) -> dict:
        return {"x": [left, right, right, left], "y": [top, top, bottom, bottom], "object": thing}

    polygons = [box(4, 4, 9, 9, 1), box(0, 0, 31, 23, 0), box(12, 4, 15, 9, 2), box(20, 4, 25, 9, 3)]
    annotation = {
        "objects": [{"name": "wall"}, {"name": "Chair:2"}, {"name": "spaceship"}, {"name": "dressers"}],
        "frames": [{}, {"polygon": polygons}, None, {}][:frames],
    }
    (scan / "annotation").mkdir()
    (scan / "annotation/index.json").write_text(json.dumps(annotation))


def write_pts(path: Path, landmarks: np.ndarray, first: float = 1.0) -> None:
    """Landmarks [L, 2], the centre of the first pixel at 0, in a file that gives it the coordinate ``first``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(f"{x:.3f} {y:.3f}" for x, y in landmarks + first)
    path.write_text(f"version: 1\nn_points: {len(landmarks)}\n{{\n{lines}\n}}\n")


def random_face(seed: int, low: float, high: float, count: int = 68) -> np.ndarray:
    """[count, 2] with three decimals, as ``write_pts`` keeps them."""
    return np.random.default_rng(seed).uniform(low, high, (count, 2)).round(3)


def fabricate_helen(root: Path, count: int = 3, size: int = 128) -> None:
    """JPEG crops and their landmarks, counted from the edge of the first pixel."""
    for split in ("trainset", "testset"):
        for i in range(count):
            write_image(root / split / f"{i}_1.jpg", i, (size, size))
            write_pts(root / split / f"{i}_1.pts", random_face(i, 0, size - 1), first=0.5)


def fabricate_lfw(root: Path) -> None:
    """Two people in train, one in test; three images each have landmarks in the middle."""
    people = {"Train": {"Ann_Lee": 2, "Bo": 1}, "Test": {"Cy_X_Z": 1}}
    for split, counts in people.items():
        lines = "".join(f"{name}\t{count}\n" for name, count in counts.items())
        (root / f"peopleDev{split}.txt").write_text(f"{len(counts)}\n{lines}")
        for name, count in counts.items():
            for i in range(1, count + 1):
                write_image(root / "lfw-deepfunneled" / name / f"{name}_{i:04}.jpg", i, (250, 250))
                write_pts(root / "landmarks" / name / f"{name}_{i:04}.pts", random_face(i, 80, 170))


def fabricate_oxford_pets(root: Path, heads: int = 20) -> None:
    """Two breeds with a box in every image but the last one of each; trimaps, normals of the crops, no lists."""
    for breed in ("Abyssinian", "pug"):
        for i in range(1, heads + 2):
            name = f"{breed}_{i}"
            write_image(root / "images" / f"{name}.jpg", i, (40, 60))
            write_labels(root / "annotations/trimaps" / f"{name}.png", (1, 2, 3), i, (40, 60))
            if i <= heads:
                write_image(root / "annotations/normals" / f"{name}.png", i, (96, 96))
                write_head(root / "annotations/xmls" / f"{name}.xml", (11, 6, 30, 25))


def write_head(path: Path, box: tuple[int, int, int, int]) -> None:
    """A PASCAL VOC file; the box is xmin, ymin, xmax, ymax, counted from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    path.write_text(f"<annotation><object><name>cat</name><bndbox>{sides}</bndbox></object></annotation>")


def fabricate_paired_folders(root: Path, condition: str, count: int = 3) -> None:
    """PNG images of 24 x 32 pixels, and conditions: normals, labels 0 to 4 and 255, 68 landmarks, or none for edges."""
    for split in ("train", "test"):
        for i in range(count):
            write_image(root / split / "images" / f"{i:05}.png", i)
            path = root / split / "conditions" / f"{i:05}.png"
            if condition == "normals":
                write_image(path, i + 100)
            elif condition == "labels":
                write_labels(path, (0, 1, 2, 3, 4, 255), i)
            elif condition == "landmarks":
                write_pts(path.with_suffix(".pts"), random_face(i, 0, 23))
