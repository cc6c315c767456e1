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
