"""Each value of an oncall.yaml that lint calls well reaches people: who, by which way, when, in whose time, how often again."""

import json
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from databases import migrated
from forms import examples
from hypothesis import HealthCheck, given, settings
from recorded_machine import Clock, in_place
from well_files import MS, At, Said, dumped, meanings, written
from well_oncall import oncalls

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.integrations.channels import email, webhook
from paramedic.oncall.escalation import ONCALL
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.settings import Settings, load_settings
from paramedic.store import Store, lifecycle, messages

CHANNELS = {
    name: {"url": f"http://hooks.example/{name}", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}
    for name in ("ops", "b.2")
}


# --- the world --------------------------------------------------------------------------------------------------------


class World:
    """Channels that keep what they are told, and a clock."""

    def __init__(self, store: Store, clock: Clock, chosen: Settings) -> None:
        self.store, self.clock, self.settings = store, clock, chosen
        self.sent: list[tuple[str, str]] = []  # by which way, and the text

    def keep(self, way: str, text: str) -> None:
        self.sent.append((way, text))

    def pager(self) -> Pager:
        return Pager(self.store, self.settings, OncallFile(self.settings), steady=self.clock.steady)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    clock = Clock()
    in_place(monkeypatch, clock)
    store = Store(migrated(tmp_path / "store.db"), now=clock.now)
    chosen = load_settings(data=tmp_path, runbooks=tmp_path, smtp_url="smtp://mail.example", channels=CHANNELS)
    one = World(store, clock, chosen)
    monkeypatch.setattr(email.Teller, "send", lambda _, message: one.keep(f"email:{message.recipient}", message.text))
    monkeypatch.setattr(
        webhook.Teller,
        "_post",
        lambda teller, body, _: one.keep(f"webhook:{teller._url.rpartition('/')[2]}", json.loads(body)["data"]["text"]),
    )
    yield one
    store.close()


# --- what is seen -----------------------------------------------------------------------------------------------------


@settings(max_examples=examples(15), derandomize=True, suppress_health_check=list(HealthCheck))
@given(document=oncalls())
def test_each_value_reaches_who_is_told(document: dict[str, Any], world: World, tmp_path: Path) -> None:
    text = dumped(document)
    (tmp_path / "oncall.yaml").write_text(text, encoding="utf-8")
    oncall = parse_oncall(text, "oncall.yaml")
    seen: dict[At, Any] = {}
    renewed(world, tmp_path)
    reached(document, world, seen)
    turned(document, oncall, seen)
    first = document["rotation"]["starts"].means.replace(tzinfo=UTC)
    world.clock.time = max(world.clock.time, first + timedelta(days=2))  # from when on somebody is on call
    for name, policy in document["policies"].items():
        for severity in Severity:
            climbed(name, policy, severity, oncall, world, seen)
    assert seen == meanings(document)


def renewed(world: World, home: Path) -> None:
    """Nothing has happened yet."""
    world.store.close()
    world.store = Store(migrated(home / "store.db"), now=world.clock.now)
    world.clock.time = Clock().time


def reached(document: dict[str, Any], world: World, seen: dict[At, Any]) -> None:
    """A test page goes each way of a person, in their order, by their name and in their time."""
    book = OncallFile(world.settings).oncall
    for person, said in document["people"].items():
        at: At = ("people", person)
        world.sent.clear()
        assert [error for _, error in world.pager().test(book.people[person], by="me")] == [None] * len(
            written(said.get("ways", [1]))
        )
        ways = tuple(way for way, _ in world.sent)
        if "email" in said:
            assert len(ways) == 1
            seen[*at, "email"] = ways[0].removeprefix("email:")
        else:
            seen[*at, "ways"] = ways
        text = world.sent[0][1]
        if f"for {said['name']}," in text:
            seen[*at, "name"] = said["name"]
        zone = said.get("zone", document["rotation"]["zone"])
        there = world.clock.time.astimezone(ZoneInfo(zone))
        if f"{there:%H:%M:%S}" in text and "zone" in said:
            seen[*at, "zone"] = zone
        assert f"{there:%H:%M:%S}" in text


def turned(document: dict[str, Any], oncall: Oncall, seen: dict[At, Any]) -> None:
    """Turns change at the same local time, whoever's they are."""
    rotation = document["rotation"]
    first, every, turns = rotation["starts"].means, rotation["every"].means, rotation["people"].means
    for number in (0, 1, 2, 3, 30):
        edge = (first + number * every).replace(tzinfo=ZoneInfo(rotation["zone"])).astimezone(UTC)
        before = oncall.person(ONCALL, edge - timedelta(seconds=1))
        after = oncall.person(ONCALL, edge)
        assert (before.id if before else None) == (turns[(number - 1) % len(turns)] if number else None)
        assert after is not None
        assert after.id == turns[number % len(turns)]
    seen |= {("rotation", *at): means for at, means in meanings(rotation).items()}


def climbed(
    name: str, document: dict[str, Any], severity: Severity, oncall: Oncall, world: World, seen: dict[At, Any]
) -> None:
    """Each step pages its person after its time; the last one repeats; an acknowledgement holds for as long as it says."""
    key = "rungs" if "rungs" in document else severity.value
    rungs, at = document[key], ("policies", name)
    pager, number = world.pager(), _handed_over(world, name, severity)
    repeat = document.get("repeat", Said("", timedelta(minutes=30))).means
    waits = [*(rung.get("after", Said("", timedelta(0))).means for rung in rungs), repeat]
    for step, wait in enumerate(waits):
        rung, before = rungs[min(step, len(rungs) - 1)], world.clock.time
        world.sent.clear()
        if step == 0 and wait:
            pager.deliver_due(number)
            assert world.sent == [], f"{name}: the first step was taken at once"
        with world.store.read() as tx:
            due = [one.due_at for one in messages.of(tx, number) if one.kind == "rung" and one.state == "due"]
        assert due == [before + wait], f"{name}: step {step}"
        world.clock.time = before + wait
        pager.deliver_due(number)
        person = oncall.person(rung["tell"], world.clock.time)
        assert person is not None
        assert [way for way, _ in world.sent] == [str(person.contact_methods[0])]
        if step < len(rungs):
            seen |= {(*at, key, step, *place): means for place, means in meanings(rung).items()}
    if "repeat" in document:
        seen[*at, "repeat"] = repeat
    lasts = document.get("acknowledged_for", Said("", timedelta(hours=4))).means
    with world.store.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="by the test")
    for wait, ended in ((lasts - MS, 0), (MS, 1)):
        world.clock.advance(wait)
        assert pager.end_acknowledgements() == ended
    if "acknowledged_for" in document:
        seen[*at, "acknowledged_for"] = lasts
    with world.store.record() as tx:
        lifecycle.resolve(tx, number, Outcome(Ending.HANDED_OVER, "it is over"), actor="person:ada")
        messages.withdraw(tx, number)
    world.clock.advance(timedelta(minutes=10))


def _handed_over(world: World, policy: str, severity: Severity) -> int:
    said = {"alertname": "Down"}
    alert = Alert("test", "Down", severity, Status.FIRING, world.clock.time, fingerprint("test", said), said)
    with world.store.record() as tx:
        incident = lifecycle.open_incident(
            tx, alert, service="shop", target="web-1/api", policy=policy, reason="it is new", plan=None
        )
        lifecycle.hand_over(tx, incident.number, Outcome(Ending.HANDED_OVER, "no runbook wants it"), actor="triage")
    return incident.number
