"""A remedy: a change that may heal a target. A runbook lists remedies as a ladder, each verified before the next."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from paramedic.machine.clock import spoken


class Verb(StrEnum):
    """The kinds of change to a target; `tasks/act.py` has one step for each."""

    RESTART = "restart"
    ROLL_BACK = "roll_back"
    RUN = "run"
    OFFERED = "offered"
    UNDO = "undo"  # what a remedy before has changed: no ladder names it


@dataclass(frozen=True, slots=True)
class Remedy:
    """One rung of the ladder: what is done, and under which condition."""

    rung: int  # from 1
    verb: Verb
    deployed_within: timedelta | None = None  # a roll-back on cause: only if something was deployed so recently
    command: str | None = None  # which of the target's commands is run
    offered: str | None = None  # which remedy of its kind's own, beside `restart`
    asked: Any = (
        None  # what the runbook writes after its name, for its kind alone; its texts may have `{label}` in them
    )
    undoes: "Remedy | None" = None  # the one of the ladder that is undone

    @property
    def name(self) -> str:
        """Its name in the runbook."""
        if self.verb is Verb.RUN:
            return f"run: {self.command}"
        if self.undoes is not None:
            return f"undo the {self.undoes.on_trail}"
        if self.offered is not None:
            return self.offered
        if self.verb is Verb.ROLL_BACK:
            within = self.deployed_within
            return "rollback" if within is None else f"rollback-if-deployed-within: {spoken(within)}"
        return str(self.verb)

    @property
    def on_trail(self) -> str:
        """Its name on the trail: that of the verb that carries it out, or its own where the verb has several."""
        return self.name if self.verb in (Verb.RUN, Verb.OFFERED) else str(self.verb)

    @property
    def of_its_kind(self) -> str | None:
        """What the target's owner is asked for, by the name of the method; None for a command. A roll-back ends in a restart."""
        return self.offered or (None if self.verb is Verb.RUN else str(Verb.RESTART))

    @property
    def word(self) -> str:
        """Its name in `guardrails.approval`."""
        return "rollback-if-deployed-within" if self.deployed_within is not None else self.name


#: A rung so much higher than that of a remedy is the one of its undoing.
UNDO_RUNG = 1000


def undo_of(remedy: Remedy, undoable: Collection[str] = ()) -> Remedy | None:
    """What undoes the remedy; None where nothing can: a restart is over.

    `undoable`: those of the remedies of the target's kind that can be undone.
    """
    if remedy.verb is not Verb.ROLL_BACK and remedy.offered not in undoable:
        return None
    return Remedy(UNDO_RUNG + remedy.rung, Verb.UNDO, undoes=remedy)


_DONE = {"undo": "undid the last change of", "restart": "restarted", "reload": "reloaded", "roll_back": "rolled back"}


def done(remedy: str) -> str:
    """A remedy by its name on the trail, as what was done: `restarted`, `did scale`."""
    return _DONE.get(remedy, f"ran {remedy.removeprefix('run: ')}" if remedy.startswith("run: ") else f"did {remedy}")


def would_have(remedy: str, target: str) -> str:
    """A remedy by its name in the runbook, after "would have": `restarted web-1/shop`, `run flush on web-1/shop`."""
    if remedy.startswith("run: "):
        return f"run {remedy.removeprefix('run: ')} on {target}"
    word = "rolled back" if remedy.startswith("rollback") else _DONE.get(remedy)
    return f"done {remedy} on {target}" if word is None else f"{word} {target}"


#: The ladder of a runbook that names none.
RESTART = Remedy(1, Verb.RESTART)
