"""What is asked about an image, with labels and without."""

import pytest
import torch

from tessella.membership_inference.answers import STEADINESS, ask, utility
from tessella.membership_inference.label_only import labels_of, steadiness
from tessella.membership_inference.signals import OF_IMAGES_ALONE, SIGNALS

IMAGE = torch.randint(0, 256, (1, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Box:
    """Posteriors of three classes by colour; counts what it is asked."""

    asked = 0

    def __call__(self, images):
        self.asked += len(images)
        return (images.float() / 64).softmax(1)


def test_without_labels():
    box = Box()
    answer, posteriors = ask(box, IMAGE, None, True)
    assert box.asked == 10
    assert torch.equal(posteriors, Box()(IMAGE))
    assert {name for name, score in answer.scores.items() if score is not None} == {
        *OF_IMAGES_ALONE,
        STEADINESS,
    }
    assert answer.scores["confidence"] == pytest.approx(float(posteriors.amax(1).mean()), abs=1e-6)
    assert answer.scores["entropy"] == pytest.approx(
        float((posteriors * posteriors.log()).sum(1).mean()), abs=1e-6
    )
    assert answer.scores[STEADINESS] == pytest.approx(float(steadiness(labels_of(Box()), IMAGE)[0]), abs=1e-6)
    assert answer.of_classes == [None] * 3
    assert answer.correct == answer.truth == answer.predicted == [0] * 3
    assert set(utility([vars(answer)]).as_row().values()) == {None}


def test_with_labels():
    truth = IMAGE.long().argmax(1)
    answer, _ = ask(Box(), IMAGE, truth, True)
    assert answer.scores.keys() == {*SIGNALS, STEADINESS}
    assert None not in answer.scores.values()
    assert answer.scores["correct"] == 1
    assert sum(answer.correct) == truth.numel()
    wrong, _ = ask(Box(), IMAGE, (truth + 1) % 3, True)
    assert wrong.scores[STEADINESS] < answer.scores[STEADINESS]
    assert wrong.scores["confidence"] == answer.scores["confidence"]
