"""One model for many who ask."""

import threading
import time

import pytest
import torch

from tessella.serving.batching import Batcher, Overloaded


class Slow:
    """Doubles; the first call waits until it is let go, so that others gather behind it."""

    def __init__(self):
        self.sizes, self.free = [], threading.Event()

    def __call__(self, images):
        self.sizes.append(list(images.shape))
        self.free.wait(10)
        if (images == 99).any():
            raise RuntimeError("no")
        return images * 2


@pytest.fixture
def slow():
    return Slow()


def image(value, number=1, width=2):
    return torch.full((number, 3, 2, width), float(value))


def ask_while_busy(batcher, slow, *images):
    """The first is being answered while the others arrive."""
    first = batcher.ask(slow, image(0))
    while not slow.sizes:
        time.sleep(0.001)
    return [first, *(batcher.ask(slow, each) for each in images)]


def test_what_waits_is_answered_together(slow):
    seen = []
    batcher = Batcher(4, 100, seen.append)
    futures = ask_while_busy(batcher, slow, image(1), image(2, 2), image(3), image(4))
    slow.free.set()
    assert [float(future.result(5).max()) for future in futures] == [0, 2, 4, 6, 8]
    assert [len(future.result()) for future in futures] == [1, 1, 2, 1, 1]
    assert seen == [1, 4, 1]
    batcher.close()


def test_sizes_and_answers_do_not_mix(slow):
    batcher = Batcher(8, 100)
    other = lambda images: images + 1  # noqa: E731
    futures = ask_while_busy(batcher, slow, image(1), image(2, width=5), image(3))
    futures.append(batcher.ask(other, image(4)))
    slow.free.set()
    assert [float(future.result(5).max()) for future in futures] == [0, 2, 4, 6, 5]
    assert [size[3] for size in slow.sizes] == [2, 2, 5, 2]
    batcher.close()


def test_too_many_are_refused_and_the_others_answered(slow):
    batcher = Batcher(1, 2)
    futures = ask_while_busy(batcher, slow, image(1), image(2))
    with pytest.raises(Overloaded, match="too many"):
        batcher.ask(slow, image(3))
    slow.free.set()
    assert [float(future.result(5).max()) for future in futures] == [0, 2, 4]
    batcher.close()


def test_a_failure_is_its_callers_alone(slow):
    batcher = Batcher(1, 10)
    futures = ask_while_busy(batcher, slow, image(99), image(2))
    slow.free.set()
    with pytest.raises(RuntimeError, match="no"):
        futures[1].result(5)
    assert float(futures[2].result(5).max()) == 4
    batcher.close()


def test_who_no_longer_waits_is_not_asked_for(slow):
    batcher = Batcher(1, 10)
    futures = ask_while_busy(batcher, slow, image(1), image(2))
    assert futures[1].cancel()
    slow.free.set()
    assert float(futures[2].result(5).max()) == 4
    assert len(slow.sizes) == 2
    batcher.close()


def test_closing_answers_what_was_taken(slow):
    batcher = Batcher(2, 10)
    futures = ask_while_busy(batcher, slow, image(1), image(2), image(3, width=7))
    closing = threading.Thread(target=batcher.close)
    closing.start()
    time.sleep(0.05)
    with pytest.raises(Overloaded, match="stopping"):
        batcher.ask(slow, image(4))
    slow.free.set()
    closing.join(5)
    assert not closing.is_alive()
    assert [float(future.result(0).max()) for future in futures] == [0, 2, 4, 6]
