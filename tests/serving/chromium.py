"""Debian's Chromium without a window, over its pipe: one JSON message, one zero byte."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """A tab."""

    def __init__(self, to: int, back: Any) -> None:
        self.to, self.back, self.numbers, self.session = to, back, count(1), None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self.read())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def read(self) -> bytes:
        content = bytearray()
        while (byte := self.back.read(1)) != b"\0":
            assert byte, "the browser has ended"
            content += byte
        return bytes(content)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        self.run(
            f"new Promise((done, late) => {{ const start = Date.now(); (function look() {{ ({condition}) ? done() "
            f": Date.now() - start > 15000 ? late('never: ' + {json.dumps(condition)}) : setTimeout(look, 30) }})() }})"
        )


@contextmanager
def page(profile: Any):
    if PROGRAM is None:
        pytest.skip("no Chromium is installed")
    to_read, to_write = os.pipe()
    back_read, back_write = os.pipe()

    def connect() -> None:  # Chromium reads from 3 and writes to 4
        one, other = os.dup(to_read), os.dup(back_write)
        os.dup2(one, 3)
        os.dup2(other, 4)

    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        [PROGRAM, *options, "--window-size=1200,900"],
        preexec_fn=connect,
        pass_fds=(3, 4, to_read, back_write),
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(back_write)
    with os.fdopen(back_read, "rb", buffering=0) as back:
        try:
            yield Page(to_write, back)
        finally:
            process.terminate()
            process.wait(20)
            os.close(to_write)
