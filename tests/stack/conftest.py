"""A stack whose processes are small."""

import sys

import pytest

from paramedic.stack.children import Child, Children


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack whose processes do nothing but show their environment."""
    shows = "import json, os, sys, time; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ))); time.sleep(600)"
    start = Children.start
    monkeypatch.setenv("PARAMEDIC_PORT", "0")
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "0")

    def instead(self: Children, child: Child) -> None:
        child.argv = [sys.executable, "-c", shows, str(self._logs / f"{child.name}.env")]
        start(self, child)

    monkeypatch.setattr(Children, "start", instead)
