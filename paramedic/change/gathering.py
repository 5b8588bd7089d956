"""Gathers evidence of a target side by side: a kind that hangs, fails or is late keeps no other from being seen."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.evidence import Evidence, bounded
from paramedic.machine.clock import boottime, spoken, utc_now
from paramedic.remediation.target import Target
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

log = logging.getLogger(__name__)

#: The kind of the piece that says what could not be seen.
NOT_SEEN = "not-seen"

#: What a kind has gathered by its own time-out is still taken for so long, of each second that all have.
_SHARE_FOR_ANSWERS = 0.1

#: At most so many characters of what one kind could not see.
_LONGEST_REASON = 400


@dataclass(frozen=True, slots=True)
class Look:
    """One kind of evidence as it was gathered, redacted and bounded."""

    kind: str
    piece: Evidence | None  # None: nothing was there to see
    unseen: Sequence[str]  # what could not be seen, each with what would have shown it
    fault: str = ""  # why there is no piece


def gather(target: Target, kinds: Sequence[str], *, since: datetime, patience: timedelta) -> list[Look]:
    """Look by every kind, each in a thread of its own, for at most `patience` in all. In the order of `kinds`; never raises."""
    began = boottime()
    ends_at = began + patience.total_seconds()
    own_deadline = ends_at - patience.total_seconds() * _SHARE_FOR_ANSWERS
    seen: dict[str, Look] = {}

    def look(kind: str) -> None:
        seen[kind] = _look(target, kind, own_deadline, since)

    threads = {
        kind: threading.Thread(target=look, args=(kind,), name=f"evidence {kind}", daemon=True)
        for kind in dict.fromkeys(kinds)
    }
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, ends_at - boottime()))
    taken = dict(seen)  # as it is now: a thread that comes later changes it no more
    late = f"no answer within {spoken(patience)}"
    return [taken.get(kind) or Look(kind, None, (late,), late) for kind in threads]


def _look(target: Target, kind: str, deadline: float, since: datetime) -> Look:
    try:
        found = reading.gathered(target, kind, deadline, since)
        text = bounded(redact(found.text), from_beginning=found.from_beginning)
        piece = Evidence(kind, utc_now(), text, found.from_beginning)
        return Look(kind, piece, tuple(_reason(unseen) for unseen in found.unseen))
    except (TemporaryError, PermanentError) as error:
        fault = _reason(str(error))
    except Exception as error:  # a plug-in's edge: one that is wrong spoils no other
        log.exception("%s of %s could not be gathered", kind, target.id)
        fault = _reason(f"{type(error).__name__}: {error}")
    return Look(kind, None, (fault,), fault)


def _reason(text: str) -> str:
    return redact(one_line(text))[:_LONGEST_REASON]


def pieces(looks: Sequence[Look]) -> list[Evidence]:
    """The evidence to keep: each kind's piece, or why there is none; at the end what could not be seen, if anything."""
    kept = [look.piece or Evidence(look.kind, utc_now(), f"could not be taken: {look.fault}") for look in looks]
    if lines := unseen(looks):
        kept.append(Evidence(NOT_SEEN, utc_now(), bounded("\n".join(lines), from_beginning=True), from_beginning=True))
    return kept


def unseen(looks: Sequence[Look]) -> list[str]:
    """What could not be seen, one line each, with what would have shown it."""
    return [f"{look.kind}: {reason}" for look in looks for reason in look.unseen]
