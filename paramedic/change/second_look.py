"""A second, smaller look at the target after a failed verification: its log's newest lines, and what the last look answered."""

import logging
from datetime import timedelta

from paramedic.catalog import target_kinds
from paramedic.change.gathering import gather
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.incidents.evidence import Evidence
from paramedic.kinds.evidence import LOG_TAIL
from paramedic.machine.clock import utc_now
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
    seen += [run.of_its_host] if run.of_its_host is not None else []
    try:
        with run.store.record() as tx:
            for piece in seen:
                evidence.keep(tx, run.incident.number, run.attempt, piece)
    except StoreUnavailable as error:
        log.warning("what %s showed after the change could not be kept: %s", run.target.id, error)


def _looks(run: PlaybookRun) -> list[Evidence]:
    """What can be read in time; what cannot is logged and left out, for the change is verified already."""
    seen = []
    for look in gather(run.target, _kinds(run), since=run.incident.opened_at, patience=PATIENCE):
        if look.piece is None:
            log.info("%s of %s could not be read after the change: %s", look.kind, run.target.id, look.fault)
            continue
        newest = "\n".join(look.piece.body.rstrip("\n").split("\n")[-_LINES:])
        seen.append(Evidence(f"{look.kind} after the change", look.piece.taken_at, redact_end(newest, _CHARACTERS)))
    return seen


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
