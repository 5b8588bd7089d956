"""The gateway judges the severity of an alert by one table, whichever kind of sender it came from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins_page import EXAMPLES
from pydantic import SecretStr
from sqlalchemy import select
from starlette.testclient import TestClient

from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.kinds import plugin_folder
from paramedic.kinds.registry import Room
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.tables import inbox

TOKEN = "a-token-of-good-length"

#: The example of the page, which knows one severity, with the vendor's word as a label.
WORDY = EXAMPLES[Room.SOURCES].replace(
    '"instance": said["coop"]}', '"instance": said["coop"], "severity": said["bad"]}'
)


@pytest.fixture
def client(tmp_path: Path, store: Store) -> Iterator[TestClient]:
    (tmp_path / "plugins" / "sources").mkdir(parents=True)
    (tmp_path / "plugins" / "sources" / "pigeon.py").write_text(WORDY)
    plugin_folder.use(tmp_path / "plugins")
    settings = Settings(
        data=tmp_path,
        plugins=tmp_path / "plugins",
        gateway_tokens={"loft": SecretStr(TOKEN)},
        severities={"soon": "critical", "ticket": "info"},  # type: ignore[dict-item] # pydantic reads them
    )
    yield TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True), base_url="http://127.0.0.1")
    plugin_folder.use(None)


def body_of(source: str, word: str) -> bytes:
    if source == "pigeon":
        return json.dumps({"message": "slow", "coop": "web-1", "bad": word}).encode()
    labels = {"alertname": "slow", "instance": "web-1", "severity": word}
    return json.dumps({"alerts": [{"status": "firing", "labels": labels, "startsAt": "2026-01-31T09:30:00Z"}]}).encode()


@pytest.mark.parametrize("source", ["alertmanager", "pigeon"])
@pytest.mark.parametrize(
    ("word", "severity", "informational", "noted"),
    [
        ("sev-1", "critical", False, False),
        ("p3", "warning", False, False),
        ("Info", "warning", True, False),
        ("soon", "critical", False, False),
        ("ticket", "warning", True, False),
        ("whatever", "critical", False, True),
    ],
)
def test_one_table_judges_the_words_of_every_sender(
    client: TestClient, store: Store, source: str, word: str, severity: str, informational: bool, noted: bool
) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.post(f"/alerts/{source}", content=body_of(source, word), headers=headers).status_code == 202
    with store.read() as tx:
        [row] = tx.conn.execute(select(inbox.c.severity, inbox.c.alert)).all()
    assert (row.severity, row.alert["severity"], row.alert["informational"]) == (severity, severity, informational)
    assert ("labels.severity: 'whatever' is not in the table" in "".join(row.alert["notes"])) is noted
