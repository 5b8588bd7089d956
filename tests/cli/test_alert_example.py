"""`paramedic alert example`: a body that the gateway takes as it is pasted, and the command that posts it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from command_line import paramedic

from paramedic.kinds import registry
from paramedic.kinds.faces import Source
from paramedic.kinds.registry import Registry, Room

pytestmark = pytest.mark.usefixtures("_nothing_set")


@pytest.mark.parametrize("name", Registry().names(Room.SOURCES))
def test_every_sources_example_is_one_that_fires_now(name: str, tmp_path: Path) -> None:
    answer = json.loads(paramedic("alert", "example", name, "--data", str(tmp_path), "--json"))
    source = cast("Source", registry.current().plugin(Room.SOURCES, name))
    reading = source.read({}, answer["body"].encode())
    assert reading.alerts
    assert not reading.bad
    assert all(abs(datetime.now(UTC) - alert.starts_at) < timedelta(minutes=2) for alert in reading.alerts)
    assert answer["url"].endswith(f"/alerts/{name}")


def test_the_command_posts_it_with_the_token_of_up_and_repeats_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = paramedic("alert", "example", "--data", str(tmp_path))
    assert '"alertname": "TrackingApiSlow"' in words
    token = f'-H "Authorization: Bearer $(cat {tmp_path}/gateway-token)"'
    assert f"curl -fsS {token} -H 'Content-Type: application/json' --data-binary @alert.json http" in words
    monkeypatch.setenv("PARAMEDIC_GATEWAY_TOKENS", '{"am": "a-long-secret-token"}')
    words = paramedic("alert", "example", "--data", str(tmp_path))
    assert "Bearer $TOKEN" in words
    assert "a-long-secret-token" not in words


def test_an_unknown_source_is_said(tmp_path: Path) -> None:
    assert "nothing-like-it" in paramedic("alert", "example", "nothing-like-it", "--data", str(tmp_path), code=2)
