"""A process that is there and does nothing is seen, told, and started again; one that works is let work."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from waiting import until

from paramedic.cli.up import Saying, Steps
from paramedic.errors import TemporaryError
from paramedic.machine import liveness
from paramedic.machine.clock import utc_now
from paramedic.settings import Settings
from paramedic.stack import store_waits
from paramedic.stack.children import Child, Children
from paramedic.stack.progress import Progress, Step
from paramedic.stack.store_waits import Acting, Migration
from paramedic.store import Store, StoreUnavailable, StoreUnknown
from paramedic.store.migrations import migrate
from paramedic.store.tables import claims

#: Beats, and has a process of its own that must not have the pipe.
BEATS = """
import subprocess, sys, time
from paramedic.machine import liveness
life = liveness.inherited_pipe()
CHILD = "import os, time; assert 'PARAMEDIC_LIVENESS_PIPE' not in os.environ; time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", CHILD])
while True:
    life.beat()
    time.sleep(0.05)
"""

LOOPS = BEATS.replace(
    "    life.beat()\n    time.sleep(0.05)", "    life.beat() if time.monotonic() < until else None"
).replace("while True", "until = time.monotonic() + 0.2\nwhile True")

#: Says nothing before it has started, which takes a while.
SLOW = "import time; time.sleep(60)"


@pytest.fixture
def alerts() -> list[str]:
    return []


@pytest.fixture
def children(tmp_path: Path, alerts: list[str]) -> Iterator[Children]:
    (tmp_path / "logs").mkdir()
    made = Children(tmp_path / "logs", lambda subject, words: alerts.append(f"{subject}: {words}"))
    yield made
    made.stop()


def _child(
    code: str, *, may_end: Callable[[], bool] = lambda: True, silent_seconds: float | None = 1.0, name: str = "one"
) -> Child:
    argv = [sys.executable, "-c", code]
    return Child(name, argv, dict(os.environ), silent_seconds=silent_seconds, may_end=may_end)


def _until(children: Children, holds: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        children.tick()
        time.sleep(0.02)


def _beating(children: Children) -> int:
    _until(children, lambda: children._children[0].heard_at is not None)
    return children.pids()["one"]


def test_one_that_is_stopped_is_told_ended_and_started_again(children: Children, alerts: list[str]) -> None:
    children.start(_child(BEATS))
    pid = _beating(children)
    os.kill(pid, signal.SIGSTOP)
    _until(children, lambda: children.pids().get("one", pid) != pid)
    assert not psutil.pid_exists(pid)
    assert len(alerts) == 1
    assert "one stands still" in alerts[0]
    assert "started again" in alerts[0]
    _beating(children)


def test_one_whose_loop_hangs_is_silent_though_it_runs(children: Children, alerts: list[str]) -> None:
    children.start(_child(LOOPS))
    pid = _beating(children)
    _until(children, lambda: children.pids().get("one", pid) != pid)
    assert len(alerts) == 1


def test_one_that_may_not_be_ended_is_told_once_and_left_until_it_may(children: Children, alerts: list[str]) -> None:
    may: list[bool] = []
    children.start(_child(BEATS, may_end=lambda: bool(may)))
    pid = _beating(children)
    os.kill(pid, signal.SIGSTOP)
    _until(children, lambda: alerts)
    until = time.monotonic() + 0.5
    _until(children, lambda: time.monotonic() > until)
    assert children.pids()["one"] == pid
    assert len(alerts) == 1
    assert "once no run of it acts" in alerts[0]
    may.append(True)
    _until(children, lambda: children.pids().get("one", pid) != pid)


def test_one_that_beats_again_before_it_may_be_ended_is_let_live(children: Children, alerts: list[str]) -> None:
    children.start(_child(BEATS, may_end=lambda: False))
    pid = _beating(children)
    os.kill(pid, signal.SIGSTOP)
    _until(children, lambda: alerts)
    os.kill(pid, signal.SIGCONT)
    _until(children, lambda: not children._children[0].is_reported)
    assert children.pids()["one"] == pid


def test_one_that_starts_slowly_or_works_or_is_not_listened_to_is_left_alone(
    children: Children, alerts: list[str]
) -> None:
    for name, code, silent in (("works", BEATS, 1.0), ("slow", SLOW, 0.2), ("not heard", SLOW, None)):
        children.start(_child(code, silent_seconds=silent, name=name))
    before = children.pids()
    _until(children, lambda: children._children[0].heard_at is not None)
    until = time.monotonic() + 1.5
    _until(children, lambda: time.monotonic() > until)
    assert children.pids() == before
    assert alerts == []


def test_who_has_stood_still_itself_judges_nobody_for_it(children: Children, alerts: list[str]) -> None:
    """After the whole machine slept, everybody has been silent for as long."""
    children.start(_child(BEATS))
    pid = _beating(children)
    child = children._children[0]
    os.kill(pid, signal.SIGSTOP)
    _until(children, lambda: time.monotonic() - (child.heard_at or 0) > 0.2)
    child.heard_at, children._ticked_at = time.monotonic() - 100, time.monotonic() - 100
    children.tick()
    assert alerts == []
    os.kill(pid, signal.SIGCONT)


def test_a_heart_that_nobody_hears_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for inherited in ("", "x", "999999"):
        monkeypatch.setenv(liveness.VARIABLE, inherited)
        liveness.inherited_pipe().beat()
        assert liveness.VARIABLE not in os.environ
    theirs, ours = os.pipe()
    monkeypatch.setenv(liveness.VARIABLE, str(ours))
    life = liveness.inherited_pipe()
    for _ in range(100_000):  # the pipe is full long before
        life.beat()
    os.close(theirs)
    life.beat()
    os.close(ours)


# --- a start that waits ------------------------------------------------------------------------------------------------


def test_a_start_says_what_it_waits_for_and_goes_on_by_itself() -> None:
    answers: dict[str, str | None] = {"a": "not yet", "b": None}

    def raises() -> str | None:
        if answers["a"] is None:
            return answers["b"]
        raise TemporaryError("refuses our login")

    progress = Progress([Step("the gateway", lambda: answers["a"]), Step("Prefect", lambda: answers["b"])])
    assert progress.ready() == []
    until("what it waits for", lambda: progress.waits_for() == ("the gateway", "not yet"))
    assert not progress.passed("the gateway")
    answers["b"], answers["a"] = "HTTP 503", None
    until("what it waits for", lambda: progress.waits_for() == ("Prefect", "HTTP 503"))
    assert progress.passed("the gateway")
    assert progress.ready() == ["the gateway"]
    answers["b"] = None
    until("what it waits for", lambda: progress.done)
    assert progress.waits_for() is None
    answers["a"] = "x"
    broken = Progress([Step("Prefect", raises)])
    until("what it waits for", lambda: broken.waits_for() == ("Prefect", "refuses our login"))
    broken.close()


def test_what_is_waited_for_is_said_after_a_moment_and_again_while_it_lasts() -> None:
    now = [0.0]
    saying = Saying(lambda: now[0])

    def words_at(at: float, what: str = "Prefect", why: str = "ConnectError") -> str | None:
        now[0] = at
        return saying.about(what, why)

    assert words_at(0) is None
    assert words_at(4) is None
    assert words_at(6) == "waiting for Prefect: ConnectError"
    assert words_at(10) is None
    assert words_at(12, why="HTTP 503") is None
    assert words_at(17, why="HTTP 503") == "waiting for Prefect: HTTP 503"
    assert words_at(70, why="HTTP 503") is None
    assert words_at(78, why="HTTP 503") == "waiting for Prefect: HTTP 503"
    assert words_at(79, what="the responder", why="none is online") is None
    assert (
        words_at(85, what="the responder", why="none\x1b is online") == "waiting for the responder: none\\x1b is online"
    )


def test_each_step_of_a_start_is_said_once_as_it_becomes_ready() -> None:
    now = [100.0]
    steps = Steps(lambda: now[0])
    assert steps.new([]) == []
    now[0] = 102.4
    assert steps.new(["the store"]) == ["ready      the store (2 s)"]
    assert steps.new(["the store"]) == []
    now[0] = 109
    assert steps.new(["the store", "the gateway", "Prefect"]) == [
        "ready      the gateway (9 s)",
        "ready      Prefect (9 s)",
    ]


def test_a_store_that_is_away_is_waited_for_and_an_unknown_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path)
    errors: list[Exception] = [StoreUnavailable("connection refused")]

    def moody(url: str, *, runtime_role: str | None = None) -> None:
        if errors:
            raise errors[0]
        migrate(url, runtime_role=runtime_role)

    monkeypatch.setattr(store_waits, "migrate", moody)
    monkeypatch.setattr(store_waits, "_AGAIN_SECONDS", 0.05)
    migration = Migration(settings)
    migration.attempt()
    assert migration.complaint() == "connection refused"
    assert not migration.advance()
    assert not migration.done
    errors.clear()
    until("the migration", migration.advance)
    assert migration.done
    assert migration.complaint() is None
    assert not migration.advance(), "once"
    errors.append(StoreUnknown("of a newer version"))
    with pytest.raises(StoreUnknown):
        Migration(settings).attempt()
    errors[:] = [StoreUnavailable("gone")]
    later = Migration(settings)
    later.attempt()
    errors[:] = [StoreUnknown("of a newer version")]
    with pytest.raises(StoreUnknown):
        until("its complaint", later.advance)


def test_a_responder_may_be_ended_only_while_the_store_says_that_no_run_holds_a_target(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    acting = Acting(settings)
    assert not acting.nothing()
    assert acting._thread is not None
    acting._thread.join(10)
    assert not acting.nothing(), "there is no store"
    migrate(settings.store())
    store = Store(settings.store())
    row = {"target": "web-1/app", "incident": 1, "attempt": 1, "holder": "a run", "token": 1, "released": False}
    with store.write() as tx:
        moments = {"taken_at": utc_now(), "lease_until": utc_now() + timedelta(minutes=1)}
        known = {column.name for column in claims.columns}
        tx.conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
        tx.conn.execute(claims.insert().values(**{k: v for k, v in (row | moments).items() if k in known}))

    def asked() -> bool:
        found = Acting(settings)
        found.nothing()
        assert found._thread is not None
        found._thread.join(10)
        return found.nothing()

    assert not asked()
    with store.write() as tx:
        tx.conn.execute(claims.update().values(lease_until=utc_now() - timedelta(seconds=1)))
    assert asked()
    store.close()
