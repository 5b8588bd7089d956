"""Triage works on a store by the clock that is moved by hand."""

import pytest

from paramedic.store import Store


@pytest.fixture
def store(timed: Store) -> Store:
    return timed
