"""A sender speaks for the services that it may, and for no other: whatever its alerts say, nothing is changed there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from pydantic import SecretStr, ValidationError
from store_states import inbox_rows

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.catalog.library import read_folder
from paramedic.incidents.incident import State
from paramedic.intake.intake import Intake
from paramedic.settings import Settings
from paramedic.store import Store, inbox, incidents, outbox

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
WANTED = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100", "service": "tracking-api"}


@pytest.fixture
def say(store: Store, clock: Clock) -> Callable[..., Any]:
    """Take a word of the sender's in, and decide on it; the inbox's newest row."""

    def taken(sender: str, status: Status = Status.FIRING, known_by: str = "one", **about: Any) -> Any:
        alert = Alert("x", "TrackingApiMemory", Severity.CRITICAL, status, clock.now(), known_by, WANTED, **about)
        inbox.receive(store, [alert], source="x", sender=sender)
        services = {"orders": ("order-status",), "tracking": ("order-status", "tracking-api")}
        Intake(store, lambda: LIBRARY, sender_services=services).work()
        return inbox_rows(store)[-1]

    return taken


@pytest.mark.parametrize("sender", ["tracking", "one that is not restricted"])
def test_who_may_speak_for_a_service_begins_its_runbook(store: Store, say: Callable[..., Any], sender: str) -> None:
    assert say(sender).verdict == "open"
    with store.read() as tx:
        assert len(outbox.waiting(tx)) == 1


def test_what_another_says_of_it_goes_to_a_person_and_says_why(store: Store, say: Callable[..., Any]) -> None:
    row = say("orders")
    assert row.verdict == "open"
    assert "may speak for order-status alone, and not for tracking-api (sender_services)" in row.reason
    with store.read() as tx:
        assert outbox.waiting(tx) == []
        assert (incidents.get(tx, 1).state, incidents.get(tx, 1).runbook) == (State.HANDED_OVER, None)


@pytest.mark.parametrize("status", [Status.RESOLVED, Status.ACKNOWLEDGED])
def test_no_word_of_its_ends_or_takes_what_others_opened(store: Store, say: Callable[..., Any], status: Status) -> None:
    say("tracking")
    row = say("orders", status)
    assert (row.verdict, row.incident) == ("drop", None)
    with store.read() as tx:
        assert incidents.get(tx, 1).state is State.OPEN


def test_a_sender_that_nobody_is_restricts_nobody_and_is_refused(tmp_path: Path) -> None:
    known = {"data": tmp_path, "gateway_tokens": {"grafana": SecretStr("a-token-of-good-length")}}
    assert Settings(**known, sender_services={"grafana": "tracking-api, orders"}).sender_services == {
        "grafana": ("tracking-api", "orders")
    }
    with pytest.raises(ValidationError, match="'grafanna' is no sender of gateway_tokens.*there are grafana"):
        Settings(**known, sender_services={"grafanna": ["tracking-api"]})
    with pytest.raises(ValidationError, match="may speak for no service"):
        Settings(**known, sender_services={"grafana": []})
