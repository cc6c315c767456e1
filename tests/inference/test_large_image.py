import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tessella.errors import InputError
from tessella.inference import (
    Windows,
    label_map_of_large_image,
    large_image,
    most_probable_enlarged,
    posteriors,
    sliding_window,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 7, 3, padding=1))


def prepare(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(83, 61), (16, 24), (9, 100), (100, 9), (5, 4)])
@pytest.mark.parametrize("batch", [1, 3])
def test_equals_the_sliding_window_in_memory_bit_for_bit(size: tuple[int, int], batch: int) -> None:
    image, windows = picture(*size), Windows(16, 24, batch=batch)
    predict = partial(posteriors, network())
    largest, index = sliding_window(predict, prepare(image)[None], windows)[0].max(0)
    confidence = np.empty(size, np.float32)
    labels = label_map_of_large_image(predict, image, prepare, windows, confidence=confidence)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, index.numpy())
    np.testing.assert_array_equal(confidence, largest.numpy())


@pytest.mark.parametrize("strip", [7, 24, 50])
def test_strips_change_nothing(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image, windows = picture(40, 121), Windows(16, 24)
    predict = partial(posteriors, network())
    expected = label_map_of_large_image(predict, image, prepare, windows)
    monkeypatch.setattr(large_image, "STRIP_WIDTH", strip)
    np.testing.assert_array_equal(label_map_of_large_image(predict, image, prepare, windows), expected)


@pytest.mark.parametrize("size", [(83, 61), (9, 11), (7, 200), (3, 2)])
@pytest.mark.parametrize("rows", [1, 10, 64])
def test_enlarged_in_bands_as_at_once(size: tuple[int, int], rows: int) -> None:
    scores = torch.rand(5, 9, 11, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.interpolate(scores[None], size, mode="bilinear")[0].argmax(0)
    np.testing.assert_array_equal(most_probable_enlarged(scores, size, rows), expected.numpy())


def test_reads_and_fills_memory_maps(tmp_path: object) -> None:
    image = picture(50, 40)
    np.save(f"{tmp_path}/image.npy", image)
    mapped = np.load(f"{tmp_path}/image.npy", mmap_mode="r")
    labels = np.lib.format.open_memmap(f"{tmp_path}/labels.npy", "w+", np.uint8, (50, 40))
    predict, windows = partial(posteriors, network()), Windows(16, 16)
    assert label_map_of_large_image(predict, mapped, prepare, windows, labels=labels) is labels
    labels.flush()
    np.testing.assert_array_equal(
        np.load(f"{tmp_path}/labels.npy"), label_map_of_large_image(predict, image, prepare, windows)
    )


def test_wrong_shapes_and_too_many_classes_are_named() -> None:
    image, windows = picture(20, 20), Windows(16, 16)
    with pytest.raises(InputError, match=r"^confidence: shape \[3, 3\]; give the image's \[20, 20\]$"):
        label_map_of_large_image(network(), image, prepare, windows, confidence=np.empty((3, 3)))
    with pytest.raises(InputError, match=r"^the model has 257 classes"):
        label_map_of_large_image(lambda x: x.new_zeros(1, 257, 16, 16), image, prepare, windows)


MEASURE = """
import resource
import numpy as np, torch
from functools import partial
from tessella.inference import Windows, label_map_of_large_image, posteriors

class Uniform:  # an image that exists nowhere: what is read of it is made
    def __init__(self, height):
        self.shape = (height, 800, 3)
    def __getitem__(self, key):
        rows, columns = key
        return np.full((rows.stop - rows.start, columns.stop - columns.start, 3), 7, np.uint8)

predict = partial(posteriors, torch.nn.Conv2d(3, 16, 3, padding=1))
prepare = lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1) / 255
for height in (1000, 5000):
    label_map_of_large_image(predict, Uniform(height), prepare, Windows(256, 256))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_image() -> None:
    # All scores of the tall image take 16 x 5000 x 800 x 4 bytes = 244 MiB, of the short one 49 MiB.
    result = subprocess.run(
        [sys.executable, "-c", MEASURE],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    short, tall = map(int, result.stdout.split())
    assert tall - short < 40
