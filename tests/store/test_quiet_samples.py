"""Many samples in one transaction leave what each by itself would have left, and only those that change nothing go together."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock
from fake_service import target
from sqlalchemy import select
from store_states import opened, recorded

from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, checks, lifecycle, mass_failure, quiet_samples
from paramedic.store.tables import check_samples, check_states, inbox, messages
from paramedic.store.tables import incidents as incidents_table

SPEC = check_spec(CheckSpec)

#: The samples that come together, and on which target an incident ends after them.
Step = tuple[list[tuple[CheckAtTarget, Any]], str | None]
WELL, SLOW, ERROR, UNSEEN = (
    {"latency": 0.1, "error": 0.0},
    {"latency": 0.9, "error": 0.0},
    {"latency": 0.1, "error": 1.0},
    None,
)


def placed(host: str, **words: Any) -> CheckAtTarget:
    given = {
        "check": "http://{host}/health",
        "error_rate": {"critical": "30%", "for": "30s"},
        "latency_p90": {"warning": "500ms"},
    }
    made = SPEC(**(given | {"window": "4m"} | words)).build()
    return CheckAtTarget("tracking-api-slow", made, target(host=host))


FLEET = [placed(f"web-{number}") for number in range(5)] + [placed("web-1", name="own", window="3m")]


def by_itself(store: Store, at: CheckAtTarget, sample: Sample) -> None:
    """As a round does where samples come one by one."""
    with store.write() as tx:
        if checks.record_without_trail(tx, at, sample, blind=False) is not None:
            return
    with store.record() as tx:
        checks.record(tx, at, sample, blind=False, mass_limit=99)


def together(store: Store, some: Sequence[tuple[CheckAtTarget, Sample]]) -> int:
    """As a round does with several; how many of them went together."""
    with store.write() as tx:
        told = quiet_samples.record_quiet(tx, some)
    for (at, sample), showed in zip(some, told, strict=True):
        if showed is None:
            by_itself(store, at, sample)
    return sum(showed is not None for showed in told)


def left(store: Store) -> dict[str, list[str]]:
    """What the tables hold, without the rows' numbers and random ids, and what was said."""
    without = ("id", "position", "receipt", "incident")
    with store.read() as tx:
        return {
            table.name: sorted(
                str({key: value for key, value in row._mapping.items() if key not in without})
                for row in tx.conn.execute(select(table))
            )
            for table in (check_states, check_samples, inbox, messages)
        }


def drawn(draw: random.Random) -> list[Step]:
    """Half an hour; what a check sees lasts for a while."""
    values: dict[str, Any] = {at.name + at.target.id: WELL for at in FLEET}
    script: list[Step] = []
    for number in range(120):
        some = draw.sample(FLEET, draw.randint(1, 6))
        for at in some:
            if draw.random() < 0.06:
                values[at.name + at.target.id] = draw.choice([WELL, WELL, WELL, SLOW, ERROR, UNSEEN])
        resolved = draw.choice(FLEET).target.id if number % 8 == 7 else None
        script.append(([(at, values[at.name + at.target.id]) for at in some], resolved))
    return script


@pytest.mark.parametrize("seed", range(3))
def test_together_they_leave_what_each_by_itself_leaves(timed: Store, clock: Clock, seed: int) -> None:
    script = drawn(random.Random(seed))
    quiet = played(timed, clock, script, group=True)
    found, said = left(timed), recorded(timed)
    assert quiet > 100, "nearly all samples of a fleet go together"
    assert found["inbox"]
    with timed.record() as tx:
        for table in (check_states, check_samples, inbox, messages):
            tx.conn.execute(table.delete())
        tx.conn.execute(incidents_table.update().values(target="another"))
    clock.advance(-len(script) * timedelta(seconds=15))
    played(timed, clock, script, group=False)
    assert left(timed) == found
    assert recorded(timed) == said * 2


def played(store: Store, clock: Clock, script: Sequence[Step], *, group: bool) -> int:
    quiet = 0
    for some, resolved in script:
        clock.advance(timedelta(seconds=15))
        seen = [(at, Sample(clock.now(), values, "as drawn")) for at, values in some]
        if group:
            quiet += together(store, seen)
        else:
            for at, sample in seen:
                by_itself(store, at, sample)
        if resolved is not None:
            with store.record() as tx:
                lifecycle.resolve(
                    tx, opened(tx, target=resolved), Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada"
                )
                tx.conn.execute(messages.delete())
    return quiet


def sampled(at: CheckAtTarget, clock: Clock, values: Any = WELL) -> tuple[CheckAtTarget, Sample]:
    return at, Sample(clock.now(), values, "")


def test_a_first_sample_and_the_second_of_one_check_are_recorded_by_themselves(timed: Store, clock: Clock) -> None:
    one, other = FLEET[0], FLEET[1]
    assert together(timed, [sampled(one, clock), sampled(other, clock)]) == 0
    assert together(timed, [sampled(one, clock), sampled(one, clock), sampled(other, clock)]) == 2


def test_in_a_mass_failure_each_is_recorded_by_itself(timed: Store, clock: Clock) -> None:
    for at in FLEET:
        by_itself(timed, *sampled(at, clock))
    with timed.record() as tx:
        mass_failure.judge(tx, blind=True, limit=1)
    clock.advance(timedelta(seconds=15))
    with timed.write() as tx:
        assert quiet_samples.record_quiet(tx, [sampled(at, clock) for at in FLEET]) == [None] * 6


def test_no_more_samples_are_kept_than_are_read(timed: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "KEEP", 20)
    some = FLEET[:2]
    for _ in range(quiet_samples._TRIM_EVERY + 25):
        clock.advance(timedelta(seconds=15))
        together(timed, [sampled(at, clock) for at in some])
    kept = len(left(timed)["check_samples"])
    assert 40 <= kept < 2 * (quiet_samples._TRIM_EVERY + 20)
