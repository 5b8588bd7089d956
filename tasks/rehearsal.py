"""`python -m tasks.rehearsal`: plays a playbook against fake worlds, on a store of its own; prints what it did, as JSON.

Standard input has what to play: `{"playbook", "runbook", "folder", "target", "worlds"}`. Nothing of production is asked.
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import open_library
from paramedic.catalog.playbook_file import ENDS
from paramedic.catalog.rehearsal_world import World
from paramedic.catalog.runbook import Runbook
from paramedic.change.run import Cancelled, GivenUp, PlaybookRun
from paramedic.checks.check import labels_of
from paramedic.errors import PermanentError
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Outcome
from paramedic.machine.clock import utc_now
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.remediation.target import Target
from paramedic.settings import Settings, load_settings
from paramedic.store import Store, StoreUnavailable, attempts, incidents, lifecycle
from paramedic.store.migrations import migrate
from paramedic.store.runbook_versions import Plan
from paramedic.text.redaction import hush_logging
from paramedic.text.yaml_document import Problem
from tasks.current_run import working_on
from tasks.playbook import Story, outcome_of
from tasks.playbook_lint import cause, imported
from tasks.rehearsal_guard import Guard
from tasks.rehearsal_world import FakeWorld

#: The name of the run; there is no other one.
_RUN = "rehearsal"


class _SilentPager(Pager):
    """Delivers nothing: a rehearsal tells nobody."""

    def deliver_due(self, incident: int | None = None) -> int:  # noqa: ARG002 - the base's form
        """Send nothing."""
        return 0


@dataclass
class Played:
    """What a playbook did in one world. `fault`: why it would not do in production, whatever its ending."""

    world: str
    steps: list[dict[str, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    ending: str | None = None
    because: str = ""
    fault: str = ""


@dataclass
class Rehearsal:
    """A playbook with the runbook and the target that it is tried with, and a folder for its stores."""

    path: Path
    story: Story
    settings: Settings
    runbook: Runbook
    target: Target
    folder: Path
    guard: Guard

    def play(self, world: World, number: int) -> Played:
        """Play it once, on a new store."""
        file = self.folder / f"{number}.db"
        shutil.copy(self.folder / "empty.db", file)
        store = Store(f"sqlite:///{file}")
        fake = FakeWorld(world)
        run = self._begun(store)
        played = Played(str(world))
        try:
            with working_on(run), fake.in_place(), self.guard.closed():
                outcome = outcome_of(self._watched(played), run)
            played.ending, played.because = str(outcome.ending), outcome.because
        except (GivenUp, Cancelled, StoreUnavailable) as error:
            played.fault = cause(error)
        with store.read() as tx:
            state = incidents.get(tx, run.incident.number).state
        if not played.fault and state in (State.OPEN, State.WORKING):
            played.fault = (
                f"the playbook has ended, and its incident is {state}: end it by resolved, recovered or hand_over"
            )
        store.close()
        played.steps = [{"verb": verb, "answer": answer} for verb, answer in fake.steps]
        played.changes = fake.changes
        return played

    def _watched(self, played: Played) -> Story:
        """The story; an error of its own is noted with its line, before the incident is handed over for it."""

        def story(incident: Incident, runbook: Runbook) -> Outcome:
            try:
                outcome = self.story(incident, runbook)
            except Exception as error:
                frames = traceback.extract_tb(error.__traceback__)
                lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == self.path.resolve()]
                if _is_a_bug(error):
                    played.fault = f"{self.path.name}:{lines[-1] if lines else 1}: {cause(error)}"
                raise
            if not isinstance(outcome, Outcome):
                played.fault = f"it returned {outcome!r:.100}, and no Outcome: {ENDS}"
            return outcome

        return story

    def _begun(self, store: Store) -> PlaybookRun:
        labels = labels_of(self.runbook.name, "rehearsal", self.target)
        alert = Alert(_RUN, "Rehearsal", Severity.CRITICAL, Status.FIRING, utc_now(), fingerprint(_RUN, labels), labels)
        plan = Plan(self.runbook.name, self.runbook.version, self.runbook.text, rungs=len(self.runbook.remedies))
        with store.record() as tx:
            number = lifecycle.open_incident(
                tx,
                alert,
                service=self.target.service,
                target=self.target.id,
                policy=self.runbook.policy,
                reason="a rehearsal",
                plan=plan,
            ).number
            attempts.dispatched(tx, number, 1, flow_run=_RUN)
        with store.record() as tx:
            attempts.begin_attempt(tx, number, 1, flow_run=_RUN)
            incident = incidents.get(tx, number)
        return PlaybookRun(
            settings=self.settings,
            store=store,
            pager=_SilentPager(store, self.settings, OncallFile(self.settings)),
            incident=incident,
            runbook=self.runbook,
            target=self.target,
            attempt=1,
            flow_run=_RUN,
            ask_cancelled=lambda _: False,
        )


def _is_a_bug(error: Exception) -> bool:
    """Whether the error is none of those that verbs raise for the playbook's decorator."""
    return not type(error).__module__.startswith("paramedic.") or type(error).__name__ == "InsideTransaction"


def _target(runbook: Runbook, settings: Settings, wanted: str | None) -> Target:
    """The target by its id, or the first that the runbook can mean. Raises PermanentError where there is none."""
    listed = [
        target
        for target in open_library(settings).services
        if target.service == runbook.service and target.kind == runbook.target.kind
    ]
    for target in listed:
        if wanted in (None, target.id):
            return target
    there = ", ".join(target.id for target in listed) or "none"
    raise PermanentError(f"runbook {runbook.name} cannot mean {wanted or 'any target'}; it can mean: {there}")


def rehearse(asked: dict[str, Any], folder: Path) -> list[Played]:
    """Play the playbook in each world. Raises PermanentError, in words, where it cannot begin."""
    settings = load_settings(data=folder / "data", store_url=None, runbooks=Path(asked["folder"]))
    library = open_library(settings)
    runbook = library.runbooks.get(asked["runbook"])
    if runbook is None:
        raise PermanentError(f"there is no usable runbook {asked['runbook']!r}: `paramedic runbook lint`")
    path = Path(asked["playbook"])
    module = imported(path)
    if isinstance(module, Problem):
        raise PermanentError(str(module))
    story: Story | None = getattr(getattr(getattr(module, path.stem, None), "fn", None), "story", None)
    if story is None:
        raise PermanentError(f"{path.stem} is no playbook: `paramedic playbook lint`")
    migrate(f"sqlite:///{folder / 'empty.db'}")
    target = _target(runbook, settings, asked["target"])
    rehearsal = Rehearsal(path, story, settings, runbook, target, folder, Guard(folder))
    return [rehearsal.play(World.model_validate(world), number) for number, world in enumerate(asked["worlds"])]


def main() -> None:
    """Play what standard input asks for; what the playbook prints is not part of the answer."""
    hush_logging()
    asked = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as out, tempfile.TemporaryDirectory(prefix="paramedic-rehearsal-") as home:
        os.dup2(2, 1)
        folder = Path(home)
        (folder / "data").mkdir(mode=0o700)
        try:
            played = rehearse(asked, folder)
            answer: dict[str, Any] = {"played": [vars(play) for play in played]}
        except PermanentError as error:
            answer = {"refused": str(error)}
        json.dump(answer, out)


if __name__ == "__main__":
    main()
