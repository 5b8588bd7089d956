"""What touches production. Only `tasks/act` may come through here."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, cast

from paramedic.doors import integration
from paramedic.target import Identity, Target


class Changer(Protocol):
    """Changes one target through the system that owns it."""

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the life `expected` once, and say which life there is now.

        `last_look` is the last thing called before the first byte leaves; its exception stops the restart. Refused and
        TryAgain: nothing was sent. Useless: the words tell. Unknown: it was sent, and its outcome is open.
        """


def changer(target: Target, total_timeout: timedelta = timedelta(seconds=30)) -> Changer:
    """What can change this target, no call longer than `total_timeout`. Raises Useless if nothing changes its kind."""
    return cast("Changer", integration(target.kind, "Changer")(target, total_timeout))
