"""Whether a host is down: the views of others together, by their majority."""

import errno
import os

import pytest

from paramedic.remediation.reach import Reach, View, answers, judged, together

UP, AWAY, MUTE = True, False, None


def said(*views: bool | None) -> tuple[Reach, str]:
    found = judged("web-7", View("here", False, ""), [View(f"web-{n}", sees, "") for n, sees in enumerate(views, 1)])
    return found.reach, found.words


@pytest.mark.parametrize(
    ("views", "reach", "words"),
    [
        ((UP, UP), Reach.ONLY_WE, "only we cannot reach web-7: web-1 and web-2 can"),
        ((UP, UP, AWAY), Reach.ONLY_WE, "only we cannot reach web-7: web-1 and web-2 can, web-3 cannot"),
        ((AWAY,), Reach.DOWN, "the host web-7 is down: neither we nor web-1 can reach it"),
        (
            (AWAY, AWAY, UP),
            Reach.DOWN,
            "the host web-7 is down: neither we nor web-1 and web-2 can reach it; web-3 can",
        ),
        ((AWAY, MUTE), Reach.DOWN, "the host web-7 is down: neither we nor web-1 can reach it; web-2 could not tell"),
        ((UP, AWAY), Reach.OPEN, "whether the host web-7 is down is open: web-1 can reach it, we and web-2 cannot"),
        ((MUTE,), Reach.OPEN, "whether the host web-7 is down is open; web-1 could not tell"),
        (
            (),
            Reach.OPEN,
            "whether the host web-7 is down is open: `seen_from` in services.yaml names no other host to ask",
        ),
    ],
)
def test_more_than_half_of_those_that_could_tell_decide(
    views: tuple[bool | None, ...], reach: Reach, words: str
) -> None:
    assert said(*views) == (reach, words)


def test_what_answers_us_is_not_down_whatever_others_see() -> None:
    assert judged("web-7", View("here", True, ""), [View("web-2", False, "")]).reach is Reach.UP


def test_a_refusal_is_an_answer_and_a_fault_of_who_asks_says_nothing() -> None:
    words = {
        number: answers(os.strerror(number)) for number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
    }
    assert words == {errno.ECONNREFUSED: True, errno.EHOSTUNREACH: False, errno.ENETUNREACH: None}
    assert answers("Name or service not known") is None
    assert [together(tries) for tries in ([None, False, True], [None, False], [None], [])] == [True, False, None, None]
