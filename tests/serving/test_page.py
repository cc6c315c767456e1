"""The server's page in a real browser."""

import base64
import os

import numpy as np
import pytest
from PIL import Image
from tests.serving.chromium import page
from tests.serving.conftest import colour_model, pictures, running, served, truth

from tessella.serving.guard import Settings

DROP = """
(() => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "street.png", { type: "image/png" }));
  const happened = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(happened);
})()
"""
CAPTIONS = "[...document.querySelectorAll('figcaption')].map((each) => each.textContent)"
SAID = "document.getElementById('said').textContent"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "street.png"
    Image.fromarray(pictures(1, 40, 60)[0].transpose(1, 2, 0)).save(path)
    return path


def test_a_chosen_picture_is_segmented_before_and_after(access, tmp_path, file):
    other = lambda images: colour_model(images.flip(1))  # noqa: E731
    with running(access, served(other, undefended=colour_model)) as url, page(tmp_path / "profile") as tab:
        tab.call("Page.navigate", url=url)
        tab.wait("document.readyState == 'complete' && document.getElementById('file')")
        node = tab.call("DOM.getDocument")["root"]["nodeId"]
        chosen = tab.call("DOM.querySelector", nodeId=node, selector="#file")["nodeId"]
        tab.call("DOM.setFileInputFiles", files=[str(file)], nodeId=chosen)
        tab.wait("document.querySelectorAll('#pictures img').length == 4")
        tab.wait("[...document.querySelectorAll('#pictures img')].every((each) => each.naturalWidth == 60)")
        image = pictures(1, 40, 60)
        changed = (truth(image) != truth(np.ascontiguousarray(image[:, ::-1]))).mean()
        assert tab.run(CAPTIONS) == [
            "Picture",
            "Before the defences",
            "As the server answers",
            f"What they changed: {100 * changed:.1f}% of the pixels",
        ]
        assert tab.run(SAID) == ""
        assert "red" in tab.run("document.getElementById('classes').textContent")
        if folder := os.environ.get("TESSELLA_SCREENSHOTS"):
            (tmp_path / folder / "page.png").write_bytes(
                base64.b64decode(tab.call("Page.captureScreenshot")["data"])
            )


def test_a_dropped_picture_needs_a_key_where_keys_are_on(access, tmp_path, file):
    key = access.add("alice", 1)
    drop = DROP % base64.b64encode(file.read_bytes()).decode()
    with running(access, settings=Settings(keys=True)) as url, page(tmp_path / "profile") as tab:
        tab.call("Page.navigate", url=url)
        tab.wait("document.readyState == 'complete' && document.getElementById('file')")
        tab.run(drop)
        tab.wait(f"{SAID}.startsWith('give a key')")
        assert tab.run("getComputedStyle(document.getElementById('key')).display") == "block"
        tab.run(f"document.getElementById('word').value = '{key}'")
        tab.run(drop)
        tab.wait("document.querySelectorAll('#pictures img').length == 2")
        assert tab.run(CAPTIONS) == ["Picture", "Segmentation"]
        tab.run(drop)
        tab.wait(f"{SAID}.startsWith('the budget of alice')")


def test_what_is_no_picture_is_said(access, tmp_path):
    drop = DROP % base64.b64encode(b"<html>").decode()
    with running(access) as url, page(tmp_path / "profile") as tab:
        tab.call("Page.navigate", url=url)
        tab.wait("document.readyState == 'complete' && document.getElementById('file')")
        tab.run(drop)
        tab.wait(f"{SAID}.includes('PNG or JPEG is needed')")
        assert tab.run("document.getElementById('said').className") == "bad"
