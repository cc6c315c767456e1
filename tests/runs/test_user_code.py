"""Python code of users, as they write it."""

import dataclasses
import importlib
import sys
from typing import get_type_hints

import pytest

from tessella.errors import InputError
from tessella.runs.user_code import load_code, load_function

POSTPONED = """
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Settings:
    where: Path = Path("{where}")
"""


@pytest.mark.parametrize("name", ["../net:make", "./net:make", ".:make", "..net:make", ":make"])
def test_what_is_neither_a_file_nor_a_module(name):
    with pytest.raises(InputError, match=r"is neither a Python file, ending in \.py, nor a module"):
        load_function(name)


@pytest.mark.parametrize("name", ["folder/net:make", "/folder/net:make", "no_such_module:make"])
def test_a_module_that_there_is_not(name):
    with pytest.raises(InputError, match="No module named"):
        load_function(name)


def test_annotations_that_are_read_later(tmp_path):
    """Of two files with one name, each class has its own."""
    for where in ("a", "b"):
        (tmp_path / where).mkdir()
        file = tmp_path / where / "a_users_settings.py"
        file.write_text(POSTPONED.format(where=where))
        kind = load_function(f"{file}:Settings")
        assert kind.__module__ == "a_users_settings"
        assert str(kind().where) == where
        assert [field.name for field in dataclasses.fields(kind)] == ["where"]
        assert get_type_hints(kind)["where"].__name__ == "Path"
        assert sys.modules["a_users_settings"].Settings is kind


@pytest.mark.parametrize("name", ["json", "onnx_of_a_test"])
def test_a_file_with_the_name_of_another_module_leaves_that_alone(name, tmp_path, monkeypatch):
    """One that is loaded, and one that is not yet."""
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "onnx_of_a_test.py").write_text("loads = 1\n")
    monkeypatch.syspath_prepend(installed)
    file = tmp_path / f"{name}.py"
    file.write_text("def make(): return 1\n")
    assert load_code(str(file)).make() == 1
    assert hasattr(importlib.import_module(name), "loads")
