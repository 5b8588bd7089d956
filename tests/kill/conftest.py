"""The whole Paramedic that a part of the kill table is played on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill.driver import Ward, ward


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest) -> Iterator[Ward]:
    """One for all ROWS of the module: what one leaves behind is the next one's burden, as in life."""
    services = [(row.id, "web-1", "") for row in request.module.ROWS]
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, ward(Path(folder), services) as up:
        yield up
