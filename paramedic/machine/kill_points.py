"""Kill points: places where a test stops a process, to kill it there. Without PARAMEDIC_KILL_POINTS they do nothing."""

import json
import os
import time
from pathlib import Path
from urllib.parse import quote

#: The folder in which tests arm kill points.
VARIABLE = "PARAMEDIC_KILL_POINTS"

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
    "revert_made",  # of a roll-back by a repository alone: the commit is there, and was not pushed
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


def armed_file(point: str, subject: str = "") -> str:
    """The name of the file that arms the point for this subject; without one, for whatever comes next."""
    return f"{point}@{quote(subject, safe='')}" if subject else point


def kill_point(point: str, subject: str = "") -> None:
    """Block here, if a test has armed this point for this subject, until the test releases it."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return
    if point not in POINTS:
        raise ValueError(f"{point!r} is not a kill point; there are {', '.join(POINTS)}")
    for name in dict.fromkeys((armed_file(point, subject), point)):
        armed = Path(folder) / name
        try:
            armed.rename(f"{armed}.caught")  # one process blocks here: those that come later pass
        except FileNotFoundError:
            continue
        _block(armed)
        return


def _block(armed: Path) -> None:
    written = Path(f"{armed}.writing")
    written.write_text(json.dumps({"pid": os.getpid()}))
    written.rename(f"{armed}.reached")
    go = Path(f"{armed}.go")
    while not go.exists() and armed.parent.exists():
        time.sleep(0.01)
