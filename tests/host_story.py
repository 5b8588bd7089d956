"""A whole story of one host, in process: an alert, a person who is asked by mail, the playbook, and who is told how it ended.

Only Prefect is not there: what suspends a run ends it, as Prefect does, and after the answer it begins again from its first line.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from databases import migrated
from incident_states import PEOPLE, alert, on_call
from mail_server import Postbox, text_of
from playbook_runs import playbook_run
from prefect.exceptions import Pause
from prefect.tasks import Task

from flows.restore_service import restore_service
from paramedic.alerts.alert import Alert
from paramedic.catalog.library import open_library
from paramedic.change import noted
from paramedic.change.run import PlaybookRun
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from paramedic.intake import routing
from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store, acts, approvals, attempts, evidence, incident_alerts, incidents, lifecycle, trail
from paramedic.store.runbook_versions import Plan
from tasks import approval_form, diagnose
from tasks.current_run import working_on
from tasks.playbook import outcome_of

#: What authors write of targets of a host: services.yaml, and the front matter of a runbook for it.
ATTACKER = "203.0.113.7"

BLOCKLIST = """\
services:
  shop:
    targets:
      - host: localhost
        blocklist: {{name: abusers, table: inet filter, ipv4: blocked4}}
        health: {health}
"""
BLOCK = """\
when: [{alert: Ill}]
mode: ask
with:
  target: {blocklist: abusers, host: "{instance}"}
  remedies: [block_address: {address: "{client_ip}", for: 1h}]
  evidence: [blocked]
  verify: {health: ok, stable: 200ms, within: 3s}
"""

CONTAINER = """\
services:
  shop:
    targets:
      - {{host: localhost, container: {{name: {name}, socket: "{socket}"}}, health: "http://127.0.0.1:{port}/"}}
"""

REMEDY = """\
when: [{{alert: Ill}}]
mode: act
with:
  target: {{container: "{{container}}", host: "{{instance}}"}}
  evidence: [state, last-log]
  remedies: [{remedy}]
  verify: {{health: ok, stable: 200ms, within: {within}}}
"""

DISK = """\
services:
  shop:
    targets:
      - host: localhost
        disk: {{mount: {root}, free: "50%", clean: [{{path: {logs}, names: ["*.gz"], older_than: 1d}}]}}
"""
FREE = """\
when:
  - alert: Ill
  - {check: free_space, free: {critical: 50%}}
mode: MODE
with:
  target: {disk: "{mountpoint}", host: "{instance}"}
  remedies: [free_disk]
  evidence: [files]
  verify: {check: free, stable: 200ms, within: 3s}
"""

HOST = """\
hosts:
  web-7:
    ssh:
      {{address: {host.address}, port: {host.port}, user: {host.user}, key: {host.folder}/key, known_hosts: {host.known_hosts}}}
services:
  shop:
    targets:
      - host: web-7
        machine: {{units: [app.service], reboot_within: 30s}}
"""
REBOOT = """\
when:
  - alert: Ill
  - {check: "tcp://127.0.0.1:PORT", error_rate: {critical: 50%, for: 0s}, every: 5s}
mode: ask
with:
  target: {machine: system, host: "{instance}"}
  remedies: [reboot]
  evidence: [units]
  verify: {check: error_rate, stable: 200ms, within: 3s}
"""

PROSE = """\
**Meaning.** It is ill.
**Impact.** Nobody can buy.
## Diagnosis
Look.
## Mitigation
Do it by hand.
"""


@dataclass
class Story:
    """One incident of a runbook that asks; `answers` is what the person says, `before_the_answer` what happens meanwhile."""

    folder: Path
    postbox: Postbox
    answers: bool = True
    before_the_answer: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)  # the mails that asked, whole

    def __post_init__(self) -> None:
        self.books, file = self.folder / "runbooks", self.folder / "store.db"
        self.url = f"sqlite:///{file}"
        if not self.books.exists():  # else it is one that another process has begun
            self.books.mkdir()
            (self.books / "oncall.yaml").write_text(PEOPLE)
            migrated(file)
        self.store = Store(self.url)
        self.settings = Settings(
            data=self.folder, runbooks=self.books, smtp_url=self.postbox.url, mail_from="paramedic@example.org"
        )
        self.number = 0

    def written(self, services: str, front: str) -> None:
        """What authors wrote: services.yaml, and the front matter of the one runbook."""
        (self.books / "services.yaml").write_text(services)
        (self.books / "ill.md").write_text(
            f"---\nrunbook: ill\nservice: shop\nplaybook: restore-service\n{front}---\n{PROSE}"
        )

    def play(self, **labels: str) -> Outcome:
        """The alert `Ill` with these labels comes in, and its incident is worked on to its end."""
        return self.received(alert("Ill", **labels))

    def received(self, received: Alert) -> Outcome:
        """This alert comes in, and its incident is worked on to its end."""
        library = open_library(self.settings)
        assert library.problems == (), library.problems
        place = routing.place(received, library)
        assert place.runbook is not None, place.why
        runbook, plan = place.runbook, None
        plan = Plan(runbook.name, runbook.version, runbook.text, rungs=len(runbook.remedies))
        with self.store.record() as tx:
            self.number = lifecycle.open_incident(
                tx, received, service=place.service, target=place.target, policy="default", reason=place.why, plan=plan
            ).number
            assert attempts.begin_attempt(tx, self.number, 1, flow_run="run-1") is None
        return self.goes_on()

    def goes_on(self) -> Outcome:
        """Its newest attempt works on the incident to its end, with the answer of whoever it asks."""
        with suppress(Pause):
            return self._worked_on()
        self._answered()
        return self._worked_on()

    def joined_by(self, **labels: str) -> None:
        """One more alert of the incident."""
        with self.store.record() as tx:
            incident_alerts.note(tx, self.number, alert("Ill", **labels), None)

    def _worked_on(self) -> Outcome:
        library = open_library(self.settings)
        incident = self.incident
        run: PlaybookRun = playbook_run(
            self.store,
            self.settings,
            incident,
            library.runbooks["ill"],
            noted.with_noted(self.store, library.services.targets[incident.target]),
            attempt=incident.attempt,
        )
        story: Any = restore_service.fn.story  # type: ignore[attr-defined]
        with working_on(run):
            outcome = outcome_of(story, run)
        Pager(self.store, self.settings, on_call()).deliver_due()
        return outcome

    def _answered(self) -> None:
        self.asked = self.mails()
        self.before_the_answer()
        with self.store.record() as tx:
            question = approvals.asked(tx, self.number)
            assert question is not None
            approvals.decide(tx, question.id, granted=self.answers, by="ada", how="command line")

    @property
    def incident(self) -> Incident:
        with self.store.read() as tx:
            return incidents.get(tx, self.number)

    def mails(self) -> list[str]:
        """Every mail so far: its recipient, its subject, its text."""
        return [f"{letter['To']}\n{letter['Subject']}\n{text_of(letter)}" for letter in self.postbox.letters]

    def told(self) -> str:
        """The last mail."""
        return self.mails()[-1]

    def acts(self) -> list[tuple[str, str | None]]:
        with self.store.read() as tx:
            return [(act.remedy, act.result) for act in acts.of(tx, self.number)]

    def evidence(self) -> dict[str, str]:
        with self.store.read() as tx:
            return {piece["kind"]: piece["body"] for piece in evidence.of(tx, self.number)}

    def trail(self, *wanted: str) -> list[str]:
        """The entries of these names, in the order of the trail."""
        with self.store.read() as tx:
            found = [entry.what for entry in trail.entries(tx, incident=self.number)]
        return [what for what in found if what in wanted]

    def words(self) -> str:
        """All that stands in the chain itself, and cannot be erased."""
        with self.store.read() as tx:
            return str([(entry.reason, entry.data) for entry in trail.entries(tx, incident=self.number)])


def without_prefect(patch: pytest.MonkeyPatch) -> None:
    """Its tasks are functions; what suspends a run ends it."""

    def suspended(**_: object) -> None:
        raise Pause

    patch.setattr(Task, "__call__", lambda task, *args, **kwargs: task.fn(*args, **kwargs))
    patch.setattr(diagnose, "show", lambda *_, **__: None)
    patch.setattr(approval_form, "suspend_flow_run", suspended)
    patch.setattr(approval_form, "asks_for_login", lambda *_, **__: True)


@pytest.fixture
def story(tmp_path: Path, postbox: Postbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    without_prefect(monkeypatch)
    one = Story(tmp_path, postbox)
    yield one
    one.store.close()


#: The order of a story in which a person is asked and a remedy helps: what was seen for the question is looked at again after it.
def in_order(remedy: str) -> Sequence[str]:
    asked = ["evidence.taken", "approval.asked", "approval.granted"]
    return [*asked, "evidence.taken", remedy, f"{remedy}.done", "verification.well"]
