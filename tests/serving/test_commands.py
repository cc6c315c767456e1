"""tessella serve, and the commands whose model is its URL."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.runs.test_end_to_end import data, run, trained  # noqa: F401


@contextmanager
def serving(*arguments):
    """The server as users start it; waits for the line that says where it is."""
    command = [sys.executable, "-m", "tessella.cli", "serve", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline()
        assert "a page to try it" in line
        root = line.rpartition(" at ")[2].partition("/;")[0]
        transport = httpx.HTTPTransport(retries=8)  # it says so a moment before it listens
        with httpx.Client(transport=transport) as client:
            client.get(f"{root}/v2/health/ready").raise_for_status()
        yield root
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_url_predicts_what_the_run_does(trained, data, tmp_path):  # noqa: F811
    pictures = data / "test"
    with serving(trained, "--port", 0, "--state", tmp_path / "state", "--posteriors") as url:
        assert run("predict", url, pictures, "--out", tmp_path / "remote", "--posteriors") == 0
    assert run("predict", trained, pictures, "--out", tmp_path / "local", "--posteriors") == 0
    found = sorted((tmp_path / "local" / "posteriors").rglob("*.npz"))
    assert found
    for file in found:
        other = tmp_path / "remote" / file.relative_to(tmp_path / "local")
        with np.load(file) as here, np.load(other) as there:
            np.testing.assert_allclose(here["posteriors"], there["posteriors"], atol=2e-3)
        label = file.relative_to(tmp_path / "local" / "posteriors").with_suffix(".png")
        here, there = (
            np.array(Image.open(tmp_path / side / "labels" / label)) for side in ("local", "remote")
        )
        assert (here != there).mean() < 1e-3


@pytest.fixture
def sides(data, tmp_path):  # noqa: F811
    """Two splits that show other pictures."""
    copy = tmp_path / "camvid"
    shutil.copytree(data, copy)
    for path in (copy / "val").iterdir():
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    return (
        "--members",
        f"{copy}:train",
        "--nonmembers",
        f"{copy}:val",
        "--no-label-only",
        "--dataset",
        "CamVid",
    )


def require_same_answers(remote, local):
    """Of two audits: what each attack says of each image."""
    found = []
    for folder in (remote, local):
        rows = map(json.loads, (folder / "answers.jsonl").read_text().splitlines()[1:])
        found.append({(row["side"], row["id"]): row["scores"] for row in rows})
    assert found[0].keys() == found[1].keys()
    for image, scores in found[1].items():
        for attack, score in scores.items():
            assert found[0][image][attack] == pytest.approx(score, rel=1e-2, abs=1e-2), (image, attack)


@pytest.mark.parametrize(("served", "here"), [(["--posteriors"], []), ([], ["--defence", "argmax"])])
def test_a_url_is_audited_as_the_run_is(trained, sides, tmp_path, served, here):  # noqa: F811
    """Of a server that gives labels alone, as the run behind argmax."""
    with serving(trained, "--port", 0, "--state", tmp_path / "state", *served) as url:
        assert run("audit", "run", url, *sides, "--out", tmp_path / "remote") == 0
    assert run("audit", "run", trained, *sides, *here, "--out", tmp_path / "local") == 0
    assert json.loads((tmp_path / "remote" / "audit.json").read_text())["victim"] == url
    require_same_answers(tmp_path / "remote", tmp_path / "local")


def test_keys(trained, data, tmp_path, capsys, monkeypatch):  # noqa: F811
    state = tmp_path / "state"
    assert run("serve", trained, "--keys", "--state", state) == 2
    assert "tessella keys add" in capsys.readouterr().err
    assert run("keys", "add", "alice", "--budget", 3, "--state", state) == 0
    key = capsys.readouterr().out.splitlines()[1]
    assert run("keys", "add", "carol", "--budget", 2**63, "--state", state) == 2
    assert f"--budget {2**63}: give less than 2^63" in capsys.readouterr().err
    assert run("keys", "add", "bob", "--budget", 5, "--state", state) == 0
    assert run("keys", "remove", "bob", "--state", state) == 0
    capsys.readouterr()
    picture = next((data / "test").iterdir())
    with serving(trained, "--port", 0, "--state", state, "--keys", "--name", "streets") as url:
        assert run("predict", url, picture, "--out", tmp_path / "none") == 2
        assert "401 give a key" in capsys.readouterr().err
        assert run("predict", url, picture, "--out", tmp_path / "one", "--key", key) == 0
        monkeypatch.setenv("TESSELLA_KEY", key)
        more = shutil.copytree(picture.parent, tmp_path / "pictures")
        shutil.copy(picture, more / f"again{picture.suffix}")
        assert run("predict", f"{url}/v2/models/streets", more, "--out", tmp_path / "more") in (0, 2)
    assert run("keys", "list", "--state", state) == 0
    assert "alice: 3 of 3 pictures asked" in capsys.readouterr().out


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_what_is_refused(trained, data, tmp_path, capsys, taken):  # noqa: F811
    state = ("--state", tmp_path / "state")
    for arguments, message in (
        (("serve", trained, "--host", "0.0.0.0", *state), "give --keys, or --open"),
        (("serve", trained, "--defence", "wall", *state), "choose argmax"),
        (("serve", tmp_path / "none", *state), "none"),
        (("serve", trained, "--generator", "x.py:y", "--defence", "synfeat:2", *state), "x.py"),
        (("serve", trained, "--port", "99999", *state), "--port 99999: give 0 to 65535"),
        (("serve", trained, "--port", taken, *state), "in use; choose another"),
        (
            ("predict", trained, data / "test", "--out", tmp_path, "--gives", "logits"),
            "--gives is for a model behind a URL",
        ),
        (
            ("predict", trained, data / "test", "--out", tmp_path, "--key", "x"),
            "--key is for a model behind a URL",
        ),
    ):
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err
