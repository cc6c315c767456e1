"""Python code of users, by file or by module."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from tessella.errors import InputError


def load_code(name: str) -> ModuleType:
    """Run ``file.py``, or import ``package.module``. InputError where there is none; what it raises itself passes."""
    path = Path(name)
    if path.suffix != ".py":
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise InputError(f"{name}: {error}") from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_function(where: str) -> Any:
    """``file.py:function``. InputError where there is no such file, or nothing of that name in it."""
    file, colon, name = where.rpartition(":")
    if not colon:
        raise InputError(f"{where}: give a file and a function in it, as {where}:my_function")
    found = getattr(load_code(file), name, None)
    if not callable(found):
        raise InputError(f"{file} has no function {name}")
    return found
