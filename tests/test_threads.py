"""Work in PyTorch's threads, and in threads of our own where those cannot be had."""

from threading import get_ident

import pytest

from tessella import threads


@pytest.fixture(params=["PyTorch's", "own"])
def kind(request, monkeypatch):
    if request.param == "own":
        monkeypatch.setattr(threads, "_openmp", lambda: None)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_thread_works_once(kind, count):
    seen = []
    threads.in_threads(lambda: seen.append(get_ident()), count)
    assert len(seen) == count
    assert get_ident() in seen


def test_an_error_arrives(kind):
    def fail() -> None:
        raise MemoryError("full")

    with pytest.raises(MemoryError, match="full"):
        threads.in_threads(fail, 2)
