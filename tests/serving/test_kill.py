"""A server of its own process, killed and stopped under load."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.serving.asking import post
from tests.serving.conftest import pictures

from tessella.serving.access import Access
from tessella.serving.protocol import NamedTensor

PROGRAM = """
import sys, time
from pathlib import Path
import uvicorn
from tests.serving.conftest import colour_model, served
from tessella.serving.access import Access
from tessella.serving.app import create_app
from tessella.serving.guard import Settings

def slow(images):
    time.sleep(0.03)
    return colour_model(images)

app = create_app(served(slow), Access(Path(sys.argv[1])), Settings(keys=True))
uvicorn.run(app, port=int(sys.argv[2]), log_level="critical", timeout_graceful_shutdown=10)
"""


def start(state, port):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(state), str(port)], env=environment, cwd=Path(__file__).parents[2]
    )
    for _ in range(600):
        assert process.poll() is None
        try:
            httpx.get(f"http://127.0.0.1:{port}/v2/health/live")
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return process
    raise AssertionError("it does not start")


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask_until_it_ends(url, key):
    """Pictures that were answered, and the last status."""
    answered, last = 0, None
    while True:
        try:
            last = post(url, NamedTensor("image", pictures()), headers={"X-API-Key": key}).status_code
        except httpx.TransportError:
            return answered, last
        if last == 200:
            answered += 1
        elif last == 403:
            return answered, last


def test_budgets_outlive_a_kill(tmp_path, port):
    state, url, budget = tmp_path / "server.sqlite", f"http://127.0.0.1:{port}", 120
    access = Access(state)
    key = access.add("alice", budget)
    process = start(state, port)
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_until_it_ends, url, key) for _ in range(4)]
        while access.all_keys()[0].used < 30:
            time.sleep(0.01)
        process.kill()
        process.wait()
        before = sum(each.result()[0] for each in asking)
        used = access.all_keys()[0].used
        assert before <= used <= before + 4  # what was on its way is counted
        process = start(state, port)
        found = [each.result() for each in [pool.submit(ask_until_it_ends, url, key) for _ in range(4)]]
    assert [last for _, last in found] == [403] * 4
    assert sum(answered for answered, _ in found) == budget - used
    process.terminate()
    assert process.wait(20) is not None
    access.close()


def test_a_polite_end_answers_what_it_took(tmp_path, port):
    state, url = tmp_path / "server.sqlite", f"http://127.0.0.1:{port}"
    access = Access(state)
    key = access.add("alice", 10_000)
    process = start(state, port)
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_until_it_ends, url, key) for _ in range(4)]
        while access.all_keys()[0].used < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        answered = sum(each.result()[0] for each in asking)
        process.wait(20)
    assert access.all_keys()[0].used == answered
    access.close()
