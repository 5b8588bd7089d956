"""A look at a target keeps to the check's time-out, and one that hangs is the only one."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.kinds.probing import DOWN, UNREADY, Seen
from paramedic.machine import open_transaction
from paramedic.remediation.target import Target
from paramedic.sampling import one_sample

UP: Seen = ({DOWN: 0.0, UNREADY: 0.0}, "it is up")


class Owner:
    """Answers once it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self.error: Exception | None = None

    def __call__(self, _target: Target) -> Seen:
        self.asked += 1
        self.answers.wait(60)
        if self.error is not None:
            raise self.error
        return UP


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    made = Owner()
    monkeypatch.setattr(reading, "readiness", made)
    yield made
    made.answers.set()


def look(name: str, check: str = "ready", **words: Any) -> Sample:
    measures = check_spec(CheckSpec)(check=check, **words).build()
    target = Target(f"web-1/{name}", "api", "web-1", "supervisord", name, "")
    return one_sample.sample(measures, target, now=lambda: datetime.now(UTC), last_heard=lambda _: None)


@pytest.mark.parametrize(
    ("check", "asks"),
    [("ready", "readiness"), ("process", "process_use"), ("sessions", "sessions"), ("free_space", "free_space")],
)
def test_what_does_not_answer_in_the_check_s_time_is_unknown(
    check: str, asks: str, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, asks, owner)
    bounds = {"memory": {"critical": "1GB"}} if check == "process" else {}
    seen = look("late", check, timeout="100ms", **bounds)
    assert (seen.values, seen.why) == (None, "no answer within 100ms")
    assert owner.asked == 1


def test_while_a_look_hangs_no_other_is_begun_and_what_it_brings_is_not_taken_for_a_later_one(owner: Owner) -> None:
    look("hangs", timeout="50ms")
    seen = look("hangs", timeout="50ms")
    assert (seen.values, seen.why) == (None, "an earlier look at it has not come back within 50ms")
    assert owner.asked == 1
    assert look("another", timeout="50ms").values is None
    assert owner.asked == 2, "another target is looked at"
    owner.answers.set()
    assert look("hangs", timeout="60s", every="60s").values == UP[0]
    assert owner.asked == 3


def test_two_who_ask_at_once_both_get_an_answer_of_their_own(owner: Owner) -> None:
    seen: list[Sample] = []
    asks = [
        threading.Thread(target=lambda: seen.append(look("both", timeout="60s", every="60s")), daemon=True)
        for _ in range(2)
    ]
    for each in asks:
        each.start()
    owner.answers.set()
    for each in asks:
        each.join(60)
    assert [sample.values for sample in seen] == [UP[0]] * 2
    assert owner.asked == 2


def test_what_the_owner_refuses_to_say_is_said_as_it_is(owner: Owner) -> None:
    owner.error = PermanentError("this user may not ask")
    owner.answers.set()
    seen = look("refuses", timeout="60s", every="60s")
    assert (seen.values, seen.why) == (None, "this user may not ask")


def test_it_is_not_waited_for_inside_a_transaction(owner: Owner) -> None:
    with open_transaction.entered(open_transaction.Kind.READ):
        assert "inside a transaction" in look("recorded", timeout="50ms").why
    assert owner.asked == 0
