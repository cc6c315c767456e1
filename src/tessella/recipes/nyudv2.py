"""NYUDv2, 40 classes, from colour alone: the basic network under table 3.4 of the thesis."""

from functools import partial

from tessella.datasets import NYUDv2
from tessella.networks import FCN
from tessella.runs.segmentation import Segmentation


def nyudv2_fcn() -> Segmentation:
    """FCN-16s with VGG-16 on the colour images.

    Literature: 34.0 mean IoU with colour and HHA (table 3.4); 29.2 with colour alone, FCN-32s (Long et al., table 4)
    Command: tessella train nyudv2_fcn --data NYUDV2 --weights VGG16.pth
    Citation: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015
    """
    return Segmentation(
        network=partial(FCN, stride=16),
        dataset=partial(NYUDv2, classes=40),
        val_split="test",
        test_split="test",
        crop=(425, 560),
        scale=(1.0, 1.0),
        steps=10_000,
        batch_size=2,
        learning_rate=1e-3,
        weight_decay=5e-4,
        validate_every=1000,
    )
