"""The remedies that a kind of target offers by name, and their methods."""

import re
from types import ModuleType

#: What a runbook writes for a remedy that no kind owns, and what a class has anyway: no remedy of a kind is called so.
_TAKEN_REMEDIES = frozenset({"rollback", "roll_back", "run", "offered", "identity"})
_REMEDY = re.compile(r"[a-z][a-z0-9_]{0,39}")

#: Remedies after which another instance runs, of a kind that does not say which of its own do so (`RENEWS`).
RENEWING = ("restart", "stop_and_start")


def remedies_fault(module: ModuleType) -> str | None:
    """What is wrong with the names of the remedies that the kind offers, and of those that it can undo; None where nothing is."""
    remedies = getattr(module, "REMEDIES", None)
    if not isinstance(remedies, list | tuple | set | frozenset):
        return "its 'REMEDIES' is not a list of names"
    for name in remedies:
        if not isinstance(name, str) or not _REMEDY.fullmatch(name) or name in _TAKEN_REMEDIES:
            return f"its 'REMEDIES' has {name!r:.80}: a name is small letters, digits and `_`, and has no meaning yet"
        if isinstance(module.Changer, type) and not callable(getattr(module.Changer, name, None)):
            return f"its 'Changer' has no method {name!r}, which 'REMEDIES' names"
    for name in getattr(module, "UNDOES", ()):
        if isinstance(module.Changer, type) and not callable(getattr(module.Changer, f"undo_{name}", None)):
            return f"its 'Changer' has no method 'undo_{name}', and 'UNDOES' names {name}"
    for name in getattr(module, "RENEWS", ()):
        if name not in remedies:
            return f"its 'RENEWS' has {name!r:.80}, which 'REMEDIES' does not name"
    return None
