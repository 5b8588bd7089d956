"""Triage answers every question with a reason, opens nothing twice, and believes what is said, not when it arrives."""

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.flapping import Flapping
from paramedic.alerts.last_word import LastWord
from paramedic.incidents.incident import State
from paramedic.intake.triage import MARK, Known, Verdict, begun_again, bounded, comparable, decide
from paramedic.remediation.maintenance import Window

NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
UNENDED = [state for state in State if state is not State.RESOLVED]


def at(minute: float) -> datetime:
    return NINE + timedelta(minutes=minute)


def alert(status: Status = Status.FIRING, starts: float = 0, *, ends: float | None = None, **labels: str) -> Alert:
    ended = None if ends is None else at(ends)
    return Alert("alertmanager", "Slow", Severity.CRITICAL, status, at(starts), "f", labels, ends_at=ended)


def informational(status: Status = Status.FIRING, *, severity: str = "info") -> Alert:
    return replace(alert(status, 0, ends=None if status is Status.FIRING else 5, severity=severity), informational=True)


def in_maintenance(ends: float) -> Window:
    return Window(3, "api", None, at(-60), at(ends), "ada", "a new disk")


minutes = st.integers(-30, 30).map(at)
alerts = st.builds(
    Alert,
    source=st.just("alertmanager"),
    name=st.just("Slow"),
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    starts_at=minutes,
    fingerprint=st.just("f"),
    ends_at=st.none() | minutes,
    labels=st.sampled_from([{}, {"a": "b"}, {MARK: "3f0c"}]),
)
knowns = st.builds(
    Known,
    now=minutes,
    live=st.none() | st.tuples(st.integers(1, 99), st.sampled_from(UNENDED)),
    last=st.none() | st.builds(LastWord, st.sampled_from(Status), minutes),
    well_at=st.none() | minutes,
    settle=st.integers(0, 20).map(lambda n: timedelta(minutes=n)),
    cured=st.none() | st.tuples(st.integers(1, 99), minutes),
    window=st.none() | st.integers(31, 60).map(in_maintenance),
    flaps=st.none() | st.integers(31, 60).map(lambda n: Flapping("k", 5, at(-60), at(30), at(n))),
)


@given(alerts, knowns)
def test_every_question_has_one_answer_with_its_reason(received: Alert, known: Known) -> None:
    decision = decide(received, known)
    assert decision == decide(received, known)
    assert len(decision.reason) > 10
    assert (decision.until is not None) == (decision.verdict is Verdict.HOLD)
    assert (decision.held_by is not None) == (decision.verdict in (Verdict.HOLD, Verdict.DROP)), "in one word, too"
    assert decision.until is None or decision.until > known.now


@given(alerts, knowns)
def test_nothing_is_opened_while_something_is_open(received: Alert, known: Known) -> None:
    verdict = decide(received, known).verdict
    assert verdict not in (Verdict.OPEN, Verdict.REOPEN) or known.live is None
    assert verdict is not Verdict.REOPEN or known.cured is not None
    assert verdict not in (Verdict.JOIN, Verdict.MARK_RESOLVED) or known.live is not None


@given(alerts, knowns)
def test_what_is_over_opens_nothing_and_holds_nothing(received: Alert, known: Known) -> None:
    if received.status is Status.RESOLVED:
        assert decide(received, known).verdict in (Verdict.DROP, Verdict.MARK_RESOLVED)


@given(alerts, knowns)
def test_our_own_message_coming_back_starts_nothing(received: Alert, known: Known) -> None:
    if MARK in received.labels:
        decision = decide(received, known)
        assert decision.verdict is Verdict.DROP
        assert not decision.is_last_word


@given(alerts, knowns)
def test_a_firing_alert_is_dropped_only_if_its_sender_has_said_that_it_is_over(received: Alert, known: Known) -> None:
    if (
        received.status is Status.FIRING
        and MARK not in received.labels
        and decide(received, known).verdict is Verdict.DROP
    ):
        assert known.last is not None
        assert known.last.status is Status.RESOLVED
        assert known.last.at >= received.starts_at


def arrived(order: tuple[Alert, ...], live: tuple[int, State] | None) -> tuple[LastWord | None, bool]:
    """The last word after these arrived in this order, and whether an incident is open; an incident never ends here."""
    last: LastWord | None = None
    for received in order:
        decision = decide(received, Known(now=at(60), live=live, last=last))
        if decision.verdict is Verdict.OPEN:
            live = (1, State.OPEN)
        if decision.is_last_word:
            last = LastWord(received.status, received.effective_at)
    return last, live is not None


@given(st.lists(alerts, max_size=4))
def test_the_last_word_is_the_same_in_whatever_order_the_words_arrive(received: list[Alert]) -> None:
    words = {arrived(order, None)[0] for order in itertools.permutations(received)}
    assert len(words) == 1


@given(st.lists(alerts, min_size=1, max_size=4))
def test_an_alert_that_still_fires_is_open_in_whatever_order_the_words_arrive(received: list[Alert]) -> None:
    for order in itertools.permutations(received):
        last, is_open = arrived(order, None)
        assert is_open or last is None or last.status is Status.RESOLVED


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=3),  # when each server's rule began to fire
    st.integers(0, 40),
    st.sampled_from([0, 1, 60]),
    st.integers(0, 2),
    st.randoms(),
)
def test_what_ended_after_every_start_is_over_and_what_began_since_is_live(
    starts: list[int], ended: int, gap: int, repeats: int, shuffle: random.Random
) -> None:
    """Alertmanager merges the alerts of several Prometheus servers to their earliest start, at any moment."""
    end = max([*starts, ended])
    words = [alert(starts=start) for start in (*starts, min(starts))]
    words += [alert(Status.RESOLVED, starts=start, ends=end) for start in {min(starts), starts[0]}]
    words += words[:repeats]
    shuffle.shuffle(words)
    last, _ = arrived(tuple(words), None)
    assert last == LastWord(Status.RESOLVED, at(end))
    words += [alert(starts=end + gap)]
    shuffle.shuffle(words)
    last, is_open = arrived(tuple(words), None)
    assert last == (LastWord(Status.FIRING, at(end + gap)) if gap else LastWord(Status.RESOLVED, at(end)))
    assert is_open or not gap


def test_two_prometheus_servers_behind_one_alertmanager_are_over_when_it_says_so() -> None:
    posts = (alert(starts=2), alert(starts=0), alert(Status.RESOLVED, starts=0, ends=30))
    for order in itertools.permutations(posts):
        assert arrived(order, None)[0] == LastWord(Status.RESOLVED, at(30))
    over = decide(posts[2], Known(now=at(31), live=(1, State.ACKNOWLEDGED), last=LastWord(Status.FIRING, at(2))))
    assert over.verdict is Verdict.MARK_RESOLVED
    assert over.is_last_word


@pytest.mark.parametrize(("ends", "counts_as"), [(None, None), (3, 3), (10, 10), (11, 10), (1_000_000, 10)])
def test_an_end_far_ahead_of_our_clock_silences_nothing_that_has_not_begun(
    ends: float | None, counts_as: float | None
) -> None:
    received = bounded(alert(Status.RESOLVED, ends=ends), at(5))
    assert received.ends_at == (None if counts_as is None else at(counts_as))


def test_a_late_firing_does_not_open_what_is_over() -> None:
    known = Known(now=at(5), last=LastWord(Status.RESOLVED, at(0)))
    assert decide(alert(), known).verdict is Verdict.DROP
    assert decide(alert(starts=-3), known).verdict is Verdict.DROP


@pytest.mark.parametrize(
    ("received", "status", "verdict"),
    [
        (15, Status.RESOLVED, Verdict.DROP),  # a late word
        (17, Status.RESOLVED, Verdict.OPEN),
        (17, Status.FIRING, Verdict.OPEN),  # it never ended: nothing is read otherwise
    ],
)
def test_an_old_start_that_comes_long_after_the_end_begins_anew(
    received: float, status: Status, verdict: Verdict
) -> None:
    """Prometheus and Alertmanager had lost each other: the alert was resolved meanwhile, and comes with its old start."""
    last = LastWord(status, at(10), heard_at=at(11))
    again = begun_again(alert(starts=0), last, at(received))
    assert decide(again, Known(now=at(60), last=last)).verdict is verdict
    assert (again.starts_at > last.at) is bool(again.notes) is (received == 17 and status is Status.RESOLVED)
    assert decide(
        alert(Status.RESOLVED, starts=0, ends=30), Known(now=at(60), last=LastWord(Status.FIRING, at(17)))
    ).is_last_word


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        (None, True),
        (LastWord(Status.RESOLVED, at(0)), True),
        (LastWord(Status.RESOLVED, at(5), heard_at=at(0)), True),  # a sender may be ahead of us by so much
        (LastWord(Status.RESOLVED, at(6), heard_at=at(0)), False),
        (LastWord(Status.FIRING, at(60), heard_at=at(61)), False),
        (
            LastWord(Status.RESOLVED, at(-60), heard_at=at(6)),
            False,
        ),  # a held alert's old end, heard before the clock was set
    ],
)
def test_a_word_from_the_future_is_from_before_a_clock_was_set_back(last: LastWord | None, counts: bool) -> None:
    assert comparable(last, at(0)) is (last if counts else None)
    anew = decide(alert(starts=-1), Known(now=at(0), last=comparable(last, at(0))))
    assert (anew.verdict is Verdict.OPEN) is (last is None or not counts)
    over = decide(
        alert(Status.RESOLVED, starts=-30, ends=-1),
        Known(now=at(0), live=(1, State.WORKING), last=comparable(last, at(0))),
    )
    assert over.verdict is Verdict.MARK_RESOLVED
    assert over.is_last_word is (last is None or not counts)


def test_what_fires_anew_after_it_was_over_opens() -> None:
    assert decide(alert(starts=4), Known(now=at(5), last=LastWord(Status.RESOLVED, at(0)))).verdict is Verdict.OPEN


def test_a_late_word_that_it_is_over_does_not_end_what_began_later() -> None:
    decision = decide(
        alert(Status.RESOLVED, starts=0), Known(now=at(9), live=(1, State.WORKING), last=LastWord(Status.FIRING, at(5)))
    )
    assert decision.verdict is Verdict.DROP
    assert not decision.is_last_word


def test_a_start_that_moved_back_is_no_reason_to_be_silent() -> None:
    """Alertmanager gives two merged alerts the earliest start of both, and may have told of the later one before."""
    last = LastWord(Status.FIRING, at(1))
    assert decide(alert(starts=0), Known(now=at(5), last=last)).verdict is Verdict.OPEN
    joined = decide(alert(starts=0), Known(now=at(5), last=last, live=(3, State.WORKING)))
    assert joined.verdict is Verdict.JOIN
    assert not joined.is_last_word


def test_what_began_before_the_cure_waits_until_that_settled_and_then_opens() -> None:
    known = Known(now=at(5), last=LastWord(Status.FIRING, at(0)), well_at=at(4), settle=timedelta(minutes=3))
    held = decide(alert(), known)
    assert held.verdict is Verdict.HOLD
    assert held.until == at(7)
    later = Known(now=at(7), last=known.last, well_at=known.well_at, settle=known.settle)
    assert decide(alert(), later).verdict is Verdict.OPEN


@pytest.mark.parametrize("known", [{}, {"well_at": at(4)}, {"last": LastWord(Status.FIRING, at(0))}])
def test_what_fires_in_a_maintenance_window_waits_until_that_ends(known: dict[str, Any]) -> None:
    held = decide(alert(), Known(now=at(5), window=in_maintenance(60), **known))
    assert (held.verdict, held.until) == (Verdict.HOLD, at(60))
    assert "service api is in maintenance until" in held.reason


def test_in_a_maintenance_window_an_open_incident_is_joined_and_what_is_over_is_over() -> None:
    window = in_maintenance(60)
    assert decide(alert(), Known(now=at(5), window=window, live=(7, State.WORKING))).verdict is Verdict.JOIN
    assert decide(alert(Status.RESOLVED), Known(now=at(5), window=window)).verdict is Verdict.DROP
    over = Known(now=at(5), window=window, last=LastWord(Status.RESOLVED, at(0)))
    assert decide(alert(), over).verdict is Verdict.DROP


def test_what_began_after_the_cure_opens_at_once() -> None:
    assert decide(alert(starts=5), Known(now=at(6), well_at=at(4))).verdict is Verdict.OPEN


HALF = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("starts", "now", "verdict"),
    [
        (6, 7, Verdict.REOPEN),
        (33, 33.99, Verdict.REOPEN),
        (33, 34, Verdict.OPEN),  # half an hour after the cure
        (4, 20, Verdict.OPEN),  # began before the cure, and the cure has settled
        (4, 5, Verdict.HOLD),  # began before the cure
    ],
)
def test_what_begins_again_soon_after_its_cure_is_the_same_incident(
    starts: float, now: float, verdict: Verdict
) -> None:
    known = Known(now=at(now), well_at=at(4), cured=(7, at(4)), reopen_within=HALF)
    decision = decide(alert(starts=starts), known)
    assert decision.verdict is verdict
    if verdict is Verdict.REOPEN:
        assert "INC-7 ended well at 2026-01-31T09:04:00.000000Z and it began again" in decision.reason


def test_order_is_by_what_the_alert_says_also_where_the_cure_is_another_services() -> None:
    """`well_at` is the target's, `cured` the incident's: a target that serves two services may have both."""
    assert decide(alert(starts=3), Known(now=at(5), cured=(7, at(4)))).verdict is Verdict.OPEN


def test_what_was_held_is_dropped_once_its_sender_says_that_it_is_over() -> None:
    known = Known(now=at(20), last=LastWord(Status.RESOLVED, at(0)), well_at=at(4), settle=timedelta(minutes=3))
    assert decide(alert(), known).verdict is Verdict.DROP


@pytest.mark.parametrize("state", UNENDED)
def test_a_repeat_joins_whatever_state_its_incident_is_in(state: State) -> None:
    known = Known(now=at(5), live=(7, state), last=LastWord(Status.FIRING, at(0)), well_at=at(4))
    decision = decide(alert(), known)
    assert decision.verdict is Verdict.JOIN
    assert "INC-7" in decision.reason


@pytest.mark.parametrize("state", UNENDED)
@pytest.mark.parametrize("status", Status)
def test_what_is_for_information_opens_joins_and_ends_nothing_and_says_why(state: State, status: Status) -> None:
    for live in (None, (7, state)):
        decision = decide(informational(status), Known(now=at(6), live=live))
        assert decision.verdict is Verdict.DROP
        assert decision.reason == "its severity 'info' is for information: it pages nobody"
        assert not decision.is_last_word  # should its word page somebody one day, its next report opens an incident


def test_the_end_of_what_joined_before_its_word_was_for_information_still_counts() -> None:
    known = Known(now=at(6), live=(7, State.HANDED_OVER), last=LastWord(Status.FIRING, at(0)))
    assert decide(informational(Status.RESOLVED), known).verdict is Verdict.MARK_RESOLVED
    assert decide(informational(), known).verdict is Verdict.DROP


def test_a_word_that_is_no_word_is_told_by_its_length() -> None:
    reason = decide(informational(severity="debug\x1b" * 30), Known(now=at(6))).reason
    assert reason == "its severity a text of 180 characters is for information: it pages nobody"
