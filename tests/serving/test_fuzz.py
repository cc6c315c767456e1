"""Ten thousand requests that nobody in his right mind sends: each gets an answer, and none is our fault."""

import http.client
import io
import json
import random
import zlib
from collections import Counter
from contextlib import ExitStack, closing

import numpy as np
import pytest
from PIL import Image
from tests.serving.asking import encoded, outputs_of, post
from tests.serving.conftest import pictures, running, served, truth

from tessella.serving.guard import Settings
from tessella.serving.pictures import Limits
from tessella.serving.protocol import HEADER_LENGTH, NamedTensor, write_request

NUMBER = 10_000
NAMES = ("image", "image_float", "encoded", "", "inputs", "\x00", "é" * 50)
TYPES = ("UINT8", "FP32", "BYTES", "INT64", "FP16", "BOOL", "BF16", "")
VALUES = (
    0,
    1,
    -1,
    255,
    256,
    0.5,
    1e308,
    -1e400,
    float("nan"),
    2**70,
    "x",
    "",
    None,
    True,
    [],
    {},
    [[]],
    "iVBORw0KGgo=",
)


def bomb():
    """A PNG that says it is small and unpacks to a hundred megabytes."""
    header = io.BytesIO()
    Image.new("L", (8, 8)).save(header, "PNG")
    content = header.getvalue()
    packed = zlib.compress(bytes(100_000_000), 9)
    chunk = b"IDAT" + packed
    return (
        content[:33]
        + len(packed).to_bytes(4, "big")
        + chunk
        + zlib.crc32(chunk).to_bytes(4, "big")
        + content[-12:]
    )


def some_json(chance, depth=0):
    kind = chance.random()
    if depth > 4 or kind < 0.5:
        return chance.choice(VALUES)
    if kind < 0.75:
        return [some_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    keys = ("name", "shape", "datatype", "data", "parameters", "binary_data_size", "outputs", "inputs", "id")
    return {chance.choice(keys): some_json(chance, depth + 1) for _ in range(chance.randrange(5))}


def nearly_right(chance):
    """A request in which something is off."""
    shape = [chance.choice((0, 1, 2, 3, 8, 10**6, 10**18, -1)) for _ in range(chance.randrange(6))]
    size = chance.randrange(200)
    tensor = {"name": chance.choice(NAMES), "datatype": chance.choice(TYPES), "shape": shape}
    tail = chance.randbytes(size)
    if chance.random() < 0.5:
        tensor["parameters"] = {"binary_data_size": chance.choice((size, 0, 10**12, -1, some_json(chance)))}
    else:
        tensor["data"] = [chance.choice(VALUES) for _ in range(chance.randrange(30))]
    head = {"inputs": [tensor] * chance.choice((1, 1, 1, 2)), "outputs": [{"name": chance.choice(NAMES)}]}
    for key in ("outputs", "parameters", "id"):
        if chance.random() < 0.3:
            head[key] = some_json(chance)
    if chance.random() < 0.1:
        del head["inputs"]
    text = json.dumps(head).encode()
    return text + tail, chance.choice(
        (len(text), len(text), len(text), None, 0, len(text) - 3, 10**9, "x", "-1")
    )


def broken(chance, right):
    """A right request, cut or with other bytes in it."""
    body, length = chance.choice(right)
    kind = chance.random()
    if kind < 0.3:
        return body[: chance.randrange(len(body))], length
    found = bytearray(body)
    for _ in range(chance.randrange(1, 10)):
        found[chance.randrange(len(found))] = chance.randrange(256)
    if kind < 0.5:
        place = chance.randrange(len(found))
        found[place:place] = chance.randbytes(chance.randrange(50))
    return bytes(found), length


def requests(chance):
    images = pictures(2, 8, 8)
    files = [encoded(image, "PNG") for image in images] + [encoded(images[0], "JPEG")]
    right = [
        write_request([NamedTensor(name, data)], ["labels"], binary)
        for name, data in (
            ("image", images),
            ("image_float", images.astype(np.float32) / 255),
            ("encoded", np.array(files[:2], object)),
            ("encoded", np.array(files[2:], object)),
        )
        for binary in (True, False)
        if binary or name != "encoded"
    ]
    right.append(write_request([NamedTensor("encoded", np.array([bomb()], object))], ["labels"], True))
    for number in range(NUMBER):
        kind = number % 4
        if kind == 0:
            yield "infer", *nearly_right(chance)
        elif kind == 1:
            yield "infer", *broken(chance, right[:-1] if number % 400 != 1 else right[-1:])
        elif kind == 2:
            yield "infer", json.dumps(some_json(chance)).encode(), chance.choice((None, None, 5))
        else:
            yield "picture", *broken(chance, [(file, None) for file in files])


def test_nothing_is_our_fault(access):
    codes = Counter()
    settings = Settings(limits=Limits(pictures=4, pixels=10_000, body=1 << 20))
    with ExitStack() as stack:
        url = stack.enter_context(running(access, served(posteriors=True), settings))
        connection = stack.enter_context(
            closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=20))
        )
        for where, body, length in requests(random.Random(0)):
            path = "/picture" if where == "picture" else "/v2/models/colours/infer"
            connection.request("POST", path, body, {} if length is None else {HEADER_LENGTH: str(length)})
            response = connection.getresponse()
            answer = response.read()
            codes[response.status] += 1
            assert response.status in (200, 400, 413), (response.status, body[:500])
            if response.status != 200:
                error = json.loads(answer)["error"]
                assert 5 < len(error) < 500
                assert "\n" not in error
        assert codes[400] > 0.7 * NUMBER
        assert codes[200] > 10  # bytes that were changed in a picture still are one
        right = outputs_of(post(url, NamedTensor("image", pictures())))
    np.testing.assert_array_equal(right["labels"], truth(pictures()))


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /picture HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /picture HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /picture HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /picture HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 20,
    ],
)
def test_what_is_no_http(access, lines):
    import socket

    with running(access) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(lines)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:80]
        assert outputs_of(post(url, NamedTensor("image", pictures())))
