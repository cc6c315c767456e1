"""Do a model and a data set mean the same classes, in the same order?"""

import re
from collections.abc import Sequence

from tessella.errors import InputError

MADE_UP = re.compile(r"(class )?\d+")
"""What a class is called where nobody gave it a name."""


def require_same_classes(where: str, of_data: Sequence[str], of_model: Sequence[str]) -> None:
    """InputError, which begins with ``where``, for another number of classes, or for another name of one of them.

    Upper and lower case are the same; a number is no name.
    """
    if len(of_data) != len(of_model):
        raise InputError(f"{where}: labels of {len(of_data)} classes where the model has {len(of_model)}")
    for number, pair in enumerate(zip(of_data, of_model, strict=True)):
        data, model = (name.strip().casefold() for name in pair)
        if data != model and not any(MADE_UP.fullmatch(name) for name in (data, model)):
            raise InputError(
                f"{where}: class {number} is {pair[0]!r} where the model's is {pair[1]!r}; give data with the model's "
                "classes in its order"
            )
