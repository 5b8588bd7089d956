"""Runs of a whole playbook on one target, without Prefect: SIGKILL at a boundary, then the attempt that the watchdog begins.

What decides is real: the playbook, the store, the watchdog's judgement, the mails and the target. Only Prefect is not there, and
the lease that the dead run leaves has passed at once, by the clock of the store that the second attempt opens.
"""

import os
import signal
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import pytest
from _pytest.mark import ParameterSet
from boundaries import Boundaries
from databases import processes
from host_story import Story, without_prefect
from mail_server import Postbox
from waiting import until

from paramedic import keys
from paramedic.audit import verification
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.machine import kill_points
from paramedic.machine.clock import utc_now
from paramedic.store import Store, attempts, incidents, outbox
from paramedic.store import trail as stored_trail
from paramedic.watchdog.attempts import Attempts
from paramedic.watchdog.prefect_status import PrefectStatus

#: After so long whoever held a claim has lost it, and whoever had none yet is missed.
LATER = timedelta(minutes=1)

#: What must be true after a death at each boundary of a change that helps: the ending, and how often the change was made.
RIGHT = {
    "evidence_taken": (Ending.REMEDIATED, 1),
    "intent_written": (Ending.HANDED_OVER, 0),  # nobody can know that nothing was sent
    "act_sent": (Ending.REMEDIATED, 1),
    "outcome_written": (Ending.REMEDIATED, 1),
    "verified": (Ending.REMEDIATED, 1),
}


#: Where a kind's short form kills its run: nobody knows whether it was sent, and it was.
IN_MID_CHANGE = ("intent_written", "act_sent")


def rows(right: Mapping[str, tuple[Ending, int]], *, short: Collection[str] = IN_MID_CHANGE) -> list[ParameterSet]:
    """Each boundary with what must be true, as a test's parameters `point`, `ending` and `times`."""
    return [
        pytest.param(point, *what, id=point, marks=[] if point in short else pytest.mark.long)
        for point, what in right.items()
    ]


@dataclass
class Letterbox:
    """The address of a mail server of another process, of which a run's own process sees no letter."""

    url: str
    letters: Sequence[object] = field(default=())


class FirstRuns:
    """Begins first attempts, each in a process of its own: copies of one that has imported the playbooks and has one thread."""

    def __init__(self) -> None:
        self._line, there = processes.Pipe()
        self._copied = processes.Process(target=_copies, args=(there,), daemon=True)
        self._copied.start()
        there.close()

    def killed(self, folder: Path, stands: Callable[[Callable[[], None]], object], begins: Sequence[object]) -> None:
        """A first attempt begins, its kill points in the folder; it is killed once `stands` returns, which calls its argument."""
        self._line.send((str(folder), begins))
        pid: int = self._line.recv()
        try:
            stands(self._still_runs)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            code = self._line.recv()
        assert code == -signal.SIGKILL

    def _still_runs(self) -> None:
        if self._line.poll():
            pytest.fail("the run has ended before it came to the point: what it printed says why")

    def end(self) -> None:
        self._line.close()
        self._copied.join(10)
        self._copied.kill()


def _copies(line: Connection) -> None:
    """In the process that is copied: a run for each message, until there is nobody who asks for more."""
    while True:
        try:
            folder, begins = line.recv()
        except (EOFError, ConnectionResetError):
            return
        if (pid := os.fork()) == 0:
            os.environ[kill_points.VARIABLE] = folder
            try:
                _first_attempt(*begins)
            except BaseException:  # the end of a process
                traceback.print_exc()
            finally:
                os._exit(1)
        line.send(pid)
        line.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@dataclass
class KilledRun:
    """One incident, whose first run dies. `prepare` is called in the run's process, with what it may patch there."""

    story: Story
    runs: FirstRuns
    prepare: Callable[[pytest.MonkeyPatch], object] | None = None

    def killed_at(self, point: str, **labels: str) -> None:
        """The alert `Ill` with these labels comes in, and the run that works on it is killed at the point."""
        held = Boundaries(self.story.folder / "boundaries")
        self._killed(held.folder, partial(held.wait, point), labels, lambda: held.arm(point))

    def killed_once(self, what: str, holds: Callable[[], object], **labels: str) -> None:
        """As `killed_at`, once it holds."""
        self._killed(self.story.folder / "boundaries", lambda tick: until(what, holds, tick=tick), labels)

    def _killed(
        self,
        folder: Path,
        stands: Callable[[Callable[[], None]], object],
        labels: dict[str, str],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        folder.mkdir()
        ready()
        try:
            self.runs.killed(folder, stands, (self.prepare, self.story.folder, self.story.postbox.url, labels))
        except pytest.fail.Exception:
            print(self._reasons())
            raise
        self.story.store.close()
        self.story.store = Store(self.story.url, now=lambda: utc_now() + LATER)
        with self.story.store.read() as tx:
            [incident] = incidents.listed(tx)
        self.story.number = incident.number
        assert (incident.state, incident.attempt) == (State.WORKING, 1), "nobody has ended it"

    def _reasons(self) -> str:
        """What the trail says, for who asks why a run ended before its time."""
        with self.story.store.read() as tx:
            return "\n".join(f"{entry.what}: {entry.reason}" for entry in stored_trail.entries(tx))

    def is_followed(self) -> Outcome:
        """The watchdog looks, and the attempt that it orders works on the incident to its end, of which a person is told."""
        story = self.story
        Attempts(story.store, story.settings, cast("PrefectStatus", _Crashed())).look()
        with story.store.record() as tx:
            assert [order.attempt for order in outbox.waiting(tx)][-1] == 2
            assert attempts.begin_attempt(tx, story.number, 2, flow_run="run-2") is None
        outcome = story.goes_on()
        ended = State.HANDED_OVER if outcome.needs_a_person else State.RESOLVED
        assert (story.incident.state, story.incident.ending) == (ended, outcome.ending)
        told = story.told().replace("\n", " ")
        assert told.startswith("ada@example.org ")
        if outcome.needs_a_person:
            assert "It is a person's because" in told
            is_open = [remedy for remedy, result in story.acts() if result is None]
            assert ("nobody knows whether it happened" in told) is bool(is_open), told
        else:
            assert f"{outcome.ending} (INC-1)" in told
        self._verifies()
        return outcome

    def _verifies(self) -> None:
        with self.story.store.read() as tx:
            found = verification.verify(
                stored_trail.entries(tx),
                lambda seq: stored_trail.content(tx, seq),
                [],
                keys.signing_key(self.story.settings).public_key(),
                tx.store,
            )
        assert found.verified, found.faults


class _Crashed:
    """What Prefect says of a run whose process is gone."""

    def is_of_another_store(self, _store: Store) -> bool:
        return False

    def state(self, _flow_run: str) -> str:
        return "CRASHED"

    def cause(self, _flow_run: str) -> str:
        return ""


def _first_attempt(
    prepare: Callable[[pytest.MonkeyPatch], object] | None, folder: Path, mail: str, labels: dict[str, str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        without_prefect(patch)
        if prepare is not None:
            prepare(patch)
        Story(folder, cast("Postbox", Letterbox(mail))).play(**labels)


@pytest.fixture(scope="module")
def first_runs() -> Iterator[FirstRuns]:
    begins = FirstRuns()
    yield begins
    begins.end()
