"""A run whose approval is decided goes on, whatever Prefect says first."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock
from incident_states import asking
from local_api import Answer, LocalApi

from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import PrefectRuns
from paramedic.remediation.approval import Approval
from paramedic.store import Store, approvals
from paramedic.transports.prefect_http import PrefectApi

pytestmark = pytest.mark.real


class Prefect(LocalApi):
    """The three addresses that resuming needs, with one run; `says` are the statuses of the next answers to /resume."""

    def __init__(self) -> None:
        self.state = "PAUSED"
        self.says: list[int | str] = []
        self.asked: list[tuple[str, Any]] = []
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/api"

    def answer(self, _: str, path: str, body: Any) -> Answer:
        what = path.rpartition("/")[2]
        self.asked.append((what, body))
        if what != "resume":
            return 200, {"state_type": self.state}
        verdict = self.says.pop(0) if self.says else "ACCEPT" if self.state == "PAUSED" else "ABORT"
        return (verdict, {}) if isinstance(verdict, int) else (201, {"status": verdict})


@pytest.fixture
def prefect() -> Iterator[Prefect]:
    prefect = Prefect()
    yield prefect
    prefect.close()


@pytest.fixture
def dispatch(timed: Store, prefect: Prefect) -> Dispatch:
    return Dispatch(timed, PrefectRuns(PrefectApi(prefect.url)), lambda: None)


def _decided(store: Store, *, granted: bool = True) -> Approval:
    _, asked = asking(store)
    with store.record() as tx:
        done = approvals.decide(tx, asked.id, granted=granted, by="ada", how="link")
    assert isinstance(done, Approval)
    return done


def _open(store: Store) -> bool:
    """Whether it is still to be resumed, now or later."""
    with store.read() as tx:
        newest = approvals.newest(tx, 1)
    assert newest is not None
    return newest.resumed_at is None


def test_what_waits_for_its_answer_is_not_resumed(timed: Store, dispatch: Dispatch, prefect: Prefect) -> None:
    asking(timed)
    assert dispatch.resume() == 0
    assert prefect.asked == []


@pytest.mark.parametrize(("granted", "word"), [(True, "approve"), (False, "deny")])
def test_a_decided_run_is_resumed_once_with_the_forms_own_fields(
    timed: Store, dispatch: Dispatch, prefect: Prefect, word: str, *, granted: bool
) -> None:
    _decided(timed, granted=granted)
    assert dispatch.resume() == 1
    assert prefect.asked == [("resume", {"run_input": {"decision": word, "by": "ada"}})]
    assert dispatch.resume() == 0


def test_a_503_is_asked_again_a_second_later(timed: Store, clock: Clock, dispatch: Dispatch, prefect: Prefect) -> None:
    prefect.says = [503, 503]
    _decided(timed)
    for _ in range(3):
        dispatch.resume()
        dispatch.resume()
        clock.advance(timedelta(seconds=1))
    assert [what for what, _ in prefect.asked] == ["resume"] * 3
    assert not _open(timed)


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"])
def test_a_run_that_has_ended_needs_nothing(timed: Store, dispatch: Dispatch, prefect: Prefect, state: str) -> None:
    prefect.state = state
    _decided(timed)
    dispatch.resume()
    assert not _open(timed)


def test_a_run_that_prefect_does_not_know_needs_nothing(timed: Store, dispatch: Dispatch, prefect: Prefect) -> None:
    prefect.says = [404]
    _decided(timed)
    dispatch.resume()
    assert not _open(timed)


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "SCHEDULED"])
def test_a_run_that_is_not_suspended_yet_is_resumed_once_it_is(
    timed: Store, clock: Clock, dispatch: Dispatch, prefect: Prefect, state: str
) -> None:
    prefect.state = state
    _decided(timed)
    dispatch.resume()
    assert _open(timed)
    prefect.state = "PAUSED"
    clock.advance(timedelta(seconds=1))
    dispatch.resume()
    assert not _open(timed)


def test_a_suspended_run_whose_form_was_never_written_goes_on_without_it(
    timed: Store, dispatch: Dispatch, prefect: Prefect
) -> None:
    prefect.says = ["REJECT"]
    _decided(timed)
    dispatch.resume()
    assert prefect.asked[-1] == ("set_state", {"state": {"type": "SCHEDULED", "name": "Resuming"}})
    assert not _open(timed)


def test_the_run_of_a_question_that_is_void_is_let_go_too(timed: Store, dispatch: Dispatch, prefect: Prefect) -> None:
    _, asked = asking(timed)
    with timed.record() as tx:
        approvals.void(tx, asked.incident)
    dispatch.resume()
    assert prefect.asked == [("resume", {"run_input": {"decision": "deny", "by": "nobody"}})]
    assert not _open(timed)
