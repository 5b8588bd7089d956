"""What a roll-back leaves on its workload: from which release it led to which, so that it can be undone without other memory."""

import json
from dataclasses import dataclass

from paramedic.kubernetes.workload import ROLLED_BACK, Workload, digest, without_restart


@dataclass(frozen=True, slots=True)
class Mark:
    """The annotation of the workload."""

    left: str  # the release that it had
    to: str  # the release that it was given
    at: str  # when, which tells one mark from another
    is_undone: bool = False  # whether `left` was rolled back to, and this was the way forward again

    def __str__(self) -> str:
        undone = {"undone": True} if self.is_undone else {}
        return json.dumps({"left": self.left, "to": self.to, "at": self.at, **undone})


def release_of(template: object) -> str:
    """What tells one release from another: a restart makes no other."""
    return digest(without_restart(template))


def mark_of(workload: Workload) -> Mark | None:
    """The mark of the last roll-back; None where there was none, or the workload has another release than it led to."""
    try:
        found = json.loads(str(workload.annotations.get(ROLLED_BACK) or "{}"))
        left, to, at = (str(found[key]) for key in ("left", "to", "at"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if to != release_of(workload.spec["template"]):
        return None
    return Mark(left, to, at, found.get("undone") is True)
