"""The one exception for what a user can put right."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that names the file or field and says what to do. The command line prints it
    alone; every other exception is a fault of ours and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        # PyTorch raises the error of a loading process anew, with that process's traceback for its text: the
        # line behind the last "InputError: " is what we said.
        super().__init__(message.rpartition(f"{type(self).__name__}: ")[2].strip())


@contextmanager
def naming(what: object) -> Iterator[None]:
    """Put a file, a layer, what it is of, before what is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
