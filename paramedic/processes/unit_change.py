"""Changes of a unit of systemd: one job each, of the instance that was judged or of none."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds import process_target
from paramedic.kinds.transport import GUARD, Ended, OutOfTime, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.processes import systemctl
from paramedic.processes.going_on import goes_on
from paramedic.processes.unit import Reader, identity_of, invocation_of, running, unreloadable
from paramedic.remediation.target import Identity, Target, same_instance
from paramedic.text.sanitize import one_line

#: What judges the unit's properties beside its instance, before anything is sent. Raises where the job cannot be given.
Judge = Callable[[Mapping[str, str]], None]


class Changer:
    """Restarts or reloads one unit. `did`: what came of a reload."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._transport = transport
        self._total = total_timeout
        self._reader = Reader(target, transport, min(total_timeout, timedelta(seconds=5)))
        self.did = ""

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the instance `expected` of the unit, by one systemd job; returns the new instance.

        `last_look` is called once everything is ready, and its exception stops the restart: only the start of systemctl
        follows it. systemd carries the job out to its end, whatever becomes of systemctl, of this process, and of
        `total_timeout`, which bounds only how long this call takes.

        Nothing was sent if it raises Refused (another instance, or another job is running) or TemporaryError.
        PermanentError says
        that systemd did not do it, or that the unit did not stay up, as the message says. OutcomeUnknown: it was sent, and its
        outcome is open.
        """
        deadline = boottime() + self._total.total_seconds()
        ended = self._given("restart", expected, last_look, deadline, lambda _: None)
        after = self._after(ended, "restart", "restarted")
        if not running(after) or invocation_of(after) == invocation_of(expected):
            raise PermanentError(
                f"systemd ended the restart of {self._target.id}, and it did not come up: it is {after.state} now"
            )
        return after

    def reload(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Have the instance `expected` of the unit reload, by one systemd job; returns that instance, which goes on.

        As `restart`, but that nothing is sent, and PermanentError raised, where the unit does not run, reloads already or has no
        way to reload. The proof is systemd's word for the job, its note that the unit was in another state for it, and a look
        of a second: systemd calls a reload done once its command has ended, and a signal that the program does not
        handle ends the unit after that, for systemd without a fault. Such a reload is a PermanentError too.
        """
        deadline = boottime() + self._total.total_seconds()
        noted: list[str | None] = []

        def judge(properties: Mapping[str, str]) -> None:
            self._must_be_reloadable(properties)
            noted.append(_changed_state(properties))

        ended = self._given("reload", expected, last_look, deadline, judge)
        if ended.code != 0:
            self._after(ended, "reload", "reloaded")
        [before] = noted
        last: dict[str, str] = {}

        def look() -> Identity:
            last.update(self._reader.properties())
            return identity_of(last)

        after = goes_on(self._target.id, look, lambda now: self._must_go_on(now, expected), deadline)
        if None not in (before, _changed_state(last)) and _changed_state(last) == before:
            raise PermanentError(
                f"systemctl says that {self._target.id} was reloaded, and systemd has noted no change of its state: it was not"
            )
        was, now = process_target.process_of(expected)[0], process_target.process_of(after)[0]
        went_on = f"process {now} goes on" if was == now else f"process {now} goes on in place of {was}"
        self.did = f"systemd reloaded {self._target.id}, and {went_on}"
        return after

    def _given(
        self, verb: str, expected: Identity, last_look: Callable[[], None], deadline: float, judge: Judge
    ) -> Ended:
        """How systemctl ended, which was given the job. Raises as `restart` does before it knows."""
        target = self._target
        with self._transport.command(systemctl.job(verb, target.name), limit=self._total + GUARD) as program:
            properties = self._reader.properties()
            self._check(expected, properties)
            judge(properties)
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for {verb}ing {target.id} were over before it was sent")
            program.start()
            kill_point("act_sent", target.id)
            try:
                return program.end(deadline)
            except OutOfTime as error:
                raise OutcomeUnknown(
                    f"systemd was given the {verb} of {target.id} and has not ended it after {spoken(self._total)}"
                ) from error

    def _after(self, ended: Ended, verb: str, done: str) -> Identity:
        """The instance after the job. Raises OutcomeUnknown where nobody knows, PermanentError where systemd says no."""
        target = self._target
        if ended.code != 0 and not systemctl.is_refusal(ended):
            raise OutcomeUnknown(
                f"the {verb} of {target.id} was sent, and its outcome is open: {systemctl.words(ended)}"
            )
        try:
            properties = self._reader.properties()
            after = identity_of(properties)
        except (TemporaryError, PermanentError) as error:
            if ended.code != 0:
                raise PermanentError(f"systemd did not {verb} {target.id}: {systemctl.words(ended)}") from error
            raise OutcomeUnknown(
                f"systemd {done} {target.id}, and does not say which life it is in: {error}"
            ) from error
        if ended.code != 0:
            result = properties.get("ReloadResult", "")
            why = "" if verb != "reload" or result in {"", "success"} else f" ({one_line(result)})"
            raise PermanentError(
                f"systemd did not {verb} {target.id}: {systemctl.words(ended)}{why}; it is {after.state} now"
            )
        return after

    def _check(self, expected: Identity, properties: Mapping[str, str]) -> None:
        """Raises TargetChanged for another instance than the judged one, Refused while somebody's job is at work."""
        now = identity_of(properties)
        is_now, was = process_target.process_of(now), process_target.process_of(expected)
        if not same_instance(now.instance, expected.instance):
            raise TargetChanged(
                f"{self._target.id} is no longer the one that was judged: "
                f"invocation {invocation_of(expected)}, pid {was[0]} then, {invocation_of(now)}, pid {is_now[0]} now"
            )
        if properties.get("Job", "") not in ("", "0"):
            raise Refused(
                f"somebody else is at work on {self._target.id}: systemd has job {properties['Job']:.20} for it"
            )

    def _must_be_reloadable(self, properties: Mapping[str, str]) -> None:
        """Raises PermanentError, and the next remedy may help, where the unit cannot reload."""
        if (why := unreloadable(properties)) is not None:
            raise PermanentError(f"{self._target.id} {why}")
        now = identity_of(properties)
        if properties["ActiveState"] != "active" or not process_target.has_process(now):
            raise PermanentError(f"{self._target.id} is {now.state}: only a unit that runs can be reloaded")

    def _must_go_on(self, now: Identity, expected: Identity) -> None:
        """Raises PermanentError where the unit did not outlive its reload."""
        if invocation_of(now) != invocation_of(expected) and process_target.has_process(now):
            raise PermanentError(
                f"{self._target.id} died by its reload, and systemd has started it again: it is {now.state} now"
            )
        if not running(now) or invocation_of(now) != invocation_of(expected):
            raise PermanentError(
                f"{self._target.id} died by its reload: it is {now.state} now. A program that handles no SIGHUP ends by it"
            )


def _changed_state(properties: Mapping[str, str]) -> str | None:
    """When systemd last saw the unit change its state, in its own figures; None where an older systemd does not tell."""
    at = properties.get("StateChangeTimestampMonotonic", "")
    return None if at in ("", "0") else at
