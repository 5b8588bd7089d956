"""Is a host down, or only the way from us to it? What other hosts see of it decides, by their majority."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: What a try to connect shows of the other side, by its error: an answer, or that none came. Any other error is about who tries.
_ANSWERS = (errno.ECONNREFUSED, errno.ECONNRESET)
_NO_ANSWER = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN)
_BY_WORDS = {os.strerror(number): number in _ANSWERS for number in (*_ANSWERS, *_NO_ANSWER)}

#: In place of an error, where a try was given up.
NO_ANSWER = os.strerror(errno.ETIMEDOUT)


class Reach(StrEnum):
    """What is known of a host that takes no login of ours."""

    UP = "the host answers"
    ONLY_WE = "only we cannot reach it"
    DOWN = "the host is down"
    OPEN = "whether the host is down is open"


@dataclass(frozen=True, slots=True)
class View:
    """What one machine sees of the host."""

    viewer: str
    sees: bool | None  # None: it could not be asked, or could not tell
    words: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the views say together, and in words."""

    reach: Reach
    words: str


def answers(error: str) -> bool | None:
    """Whether a connection that failed with this error (`strerror`'s words) was answered; None where that is not told."""
    return _BY_WORDS.get(error)


def together(tries: Sequence[bool | None]) -> bool | None:
    """What tries of several addresses show: one that is answered is enough."""
    if any(tries):
        return True
    return False if False in tries else None


def judged(host: str, ours: View, others: Sequence[View]) -> Verdict:
    """Up where it answers us; else as more than half of the others have it that could tell, and open without such a majority."""
    if ours.sees:
        return Verdict(Reach.UP, f"the host {host} is not down: it answers, and only the login by SSH does not work")
    seeing = [view.viewer for view in others if view.sees]
    blind = [view.viewer for view in others if view.sees is False]
    silent = [view.viewer for view in others if view.sees is None]
    if len(seeing) > len(blind):
        reach, words = Reach.ONLY_WE, f"only we cannot reach {host}: {_listed(seeing)} can"
        words += f", {_listed(blind)} cannot" if blind else ""
    elif len(blind) > len(seeing):
        reach, words = Reach.DOWN, f"the host {host} is down: neither we nor {_listed(blind)} can reach it"
        words += f"; {_listed(seeing)} can" if seeing else ""
    elif seeing:
        reach, words = Reach.OPEN, f"whether the host {host} is down is open: {_listed(seeing)} can reach it"
        words += f", we and {_listed(blind)} cannot"
    else:
        reach, words = Reach.OPEN, f"whether the host {host} is down is open"
        words += "" if silent else ": `seen_from` in services.yaml names no other host to ask"
    return Verdict(reach, words + (f"; {_listed(silent)} could not tell" if silent else ""))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
