"""What a machine says of itself as a whole: its boot, its services, and what a reboot would break. For the kind `machine`."""

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
    *("Id", "Type", "ActiveState", "SubState", "UnitFileState"),
    *("WantedBy", "RequiredBy", "UpheldBy", "RequisiteOf", "BoundBy", "ConsistsOf"),
    "TriggeredBy",
)
_STARTERS = ("WantedBy", "RequiredBy", "UpheldBy", "BoundBy")

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
    """One service, as systemd has it."""

    name: str
    state: str  # active/running, …
    file: str  # UnitFileState: enabled, static, disabled, transient, …
    comes_with_boot: bool  # something starts it when the machine boots
    on_demand: bool  # a socket, a timer, a bus name starts it when it is wanted

    @property
    def runs(self) -> bool:
        """Whether it has a process that goes on, or is being reloaded."""
        return self.state in ("active/running", "reloading/reload")


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
        """Its services that systemd has loaded, by name."""
        ended = self._run("systemctl", "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", "*.service")
        if ended.code != 0:
            raise TemporaryError(f"systemd does not say which services it has: {words(ended)}")
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
    for block in text.split("\n\n"):
        facts = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        if not facts.get("Id"):
            continue
        file = facts.get("UnitFileState", "")
        yield Unit(
            name=one_line(facts["Id"]),
            state=one_line(f"{facts.get('ActiveState', '')}/{facts.get('SubState', '')}"),
            file=one_line(file) or "none",
            comes_with_boot=file in _AT_BOOT or any(facts.get(key) for key in _STARTERS),
            on_demand=bool(facts.get("TriggeredBy")) or facts.get("Type") == "dbus",
        )


def must_return(units: Mapping[str, Unit], named: Collection[str], without: Collection[str]) -> list[str]:
    """The services that run now and have to run after a reboot: those that boot starts, and those that are named."""
    return sorted(
        unit.name
        for unit in units.values()
        if unit.runs
        and unit.name not in without
        and (unit.name in named or (unit.comes_with_boot and not unit.on_demand))
    )


def would_stay_down(units: Mapping[str, Unit], without: Collection[str]) -> list[str]:
    """The services that somebody has started by hand: they run, and nothing would start them after a reboot."""
    return sorted(
        unit.name
        for unit in units.values()
        if unit.runs and unit.name not in without and unit.file == "disabled" and not unit.comes_with_boot
        if not unit.on_demand
    )


def words(ended: Ended) -> str:
    """What a program said last, in one line."""
    return one_line(ended.errors or ended.output)[-500:] or f"it ended with {ended.code}"
