import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs.generators import train_on_features
from tests.runs.spheres import train_on_spheres, write_marked

from tessella.runs import user_code


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a Dask scheduler with two workers on this machine."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as local:
        yield local.scheduler_address


@pytest.fixture(autouse=True)
def no_code_of_other_tests():
    """Files of one name, written by several tests, are modules of one name."""
    yield
    for name in user_code._loaded:
        sys.modules.pop(name, None)
    user_code._loaded.clear()


@pytest.fixture(scope="session")
def spheres(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_on_spheres(tmp_path_factory.mktemp("spheres"))


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    return write_marked(tmp_path)


@pytest.fixture(scope="session")
def feature_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_on_features(tmp_path_factory.mktemp("features"))
