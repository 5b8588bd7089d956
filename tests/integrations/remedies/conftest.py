"""Folders of releases."""

from pathlib import Path

import pytest
from deployed_releases import Deployed


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path / "srv")


@pytest.fixture
def two(deployed: Deployed) -> Deployed:
    """A healthy one, and a newer one that can be undone."""
    deployed.deploy("1", healthy=True, reversible=True)
    deployed.deploy("2", reversible=True)
    return deployed
