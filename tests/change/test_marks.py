"""An act without an outcome, on a machine that keeps marks: what the mark says decides whether it took place."""

from typing import Any

import pytest

from paramedic.change import exclusive
from paramedic.change.exclusive import happened, mark_of
from paramedic.change.run import Cancelled
from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, TemporaryError
from paramedic.kinds.transport import Mark, MarkState
from paramedic.store import acts
from paramedic.store.acts import Act


@pytest.fixture
def case(begin: Any) -> Any:
    made = begin()
    made.touch.comes_to = OutcomeUnknown("the connection was cut")
    made.change()
    return made


def open_act(case: Any) -> Act:
    with case.store.read() as tx:
        (act,) = acts.of(tx, case.run.incident.number)
    assert act.result is None
    return act


def marks(monkeypatch: pytest.MonkeyPatch, *said: object) -> list[str]:
    """The machine says this, one after another; under which ids it was asked."""
    asked: list[str] = []
    answers = iter(said)

    def mark(_target: object, act: str, _verb: str) -> object:
        asked.append(act)
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    monkeypatch.setattr(reading, "mark", mark)
    return asked


@pytest.mark.parametrize(
    ("mark", "took_place"),
    [
        (Mark(MarkState.HAPPENED, 0), True),
        (Mark(MarkState.HAPPENED, 1), False),
        (Mark(MarkState.DID_NOT), False),
        (Mark(MarkState.CUT), False),
        (None, False),
    ],
    ids=["done", "failed", "never", "cut", "no mark"],
)
def test_where_the_target_shows_nothing_its_mark_says_whether_it_took_place(
    case: Any, monkeypatch: pytest.MonkeyPatch, mark: Mark | None, took_place: bool
) -> None:
    act = open_act(case)
    asked = marks(monkeypatch, mark)
    assert happened(case.run, act, mark_of(case.run, act)) is took_place
    assert asked == [act.mark(case.store.uuid)]


def test_one_that_is_still_running_is_waited_for(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "_ASK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(exclusive, "utc_now", lambda: open_act(case).written_at)
    running = Mark(MarkState.RUNNING)
    marks(monkeypatch, running, running, Mark(MarkState.HAPPENED, 0))
    assert mark_of(case.run, open_act(case)) == Mark(MarkState.HAPPENED, 0)


def test_one_that_runs_beyond_its_deadline_is_said_to_be_running(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "utc_now", lambda: open_act(case).deadline_at)
    marks(monkeypatch, Mark(MarkState.RUNNING))
    found = mark_of(case.run, open_act(case))
    assert found is not None
    assert found.words == "its mark there says: it is still running"


def test_a_cancel_ends_the_wait_for_one_that_runs(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "utc_now", lambda: open_act(case).written_at)
    marks(monkeypatch, Mark(MarkState.RUNNING))
    case.run.stopped = True
    with pytest.raises(Cancelled):
        mark_of(case.run, open_act(case))


def test_a_machine_that_does_not_say_leaves_it_open(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    marks(monkeypatch, TemporaryError("web-1 cannot be reached"))
    assert mark_of(case.run, open_act(case)) is None


def test_the_id_of_a_mark_is_one_of_this_store_and_this_moment(case: Any) -> None:
    act = open_act(case)
    assert act.mark(case.store.uuid) == act.mark(case.store.uuid)
    assert case.store.uuid in act.mark(case.store.uuid)
    assert case.touch.asked or case.touch.sent
