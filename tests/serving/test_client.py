"""A server by its URL as a black box: ours, and servers that speak less of the protocol."""

import json
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.serving.conftest import CLASSES, colour_model, pictures, running, served, truth

from tessella.errors import InputError
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD
from tessella.serving import client
from tessella.serving.client import RemoteModel
from tessella.serving.guard import Settings
from tessella.serving.protocol import HEADER_LENGTH, NamedTensor, read_request, write_response


def test_posteriors_come_back_as_they_are(access):
    images = torch.from_numpy(pictures(2))
    with running(access, served(posteriors=True)) as url:
        for address in (url, f"{url}/", f"{url}/v2/models/colours", f"{url}/v2/models/colours/versions/1"):
            remote = RemoteModel(address)
            torch.testing.assert_close(remote(images), colour_model(images))
        torch.testing.assert_close(remote(images.float() / 255), colour_model(images))
        assert remote.contract.classes == CLASSES


def test_of_a_server_of_label_maps_posteriors_are_0_and_1(access):
    images = torch.from_numpy(pictures(2))
    with running(access) as url:
        found = RemoteModel(url)(images)
    assert found.shape == (2, 4, 12, 16)
    assert set(found.unique().tolist()) == {0, 1}
    np.testing.assert_array_equal(found.argmax(1), truth(pictures(2)))


def test_a_key_is_sent(access):
    key = access.add("alice", 1)
    images = torch.from_numpy(pictures(1))
    with running(access, settings=Settings(keys=True)) as url:
        with pytest.raises(InputError, match="401 give a key"):
            RemoteModel(url)
        remote = RemoteModel(url, key=key)
        remote(images)
        with pytest.raises(InputError, match="403 the budget of alice"):
            remote(images)


class Other(BaseHTTPRequestHandler):
    """Another server: logits at half the size, no binary tensors, one name for its only model."""

    inputs: ClassVar[Any] = [{"name": "x", "datatype": "FP32", "shape": [-1, 3, -1, -1]}]
    outputs: ClassVar[Any] = [{"name": "y", "datatype": "FP32", "shape": [-1, 4, -1, -1]}]
    busy = 0
    models = ("net",)
    got: list

    def do_GET(self):
        self.answer({"name": "net", "inputs": self.inputs, "outputs": self.outputs})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/index"):
            return self.answer([{"name": name} for name in self.models])
        if type(self).busy:
            type(self).busy -= 1
            return self.answer({"error": "busy"}, 503, {"Retry-After": "0.01"})
        if HEADER_LENGTH in self.headers:
            return self.answer({"detail": "no JSON"}, 422)
        request = read_request(body, None)
        self.got.append(request.inputs[0].data)
        logits = np.stack([image.mean(0)[::2, ::2] * np.arange(4)[:, None, None] for image in self.got[-1]])
        content, _ = write_response("net", "1", "", [(NamedTensor("y", logits.astype(np.float32)), False)])
        return self.answer(json.loads(content))

    def answer(self, content, status=200, headers=()):
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def other():
    handler = type("Handler", (Other,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_without_binary_tensors_is_sent_lists(other):
    url, handler = other
    remote = RemoteModel(url, gives="logits", normalised=True)
    images = torch.from_numpy(pictures(2, 8, 8))
    found = remote(images)
    assert found.shape == (2, 4, 8, 8)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 8, 8))
    expected = (images.double() / 255 - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(
        IMAGENET_STD
    )[:, None, None]
    np.testing.assert_allclose(handler.got[0], expected, atol=1e-5)
    remote(images)
    assert len(handler.got) == 2  # the second time it is not asked for bytes


def test_a_busy_server_is_asked_again(other, monkeypatch):
    url, handler = other
    remote = RemoteModel(url, gives="logits")
    handler.busy = 3
    remote(torch.from_numpy(pictures()))
    handler.busy = 99
    monkeypatch.setattr(client, "RETRIES", 2)
    with pytest.raises(InputError, match="503 busy"):
        remote(torch.from_numpy(pictures()))
    assert handler.busy == 96


def test_what_is_left_open_is_asked_of_the_user(other):
    url, handler = other
    with pytest.raises(InputError, match="output y: say what it holds by --gives"):
        RemoteModel(url)
    with pytest.raises(InputError, match="--input z: the server has x"):
        RemoteModel(url, input="z", gives="logits")
    handler.inputs = [*Other.inputs, {"name": "mask", "datatype": "FP32", "shape": [-1]}]
    with pytest.raises(InputError, match="--input : the server has x, mask"):
        RemoteModel(url, gives="logits")
    assert RemoteModel(url, input="x", gives="logits").contract.input == "x"
    handler.models = ("one", "two")
    with pytest.raises(InputError, match=r"/v2/models/NAME  one, two"):
        RemoteModel(url)
    handler.inputs = [{"name": "x", "datatype": "BYTES", "shape": [-1]}]
    with pytest.raises(InputError, match="it is BYTES; UINT8 or FP32"):
        RemoteModel(f"{url}/v2/models/one", gives="logits")
    handler.inputs = "none"
    with pytest.raises(InputError, match="not that of the protocol"):
        RemoteModel(f"{url}/v2/models/one", gives="logits")


def test_no_server(monkeypatch):
    monkeypatch.setattr(client, "RETRIES", 1)
    with pytest.raises(InputError, match="does the server run"):
        RemoteModel("http://127.0.0.1:1/v2/models/x")


def test_a_lost_answer_is_not_asked_for_again(other, monkeypatch):
    """It may have been counted."""
    url, handler = other
    remote = RemoteModel(url, gives="logits")
    asked = []

    def lost(self):
        asked.append(1)
        self.close_connection = True

    monkeypatch.setattr(handler, "do_POST", lost)
    with pytest.raises(InputError, match="infer"):
        remote(torch.from_numpy(pictures()))
    assert len(asked) == 1


def test_a_label_beyond_the_classes_is_refused(other, monkeypatch):
    url, handler = other
    handler.outputs = [{"name": "y", "datatype": "INT64", "shape": [-1, -1, -1]}]
    monkeypatch.setattr(RemoteModel, "_infer", lambda self, images: np.full((1, 2, 2), 7, np.uint64))
    with pytest.raises(InputError, match=r"gives label 7, and there are \d+ classes, from 0 on"):
        RemoteModel(url)(torch.zeros(1, 3, 2, 2))
    assert RemoteModel(url, classes=8)(torch.zeros(1, 3, 2, 2)).shape == (1, 8, 2, 2)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.full((1, 3, 2, 2), np.nan), "no finite numbers"),
        (np.full((1, 3, 2, 2), 0.0), "sums to 1 but for 1"),
        (np.full((1, 3, 2, 2), -1.0), "as of logits"),
        (np.full((2, 3, 2, 2), 1 / 3), r"\[2, 3, 2, 2\]; \[1, classes"),
        (np.full((3, 2, 2), 1 / 3), r"is \[3, 2, 2\]"),
        (np.zeros((1, 0, 2, 2)), "no finite numbers"),
        (np.array([b"x"], object), "no finite numbers"),
    ],
)
def test_what_is_no_map_of_posteriors_is_refused(other, monkeypatch, answer, message):
    monkeypatch.setattr(RemoteModel, "_infer", lambda self, images: answer)
    with pytest.raises(InputError, match=message):
        RemoteModel(other[0], gives="posteriors")(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize(
    ("classes", "palette"),
    [
        (["a"], [[1, 2, 3], [4, 5, 6]]),
        (["a"], [[1, 2, 300]]),
        (["a"], [[1, 2, float("inf")]]),
        (["a"], "x"),
        (3, []),
    ],
)
def test_metadata_that_does_not_fit_is_refused(other, monkeypatch, classes, palette):
    url, handler = other
    metadata = {
        "inputs": handler.inputs,
        "outputs": handler.outputs,
        "parameters": {"classes": classes, "palette": palette},
    }
    monkeypatch.setattr(handler, "do_GET", lambda self: self.answer(metadata))
    with pytest.raises(InputError, match=r"metadata is not|palette does not fit"):
        RemoteModel(url, gives="logits")


def test_addresses_that_are_none():
    for url, message in (
        ("http://bob:secret@127.0.0.1:1", "give --key"),
        ("http://127.0.0.1:port", "port"),
        ("http://[::1", "::1"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            RemoteModel(url, key="key")
        assert "secret" not in str(caught.value)


def test_answers_without_end_and_compressed_ones_are_refused(other, monkeypatch):
    url, handler = other
    remote = RemoteModel(url, gives="logits")
    monkeypatch.setattr(client, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="more than 1000 bytes"):
        remote(torch.from_numpy(pictures(1, 64, 64)))
    monkeypatch.setattr(
        handler, "do_POST", lambda self: self.answer({}, headers={"Content-Encoding": "gzip"})
    )
    with pytest.raises(InputError, match="compressed"):
        remote(torch.from_numpy(pictures()))


def test_a_refusal_is_not_repeated_as_lists_once_bytes_were_taken(other, monkeypatch):
    url, handler = other
    remote = RemoteModel(url, gives="logits")
    remote._settled = True
    asked = []

    def refuses(self):
        asked.append(self.headers.get(HEADER_LENGTH))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"error": "no\x1b[31m" + "x" * 500}, 400)

    monkeypatch.setattr(handler, "do_POST", refuses)
    with pytest.raises(InputError) as caught:
        remote(torch.from_numpy(pictures()))
    assert len(asked) == 1
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_some_other_page_is_no_server(other, monkeypatch):
    url, handler = other
    monkeypatch.setattr(
        handler, "do_GET", lambda self: SimpleHTTPRequestHandler.send_error(self, 200, "<html>")
    )
    with pytest.raises(InputError, match="gives no JSON"):
        RemoteModel(url, gives="logits")
