"""Every Python example of the README and of docs/ runs, offline, in a folder with the data that it names."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.datasets.fabricate import fabricate_camvid, fabricate_cityscapes, fabricate_nyudv2_frames
from tests.reports.fabricate import write_run

from tessella.datasets import NYUDv2Frames
from tessella.runs.preparation import Settings, prepare

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples(page: Path) -> str:
    """The page's Python blocks as one script, at the lines where they stand, so that an error names the line."""
    lines = page.read_text().splitlines()
    inside, script = False, []
    for line in lines:
        if line.startswith("```"):
            inside = line.strip() == "```python"
            script.append("")
        else:
            script.append(line if inside else "")
    return "\n".join(script)


@pytest.fixture
def named_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fabricate_cityscapes(tmp_path / "cityscapes", splits=("train",))
    fabricate_camvid(tmp_path / "path/to/camvid")
    nyudv2 = tmp_path / "path/to/nyudv2"
    fabricate_nyudv2_frames(nyudv2, splits=("train",))
    with ThreadPoolExecutor(1) as executor:
        prepare(NYUDv2Frames, nyudv2, nyudv2 / "prepared", executor, Settings((5, 20)))
    for folder, name in (("photos", "a.png"), ("masks", "a_mask.png")):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / name), np.zeros((8, 8), np.uint8))
    for name in ("my-run", "pspnet", "deeplab"):
        write_run(tmp_path / "runs" / name)


def test_what_benchmarks_measured_is_json() -> None:
    files = sorted((ROOT / "benchmarks" / "results").rglob("*.json"))
    assert files
    for file in files:
        try:
            json.loads(file.read_text())
        except ValueError as error:
            pytest.fail(f"{file}: {error}")


@pytest.mark.usefixtures("named_data")
@pytest.mark.filterwarnings("default")  # of the libraries that the examples use
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page: Path) -> None:
    script = examples(page)
    if not script.strip():
        pytest.skip(f"{page.name} has no Python example")
    exec(compile(script, str(page), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_pages_show_exist(page: Path) -> None:
    from tessella.cli import _parser

    commands = set(re.findall(r"^\$? ?tessella ([a-z]+)", page.read_text(), re.MULTILINE))
    known = next(a for a in _parser()._actions if a.dest == "==SUPPRESS==").choices
    assert commands <= set(known or {}), f"on Python {sys.version_info[:2]}"
