"""After a verification that failed, the target's newest log lines and what it answered are kept, before a person is paged."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fake_service import Service, service, target
from message_cases import BEN
from playbook_runs import opened_by, playbook_run, shop_down

from paramedic.change import second_look
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import CannotSee, TemporaryError
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.process_target import process_identity
from paramedic.messages import page
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, evidence, incident_summary, incidents, lifecycle, trail
from tasks.current_run import working_on
from tasks.verify import stays_healthy

__all__ = ["service"]

BIND = "bind() to 0.0.0.0:8080 failed (98: Address already in use)"


class Owner:
    """Says of the program that it runs."""

    def identity(self) -> object:
        return process_identity(4711, 1.0, "RUNNING")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "shop.log"
    file.write_text("".join(f"line {number}\n" for number in range(90)) + f"token=abcdefgh\n{BIND}\n")
    return file


@pytest.fixture
def work(
    store: Store, service: Service, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PlaybookRun]:
    """A run whose target has been restarted, and still answers 503."""
    monkeypatch.setattr(reading, "reader", lambda _: Owner())
    service.status = 503
    runbook = shop_down(stable="50ms", within="200ms")
    at = replace(target(service.url), log=str(log))
    incident = opened_by(store, runbook, at, begun=True)
    run = playbook_run(store, Settings(data=tmp_path), incident, runbook, at)
    with working_on(run):
        yield run


def healthy(work: PlaybookRun) -> bool:
    return stays_healthy.fn(work.incident, work.runbook)  # type: ignore[attr-defined, no-any-return]


def kept(work: PlaybookRun) -> dict[str, str]:
    with work.store.read() as tx:
        pieces = evidence.of(tx, work.incident.number)
    assert {piece["attempt"] for piece in pieces} <= {1}
    return {piece["kind"]: piece["body"] for piece in pieces}


def test_the_newest_lines_of_its_log_and_its_answer_are_kept_with_the_attempt(work: PlaybookRun) -> None:
    assert not healthy(work)
    seen = kept(work)
    assert seen["answer after the change"] == "its health address: answered 503"
    lines = seen["log-tail after the change"].split("\n")
    assert lines[-2:] == ["token=[secret]", BIND]
    assert len(lines) == 40


def test_the_page_that_follows_shows_it(work: PlaybookRun) -> None:
    assert not healthy(work)
    with work.store.record() as tx:
        lifecycle.hand_over(
            tx, work.incident.number, Outcome(Ending.HANDED_OVER, "restarted, still failing"), actor="run:run-1"
        )
    with work.store.read() as tx:
        known = incident_summary.summary(tx, incidents.get(tx, work.incident.number))
    message = page.page(known, person=BEN, link="", lasts=timedelta(hours=1))
    assert f"    {BIND}" in message.text
    assert "log-tail after the change, " in message.text


def test_what_helped_is_not_looked_at_again(work: PlaybookRun, service: Service) -> None:
    service.status = 200
    work.runbook = replace(work.runbook, verify=replace(work.runbook.verify, within=timedelta(seconds=30)))
    assert stays_healthy.fn(work.incident, work.runbook)  # type: ignore[attr-defined]
    assert kept(work) == {}


def test_where_nothing_can_be_seen_the_log_is_kept_all_the_same(work: PlaybookRun, service: Service) -> None:
    service.status = 403
    with pytest.raises(CannotSee):
        healthy(work)
    assert BIND in kept(work)["log-tail after the change"]


@pytest.mark.parametrize(
    "error", [TemporaryError("it rotates"), ValueError("a bug in a plug-in")], ids=["known", "unknown"]
)
def test_a_look_that_fails_changes_nothing(
    work: PlaybookRun, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> str:
        raise error

    monkeypatch.setattr(reading, "log_tail", fails)
    assert not healthy(work)
    assert list(kept(work)) == ["answer after the change"]


def test_a_log_that_hangs_is_not_waited_for(work: PlaybookRun, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hangs(_: object) -> str:
        released.wait(5)
        return "too late"

    monkeypatch.setattr(reading, "log_tail", hangs)
    monkeypatch.setattr(second_look, "PATIENCE", timedelta(milliseconds=50))
    try:
        assert not healthy(work)
        assert list(kept(work)) == ["answer after the change"]
    finally:
        released.set()


def test_where_the_store_does_not_take_it_the_answer_stays_the_same(
    work: PlaybookRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **_more: object) -> None:
        raise StoreUnavailable("database is locked")

    monkeypatch.setattr(second_look.evidence, "add", refuses)
    assert not healthy(work)
    with work.store.read() as tx:
        assert [entry.what for entry in trail.entries(tx)][-1] == "verification.failed"


def test_what_the_runbook_asks_for_is_looked_at_again_where_its_end_is_the_newest(
    work: PlaybookRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.runbook = replace(work.runbook, evidence=("process-tree", "memory", "log-tail"))
    monkeypatch.setattr(reading, "evidence", lambda _, kind, _by: Gathered(f"{kind} as it is"))
    assert not healthy(work)
    assert kept(work).keys() == {
        "answer after the change",
        "log-tail after the change",
        "memory after the change",
    }
