"""Plays rows of the kill table: hold a process at each boundary, kill the victim, and check the outcome of each row."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, ClassVar

import httpx
from kill.driver import Driver, gone, kill, target_of, wait_for
from kill.table import DOORS, Outcome, Row
from sqlalchemy import update

from paramedic.demo.world import text_of
from paramedic.incidents.incident import Incident, State
from paramedic.store import approvals, lifecycle, messages
from paramedic.store.tables import messages as table


class Restart:
    """What a row's story does beside the kill: a service that says no, and comes back well from a restart."""

    env: ClassVar[str] = "kill"
    rungs: ClassVar[int] = 1

    def __init__(self, up: Driver, row: Row) -> None:
        """Its service runs by then."""
        self.up, self.row, self.service = up, row, up.service(row.id)
        self.subject = ""  # until it has set out

    def begins(self) -> dict[str, Any]:
        """Break it; the alert that says so."""
        self.up.break_it(self.service)
        self.starts = self.service.starts
        return self.up.alert(self.service, env=self.env)

    def sets_out(self) -> None:
        """The alert is on its way to the first boundary."""
        alert = self.begins()
        self.subject = self.subject_of(alert)
        self.up.boundaries.arm(self._path[0], self.subject)
        self.up.send_meanwhile(alert)
        self.reported()

    def arrives(self) -> int:
        """Somebody stands at the row's boundary; who."""
        stands = self.up.stands_at(self._path[0], self.service, self.subject)
        for before, point in pairwise(self._path):
            subject = self.subject_at(point)
            self.up.boundaries.arm(point, subject)
            self.up.boundaries.release(before, self.subject)
            self.subject = subject
            stands = self.up.stands_at(point, self.service, self.subject)
        return stands

    def release(self) -> None:
        """Nobody is held any more."""
        for point in self._path if self.subject else ():
            self.up.boundaries.release(point, self.subject)

    def ends(self, *, seconds: float) -> None:
        """Raises AssertionError unless the right thing became of it within the seconds."""
        self.goes_on(seconds=seconds)
        incident = self.up.ended(self.service, seconds=seconds)
        came, row = self.came(incident), self.row
        assert came in row.right, f"{came}: {incident.because} (right would be {row.right}: {row.because})"
        assert self.up.mailbox.about(incident.id), "nobody was told"

    def runs_ended(self) -> bool:
        """Prefect knows the end of each of its runs."""
        ends = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
        (incident,) = self.up.incidents_on(self.service)
        return all(run["state_type"] in ends for run in self.up.flow_runs(incident))

    @property
    def _path(self) -> tuple[str, ...]:
        return (*self.row.via, self.row.point)

    def subject_of(self, alert: dict[str, Any]) -> str:
        """What the first boundary is about."""
        return str(alert["labels"]["alertname"]) if self._path[0] == "alert_committed" else target_of(self.service)

    def subject_at(self, _point: str) -> str:
        """What a further boundary is about, once somebody stands at the one before."""
        return target_of(self.service)

    def reported(self) -> None:
        """The alert is on its way."""

    def goes_on(self, *, seconds: float) -> None:
        """The victim is dead, and whoever stood at the boundary was let go."""

    def came(self, incident: Incident) -> Outcome:
        """What became of it."""
        return (*self._ending(incident), self.service.starts - self.starts)

    def _ending(self, incident: Incident) -> tuple[str]:
        rungs = [act.rung for act in self.up.acts_of(incident)]
        assert len(rungs) == len(set(rungs)) <= self.rungs, f"rungs that were tried: {rungs}"
        return (str(incident.ending),)


class Ladder(Restart):
    """A release that answers nothing but errors: the restart does not help, the roll-back does."""

    env = "ladder"
    rungs = 2

    def begins(self) -> dict[str, Any]:
        self.service.deploy("v2", errors=1.0)
        self.up.world.restart(self.service)
        self.starts = self.service.starts
        return self.up.alert(self.service, env=self.env)

    def came(self, incident: Incident) -> Outcome:
        return (*super().came(incident), self.service.release)


class Asking(Restart):
    """A person is asked before the restart, and says yes: through the link, or to whatever is asked in the end."""

    env = "ask"

    def reported(self) -> None:
        if self.row.point == "approval_decided":
            threading.Thread(target=self._press, args=(self._mail(),), daemon=True).start()

    def goes_on(self, *, seconds: float) -> None:
        wait_for("an end, or a question", self._approved_until_over, self.up.tick, seconds=seconds)

    def _mail(self) -> str:
        texts: list[str] = []

        def asked() -> bool:
            found = self.up.incidents_on(self.service)
            texts[:] = [text_of(mail) for incident in found for mail in self.up.mailbox.about(incident.id)]
            return bool(texts)

        wait_for("the question", asked, self.up.tick, seconds=120)
        return texts[0].replace("\r\n", "\n")

    def _press(self, mail: str) -> None:
        link = re.search(r"^http\S+/approve/\S+$", mail, re.MULTILINE)
        code = re.search(r"code there: (\d{8})$", mail, re.MULTILINE)
        assert link is not None, mail
        assert code is not None, mail
        with contextlib.suppress(httpx.HTTPError):  # the gateway may be the one who dies
            httpx.post(link[0], data={"decision": "approve", "code": code[1]}, timeout=120, trust_env=False)

    def _approved_until_over(self) -> bool:
        incident = self.up.incidents_on(self.service)[0]
        with self.up.store.read() as tx:
            asked = approvals.asked(tx, incident.number)
        if asked is not None:
            with self.up.store.record() as tx:
                approvals.decide(tx, asked.id, granted=True, by="ada", how="command line")
        return incident.state in (State.RESOLVED, State.HANDED_OVER)


class Telling(Restart):
    """Nothing is done, so two people are told, one after the other, until one of them has it."""

    env = "climb"
    rungs = 0

    @property
    def _path(self) -> tuple[str, ...]:
        return ("claimed", *super()._path)

    def subject_at(self, _point: str) -> str:
        """A message's boundaries are about its incident."""
        (incident,) = self.up.incidents_on(self.service)
        return incident.id

    def arrives(self) -> int:
        """Who has a message in hand."""
        stands = super().arrives()
        self._held = [message.id for message in self._messages() if message.state == "sending"]
        return stands

    def goes_on(self, *, seconds: float) -> None:
        if self.row.victim == "teller":
            self._hold_lapses()
        wait_for("the last rung", lambda: self._told()[-1:] == ["ben"] and self._quiet(), self.up.tick, seconds=seconds)

    def _hold_lapses(self) -> None:
        """Half a minute after the teller's death nobody holds the message any more: here it is at once."""
        with self.up.store.write() as tx:
            tx.conn.execute(update(table).where(table.c.id.in_(self._held)).values(sending_until=tx.now))

    def came(self, incident: Incident) -> Outcome:
        with self.up.store.record() as tx:
            lifecycle.acknowledge(tx, incident.number, by="ben", reason="it is mine")
        return (*self._ending(incident), *self._told())

    def _told(self) -> list[str]:
        found = self.up.incidents_on(self.service)
        mails = [mail for incident in found for mail in self.up.mailbox.about(incident.id)]
        return [str(mail["To"]).partition("@")[0] for mail in mails if mail["X-Paramedic-Kind"] == "page"]

    def _quiet(self) -> bool:
        """Nobody has a message in hand."""
        return all(message.state != "sending" for message in self._messages())

    def _messages(self) -> list[messages.QueuedMessage]:
        with self.up.store.read() as tx:
            return messages.of(tx, self.up.incidents_on(self.service)[0].number)


STORIES = {"restart": Restart, "ladder": Ladder, "asking": Asking, "telling": Telling}


def play(
    up: Driver, rows: Sequence[Row], *, seconds: float = 150, whole_within: float = 120
) -> dict[str, Exception | None]:
    """Hold each row at its boundary, kill their one victim, release them; by row, what is wrong with it.

    `seconds` is how long their incidents may take to their ends, `whole_within` how long whoever died may take to come back.
    """
    up.services(row.id for row in rows)
    stories = [STORIES[row.story](up, row) for row in rows]
    wrong: dict[str, Exception | None] = {row.id: None for row in rows}
    try:
        stand = _hold(stories)
        _kill(up, rows[0].victim, stand)
    except AssertionError as error:
        _release(stories)
        return dict.fromkeys(wrong, error)
    _release(stories)
    until = time.monotonic() + seconds
    for story in stories:
        with _judged(wrong, story.row):
            story.ends(seconds=max(1.0, until - time.monotonic()))
    if all(wrong.values()):
        return wrong
    try:
        up.is_whole_again(seconds=whole_within)
    except AssertionError as error:
        return {row.id: wrong[row.id] or error for row in rows}
    if rows[0].victim == "process" and up.warm:
        until = time.monotonic() + 30
        for story in stories:
            with _judged(wrong, story.row):
                left = max(1.0, until - time.monotonic())
                wait_for("the end of its runs in Prefect", story.runs_ended, up.tick, seconds=left)
    return wrong


@contextlib.contextmanager
def _judged(wrong: dict[str, Exception | None], row: Row) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        wrong[row.id] = wrong[row.id] or error


def _hold(stories: Sequence[Restart]) -> list[int]:
    """Wait until a process stands at each row's boundary; their pids. Rows at DOORS start last, one after the other."""
    stand = []
    for closes, together in groupby(stories, key=lambda story: story.row.point in DOORS):
        for alike in [[story] for story in together] if closes else [list(together)]:
            for story in alike:
                story.sets_out()
            stand += [story.arrives() for story in alike]
    return stand


def _kill(up: Driver, victim: str, stand: Sequence[int]) -> None:
    engines = up.engines()
    doomed = [pid for pid in stand if pid in engines and victim in ("process", "responder", "teller")]
    for pid in _victims(up, victim, stand, engines):
        kill(pid)
    until = time.monotonic() + 5  # a stock worker's process may live on: then it is fenced, not dead
    while not all(map(gone, doomed)) and time.monotonic() < until:
        time.sleep(0.01)  # the kernel takes it a few milliseconds after its parent: it must not win them


def _release(stories: Sequence[Restart]) -> None:
    for story in stories:
        story.release()


def _victims(up: Driver, victim: str, stand: Sequence[int], engines: Sequence[int]) -> list[int]:
    """The processes to kill. Before a run is claimed nobody of the responder is at work: then its idle ones go."""
    if victim == "teller":
        return list(stand)
    if victim != "process":
        return [up.stack.pids()[victim]]
    return list(stand if set(stand) <= set(engines) else engines)
