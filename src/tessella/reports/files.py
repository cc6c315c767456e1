"""Files of results: one that is missing, cut short or of another shape is an InputError that names it."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from tessella.errors import InputError

OF_ANOTHER_SHAPE = (ValueError, LookupError, TypeError, AttributeError)
"""What taking a result apart raises where it does not hold what it should."""


def read_arrays(file: Path, *names: str, otherwise: str) -> tuple[np.ndarray, ...]:
    """The arrays of these names in an ``.npz``; InputError where it cannot be read, or lacks one."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return tuple(arrays[name] for name in names)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, *OF_ANOTHER_SHAPE) as error:
        raise InputError(f"{file} cannot be read ({error}); {otherwise}") from None
