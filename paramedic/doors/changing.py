"""The door to changes in production. Only `tasks/act` may use it."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, cast

from paramedic.doors import integration, reading
from paramedic.doors.transports import transport
from paramedic.errors import PermanentError
from paramedic.kinds.faces import TargetChanger
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.target import Target


def changer(
    target: Target, total_timeout: timedelta = timedelta(seconds=30), *, act: str | None = None
) -> TargetChanger:
    """The changer of this target; no call takes longer than `total_timeout`. Raises PermanentError if its kind has none.

    `act`: the id of the change, which another machine keeps a mark of.
    """
    changes = integration("targets", target.kind, "Changer")
    return cast("TargetChanger", changes(target, transport(target, act), total_timeout))


class Releases(Protocol):
    """Rolls one target back to a release that worked."""

    def roll_back(self, expected: str, last_look: Callable[[], None], *, approved: bool) -> str:
        """Go back once from the release `expected` to the last healthy one, and say which; the target runs on as it is.

        `approved`: a person has approved this very roll-back. `last_look` and the errors are as at `TargetChanger.restart`.
        """

    def undo(self, expected: str, last_look: Callable[[], None]) -> str:
        """Go forward again from `expected`, which the last roll-back made current, to the release that it left, and say which."""


def releases(target: Target, total_timeout: timedelta = timedelta(seconds=30), *, act: str | None = None) -> Releases:
    """The Releases of this target. Raises PermanentError if its kind keeps none and services.yaml names no folder for them.

    `act`: as for `changer`.
    """
    if reading.keeps_releases(target):
        return cast("Releases", changer(target, total_timeout, act=act))
    if target.releases is None:
        raise PermanentError(f"services.yaml names no `releases` for {target.id}")
    must_be_closed("a target is rolled back")
    from paramedic.integrations.remedies import release_folder

    return release_folder.Changer(target, transport(target), total_timeout)


class Command(Protocol):
    """Runs one command that services.yaml declares."""

    @property
    def output(self) -> str:
        """The end of what it printed, once `run` has returned or raised: text from outside, which may hold secrets."""

    def run(self, last_look: Callable[[], None]) -> None:
        """Run it once, to its end. `last_look` and the errors are as at `TargetChanger.restart`."""


def command(target: Target, name: str, within: timedelta = timedelta(seconds=30), *, act: str | None = None) -> Command:
    """The Command of this name. Raises PermanentError if services.yaml declares none of that name for the target.

    `act`: as for `changer`.
    """
    declared = target.commands.get(name)
    if declared is None:
        there = ", ".join(target.commands) or "none"
        raise PermanentError(f"services.yaml declares no command {name!r:.80} for {target.id}; there are: {there}")
    must_be_closed("a command is run")
    from paramedic.integrations.remedies import command as declared_command

    return declared_command.Changer(target, declared, transport(target, act), os.environ, within)
