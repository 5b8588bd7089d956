"""What is seen of a target, as lines for a log: one for each change of what is seen, not for each sample."""

import re
from collections.abc import Callable

from paramedic.remediation.health import Health, Sight

_WORDS = {Sight.WELL: "seen well", Sight.FAILING: "seen failing", Sight.UNKNOWN: "cannot be seen"}

#: A measured quantity: it is another one at nearly each look. A status or an exit code is not.
_QUANTITY = re.compile(r"\d[\d,.]{0,30}\s?(?:%|[µnm]?s|m|h|d|[kMGT]?i?B)(?![\w])")

#: A target that is well and failing by turns fills no log: of one step so many lines are written.
_LINES = 40


class SeenLog:
    """Says what each look shows, if it is another than the one before it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last: tuple[Sight, str] | None = None
        self._lines = 0

    def see(self, health: Health) -> None:
        """Say it, with its numbers, unless only a measured quantity has changed."""
        shown = health.sight, _QUANTITY.sub("#", health.why)
        if shown == self._last:
            return
        self._last = shown
        self._lines += 1
        if self._lines <= _LINES:
            self._say(f"{_WORDS[health.sight]}: {health.why}")
        elif self._lines == _LINES + 1:
            self._say("it goes on changing; further changes are not written here")
