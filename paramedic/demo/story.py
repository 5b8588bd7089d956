"""The demo's stories, checked against the store, the Prefect API, the mailbox and the service."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from paramedic.catalog.services import Services
from paramedic.demo.folder import LIMIT_MB
from paramedic.demo.world import Mailbox, PagerSink, Service, World, text_of
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.incident import Incident, State
from paramedic.machine.clock import iso, utc_now
from paramedic.store import Store, attempts, check_states, incidents, mass_failure, trail
from paramedic.transports import http_deadline
from paramedic.transports.prefect_http import PrefectApi

Tick = Callable[[], None]


@dataclass
class Scenario:
    """The result of one story."""

    name: str
    change: str = "restart"  # the first change that heals it, as the trail calls it
    incident: str = ""
    number: int = 0
    outcome: str = ""
    detected_ms: int | None = None
    first_step_ms: int | None = None
    healed_ms: int | None = None
    flow_runs: list[str] = field(default_factory=list)
    notifications: int = 0
    faults: list[str] = field(default_factory=list)  # what did not come out as promised

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` writes it."""
        return {
            "name": self.name,
            "incident": self.incident,
            "outcome": self.outcome,
            "detected_ms": self.detected_ms,
            "first_step_ms": self.first_step_ms,
            "healed_ms": self.healed_ms,
            "flow_runs": self.flow_runs,
            "notifications": self.notifications,
        }

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the sentence's first word
        """Record a fault if the expectation does not hold."""
        if not holds:
            self.faults.append(otherwise)


@dataclass(frozen=True)
class Stage:
    """What a story runs on."""

    store: Store
    services: Services
    gateway: str
    token: str
    prefect: PrefectApi
    world: World
    mailbox: Mailbox
    pager: PagerSink
    tick: Tick
    say: Callable[[str], None]

    def memory_of(self, service: Service) -> int:
        """The resident memory of its process, in bytes; 0 while it has none."""
        listed = self.services.by_id(f"{service.host}/{service.name}")
        if listed is None:
            return 0
        try:
            return reading.resident_memory(listed, reading.reader(listed).identity())
        except (TemporaryError, PermanentError):
            return 0

    def messages_about(self, incident: Incident) -> int:
        """The number of messages about it that arrived, by mail and by webhook."""
        return len(self.mailbox.about(incident.id)) + len(self.pager.about(incident.id))


def webhook(service: Service, *, status: str, since: datetime) -> dict[str, Any]:
    """The body that an Alertmanager posts (its webhook format, version 4)."""
    labels = {
        "alertname": "TrackingApiMemory",
        "env": "demo",
        "instance": service.host,
        "job": "tracking-api",
        "severity": "critical",
    }
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"tracking-api on {service.host} holds more than {LIMIT_MB} MB"},
        "startsAt": iso(since),
        "endsAt": iso(utc_now()) if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "f404ecabc8dd5cd7",
    }
    return {
        "version": "4",
        "groupKey": '{}:{alertname="TrackingApiMemory"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "paramedic",
        "groupLabels": {"alertname": "TrackingApiMemory"},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": [alert],
    }


def send(stage: Stage, body: dict[str, Any]) -> None:
    """Post it as Alertmanager does. Raises httpx.HTTPStatusError on anything but a 2xx."""
    headers = {"Authorization": f"Bearer {stage.token}", "Content-Type": "application/json"}
    with http_deadline.client(seconds=10) as alertmanager:
        answer = alertmanager.post(f"{stage.gateway}/alerts/alertmanager", content=json.dumps(body), headers=headers)
    answer.raise_for_status()


def wait_for(stage: Stage, what: str, holds: Callable[[], bool], *, seconds: float) -> None:
    """Wait until it holds, keeping the stack alive. Raises TimeoutError naming what did not happen."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        stage.tick()
        time.sleep(0.1)


def all_is_well(stage: Stage) -> None:
    """Wait until no check is broken any more: what a story has broken would be a mass failure together with what the next breaks.

    Raises TimeoutError.
    """

    def well() -> bool:
        with stage.store.read() as tx:
            return mass_failure.current(tx) is None and not any(
                state.standing.breached for state in check_states.listed(tx)
            )

    wait_for(stage, "every check is well again", well, seconds=60)


def hang(stage: Stage, service: Service) -> Scenario:
    """The service stops answering; nobody sends an alert, Paramedic's own check sees it; one restart heals it."""
    stage.say(f"tracking-api on {service.host} stops answering, and nobody says so: our own check has to see it")
    return hung(stage, service, Scenario("hang"), _target(service))


def hung(stage: Stage, service: Service, scenario: Scenario, target: str) -> Scenario:
    """Make the service hang, and see one restart of the target heal it."""
    began = utc_now()
    with http_deadline.client(seconds=5) as customer:
        customer.get(f"{service.url}/hang")
    healed(stage, scenario, target, began)
    scenario.expect(service.starts == 2, f"the service was started {service.starts} times, not twice")
    return scenario


def healed(stage: Stage, scenario: Scenario, target: str, began: datetime) -> None:
    """See the target's incident end well, and nobody asked for help; `began`: when it broke."""
    incident = _ended(stage, target, scenario, {State.RESOLVED})
    stage.say(f"{incident.id}: {incident.ending}: {incident.because}")
    _healed(stage, scenario, incident, began)


def _target(service: Service) -> str:
    return f"{service.host}/{service.name}"


def leak(stage: Stage, service: Service) -> Scenario:
    """The service leaks until its memory is critical; one restart heals it."""
    scenario = Scenario("leak")
    stage.say(f"customers track their dinner, and tracking-api on {service.host} forgets nothing")
    with http_deadline.client(seconds=5) as customers:
        while stage.memory_of(service) < LIMIT_MB * 1_000_000:
            customers.get(f"{service.url}/track/dinner")
            stage.tick()
    megabytes = stage.memory_of(service) / 1_000_000
    stage.say(f"its memory is at {megabytes:.0f} MB, past {LIMIT_MB} MB: Alertmanager says so, three times")
    began = utc_now()
    for _ in range(3):
        send(stage, webhook(service, status="firing", since=began))
    incident = _ended(stage, _target(service), scenario, {State.RESOLVED})
    stage.say(f"{incident.id}: {incident.ending}: {incident.because}")
    send(stage, webhook(service, status="resolved", since=began))
    _healed(stage, scenario, incident, began)
    scenario.expect(service.starts == 2, f"the service was started {service.starts} times, not twice")
    return scenario


def bad_release(stage: Stage, service: Service) -> Scenario:
    """A new release answers with errors; a restart does not help, the next rung goes back to the last healthy release."""
    scenario = Scenario("bad-release")
    stage.say(f"release v2 is deployed on {service.host}: most of its answers are errors, and all of them are slow")
    service.deploy("v2", errors=0.8, slow_ms=350)
    stage.world.restart(service)
    began = utc_now()
    incident = _ended(stage, _target(service), scenario, {State.RESOLVED})
    stage.say(f"{incident.id}: {incident.ending}: {incident.because}")
    _healed(stage, scenario, incident, began)
    scenario.expect(service.release == "v1", f"release {service.release} is current, not v1")
    scenario.expect(service.starts == 4, f"the service was started {service.starts} times, not four")
    return scenario


def beyond_help(stage: Stage, service: Service) -> Scenario:
    """Nothing helps: the escalation goes from mail to pager until a person acknowledges, with the evidence and the checklist."""
    scenario = Scenario("beyond-help")
    wait_for(stage, "the fourth service", lambda: stage.memory_of(service) > LIMIT_MB * 1_000_000, seconds=30)
    stage.say(f"tracking-api on {service.host} is past {LIMIT_MB} MB from its first second on: no restart helps there")
    began = utc_now()
    for _ in range(3):
        send(stage, webhook(service, status="firing", since=began))
    incident = _ended(stage, _target(service), scenario, {State.HANDED_OVER})
    stage.say(f"{incident.id}: {incident.ending}: {incident.because}")
    wait_for(stage, "the page", lambda: len(stage.mailbox.about(incident.id)) >= 1, seconds=20)
    page = text_of(stage.mailbox.about(incident.id)[0])
    scenario.expect("resident memory" in page, "the page does not show the evidence")
    scenario.expect("give it a machine with more memory" in page, "the page does not show the checklist")
    stage.say("ada was told by mail, and does not answer: the next step is due in 3 s")
    wait_for(stage, "the second step", lambda: len(stage.pager.about(incident.id)) >= 1, seconds=30)
    stage.say("ben was told through his pager's webhook")
    link = re.search(r"https?://\S+/ack/\S+", page)
    if link is None:
        scenario.faults.append("the page has no link to acknowledge it")
        return scenario
    with http_deadline.client(seconds=10) as browser:  # it keeps the page's cookie
        shown = browser.get(link[0])
        scenario.expect(shown.status_code == 200, f"the link shows {shown.status_code}")
        scenario.expect(_read(stage, incident.number).state is State.HANDED_OVER, "looking at the link acknowledged it")
        form = re.search(r'name="form" value="([^"]+)"', shown.text)
        browser.post(link[0], data={"form": form[1] if form else ""}).raise_for_status()
    after = _read(stage, incident.number)
    scenario.expect(after.state is State.ACKNOWLEDGED, f"after the link it is {after.state}")
    stage.say(f"{incident.id}: acknowledged by {after.acknowledged_by}, through the link in the message")
    _account(stage, scenario, incident, began)
    scenario.expect(scenario.outcome == "handed_over", f"the outcome is {scenario.outcome}, not handed_over")
    scenario.expect(scenario.notifications == 2, f"{scenario.notifications} messages were sent, not two")
    scenario.expect(service.starts == 2, f"the service was started {service.starts} times, not twice")
    return scenario


def _healed(stage: Stage, scenario: Scenario, incident: Incident, began: datetime) -> None:
    wait_for(stage, "its news", lambda: stage.messages_about(incident) >= 1, seconds=20)
    _account(stage, scenario, incident, began)
    scenario.healed_ms = _since(began, incident.ended_at)
    scenario.expect(scenario.outcome == "remediated", f"the outcome is {scenario.outcome}, not remediated")
    scenario.expect(scenario.notifications == 1, f"{scenario.notifications} messages were sent, not one")


def _ended(stage: Stage, target: str, scenario: Scenario, states: set[State]) -> Incident:
    def newest() -> Incident | None:
        with stage.store.read() as tx:
            return next((incident for incident in incidents.listed(tx, limit=10) if incident.target == target), None)

    wait_for(stage, "the incident", lambda: newest() is not None, seconds=120)
    opened = newest()
    stage.say(f"{opened.id if opened else '?'}: opened; evidence, a change, verification follow")

    def over() -> bool:
        now = newest()
        return now is not None and now.state in states | {State.HANDED_OVER, State.RESOLVED}

    wait_for(stage, "its end", over, seconds=90)
    incident = newest()
    if incident is None:
        raise TimeoutError("the incident is gone")
    scenario.incident, scenario.number = incident.id, incident.number
    return incident


def _account(stage: Stage, scenario: Scenario, incident: Incident, began: datetime) -> None:
    with stage.store.read() as tx:
        scenario.outcome = str(incidents.get(tx, incident.number).ending)
        tries = attempts.of(tx, incident.number)
        same = [other for other in incidents.listed(tx, limit=100) if other.target == incident.target]
        whats = [entry.what for entry in trail.entries(tx, incident=incident.number)]
    scenario.detected_ms = _since(began, incident.opened_at)
    scenario.first_step_ms = _since(began, tries[0].began_at)
    scenario.notifications = stage.messages_about(incident)
    with stage.prefect.client(seconds=60) as prefect:
        answer = prefect.post("/flow_runs/filter", json={"flow_runs": {"tags": {"all_": [incident.id]}}})
    scenario.flow_runs = [run["id"] for run in answer.raise_for_status().json()]
    scenario.expect(len(same) == 1, f"{len(same)} incidents on one target, not one")
    scenario.expect(len(scenario.flow_runs) == 1, f"{len(scenario.flow_runs)} flow runs in Prefect, not one")
    scenario.expect(
        "evidence.taken" in whats
        and scenario.change in whats
        and whats.index("evidence.taken") < whats.index(scenario.change),
        f"the evidence was not taken before the change {scenario.change}",
    )


def _read(stage: Stage, number: int) -> Incident:
    with stage.store.read() as tx:
        return incidents.get(tx, number)


def _since(began: datetime, moment: datetime | None) -> int | None:
    return None if moment is None else round((moment - began).total_seconds() * 1000)
