"""A systemd for the tests of one module, and the units of one test."""

from collections.abc import Callable, Iterator

import pytest
from systemd_container import PidOne
from systemd_units import Units, systemd


@pytest.fixture(scope="module")
def pid_one(require: Callable[[str], str]) -> Iterator[PidOne]:
    with systemd(require) as running:
        yield running


@pytest.fixture
def units(pid_one: PidOne) -> Iterator[Units]:
    made = Units(pid_one)
    yield made
    made.end()
