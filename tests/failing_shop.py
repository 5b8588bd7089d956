"""A shop that a playbook works on in process: it fails at every look, and what is done to it makes it no better, or worse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from databases import Clock
from deployed_releases import Deployed
from store_states import alert

from flows.restore_service import restore_service
from paramedic.alerts.alert import Alert, Status
from paramedic.change.run import PlaybookRun
from paramedic.checks.check import Sample
from paramedic.doors import reading
from paramedic.incidents.outcome import Outcome
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity
from paramedic.store import Store, acts, incident_alerts, lifecycle, trail
from paramedic.store.acts import Act
from paramedic.store.runbook_versions import Plan
from tasks.current_run import working_on
from tasks.playbook import outcome_of

TARGET = "web-1/shop"
FEW, MANY = [0] * 9 + [1], [1]  # errors: one in ten, and each
SERVICES = """\
services:
  shop:
    owner: delivery
    targets: [{host: web-1, supervisord: {program: shop, address: "unix:///nowhere/at/all"}, releases: RELEASES}]
"""
RUNBOOK = """\
---
runbook: shop-errors
service: shop
when: [{alert: ShopErrors}, {check: 'tcp://{host}:80', error_rate: {critical: 3%, for: 0s}, every: 5s}]
mode: act
playbook: restore-service
with:
  target: {supervisord: shop, host: "{instance}"}
  remedies: [rollback, restart]
  verify: {check: error_rate, stable: 1m, within: 2m}
---
**Meaning.** It answers with errors.
**Impact.** Some cannot buy.
## Diagnosis
Look.
## Mitigation
Restart it.
"""


@dataclass
class Shop:
    """The shop: every look finds it failing, unless it is to be well, with these errors, as whatever is done to it turns out."""

    store: Store
    clock: Clock
    run: PlaybookRun
    folder: Deployed
    errors: list[int]
    meanwhile: Callable[[], None] = lambda: None
    restarts: list[str] = field(default_factory=list)
    cannot: Exception | None = None
    well: bool = False  # once it was restarted
    is_well: bool = False  # at every look, whatever is done
    lies: bool = False  # its supervisor says that it restarts it, and does not
    did: str = ""
    alerts: Sequence[Alert] = ()

    def look(self, run: PlaybookRun) -> Health:
        number = len(run.samples.setdefault("tcp", []))
        error = float(self.errors[number % len(self.errors)])
        run.samples["tcp"].append(Sample(self.clock.now(), {"latency": 0.1, "error": error}, "as it is"))
        is_well = self.is_well or (self.well and len(self.restarts) > 0)
        return Health(Sight.WELL, "answers") if is_well else Health(Sight.FAILING, "answered 503")

    def restart(self, identity: Identity, last_look: Callable[[], None]) -> Identity:
        if self.cannot is not None:
            raise self.cannot
        last_look()
        if not self.lies:
            self.restarts.append(self.folder.current())
        return reading.identity(self.run.target)

    def scale(self, _identity: Identity, last_look: Callable[[], None]) -> Identity:
        last_look()
        self.did = "it is to have 5 pods"
        return reading.identity(self.run.target)

    def undo_scale(self, _identity: Identity, last_look: Callable[[], None]) -> Identity:
        if self.cannot is not None:
            raise self.cannot
        last_look()
        self.did = "it is to have 3 pods"
        return reading.identity(self.run.target)

    def play(self) -> Outcome:
        story: Any = restore_service.fn.story  # type: ignore[attr-defined]
        with working_on(self.run):
            return outcome_of(story, self.run)

    def breaks(
        self,
        name: str,
        target: str,
        *,
        runbook: str = "cart-errors",
        began: timedelta = timedelta(),
        annotations: Mapping[str, str] | None = None,
        resolved: bool = False,
    ) -> None:
        """Once, in the middle of the verification, an alert about another target of the service, that began so long after.

        `resolved`: it is over at once, and nobody has ended its incident yet.
        """
        plan = Plan(runbook, "1", "", rungs=1)

        def broke() -> None:
            self.meanwhile = lambda: None
            self.clock.advance(timedelta(seconds=10))
            received = replace(alert(name, starts_at=self.clock.now() + began), annotations=dict(annotations or {}))
            with self.store.record() as tx:
                number = lifecycle.open_incident(
                    tx, received, service="shop", target=target, policy="default", reason="it is new", plan=plan
                ).number
                if resolved:
                    over = replace(received, status=Status.RESOLVED, ends_at=self.clock.now())
                    incident_alerts.note(tx, number, over, None)

        self.meanwhile = broke

    def acts(self) -> list[Act]:
        with self.store.read() as tx:
            return acts.of(tx, self.run.incident.number)

    def entries(self, what: str) -> list[Any]:
        with self.store.read() as tx:
            return [entry for entry in trail.entries(tx) if entry.what == what]
