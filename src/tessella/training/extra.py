"""What a training with synthetic features is given."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from tessella.feature_synthesis.split import Outputs
from tessella.training.losses import SegmentationLoss


@dataclass(frozen=True)
class Extra:
    """What is trained on beside the real images of a batch.

    loss: of the extra part. weight: of that loss; extra samples for each real one make eq. 6.1 a mean over real images.
    decode: labels [S, H, W] to what the network that is trained makes of synthetic features for them, logits and those
        of auxiliary heads; None to train on the images that the labels are of.
    hard: of the real images of so many batches the hardest quarter gives the layouts of the next so many; 0 for layouts
        as they come. recall: a position of the stream of real samples to the image and labels there, needed for that.
    kept: where ``hard`` is on, whether what stands at a position of the extra stream is of a source of its own, and
        stays. None for no such source.
    filter: pixels whose loss is above this many times the mean of their class are left out; 0 for none (Yang et al.,
        FreeMask, NeurIPS 2023: 1.25).
    auxiliary_norms: whether batch normalisation has a scale and a shift of its own for the extra part, and goes by it.
    source: what tells the generator from others, so that no resumed training goes on with another.
    """

    loss: SegmentationLoss
    weight: float
    decode: Callable[[Tensor], Outputs] | None
    hard: int = 0
    recall: Callable[[int], tuple[Tensor, Tensor]] | None = None
    kept: Callable[[int], bool] | None = None
    filter: float = 0.0
    auxiliary_norms: bool = False
    source: str = ""
