"""Machines as a whole, by systemd on them: seen, and rebooted."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds.evidence import ByDeadline, Gathered, collected, time_left
from paramedic.kinds.machine_facts import (
    KINDS,
    SPOKEN,
    Look,
    Unit,
    failed_since,
    must_return,
    not_again,
    stated,
    words,
    would_stay_down,
)
from paramedic.kinds.transport import GUARD, Command, Ended, Mark, OutOfTime, Transport
from paramedic.machine import clock
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target
from paramedic.text.template import as_it_is
from paramedic.text.units import duration

LABEL = "machine"
REMEDIES = ("reboot",)
RENEWS = REMEDIES

#: Every machine has one target of this kind, of this name.
NAME = "system"

#: `--message=` and the like would need another sudoers line for each reboot.
REBOOT = (*SPOKEN, "systemctl", "reboot", "--no-pager", "--no-ask-password")

#: A look takes so long at most, and is repeated so often while the machine is away. systemctl has so long to pass it on.
LOOK = timedelta(seconds=5)
AGAIN_SECONDS = 1.0
_PASSED_ON_SECONDS = 20.0

_UP = ("running", "degraded")
_ON_THE_WAY = ("initializing", "starting", "stopping")

_UnitName = Annotated[
    str,
    Field(pattern=rf"^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{{0,240}}\.({'|'.join(KINDS)})$"),
    AfterValidator(as_it_is),
]


class Words(BaseModel):
    """`machine: {units: [tracking-api.service]}` in services.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    units: list[_UnitName] = Field(
        default=[], description="units without which it is not up, also after a reboot: tracking-api.service"
    )
    without: list[_UnitName] = Field(
        default=[], description="units that may stay down after a reboot: nothing waits for them: debug.service"
    )
    reboot_within: Annotated[timedelta, duration("30s", "45m")] = Field(
        default=timedelta(minutes=10), description="by when it is back after a reboot, with its units: 10m"
    )


def name_of(_words: Words) -> str:
    """The same for each: a host has one."""
    return NAME


def address_of(_words: Words) -> str:
    """Nothing: its host is the machine."""
    return ""


def covers(whole: Target, part: Target) -> bool:
    """Whether it is a target on this machine: all of them are its parts."""
    return part.host == whole.host and part.kind != whole.kind


def time_for(target: Target, _remedy: str) -> timedelta:
    """How long a reboot may take, whatever other changes may."""
    within: timedelta = target.words.reboot_within
    return within


def running(identity: Identity) -> bool:
    """Whether systemd says that the machine is up (`running`, or `degraded` by some unit), and each of its `units` runs."""
    return identity.state in _UP


def restarted(before: Identity, now: Identity) -> bool:
    """Whether the machine has booted since."""
    return now.instance.get("boot") is not None and now.instance.get("boot") != before.instance.get("boot")


@dataclass(frozen=True, slots=True)
class _Seen:
    boot: str
    system: str
    units: Mapping[str, Unit]

    def identity(self, needed: Sequence[str]) -> Identity:
        """The identity; its state names the needed units that do not run."""
        if self.system in _ON_THE_WAY:
            state = f"UNKNOWN/{self.system}"
        elif down := _down(self.units, needed):
            state = f"{self.system}, without {'; '.join(down)}"
        else:
            state = self.system
        return Identity(state, {"boot": self.boot})


def mark(_target: Target, transport: Transport, act: str) -> Mark | None:
    """What the machine knows of a reboot that has no outcome. Raises TemporaryError or PermanentError.

    That systemctl ended well says that systemd has taken the order: the machine may still be up. It proves nothing.
    """
    found = transport.mark(act)
    if found is None or found.code != 0:
        return found
    return Mark(found.state, where="systemd has taken the order; only another boot proves it")


class Reader:
    """Looks at one machine."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = LOOK) -> None:
        self._target, self._transport, self._timeout = target, transport, timeout

    def identity(self) -> Identity:
        """Its boot, and how it is. Raises TemporaryError or PermanentError where it does not say, or is another machine."""
        return self.seen().identity(self._target.words.units)

    def seen(self) -> _Seen:
        """Its boot, systemd's word, and its units. Raises as `identity` does."""
        look = self.look()
        return _Seen(look.boot(), look.system(), look.units())

    def look(self) -> Look:
        """What it is looked at with. Raises PermanentError where the transport leads to another machine."""
        target = self._target
        if not self._transport.leads_to(target.host):
            raise PermanentError(f"{target.id} is {target.host}, and this machine is {self._transport.machine}")
        return Look(self._transport, boottime() + self._timeout.total_seconds())


class Changer:
    """Reboots one machine."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(minutes=10)) -> None:
        self._target, self._transport, self._total = target, transport, total_timeout
        self._reader = Reader(target, transport)
        self.did = ""

    def reboot(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Reboot the machine in the boot `expected`, once, and wait until it is back; returns its identity then.

        It has happened where the machine is in another boot, every unit is active again that was before (services, sockets,
        mounts, timers), of those that boot starts or services.yaml names, and none has failed that had not. A named one that was
        down before is no proof of it: without it the machine is not up, which its identity says and the verification judges.
        `last_look` is called once everything is ready; only the start of systemctl follows it.

        Nothing was sent if it raises Refused (Paramedic runs there; another boot; it is starting or stopping; packages are being
        changed, or a program asks for no shutdown; a unit that nothing would start again) or TemporaryError. PermanentError:
        systemd said no, or it is back without some of its units. OutcomeUnknown: it was sent, and is not back in time.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        with self._transport.command(REBOOT, limit=timedelta(seconds=_PASSED_ON_SECONDS) + GUARD) as systemctl:
            before = self._judged(expected)
            wanted = must_return(before.units, target.words.units, target.words.without)
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for rebooting {target.id} were over before it was sent")
            systemctl.start()
            began = boottime()
            kill_point("act_sent", target.id)
            self._passed_on(systemctl, before.boot, deadline)
        self._wait_for_another_boot(before.boot, deadline)
        after = self._wait_for_units(before, wanted, deadline)
        took = spoken(timedelta(seconds=round(boottime() - began)))
        again = (
            "the one unit that has to be active is"
            if len(wanted) == 1
            else f"the {len(wanted)} units that have to be active are"
        )
        runs = again if wanted else "no unit had to be active again"
        still = "; ".join(_down(after.units, target.words.units))
        self.did = f"boot {after.boot} instead of {before.boot} after {took or '0s'}; {runs}"
        self.did += f"; as before, it is without {still}" if still else ""
        return after.identity(target.words.units)

    def _judged(self, expected: Identity) -> _Seen:
        """What it is like now. Raises Refused where it may not be rebooted now, and as `Reader.identity`."""
        target, seen = self._target, self._reader.seen()
        if seen.boot != expected.instance.get("boot"):
            raise TargetChanged(
                f"{target.id} has booted since it was judged: {expected.instance.get('boot')} then, {seen.boot} now"
            )
        if (why := _never(target, seen.boot)) is not None:
            raise Refused(why, by_hand="move what runs there, then reboot it by hand")
        if seen.system in _ON_THE_WAY:
            raise Refused(f"{target.id} is {seen.system}: it is being booted or shut down already")
        if (why := self._reader.look().held_back_by()) is not None:
            raise Refused(f"{target.id} may not be rebooted now: {why}", by_hand="wait until that has ended")
        if lost := would_stay_down(seen.units, target.words.without):
            raise Refused(
                f"nothing would start {', '.join(lost)} of {target.id} after a reboot: it is active, and not enabled",
                by_hand=f"`systemctl enable {lost[0]}`, or write it under `without` in services.yaml",
            )
        return seen

    def _passed_on(self, systemctl: Command, boot: str, deadline: float) -> None:
        """Wait until systemctl has passed the order on. Raises PermanentError where systemd says no.

        Everything else is left to the look at the boot: a machine that goes down cuts its connections.
        """
        try:
            ended = systemctl.end(min(deadline, boottime() + _PASSED_ON_SECONDS))
        except (OutOfTime, OutcomeUnknown, TemporaryError):
            return
        if ended.code != 0 and not ended.limited and self._still_in(boot):
            raise PermanentError(f"systemd did not reboot {self._target.id}: {_refusal(ended)}")

    def _still_in(self, boot: str) -> bool:
        try:
            return self._reader.look().boot() == boot
        except (TemporaryError, PermanentError):
            return False

    def _wait_for_another_boot(self, boot: str, deadline: float) -> None:
        """Raises OutcomeUnknown where it is not in another boot by the deadline, or nobody knows."""
        why = ""
        while True:
            try:
                if self._reader.look().boot() != boot:
                    return
                why = (
                    "it still answers, in the same boot: what it stops may take longer (in a container: never another)"
                )
            except (TemporaryError, PermanentError) as error:
                why = str(error)
            if boottime() >= deadline:
                raise OutcomeUnknown(
                    f"{self._target.id} was told to reboot, and is in no other boot after {spoken(self._total)}: {why}"
                )
            time.sleep(AGAIN_SECONDS)

    def _wait_for_units(self, before: _Seen, wanted: Sequence[str], deadline: float) -> _Seen:
        """What it is like once all of them are up again. Raises PermanentError or OutcomeUnknown at the deadline."""
        target, seen, why, lost, asked = self._target, None, "", list[str](), self._target.words
        while True:
            try:
                seen = self._reader.seen()
                lost = not_again(before.units, seen.units, wanted, asked.units)
                failed = failed_since(before.units, seen.units, asked.without)
                lost += [f"failed since: {one}" for one in failed if one not in lost]
                if seen.system not in ("initializing", "stopping") and not lost:
                    return seen
            except (TemporaryError, PermanentError) as error:
                why = str(error)
            if boottime() >= deadline:
                break
            time.sleep(AGAIN_SECONDS)
        if seen is None:
            raise OutcomeUnknown(f"{target.id} was rebooted, and does not say whether its units are up: {why}")
        found = "; ".join(lost) or "it is still booting"
        raise PermanentError(f"{target.id} was rebooted (boot {seen.boot}), and is not what it was: {found}")


def _down(units: Mapping[str, Unit], wanted: Sequence[str]) -> list[str]:
    """Those of the wanted units that are not up, each with its state."""
    found = [(name, units.get(name)) for name in wanted]
    return [stated(name, unit) for name, unit in found if unit is None or not unit.up]


def _never(target: Target, boot: str) -> str | None:
    """Why this machine is never rebooted, in words."""
    if boot != clock.boot():
        return None
    return (
        f"{target.host} is the machine that Paramedic runs on: a reboot of it would end whoever has to see it come back"
    )


def _refusal(ended: Ended) -> str:
    return words(ended)


def forbidden(target: Target, transport: Transport, _remedy: str) -> str | None:
    """Why this user may not reboot the machine, and what grants it. Raises TemporaryError or PermanentError."""
    look = Reader(target, transport).look()
    if (why := _never(target, look.boot())) is not None:
        return f"{why}; it is refused"
    if transport.by_sudo:
        try:
            with transport.command(REBOOT):
                return None
        except PermanentError as error:
            return str(error)
    user, is_root = look.user()
    if is_root:
        return None
    answer = look.may_reboot()
    if answer == "yes":
        return None
    says = f"logind says {answer}" if answer else "no logind answers there"
    return (
        f"the user {user} may not reboot it ({says}): give it the polkit rule of docs/targets.md for "
        "org.freedesktop.login1.reboot and reboot-multiple-sessions, or `sudo: true` and a line in its sudoers: "
        f"`{user} ALL=(root) NOPASSWD: /usr/bin/systemctl reboot --no-pager --no-ask-password`"
    )


def _units_now(target: Target, transport: Transport, deadline: float) -> Gathered:
    return collected(Reader(target, transport, time_left(deadline)).look().failed())


EVIDENCE = {"units": ByDeadline(_units_now, from_beginning=False)}
