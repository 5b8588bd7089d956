"""A change on both databases and without a Prefect: a run whose clock, target and step do what a test says."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from databases import Clock
from incident_states import PEOPLE
from playbook_runs import FOUR_HOSTS, MEMORY, playbook_run
from store_states import ALIVE, TARGET, alert

from paramedic.alerts.alert import Alert, Severity
from paramedic.catalog.library import open_library
from paramedic.change import cause, claim_keeper, exclusive, guarded
from paramedic.change.guarded import Intent
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.remedy import RESTART, Remedy
from paramedic.remediation.target import Identity
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, Tx, acts, attempts, incident_alerts, lifecycle, trail
from paramedic.store.acts import Act
from paramedic.store.runbook_versions import Plan

#: This very process: whoever measures the target's memory finds some.
WELL = process_identity(os.getpid(), psutil.Process().create_time(), "RUNNING")
DEAD = process_identity(None, None, "EXITED")
AFTER = process_identity(4343, 1769850060.0, "RUNNING")


@dataclass
class Owner:
    """What the system that owns the target says of it."""

    says: Identity | Exception = ALIVE

    def identity(self) -> Identity:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@dataclass
class Touch:
    """The step: what happens before the last look, what is sent after it, and what comes of it."""

    store: Store
    before: Callable[[], None] = lambda: None
    comes_to: Exception | None = None
    after: Identity | None = AFTER  # what it says there is then
    asked: list[Intent] = field(default_factory=list)
    sent: list[Act | None] = field(default_factory=list)  # at each first byte: the open act, as the store has it

    def __call__(self, intent: Intent) -> Identity | None:
        self.asked.append(intent)
        self.before()
        intent.last_look()
        with self.store.read() as tx:
            self.sent.append(acts.open_on(tx, intent.target.id))
        if self.comes_to is not None:
            raise self.comes_to
        return self.after


@dataclass
class Case:
    """One incident's run, which holds no claim yet."""

    store: Store
    clock: Clock
    settings: Settings
    run: PlaybookRun
    owner: Owner
    touch: Touch

    def change(self, meanwhile: Callable[[], None] = lambda: None, remedy: Remedy = RESTART) -> None:
        """As a playbook does it. `meanwhile` happens while the run holds the claim, before the change."""
        with exclusive.exclusive(self.run, TARGET):
            meanwhile()
            guarded.change(self.run, TARGET, remedy, name="restart", step=self.touch)

    def events(self) -> list[tuple[str, str]]:
        """What the trail says of changes: event and reason, in its order."""
        with self.store.read() as tx:
            return [(entry.what, entry.reason) for entry in trail.entries(tx) if entry.what.startswith("restart")]

    def results(self) -> list[str | None]:
        """What became of each act of the incident."""
        with self.store.read() as tx:
            return [act.result for act in acts.of(tx, self.run.incident.number)]

    def unwritable(self, seconds: float) -> None:
        """For so long nothing can be recorded."""
        until, record = self.clock.steady() + seconds, self.store.record

        @contextmanager
        def refusing() -> Iterator[Tx]:
            if self.clock.steady() < until:
                raise StoreUnavailable("database is locked")
            with record() as tx:
                yield tx

        self.store.record = refusing  # type: ignore[method-assign]


@pytest.fixture
def begin(timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """Makes the case of an incident whose run has just begun. `edit` writes its runbook from `MEMORY`."""
    for module in (guarded, exclusive, claim_keeper):
        monkeypatch.setattr(module, "boottime", clock.steady)
    monkeypatch.setattr(cause, "utc_now", clock.now)
    by_hand = SimpleNamespace(sleep=lambda seconds: clock.advance(timedelta(seconds=seconds)))
    for sleeper in (guarded, exclusive):
        monkeypatch.setattr(sleeper, "time", by_hand)
    owner = Owner()
    monkeypatch.setattr(reading, "reader", lambda _: owner)
    books = tmp_path / "runbooks"
    books.mkdir()
    (books / "services.yaml").write_text(FOUR_HOSTS)
    (books / "oncall.yaml").write_text(PEOPLE)

    def begun(
        *edits: tuple[str, str],
        target: str = TARGET,
        severity: Severity = Severity.CRITICAL,
        alerts: Sequence[Alert] = (),
        **settings: object,
    ) -> Case:
        text = MEMORY
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        (books / "tracking-api-memory.md").write_text(text)
        configured = Settings(data=tmp_path, runbooks=books, **settings)
        library = open_library(configured)
        runbook = library.runbooks["tracking-api-memory"]
        at = library.services.targets[target]
        with timed.record() as tx:
            incident = lifecycle.open_incident(
                tx,
                alerts[0] if alerts else alert(severity=severity),
                service=at.service,
                target=at.id,
                policy="default",
                reason="it is new",
                plan=Plan(runbook.name, runbook.version, runbook.text, rungs=1),
            )
            for joined in alerts[1:]:
                incident_alerts.note(tx, incident.number, joined, None)
            assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is None
        run = playbook_run(timed, configured, incident, runbook, at)
        return Case(timed, clock, configured, run, owner, Touch(timed))

    return begun
