"""Files of results: one that is missing, cut short or of another shape is an InputError that names it."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tessella.errors import InputError

OF_ANOTHER_SHAPE = (ValueError, LookupError, TypeError, AttributeError)
"""What taking a result apart raises where it does not hold what it should."""


def read_object(file: Path, otherwise: str = "restore it or delete it") -> dict[str, Any]:
    """A JSON object. otherwise: what to do where that cannot be read, which the InputError ends with."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); {otherwise}") from None
    except ValueError as error:  # also of text that is not UTF-8
        raise InputError(f"{file} is not valid JSON ({error}); {otherwise}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object, not a {type(content).__name__}; {otherwise}")
    return content


def read_arrays(file: Path, *names: str, otherwise: str) -> tuple[np.ndarray, ...]:
    """The arrays of these names in an ``.npz``; InputError as above where it lacks one, too."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return tuple(arrays[name] for name in names)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, *OF_ANOTHER_SHAPE) as error:
        raise InputError(f"{file} cannot be read ({error}); {otherwise}") from None
