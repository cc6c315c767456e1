"""Requests as clients send them, and a model that answers when it is let to."""

import io
import re
import threading
import time

import httpx
from PIL import Image
from tests.serving.conftest import colour_model

from tessella.serving.protocol import HEADER_LENGTH, read_response, write_request

INFER = "/v2/models/colours/infer"


def post(url, tensor, outputs=("labels",), binary=True, **more):
    body, length = write_request([tensor], list(outputs), binary)
    headers = {**more.pop("headers", {}), **({HEADER_LENGTH: str(length)} if length is not None else {})}
    return httpx.post(url + INFER, content=body, headers=headers, timeout=30, **more)


def outputs_of(response):
    assert response.status_code == 200, response.text
    length = response.headers.get(HEADER_LENGTH)
    return read_response(response.content, None if length is None else int(length))


def encoded(image, format, **options):
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, format, **options)
    return file.getvalue()


class Gate:
    """A model that answers when it is let to."""

    def __init__(self):
        self.free, self.sizes = threading.Event(), []

    def __call__(self, images):
        self.sizes.append(len(images))
        assert self.free.wait(20)
        return colour_model(images)


def wait_for(url, number):
    """Until so many requests are being answered."""
    for _ in range(500):
        found = re.search(r"requests_in_flight (\d+)", httpx.get(url + "/metrics").text)
        if int(found[1]) == number + 1:  # the question itself
            return
        time.sleep(0.02)
    raise AssertionError(f"{number} requests never came")
