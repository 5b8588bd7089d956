"""Changes of a process by its pid file: signals to the very instance that was judged, compared once more where they are sent."""

import time
from collections.abc import Callable
from datetime import timedelta

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds import process_target
from paramedic.kinds.transport import Ended, OutOfTime, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.processes.going_on import goes_on
from paramedic.processes.pid_file import Reader, began_of
from paramedic.processes.pid_words import Words
from paramedic.remediation.target import Identity, Target, same_instance
from paramedic.text.sanitize import one_line

#: A killed process is gone so soon, unless the kernel cannot end it.
_KILLED_WITHIN = timedelta(seconds=3)

#: A restart needs so much time beside the one to stop: to end what is killed, to start, to write the pid file.
_AFTER_STOP = timedelta(seconds=8)

#: A guard that outlives us ends the script so long after its time is over, if we are not there to do it.
_GUARD = timedelta(seconds=5)

_AGAIN_SECONDS = 0.1

#: How the script ends, but for 0.
_GONE, _FORBIDDEN, _UNENDING, _UNSTARTED = 3, 4, 5, 6

# Its arguments: pid and start of the judged instance (an empty pid: none ran), the signal, in how many tenths of a second it has
# to end ("" where it is not to end), in how many more once it is killed; then the program that starts it. What is compared
# last is compared where the signal is sent. A zombie has ended: only its parent has not noticed.
_SCRIPT = """
pid=$1 began=$2 signal=$3 patience=$4 killed=$5; shift 5
alive() {
s=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
set -- ${s##*)}
case $1 in Z|X|x) return 1;; esac
[ "${20}" = "$began" ]
}
ends_within() {
n=0
while alive; do [ "$n" -lt "$1" ] || return 1; n=$((n + 1)); sleep 0.1; done
}
if [ -n "$pid" ]; then
alive || exit 3
kill -s "$signal" "$pid" || exit 4
[ -n "$patience" ] || exit 0
ends_within "$patience" || { kill -s KILL "$pid"; ends_within "$killed"; } || exit 5
fi
[ "$#" -eq 0 ] || "$@" </dev/null || { c=$?; echo "$1 ended with $c" >&2; exit 6; }
"""


class Changer:
    """Restarts or reloads one process. `did`: what came of a reload."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._words: Words = target.words
        self._transport = transport
        self._total = total_timeout
        self._reader = Reader(target, transport, min(total_timeout, timedelta(seconds=5)))
        self.did = ""

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """End the instance `expected`, have it started again, and say which instance its pid file names then.

        It gets SIGTERM, and SIGKILL after `stop_within`. Then `start` runs; without it somebody else has to start it. The machine
        carries this out to its end, whatever becomes of this process. `last_look` is called once everything is ready, and its
        exception stops the restart.

        Nothing was sent if it raises Refused (another instance, also where the machine finds that at the signal itself; too
        little time) or TemporaryError. PermanentError: it failed, or cannot be done, as the message says. OutcomeUnknown: it
        was sent, and its outcome is open.
        """
        self._must_not_be_by_sudo()
        target, words, start = self._target, self._words, self._words.start or []
        if words.stop_within + _AFTER_STOP > self._total:
            raise Refused(
                f"{target.id} has {spoken(words.stop_within)} to stop, and this change may last {spoken(self._total)} in all",
                by_hand="give it a shorter `stop_within`, or changes a longer PARAMEDIC_ACT_DEADLINE",
            )
        if not process_target.has_process(expected) and not start:
            raise PermanentError(
                f"{target.id} is {expected.state}, and services.yaml names no `start` for it: what else starts it has not done so"
            )
        if start:
            with self._transport.command(start):  # nothing is stopped that cannot be started
                pass
        deadline = boottime() + self._total.total_seconds()
        ended = self._sent("restart", "TERM", words.stop_within, expected, last_look, deadline)
        self._judge(ended, "restart")
        return self._comes_up(expected, deadline)

    def reload(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Send the instance `expected` the signal that services.yaml names; returns that instance, which goes on.

        As `restart`, but that nothing is sent, and PermanentError raised, where no signal is named or the process does not run. A
        process that died by it is a PermanentError too: it is looked at for a second.
        """
        self._must_not_be_by_sudo()
        target, signal = self._target, self._words.reload
        if signal is None:
            raise PermanentError(
                f"services.yaml names no signal by which {target.id} reloads: `reload: HUP` beside its name"
            )
        if expected.state != "running":
            raise PermanentError(f"{target.id} is {expected.state}: only a process that runs can be reloaded")
        deadline = boottime() + self._total.total_seconds()
        self._judge(self._sent("reload", signal, None, expected, last_look, deadline), "reload")

        def judge(now: Identity) -> None:
            if not same_instance(now.instance, expected.instance):
                raise PermanentError(f"{target.id} died by its reload, the signal {signal}: it is {now.state} now")

        after = goes_on(target.id, self._reader.identity, judge, deadline)
        self.did = f"{target.id} got the signal {signal}, and process {after.instance['pid']} goes on"
        return after

    def _sent(  # noqa: PLR0917 - what is sent, to whom, until when
        self,
        verb: str,
        signal: str,
        patience: timedelta | None,
        expected: Identity,
        last_look: Callable[[], None],
        deadline: float,
    ) -> Ended:
        """How the script ended. Raises as `restart` does before it knows."""
        target = self._target
        pid = process_target.process_of(expected)[0]
        who = ("", "") if pid is None else (str(pid), str(began_of(expected)))
        times = ("" if patience is None else _tenths(patience), _tenths(_KILLED_WITHIN))
        start = () if patience is None else tuple(self._words.start or ())
        arguments = ("sh", "-c", _SCRIPT, "sh", *who, signal, *times, *start)
        with self._transport.command(arguments, killed_after=self._total + _GUARD) as program:
            self._check(expected, self._reader.identity())
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for {verb}ing {target.id} were over before it was sent")
            program.start()
            kill_point("act_sent", target.id)
            try:
                return program.end(deadline)
            except OutOfTime as error:
                raise OutcomeUnknown(
                    f"the {verb} of {target.id} was begun and had not ended after {spoken(self._total)}: "
                    f"{one_line(error.output)[-300:]}"
                ) from error

    def _must_not_be_by_sudo(self) -> None:
        if self._transport.by_sudo:
            raise PermanentError(f"{self._target.id}: {BY_SUDO.format(user=self._words.user)}")

    def _check(self, expected: Identity, now: Identity) -> None:
        """Raises TargetChanged for another instance than the judged one."""
        if not same_instance(now.instance, expected.instance):
            was, is_now = process_target.process_of(expected), process_target.process_of(now)
            raise TargetChanged(
                f"{self._target.id} is no longer the one that was judged: pid {was[0]} since {was[1]} then, "
                f"pid {is_now[0]} since {is_now[1]} now"
            )

    def _judge(self, ended: Ended, verb: str) -> None:
        """Raises where the script did not come to its end."""
        target, said = self._target, one_line(ended.errors or ended.output)[-300:]
        match ended.code:
            case 0:
                return
            case code if code == _GONE:
                raise TargetChanged(
                    f"{target.id} was no longer the one that was judged where the signal was to be sent"
                )
            case code if code == _FORBIDDEN:
                raise PermanentError(
                    f"the process of {target.id} may not be signalled: {said}; its user is {self._words.user}"
                )
            case code if code == _UNENDING:
                raise PermanentError(f"{target.id} did not end, though it was killed: the kernel holds it ({said})")
            case code if code == _UNSTARTED:
                raise PermanentError(f"{target.id} was stopped, and did not start: {said}; {self._state_now()}")
        raise OutcomeUnknown(
            f"the {verb} of {target.id} was sent, and its outcome is open: {said or f'code {ended.code}'}"
        )

    def _comes_up(self, before: Identity, deadline: float) -> Identity:
        """The new instance that its pid file names. Raises PermanentError where none is named in time."""
        while True:
            why = ""
            try:
                now = self._reader.identity()
                if process_target.restarted(before, now):
                    return now
                why = f"it is {now.state} now"
            except (TemporaryError, PermanentError) as error:  # the file may be of before, and is being written
                why = str(error)
            if boottime() >= deadline:
                by = "its `start` returned" if self._words.start else "it was ended"
                raise PermanentError(
                    f"{by}, and no new process of {self._target.id} is named by {self._words.pid_file} in "
                    f"{spoken(self._total)}: {why}"
                )
            time.sleep(_AGAIN_SECONDS)

    def _state_now(self) -> str:
        try:
            return f"it is {self._reader.identity().state} now"
        except (TemporaryError, PermanentError) as error:
            return f"its state is not known: {error}"


#: Why no change is made by sudo: root's right to a script, or to signal any pid, would be a right to everything.
BY_SUDO = (
    "a process is signalled by its own user, and never by sudo: list its host a second time without `sudo`, with `user: {user}` "
    "(or root) in its `ssh`"
)


def _tenths(span: timedelta) -> str:
    return str(max(1, round(span.total_seconds() * 10)))
