"""A pool of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pool import Pool
from prefect_server import Prefect


@pytest.fixture
def pool(prefect: Prefect, tmp_path: Path) -> Iterator[Pool]:
    """Its flows lie in the test's folder; nobody serves it yet."""
    one = Pool(prefect, tmp_path)
    yield one
    one.close()
