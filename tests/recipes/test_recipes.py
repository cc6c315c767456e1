"""Every recipe builds, trains a step at smoke size, and says what it reproduces."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tessella.datasets import LabelClass, Prepared, Sample
from tessella.errors import InputError
from tessella.networks import UPerNet
from tessella.recipes import Recipe, all_recipes, find_recipe
from tessella.runs.configuration import fields, from_json, override, to_json
from tessella.runs.segmentation import train
from tessella.training.fit import Machine

RECIPES = list(all_recipes().values())


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
    assert len(RECIPES) == 29


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_says_what_it_is(recipe: Recipe) -> None:
    assert recipe.summary.endswith(".")
    assert recipe.note("Citation")
    command = "audit game" if recipe.name.endswith("_game") else "train"
    assert f"tessella {command} {recipe.name} --data" in recipe.note("Command")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_is_saved_and_restored(recipe: Recipe) -> None:
    saved = to_json(recipe.configuration())
    with torch.device("meta"):
        network = from_json(saved).network(19)
    assert to_json(from_json(saved)) == saved
    assert network.backbone is not None


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
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
    machine = Machine(accelerator="cpu", precision="fp32", progress=False)
    assert train(config, recipe.name, tmp_path, tmp_path / "run", machine=machine).step == 1


def test_own_recipe_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from functools import partial\n"
        "from tessella.networks import UPerNet\n"
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
