"""Recipes: functions that return a complete, typed configuration.

Each public function of the modules in this folder whose return type is a configuration is a recipe; its name is
what ``tessella train`` takes. Its docstring says in a first line what it is, then in lines ``Citation:``,
``Literature:`` (the published number), ``Measured:`` and ``Command:`` what it reproduces.
"""

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import get_type_hints

from tessella.errors import InputError
from tessella.runs.feature_gan import FeatureGAN
from tessella.runs.images import ImageJudge, ImageRegression, Images, ImageTranslation
from tessella.runs.segmentation import Segmentation
from tessella.runs.user_code import load_code

Configuration = Segmentation | FeatureGAN | Images
_CONFIGURATIONS = (Segmentation, FeatureGAN, ImageRegression, ImageTranslation, ImageJudge)


@dataclass(frozen=True)
class Recipe:
    """A named function that makes a configuration, and what its docstring says of it."""

    name: str
    configuration: Callable[[], Configuration]

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.configuration) or "").partition("\n")[0]

    def note(self, heading: str) -> str:
        """The text after ``heading:`` in the docstring, up to the next heading; empty where there is none."""
        text = inspect.getdoc(self.configuration) or ""
        found = re.search(rf"^{heading}: (.*?)(?=^\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
        return " ".join(found[1].split()) if found else ""


def all_recipes() -> dict[str, Recipe]:
    """Every recipe of the package by its name, in alphabetical order."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = [recipe for module in modules for recipe in _recipes_of(module)]
    return {recipe.name: recipe for recipe in sorted(found, key=lambda recipe: recipe.name)}


def find_recipe(name: str) -> Recipe:
    """The recipe of this name, or the user's own as ``file.py:function``.

    Raises:
        InputError: there is no such recipe; the message names the nearest one.
    """
    file, colon, function = name.rpartition(":")
    if colon:
        own = {recipe.name: recipe for recipe in _recipes_of(load_code(file))}
        if function not in own:
            raise InputError(
                f"{file} has no recipe {function}: a recipe is a function annotated to return a Segmentation, "
                "a FeatureGAN or another configuration"
            )
        return own[function]
    recipes = all_recipes()
    if name not in recipes:
        near = difflib.get_close_matches(name, recipes, n=1)
        hint = f"did you mean {near[0]}?" if near else "tessella recipes lists them"
        raise InputError(f"there is no recipe {name}: {hint}")
    return recipes[name]


def segmentation_of(recipe: Recipe) -> Segmentation:
    """Its configuration. InputError where it trains something else than a segmentation network."""
    config = recipe.configuration()
    if not isinstance(config, Segmentation):
        raise InputError(f"{recipe.name} trains no segmentation network, as is needed here")
    return config


def _recipes_of(module: ModuleType) -> list[Recipe]:
    return [
        Recipe(name, function)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and get_type_hints(function).get("return") in _CONFIGURATIONS
    ]
