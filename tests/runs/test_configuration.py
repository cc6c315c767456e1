"""Configurations: fields by name, parsing, saving, and refusing what is not trusted."""

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from tessella.datasets import CamVid, Cityscapes
from tessella.errors import InputError
from tessella.inference import InferencePlan
from tessella.networks import PSPNet, ResNet
from tessella.recipes.streets import streets
from tessella.recipes.synthetic import camvid_synthetic
from tessella.runs.configuration import fields, from_json, override, parse, restored, to_json
from tessella.runs.privacy import Privacy


def values(config: object) -> dict[str, object]:
    return {field.name: field.value for field in fields(config)}


def test_fields_reach_into_partials_and_their_defaults() -> None:
    found = values(streets())
    assert found["network.backbone.depth"] == 18
    assert found["network.bins"] == (1, 2, 3, 6)  # a default of PSPNet's that the recipe does not mention
    assert found["inference.scales"] == (0.5, 0.75, 1.0)
    assert "network.num_classes" not in found
    assert "network.in_channels" not in found


def test_every_field_of_a_recipe_has_help() -> None:
    missing = [
        f.name for f in fields(streets()) if not f.help and not f.name.startswith(("dataset", "network"))
    ]
    assert not missing


def test_override_changes_what_it_names_and_nothing_else() -> None:
    before = streets()
    after = override(before, {"steps": 7, "network.backbone.depth": 34, "inference.flip": False})
    changed = {name for name, value in values(after).items() if values(before)[name] != value}
    assert changed == {"steps", "network.backbone.depth", "inference.flip"}
    assert sum(p.numel() for p in after.network(3).parameters()) > sum(
        p.numel() for p in before.network(3).parameters()
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stepz", "steps"),
        ("depth", "network.backbone.depth"),
        ("network.backbone.detph", "network.backbone.depth"),
    ],
)
def test_typo_names_the_nearest_field(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=rf"no field {name}: did you mean {hint}"):
        override(streets(), {name: 1})


def test_hopeless_name_lists_the_fields() -> None:
    with pytest.raises(InputError, match=r"no field xyzzy: its fields are .*steps"):
        override(streets(), {"xyzzy": 1})


def test_fields_of_what_is_none_can_be_given_one_by_one() -> None:
    before = streets()
    assert values(before)["privacy"] is None
    assert values(before)["privacy.noise"] is None
    after = override(before, {"privacy.noise": 0.5})
    assert after.privacy == Privacy(noise=0.5)
    assert "privacy" not in values(after)
    saved = json.loads(json.dumps(to_json(after)))
    assert restored(before, saved).privacy == from_json(saved).privacy == after.privacy


def test_what_has_no_default_has_no_fields_before_it_is_given() -> None:
    with pytest.raises(InputError, match=r"no field inference\.windows\.height"):
        override(streets(), {"inference.windows.height": 5})


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("1e-3", float, 1e-3),
        ("true", bool, True),
        ("480x360", tuple[int, int], (480, 360)),
        ("0.5,2", tuple[float, float], (0.5, 2.0)),
        ("[1, 2, 3]", tuple[int, ...], (1, 2, 3)),
        ("none", tuple[int, int] | None, None),
        ("240x320", tuple[int, int] | None, (240, 320)),
        ("sgd", Literal["sgd", "adamw"], "sgd"),
        ("none", Literal["none", "balanced"], "none"),
        ("a+b", str, "a+b"),
        ("1x2", str, "1x2"),
    ],
)
def test_parse(text: str, hint: object, value: object) -> None:
    assert parse("field", text, hint) == value


@pytest.mark.parametrize(
    ("text", "hint"), [("ten", int), ("sdg", Literal["sgd", "adamw"]), ("1,2,3", tuple[int, int])]
)
def test_parse_refuses_other_types(text: str, hint: object) -> None:
    with pytest.raises(InputError, match=r"field: .* is not of type"):
        parse("field", text, hint)


def test_saved_configuration_builds_the_same_network() -> None:
    config = override(streets(), {"network.backbone.width": 8, "resize": (64, 96)})
    restored = from_json(json.loads(json.dumps(to_json(config))))
    assert values(restored) == values(config)
    assert str(restored.network(5)) == str(config.network(5))
    assert isinstance(restored.inference, InferencePlan)


def test_saved_configuration_holds_the_defaults_of_its_time() -> None:
    saved = to_json(partial(PSPNet, backbone=partial(ResNet, depth=18)))
    assert saved["with"]["dropout"] == 0.1
    assert saved["with"]["backbone"]["with"] == {
        "depth": 18,
        "deep_stem": False,
        "stride_in_1x1": False,
        "width": 64,
    }


def test_a_run_gives_its_recipe_all_values_back() -> None:
    config = override(streets(), {"network.backbone.width": 8, "scale": (0.5, 0.7), "weights": "x.pth"})
    saved = json.loads(json.dumps(to_json(config)))
    assert values(restored(streets(), saved)) == values(config)
    saved["with"]["stepz"] = 3
    with pytest.raises(InputError, match="no field stepz: did you mean steps"):
        restored(streets(), saved)


def test_a_run_gives_back_what_its_recipe_leaves_empty() -> None:
    recipe = camvid_synthetic()
    assert recipe.synthetic.masks is None
    config = override(recipe, {"synthetic.masks": CamVid, "synthetic.masks_data": "there"})
    saved = json.loads(json.dumps(to_json(config)))
    again = restored(recipe, saved)
    assert again.synthetic.masks.func is CamVid
    # and it can be given anew
    assert override(again, {"synthetic.masks": Cityscapes}).synthetic.masks is Cityscapes


def test_what_a_recipe_builds_itself_needs_no_trust() -> None:
    class Own(PSPNet):
        pass

    recipe = replace(streets(), network=partial(Own, backbone=partial(ResNet, depth=18)))
    config = override(recipe, {"network.backbone.depth": 34})
    again = restored(recipe, json.loads(json.dumps(to_json(config))), trusted=("elsewhere",))
    assert again.network.func is Own
    assert again.network.keywords["backbone"].keywords["depth"] == 34


@pytest.mark.parametrize("name", ["tessella.runs.environment:Path", "tessella.runs.learned:BytesIO"])
def test_a_module_of_ours_names_no_class_that_it_only_imports(name: str) -> None:
    with pytest.raises(InputError, match=r"which is not a class of tessella"):
        from_json({"call": name, "with": {}})


def test_a_trusted_package_may_give_functions_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("from shutil import rmtree\ndef network(depth): return depth\n")
    monkeypatch.syspath_prepend(tmp_path)
    trusted = ("tessella", "mine")
    assert from_json({"call": "mine:network", "with": {"depth": 3}}, trusted)() == 3
    with pytest.raises(InputError, match="not a class"):
        from_json({"call": "mine:rmtree", "with": {}}, trusted)
    with pytest.raises(InputError, match="not part of"):
        from_json({"call": "mine:network", "with": {}})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("os:system", "not part of tessella.*--trust os"),
        ("tessella_evil.net:Net", "not part of tessella"),
        ("tessella.networks:Missing", "does not exist"),
        ("tessella.runs.model:load_model", "not a class"),
    ],
)
def test_only_classes_of_trusted_packages_are_built(call: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_json({"call": call, "with": {}})


@dataclass(frozen=True)
class Outer:
    """A configuration.

    first, second: two numbers
    third: another
    """

    first: int = 1
    second: int = 2
    third: int = 3


def test_help_comes_from_the_docstring() -> None:
    assert [f.help for f in fields(Outer())] == ["two numbers", "two numbers", "another"]
