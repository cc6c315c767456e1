"""Keys, budgets and room: what the server does so that it lasts."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import numpy as np
import pytest
from tests.serving.asking import INFER, Gate, outputs_of, post, wait_for
from tests.serving.conftest import pictures, running, served, truth

from tessella.serving.guard import Settings
from tessella.serving.pictures import Limits
from tessella.serving.protocol import HEADER_LENGTH, NamedTensor, write_request


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
        # Who asked what the model had begun pays, and is not asked to come again.
        assert sorted(each.result().status_code for each in waiting) == [503, 503, 504]
        for each in waiting:
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


def test_pages_of_other_sites_may_not_ask(access):
    tensor = NamedTensor("image", pictures())
    with running(access) as url:
        for where, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert post(url, tensor, headers={"Sec-Fetch-Site": where}).status_code == status


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
