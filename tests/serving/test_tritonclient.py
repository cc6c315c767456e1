"""NVIDIA's client of the protocol as the judge of what the server says."""

from contextlib import suppress

import numpy as np
import pytest
import torch
from tests.serving.conftest import colour_model, pictures, running, served, truth

from tessella.serving.guard import Settings

http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
LoopExit = pytest.importorskip("gevent.exceptions").LoopExit


def test_health_and_metadata(access):
    with running(access) as url, http.InferenceServerClient(url.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("colours")
        assert client.is_model_ready("colours", "1")
        assert not client.is_model_ready("others")
        assert client.get_server_metadata()["name"] == "tessella"
        assert client.get_model_metadata("colours")["inputs"][0]["name"] == "image"
        assert client.get_model_repository_index()[0]["name"] == "colours"


@pytest.mark.parametrize("asked_as_bytes", [False, True])
@pytest.mark.parametrize("sent_as_bytes", [False, True])
@pytest.mark.parametrize("name", ["image", "image_float"])
def test_inference(access, name, sent_as_bytes, asked_as_bytes):
    images = pictures(3)
    sent = images if name == "image" else images.astype(np.float32) / 255
    given = http.InferInput(name, list(sent.shape), "UINT8" if name == "image" else "FP32")
    given.set_data_from_numpy(sent, binary_data=sent_as_bytes)
    wanted = [
        http.InferRequestedOutput(each, binary_data=asked_as_bytes) for each in ("labels", "posteriors")
    ]
    everything = False
    with (
        running(access, served(posteriors=True)) as url,
        suppress(LoopExit),  # seen once: gevent misses, when closed, that all was answered
        http.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        result = client.infer("colours", [given], outputs=wanted, request_id="mine")
        assert result.get_response()["id"] == "mine"
        np.testing.assert_array_equal(result.as_numpy("labels"), truth(images))
        np.testing.assert_allclose(
            result.as_numpy("posteriors"), colour_model(torch.from_numpy(images)), atol=1e-6
        )
        again = client.infer("colours", [given])  # which asks for no output by name
        np.testing.assert_array_equal(again.as_numpy("labels"), truth(images))
        waiting = [client.async_infer("colours", [given]) for _ in range(4)]
        for each in waiting:
            np.testing.assert_array_equal(each.get_result().as_numpy("labels"), truth(images))
        everything = True
    assert everything


def test_encoded_pictures(access):
    from tests.serving.asking import encoded

    images = pictures(2)
    files = np.array([encoded(image, "PNG") for image in images], object)
    given = http.InferInput("encoded", [2], "BYTES")
    given.set_data_from_numpy(files)
    with running(access) as url, http.InferenceServerClient(url.removeprefix("http://")) as client:
        np.testing.assert_array_equal(client.infer("colours", [given]).as_numpy("labels"), truth(images))


def test_refusals_are_its_exceptions(access):
    given = http.InferInput("image", [1, 3, 4, 4], "UINT8")
    given.set_data_from_numpy(np.zeros((1, 3, 4, 4), np.uint8))
    with (
        running(access, settings=Settings(keys=True)) as url,
        http.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        with pytest.raises(http.InferenceServerException, match="give a key"):
            client.infer("colours", [given])
        headers = {"Authorization": f"Bearer {access.add('alice', 1)}"}
        client.infer("colours", [given], headers=headers)
        with pytest.raises(http.InferenceServerException, match="budget of alice"):
            client.infer("colours", [given], headers=headers)
