"""A channel that hangs, drips, or says "later" keeps nobody else waiting, and nobody for ever."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from endless_servers import dripping
from incident_states import Paging, asking, handed_over, pager_entries
from mail_server import Postbox
from message_cases import happened
from pydantic import SecretStr
from webhook_receiver import SECRET, Hooks

from paramedic.alerts.alert import Severity
from paramedic.errors import TemporaryError
from paramedic.paging import Pager, delivery, sending
from paramedic.paging.sending import Round
from paramedic.settings import Channel
from paramedic.store import Store, approvals, messages

pytestmark = pytest.mark.real

PEOPLE = """\
people:
  ada: {name: Ada, ways: ["WAY"]}
  bob: {name: Bob, ways: ["webhook:ops"]}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default: {rungs: [{tell: oncall}, {tell: bob, after: 10m}], repeat: 30m}
"""

#: The way that hangs, the server behind it, and how it is written in the settings.
HANGS = [
    ("email:ada@example.org", "smtp", ""),
    ("email:ada@example.org", "silent", ""),
    ("webhook:slow", "http head", "http"),
    ("webhook:slow", "http byte", "http"),
    ("webhook:slow", "http body", "http"),
    ("apprise:slow", "http head", "json"),
    ("apprise:slow", "http byte", "json"),
    ("apprise:slow", "http body", "json"),
]

_SECONDS = 0.7

#: What hangs here hangs for ever: whoever waited for it would be ended by the round, after twice that time.
_ENDLESS_SECONDS = delivery.ROUND_SECONDS / 2


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise  # noqa: F401 - who sends first pays for its import: not in this time

    monkeypatch.setattr(sending, "SEND_SECONDS", _SECONDS)


@contextmanager
def hanging(paging: Paging, hooks: Hooks, way: str, drips: str, scheme: str) -> Iterator[Pager]:
    with dripping(drips) as port:
        instead: dict[str, Any] = {"channels": {"ops": Channel(url=SecretStr(hooks.url), secret=SecretStr(SECRET))}}
        if scheme:
            url = SecretStr(f"{scheme}://127.0.0.1:{port}/")
            instead["channels"]["slow"] = Channel(url=url, secret=SecretStr(SECRET))
        else:
            instead["smtp_url"] = SecretStr(f"smtp://127.0.0.1:{port}")
        yield paging(PEOPLE.replace("WAY", way), **instead)


def sends() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("send by")]


def wait_for_no_sends() -> None:
    until = time.monotonic() + 10
    while sends():
        assert time.monotonic() < until, f"still there: {sends()}"
        time.sleep(0.02)


@pytest.mark.parametrize(("way", "drips", "scheme"), HANGS)
@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_channel_that_hangs_keeps_no_other_person_waiting_and_ends(
    timed: Store, paging: Paging, hooks: Hooks, way: str, drips: str, scheme: str
) -> None:
    asking(timed)  # a question: ada's first, bob's next
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="Alerts wait", body="", same_within_minutes=1)
    with hanging(paging, hooks, way, drips, scheme) as pager:
        began = time.monotonic()
        assert pager.deliver_due() == 2
        assert time.monotonic() - began < _ENDLESS_SECONDS
        subjects = [payload["data"]["subject"] for payload in hooks.payloads]
        assert sorted(happened(subject) for subject in subjects) == ["[Paramedic] Alerts wait", "approve restart?"]
        began = time.monotonic()
        assert pager.page_directly("The store does not answer", "It is gone.")
        assert time.monotonic() - began < _ENDLESS_SECONDS
        assert len(hooks.posted) == 3
        if drips != "silent":  # that one ends by its own time-out, within ten seconds
            wait_for_no_sends()


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_name_that_is_never_resolved_is_given_up_in_time(
    timed: Store, paging: Paging, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    whole = socket.getaddrinfo

    def hang(host: Any, *args: Any, **named: Any) -> Any:
        if host == "mail.invalid":
            over.wait(30)
        return whole(host, *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    people = PEOPLE.replace("WAY", "email:ada@example.org")
    assert paging(people, smtp_url=SecretStr("smtp://mail.invalid")).page_directly("trouble", "words")
    assert len(hooks.posted) == 1
    over.set()


def test_sends_that_hang_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.01)
    for _ in range(30):
        with pytest.raises(TemporaryError):
            Round(60).run("a channel of this test", lambda: over.wait(30) and None)
    assert len(sends()) == sending._HUNG_LIMIT
    over.set()
    wait_for_no_sends()
    monkeypatch.setattr(sending, "SEND_SECONDS", 5)
    Round(60).run("a channel of this test", lambda: None)


def test_what_a_send_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        Round(60).run("email", fault)


LATER = PEOPLE.replace("WAY", "email:ada@example.org")


def test_a_question_goes_to_the_next_person_at_once_where_the_first_says_later_and_the_first_is_asked_again(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, clock: Clock
) -> None:
    asking(timed)
    postbox.says["*"] = "451 4.7.1 later"
    pager = paging(LATER)
    assert pager.deliver_due() == 1
    assert [payload["type"] for payload in hooks.payloads] == ["paramedic.approval"]
    assert hooks.payloads[0]["data"]["to"] == "bob"
    assert "ada cannot be told: email: the mail server answered 451" not in pager_entries(timed)[-1][1]
    postbox.says.clear()
    clock.advance(timedelta(seconds=5))
    assert pager.deliver_due() == 1
    assert (postbox.recipients, len(hooks.posted)) == (["ada@example.org"], 1)
    clock.advance(timedelta(hours=1))
    assert pager.deliver_due() == 0


def test_who_is_still_to_be_asked_is_not_asked_once_it_is_answered(
    timed: Store, paging: Paging, postbox: Postbox, clock: Clock
) -> None:
    _, asked = asking(timed)
    postbox.says["*"] = "451 4.7.1 later"
    pager = paging(LATER)
    pager.deliver_due()
    with timed.record() as tx:
        approvals.decide(tx, asked.id, granted=True, by="bob", how="command line")
    postbox.says.clear()
    clock.advance(timedelta(minutes=1))
    assert pager.deliver_due() == 0
    assert postbox.letters == []


def test_a_question_that_reaches_nobody_is_asked_until_it_expires(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, clock: Clock
) -> None:
    asking(timed)
    postbox.says["*"] = "550 5.1.1 nobody here"
    hooks.says = 404
    pager = paging(LATER)
    for _ in range(3):
        assert pager.deliver_due() == 0
        clock.advance(timedelta(minutes=1))
    assert len([what for what, _ in pager_entries(timed) if what == "approver.unreachable"]) == 1
    hooks.says = 204
    assert pager.deliver_due() == 1


@pytest.mark.parametrize("kind", ["trouble", "news", "update", "approval"])
def test_whatever_the_message_is_the_next_person_hears_it_at_once(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, kind: str
) -> None:
    incident, _ = asking(timed)
    with timed.record() as tx:
        messages.withdraw(tx, incident.number, kind="approval")
        if kind == "trouble":
            messages.queue_internal_alert(tx, subject="Alerts wait", body="", same_within_minutes=1)
        elif kind == "news":
            messages.queue_resolution(tx, incident=incident.number, policy="default")
        else:
            queue = messages.queue_approval if kind == "approval" else messages.queue_update
            more: dict[str, Any] = {"subject": "s", "body": "", "recipient": "ada"} if kind == "update" else {}
            queue(tx, incident=incident.number, policy="default", severity=Severity.CRITICAL, **more)
    postbox.says["*"] = "451 4.7.1 later"
    assert paging(LATER).deliver_due() == 1
    assert hooks.payloads[0]["data"]["to"] == "bob"


def test_a_later_of_the_first_person_sends_a_direct_page_to_the_next(
    paging: Paging, postbox: Postbox, hooks: Hooks, clock: Clock
) -> None:
    postbox.says["*"] = "451 4.7.1 later"
    assert paging(LATER).page_directly("The store does not answer", "It is gone.")
    assert hooks.payloads[0]["data"]["to"] == "bob"


def test_a_rung_whose_person_says_later_keeps_no_other_incident_s_rung_waiting(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks
) -> None:
    for number in range(3):
        handed_over(timed, target=f"web-{number}/api")
    with timed.write() as tx:
        messages.queue_internal_alert(tx, subject="Alerts wait", body="", same_within_minutes=1)
    postbox.says["*"] = "451 4.7.1 later"
    assert paging(LATER).deliver_due() == 1
    assert hooks.payloads[0]["data"]["subject"] == "[Paramedic] Alerts wait"


def test_a_pager_test_of_a_channel_that_hangs_says_so(paging: Paging, hooks: Hooks, tmp_path: Path) -> None:
    with hanging(paging, hooks, "webhook:slow", "http body", "http") as pager:
        person = pager._recipients.oncall.people["ada"]
        [(_, answer)] = list(pager.test(person, by="ada"))
    assert "no whole answer" in (answer or "")
