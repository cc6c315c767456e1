"""Fixtures for the tests of pages."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.reports.fabricate import write_run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """``make_run(name, seed)`` writes a complete run and returns its folder."""

    def make(name: str = "toy-pspnet", seed: int = 0, rate: float = 0.01) -> Path:
        write_run(tmp_path / name, seed, rate)
        return tmp_path / name

    return make


class ParsedPage(HTMLParser):
    """What tests ask of a page: its text, headings, attributes, and the tags that appear."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self._in_heading = False
        self.feed(page)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag in ("h1", "h2", "h3"):
            self._in_heading = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h1", "h2", "h3"):
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._in_heading:
            self.headings[-1] += data


@pytest.fixture
def parse() -> Callable[[Path], ParsedPage]:
    """Reads a page and checks that nothing in it points outside of it."""

    def parse_page(path: Path) -> ParsedPage:
        page = path.read_text(encoding="utf-8")
        parsed = ParsedPage(page)
        for name, value in parsed.attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                assert value.startswith(("data:", "#")), (name, value[:80])
        assert not {"link", "script", "iframe", "object", "embed", "base"} & set(parsed.tags)
        assert "://" not in page
        assert "@import" not in page
        assert set(re.findall(r"url\((.)", page)) <= {"#"}
        return parsed

    return parse_page
