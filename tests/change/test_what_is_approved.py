"""Who is asked for an approval is told what the change is about, and has approved that and nothing more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from store_states import TARGET, alert

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.change import exclusive
from paramedic.change.approval_question import open_question
from paramedic.change.limits import pinned_and_current
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.integrations.targets.blocklist import Block
from paramedic.kinds.asked import in_words
from paramedic.remediation.approval import Approval
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.store import approvals, incident_alerts, trail
from paramedic.transports import own_addresses

ASKS = ("mode: act", "mode: ask")
WORDS = Block.model_validate({"address": "{client_ip}", "for": "1h"})
BLOCK = Remedy(1, Verb.OFFERED, offered="block_address", asked=WORDS)
FREE_DISK = Remedy(1, Verb.OFFERED, offered="free_disk")


@pytest.fixture(autouse=True)
def _nothing_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_addresses, "ours", lambda _: frozenset())


def of(address: str) -> Alert:
    return alert(severity=Severity.CRITICAL, env="prod", client_ip=address, instance=f"{address}:9100")


def question(case: Any, remedy: Remedy = BLOCK) -> Approval | None:
    with exclusive.exclusive(case.run, TARGET):
        return open_question(case.run, case.run.keeper.claim, remedy, *pinned_and_current(case.run, remedy))


def approved(case: Any) -> Approval:
    asked = question(case)
    assert asked is not None
    with case.store.record() as tx:
        approvals.decide(tx, asked.id, granted=True, by="ada", how="link")
    return asked


def joins(case: Any, joined: Alert) -> None:
    with case.store.record() as tx:
        incident_alerts.note(tx, case.run.incident.number, joined, None)


def test_the_question_names_every_address_and_for_how_long(begin: Any) -> None:
    asked = question(begin(ASKS, alerts=[of("203.0.113.7"), of("2001:db8::7")]))
    assert asked is not None
    assert asked.touches == "address 203.0.113.7, 2001:db8::7; for 1h"
    assert asked.with_touches == "block_address (address 203.0.113.7, 2001:db8::7; for 1h)"
    assert asked.about == ({"address": "203.0.113.7"}, {"address": "2001:db8::7"})


def test_an_address_stands_on_the_trail_only_where_it_can_be_erased(begin: Any) -> None:
    case = begin(ASKS, alerts=[of("203.0.113.7")])
    approved(case)
    case.change(remedy=BLOCK)
    with case.store.read() as tx:
        entries = [entry for entry in trail.entries(tx) if entry.what.startswith(("approval", "restart"))]
        kept = {entry.what: trail.content(tx, entry.seq) for entry in entries}
    assert [entry.what for entry in entries] == ["approval.asked", "approval.granted", "restart", "restart.done"]
    assert "203.0.113.7" not in str([(entry.reason, entry.data) for entry in entries])
    assert kept["approval.asked"] is not None
    assert kept["approval.asked"][1] == {"touches": "address 203.0.113.7; for 1h"}


def test_an_address_that_joins_after_the_approval_was_approved_by_nobody(begin: Any) -> None:
    case = begin(ASKS, alerts=[of("203.0.113.7")])
    approved(case)
    joins(case, of("198.51.100.1"))
    assert question(case) is None, "the answer is there: it is judged, and nobody is asked twice"
    with pytest.raises(
        Refused, match="ada approved it for what the alerts named then, and by now they name more"
    ) as no:
        case.change(remedy=BLOCK)
    assert "198.51.100.1" not in str(no.value), "people's addresses stand on no trail"
    assert case.touch.asked == []


def test_what_was_approved_may_be_done_though_some_of_it_is_over(begin: Any) -> None:
    case = begin(ASKS, alerts=[of("203.0.113.7"), of("203.0.113.8")])
    approved(case)
    joins(case, replace(of("203.0.113.7"), status=Status.RESOLVED))
    case.change(remedy=BLOCK)
    assert [intent.asked.about for intent in case.touch.asked] == [({"address": "203.0.113.8"},)]


def test_where_no_alert_has_an_address_nobody_is_asked(begin: Any) -> None:
    case = begin(ASKS, alerts=[alert(severity=Severity.CRITICAL, env="prod")])
    with pytest.raises(Refused, match="no firing alert of the incident has what block_address needs: client_ip"):
        question(case)
    with case.store.read() as tx:
        assert approvals.listed(tx, case.run.incident.number) == []


def test_what_a_remedy_of_a_kinds_own_would_touch_is_asked_of_its_kind(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str, list[str]]] = []

    def foreseen(target: Any, remedy: str, alerts: list[Alert]) -> str:
        seen.append((target.id, remedy, [one.name for one in alerts]))
        return "2 files (9 MB)\n/var/log/shop/a.gz (5 MB)\n/var/log/shop/b.gz (4 MB)"

    monkeypatch.setattr(reading, "foreseen", foreseen)
    asked = question(begin(ASKS), FREE_DISK)
    assert asked is not None
    assert asked.touches.splitlines()[2] == "/var/log/shop/b.gz (4 MB)"
    assert asked.with_touches == "free_disk (2 files (9 MB))"
    assert seen == [(TARGET, "free_disk", ["TrackingApiMemory"])]


@pytest.mark.parametrize("error", [TemporaryError, PermanentError])
def test_what_cannot_be_foreseen_is_asked_about_all_the_same_and_said(
    begin: Any, monkeypatch: pytest.MonkeyPatch, error: Callable[[str], Exception]
) -> None:
    def lost(*_: object) -> str:
        raise error("it does not answer")

    monkeypatch.setattr(reading, "foreseen", lost)
    asked = question(begin(ASKS), FREE_DISK)
    assert asked is not None
    assert asked.touches == "it could not be seen what it would touch: it does not answer"


def test_nobody_is_asked_about_what_the_target_refuses(begin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object) -> str:
        raise Refused("no file of it may be deleted")

    monkeypatch.setattr(reading, "foreseen", no)
    case = begin(ASKS)
    with pytest.raises(Refused, match="no file of it may be deleted"):
        question(case, FREE_DISK)
    with case.store.read() as tx:
        assert approvals.listed(tx, case.run.incident.number) == []


def test_a_restart_is_said_whole_by_its_name_and_kinds_that_tell_nothing_say_nothing(begin: Any) -> None:
    case = begin(ASKS)
    asked = question(case, RESTART)
    assert asked is not None
    assert (asked.touches, asked.with_touches, asked.about) == ("", "restart", ())
    assert reading.foreseen(case.run.target, "reload", []) == ""


def test_far_too_long_a_list_is_bounded_and_says_so(begin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "foreseen", lambda *_: "x" * 100_000)
    asked = question(begin(ASKS), FREE_DISK)
    assert asked is not None
    assert len(asked.touches) < 6_100
    assert asked.touches.endswith("… and 94000 characters more")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7; for 1s", '"203.0.113.7; for 1s"'),
        ("203.0.113.7, 10.0.0.1", '"203.0.113.7, 10.0.0.1"'),
        ('a"b', '"a\\"b"'),
        ("a\nUntil: tomorrow", '"a Until: tomorrow"'),
        ("\x1b]0;mine\x07", '"\\\\x1b]0;mine\\\\x07"'),
        ("\u202e7.311.0.302", '"\\\\u202e7.311.0.302"'),
        ("", '""'),
        ("9" * 5_000, f'"{"9" * 200} …"'),
    ],
)
def test_a_label_is_data_in_what_a_person_is_asked(value: str, shown: str) -> None:
    assert in_words(WORDS, [{"address": value}]) == f"address {shown}; for 1h"


def test_only_what_the_runbook_writes_is_told_and_nothing_twice() -> None:
    narrow = Block.model_validate({"address": "{client_ip}", "for": "90m", "widest_ipv4": 24})
    about = [{"address": "203.0.113.7"}, {"address": "203.0.113.8"}, {"address": "203.0.113.7"}]
    assert in_words(narrow, about) == "address 203.0.113.7, 203.0.113.8; for 1h 30m; widest_ipv4 24"
    assert timedelta(minutes=90) == narrow.time
