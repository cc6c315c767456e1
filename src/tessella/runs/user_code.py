"""Python code of users, by file or by module."""

import importlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from tessella.errors import InputError

_loaded: dict[str, ModuleType] = {}
"""Those of files, by their names in ``sys.modules``."""


def load_code(name: str) -> ModuleType:
    """Run ``file.py``, or import ``package.module``. InputError where there is none; what it raises itself passes."""
    path = Path(name)
    if path.suffix != ".py":
        if not name or name.startswith("."):
            raise InputError(f"{name or 'nothing'}: is neither a Python file, ending in .py, nor a module")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise InputError(f"{name}: {error}") from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    if _is_free(path):
        sys.modules[path.stem] = _loaded[path.stem] = module  # dataclasses, for one, look for it there
    spec.loader.exec_module(module)
    return module


def _is_free(path: Path) -> bool:
    """Whether a file may be the module of its name: no other is, unless it was a file's, too, and none could be."""
    if path.stem in sys.modules:
        return sys.modules[path.stem] is _loaded.get(path.stem)
    spec = PathFinder.find_spec(path.stem)
    return spec is None or spec.origin is None or Path(spec.origin).resolve() == path.resolve()


def is_of_this_process(module: str) -> bool:
    """Whether it was run from a file which other processes do not find by its name."""
    return module in _loaded and PathFinder.find_spec(module) is None


def load_function(where: str) -> Any:
    """``file.py:function``. InputError where there is no such file, or nothing of that name in it."""
    file, colon, name = where.rpartition(":")
    if not colon:
        raise InputError(f"{where}: give a file and a function in it, as {where}:my_function")
    found = getattr(load_code(file), name, None)
    if not callable(found):
        raise InputError(f"{file} has no function {name}")
    return found
