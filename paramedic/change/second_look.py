"""A second, smaller look at the target after a failed verification: its log's newest lines, and what the last look answered."""

import logging
import threading
from datetime import timedelta
from functools import partial

from paramedic.catalog import target_kinds
from paramedic.catalog.target_kinds import LOG_TAIL
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.evidence import Evidence
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.target import Target
from paramedic.store import StoreUnavailable, evidence
from paramedic.text.redaction import redact, redact_end

log = logging.getLogger(__name__)

#: How long the look may take in all: the page, or the next remedy, waits for it.
PATIENCE = timedelta(seconds=2)

#: Where a kind of target offers it, it is the target's log.
_JOURNAL = "journal"

#: Of each log so many lines and characters are kept, the newest.
_LINES, _CHARACTERS = 40, 8_000


def keep_what_is_seen(run: PlaybookRun, answer: str) -> None:
    """Keep, as evidence of this attempt, the `answer` of the last look and the newest lines of the target's logs.

    What cannot be read within PATIENCE is left out. Never raises: whatever becomes of the look changes nothing.
    """
    seen = [Evidence("answer after the change", utc_now(), redact(answer)), *_looks(run)]
    try:
        with run.store.record() as tx:
            for piece in seen:
                evidence.keep(tx, run.incident.number, run.attempt, piece)
    except StoreUnavailable as error:
        log.warning("what %s showed after the change could not be kept: %s", run.target.id, error)


def _looks(run: PlaybookRun) -> list[Evidence]:
    """What can be read in time, each piece in a thread of its own: one that hangs delays no other."""
    seen: list[Evidence] = []
    threads = [
        threading.Thread(target=partial(_read, run.target, kind, seen), name=kind, daemon=True) for kind in _kinds(run)
    ]
    ends_at = boottime() + PATIENCE.total_seconds()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at - boottime()))
    return list(seen)  # as it is now: a thread that comes later changes it no more


def _kinds(run: PlaybookRun) -> list[str]:
    """The target's logs, and what the runbook asks for of which the end is the newest."""
    kinds = [LOG_TAIL] if run.target.log is not None else []
    try:
        kinds += [kind for kind in (_JOURNAL,) if kind in target_kinds.evidence(run.target.kind)]
        asked = (kind for kind in run.runbook.evidence if kind != LOG_TAIL)
        kinds += [kind for kind in asked if not reading.begins_with_most(run.target, kind)]
    except PermanentError as error:
        log.info("of %s only the log is read after the change: %s", run.target.id, error)
    return list(dict.fromkeys(kinds))


def _read(target: Target, kind: str, seen: list[Evidence]) -> None:
    """Add the evidence to `seen`; what cannot be read is logged and left out, for the change is verified already."""
    try:
        body = reading.log_tail(target) if kind == LOG_TAIL else reading.evidence(target, kind)
    except (TemporaryError, PermanentError) as error:
        log.info("%s of %s could not be read after the change: %s", kind, target.id, error)
        return
    except Exception:  # a plug-in's edge: a second look must not spoil what was verified
        log.exception("%s of %s could not be read after the change", kind, target.id)
        return
    words = redact(body)
    newest = "\n".join(words.rstrip("\n").split("\n")[-_LINES:])
    seen.append(Evidence(f"{kind} after the change", utc_now(), redact_end(newest, _CHARACTERS)))
