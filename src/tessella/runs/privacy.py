"""Training with differential privacy: its settings, and what they cannot be combined with."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tessella.errors import InputError

REFUSED: dict[str, tuple[object, str]] = {
    "class_weights": (
        "none",
        "class_weights balanced gives away the training labels; give --class_weights none",
    ),
    "views": (
        None,
        "the guarantee is of single images, and views share frames; choose a recipe without views",
    ),
    "synthetic": (None, "the generator was trained on the same images; give --synthetic none"),
    "isda": (0, "isda keeps statistics of the training images; give --isda 0"),
    "copy_paste": (0, "copy_paste joins images; give --copy_paste 0"),
    "keep_statistics": (
        False,
        "groups are normalised, which have no statistics; give --keep_statistics false",
    ),
    "accumulate": (1, "images come one by one, and a batch takes no memory; give --accumulate 1"),
    "clip": (0, "clip is of a whole batch; give --clip 0, and --privacy.clip"),
}
"""Field of ``Segmentation`` to the value that it must have, and why."""


@dataclass(frozen=True)
class Privacy:
    """DP-SGD; see ``PrivateTask``.

    noise: standard deviation of the noise on a batch's summed gradient, in units of clip; 0 guarantees nothing
    clip: norm that the gradient of each image is shortened to
    delta: probability that the guarantee fails; none for 1 / number of training images
    """

    noise: float = 1.0
    clip: float = 1.0
    delta: float | None = None

    def require(self, config: Any, images: int, channels: int, processes: int) -> None:
        """Raise InputError, before training, for what would break the guarantee or cannot be trained so.

        config: the ``Segmentation``. images, channels: of the training set. processes: that train.
        """
        if find_spec("opacus") is None:
            raise InputError("privacy: training needs pip install tessella[privacy]")
        delta = 0.5 if self.delta is None else self.delta
        if self.noise < 0 or self.clip <= 0 or not 0 < delta < 1:
            raise InputError(f"{self}: noise must be at least 0, clip more than 0, delta between 0 and 1")
        for name, (value, why) in REFUSED.items():
            if getattr(config, name) != value:
                raise InputError(f"privacy: {why}")
        if channels != 3:
            raise InputError(
                f"privacy: images of {channels} channels are normalised by training images; only 3 will do"
            )
        if processes != 1:
            raise InputError("privacy: trains in one process; give --devices 1 --nodes 1")
        if config.batch_size > images:
            raise InputError(
                f"privacy: batch_size {config.batch_size} of {images} images; give at most {images}"
            )
