"""Each guardrail that does not agree stops the change before it is sent, with its name on the trail."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update
from store_states import ALIVE, TARGET, alert, claimed, intended, opened

from paramedic.change import members
from paramedic.doors import reading
from paramedic.errors import Refused
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.target import Identity, Target
from paramedic.store import Store, Tx, acts, attempts, claims, kill_switch, lifecycle, maintenance, storms, trail
from paramedic.store.tables import grants

OTHER = "web-2/tracking-api"


def _acted(store: Store, target: str, *, result: str, count: int = 1, ended: bool = True) -> None:
    """An incident of before: so many acts, what became of each, and whether it has ended."""
    with store.record() as tx:
        number = opened(tx, target=target, rungs=count)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-0") is None
        claim = claimed(tx, number, run="run-0")
        for rung in range(1, count + 1):
            acts.close(tx, intended(tx, claim, rung=rung), result=result, why="as the test says", actor=claim.holder)
        claims.release(tx, claim)
        if ended:
            lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "well"), actor=claim.holder)


def _paused(case: Any, tx: Tx) -> None:
    kill_switch.pause(tx, by="ada", reason="we look ourselves")


def _in_maintenance(case: Any, tx: Tx) -> None:
    ends_at = tx.now + timedelta(hours=1)
    maintenance.add(tx, service="tracking", target=None, starts_at=tx.now, ends_at=ends_at, by="ada", reason="a disk")


def _acknowledged(case: Any, tx: Tx) -> None:
    lifecycle.acknowledge(tx, case.run.incident.number, by="ada", reason="by the link")


def _handed_over(case: Any, tx: Tx) -> None:
    lifecycle.hand_over(tx, case.run.incident.number, Outcome(Ending.HANDED_OVER, "silent"), actor="watchdog")


def _given_up(case: Any, tx: Tx) -> None:
    assert attempts.raise_attempt(tx, case.run.incident.number, after=1, rungs=1, reason="silent")
    assert attempts.begin_attempt(tx, case.run.incident.number, 2, flow_run="run-2") is None


def _lapsed(case: Any, tx: Tx) -> None:
    case.clock.advance(case.settings.lease)


def _taken_over(case: Any, tx: Tx) -> None:
    claims.release(tx, case.run.keeper.claim)
    claimed(tx, case.run.incident.number, run="run-2")


def _open_act(case: Any, tx: Tx) -> None:
    intended(tx, case.run.keeper.claim)


def _spent(case: Any, tx: Tx) -> None:
    acts.close(tx, intended(tx, case.run.keeper.claim), result="not_sent", why="nothing was sent", actor="a")


def _cured_before(case: Any, tx: Tx) -> None:
    """An attempt that was raised by a word of the runbook that it has no more."""
    acts.close(tx, intended(tx, case.run.keeper.claim), result="cured", why="well", actor="a")
    tx.conn.execute(update(grants).values(state="open"))


def _withdrawn(case: Any, tx: Tx) -> None:
    (case.settings.runbooks / "tracking-api-memory.md").unlink()


def _needs_what_is_down(case: Any, tx: Tx) -> None:
    path = case.settings.runbooks / "services.yaml"
    text = path.read_text().replace("  tracking:\n", "  tracking:\n    depends_on: [db]\n")
    path.write_text(f"{text}  db:\n    targets: [{{host: db-1, systemd: db.service}}]\n")
    about = {"service": "db", "target": "db-1/db.service", "policy": "default", "reason": "new"}
    lifecycle.open_incident(tx, alert(), plan=None, **about)


def _acted_on(store: Store) -> None:
    _acted(store, TARGET, result="cured")


def _acted_on_often(store: Store) -> None:
    _acted(store, TARGET, result="cured", count=3)


def _service_acted_on_often(store: Store) -> None:
    _acted(store, OTHER, result="cured", count=5)


def _others_unverified(store: Store) -> None:
    for target in (OTHER, "web-3/tracking-api"):
        _acted(store, target, result="done", ended=False)


def _not_helped_often(store: Store) -> None:
    for _ in range(3):
        _acted(store, TARGET, result="failed")


def _fleet_acted_on(store: Store) -> None:
    for number in range(5, 10):
        _acted(store, f"web-{number}/tracking-api", result="cured")


def _storm_over(store: Store) -> None:
    with store.record() as tx:
        storms.over(tx, "7 checks were broken at once")


def _nothing(*_: object) -> None:
    """Something else stops it."""


Before = Callable[[Store], None]
Trouble = Callable[[Any, Tx], None]
Edit = tuple[str, str]
NO_COOLDOWN: Edit = ("cooldown: 10m, ", "")

#: What the author asks as well; the clock shows a Saturday.
FREEZE: Edit = ("cooldown: 10m, ", 'freeze: "Sat, Sun UTC", cooldown: 10m, ')
HOURS: Edit = ("cooldown: 10m, ", "hours: Mon-Fri 08:00 to 18:00 UTC, cooldown: 10m, ")
QUORUM: Edit = ("cooldown: 10m, ", "keep_healthy: 3 of 4, cooldown: 10m, ")

#: The guardrail, what happened before the incident, what happens while it has it, what its runbook says.
REFUSED: dict[str, tuple[str, Before, Trouble, tuple[Edit, ...], str]] = {
    "paused": ("kill switch", _nothing, _paused, (), "acting is paused: everything, by ada"),
    "maintenance": ("maintenance", _nothing, _in_maintenance, (), "a disk"),
    "dependency": ("dependency", _nothing, _needs_what_is_down, (), "db is down (INC-2, since"),
    "acknowledged": ("incident", _nothing, _acknowledged, (), "is acknowledged, not ours to act on"),
    "handed over": ("incident", _nothing, _handed_over, (), "is handed_over, not ours to act on"),
    "given up": ("claim", _nothing, _given_up, (), "attempt 1 was given up; attempt 2 has the incident"),
    "lapsed": ("claim", _nothing, _lapsed, (), "lease has run out"),
    "taken over": ("claim", _nothing, _taken_over, (), "lost or taken over"),
    "open act": ("open act", _nothing, _open_act, (), "has no outcome yet"),
    "spent": ("grant", _nothing, _spent, (), "the one permission for this change is spent"),
    "withdrawn": ("runbook", _nothing, _withdrawn, (), "the runbook was withdrawn"),
    "observes": ("mode", _nothing, _nothing, (("mode: act", "mode: observe"),), "the runbook's mode is observe"),
    "again": ("again", _nothing, _cured_before, (), "restarted 0s ago, it did not last: a second restart is a person's"),
    "fleet": ("fleet", _fleet_acted_on, _nothing, (), "5 of 4 targets were changed within 1h, and 5 may be"),
    "breaker": ("breaker", _not_helped_often, _nothing, (), f"restart did not help {TARGET} 3 times"),
    "storm rest": ("storm rest", _storm_over, _nothing, (), "a mass failure (7 checks were broken at once) was over"),
    "freeze": ("freeze", _nothing, _nothing, (FREEZE,), "nothing is changed within Sat, Sun UTC"),
    "hours": ("hours", _nothing, _nothing, (HOURS,), "it acts only within Mon-Fri 08:00 to 18:00 UTC"),
    "quorum": ("quorum", _others_unverified, _nothing, (QUORUM,), "1 of service tracking's 4 targets are seen healthy"),
    "cooldown": ("cooldown", _acted_on, _nothing, (), "the cooldown is 10m"),
    "budget": ("budget", _acted_on_often, _nothing, (NO_COOLDOWN,), f"3 of 3 acts on {TARGET} within 1h"),
    "service budget": ("service budget", _service_acted_on_often, _nothing, (), "5 of 5 acts on service tracking within 1h"),
    "at once": ("at once", _others_unverified, _nothing, (), "2 of service tracking's 4 targets have a change"),
    "nobody was asked": ("approval", _nothing, _nothing, (("mode: act", "mode: ask"),), "approval"),
}  # fmt: skip


@pytest.mark.parametrize("how", REFUSED)
def test_a_guardrail_that_does_not_agree_stops_the_change_before_it_is_sent(begin: Any, timed: Store, how: str) -> None:
    guardrail, before, meanwhile, edits, words = REFUSED[how]
    before(timed)
    case = begin(*edits)

    def happens() -> None:
        with case.store.record() as tx:
            meanwhile(case, tx)

    with pytest.raises(Refused) as no:
        case.change(happens)
    assert words in no.value.reason
    assert no.value.reason.startswith(f"restart of {TARGET}: ")
    assert no.value.reason.endswith(f"({guardrail})")
    assert no.value.by_hand
    assert case.touch.asked == []
    with case.store.read() as tx:
        entry = next(entry for entry in trail.entries(tx) if entry.what == "restart.refused")
        mine = [act for act in acts.of(tx, case.run.incident.number) if act.holder == case.run.holder]
    assert (entry.phase, entry.incident, entry.data["guardrail"]) == ("decision", case.run.incident.id, guardrail)
    assert entry.reason in no.value.reason
    assert len(mine) == (1 if how in ("open act", "spent", "again") else 0), "an act of before, and no other"


def test_each_guardrail_of_the_page_is_seen_refusing() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guardrails.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert listed == {guardrail for guardrail, *_ in REFUSED.values()} | {"parts"}  # test_whole_and_parts_at_the_change


def test_where_the_runbook_says_less_now_than_then_the_stricter_one_counts(begin: Any, timed: Store) -> None:
    _acted_on(timed)
    case = begin()
    file = case.settings.runbooks / "tracking-api-memory.md"
    case.clock.advance(timedelta(minutes=20))

    def stricter() -> None:
        file.write_text(file.read_text().replace("cooldown: 10m", "cooldown: 30m"))

    with pytest.raises(Refused, match=r"by the runbook as it is now, not as it was: .*cooldown is 30m"):
        case.change(stricter)
    assert case.touch.asked == []


def test_the_numbers_that_let_it_pass_are_on_the_trail(begin: Any) -> None:
    case = begin()
    case.change()
    with case.store.read() as tx:
        entry = next(entry for entry in trail.entries(tx) if entry.what == "restart")
    assert entry.data["guardrails"][-5:] == [
        "cooldown: 10m, no act before",
        "budget: 0 of 3 within 1h",
        "service budget: 0 of 5 within 1h",
        "at once: 2 of 4 targets at once, 0 others are being changed",
        "parts: none",
    ]


@dataclass
class Owner:
    """What owns another target: what it says of it, or how it fails."""

    says: Identity | Exception

    def identity(self) -> Identity:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


DEAD = process_identity(None, None, "EXITED")


def test_the_other_targets_are_looked_at_just_before_the_change_and_those_that_are_down_are_named(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = begin(QUORUM)
    looked: list[str] = []

    def reader(target: Target) -> Any:
        looked.append(target.id)
        return Owner(DEAD) if target.id == OTHER else case.owner

    monkeypatch.setattr(reading, "reader", reader)
    with pytest.raises(
        Refused, match=f"2 of service tracking's 4 targets .*{OTHER} fails: its supervisord says EXITED"
    ):
        case.change()
    assert set(looked) == {f"web-{number}/tracking-api" for number in range(1, 5)}
    assert case.touch.asked == []


def test_one_that_hangs_is_not_healthy_and_delays_no_longer_than_the_look_may_take(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = begin(QUORUM)
    hangs = threading.Event()

    def hang() -> Identity:
        hangs.wait(60)
        return ALIVE

    hanging = SimpleNamespace(identity=hang)
    monkeypatch.setattr(reading, "reader", lambda target: hanging if target.id == OTHER else case.owner)
    monkeypatch.setattr(members, "PATIENCE", timedelta(milliseconds=50))
    try:
        with pytest.raises(Refused, match=f"{OTHER} cannot be seen: it did not answer in time"):
            case.change()
    finally:
        hangs.set()


def test_a_plug_in_that_fails_while_it_looks_at_another_target_makes_that_one_unknown(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = begin(QUORUM)
    broken = Owner(ZeroDivisionError("a bug"))
    monkeypatch.setattr(reading, "reader", lambda target: broken if target.id == OTHER else case.owner)
    with pytest.raises(Refused, match=f"{OTHER} cannot be seen: ZeroDivisionError: a bug"):
        case.change()


def test_with_enough_healthy_it_acts_and_says_how_many(begin: Any) -> None:
    case = begin(QUORUM)
    case.change()
    with case.store.read() as tx:
        entry = next(one for one in trail.entries(tx) if one.what == "restart")
    assert "quorum: 3 of 4 healthy beside it, and 3 must be" in entry.data["guardrails"]


def test_the_limits_of_the_breaker_are_those_of_the_settings(begin: Any, timed: Store) -> None:
    _acted(timed, TARGET, result="failed")
    case = begin(NO_COOLDOWN, breaker_failures=1)
    with pytest.raises(Refused, match=r"restart did not help .* 1 times .*\(breaker\)"):
        case.change()
