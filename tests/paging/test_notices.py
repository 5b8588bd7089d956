"""Channels that a runbook names hear of its incidents: each time once, and never in a page's way."""

import dataclasses
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from incident_states import RUNBOOK, Paging, alert, pager_entries
from mail_server import Postbox
from message_cases import happened
from webhook_receiver import Hooks

from paramedic.catalog.library import read_folder
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.paging import delivery
from paramedic.store import Store, inbox, lifecycle, messages
from paramedic.store.runbook_versions import Plan

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]

NAMED = ("webhook:ops", "apprise:chat", "email:bob@example.org")


def opened(store: Store, notify: tuple[str, ...] = NAMED) -> Incident:
    plan = Plan("tracking-api-memory", "v1", RUNBOOK, 1, notify=notify)
    with store.record() as tx:
        return lifecycle.open_incident(
            tx, alert(), service="tracking-api", target="web-1/tracking-api", policy="default", reason="new", plan=plan
        )


def ended(store: Store, incident: Incident, ending: Ending = Ending.HANDED_OVER, *, over: bool = False) -> None:
    end = lifecycle.resolve if over else lifecycle.hand_over
    with store.record() as tx:
        end(tx, incident.number, Outcome(ending, "restarted, still failing"), actor="run:run-1")


def subjects(hooks: Hooks) -> list[str]:
    return [payload["data"]["subject"] for payload in hooks.payloads]


def test_a_channel_hears_of_an_incident_s_opening_hand_over_and_end_each_once(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, chat: Hooks
) -> None:
    incident = opened(timed)
    pager = paging()
    pager.deliver_due()
    ended(timed, incident)
    ended(timed, incident)  # a repeat is not news
    pager.deliver_due()
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="on the command line")
    ended(timed, incident, over=True)
    pager.deliver_due()
    pager.deliver_due()
    about, number = "[critical] tracking-api on web-1: TrackingApiMemory, ", f" ({incident.id})"
    assert subjects(hooks) == [f"{about}{what}{number}" for what in ("opened", "handed over", "resolved")]
    assert {payload["type"] for payload in hooks.payloads} == {"paramedic.news"}
    assert "/ack/" not in hooks.posted[1][2].decode(), "a channel acknowledges nothing"
    assert "restarted, still failing" in hooks.payloads[1]["data"]["text"]
    assert [payload["title"] for payload in chat.payloads] == subjects(hooks)
    assert [to for to in postbox.recipients if to == "bob@example.org"] == ["bob@example.org"] * 3
    assert sorted(pager_entries(timed)[:3]) == [  # a slow channel keeps no other waiting: in any order
        ("notice.told", "apprise:chat was told: opened"),
        ("notice.told", "email was told: opened"),
        ("notice.told", "webhook:ops was told: opened"),
    ]


def test_a_cure_is_named(timed: Store, paging: Paging, hooks: Hooks) -> None:
    incident = opened(timed)
    ended(timed, incident, Ending.REMEDIATED, over=True)
    paging().deliver_due()
    assert [happened(subject) for subject in subjects(hooks)] == ["opened", "remediated"]


def test_a_page_leaves_before_every_notice_however_late_it_came(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_SLOW_SECONDS", 30)  # its mail server is not slow, whatever else the machine does
    incident = opened(timed)
    clock.advance(timedelta(minutes=1))
    ended(timed, incident)
    seen: list[list[str]] = []
    hooks.arriving = lambda: seen.append(postbox.recipients)
    paging().deliver_due()
    assert seen[0] == ["ada@example.org"]


def test_slow_channels_keep_no_page_waiting_for_more_than_one_of_them(
    timed: Store, paging: Paging, hooks: Hooks, clock: Clock
) -> None:
    for _ in range(2):
        ended(timed, opened(timed, ("webhook:ops",)), Ending.REMEDIATED, over=True)
    hooks.arriving = lambda: clock.advance(timedelta(seconds=9))
    pager = paging()
    assert [pager.deliver_due(), pager.deliver_due()] == [2, 2]


def test_a_channel_that_is_away_is_asked_once_a_round_and_again_later(
    timed: Store, paging: Paging, hooks: Hooks, chat: Hooks, clock: Clock
) -> None:
    for _ in range(3):
        ended(timed, opened(timed, ("webhook:ops", "apprise:chat")), Ending.REMEDIATED, over=True)
    hooks.says = 503
    pager = paging()
    assert pager.deliver_due() == 6
    assert (len(hooks.posted), len(chat.posted)) == (1, 6)
    hooks.says = 204
    clock.advance(timedelta(minutes=1))
    assert pager.deliver_due() == 6
    assert len(chat.posted) == 6


def test_a_storm_of_notices_is_a_few_for_people_and_each_of_them_for_a_program(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, chat: Hooks
) -> None:
    for _ in range(10):
        ended(timed, opened(timed), Ending.REMEDIATED, over=True)
    assert paging().deliver_due() == 60
    assert (len(hooks.posted), len(chat.posted), len(postbox.letters)) == (20, 10, 3)
    assert "11 messages" in chat.payloads[-1]["title"]


def test_a_notice_whose_kind_of_channel_has_gone_is_given_up_and_the_trail_says_so(
    timed: Store, paging: Paging, hooks: Hooks, postbox: Postbox
) -> None:
    incident = opened(timed, ("pigeon:loft", "webhook:ops"))
    pager = paging()
    pager.deliver_due()
    pager.deliver_due()
    with timed.read() as tx:
        states = {message.recipient: message.state for message in messages.of(tx, incident.number)}
    assert states["pigeon:loft"] == "unreachable"
    assert ("notice.unreachable", "pigeon:loft is nobody who can be told now") in pager_entries(timed)
    assert len(hooks.payloads) == 1, "and keeps no other notice"
    assert postbox.letters == [], "no rung climbs because of a channel"


def test_a_channel_that_says_no_or_stays_away_is_given_up_and_the_trail_says_so(
    timed: Store, paging: Paging, hooks: Hooks, postbox: Postbox, clock: Clock
) -> None:
    incident = opened(timed, ("webhook:ops", "webhook:gone"))
    hooks.says = 503
    pager = paging()
    for _ in range(150):
        pager.deliver_due()
        clock.advance(timedelta(minutes=5))
    assert len(hooks.posted) == 100
    with timed.read() as tx:
        assert [message.state for message in messages.of(tx, incident.number)] == ["unreachable", "unreachable"]
    assert [what for what, _ in pager_entries(timed)] == ["notice.unreachable"] * 2
    assert "the setting `channels` names no gone" in pager_entries(timed)[0][1]
    assert postbox.letters == [], "no rung climbs because of a channel"


def test_a_playbook_waits_for_no_channel(timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks) -> None:
    incident = opened(timed)
    ended(timed, incident)
    assert paging().deliver_due(incident.number) == 1
    assert (postbox.recipients, hooks.posted) == (["ada@example.org"], [])


def test_without_a_runbook_no_channel_hears(timed: Store, paging: Paging, hooks: Hooks) -> None:
    with timed.record() as tx:
        lifecycle.open_incident(tx, alert(), service="s", target="t", policy="default", reason="new", plan=None)
    assert paging().deliver_due() == 0


def test_what_a_runbook_names_is_what_hears(timed: Store, paging: Paging, hooks: Hooks, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    shutil.copytree(ROOT / "runbooks", folder)
    book = folder / "tracking-api-memory.md"
    book.write_text(book.read_text().replace("settle:", 'notify: ["webhook:ops"]\nsettle:'))
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}
    received = dataclasses.replace(alert(), labels=labels)
    inbox.receive(timed, [received], source="alertmanager", sender="am")
    assert Intake(timed, lambda: read_folder(folder)).work() == 1
    assert paging().deliver_due() == 1
    assert [happened(subject) for subject in subjects(hooks)] == ["opened"]
