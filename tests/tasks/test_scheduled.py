"""A scheduled flow: one round at a time, none of it late, and a named end for each."""

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import migrated
from fake_service import Service, service
from prefect.types import DateTime

from flows.health_check import health_check
from paramedic.checks.threshold import Level
from paramedic.machine.clock import boottime, utc_now
from paramedic.sampling import sampler
from paramedic.settings import Settings
from paramedic.store import Store, check_states, checks, inbox, leases, mass_failure
from paramedic.store.wakeups import TRIAGE, subscribe
from tasks import check, run_cache
from tasks import scheduled as module
from tasks.scheduled import Period, Round, scheduled

__all__ = ["service"]

ROOT = Path(__file__).parents[2]

RUNBOOK = """\
---
runbook: tracking-api-hangs
service: tracking-api
when:
  - check: health
    error_rate: {critical: 3%, for: 0s}
    every: 100ms
    timeout: 90ms
playbook: restart-service
with:
  target: {supervisord: tracking-api, host: "{instance}"}
  verify: {health: ok, stable: 1m, within: 5m}
---
**Meaning.** **Impact.**
## Impact
## Diagnosis
## Mitigation
"""


@pytest.fixture
def settings(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> Settings:
    books = tmp_path / "runbooks"
    books.mkdir()
    (books / "oncall.yaml").write_text((ROOT / "runbooks" / "oncall.yaml").read_text())
    (books / "services.yaml").write_text(
        "services: {tracking-api: {targets: [{host: web-1, health: '"
        + service.url
        + "', supervisord: {program: tracking-api, address: 'unix:///nowhere'}}]}}"
    )
    (books / "tracking-api-hangs.md").write_text(RUNBOOK)
    made = Settings(data=tmp_path, runbooks=books, lease=timedelta(seconds=5), renew=timedelta(seconds=1))
    migrated(made.data / "paramedic.db")
    monkeypatch.setattr(run_cache, "current_settings", lambda: made)
    return made


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(settings.store())
    yield opened
    opened.close()


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What Prefect says of the run."""
    run = SimpleNamespace(id="run-1", scheduled_start_time=None, state=None)
    monkeypatch.setattr(module, "flow_run", run)
    monkeypatch.setattr(module, "own_state", lambda _: run.state)
    return run


Run = Callable[..., Any]


@pytest.fixture
def run(settings: Settings, prefect: SimpleNamespace) -> Run:
    def ran(story: Callable[[Round], str], every: int = 60, group: str = "default") -> Any:
        return scheduled(story).fn(Period(group=group, every=every))

    return ran


def a_story(this: Round) -> str:
    return f"group {this.group}"


def test_a_round_says_what_it_did(run: Run) -> None:
    state = run(a_story)
    assert (state.type.value, state.name, state.message) == ("COMPLETED", "Done", "group default")


def test_its_form_in_prefect_has_the_group_and_the_period_and_refuses_a_typo() -> None:
    flow = scheduled(a_story)
    assert flow.name == "a-story"
    assert list(flow.parameters.properties) == ["run"]
    with pytest.raises(ValueError, match="Extra inputs"):
        Period.model_validate({"grup": "default"})


def test_a_round_that_comes_a_whole_period_late_does_nothing_where_another_has_its_time(
    run: Run, prefect: SimpleNamespace, store: Store
) -> None:
    prefect.scheduled_start_time = DateTime.instance(utc_now() - timedelta(seconds=60))
    with store.write() as tx:
        assert leases.take(tx, "lambda-fails/default", holder="run:other", lease=timedelta(minutes=5))
    state = run(lambda_fails)
    assert (state.type.value, state.name) == ("COMPLETED", "Skipped")
    assert "the next has been due since" in state.message


@pytest.mark.parametrize(("late", "has"), [(0, 60), (40, 30), (20, 40), (60, 60), (75, 45), (119, 30), (700, 30)])
def test_where_every_round_comes_late_one_is_at_work_nevertheless_and_has_time_to_sample(
    run: Run, prefect: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, late: int, has: float
) -> None:
    """It ends when the next is due, as one that comes in time does, or after half a period."""
    now, steady = utc_now(), boottime()
    monkeypatch.setattr(module, "utc_now", lambda: now)
    monkeypatch.setattr(module, "boottime", lambda: steady)
    prefect.scheduled_start_time = DateTime.instance(now - timedelta(seconds=late))  # as Prefect has it
    ends: list[float] = []

    def story(this: Round) -> str:
        ends.append(this.ends_at - steady)
        return ""

    assert run(story).name == "Done"
    assert ends == pytest.approx([has])


def lambda_fails(_: Round) -> str:
    raise AssertionError("it was not to run")


def test_a_round_waits_for_the_one_before_it_and_two_groups_for_nobody(run: Run, store: Store) -> None:
    lease = timedelta(minutes=5)
    with store.write() as tx:
        assert leases.take(tx, "lambda-fails/default", holder="run:other", lease=lease)
        assert leases.take(tx, "a-story/default", holder="run:other", lease=lease)
    state = run(lambda_fails, every=1)
    assert (state.name, "another run had lambda-fails/default" in state.message) == ("Skipped", True)
    assert run(a_story, group="other").name == "Done"

    def give_back() -> None:
        with store.write() as tx:
            leases.release(tx, "a-story/default", holder="run:other")

    threading.Timer(0.2, give_back).start()
    assert run(a_story).name == "Done"


def test_the_round_is_given_back_whatever_happens_in_it(run: Run, store: Store) -> None:
    def broken(_: Round) -> str:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(broken)
    with store.write() as tx:
        assert leases.take(tx, "broken/default", holder="run:other", lease=timedelta(seconds=1))


def test_a_round_that_another_run_took_over_writes_nothing_more(run: Run, store: Store) -> None:
    def slow(this: Round) -> str:
        with store.write() as tx:
            leases.release(tx, this.lease, holder=this.holder)
            leases.take(tx, this.lease, holder="run:other", lease=timedelta(minutes=1))
        with this.store.record() as tx:
            this.still_ours(tx)
        raise AssertionError("it was not told")

    assert run(slow).name == "GivenUp"
    with store.read() as tx:
        assert leases.held(tx, "slow/default", holder="run:other"), "theirs stays theirs"


def test_after_a_round_that_was_killed_the_next_one_says_so(
    run: Run, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store.write() as tx:
        assert leases.take(tx, "a-story/default", holder="run:0f3f1c52", lease=timedelta(seconds=-1))
    with caplog.at_level(logging.INFO):
        assert run(a_story).name == "Done"
        assert "the round before this one (flow run 0f3f1c52) was killed or stood still" in caplog.text
        caplog.clear()
        assert run(a_story).name == "Done"
    assert "the round before" not in caplog.text, "one that ended gave its lease back"


def test_its_lease_is_renewed_while_it_works(run: Run, store: Store, settings: Settings) -> None:
    def long(this: Round) -> str:
        with store.read() as tx:
            first = tx.conn.execute(leases.leases.select()).one().until
        until = boottime() + 60
        while boottime() < until:
            with store.read() as tx:
                if tx.conn.execute(leases.leases.select()).one().until > first:
                    return "renewed"
            threading.Event().wait(0.1)
        return "never"

    assert run(long).message == "renewed"


def test_an_operators_cancel_ends_it(run: Run, prefect: SimpleNamespace) -> None:
    prefect.state = "CANCELLING"
    assert run(lambda_fails).type.value == "CANCELLED"


def test_a_folder_that_cannot_be_read_is_said(run: Run, settings: Settings) -> None:
    (settings.runbooks / "services.yaml").write_text("services: [")
    state = run(lambda_fails)
    assert (state.name, "services.yaml:1" in state.message) == ("Failed", True)


# --- the health check -------------------------------------------------------------------------------------------------


#: Rounds are an hour apart; those of these tests are over once they have what their test wants of them.
EVERY_SECONDS = 3600


@pytest.fixture
def measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """One round, by a clock that goes by what happens, so that no machine is too busy for it.

    It is over when `samples` are recorded (0: after so many looks at the clock that one would have been, were it due). The
    clock is a step further at each look, and where the next is due at each sample. `every`, in seconds, is the check's.
    """
    taken = []
    keep = check._record

    def record(*args: Any) -> Any:
        try:
            return keep(*args)
        finally:
            taken.append(args)

    monkeypatch.setattr(check, "_record", record)

    def ran(samples: int = 3, every: float = 0.1, group: str = "default") -> Any:
        taken.clear()
        began_at, looks = boottime(), itertools.count()

        def now() -> float:
            look = next(looks)
            ended = len(taken) >= samples if samples else look > _LOOKS
            step = min(every / 20, 0.5)  # the sampler waits for a second at most: less, or it does not wait at all
            return began_at + look * step + 1.1 * every * len(taken) + (EVERY_SECONDS if ended else 0)

        monkeypatch.setattr(sampler, "boottime", now)
        return health_check.fn(Period(group=group, every=EVERY_SECONDS))

    return ran


#: By then a first sample would have been due (a twentieth of a minute at the latest), and waited for.
_LOOKS = 12


def alert_names(store: Store) -> list[str]:
    with store.read() as tx:
        return [receipt.alert.name for receipt in inbox.waiting(tx)]


def test_a_service_that_hangs_becomes_an_alert_in_the_inbox(
    measured: Callable[..., Any], store: Store, service: Service
) -> None:
    service.hang()
    woken = subscribe(store, TRIAGE)
    state = measured()
    assert state.name == "Done"
    assert state.message.endswith("samples of 1 checks")
    assert woken.wait(0) == [{"critical": True}], "triage does not wait for its next poll"
    woken.close()
    assert alert_names(store) == ["tracking-api-hangs error_rate"]
    with store.read() as tx:
        (check,) = check_states.listed(tx)
    assert (check.standing.level, check.target) == (Level.CRITICAL, "web-1/tracking-api")
    assert check.why == "no whole answer within 90ms"


def test_its_log_says_what_it_measured_and_what_followed(
    measured: Callable[..., Any], service: Service, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 503
    book = settings.runbooks / "tracking-api-hangs.md"  # with time for an answer
    book.write_text(RUNBOOK.replace("every: 100ms", "every: 5s").replace("timeout: 90ms", "timeout: 4s"))
    with caplog.at_level(logging.INFO):
        state = measured(samples=3, every=5)
    lines = [record.getMessage() for record in caplog.records if record.name == "tasks.run_log"]
    called = "tracking-api-hangs/health at web-1/tracking-api"
    assert state.message == "3 samples of 1 checks"
    assert lines == [
        f"{called}: error_rate 100% is critical (critical 3%): answered 503; its alert fires",
        f"3 samples of 1 check; not well, in so many samples: {called} (3)",
    ]


def test_a_round_goes_on_in_the_rhythm_of_the_one_before_however_that_ended(
    measured: Callable[..., Any], settings: Settings
) -> None:
    (settings.runbooks / "tracking-api-hangs.md").write_text(RUNBOOK.replace("every: 100ms", "every: 1m"))
    assert measured(samples=1, every=60).message == "1 samples of 1 checks"
    assert measured(samples=0, every=60).message == "0 samples of 1 checks", "the next is due a minute after the last"


def test_a_group_without_checks_has_nothing_to_do(measured: Callable[..., Any]) -> None:
    assert measured(group="other").message == "no runbook of the group other has a check with a listed target"


def test_an_edit_in_mid_round_is_measured_at_once_and_what_was_withdrawn_no_more(
    measured: Callable[..., Any],
    store: Store,
    settings: Settings,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check, "_LIBRARY_SECONDS", 0.1)
    book = settings.runbooks / "tracking-api-hangs.md"
    book.write_text(RUNBOOK.replace("every: 100ms", "every: 10s"))
    keep = checks.record_without_trail

    def edit(*args: Any, **more: Any) -> Any:
        book.write_text(RUNBOOK.replace("check: health", "check: health\n    name: renamed"))
        return keep(*args, **more)

    monkeypatch.setattr(checks, "record_without_trail", edit)
    assert measured(samples=2, every=1).name == "Done"
    with store.read() as tx:
        assert [check.name for check in check_states.listed(tx)] == ["renamed"]


def test_what_is_gone_from_the_runbooks_is_forgotten_and_a_refused_one_keeps_its_states(
    measured: Callable[..., Any], store: Store, settings: Settings, service: Service
) -> None:
    measured()
    book = settings.runbooks / "tracking-api-hangs.md"
    book.write_text(RUNBOOK.replace("check: health", "check: helth"))
    measured()
    with store.read() as tx:
        assert len(check_states.listed(tx)) == 1
    book.unlink()
    measured()
    with store.read() as tx:
        assert check_states.listed(tx) == []


def test_when_no_control_probe_answers_it_is_we_who_are_blind(
    measured: Callable[..., Any], store: Store, service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.status = 500
    blind = settings.model_copy(update={"control_probes": ("tcp://127.0.0.1:1",)})
    monkeypatch.setattr(run_cache, "current_settings", lambda: blind)
    measured()
    assert alert_names(store) == []
    with store.read() as tx:
        assert mass_failure.current(tx) == mass_failure.BLIND
    seeing = settings.model_copy(
        update={"control_probes": ("tcp://127.0.0.1:1", f"tcp://127.0.0.1:{service.server_address[1]}")}
    )
    monkeypatch.setattr(run_cache, "current_settings", lambda: seeing)
    measured()
    with store.read() as tx:
        assert mass_failure.current(tx) is None
    assert alert_names(store) == ["tracking-api-hangs error_rate"]
