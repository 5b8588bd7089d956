"""/metrics says what waits, what was done and what was refused, from the store, and to nobody unknown."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from incident_states import acting, asking, handed_over, holding, ordered, unwritable
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.testclient import TestClient

from paramedic.audit.chain import Entry
from paramedic.dispatch import metrics as dispatch_metrics
from paramedic.gateway import metrics
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.guardrail import Refusal
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.responder.capacity import Capacity
from paramedic.responder.metrics import ResponderMetrics
from paramedic.serving import trail_counts
from paramedic.serving.store_metrics import StoreMetrics
from paramedic.serving.trail_counts import TrailCounts
from paramedic.settings import ROOT, Settings
from paramedic.store import Store, acts, deliveries, intents, kill_switch, messages, outbox, trail
from paramedic.watchdog import metrics as watchdog_metrics

TOKEN = "a-token-of-this-test"
PAGE = ROOT / "docs" / "monitoring.md"

Labels = dict[str, str]


@pytest.fixture
def store(timed: Store) -> Store:
    """On both databases, by the clock that is moved by hand."""
    return timed


@pytest.fixture
def registry(store: Store) -> CollectorRegistry:
    """Scraped once: what is written from now on counts."""
    made = CollectorRegistry()
    made.register(StoreMetrics(store))
    generate_latest(made)
    return made


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """One sample of one scrape."""
    return _value(generate_latest(registry).decode(), name, labels)


def _value(text: str, name: str, labels: Labels) -> float | None:
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found[0] if found else None


@pytest.mark.parametrize("authorization", [None, "Bearer another", "Basic YTpi"])
def test_metrics_are_for_known_senders_alone(tmp_path: Path, authorization: str | None, store: Store) -> None:
    settings = Settings(data=tmp_path, gateway_tokens={"prometheus": SecretStr(TOKEN)})
    client = TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True))
    answer = client.get("/metrics", headers={"Authorization": authorization} if authorization else {})
    assert answer.status_code == 401
    assert "paramedic_" not in answer.text
    known = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert _value(known.text, "paramedic_store_up", {}) == 1


def test_what_waits_is_counted_with_the_age_of_the_oldest(
    store: Store, registry: CollectorRegistry, clock: Clock
) -> None:
    ordered(store, "web-1/a")
    clock.advance(timedelta(seconds=7))
    holding(store, "web-1/b")
    acting(store, "web-1/c")
    asking(store, "web-1/d")
    handed_over(store)
    clock.advance(timedelta(seconds=5))
    scrape = generate_latest(registry).decode()
    wanted = {"open": 1, "working": 3, "handed_over": 1, "acknowledged": 0, "resolved": None}
    assert {state: _value(scrape, "paramedic_incidents", {"state": state}) for state in wanted} == wanted
    assert _value(scrape, "paramedic_outbox_orders", {}) == 1
    assert _value(scrape, "paramedic_claims", {}) == 2
    assert _value(scrape, "paramedic_acts_open", {}) == 1
    oldest = {name: _value(scrape, f"paramedic_{name}_oldest_seconds", {}) for name in ("outbox", "acts", "messages")}
    assert oldest == {"outbox": 12, "acts": 5, "messages": 5}
    assert _value(scrape, "paramedic_acts_paused", {}) == 0
    clock.advance(timedelta(seconds=6))
    assert value(registry, "paramedic_claims") == 0  # their leases have run out


def test_an_order_that_was_sent_waits_no_more(store: Store, registry: CollectorRegistry) -> None:
    incident = ordered(store)
    with store.record() as tx:
        assert outbox.sent(tx, incident.number, 1)
    assert value(registry, "paramedic_outbox_orders") == 0
    assert value(registry, "paramedic_outbox_oldest_seconds") == 0


def test_acts_are_counted_by_outcome_and_refusals_by_guardrail(store: Store, registry: CollectorRegistry) -> None:
    _, act = acting(store)
    with store.record() as tx:
        acts.close(tx, act, result="done", why="it answered", actor="run:run-1")
        acts.close(tx, act, result="cured", why="it is well", actor="run:run-1")
        kill_switch.pause(tx, by="ada", reason="a test", actor="person:ada")
    _, claim = holding(store, "web-1/other")
    with store.record() as tx:
        identity, deadline = process_identity(1, 1.0, "RUNNING"), timedelta(seconds=5)
        limits = Guardrails("act")
        found = intents.intend(tx, claim, rung=1, remedy="restart", identity=identity, deadline=deadline, limits=limits)
    assert isinstance(found, Refusal)
    scrape = generate_latest(registry).decode()
    assert _value(scrape, "paramedic_acts_begun_total", {}) == 1
    outcomes = {name: _value(scrape, "paramedic_act_outcomes_total", {"outcome": name}) for name in ("done", "cured")}
    assert outcomes == {"done": 1, "cured": 1}
    assert _value(scrape, "paramedic_refusals_total", {"guardrail": "kill switch"}) == 1
    assert _value(scrape, "paramedic_refusals_total", {"guardrail": "budget"}) == 0
    assert _value(scrape, "paramedic_decisions_total", {"decision": "claim.taken"}) == 2
    assert _value(scrape, "paramedic_acts_paused", {}) == 1


def test_a_message_that_failed_is_retried_and_a_sent_one_is_told(store: Store, registry: CollectorRegistry) -> None:
    incident = handed_over(store)
    with store.record() as tx:
        [page] = [message for message in messages.of(tx, incident.number) if message.kind == "rung"]
        assert deliveries.take(tx, page.id)
        deliveries.put_off(tx, page.id, error="refused", until=tx.now + timedelta(minutes=1))
    assert value(registry, "paramedic_messages_retrying") == 1
    with store.record() as tx:
        assert deliveries.sent(tx, page.id, person="ada")
        data = {"message": page.id, "rung": 0, "person": "ada"}
        trail.append(tx, actor="pager", phase="outcome", what="person.told", reason="ada was told", data=data)
    assert value(registry, "paramedic_messages_retrying") == 0
    assert value(registry, "paramedic_pages_total", kind="person", outcome="told") == 1
    assert value(registry, "paramedic_incident_endings_total", ending="handed_over") == 1


def test_each_entry_is_counted_once_however_often_and_by_whomever_it_is_scraped(
    store: Store, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_counts, "MOST", 2)  # each read goes on where the one before ended
    for number in range(3):
        ordered(store, f"web-1/{number}")
    for _ in range(9):
        last = value(registry, "paramedic_decisions_total", decision="incident.opened")
    assert last == 3
    another = CollectorRegistry()
    another.register(StoreMetrics(store))
    assert value(another, "paramedic_decisions_total", decision="incident.opened") == 0


def test_a_store_that_cannot_be_read_shows_no_old_figure(store: Store, registry: CollectorRegistry) -> None:
    ordered(store)
    assert value(registry, "paramedic_outbox_orders") == 1
    away = CollectorRegistry()
    away.register(StoreMetrics(Store("sqlite:////nowhere/at/all.db")))
    assert value(away, "paramedic_store_up") == 0
    assert value(away, "paramedic_outbox_orders") is None
    assert value(away, "paramedic_acts_begun_total") == 0


def test_a_store_that_takes_no_writes_can_still_be_counted(
    store: Store, registry: CollectorRegistry, store_url: str
) -> None:
    ordered(store)
    with unwritable(store_url):
        assert value(registry, "paramedic_outbox_orders") == 1


def test_text_from_outside_never_becomes_a_label(store: Store) -> None:
    ordered(store)
    with store.read() as tx:
        entry: Entry = next(trail.entries(tx))
    counts = TrailCounts()
    counts._count(replace(entry, phase="decision", what='evil"} 1\n.refused', data={"guardrail": 'a"} 1\nb'}))
    counts._count(replace(entry, phase="outcome", what="restart.<script>", data={"act": 1}))
    counts._count(replace(entry, phase="decision", what="check.warning", data={}))
    other = (trail_counts.OTHER,)
    assert (counts.refusals[other], counts.outcomes[other], counts.decisions[other]) == (1, 1, 1)
    assert len(counts.refusals) == len(trail_counts.GUARDRAILS) + 1


# --- the page ---------------------------------------------------------------------------------------------------------


def _rows(found: list[Metric]) -> list[str]:
    named = [metric for metric in found if not metric.name.endswith("_created")]
    return [f"| `{metric.name}{'_total' * (metric.type == 'counter')}` | {metric.type} |" for metric in named]


def test_the_page_has_the_meaning_of_every_metric_and_of_no_other(registry: CollectorRegistry) -> None:
    responder = ResponderMetrics(Capacity(), lambda: 3.0, lambda: 2)
    watchdog_metrics.FAULTS.labels("a_look")
    watchdog_metrics.UNANSWERED.labels("the store")
    of_others = [*watchdog_metrics.registry.collect(), *responder.collect(), *dispatch_metrics.registry.collect()]
    found = [*metrics.registry.collect(), *of_others, *registry.collect()]
    text = PAGE.read_text()
    shown = [line for line in text.splitlines() if line.startswith("| `paramedic_")]
    assert [" | ".join(line.split(" | ")[:2]) + " |" for line in shown] == _rows(found)
    for line, metric in zip(shown, found, strict=True):
        labels = {label for sample in metric.samples for label in sample.labels if label != "le"}
        assert all(f"`{label}`" in line for label in labels)
        assert line.endswith(f"| {metric.documentation} |")
