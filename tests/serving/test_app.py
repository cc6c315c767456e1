"""The server over its sockets: what it gives, and what it refuses."""

import base64
import io
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from tests.serving.conftest import colour_model, pictures, running, served, truth

from tessella.membership_inference.defences import Gaussian
from tessella.serving.guard import Settings
from tessella.serving.pictures import Limits
from tessella.serving.protocol import HEADER_LENGTH, NamedTensor, read_response, write_request

INFER = "/v2/models/colours/infer"


def post(url, tensor, outputs=("labels",), binary=True, **more):
    body, length = write_request([tensor], list(outputs), binary)
    headers = {**more.pop("headers", {}), **({HEADER_LENGTH: str(length)} if length is not None else {})}
    return httpx.post(url + INFER, content=body, headers=headers, timeout=30, **more)


def outputs_of(response):
    assert response.status_code == 200, response.text
    length = response.headers.get(HEADER_LENGTH)
    return read_response(response.content, None if length is None else int(length), 10**8)


def encoded(image, format, **options):
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, format, **options)
    return file.getvalue()


def test_what_the_protocol_asks_for(access):
    with running(access, served(posteriors=True)) as url:
        for path in (
            "/v2/health/live",
            "/v2/health/ready",
            "/v2/models/colours/ready",
            "/v2/models/colours/versions/1/ready",
        ):
            assert httpx.get(url + path).status_code == 200
        assert httpx.get(url + "/v2").json()["extensions"] == ["binary_tensor_data"]
        assert httpx.post(url + "/v2/repository/index").json()[0]["name"] == "colours"
        about = httpx.get(url + "/v2/models/colours").json()
        assert [(each["name"], each["datatype"], each["shape"]) for each in about["inputs"]] == [
            ("image", "UINT8", [-1, 3, -1, -1]),
            ("image_float", "FP32", [-1, 3, -1, -1]),
            ("encoded", "BYTES", [-1]),
        ]
        assert [(each["name"], each["datatype"]) for each in about["outputs"]] == [
            ("labels", "UINT8"),
            ("posteriors", "FP32"),
        ]
        assert about["parameters"]["classes"] == ["dark", "red", "green", "blue"]


@pytest.mark.parametrize("binary", [False, True])
def test_every_form_of_picture_gives_the_same(access, binary):
    images = pictures(2)
    floats = images.astype(np.float32) / 255
    files = np.array([encoded(image, "PNG") for image in images], object)
    if not binary:
        files = np.array([base64.b64encode(file) for file in files], object)
    with running(access) as url:
        for name, data in (("image", images), ("image_float", floats), ("encoded", files)):
            found = outputs_of(post(url, NamedTensor(name, data), binary=binary))["labels"]
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, truth(images))


def test_jpeg_grey_and_palette_files(access):
    flat = np.full((3, 16, 16), 200, np.uint8)
    grey = io.BytesIO()
    Image.fromarray(flat[0]).save(grey, "JPEG")
    indexed = io.BytesIO()
    Image.fromarray(flat.transpose(1, 2, 0)).quantize(4).save(indexed, "PNG")
    with running(access) as url:
        for file in (encoded(flat, "JPEG"), grey.getvalue(), indexed.getvalue()):
            found = outputs_of(post(url, NamedTensor("encoded", np.array([file], object))))["labels"]
            np.testing.assert_array_equal(found, truth(flat[None]))


def test_posteriors_only_where_they_are_allowed(access):
    images = pictures(1)
    with running(access) as url:
        refused = post(url, NamedTensor("image", images), ["posteriors"])
        assert (refused.status_code, refused.json()["error"]) == (
            400,
            "output 'posteriors': this server gives labels",
        )
    with running(access, served(posteriors=True)) as url:
        found = outputs_of(post(url, NamedTensor("image", images), ["posteriors", "labels"]))
        np.testing.assert_allclose(found["posteriors"], colour_model(torch.from_numpy(images)), atol=1e-6)
        np.testing.assert_array_equal(found["labels"], truth(images))
        body, length = write_request([NamedTensor("image", images)], [], True)
        silent = httpx.post(url + INFER, content=body, headers={HEADER_LENGTH: str(length)})
        assert list(outputs_of(silent)) == ["labels"]


def test_noise_cannot_be_averaged_away(access):
    noisy = served(Gaussian(colour_model, 0.5, access.secret()), posteriors=True)
    tensor = NamedTensor("image", pictures(2))
    with running(access, noisy) as url:
        answers = [outputs_of(post(url, tensor, ["posteriors"]))["posteriors"] for _ in range(3)]
        alone = outputs_of(post(url, NamedTensor("image", pictures(2)[1:]), ["posteriors"]))["posteriors"]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    np.testing.assert_array_equal(alone[0], answers[0][1])


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (NamedTensor("picture", pictures()), "give one of image, image_float, encoded"),
        (NamedTensor("image", pictures().astype(np.float32)), "image is FP32; UINT8 is needed"),
        (NamedTensor("image", pictures()[0]), r"[3, 12, 16]; [batch, 3, height, width]"),
        (NamedTensor("image", pictures()[:, :2]), "[1, 2, 12, 16]"),
        (NamedTensor("image", np.zeros((0, 3, 4, 4), np.uint8)), "0 pictures"),
        (NamedTensor("image", np.zeros((1, 3, 0, 4), np.uint8)), "4x0 pixels"),
        (NamedTensor("image", pictures(5)), "5 pictures; 1 to 4"),
        (NamedTensor("image", pictures(1, 60, 60)), "60x60 pixels; 1 to 2000"),
        (NamedTensor("image_float", np.full((1, 3, 2, 2), np.nan, np.float32)), "values from 0 to 1"),
        (NamedTensor("image_float", np.full((1, 3, 2, 2), 255, np.float32)), "values from 0 to 1"),
        (NamedTensor("encoded", np.array([b"no picture"], object)), "neither PNG, nor JPEG"),
        (NamedTensor("encoded", np.array([b"\x89PNG\r\n\x1a\n"], object)), "PNG or JPEG is needed"),
        (
            NamedTensor("encoded", np.array([encoded(pictures()[0], "PNG")[:-60]], object)),
            "the file is damaged",
        ),
        (
            NamedTensor(
                "encoded",
                np.array([encoded(each, "PNG") for each in (pictures()[0], pictures(1, 4, 4)[0])], object),
            ),
            "must have one size",
        ),
        (NamedTensor("encoded", np.array([[b""]], object)), "encoded is [1, 1]"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said(access, tensor, message):
    with running(access, settings=Settings(limits=Limits(4, 2000))) as url:
        response = post(url, tensor)
        assert response.status_code == 400
        assert message in response.json()["error"]


def test_a_bomb_is_not_unpacked(access):
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    with running(access) as url:
        for response in (
            post(url, NamedTensor("encoded", np.array([bomb.getvalue()], object))),
            httpx.post(url + "/picture", content=bomb.getvalue()),
        ):
            assert response.status_code == 400
            assert "more than 4000000 pixels" in response.json()["error"]


def test_bodies_that_are_refused(access):
    tensor = NamedTensor("image", pictures())
    with running(access, settings=Settings(limits=Limits(body=500))) as url:
        assert post(url, tensor).status_code == 413
        body = (b"x" * 100 for _ in range(9))  # of a length that is not said
        assert httpx.post(url + INFER, content=body).status_code == 413
        assert httpx.post(url + INFER, content=b"x", headers={"Content-Encoding": "gzip"}).status_code == 415
        assert httpx.post(url + INFER, content=b"{}", headers={HEADER_LENGTH: "-2"}).status_code == 400
        assert httpx.post(url + INFER, content=b"{}", headers={HEADER_LENGTH: "9" * 5000}).status_code in (
            400,
            431,
        )
        assert httpx.get(url + INFER).status_code == 405
        for path in (
            "/v2/models/other",
            "/v2/models/colours/versions/2",
            "/../../etc/passwd",
            "/%2e%2e/pyproject.toml",
        ):
            assert httpx.get(url + path).status_code == 404


def test_keys_and_budgets(access):
    key = access.add("alice", 3)
    tensor = NamedTensor("image", pictures(2))
    with running(access, settings=Settings(keys=True)) as url:
        for headers in (
            {},
            {"Authorization": "Bearer alice.x"},
            {"Authorization": f"Basic {key}"},
            {"X-API-Key": "é"},
        ):
            sent = {name: value.encode("latin-1") for name, value in headers.items()}
            assert post(url, tensor, headers=sent).status_code == 401
        for path in ("/metrics", "/v2/models/colours"):
            assert httpx.get(url + path).status_code == 401
        assert httpx.post(url + "/picture", content=b"").status_code == 401
        with_key = {"Authorization": f"Bearer {key}"}
        assert post(url, tensor, ["none"], headers=with_key).status_code == 400  # costs nothing
        assert post(url, tensor, headers=with_key).status_code == 200
        refused = post(url, tensor, headers=with_key)
        assert (refused.status_code, refused.json()["error"]) == (
            403,
            "the budget of alice does not hold 2 more pictures",
        )
        one = NamedTensor("image", pictures(1))
        assert post(url, one, headers={"X-API-Key": key}).status_code == 200
        assert access.all_keys()[0].used == 3
        assert httpx.get(url + "/v2/health/ready").status_code == 200


def test_the_log_says_who_asked_what(access):
    key = access.add("alice", 30)
    tensor = NamedTensor("image", pictures(2))
    with running(access, settings=Settings(keys=True)) as url:
        for _ in range(2):
            post(url, tensor, headers={"X-API-Key": key})
    (first, second) = access._run("SELECT key, pictures, digest, status FROM log")
    assert first == second
    assert (first[0], first[1], first[3]) == ("alice", 2, 200)


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


def test_many_at_a_time_are_answered_in_batches(access):
    gate = Gate()
    with running(access, served(gate), Settings(batch=8)) as url, ThreadPoolExecutor(12) as pool:
        sent = [pictures(1, seed=seed) for seed in range(12)]
        waiting = [pool.submit(post, url, NamedTensor("image", each)) for each in sent]
        wait_for(url, 12)
        time.sleep(0.2)
        gate.free.set()
        for each, response in zip(sent, waiting, strict=True):
            np.testing.assert_array_equal(outputs_of(response.result())["labels"], truth(each))
        assert sum(gate.sizes) == 12
        assert len(gate.sizes) <= 4
        assert max(gate.sizes) > 4
        metrics = httpx.get(url + "/metrics").text
        assert "tessella_pictures_total 12.0" in metrics
        assert 'tessella_requests_total{path="/v2/models/colours/infer",status="200"} 12.0' in metrics


def test_too_many_come_again(access):
    gate = Gate()
    key = access.add("alice", 100)
    with (
        running(access, served(gate), Settings(keys=True, concurrency=3)) as url,
        ThreadPoolExecutor(6) as pool,
    ):
        headers = {"X-API-Key": key}
        waiting = [
            pool.submit(post, url, NamedTensor("image", pictures()), headers=headers) for _ in range(6)
        ]
        time.sleep(0.5)
        gate.free.set()
        codes = sorted(each.result().status_code for each in waiting)
        assert codes == [200] * 3 + [503] * 3
        assert [
            each.result().headers["Retry-After"] for each in waiting if each.result().status_code == 503
        ] == ["1"] * 3
    assert access.all_keys()[0].used == 3


def test_late_answers(access):
    """What the model had begun is paid for, what still waited is not."""
    gate = Gate()
    key = access.add("alice", 100)
    settings = Settings(keys=True, timeout=0.6, batch=1)
    with running(access, served(gate), settings) as url, ThreadPoolExecutor(3) as pool:
        headers = {"X-API-Key": key}
        waiting = [
            pool.submit(post, url, NamedTensor("image", pictures()), headers=headers) for _ in range(3)
        ]
        for each in waiting:
            assert each.result().status_code == 503
            assert "too long" in each.result().json()["error"]
        gate.free.set()
    assert gate.sizes == [1]
    assert access.all_keys()[0].used == 1


def test_a_spent_key_cannot_hold_up_others(access):
    spent, alice = access.add("spent", 0), access.add("alice", 10)
    settings = Settings(keys=True, concurrency=4, timeout=5)
    with running(access, served(), settings) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with ExitStack() as stack:
            for _ in range(8):
                connection = stack.enter_context(socket.create_connection((host, int(port)), 10))
                head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nX-API-Key: {spent}\r\nContent-Length: 9\r\n\r\n"
                connection.sendall(head.encode())
            assert (
                post(url, NamedTensor("image", pictures()), headers={"X-API-Key": alice}).status_code == 200
            )
            assert connection.recv(100)[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 503")


def test_one_key_does_not_fill_the_room(access):
    gate = Gate()
    greedy, alice = access.add("greedy", 100), access.add("alice", 10)
    settings = Settings(keys=True, concurrency=4)
    with running(access, served(gate), settings) as url, ThreadPoolExecutor(8) as pool:
        many = [
            pool.submit(post, url, NamedTensor("image", pictures()), headers={"X-API-Key": greedy})
            for _ in range(6)
        ]
        time.sleep(0.6)
        hers = pool.submit(post, url, NamedTensor("image", pictures()), headers={"X-API-Key": alice})
        time.sleep(0.4)
        gate.free.set()
        assert hers.result().status_code == 200
        assert sorted(each.result().status_code for each in many) == [200] * 3 + [503] * 3


def test_who_does_not_read_makes_room(access):
    """Answers larger than what the system buffers, to connections that never read."""
    settings = Settings(
        concurrency=2, timeout=1.0, limits=Limits(pixels=30_000_000, pictures=16, body=100 << 20)
    )
    body, length = write_request(
        [NamedTensor("image", np.zeros((1, 3, 4000, 6000), np.uint8))], ["labels"], True
    )
    with running(access, served(), settings) as url, ExitStack() as stack:
        host, _, port = url.removeprefix("http://").partition(":")
        for _ in range(2):
            connection = stack.enter_context(socket.create_connection((host, int(port)), 30))
            lengths = f"{HEADER_LENGTH}: {length}\r\nContent-Length: {len(body)}"
            connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n".encode() + body)
        for _ in range(100):
            time.sleep(0.2)
            if post(url, NamedTensor("image", pictures())).status_code == 200:
                break
        else:
            raise AssertionError("no room is made")


def test_small_requests_have_no_enormous_answers(access):
    images = pictures(1, 900, 900)
    with running(access, served(posteriors=True), Settings()) as url:
        refused = post(url, NamedTensor("image", images), ["labels"] * 3)
        assert "'labels' is given twice" in refused.json()["error"]
        refused = post(url, NamedTensor("image", images), ["posteriors"], binary=False)
        assert refused.status_code == 413  # eight megabytes of JSON
        body, length = write_request([NamedTensor("image", images)], [], True)
        head = json.loads(body[:length]) | {"outputs": [{"name": "posteriors"}]}
        text = json.dumps(head | {"parameters": {}}).encode()
        refused = httpx.post(
            url + INFER, content=text + body[length:], headers={HEADER_LENGTH: str(len(text))}
        )
        assert "given as bytes alone" in refused.json()["error"]


def test_a_jpeg_of_many_scans_is_refused(access):
    picture = encoded(pictures(1, 16, 16)[0], "JPEG", progressive=True)
    place = picture.rindex(b"\xff\xda")
    many = picture[:place] + picture[place:-2] * 200 + picture[-2:]
    with running(access) as url:
        assert post(url, NamedTensor("encoded", np.array([picture], object))).status_code == 200
        refused = post(url, NamedTensor("encoded", np.array([many], object)))
        assert "more than 100 scans" in refused.json()["error"]


def test_sixteen_bits_are_refused(access):
    file = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 200).save(file, "PNG")
    with running(access) as url:
        refused = post(url, NamedTensor("encoded", np.array([file.getvalue()], object)))
        assert "8 bits a channel" in refused.json()["error"]


def test_a_picture_that_spoils_a_batch_spoils_itself_alone(access):
    gate = Gate()

    def fails(images):
        answer = gate(images)
        return answer.where((images[:, :1] != 77).float().mean((2, 3), keepdim=True) > 0, torch.nan)

    bad = np.full((1, 3, 12, 16), 77, np.uint8)
    with running(access, served(fails)) as url, ThreadPoolExecutor(5) as pool:
        sent = [pictures(1, seed=seed) for seed in range(4)]
        waiting = [pool.submit(post, url, NamedTensor("image", each)) for each in (sent[0], bad, *sent[1:])]
        wait_for(url, 5)
        gate.free.set()
        codes = [each.result().status_code for each in waiting]
    assert codes == [200, 500, 200, 200, 200]


def test_pages_of_other_sites_may_not_ask(access):
    tensor = NamedTensor("image", pictures())
    with running(access) as url:
        for where, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert post(url, tensor, headers={"Sec-Fetch-Site": where}).status_code == status


def test_what_comes_through_a_proxy_sees_nothing_undefended(access):
    half = lambda images: colour_model(images.flip(1))  # noqa: E731
    content = encoded(pictures(1)[0], "PNG")
    with running(access, served(half, undefended=colour_model)) as url:
        for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            answer = httpx.post(url + "/picture", content=content, headers={name: "192.0.2.1"}).json()
            assert "before" not in answer
            assert "changes" not in answer


def test_a_model_that_fails_does_not_end_the_server(access):
    def fails(images):
        if images.shape[2] == 5:
            raise RuntimeError("secrets of the model")
        return colour_model(images)

    with running(access, served(fails)) as url:
        response = post(url, NamedTensor("image", pictures(1, 5)))
        assert response.status_code == 500
        assert "secret" not in response.text
        np.testing.assert_array_equal(
            outputs_of(post(url, NamedTensor("image", pictures())))["labels"], truth(pictures())
        )


def test_stopping_answers_what_was_taken(access):
    gate = Gate()
    with ThreadPoolExecutor(2) as pool:
        with running(access, served(gate)) as url:
            waiting = [pool.submit(post, url, NamedTensor("image", pictures(seed=seed))) for seed in range(2)]
            time.sleep(0.4)
            threading.Timer(0.5, gate.free.set).start()
        for seed, response in enumerate(waiting):
            np.testing.assert_array_equal(outputs_of(response.result())["labels"], truth(pictures(seed=seed)))
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


@pytest.mark.parametrize("said", [b"", b"POST /picture HTTP/1.1\r\nHost: x\r\nX-Never:"])
def test_who_says_nothing_is_hung_up_on(access, monkeypatch, said):
    """And nobody whose request is being answered."""
    monkeypatch.setattr("tessella.serving.listen.PATIENCE", 0.2)
    gate = Gate()
    with running(access, served(gate)) as url, ThreadPoolExecutor(1) as pool:
        host, _, port = url.removeprefix("http://").partition(":")
        busy = pool.submit(post, url, NamedTensor("image", pictures()))
        with socket.create_connection((host, int(port)), 5) as silent:
            silent.sendall(said)
            start = time.perf_counter()
            assert silent.recv(10) == b""
            assert 0.15 < time.perf_counter() - start < 3
        time.sleep(0.5)
        gate.free.set()
        assert busy.result().status_code == 200


def test_another_host_name_is_refused(access):
    """A page of another site whose name was pointed to this machine."""
    with running(access, settings=Settings(hosts=("localhost", "127.0.0.1"))) as url:
        assert httpx.get(url + "/v2/models/colours").status_code == 200
        assert httpx.get(url + "/v2/models/colours", headers={"Host": "evil.example"}).status_code == 400


def test_the_comparison_costs_one(access):
    key = access.add("alice", 1)
    what = served(colour_model, undefended=colour_model)
    with running(access, what, Settings(keys=True)) as url:
        content = encoded(pictures(1)[0], "PNG")
        answer = httpx.post(url + "/picture", content=content, headers={"X-API-Key": key})
    assert answer.json()["changed"] == 0
    assert access.all_keys()[0].used == 1


def test_the_page_is_told_what_the_defence_changed(access):
    image = pictures(1, 20, 30)
    half = lambda images: colour_model(images.flip(1))  # noqa: E731
    with running(access, served(half, undefended=colour_model)) as url:
        answer = httpx.post(url + "/picture", content=encoded(image[0], "PNG")).json()
    changed = truth(image) != truth(image[:, ::-1].copy())
    assert answer["changed"] == pytest.approx(changed.mean(), abs=1e-4)
    assert {each["name"] for each in answer["classes"]} <= {"dark", "red", "green", "blue"}
    assert sum(each["share"] for each in answer["classes"]) == pytest.approx(1, abs=1e-3)
    for name in ("segmentation", "before", "changes"):
        content = base64.b64decode(answer[name].partition(",")[2])
        assert Image.open(io.BytesIO(content)).size == (30, 20)
    with running(access) as url:
        assert "before" not in httpx.post(url + "/picture", content=encoded(image[0], "PNG")).json()


def test_json_of_the_answer_is_the_protocols(access):
    with running(access) as url:
        response = post(url, NamedTensor("image", pictures()), binary=False)
        answer = json.loads(response.content)
    assert (answer["model_name"], answer["model_version"]) == ("colours", "1")
    assert answer["outputs"][0]["shape"] == [1, 12, 16]
    assert len(answer["outputs"][0]["data"]) == 12 * 16
