"""A machine that can be rebooted, as a transport in this process: it does what systemd and logind there would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from paramedic.errors import OutcomeUnknown, TemporaryError
from paramedic.integrations.targets import machine as kind
from paramedic.kinds.transport import Ended
from paramedic.remediation.target import Identity, Target

FIRST, SECOND = "11111111-2222-4333-8444-555555555555", "99999999-8888-4777-8666-555555555555"


def target(host: str = "web-7", **words: Any) -> Target:
    asked = kind.Words.model_validate(words)
    return Target(f"{host}/machine:system", "shop", host, "machine", "system", "", words=asked)


@dataclass
class Unit:
    """One unit: how it is, and what starts it."""

    state: str = "active/running"
    file: str = "enabled"
    wanted: str = "multi-user.target"
    triggered: str = ""
    type: str = "simple"
    returns: str = "active/running"  # what it is after a reboot
    conditions: str = "yes"  # whether they hold then
    judged_at: str = "59486200182"

    def shown(self, name: str) -> str:
        active, sub = self.state.split("/")
        facts = {
            "Id": name,
            "Type": self.type,
            "ActiveState": active,
            "SubState": sub,
            "UnitFileState": self.file,
            "ConditionResult": self.conditions,
            "ConditionTimestampMonotonic": self.judged_at,
            "WantedBy": self.wanted,
            "RequiredBy": "",
            "UpheldBy": "",
            "BoundBy": "",
            "TriggeredBy": self.triggered,
        }
        return "".join(f"{key}={value}\n" for key, value in facts.items())


class Machine:
    """`away`: so many looks after a reboot find nobody. `says_no`: what systemctl says instead of rebooting."""

    machine = "web-7"

    def __init__(self, **units: Unit) -> None:
        self.boot = FIRST
        self.system = "running"
        named = {name if "." in name else f"{name}.service": unit for name, unit in units.items()}
        self.units = named or {"app.service": Unit()}
        self.away = 0
        self.answers: list[str] = []  # what the boot id is read as, before it is right again
        self.says_no = ""
        self.never_boots = False
        self.cut = self.limited = False
        self.inhibited, self.locked, self.can = "idle", "", "yes"
        self.user = ("root", "0")
        self.by_sudo = False
        self.reboots = 0

    def leads_to(self, host: str) -> bool:
        return host == self.machine

    def _reached(self) -> None:
        if self.away:
            self.away -= 1
            raise TemporaryError("web-7 cannot be reached: Connection refused")

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = 0) -> Ended:
        self._reached()
        words = " ".join(arguments)
        if words.endswith("cat /proc/sys/kernel/random/boot_id"):
            return Ended(0, (self.answers.pop(0) if self.answers else self.boot) + "\n", "")
        if "is-system-running" in words:
            return Ended(0 if self.system == "running" else 1, f"{self.system}\n", "")
        if "systemctl show" in words:
            return Ended(0, "\n".join(unit.shown(name) for name, unit in self.units.items()), "")
        if "BlockInhibited" in words:
            return Ended(0, f's "{self.inhibited}"\n', "") if self.inhibited else Ended(1, "", "no such name")
        if "CanReboot" in words:
            return Ended(0, f's "{self.can}"\n', "") if self.can else Ended(1, "", "no such name")
        if words.endswith("id -un"):
            return Ended(0, self.user[0], "")
        if words.endswith("id -u"):
            return Ended(0, self.user[1], "")
        assert "dpkg" in words
        return Ended(0, self.locked, "")

    def command(self, arguments: Sequence[str], *, limit: timedelta | None = None) -> "Program":
        assert tuple(arguments) == kind.REBOOT
        assert limit is not None, "the machine itself ends it"
        return Program(self)


class Program:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None:
        machine = self.machine
        machine.reboots += 1
        if machine.says_no or machine.never_boots:
            return
        machine.boot = SECOND
        for unit in machine.units.values():
            unit.state = unit.returns

    def end(self, deadline: float) -> Ended:
        if self.machine.cut:
            raise OutcomeUnknown("the connection to web-7 was cut after the change had begun")
        if self.machine.limited:
            return Ended(137, "", "", limited=True)
        return Ended(1, "", self.machine.says_no) if self.machine.says_no else Ended(0, "", "")


def judged(machine: Machine, of: Target | None = None) -> Identity:
    return kind.Reader(of or target(), machine).identity()  # type: ignore[arg-type]


def agree() -> None:
    """A last look that sees nothing wrong."""
