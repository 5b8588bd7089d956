"""A machine that answers each script of a kind of evidence with what was captured, part by part."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.evidence import Gathered, Scene
from paramedic.kinds.registry import Room
from paramedic.kinds.transport import Ended, OutOfTime
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Target

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Captured:
    """The transport. `answers`: of each script in turn, its parts; `errors` of all; `late`: none comes to its end."""

    machine = "web-7"

    def __init__(self, *answers: Mapping[str, str], errors: str = "", late: bool = False, rows: Sequence[Any] = ()):
        self._answers = list(answers)
        self._errors, self._late, self._rows = errors, late, rows
        self.asked: list[Sequence[str]] = []
        self.processes = self

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = 0) -> Ended:
        token = arguments[4]
        self.asked.append(arguments[5:])
        parts = self._answers.pop(0)
        text = parts.get("", "") + "".join(f"\n{token} {name}\n{part}" for name, part in parts.items() if name)
        if self._late:
            raise OutOfTime(text)
        return Ended(0, text, self._errors)

    def all(self) -> Sequence[Any]:
        return self._rows


def gathered(name: str, transport: Captured, **target: Any) -> Gathered:
    """What the kind of this name makes of it, of process 42 of a target on web-7."""
    at = Target("web-7/app.service", "shop", "web-7", "systemd", "app.service", "", **target)

    def nothing(*_: Any) -> Any:
        raise AssertionError("it is not asked for")

    def no_releases() -> Any:
        raise PermanentError(f"services.yaml names no `releases` for {at.id}")

    scene = Scene(at, transport, boottime() + 5, NOW, NOW, lambda: 42, no_releases, nothing)  # type: ignore[arg-type]
    return registry.current().plugin(Room.EVIDENCE, name).gather(scene)  # type: ignore[no-any-return]
