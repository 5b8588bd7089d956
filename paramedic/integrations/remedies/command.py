"""Declared commands: a program and its arguments from services.yaml, on the target's machine, without a shell."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.kinds.transport import GUARD, OutOfTime, Transport
from paramedic.kinds.transport import Command as Program
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Command, Target
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

#: So much of what the command said is in the words of an error.
_WORDS = 1_000

_KILLED = (137, -9)


def prepared(
    target: Target, command: Command, transport: Transport, variables: Mapping[str, str], within: timedelta
) -> Program:
    """The command, ready to be started on the target's machine; nothing runs yet.

    Raises PermanentError where its program, its folder or one of its variables is not there.
    """
    if absent := [variable for variable in command.environment if variable not in variables]:
        raise PermanentError(f"{_name(target, command)} needs {absent[0]}, which is not set here")
    environment = {variable: variables[variable] for variable in command.environment}
    return transport.command(command.run, cwd=command.cwd, environment=environment, killed_after=within + GUARD)


class Changer:
    """Runs one declared command of a target. `variables`: those of Paramedic, of which it gets what is declared."""

    def __init__(
        self,
        target: Target,
        command: Command,
        transport: Transport,
        variables: Mapping[str, str],
        total_timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        self._target = target
        self._command = command
        self._transport = transport
        self._variables = variables
        self._within = min(command.timeout, total_timeout)
        self._over = f"was ended after {spoken(self._within)}, and what it did by then is open"
        self._output = ""

    @property
    def output(self) -> str:
        """The end of what the command printed, as it printed it: text from outside, which may hold secrets."""
        return self._output

    def run(self, last_look: Callable[[], None]) -> None:
        """Run the command once, to its end: exit code 0 within its time-out, or within `total_timeout` if that is shorter.

        `last_look` is called once everything is ready, and its exception stops it: only the start of the command
        follows. The command goes on if this process dies, and is ended after its time by a guard on its machine.

        Nothing ran if it raises Refused or TemporaryError. PermanentError: the command failed, or cannot be run at all; the
        message says which. OutcomeUnknown: its time was over and its process group was ended, whatever it had done by then.
        """
        command, name = self._command, _name(self._target, self._command)
        deadline = boottime() + self._within.total_seconds()
        with prepared(self._target, command, self._transport, self._variables, self._within) as program:
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._within)} for {name} were over before it was started")
            program.start()
            kill_point("act_sent", self._target.id)
            try:
                ended = program.end(deadline)
            except OutOfTime as error:
                self._output = error.output.rstrip("\n")
                raise OutcomeUnknown(f"{name} {self._over}: {_excerpt(error.output)}") from error
        self._output = "\n".join(filter(None, (ended.output.rstrip("\n"), ended.errors.rstrip("\n"))))
        if ended.limited or (ended.code in _KILLED and boottime() >= deadline):  # by the guard, while we stood still
            raise OutcomeUnknown(f"{name} {self._over}: {_excerpt(ended.errors or ended.output)}")
        if ended.code != 0:
            raise PermanentError(f"{name} ended with {ended.code}: {_excerpt(ended.errors or ended.output)}")


def _name(target: Target, command: Command) -> str:
    return f"the command {command.name} of {target.id}"


def _excerpt(words: str) -> str:
    return one_line(redact(words))[-_WORDS:] or "it said nothing"
