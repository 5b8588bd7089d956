"""The world in which a playbook is played without Prefect: its machine, its channels, and a clock that its waits move."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import migrated
from prefect.tasks import Task
from recorded_machine import Clock, Machine, Network, in_place
from well_files import Folder, written

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.change import observing
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.paging import sending
from paramedic.settings import Settings, load_settings
from paramedic.store import Store, incident_alerts
from paramedic.store.tables import messages as message_rows
from tasks import approval_form, detect, diagnose, verify


@dataclass
class World:
    """A machine, a network, channels, and a clock by which a step that waits comes to the edges of its times."""

    clock: Clock
    machine: Machine
    network: Network
    store: Store
    sent: list[tuple[str, Any, Any]] = field(default_factory=list)  # kind of channel, its settings, the message
    questions: list[str] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)  # of the verification that goes on, from its begin
    waits: list[timedelta] = field(default_factory=list)  # until which moments of it the next sleeps last
    paged_before_the_verdict: bool = False

    def look(self, run: PlaybookRun) -> Any:
        self.looks.append(self.clock.steady())
        return measure(run)

    def sleep(self, seconds: float) -> None:
        """A sleep that lasts until a moment at which the step must not yet, or must, have come to its end."""
        assert self.waits, "it goes on for longer than was written"
        if len(self.waits) == 2:
            with self.store.read() as tx:
                self.paged_before_the_verdict = bool(
                    tx.conn.execute(message_rows.select().where(message_rows.c.kind == "rung")).all()
                )
        self.clock.time = CLOCK_BEGINS + timedelta(seconds=self.looks[0] - 1000) + self.waits.pop(0)

    def blame_every_deployment(self, run: PlaybookRun) -> None:
        """The incident's alert is said again, as one that began later than any deployment of this story."""
        with self.store.record() as tx:
            [known] = incident_alerts.of(tx, run.incident.number)
            kept = {name: known[name] for name in ("source", "name", "fingerprint", "labels", "annotations")}
            later = CLOCK_BEGINS + timedelta(days=4000)
            said = Alert(severity=Severity(known["severity"]), status=Status.FIRING, starts_at=later, **kept)
            incident_alerts.note(tx, run.incident.number, said, None)


CLOCK_BEGINS = Clock().time


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    machine, network = in_place(monkeypatch, clock)
    store = Store(migrated(tmp_path / "store.db"), now=clock.now)
    one = World(clock, machine, network, store)
    by_hand = SimpleNamespace(sleep=one.sleep)
    for module in (verify, observing):
        monkeypatch.setattr(module, "time", by_hand)
        monkeypatch.setattr(module, "measure", one.look)
    monkeypatch.setattr(detect, "time", SimpleNamespace(sleep=lambda _: pytest.fail("the target cannot be seen")))
    monkeypatch.setattr(Task, "__call__", lambda task, *args, **kwargs: task.fn(*args, **kwargs))
    monkeypatch.setattr(diagnose, "show", lambda *_, **__: None)
    monkeypatch.setattr(approval_form, "asks_for_login", lambda *_, **__: True)
    monkeypatch.setattr(approval_form, "suspend_flow_run", lambda **how: _approved(one, **how))
    monkeypatch.setattr(sending, "teller", lambda kind, how: _Recorder(one, kind, how))
    for name in ("LANG", "TZ", "HOME_"):
        monkeypatch.setenv(name, f"of {name}")
    yield one
    store.close()


class _Recorder:
    """A channel that takes every message."""

    def __init__(self, world: World, kind: str, how: Any) -> None:
        self._keep = lambda message: world.sent.append((kind, how, message))

    def send(self, message: Any) -> None:
        self._keep(message)


def _approved(world: World, **how: Any) -> Any:
    world.questions.append(how["key"])
    return approval_form.Decision(decision="approve", by="ada")


def renewed(world: World, home: Path) -> None:
    """Nothing has happened yet."""
    world.store.close()
    world.store = Store(migrated(home / "store.db"), now=world.clock.now)
    world.clock.time = CLOCK_BEGINS
    world.machine.forget()
    for kept in (world.network.asked, world.sent, world.questions, world.looks, world.waits):
        kept.clear()


#: Channels that runbooks notify.
CHANNELS = {
    "ops": {"url": "https://hooks.example/ops", "secret": "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
    "chat": {"url": "json://chat.example/chat"},
}


def settings_of(folder: Folder, home: Path, patch: pytest.MonkeyPatch) -> Settings:
    for name in ("ACT_DEADLINE", "PROBE_TIMEOUT", "APPROVE_WITHIN"):
        patch.delenv(f"PARAMEDIC_{name}", raising=False)
    for name, value in written(folder.settings).items():
        patch.setenv(f"PARAMEDIC_{name.upper()}", str(value))
    return load_settings(
        data=home, runbooks=home / "runbooks", lease="1d", smtp_url="smtp://mail.example", channels=CHANNELS
    )
