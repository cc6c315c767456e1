"""The recipes of chapter 4 against its tables."""

import pytest

from tessella.recipes import dilation
from tessella.runs.segmentation import training_transform

TABLE_4_1 = {  # batch over all devices, crop, base rate, iterations
    "cityscapes_largefov_dilation": (10, 321, 1e-3, 20_000),
    "cityscapes_deeplab_v2_dilation": (10, 321, 2.5e-4, 20_000),
    "cityscapes_pspnet_dilation": (16, 561, 1e-4, 20_000),
    "camvid_deeplab_v2_dilation": (10, 321, 2.5e-4, 15_000),
    "camvid_pspnet_dilation": (10, 473, 1e-4, 10_000),
}
DEVICES = {"cityscapes_pspnet_dilation": 4}  # of its command


@pytest.mark.parametrize("name", TABLE_4_1)
def test_table_4_1(name):
    recipe = getattr(dilation, name)
    config = recipe()
    batch, crop, rate, steps = TABLE_4_1[name]
    devices = DEVICES.get(name, 1)
    assert (f"--devices {devices}" in recipe.__doc__) == (devices > 1)
    assert config.batch_size * config.accumulate * devices == batch
    assert config.crop == (crop, crop)
    assert (config.learning_rate, config.steps) == (rate, steps)
    assert (config.optimizer, config.weight_decay, config.power, config.warmup) == ("sgd", 5e-4, 0.9, 0)
    # The authors' factors learn at 200,000 times the base rate.
    assert config.dilation_learning_rate == pytest.approx(2e5 * rate)
    assert (config.train_split, config.val_split) == ("train", "val")


@pytest.mark.parametrize("name", ["camvid_deeplab_v2_dilation", "camvid_pspnet_dilation"])
def test_tables_4_4_and_4_5_are_of_640x480_images(name):
    assert getattr(dilation, name)().resize == (480, 640)


def test_largefov_is_mirrored_and_nothing_else():
    config = dilation.cityscapes_largefov_dilation()
    assert (config.scale, config.rotation, config.jitter) == ((1.0, 1.0), 0.0, 0.0)
    assert len(training_transform(config).transforms) == 2  # which views are read, and the crop
