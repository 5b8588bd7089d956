"""A change of a process by its pid file, by what its machine's shell comes to, in milliseconds."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, cast

import pytest
from pid_file_stage import Daemon

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged
from paramedic.integrations.targets.process import Changer, Reader
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.transport import Ended, OutOfTime, Transport
from paramedic.processes import going_on, pid_change
from paramedic.remediation.target import Identity

FIRST = process_identity(41, 1.0, "running", invocation="boot/100")
SECOND = process_identity(57, 9.0, "running", invocation="boot/900")
DOWN = process_identity(None, None, "stopped/no-pid-file")


class Machine:
    """A machine whose shell ends as a test says; what it was started with is kept."""

    machine = "web-7"

    def __init__(self, ends: Ended | Exception | None = None, *, by_sudo: bool = False) -> None:
        self.ends = Ended(0, "", "") if ends is None else ends
        self.by_sudo = by_sudo
        self.started: list[tuple[str, ...]] = []
        self.guards: list[timedelta | None] = []

    def command(self, arguments: Sequence[str], *, killed_after: timedelta | None = None) -> "Machine":
        self.given, self.guard = tuple(arguments), killed_after
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None:
        self.started.append(self.given)
        self.guards.append(self.guard)

    def end(self, deadline: float) -> Ended:
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(going_on, "LOOKED_AT_SECONDS", 0.0)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is seen from now on, one look after the other, the last for ever."""

    def seen(*identities: Identity) -> None:
        left = list(identities)
        monkeypatch.setattr(Reader, "identity", lambda _: left.pop(0) if len(left) > 1 else left[0])

    return seen


def changer(daemon: Daemon, machine: Machine, within: float = 30, **other: Any) -> Changer:
    return Changer(daemon.target(**other), cast("Transport", machine), timedelta(seconds=within))


def test_all_that_differs_is_an_argument_and_never_a_part_of_the_script(daemon: Daemon, sees: Any) -> None:
    machine = Machine()
    sees(FIRST, SECOND)
    start = ["/usr/sbin/ctl", "start; reboot", "$(reboot)"]
    assert changer(daemon, machine, start=start).restart(FIRST, lambda: None) == SECOND
    [(shell, c, script, name, *arguments)] = machine.started
    assert (shell, c, name) == ("sh", "-c", "sh")
    assert arguments == ["41", "100", "TERM", "50", "30", *start]
    sees(FIRST)
    changer(daemon, machine, start=start).reload(FIRST, lambda: None)
    assert machine.started[1][2:] == (script, "sh", "41", "100", "HUP", "", "30"), "nothing is started by a reload"
    assert machine.guards == [timedelta(seconds=35)] * 2, "the machine ends it where nobody is left to do so"


def test_of_one_that_is_down_nothing_is_signalled(daemon: Daemon, sees: Any) -> None:
    machine = Machine()
    sees(DOWN, SECOND)
    assert changer(daemon, machine).restart(DOWN, lambda: None) == SECOND
    assert machine.started[0][4:7] == ("", "", "TERM")


@pytest.mark.parametrize(
    ("ends", "error", "why"),
    [
        (Ended(3, "", ""), TargetChanged, "where the signal was to be sent"),
        (
            Ended(4, "", "kill: Operation not permitted"),
            PermanentError,
            "may not be signalled: kill: Operation not permitted",
        ),
        (Ended(5, "", ""), PermanentError, "did not end, though it was killed: the kernel holds it"),
        (Ended(6, "", "no port\nctl ended with 1"), PermanentError, "was stopped, and did not start: no port"),
        (Ended(137, "", ""), OutcomeUnknown, "its outcome is open: code 137"),
        (Ended(-9, "", ""), OutcomeUnknown, "its outcome is open"),
        (Ended(2, "", "sh: syntax error"), OutcomeUnknown, "its outcome is open: sh: syntax error"),
        (OutOfTime("starting ..."), OutcomeUnknown, "had not ended after 30s: starting"),
        (OutcomeUnknown("web-7 was lost"), OutcomeUnknown, "web-7 was lost"),
    ],
)
def test_each_end_of_the_script_is_what_became_of_the_act(
    daemon: Daemon, sees: Any, ends: Ended | Exception, error: type[Exception], why: str
) -> None:
    sees(FIRST)
    with pytest.raises(error, match=why):
        changer(daemon, Machine(ends)).restart(FIRST, lambda: None)


@pytest.mark.parametrize("name", ["restart", "reload"])
def test_before_the_last_look_another_instance_is_a_refusal(daemon: Daemon, sees: Any, name: str) -> None:
    machine, looked = Machine(), []
    for now in (SECOND, DOWN):
        sees(now)
        with pytest.raises(TargetChanged, match="pid 41 since 1.0 then"):
            getattr(changer(daemon, machine), name)(FIRST, lambda: looked.append(1))
    assert (machine.started, looked) == ([], [])


@pytest.mark.parametrize("name", ["restart", "reload"])
def test_by_sudo_nothing_is_sent(daemon: Daemon, sees: Any, name: str) -> None:
    machine = Machine(by_sudo=True)
    sees(FIRST)
    with pytest.raises(PermanentError, match="never by sudo: list its host a second time without `sudo`"):
        getattr(changer(daemon, machine), name)(FIRST, lambda: None)
    assert machine.started == []


def test_a_deadline_that_is_over_sends_nothing(daemon: Daemon, sees: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    sees(FIRST)

    def slow() -> None:
        monkeypatch.setattr("paramedic.processes.pid_change.boottime", lambda: float("inf"))

    with pytest.raises(Refused, match="the 30s for reloading .* were over before it was sent"):
        changer(daemon, machine).reload(FIRST, slow)
    assert machine.started == []


def test_the_same_instance_after_a_restart_is_none(daemon: Daemon, sees: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pid_change, "_AFTER_STOP", timedelta(0))
    sees(FIRST)
    machine = Machine()
    with pytest.raises(PermanentError, match="its `start` returned, and no new process .*: it is running now"):
        changer(daemon, machine, 0.2, stop_within="100ms").restart(FIRST, lambda: None)
    assert len(machine.started) == 1


@pytest.mark.parametrize("after", [DOWN, SECOND])
def test_a_process_that_did_not_outlive_its_signal_was_not_reloaded(daemon: Daemon, sees: Any, after: Identity) -> None:
    sees(FIRST, after)
    with pytest.raises(PermanentError, match=f"died by its reload, the signal HUP: it is {after.state} now"):
        changer(daemon, Machine()).reload(FIRST, lambda: None)


def test_no_signal_is_sent_that_services_yaml_does_not_name(daemon: Daemon, sees: Any) -> None:
    machine = Machine()
    sees(FIRST)
    with pytest.raises(PermanentError, match="names no signal by which localhost/process:app reloads: `reload: HUP`"):
        changer(daemon, machine, reload=None).reload(FIRST, lambda: None)
    assert machine.started == []
