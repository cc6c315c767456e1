"""Python code of users, by file or by module."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

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
