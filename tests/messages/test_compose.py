"""What a message says, and what it never says."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from incident_states import RUNBOOK

from paramedic.alerts.alert import Severity
from paramedic.audit.chain import Entry
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.kinds.message import Message
from paramedic.messages import compose
from paramedic.oncall.rotation import Person
from paramedic.text import redaction

NOW = datetime(2026, 1, 31, 9, 35, tzinfo=UTC)
ADA = Person("ada", "Ada", ())
LINK = "http://127.0.0.1:8650/ack/WyJzdG9yZSIsNyx-sk-abcdefghijklmnopqrstuvwxyz"

INCIDENT = Incident(
    store="00000000-0000-0000-0000-000000000000",
    number=7,
    service="tracking-api",
    target="web-1/tracking-api",
    title="TrackingApiMemory",
    severity=Severity.CRITICAL,
    state=State.HANDED_OVER,
    attempt=1,
    policy="default",
    opened_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    ending=Ending.HANDED_OVER,
    because="restarted, still failing",
)


@pytest.fixture(autouse=True)
def _no_secret() -> Iterator[None]:
    redaction.forget_all()
    yield
    redaction.forget_all()


def entry(what: str, reason: str, at: str = "2026-01-31T09:30:01.000000Z") -> Entry:
    return Entry(1, at, "triage", "decision", what, "INC-7", None, reason, {}, None, "", "")


def page(incident: Incident = INCIDENT, **parts: Any) -> Message:
    settings: dict[str, Any] = {
        "person": ADA,
        "timeline": [entry("incident.opened", "it is new"), entry("restart", "every guardrail agrees")],
        "evidence": [{"kind": "memory", "taken_at": NOW, "body": "process 42 holds 157,286,400 B"}],
        "open_acts": [],
        "mitigation": "1. Give it more memory.",
        "link": LINK,
        "lasts": timedelta(hours=4),
        "now": NOW,
    }
    return compose.page(incident, **{**settings, **parts})


def test_a_page_says_what_is_wrong_why_it_is_yours_what_was_done_and_what_to_do() -> None:
    written = page()
    assert written.subject == "[INC-7] tracking-api on web-1: handed over"
    wanted = [
        "TrackingApiMemory on web-1/tracking-api (critical), since 2026-01-31T09:30:00.000000Z.",
        "It is yours because: restarted, still failing",
        f"\n{LINK}\n",
        "or: paramedic incident ack INC-7 --by ada",
        "What to do:\n    1. Give it more memory.",
        "09:30:01  incident.opened: it is new\n09:30:01  restart: every guardrail agrees",
        "memory, 2026-01-31T09:35:00.000000Z:\n    process 42 holds 157,286,400 B",
    ]
    places = [written.text.index(words) for words in wanted]
    assert places == sorted(places)


def test_who_had_it_and_for_how_long_is_said_to_whoever_is_told_next() -> None:
    had = dataclasses.replace(INCIDENT, acknowledged_by="ada", acknowledged_at=NOW - timedelta(hours=4))
    assert "You have had it since 2026-01-31T05:35:00.000000Z, for 4h: not over." in page(had).text
    ben = Person("ben", "Ben", ())
    assert "ada has had it since 2026-01-31T05:35:00.000000Z, for 4h: not over." in page(had, person=ben).text


def test_a_target_that_is_not_its_services_own_is_named_whole() -> None:
    assert page(dataclasses.replace(INCIDENT, target="db-1/postgres")).subject.startswith(
        "[INC-7] tracking-api on db-1/postgres: "
    )


def test_an_open_act_is_named_with_the_way_to_settle_it() -> None:
    written = page(open_acts=[("the restart of web-1/tracking-api by INC-6 (attempt 1)", 6)])
    assert "OPEN: the restart of web-1/tracking-api by INC-6 (attempt 1). Nobody knows" in written.text
    assert "paramedic incident resolve INC-6 --by ada" in written.text


def test_what_comes_from_outside_can_pass_for_no_word_of_ours() -> None:
    sly = "up\r\nBcc: eve@example.org\n\nTake it: http://evil/\x1b[2J\u202e\ud800"
    incident = dataclasses.replace(INCIDENT, title=sly, target=f"web-1/{sly}", service=sly, because=sly)
    written = page(
        incident,
        timeline=[entry("alert.firing", sly)],
        evidence=[{"kind": sly, "taken_at": NOW, "body": sly}],
        open_acts=[(sly, 7)],
        mitigation=sly,
    )
    for text in (written.subject, written.text):
        assert not set(text) & {"\x1b", "\u202e", "\ud800", "\r"}
    assert "\n" not in written.subject
    assert len(written.subject) <= 200
    for line in written.text.split("\n"):
        assert not line.startswith(("Bcc:", "Take it: http://evil/")), line
    assert "    Take it: http://evil/\\x1b[2J\\u202e\\ud800" in written.text


def test_a_megabyte_of_label_makes_no_megabyte_of_message() -> None:
    huge = "x" * 1_000_000
    incident = dataclasses.replace(INCIDENT, title=huge, target=huge, service=huge, because=huge)
    pieces = [{"kind": huge, "taken_at": NOW, "body": f"{huge}the end"}] * 20
    written = page(
        incident, timeline=[entry("said", huge)] * 100, evidence=pieces, mitigation=huge, open_acts=[(huge, 7)]
    )
    assert len(written.text) < 80_000
    assert "the end" in written.text  # the tail of a log is what matters
    assert "60 earlier entries are in" in written.text
    assert "14 older pieces of evidence are in" in written.text
    assert LINK in written.text


def test_no_secret_is_told_whole_or_in_part() -> None:
    redaction.remember("hunter2-and-more")
    said = "password is hunter2-and-more"
    cut_in_the_middle = f"{'x' * 100}hunter2-and-more{'y' * (compose.EVIDENCE_LIMIT - 8)}"
    written = page(
        dataclasses.replace(INCIDENT, title=said, because=said, service=said),
        timeline=[entry("said", said)],
        evidence=[{"kind": said, "taken_at": NOW, "body": cut_in_the_middle}],
        mitigation=said,
        open_acts=[(said, 7)],
    )
    about_us = compose.internal_alert(said, said, now=NOW)
    for text in (written.subject, written.text, about_us.subject, about_us.text):
        assert "hunter2" not in text
        assert "and-more" not in text
    assert LINK in written.text  # which no pattern of a secret may break


def test_without_a_link_the_command_line_is_left() -> None:
    text = page(link="").text
    assert (
        "Take it (stops further pages for 4h, and every further change by Paramedic):\nparamedic incident ack INC-7"
        in text
    )


def test_news_says_how_it_ended() -> None:
    ended = dataclasses.replace(INCIDENT, state=State.RESOLVED, ending=Ending.REMEDIATED, because="the restart helped")
    written = compose.resolution(ended, timeline=[entry("restart.done", "it runs")], now=NOW)
    assert written.subject == "[INC-7] tracking-api on web-1: remediated"
    assert "web-1/tracking-api: remediated. the restart helped" in written.text
    assert "09:30:01  restart.done: it runs" in written.text
    assert "/ack/" not in written.text


def test_the_mitigation_is_the_whole_checklist_and_no_more() -> None:
    found = compose.mitigation_of(RUNBOOK)
    assert found.startswith("1. Restart it:")
    assert "   # as root\n" in found
    assert found.endswith("3. Wake the owner.")
    assert compose.mitigation_of("# None\n\nNothing.\n") == ""
    bold = "**Meaning.** Bad.\n**Mitigation.** Restart it.\nThen look.\n**Impact.** Dinner.\n"
    assert compose.mitigation_of(bold) == "Restart it.\nThen look."
