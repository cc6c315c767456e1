"""Where predictions are right and wrong."""

import numpy as np
from jaxtyping import Integer, UInt8

from tessella.errors import InputError

WHITE = (255, 255, 255)
GREY = (150, 150, 150)
BLACK = (0, 0, 0)
RED = (230, 30, 40)
CYAN = (0, 200, 220)


def difference(
    prediction: Integer[np.ndarray, "height width"],
    target: Integer[np.ndarray, "height width"],
    ignore_index: int = 255,
) -> UInt8[np.ndarray, "height width 3"]:
    """White where the prediction is right, red where it is wrong, grey where the truth is ignored."""
    _check_sizes(prediction, target)
    picture = np.full((*target.shape, 3), WHITE, dtype=np.uint8)
    picture[prediction != target] = RED
    picture[target == ignore_index] = GREY
    return picture


def comparison(
    baseline: Integer[np.ndarray, "height width"],
    proposed: Integer[np.ndarray, "height width"],
    target: Integer[np.ndarray, "height width"],
    ignore_index: int = 255,
) -> UInt8[np.ndarray, "height width 3"]:
    """Which of two predictions is right.

    White: both; red: only the baseline; cyan: only the proposed one; black: neither; grey: truth is ignored.
    """
    _check_sizes(baseline, target)
    _check_sizes(proposed, target)
    picture = np.full((*target.shape, 3), BLACK, dtype=np.uint8)
    picture[baseline == target] = RED
    picture[proposed == target] = CYAN
    picture[(baseline == target) & (proposed == target)] = WHITE
    picture[target == ignore_index] = GREY
    return picture


def _check_sizes(prediction: np.ndarray, target: np.ndarray) -> None:
    if prediction.shape != target.shape:
        raise InputError(
            f"prediction has shape {prediction.shape}, its ground truth {target.shape}; "
            "resize the prediction to the truth"
        )
