"""Kill points: places where a test stops a process, to kill it there. Without PARAMEDIC_BOUNDARIES they do nothing."""

import json
import os
import time
from pathlib import Path

#: In the order in which an alert meets them.
POINTS = (
    "alert_committed",
    "triaged",
    "outbox_written",
    "run_created",
    "claimed",
    "evidence_taken",
    "approval_asked",
    "suspended",
    "approval_decided",
    "intent_written",
    "act_sent",
    "outcome_written",
    "verified",
    "told",
    # Of each message, whoever sends it; the subject is its incident's name.
    "message_taken",
    "message_left",
    # Of retention and restore, which no alert meets.
    "restore_staged",
    "store_emptied",
    "store_put",
    "segment_written",
    "entries_removed",
    "rows_removed",
)


def kill_point(point: str, subject: str = "") -> None:
    """Block here, if a test has armed this point for this subject, until the test releases it."""
    folder = os.environ.get("PARAMEDIC_BOUNDARIES")
    if folder is None:
        return
    if point not in POINTS:
        raise ValueError(f"{point!r} is not a kill point; there are {', '.join(POINTS)}")
    armed = Path(folder) / point
    try:
        wanted = armed.read_text()
        if wanted not in ("", subject):
            return
        armed.rename(armed.with_suffix(".caught"))
    except FileNotFoundError:
        return
    written = armed.with_suffix(".writing")
    written.write_text(json.dumps({"pid": os.getpid(), "point": point, "subject": subject}))
    written.rename(armed.with_suffix(".reached"))
    go = armed.with_suffix(".go")
    while not go.exists() and armed.parent.exists():
        time.sleep(0.01)
