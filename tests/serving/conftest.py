"""A server on a free port of this machine, around a model that is known."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch

pytest.importorskip("uvicorn", reason="the packages of tessella[serving] are not installed")

from tessella.serving.access import Access
from tessella.serving.answers import Served, labels_of, posteriors_of
from tessella.serving.app import create_app
from tessella.serving.guard import Settings
from tessella.serving.listen import listen, root_of, server_of

CLASSES = ("dark", "red", "green", "blue")


def colour_model(images):
    """Posteriors of four classes, each pixel's by its own colour: what a picture must give is seen at once."""
    scores = torch.cat([torch.full_like(images[:, :1].float(), 60), images.float()], 1)
    return (scores / 40).softmax(1)


def pictures(number=1, height=12, width=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, 3, height, width), dtype=np.uint8)


def truth(images):
    return colour_model(torch.from_numpy(images)).argmax(1).numpy().astype(np.uint8)


def served(black_box=colour_model, *, posteriors=False, undefended=None):
    answer = posteriors_of(black_box, 4) if posteriors else labels_of(black_box, 4)
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    before = None if undefended is None else labels_of(undefended, 4)
    return Served("colours", CLASSES, palette, 3, answer, posteriors, before)


@contextmanager
def running(access, what=None, settings=None):
    """The root URL of a server that answers."""
    settings = settings or Settings(timeout=10)
    with listen("127.0.0.1", 0) as listening:
        server = server_of(create_app(what or served(), access, settings), settings.timeout)
        server.config.log_level = "critical"
        server.config.configure_logging()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield root_of(listening)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def access(tmp_path):
    found = Access(tmp_path / "state" / "server.sqlite")
    yield found
    found.close()
