"""Counters over the trail: decisions, acts by outcome, refusals by guardrail, messages, whichever process wrote them."""

from collections.abc import Mapping
from typing import Final

from paramedic.audit.chain import Entry
from paramedic.incidents.outcome import Ending
from paramedic.remediation.guardrail_rules import RULES
from paramedic.store import Tx, generation, trail

#: A read follows at most this many new entries; the next one goes on from there.
MOST = 5000

OTHER: Final = "other"

#: The values of each label. What is none of them is counted as OTHER: text from outside never becomes a label.
OUTCOMES = ("done", "cured", "failed", "not_sent", "unknown", "decided")
GUARDRAILS = tuple(rule.name for rule in RULES)
MESSAGES = ("person", "update", "news", "trouble", "approver", "notice")
DELIVERIES = ("told", "unreachable")
DECISIONS = (
    "incident.opened", "incident.reopened", "incident.acknowledged", "incident.taken_over", "incident.retried",
    "attempt.raised", "attempt.began", "claim.taken", "proposal.made", "acts.paused", "acts.resumed",
    "approval.asked", "approval.granted", "approval.denied", "approval.expired",
)  # fmt: skip
ENDINGS = (*(ending.value for ending in Ending), "resolved")  # resolved: by a person

Counts = dict[tuple[str, ...], int]


class TrailCounts:
    """Follows the trail from the first read on. Not for several threads at once.

    Every gateway counts the same entries: of several, take the largest, not the sum.
    """

    def __init__(self) -> None:
        self.intents = 0
        self.outcomes: Counts = dict.fromkeys(((value,) for value in (*OUTCOMES, OTHER)), 0)
        self.refusals: Counts = dict.fromkeys(((value,) for value in (*GUARDRAILS, OTHER)), 0)
        self.decisions: Counts = dict.fromkeys(((value,) for value in (*DECISIONS, OTHER)), 0)
        self.endings: Counts = dict.fromkeys(((value,) for value in (*ENDINGS, OTHER)), 0)
        self.messages: Counts = {(kind, delivery): 0 for kind in MESSAGES for delivery in DELIVERIES}
        self._at: tuple[int, int] | None = None  # the store's generation, the last entry that was counted

    def follow(self, tx: Tx) -> None:
        """Count what was written since the last read. A store that was restored is followed from its head on."""
        head = trail.head(tx)
        seq, now = (head.seq if head is not None else 0), generation(tx)
        if self._at is None or self._at[0] != now or self._at[1] > seq:
            self._at = (now, seq)
            return
        for entry in trail.entries(tx, after=self._at[1], limit=MOST):
            self._count(entry)
            self._at = (now, entry.seq)  # after each: a read that breaks off counts nothing twice

    def _count(self, entry: Entry) -> None:
        before, _, ending = entry.what.rpartition(".")
        if entry.phase == "intent":
            self.intents += 1
        elif "guardrail" in entry.data and ending == "refused":
            _add(self.refusals, entry.data["guardrail"])
        elif entry.phase == "decision":
            _add(self.decisions, entry.what)
        elif "act" in entry.data:
            _add(self.outcomes, ending)
        elif before == "incident":
            _add(self.endings, ending)
        elif "message" in entry.data and (before, ending) in self.messages:
            self.messages[before, ending] += 1


def _add(counts: Counts, value: object) -> None:
    key = (str(value),)
    counts[key if key in counts else (OTHER,)] += 1


def labels(counts: Mapping[tuple[str, ...], int]) -> list[tuple[list[str], int]]:
    """The counts with their label values as prometheus_client takes them."""
    return [(list(key), value) for key, value in counts.items()]
