"""The kill table: who is killed at which boundary, and what must be true afterwards. Written before the code it judges.

`restarts` counts real starts of the supervised process beyond its first. In every row the alert that got its 202 has its
incident, the incident has an end, a person was told of it, and the trail verifies.
"""

from dataclasses import dataclass

#: The boundaries of the slice, in the order in which an alert meets them.
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

VICTIMS = ("gateway", "process", "responder", "prefect")


#: An ending and the number of restarts that go with it.
Outcome = tuple[str, int]

HEALED: Outcome = ("remediated", 1)
REFUSED: Outcome = ("refused", 0)
HANDED_OVER: Outcome = ("handed_over", 0)


@dataclass(frozen=True)
class Row:
    """One kill, and the right outcome: one, or two where a race decides that either side may win rightly."""

    point: str
    victim: str
    right: tuple[Outcome, ...]
    because: str

    @property
    def id(self) -> str:
        return f"{self.victim}-at-{self.point}"


def right_outcome(point: str, victim: str) -> tuple[tuple[Outcome, ...], str]:
    """What is right, and why."""
    if victim == "prefect" and point in ("claimed", "evidence_taken"):
        return (REFUSED, HEALED), "silence is no permission to change; a Prefect that is back in time may give it"
    if victim in ("process", "responder") and point == "intent_written":
        return (HANDED_OVER,), "the act is open: whether it happened is not known, so nothing is repeated"
    return (HEALED,), "healed once, by whoever was left or came back"


TABLE = tuple(Row(point, victim, *right_outcome(point, victim)) for point in POINTS for victim in VICTIMS)

#: One row for each kind of death that matters: before the intent, after it, after the act, and on either side of the run.
SENTINELS = tuple(
    row
    for row in TABLE
    if row.id
    in (
        "gateway-at-alert_committed",
        "prefect-at-run_created",
        "process-at-evidence_taken",
        "process-at-intent_written",
        "process-at-act_sent",
        "responder-at-claimed",
        "responder-at-outcome_written",
    )
)
