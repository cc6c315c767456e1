import sys
from collections.abc import Iterator

import pytest

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
