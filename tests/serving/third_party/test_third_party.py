"""Servers of others around the same network: ``make test-servers`` installs them in environments of their own."""

import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.runs.test_end_to_end import data, run, trained  # noqa: F401
from tests.serving.test_commands import require_same_answers, sides  # noqa: F401
from tests.serving.test_kill import port  # noqa: F401

pytestmark = pytest.mark.servers
HERE = Path(__file__).parent


def python_of(server):
    found = os.environ.get(f"TESSELLA_{server.upper()}")
    if not found:
        pytest.skip(f"TESSELLA_{server.upper()} does not name the environment of {server}")
    return Path(found).absolute() / "bin"


@pytest.fixture(scope="module")
def network(trained, tmp_path_factory):  # noqa: F811
    file = tmp_path_factory.mktemp("exported") / "model.onnx"
    assert run("export", trained, "--out", file) == 0
    return file


@contextmanager
def started(command, port, **options):  # noqa: F811
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    process = subprocess.Popen(
        [*map(str, command)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    url = f"http://127.0.0.1:{port}/v2/models/streets"
    try:
        for _ in range(600):
            assert process.poll() is None
            try:
                if httpx.get(url).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def kserve(network, port, tmp_path):  # noqa: F811
    with started([python_of("kserve") / "python", HERE / "kserve_onnx.py", network, port], port) as url:
        yield url


@contextmanager
def mlserver(network, port, tmp_path):  # noqa: F811
    parameters = {"uri": str(network)}
    model = {"name": "streets", "implementation": "mlserver_onnx.Onnx", "parameters": parameters}
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": 0,
        "parallel_workers": 0,
        "metrics_endpoint": None,
    }
    (tmp_path / "model-settings.json").write_text(json.dumps(model))
    (tmp_path / "settings.json").write_text(json.dumps(server))
    with started([python_of("mlserver") / "mlserver", "start", tmp_path], port) as url:
        yield url


@pytest.mark.parametrize("server", [kserve, mlserver])
def test_a_server_of_others_predicts_what_the_run_does(server, network, trained, data, tmp_path, port):  # noqa: F811
    """KServe takes binary tensors, MLServer lists alone."""
    pictures = data / "test"
    with server(network, port, tmp_path) as url:
        assert run("predict", url, pictures, "--out", tmp_path / "remote", "--posteriors") == 0
    plain = ("--scales", "1", "--no-flip")
    assert run("predict", trained, pictures, *plain, "--out", tmp_path / "local", "--posteriors") == 0
    files = sorted((tmp_path / "local" / "posteriors").rglob("*.npz"))
    assert files
    for file in files:
        with np.load(file) as here, np.load(tmp_path / "remote" / "posteriors" / file.name) as there:
            np.testing.assert_allclose(here["posteriors"], there["posteriors"], atol=2e-3)
        maps = [
            np.array(Image.open(tmp_path / side / "labels" / f"{file.stem}.png"))
            for side in ("local", "remote")
        ]
        assert (maps[0] != maps[1]).mean() < 1e-3


@pytest.mark.parametrize("server", [kserve, mlserver])
def test_a_server_of_others_is_audited_as_the_run_is(server, network, trained, sides, tmp_path, port):  # noqa: F811
    with server(network, port, tmp_path) as url:
        assert run("audit", "run", url, *sides, "--out", tmp_path / "remote") == 0
    plain = ("--scales", "1", "--no-flip")
    assert run("audit", "run", trained, *sides, *plain, "--out", tmp_path / "local") == 0
    require_same_answers(tmp_path / "remote", tmp_path / "local")
