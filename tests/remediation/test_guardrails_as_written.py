"""Each guardrail that lint calls well judges by the value that its author wrote: to its last count, and to the millisecond."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import migrated
from forms import examples
from hypothesis import HealthCheck, given, settings
from recorded_machine import Clock
from sqlalchemy import insert
from well_cases import guarded_folders
from well_files import HOUR, MS, At, Folder, Said, linted, meanings

from paramedic.alerts.alert import Severity
from paramedic.catalog.library import Library
from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import State
from paramedic.remediation import guardrail_rules
from paramedic.remediation.breaker import BREAKER, FLEET, Changed, Unhelpful
from paramedic.remediation.guardrail import Busy, Case, Earlier, Granted, Holding
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.target import Identity
from paramedic.remediation.touched import Touched
from paramedic.store import Store, intents
from paramedic.store.tables import acts, incidents


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store_of_acts(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(migrated(tmp_path / "acts.db"), now=clock.now)
    yield store
    store.close()


@settings(max_examples=examples(25), derandomize=True, suppress_health_check=list(HealthCheck))
@given(folder=guarded_folders())
def test_each_guardrail_judges_by_what_was_written(
    folder: Folder, store_of_acts: Store, clock: Clock, tmp_path: Path
) -> None:
    library = linted(folder.write(tmp_path))
    [runbook] = library.runbooks.values()
    asked = folder.runbook["guardrails"]
    seen: dict[At, Any] = {}
    for key, judge in JUDGES.items():
        if key in asked:
            with store_of_acts.write() as tx:
                tx.conn.execute(acts.delete())
                tx.conn.execute(incidents.delete())
            clock.time = Clock().time
            judge(Judged(library, runbook, asked, key, store_of_acts, clock), asked[key])
            seen |= meanings({key: asked[key]})
    assert seen == meanings(asked)
    assert set(runbook.guardrails.asked) == set(asked) | {"again", "approval"}


class Judged:
    """One guardrail of the runbook by itself, and what was changed before."""

    def __init__(
        self, library: Library, runbook: Runbook, asked: dict[str, Any], key: str, store: Store, clock: Clock
    ) -> None:
        self.library, self.runbook, self.asked, self.store, self.clock = library, runbook, asked, store, clock
        self.limits = Guardrails("act", {key: runbook.guardrails.asked[key]})
        self.target, *self.others = library.services
        self._number = 0

    def acted(self, target: str, *, result: str | None = "cured") -> None:
        """A change of this target, now; it is one that helped, which no breaker counts."""
        self._number += 1
        with self.store.write() as tx:
            about = {
                "service": self.runbook.service,
                "target": f"{target}-{self._number}",
                "title": "Down",
                "severity": "critical",
            }
            state = {"state": State.HANDED_OVER, "attempt": 1, "policy": "default", "opened_at": tx.now}
            number = tx.conn.execute(insert(incidents).values(about | state).returning(incidents.c.number)).scalar_one()
            change = {"incident": number, "attempt": 1, "rung": 1, "target": target, "remedy": "restart", "token": 1}
            how = {"holder": "run:1", "identity": {}, "written_at": tx.now, "deadline_at": tx.now, "result": result}
            tx.conn.execute(insert(acts).values(change | how))

    def refuses(self, guardrail: str) -> bool:
        """Whether this guardrail would refuse a change of the target now; no other does."""
        with self.store.read() as tx:
            refusal = intents.foreseen(
                tx,
                service=self.runbook.service,
                target=self.target.id,
                runbook=self.runbook.name,
                severity=Severity.CRITICAL,
                remedy="restart",
                limits=self.limits,
                touched=(Touched(self.runbook.service, (self.target.id,), {other.id: () for other in self.others}),),
            )
        assert refusal is None or refusal.guardrail == guardrail
        return refusal is not None

    def refuses_until(self, guardrail: str, span: timedelta) -> bool:
        """Whether it refuses just before this time is over, and no more then."""
        begun = self.clock.time
        found = []
        for at in (max(timedelta(0), span - MS), span):
            self.clock.time = begun + at
            found.append(self.refuses(guardrail))
        self.clock.time = begun
        return found == [bool(span), False]


def cooldown(judged: Judged, said: Said) -> None:
    for other in judged.others:
        judged.acted(other.id)
    assert not judged.refuses("cooldown")
    judged.acted(judged.target.id)
    assert judged.refuses_until("cooldown", said.means)


def budget(judged: Judged, said: Said, *, name: str = "budget", of_the_service: bool = False) -> None:
    count, per = said.means
    targets = [one.id for one in [*judged.others, judged.target]] if of_the_service else [judged.target.id]
    for number in range(count):
        assert not judged.refuses(name)
        judged.acted(targets[number % len(targets)])
    assert judged.refuses_until(name, per)


def service_budget(judged: Judged, said: Said) -> None:
    budget(judged, said, name="service budget", of_the_service=True)


def at_once(judged: Judged, said: Said) -> None:
    count, of = said.means
    for number, other in enumerate(judged.others):
        assert judged.refuses("at once") is (number >= count)
        judged.acted(other.id, result=None)
    assert judged.refuses("at once") is (of - 1 >= count)
    case = Case(judged.clock.time, "INC-1", judged.runbook.service, judged.target.id, Severity.CRITICAL, Identity("up"))
    words = guardrail_rules.agreed(case, _nothing_amiss(judged) | {"at once": Busy()}, judged.limits)
    assert f"at once: {count} of {of} targets at once, 0 others are being changed" in words


def keep_healthy(judged: Judged, said: Said) -> None:
    """What has a change that is not verified does not count as healthy."""
    for missing, other in enumerate(judged.others):
        assert judged.refuses("quorum") is (len(judged.others) - missing < said.means)
        judged.acted(other.id, result=None)
    assert judged.refuses("quorum")


def freeze(judged: Judged, said: Said) -> None:
    for at, is_within in _ends(said):
        judged.clock.time = at
        assert judged.refuses("freeze") is is_within


def hours(judged: Judged, said: Said) -> None:
    for at, is_within in _ends(said):
        judged.clock.time = at
        assert judged.refuses("hours") is not is_within


def _ends(said: Said) -> Iterator[tuple[datetime, bool]]:
    """The moments just before and at both ends of each stretch, and whether they are within it."""
    for begins, ends in said.means:
        yield from ((begins - MS, False), (begins, True), (ends - MS, True), (ends, False))


def again(judged: Judged, allowed: bool) -> None:
    earlier = Earlier("restart", judged.clock.time, "cured")
    for remedy in judged.runbook.remedies:
        refusal = _judge(
            judged, judged.runbook.guardrails.of(remedy), Severity.WARNING, {"again": earlier}, but="approval"
        )
        assert refusal == (None if allowed else "again")
    assert judged.runbook.guardrails.allows_again is allowed


def approval(judged: Judged, asked: str | dict[str, str]) -> None:
    for remedy in judged.runbook.remedies:
        word = "rollback-if-deployed-within" if remedy.deployed_within else remedy.name
        when = asked if isinstance(asked, str) else asked.get(word)
        least = "warning" if judged.runbook.mode == "ask" else None if when == "out-of-hours" else when
        for at, is_within in _ends(judged.asked["hours"]) if "hours" in judged.asked else [(judged.clock.time, True)]:
            judged.clock.time = at
            for severity in Severity:
                refusal = _judge(
                    judged, judged.runbook.guardrails.of(remedy), severity, {"approval": None}, but="again"
                )
                if not is_within and when != "out-of-hours":
                    assert refusal == "hours"
                else:
                    assert refusal == ("approval" if not is_within or _is_from(severity, least) else None)
        assert judged.runbook.asks_from(remedy) == (None if least is None else Severity(least))


def _is_from(severity: Severity, least: str | None) -> bool:
    ranks = list(Severity)
    return least is not None and ranks.index(severity) >= ranks.index(Severity(least))


def _judge(judged: Judged, guardrails: Guardrails, severity: Severity, more: dict[str, Any], *, but: str) -> str | None:
    """The guardrail that refuses a change of this severity, all else being as it must be; `but` is not asked."""
    now = judged.clock.time
    case = Case(now, "INC-1", judged.runbook.service, judged.target.id, severity, Identity("up"))
    seen = _nothing_amiss(judged) | more
    kept = {"again"} if but == "approval" else {"approval", "hours"}
    asked = {key: value for key, value in guardrails.asked.items() if key in kept}
    mode = "act" if but == "approval" else guardrails.mode
    refusal = guardrail_rules.judge(case, seen, replace(guardrails, asked=asked, mode=mode))
    return None if refusal is None else refusal.guardrail


def _nothing_amiss(judged: Judged) -> dict[str, Any]:
    """What the guardrails that are always asked have seen, where none of them refuses."""
    return {
        "incident": State.WORKING,
        "claim": Holding(1, 1, is_ours=True, lease_until=judged.clock.time + HOUR),
        "grant": Granted("open"),
        "kill switch": (),
        "parts": (),
        FLEET: Changed(0, is_among=False),
        BREAKER: Unhelpful(judged.target.id, "restart", ()),
    }


JUDGES: dict[str, Callable[[Judged, Any], None]] = {
    "hours": hours,
    "freeze": freeze,
    "cooldown": cooldown,
    "budget": budget,
    "service_budget": service_budget,
    "keep_healthy": keep_healthy,
    "at_once": at_once,
    "again": again,
    "approval": approval,
}


def test_every_guardrail_that_an_author_can_ask_for_is_tried() -> None:
    assert set(JUDGES) == set(guardrail_rules.keys())
