"""A gateway without a network, over a store and the settings of one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


@pytest.fixture
def client(settings: Settings, timed: Store) -> Iterator[TestClient]:
    """It is served over the store whose clock is moved by hand."""
    with TestClient(make_app(settings, timed, wake=Wake(), alive=lambda: True)) as client:
        yield client
