import pytest

from tessella.scenes import sequence


@pytest.fixture(scope="session", params=["street", "room"])
def video(request):
    """Three frames of a street or a room."""
    return list(sequence(request.param, 7, frames=3, height=120, width=160))


@pytest.fixture(scope="session")
def street_video():
    return list(sequence("street", 3, frames=3, height=120, width=160))
