"""Whatever stands in a label or an error: it is data, and a secret in it is not in the database (P7, P8)."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from databases import Postgres
from forms import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from store_states import ALIVE, alert, claimed, intended, look_at_the_trail, opened

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import (
    Store,
    acts,
    attempts,
    claims,
    deliveries,
    evidence,
    fingerprints,
    inbox,
    incidents,
    joining,
    kill_switch,
    lifecycle,
    messages,
    outbox,
)
from paramedic.store.quarantine import Unreadable
from paramedic.store.tables import metadata
from paramedic.text import redaction

PLANTED = "Tr0ub4dor&3/horse+staple"
FORMS = (PLANTED, quote(PLANTED, safe=""), base64.b64encode(PLANTED.encode()).decode())


@pytest.fixture
def planted() -> Iterator[str]:
    """A secret that Paramedic knows."""
    redaction.remember(PLANTED)
    yield PLANTED
    redaction.forget_all()


def live_through(store: Store, text: str) -> int:
    """A whole story in which everybody says this, wherever anybody can say anything."""
    labels = {"alertname": text, "instance": text, f"k{text}": text}
    hostile = replace(alert(text or "nothing"), labels=labels, annotations={"summary": text}, value=text)
    with store.read() as tx:
        earlier = {message.id for message in deliveries.due(tx, limit=99)}
    bad = (Unreadable(f'{{"body": "{text}"}}', f"alerts[0].{text}: wrong"),)
    inbox.receive(store, [hostile], source="alertmanager", sender=text, bad=bad)
    with store.record() as tx:
        [receipt] = inbox.waiting(tx)
        number = opened(tx, target=f"unlisted:{text}", received=receipt.alert)
        assert incidents.live(tx, "tracking", f"unlisted:{text}") == incidents.get(tx, number)
        joining.join(tx, number, alert(f"Other {text}"), reason=text)
        fingerprints.remember(tx, hostile)
        inbox.decided(tx, receipt, verdict="open", reason=text, incident=number, look_again_at=None)
        outbox.put_off(tx, number, 1, error=text, until=tx.now)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        claim = claimed(tx, number, run=text)
        held = claims.current(tx, f"unlisted:{text}")
        assert held is not None
        assert held[0].token == claim.token
        evidence.add(tx, number, 1, kind="log-tail", taken_at=tx.now, body=text)
        act = intended(tx, held[0])
        assert acts.close(tx, act, result="done", why=text, actor=text, identity=ALIVE)
        attempts.raise_attempt(tx, number, after=1, rungs=1, reason=text)
        incidents.append_to_timeline(tx, number, actor=text, what="health.seen", reason=text)
        incidents.note(tx, number, by=text, text=text)
        kill_switch.pause(tx, by=text, reason=text)
        messages.queue_internal_alert(tx, subject=text, body=text, same_within_minutes=10)
        messages.queue_internal_alert(tx, subject=text, body=text, same_within_minutes=10)
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, text), actor=text)
        for message in deliveries.due(tx):
            deliveries.take(tx, message.id)
            deliveries.put_off(tx, message.id, error=text, until=tx.now)
        deliveries.sent(tx, deliveries.due(tx)[0].id, person=text)
        lifecycle.acknowledge(tx, number, by=text, reason=text)
        lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, text), actor=text)
        kill_switch.resume(tx, by=text, reason=text)
        claims.release(tx, claim)
        trouble = [
            message
            for message in deliveries.due(tx, limit=99)
            if message.incident is None and message.id not in earlier
        ]
        assert len(trouble) <= 2  # the bad payload, and the one that was said twice
    assert look_at_the_trail(store).verified
    return number


HOSTILE = {
    "nul": "a\x00b",
    "surrogate": "a\ud800b",
    "sql": "'; DROP TABLE trail; --",
    "template": "{{ prefect.variables.x }} {% raw %} ${jndi:ldap://x}",
    "path": "../../etc/passwd",
    "newlines": "a\r\nBcc: all@example.com\r\n\r\n",
    "wide": "🚑" * 300,
    "long": "x" * 16_384,
    "controls": "\x1b[2J\x07\u202e",
    "percent": "%s %(x)s %% :name ?1",
    "empty": "",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_any_text_goes_the_whole_way(store: Store, hostile: str, backend: str) -> None:
    if hostile == HOSTILE["long"]:
        hostile = hostile[:1024]  # what intake lets through for a target is shorter still
    number = live_through(store, hostile)
    with store.read() as tx:
        tables = {table.name: tx.conn.execute(select(table)).all() for table in metadata.sorted_tables}
    assert number == 1
    assert all(tables[name] for name in ("trail", "incidents", "acts", "messages", "inbox", "quarantine"))


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=30))
def test_no_text_makes_the_store_stumble(store: Store, hostile: str) -> None:
    live_through(store, hostile)


def test_a_secret_is_nowhere_in_the_database(
    store_url: str, store: Store, planted: str, backend: str, request: pytest.FixtureRequest
) -> None:
    for form in (*FORMS, f"https://user:{planted}@example.com/?q={quote(planted)}"):
        live_through(store, f"before {form} after")
    kept = []
    with store.read() as tx:
        for table in metadata.sorted_tables:
            kept += [f"{table.name}: {row}" for row in tx.conn.execute(select(table))]
        if backend == "postgresql":
            folder = tx.conn.execute(text("SHOW data_directory")).scalar_one()
            place = tx.conn.execute(text("SELECT pg_relation_filepath('trail')")).scalar_one()
    assert any("[secret]" in row for row in kept)
    for form in FORMS:
        assert [row for row in kept if form in row] == []
    if backend == "sqlite":
        store.close()
        files = list(Path(store_url.removeprefix("sqlite:///")).parent.glob("paramedic.db*"))
    else:
        server: Postgres = request.getfixturevalue("postgres")
        server.run("CHECKPOINT")
        files = [*(Path(folder) / place).parent.iterdir(), *(Path(folder) / "pg_wal").glob("0*")]
    assert files
    for file in files:
        content = file.read_bytes()
        for form in FORMS:
            assert form.encode() not in content, file
    assert re.search(rb"\[secret\]", b"".join(file.read_bytes() for file in files))


def test_a_target_with_a_secret_in_its_name_is_still_one_target(store: Store, planted: str) -> None:
    with store.record() as tx:
        number = opened(tx, target=f"unlisted:http://user:{planted}@web-1/")
        live = incidents.live(tx, "tracking", f"unlisted:http://user:{planted}@web-1/")
        assert live is not None
        assert live.number == number
        assert planted not in live.target
