"""Plays one row of the kill table: hold somebody at the boundary, kill the victim, and look at what became of it."""

import contextlib
import re
import threading
import time
from typing import Any, ClassVar

import httpx
from kill.driver import Ward, gone, kill, wait_for
from kill.table import Outcome, Row

from paramedic.demo.world import text_of
from paramedic.incidents.incident import Incident, State, name
from paramedic.store import approvals, incidents, lifecycle, messages


class Restart:
    """What a row's story does beside the kill: a service that says no, and comes back well from a restart."""

    env: ClassVar[str] = "kill"
    rungs: ClassVar[int] = 1

    def __init__(self, up: Ward, row: Row) -> None:
        self.up, self.row, self.service = up, row, up.service(row.id)

    def begins(self) -> dict[str, Any]:
        """Break it; the alert that says so."""
        self.up.break_it(self.service)
        self.starts = self.service.starts
        return self.up.alert(self.service, env=self.env)

    def subject(self, alert: dict[str, Any]) -> str:
        """What the boundaries are about."""
        if self.row.point == "alert_committed":
            return str(alert["labels"]["alertname"])
        return f"{self.service.host}/{self.service.name}"

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
        wait_for("an end, or a question", self._approved_until_over, self.up.stack.tick, seconds=seconds)

    def _mail(self) -> str:
        texts: list[str] = []

        def asked() -> bool:
            found = self.up.incidents_on(self.service)
            texts[:] = [text_of(mail) for one in found for mail in self.up.mailbox.about(one.id)]
            return bool(texts)

        wait_for("the question", asked, self.up.stack.tick, seconds=120)
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

    def subject(self, alert: dict[str, Any]) -> str:
        with self.up.store.read() as tx:
            last = incidents.listed(tx, limit=1)
        return name(last[0].number + 1 if last else 1)

    def goes_on(self, *, seconds: float) -> None:
        wait_for(
            "the last rung", lambda: self._told()[-1:] == ["ben"] and self._quiet(), self.up.stack.tick, seconds=seconds
        )

    def came(self, incident: Incident) -> Outcome:
        with self.up.store.record() as tx:
            lifecycle.acknowledge(tx, incident.number, by="ben", reason="it is mine")
        return (*self._ending(incident), *self._told())

    def _told(self) -> list[str]:
        found = self.up.incidents_on(self.service)
        mails = [mail for one in found for mail in self.up.mailbox.about(one.id)]
        return [str(mail["To"]).partition("@")[0] for mail in mails if mail["X-Paramedic-Kind"] == "page"]

    def _quiet(self) -> bool:
        """Nobody has a message in hand."""
        with self.up.store.read() as tx:
            return all(one.state != "sending" for one in messages.of(tx, self.up.incidents_on(self.service)[0].number))


STORIES = {"restart": Restart, "ladder": Ladder, "asking": Asking, "telling": Telling}


def play(up: Ward, row: Row, *, seconds: float = 150) -> None:
    """One row. `seconds` is how long the incident may take to its end."""
    story = STORIES[row.story](up, row)
    alert = story.begins()
    subject = story.subject(alert)
    first, *others = (*row.via, row.point)
    up.boundaries.arm(first, subject)
    up.send_meanwhile(alert)
    story.reported()
    stands = up.stands_at(first, story.service)
    for before, point in zip((first, *others), others, strict=False):
        up.boundaries.arm(point, subject)
        up.boundaries.release(before)
        stands = up.stands_at(point, story.service)

    doomed = stands in up.engines() and row.victim in ("process", "responder", "teller")
    for pid in _victims(up, row.victim, stands):
        kill(pid)
    until = time.monotonic() + 5  # a stock worker's process may live on: then it is fenced, not dead
    while doomed and not gone(stands) and time.monotonic() < until:
        time.sleep(0.01)  # the kernel takes it a few milliseconds after its parent: it must not win them
    up.boundaries.release(row.point)
    story.goes_on(seconds=seconds)

    incident = up.ended(story.service, seconds=seconds)
    came = story.came(incident)
    assert came in row.right, f"{came}: {incident.because} (right would be {row.right}: {row.because})"
    assert up.mailbox.about(incident.id), "nobody was told"
    up.is_whole_again()
    if row.victim == "process" and up.warm:
        wait_for("the end of its runs in Prefect", lambda: _all_ended(up, incident), up.stack.tick)


def _victims(up: Ward, victim: str, stands: int) -> list[int]:
    """The processes to kill. Before a run is claimed nobody of the responder is at work: then its idle ones go."""
    if victim == "teller":
        return [stands]
    if victim != "process":
        return [up.stack.pids()[victim]]
    engines = up.engines()
    return [stands] if stands in engines else engines


def _all_ended(up: Ward, incident: Incident) -> bool:
    ends = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
    return all(run["state_type"] in ends for run in up.flow_runs(incident))
