"""A playbook that cannot be imported: its incident goes to a person at once, with the cause.

Another attempt would meet the same file.
"""

import contextlib
import errno
import traceback
from pathlib import Path
from typing import Any

from paramedic.catalog import runbook_file
from paramedic.incidents.incident import State, parse_ref
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.settings import ROOT
from paramedic.store import Store, incidents, lifecycle, runbook_versions
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.text.yaml_document import BadDocument

#: The machine was in the way, not the file: another attempt may have it.
_PASSES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ENOSPC, errno.EAGAIN, errno.EINTR, errno.ESTALE)

#: So much of an error's own words is told.
_LONGEST = 300


def hand_over(store: Store, flow_run: str, parameters: Any, error: Exception) -> bool:
    """Hand over the incident of a run whose flow could not be loaded; False where it is not its incident's newest attempt.

    So it is where the run is not a playbook's, where a person has the incident, and where the error may pass by itself.
    Raises StoreUnavailable.
    """
    root = _root(error)
    if isinstance(root, MemoryError) or (isinstance(root, OSError) and root.errno in _PASSES):
        return False
    try:
        named, number = parse_ref(str(parameters["run"]["incident"]))
        attempt = int(parameters["run"]["attempt"])
    except (LookupError, TypeError, ValueError):
        return False
    if named != store.uuid:
        return False
    with store.read() as tx:
        text = runbook_versions.runbook_text(tx, incidents.get(tx, number).runbook_version or "")
    because = words(_playbook(text), error)  # reads the file's lines: not inside a transaction
    with store.record() as tx:
        incident = incidents.get(tx, number)
        if incident.attempt != attempt or incident.state not in (State.OPEN, State.WORKING):
            return False
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, because), actor=f"run:{flow_run}")
    return True


def words(playbook: str, error: BaseException) -> str:
    """What a person is told: which playbook, why, in which line, and where to look."""
    root = _root(error)
    cause = one_line(redact(f"{type(root).__name__}: {root}"))[:_LONGEST]
    return f"the playbook {playbook} cannot be imported: {cause}{_place(root)}; `paramedic playbook lint {playbook}` says more"


def _root(error: BaseException) -> BaseException:
    """The error of the file itself: Prefect may have wrapped it."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return error


def _place(error: BaseException) -> str:
    """The last place in a playbook's file that the error came through."""
    if isinstance(error, SyntaxError):
        return ""  # its own words have it
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_a_library(frame.filename)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _is_a_library(file: str) -> bool:
    path = Path(file)
    ours = any(path.is_relative_to(ROOT / room) for room in ("paramedic", "tasks"))
    return ours or file.startswith("<") or "site-packages" in path.parts or "importlib" in path.parts


def _playbook(text: str) -> str:
    with contextlib.suppress(BadDocument):
        return runbook_file.parse(text, "runbook.md").playbook
    return "of this incident"
