import numpy as np
import pytest

from tessella.datasets import cityscapes
from tessella.datasets.nyudv2_classes import CLASSES_13, index_of_id40
from tessella.errors import InputError
from tessella.scenes import TRAIN_LABELS, labelled_position, sequence
from tessella.scenes.frame import sequence_key

SMALL = {"height": 60, "width": 80}


def _same(first, second):
    return all(np.array_equal(value, getattr(second, name)) for name, value in vars(first).items())


@pytest.mark.parametrize("kind", ["street", "room"])
def test_same_seed_same_frames(kind):
    first, again = (list(sequence(kind, (1, 2), 2, **SMALL)) for _ in range(2))
    assert all(_same(a, b) for a, b in zip(first, again, strict=True))
    other = next(sequence(kind, (1, 3), 2, **SMALL))
    assert not np.array_equal(first[0].image, other.image)


def test_frames_do_not_depend_on_which_are_asked_for(street_video):
    alone = next(sequence("street", 3, frames=3, height=120, width=160, only=[2]))
    assert _same(alone, street_video[2])


def test_shapes_and_types(video):
    frame = video[0]
    expected = {
        "image": ((120, 160, 3), np.uint8),
        "depth": ((120, 160), np.float32),
        "noisy_depth": ((120, 160), np.float32),
        "normals": ((120, 160, 3), np.float32),
        "labels": ((120, 160), np.uint8),
        "instances": ((120, 160), np.uint16),
        "pose": ((4, 4), np.float64),
        "intrinsics": ((3, 3), np.float64),
        "flow_forward": ((120, 160, 2), np.float32),
        "flow_backward": ((120, 160, 2), np.float32),
        "visible_forward": ((120, 160), np.bool_),
        "visible_backward": ((120, 160), np.bool_),
    }
    assert {name: (value.shape, value.dtype.type) for name, value in vars(frame).items()} == expected


def test_the_twentieth_of_thirty_frames_is_labelled():
    assert [labelled_position(frames) for frames in (1, 2, 3, 5, 30, 90)] == [0, 1, 1, 3, 19, 19]


@pytest.mark.parametrize(
    ("kind", "table", "count"),
    [
        ("street", TRAIN_LABELS["street"], len(cityscapes.CLASSES)),
        ("room", index_of_id40(13), len(CLASSES_13)),
    ],
)
def test_every_class_occurs_in_a_tenth_of_the_sequences(kind, table, count):
    sequences = 40
    occurs = np.zeros(256, int)
    for number in range(sequences):
        frame = next(sequence(kind, (0, number), 1, **SMALL))
        occurs[np.unique(table[frame.labels])] += 1
    assert (occurs[:count] >= sequences / 10).all(), occurs[:count]


def test_scale_varies(street_video):
    heights = {}
    for number in range(6):
        frame = next(sequence("street", (5, number), 1))
        for label in (24, 28):
            for instance in np.unique(frame.instances[frame.labels == label]):
                rows = np.flatnonzero((frame.instances == instance).any(axis=1))
                heights.setdefault(label, []).append(np.ptp(rows) + 1)
    assert min(heights[24]) <= 10
    assert max(heights[24] + heights[28]) >= 60


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("forest", 0, 1), "kind is 'forest'"),
        (("street", 0, 0), "frames is 0"),
        (("street", 0, 1, 8, 320), "height x width is 8 x 320"),
    ],
)
def test_impossible_requests(arguments, named):
    with pytest.raises(InputError, match=named):
        next(sequence(*arguments))


def test_the_camera_does_not_walk_into_furniture():
    """In a kitchen whose walk once ended inside a cupboard: three centimetres from it."""
    frames = sequence("room", sequence_key("room", "train", 95, 0), 10, 60, 80, interval=0.5)
    assert min(np.median(frame.depth) for frame in frames) > 1
