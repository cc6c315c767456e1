"""Heads of pets with estimated normals, as pairs to generate them from: the data set has no normals of its own.

    tessella train objects_normals --data OBJECTS --dataset.size 64 --out NORMALS
    python benchmarks/pet_heads.py NORMALS --data PETS --out HEADS
    python benchmarks/image_table.py heads RUNS --data HEADS

NORMALS reads normals in pictures of rendered objects. What it makes of fur and eyes nobody knows: where estimated
normals are wrong, they are still a condition, the same for all generators that are compared, but no geometry.
"""

import argparse
from pathlib import Path

import cv2
import torch
from torch.nn import functional as F

from tessella.datasets import OxfordPetHeads
from tessella.datasets.conditions import encode_normals
from tessella.datasets.loading import planes
from tessella.datasets.pairs import own_image
from tessella.runs.images import load_judge


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("normals", help="run of objects_normals")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=64, help="that the run was trained at")
    options = parser.parse_args()
    judge = load_judge(options.normals)
    for split in OxfordPetHeads.splits:
        heads = OxfordPetHeads(options.data, split, size=options.size, condition="edges")
        for index in range(len(heads)):
            pair = heads[index]
            image = own_image(pair)
            pixels = planes(image)[None].float() / 255
            with torch.inference_mode():
                normals = F.normalize(judge(pixels).float(), dim=1)[0].permute(1, 2, 0).numpy()
            for folder, picture in (("images", image), ("conditions", encode_normals(normals))):
                file = options.out / split / folder / f"{Path(pair.id).name}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), picture[..., ::-1])


if __name__ == "__main__":
    main()
