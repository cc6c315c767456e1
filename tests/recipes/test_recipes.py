"""Every recipe builds, trains a step at smoke size, and says what it reproduces."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.datasets.fabricate import fabricate_paired_folders
from tests.runs.blocks import train_on_blocks, write_blocks

from tessella.datasets import LabelClass, PairedFolders, Prepared, Sample
from tessella.errors import InputError
from tessella.image_generation import Widths
from tessella.networks import PSPNet, ResNet, UPerNet
from tessella.recipes import Recipe, all_recipes, find_recipe
from tessella.runs.configuration import fields, from_json, override, to_json
from tessella.runs.feature_gan import FeatureGAN, load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.image_training import train_images
from tessella.runs.images import (
    ImageJudge,
    ImageRegression,
    Images,
    ImageTranslation,
    load_images,
    load_judge,
)
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train
from tessella.training.machine import Machine

MACHINE = Machine(accelerator="cpu", precision="fp32", progress=False)
RECIPES = list(all_recipes().values())
NETWORKS = [each for each in RECIPES if isinstance(each.configuration(), Segmentation)]
GENERATORS = [each for each in RECIPES if isinstance(each.configuration(), FeatureGAN)]
IMAGES = [each for each in RECIPES if isinstance(each.configuration(), Images)]


class Pictures:
    """Five classes of noise; prepared, with HHA, regions and a neighbour as well."""

    classes = tuple(LabelClass(f"class {i}", (40 * i, 0, 0)) for i in range(5))
    splits = ("train", "val")

    def __init__(self, root: Path, split: str, *, prepared: bool = False) -> None:
        self.ids = [f"{split}/{i}" for i in range(2)]
        self.prepared = prepared

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        image = rng.integers(0, 255, (72, 80, 6 if self.prepared else 3), dtype=np.uint8)
        sample = Sample(self.ids[index], image, rng.integers(0, 5, (72, 80)).astype(np.uint8))
        if not self.prepared:
            return sample
        regions = rng.integers(0, 9, (72, 80, 1)).astype(np.int32)
        neighbour = Sample(f"{sample.id}/next", image, regions=regions)
        return replace(sample, regions=regions, neighbours=(neighbour,))


def test_there_are_as_many_recipes_as_documented() -> None:
    assert (len(NETWORKS), len(GENERATORS), len(IMAGES)) == (34, 5, 26)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_says_what_it_is(recipe: Recipe) -> None:
    assert recipe.summary.endswith(".")
    assert recipe.note("Citation")
    command = "audit game" if recipe.name.endswith("_game") else "train"
    assert f"tessella {command} {recipe.name} --data" in recipe.note("Command")


@pytest.mark.parametrize("recipe", NETWORKS, ids=lambda recipe: recipe.name)
def test_recipe_is_saved_and_restored(recipe: Recipe) -> None:
    saved = to_json(recipe.configuration())
    with torch.device("meta"):
        network = from_json(saved).network(19)
    assert to_json(from_json(saved)) == saved
    assert network.backbone is not None


@pytest.mark.parametrize("recipe", NETWORKS, ids=lambda recipe: recipe.name)
def test_recipe_trains_a_step(recipe: Recipe, tmp_path: Path) -> None:
    """Narrow networks, two pictures, one update."""
    config = recipe.configuration()
    values = {field.name: field.value for field in fields(config)}
    sizes = {"backbone.width": 8, "backbone.fc_channels": 16}
    sizes |= dict.fromkeys(["pyramid_channels", "head_channels", "channels", "decoder_channels"], 16)
    small = {name: size for name in values for end, size in sizes.items() if name.endswith(f"network.{end}")}
    small |= {
        name: 18 for name, value in values.items() if name.endswith("backbone.depth") and value in (50, 101)
    }
    config = override(config, small)
    dataset = partial(Pictures, prepared=config.dataset.func is Prepared)
    crop = None if config.crop is None else (33, 40)
    config = replace(config, dataset=dataset, train_split="train", val_split="val", workers=0, crop=crop)
    config = replace(config, steps=1, batch_size=2, validate_every=1, class_weights="none")
    assert train(config, recipe.name, tmp_path, tmp_path / "run", machine=MACHINE).step == 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Data, and a narrow PSPNet-101 on it: it has the layers that the recipes name."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_blocks(folder / "data", 2)
    network = partial(
        PSPNet, backbone=partial(ResNet, depth=101, width=8), pyramid_channels=8, head_channels=8
    )
    return data, train_on_blocks(data, folder / "run", network=network, steps=1, validate_every=1)


@pytest.mark.parametrize("recipe", GENERATORS, ids=lambda recipe: recipe.name)
def test_generator_trains_a_step(recipe: Recipe, trained: tuple[Path, Path], tmp_path: Path) -> None:
    config = override(
        recipe.configuration(),
        {"generator.widths": (8, 8), "discriminator.widths": (8, 8), "discriminator.strided": 1},
    )
    config = replace(config, network=str(trained[1]), steps=1, batch_size=2, validate_every=1, workers=0)
    saved = to_json(config)
    assert to_json(from_json(saved)) == saved
    assert train_generator(config, recipe.name, trained[0], tmp_path / "run", machine=MACHINE).step == 1
    generator = load_generator(str(tmp_path / "run"))
    assert generator.config.at == config.at
    assert generator.generator.std.min() > 0


FACES = partial(PairedFolders, condition="landmarks", size=32)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and a judge of it."""
    folder = tmp_path_factory.mktemp("faces")
    fabricate_paired_folders(folder, "landmarks")
    config = ImageJudge(FACES, width=2, steps=1, batch_size=2, validate_every=1, workers=0)
    train_images(config, "judge", folder, folder / "judge", machine=MACHINE)
    return folder


@pytest.mark.parametrize("recipe", IMAGES, ids=lambda recipe: recipe.name)
def test_images_train_a_step(recipe: Recipe, faces: Path, tmp_path: Path) -> None:
    config = recipe.configuration()
    saved = to_json(config)
    assert to_json(from_json(saved)) == saved
    config = replace(config, dataset=FACES, steps=1, batch_size=2, validate_every=1, workers=0)
    if isinstance(config, ImageRegression):
        assert config.neighbours_from >= config.warm_up
        widths = replace(config.generator.keywords.get("widths", Widths()), path=4, last=4)
        widths = replace(widths, trunk=(4,) * len(widths.trunk))
        generator = partial(config.generator, widths=widths)
        config = replace(
            config, generator=generator, perceptual=str(faces / "judge"), warm_up=0, neighbours_from=0
        )
    elif isinstance(config, ImageTranslation):
        config = replace(config, gan=partial(config.gan, width=2))
    else:
        config = replace(config, width=2)
    assert train_images(config, recipe.name, faces, tmp_path / "run", machine=MACHINE).step == 1
    if isinstance(config, ImageJudge):
        assert load_judge(str(tmp_path / "run")).features is not None
    else:
        assert load_images(str(tmp_path / "run")).condition_channels == 68


def test_own_recipe_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from functools import partial\n"
        "from tessella.networks import PSPNet, ResNet, UPerNet\n"
        "from tessella.recipes.camvid import camvid\n"
        "from tessella.runs.segmentation import Segmentation\n"
        "def mine() -> Segmentation:\n"
        "    return replace(camvid(), network=partial(UPerNet))\n"
    )
    recipe = find_recipe(f"{path}:mine")
    assert recipe.configuration().network.func is UPerNet
    with pytest.raises(InputError, match="has no recipe yours"):
        find_recipe(f"{path}:yours")
    with pytest.raises(InputError, match="no Python file"):
        find_recipe(f"{tmp_path}/nothing.py:mine")


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no recipe cityscape_pspnet: did you mean cityscapes_pspnet"):
        find_recipe("cityscape_pspnet")
