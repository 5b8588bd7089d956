"""A store that may be lost."""

from pathlib import Path

import pytest

from paramedic.settings import Settings


@pytest.fixture
def settings(own_url: str, tmp_path: Path) -> Settings:
    """The settings of a store that may be lost."""
    data = tmp_path / "data"
    data.mkdir()
    return Settings(data=data, store_url=own_url)
