"""Spatio-temporal data-driven pooling: tables 3.2 to 3.6 of the thesis, and small networks for two CPU cores.

Three models of each recipe: "full" brings eleven views together in training and test; "superpixel+" is the same network
tested on single frames (``tessella evaluate RUN --views 1``); "superpixel" sees single frames in training as well
(``--views.training 1 --views.test 1``).

The authors cut rows 45 to 469 and columns 40 to 599 out of every picture of NYUDv2; here whole pictures are trained on
and tested, so that a comparison with their numbers is not one of the same pixels.
"""

from dataclasses import replace
from functools import partial

from tessella.datasets import NYUDv2, NYUDv2Frames, Prepared
from tessella.inference import InferencePlan
from tessella.networks import TwoStreamFCN
from tessella.recipes.nyudv2 import nyudv2_fcn
from tessella.recipes.streets import rooms
from tessella.runs.segmentation import Segmentation
from tessella.runs.views import Views

WINDOW = tuple(range(-150, 151, 3))
"""Raw frames around the labelled one: fifty steps of three to either side."""


def nyudv2_two_stream() -> Segmentation:
    """FCN-16s on colour and HHA, image by image: the network under the pooling.

    Literature: 34.0 mean IoU, 40 classes (table 3.4)
    Command: tessella data prepare NYUDv2 NYUDV2 && tessella train nyudv2_two_stream --data NYUDV2 --weights VGG16.pth
    Citation: Shelhamer et al., Fully convolutional networks for semantic segmentation, PAMI 2017
    """
    return replace(
        nyudv2_fcn(),
        network=partial(TwoStreamFCN),
        dataset=partial(Prepared, dataset=partial(NYUDv2, classes=40, depth=True, neighbours=WINDOW)),
    )


def nyudv2_pooling() -> Segmentation:
    """The full model: eleven views, average pooling over regions and views, from a trained two-stream FCN.

    As published, the layers up to pool4 stay as they are and their maps are kept: a step costs what follows them.
    For the 13 and 4 classes of table 3.5 add --dataset.dataset.classes 13 (or 4), to both recipes.

    Literature: 40.1 mean IoU; superpixel+ 38.1, superpixel 36.0 (tables 3.2 and 3.4, 40 classes)
    Command: tessella train nyudv2_pooling --data NYUDV2 --weights runs/nyudv2_two_stream/checkpoints/best.ckpt
    Citation: He et al., STD2P: RGBD semantic segmentation using spatio-temporal data-driven pooling, CVPR 2017
    """
    return replace(
        nyudv2_two_stream(),
        crop=None,
        jitter=0.0,
        frozen_stages=3,
        steps=1000,
        batch_size=1,
        accumulate=10,
        validate_every=500,
        views=Views(),
    )


def rooms_views() -> Segmentation:
    """A small PSPNet-18 on colour and HHA of rendered rooms, image by image: the start of ``rooms_pooling``.

    Command: tessella scenes render room --out rooms --sequences train=30,test=50 --frames 10 --interval 0.5 &&
        tessella data prepare NYUDv2Frames rooms/frames --window 9 && tessella train rooms_views --data rooms/frames
    Citation: Zhao et al., Pyramid scene parsing network, CVPR 2017
    """
    return replace(
        rooms(),
        dataset=partial(
            Prepared, dataset=partial(NYUDv2Frames, classes=13, depth=True, neighbours=tuple(range(-9, 10)))
        ),
        steps=1500,
        validate_every=1500,
        inference=InferencePlan(scales=(0.5, 0.75), flip=True, average="logits"),
    )


def rooms_pooling() -> Segmentation:
    """The full model on rendered rooms: ten views of each, one of ten frames labelled.

    Command: tessella train rooms_pooling --data rooms/frames --weights runs/rooms_views/checkpoints/best.ckpt
    Citation: He et al., STD2P: RGBD semantic segmentation using spatio-temporal data-driven pooling, CVPR 2017
    """
    return replace(
        rooms_views(),
        steps=400,
        validate_every=400,
        batch_size=2,
        learning_rate=2e-3,
        views=Views(training=10, test=10),
    )
