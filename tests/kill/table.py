"""The kill table: who is killed at which boundary, and what must be true afterwards. Written before the code it judges.

In every row the alert that got its 202 has its incident, the incident has an end, a person was told of it, and the trail
verifies. What else is looked at depends on the story that the kill falls into:

    restart   a service that says no, and the one remedy that helps: (ending, restarts)
    ladder    a bad release: the restart does not help, the roll-back does: (ending, restarts, the release that runs)
    asking    as `restart`, and a person is asked before: (ending, restarts)
    telling   nobody acts, two people are told one after the other: (ending, who was told, in this order)

`restarts` counts real starts of the supervised process beyond those that the story itself makes.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

Outcome = tuple[str | int, ...]

#: The boundaries of a restart, in the order in which an alert meets them.
POINTS = (
    "alert_committed",
    "triaged",
    "outbox_written",
    "run_created",
    "claimed",
    "evidence_taken",
    "intent_written",
    "act_sent",
    "outcome_written",
    "verified",
    "told",
)

#: A process that is held here delays every later alert: at most one such row per kill, and it comes last.
DOORS = ("triaged", "outbox_written", "run_created", "alert_committed")

VICTIMS = ("gateway", "process", "responder", "prefect")

#: The boundaries on whose both sides a run speaks to its target.
_ON_THE_HOST = ("evidence_taken", "intent_written", "act_sent", "outcome_written")

#: Those who can die in the middle of a run.
_AT_WORK = ("process", "responder")


@dataclass(frozen=True)
class Row:
    """One kill, and the right outcome: one, or two where a race decides that either side may win rightly."""

    story: str
    point: str
    victim: str
    right: tuple[Outcome, ...]
    because: str
    via: tuple[str, ...] = ()  # the boundaries that are passed before: the second rung's act comes after a first
    called: str = ""

    @property
    def id(self) -> str:
        return "-".join(filter(None, (self.called, f"{self.victim}-at-{self.point}")))


_SILENCE = "silence is not a permission to change; a Prefect that is back in time may give it"
_OPEN = "the act is open: whether it happened is not known, so nothing is repeated"
_WHOEVER = "healed once, by whoever was left or came back"

HEALED: Outcome = ("remediated", 1)
REFUSED: Outcome = ("refused", 0)
HANDED_OVER: Outcome = ("handed_over", 0)


def _restart(point: str, victim: str) -> Row:
    right, because = (HEALED,), _WHOEVER
    if victim == "prefect" and point in ("claimed", "evidence_taken"):
        right, because = (REFUSED, HEALED), _SILENCE
    elif victim in _AT_WORK and point == "intent_written":
        right, because = (HANDED_OVER,), _OPEN
    return Row("restart", point, victim, right, because)


def _ladder() -> Iterator[Row]:
    """The first rung has not helped: who dies then, and at the second."""
    cured: Outcome = ("remediated", 2, "v1")
    for victim in ("process", "responder", "prefect"):
        at_work = victim in _AT_WORK
        between = (cured,) if at_work else (("refused", 1, "v2"), cured)
        yield Row("ladder", "verified", victim, between, _WHOEVER if at_work else _SILENCE, called="ladder")
        for point, half_done in (("intent_written", "v2"), ("act_sent", "v1"), ("outcome_written", "")):
            is_open = at_work and half_done
            right: Outcome = ("handed_over", 1, half_done) if is_open else cured
            yield Row("ladder", point, victim, (right,), _OPEN if is_open else _WHOEVER, ("verified",), "rollback")
        yield Row("ladder", "verified", victim, (cured,), _WHOEVER, ("verified", "intent_written"), "rollback")


def _asking() -> Iterator[Row]:
    for point in ("approval_asked", "suspended", "approval_decided"):
        for victim in VICTIMS:
            right, because = ((REFUSED, HEALED), _SILENCE) if victim == "prefect" else ((HEALED,), _WHOEVER)
            yield Row("asking", point, victim, right, because, called="asked")


def _telling() -> Iterator[Row]:
    """`teller` is whoever has the message in hand: the run's process or the watchdog."""
    once: Outcome = ("observed", "ada", "ben")
    twice: Outcome = ("observed", "ada", "ada", "ben")
    for victim in ("teller", "watchdog", "responder", "gateway", "prefect"):
        yield Row("telling", "message_taken", victim, (once,), "told once, by whoever is left", called="first-rung")
    yield Row("telling", "message_left", "teller", (twice,), "nobody knows whether it went: again", called="first-rung")
    for victim in ("watchdog", "responder"):
        right = (once, twice)
        yield Row("telling", "message_left", victim, right, "again if it was the teller who died", called="first-rung")
    via = ("message_left",)
    yield Row("telling", "message_taken", "teller", (once,), "told once, by whoever comes back", via, "second-rung")
    via = ("message_left", "message_taken")
    twice = ("refused", "ada", "ben", "ben")
    yield Row("telling", "message_left", "teller", (twice,), "nobody knows whether it went: again", via, "second-rung")


TABLE = (
    *(_restart(point, victim) for point in POINTS for victim in VICTIMS),
    *_ladder(),
    *_asking(),
    *_telling(),
)

#: One row for each kind of death that matters: before the intent, after it, after the act, and on either side of the run.
#: They are played on PostgreSQL and on a stock worker too.
DEATHS = (
    "gateway-at-alert_committed",
    "prefect-at-run_created",
    "process-at-evidence_taken",
    "process-at-intent_written",
    "process-at-act_sent",
    "responder-at-claimed",
    "responder-at-outcome_written",
)

#: One row for each kind of boundary, in few deaths: what a developer's machine has time for.
SENTINELS = (
    "gateway-at-alert_committed",
    "process-at-evidence_taken",
    "process-at-intent_written",
    "process-at-act_sent",
    "responder-at-claimed",
    "responder-at-outcome_written",
    "asked-process-at-approval_asked",
    "first-rung-teller-at-message_taken",
)

#: The short form: the run's own process at each boundary of its work, every other victim where it matters most. A process that
#: is killed between two rungs, or in a roll-back, is one of the stories.
SHORT = (
    *SENTINELS,
    *DEATHS,
    *(row.id for row in TABLE if row.victim == "process" and row.story == "restart" and row.point not in DOORS),
    "process-at-triaged",
    "process-at-run_created",
    "responder-at-outbox_written",
    "prefect-at-claimed",
    "prefect-at-evidence_taken",
    "ladder-prefect-at-verified",
    "rollback-process-at-intent_written",
    "asked-responder-at-suspended",
    "asked-gateway-at-approval_decided",
    "first-rung-teller-at-message_left",
    "first-rung-watchdog-at-message_taken",
)

#: What the database decides: an alert that got its 202, and what a second run sees of an act.
SHORT_AT_POSTGRESQL = ("gateway-at-alert_committed", "process-at-act_sent", "responder-at-claimed")

#: What the worker decides: who notices that a process is gone, before and after the act.
SHORT_AT_STOCK_WORKER = ("process-at-intent_written", "responder-at-outcome_written")

#: Played at targets on another machine: the run's process and the responder from the evidence to the outcome, and in a roll-back.
OVER_SSH = (
    *(row.id for row in TABLE if row.victim in _AT_WORK and row.story == "restart" and row.point in _ON_THE_HOST),
    "rollback-process-at-intent_written",
    "rollback-process-at-act_sent",
    "rollback-responder-at-act_sent",
    "rollback-process-at-outcome_written",
)

#: What is made of an act whose connection died with its run.
SHORT_OVER_SSH = ("process-at-act_sent", "rollback-process-at-act_sent")


def parameters(
    rows: Collection[Row], *, short: Collection[str] = SHORT, sentinels: Collection[str] = SENTINELS
) -> list[ParameterSet]:
    """Each row as a test's parameter, marked by the forms that play it (forms.py); `short` and `sentinels` are names of rows."""
    marks = {row.id: [pytest.mark.sentinel] if row.id in sentinels else [] for row in rows}
    marks |= {row.id: [pytest.mark.long] for row in rows if row.id not in short}
    return [pytest.param(row, id=row.id, marks=marks[row.id]) for row in rows]
