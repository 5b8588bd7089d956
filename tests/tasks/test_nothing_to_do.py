"""A retried run that has nothing to do ends as it had ended before, in the same colour, and says what would try again."""

from typing import Any

import pytest

from tasks.nothing_to_do import as_before

WHY = "attempt 1 at INC-7 is over (closed); a run is not a permission to act again"
RETRY = "paramedic incident retry INC-7 --by NAME"


def _states(*ended: tuple[str, str, str]) -> list[dict[str, Any]]:
    """What Prefect has of a run that ended so, was retried, and runs now."""
    states: list[dict[str, Any]] = [{"type": "SCHEDULED", "name": "Scheduled", "message": None}]
    for kind, name, message in ended:
        states += [
            {"type": "RUNNING", "name": "Running", "message": None},
            {"type": kind, "name": name, "message": message},
            {"type": "SCHEDULED", "name": "AwaitingRetry", "message": None},
        ]
    return [*states, {"type": "RUNNING", "name": "Running", "message": None}]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("FAILED", "HandedOver"),
        ("FAILED", "Refused"),
        ("COMPLETED", "Remediated"),
        ("COMPLETED", "GivenUp"),
        ("CRASHED", "Crashed"),
        ("CANCELLED", "Cancelled"),
    ],
)
def test_it_ends_as_it_had_ended(kind: str, name: str) -> None:
    state = as_before(_states((kind, name, "restarted, still failing")), WHY, retry=RETRY)
    assert (state.type.value, state.name) == (kind, name)
    assert state.message == (
        f"restarted, still failing. A Retry in Prefect does nothing: {WHY}. To have it tried again: `{RETRY}`"
    )


def test_retried_twice_it_says_so_once() -> None:
    once = as_before(_states(("FAILED", "Refused", "no")), WHY, retry=RETRY)
    twice = as_before(_states(("FAILED", "Refused", "no"), ("FAILED", "Refused", str(once.message))), WHY, retry=RETRY)
    assert (twice.name, twice.message) == ("Refused", once.message)


def test_a_run_that_had_not_ended_has_nothing_to_do() -> None:
    state = as_before(_states(), WHY, retry=RETRY)
    assert (state.type.value, state.name, state.message) == ("COMPLETED", "NothingToDo", WHY)
    assert as_before([], WHY, retry=RETRY).name == "NothingToDo", "Prefect does not say"
