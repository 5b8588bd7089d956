"""What a machine says of itself as a whole: its boot, its units, and what a reboot would break. For the kind `machine`."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from paramedic.errors import TemporaryError
from paramedic.kinds.evidence import Unseen
from paramedic.kinds.transport import MOST_KEPT, Ended, OutOfTime, Transport
from paramedic.text.sanitize import one_line

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: What systemctl says is parsed: one language, whoever runs it.
SPOKEN = ("env", "LC_ALL=C", "SYSTEMD_COLORS=0")

#: A unit's properties that are asked for. What starts it at boot is in those of the last line but one.
_PROPERTIES = (
    *("Id", "Type", "ActiveState", "SubState", "UnitFileState", "ConditionResult", "ConditionTimestampMonotonic"),
    *("WantedBy", "RequiredBy", "UpheldBy", "RequisiteOf", "BoundBy", "ConsistsOf"),
    "TriggeredBy",
)
_STARTERS = ("WantedBy", "RequiredBy", "UpheldBy", "BoundBy")

#: The kinds of units that are compared, before a reboot and after it.
KINDS = ("service", "socket", "mount", "timer")
_COMPARED = tuple(f"*.{kind}" for kind in KINDS)

#: Units that are started by something else than a boot, which brings no unit with it by itself.
_STARTED_LATER = (".service", ".socket", ".mount", ".timer", ".scope", ".slice", ".path", ".automount", ".swap")

#: Unit files that something starts at boot.
_AT_BOOT = frozenset({"enabled", "enabled-runtime", "generated", "alias"})

#: A package manager's lock, and who holds it: an upgrade that a reboot cuts leaves packages half installed.
_PACKAGE_LOCKS = """
exec </dev/null 2>/dev/null
for f in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock; do
i=$(stat -L -c %i -- "$f") || continue
while read -r _ _ _ mode pid where _; do
case $where in *:"$i") [ "$mode" != WRITE ] || printf '%s %s %s\\n' "$f" "$pid" "$(cat "/proc/$pid/comm")";; esac
done < /proc/locks
done
"""

_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit, as systemd has it."""

    name: str
    state: str  # active/running, …
    file: str  # UnitFileState: enabled, static, disabled, transient, …
    comes_with_boot: bool  # something starts it when the machine boots
    on_demand: bool  # a socket, a timer, a bus name starts it when it is wanted
    by_the_clock: bool = False  # only a timer or a path does
    is_oneshot: bool = False  # it runs to its end, and is up by having done so
    is_skipped: bool = False  # its own conditions do not hold: it was to start, and had nothing to do

    @property
    def active(self) -> bool:
        """Whether it is up for systemd, in whatever way its kind is: it runs, has run, listens, waits, is mounted."""
        return self.state.partition("/")[0] in ("active", "reloading", "refreshing")

    @property
    def failed(self) -> bool:
        """Whether it has failed, for good."""
        return self.state.startswith("failed/")

    @property
    def runs(self) -> bool:
        """Whether it has a process that goes on, or is being reloaded."""
        return self.state in ("active/running", "reloading/reload")

    @property
    def up(self) -> bool:
        """Whether it is as it has to be where services.yaml needs it: a service runs, but for one that runs to its end."""
        return self.runs or (self.active and (self.is_oneshot or not self.name.endswith(".service")))


def boot_id(text: str) -> str:
    """The id of the boot. Raises TemporaryError for anything else: no answer is taken for another boot."""
    found = text.strip()
    if not _UUID.fullmatch(found):
        raise TemporaryError(f"what it says is no id of a boot: {one_line(found)[:80] or 'nothing'}")
    return found


class Look:
    """Looks at one machine, by its transport. All raise TemporaryError or PermanentError."""

    def __init__(self, transport: Transport, deadline: float) -> None:
        self._transport, self._deadline = transport, deadline

    def boot(self) -> str:
        """The id of its boot."""
        ended = self._run("cat", _BOOT_ID)
        if ended.code != 0:
            raise TemporaryError(f"the id of its boot cannot be read: {words(ended)}")
        return boot_id(ended.output)

    def system(self) -> str:
        """Systemd's word for the whole: `running`, `degraded`, `starting`, `stopping`, …; `offline` without systemd."""
        ended = self._run("systemctl", "is-system-running")
        word = one_line(ended.output).strip()
        return word if re.fullmatch(r"[a-z]{1,20}", word) else "offline"

    def units(self) -> Mapping[str, Unit]:
        """Its services, sockets, mounts and timers that systemd has loaded, the inactive ones too, by name."""
        asked = ("show", "--all", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", *_COMPARED)
        ended = self._run("systemctl", *asked)
        if ended.code != 0:
            raise TemporaryError(f"systemd does not say which units it has: {words(ended)}")
        return {unit.name: unit for unit in _units(ended.output)}

    def held_back_by(self) -> str | None:
        """What a reboot would break now, in words: an inhibitor's lock, an upgrade of packages. None: nothing that is told."""
        ended = self._run(
            *("busctl", "--system", "--no-pager", "get-property", *_LOGIND, "BlockInhibited"),
        )
        inhibited = re.fullmatch(r's "([a-z:-]*)"', ended.output.strip()) if ended.code == 0 else None
        if inhibited is not None and "shutdown" in inhibited[1].split(":"):
            return "a program asks that it is not shut down now (`systemd-inhibit --list`)"
        held = self._run("sh", "-c", _PACKAGE_LOCKS).output.strip()
        if not held:
            return None
        file, _, holder = one_line(held.splitlines()[0]).partition(" ")
        return f"packages are being changed: {file} is locked by process {holder}"

    def may_reboot(self) -> str:
        """The answer of logind to whether this user may reboot: `yes`, `no`, `challenge`, `na`; "" where no logind runs."""
        ended = self._run("busctl", "--system", "--no-pager", "call", *_LOGIND, "CanReboot")
        answer = re.fullmatch(r's "([a-z-]{1,40})"', ended.output.strip()) if ended.code == 0 else None
        return "" if answer is None else answer[1]

    def user(self) -> tuple[str, bool]:
        """The user that is asked as, by name, and whether it is root."""
        name, number = self._run("id", "-un").output.strip(), self._run("id", "-u").output.strip()
        return one_line(name), number == "0"

    def failed(self) -> Iterator[str]:
        """The units that have failed, and the jobs at work, as systemctl lists them; and what of it could not be seen."""
        yield from self._shown("since when it is up", "up since {}", "uptime", "-s")
        states = "--state=failed,activating,deactivating"
        yield from self._shown("its units", "{}", "systemctl", "list-units", "--no-pager", "--plain", states)
        yield from self._shown("jobs at work", "{}", "systemctl", "list-jobs", "--no-pager")

    def _shown(self, what: str, form: str, *command: str) -> Iterator[str]:
        try:
            ended = self._run(*command)
            why = words(ended) if ended.code != 0 else None
        except TemporaryError as error:
            why = str(error)
        yield (
            form.format(ended.output.strip())
            if why is None
            else Unseen(f"not seen: {what} ({' '.join(command)}): {why}")
        )

    def _run(self, *command: str) -> Ended:
        try:
            return self._transport.run((*SPOKEN, *command), self._deadline, kept=MOST_KEPT)
        except OutOfTime as error:
            raise TemporaryError(f"it did not answer in time: {command[0]}") from error


def _units(text: str) -> Iterator[Unit]:
    shown = [
        dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line) for block in text.split("\n\n")
    ]
    facts = {one["Id"]: one for one in shown if one.get("Id")}
    with_boot: dict[str, bool] = {}
    for name, one in facts.items():
        triggers, is_service = one.get("TriggeredBy", "").split(), name.endswith(".service")
        yield Unit(
            name=one_line(name),
            state=one_line(f"{one.get('ActiveState', '')}/{one.get('SubState', '')}"),
            file=one_line(one.get("UnitFileState", "")) or "none",
            comes_with_boot=_comes_with_boot(name, facts, with_boot),
            on_demand=bool(triggers) or (is_service and one.get("Type") == "dbus"),
            by_the_clock=bool(triggers) and all(trigger.endswith((".timer", ".path")) for trigger in triggers),
            is_oneshot=is_service and one.get("Type") == "oneshot",
            is_skipped=one.get("ConditionResult") == "no" and one.get("ConditionTimestampMonotonic", "0") != "0",
        )


def _comes_with_boot(name: str, facts: Mapping[str, Mapping[str, str]], known: dict[str, bool]) -> bool:
    """Whether something starts the unit at boot: a target, a device, a unit that comes with it, or its own file for those.

    What only a login starts (a user's slice, and what belongs to it) does not.
    """
    one = facts.get(name)
    if one is None:
        return not name.endswith(_STARTED_LATER)
    if name in known:
        return known[name]
    known[name] = False  # for those that start each other
    by_its_file = not name.endswith(".mount") and one.get("UnitFileState", "") in _AT_BOOT
    starters = (starter for key in _STARTERS for starter in one.get(key, "").split())
    known[name] = by_its_file or any(_comes_with_boot(starter, facts, known) for starter in starters)
    return known[name]


def must_return(units: Mapping[str, Unit], named: Collection[str], without: Collection[str]) -> list[str]:
    """The units that are active now and have to be again after a reboot: those that boot starts, and those that are named."""
    return sorted(
        unit.name
        for unit in units.values()
        if unit.active
        and unit.name not in without
        and (unit.name in named or (unit.comes_with_boot and not unit.on_demand))
    )


def not_again(
    before: Mapping[str, Unit], now: Mapping[str, Unit], wanted: Collection[str], named: Collection[str]
) -> list[str]:
    """Those of the wanted units that are not what they were before the boot, each with its state.

    One that ran has to run, any other has to be active. One that its own conditions keep from starting is not missed, unless it
    is named.
    """
    missing = []
    for name in wanted:
        unit = now.get(name)
        again = unit is not None and (unit.runs if before[name].runs else unit.active)
        skipped = unit is not None and unit.is_skipped and not unit.active and not unit.failed and name not in named
        if not again and not skipped:
            missing.append(stated(name, unit))
    return missing


def failed_since(before: Mapping[str, Unit], now: Mapping[str, Unit], without: Collection[str]) -> list[str]:
    """The units that have failed in this boot and had not in the one before it, each with its state.

    What a timer or a path starts, whenever that is, has nothing to do with the boot.
    """
    return sorted(
        stated(unit.name, unit)
        for unit in now.values()
        if unit.failed and unit.name not in without and not unit.by_the_clock
        if unit.name not in before or not before[unit.name].failed
    )


def stated(name: str, unit: Unit | None) -> str:
    """The unit and how it is."""
    return f"{name} ({unit.state if unit else 'not loaded'})"


def would_stay_down(units: Mapping[str, Unit], without: Collection[str]) -> list[str]:
    """What somebody has started by hand, and nothing would start after a reboot: services, sockets and timers."""
    return sorted(
        unit.name
        for unit in units.values()
        if unit.active and unit.name not in without and unit.file == "disabled" and not unit.comes_with_boot
        if not unit.on_demand and not unit.name.endswith(".mount")
    )


def words(ended: Ended) -> str:
    """What a program said last, in one line."""
    return one_line(ended.errors or ended.output)[-500:] or f"it ended with {ended.code}"
