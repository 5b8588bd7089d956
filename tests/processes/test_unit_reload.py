"""A reload of a unit by what systemd says of it, in milliseconds; also what this machine's own systemd would not say."""

from collections.abc import Sequence
from typing import Any, Self, cast

import pytest

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds.transport import Ended, OutOfTime, Transport
from paramedic.processes import going_on, systemctl
from paramedic.processes.unit import Reader
from paramedic.processes.unit_change import Changer
from paramedic.remediation.target import Identity, Target

APP = Target("web-7/app.service", "shop", "web-7", "systemd", "app.service", "")

RUNS = {
    "Id": "app.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Job": "",
    "MainPID": "41",
    "ExecMainStartTimestamp": "Mon 2026-11-30 16:00:00 UTC",
    "InvocationID": "a" * 32,
    "CanReload": "yes",
    "ReloadResult": "success",
    "StateChangeTimestampMonotonic": "1000",
}
RELOADED = RUNS | {"StateChangeTimestampMonotonic": "2000"}
GONE = RUNS | {"ActiveState": "inactive", "SubState": "dead", "MainPID": "0", "InvocationID": ""}
AGAIN = RELOADED | {"MainPID": "57", "InvocationID": "b" * 32}


class Machine:
    """A machine that is asked: `shows` of its unit, one after the other, the last for ever; `ends`: what systemctl comes to."""

    machine = "web-7"
    by_sudo = False

    def __init__(self, *shows: dict[str, str] | Exception, ends: Ended | Exception | None = None) -> None:
        self.shows = list(shows)
        self.ends = Ended(0, "", "") if ends is None else ends
        self.started: list[tuple[str, ...]] = []

    def leads_to(self, host: str) -> bool:
        return host == self.machine

    def run(self, arguments: Sequence[str], deadline: float, *, kept: int = 0) -> Ended:
        assert "show" in arguments
        shown = self.shows.pop(0) if len(self.shows) > 1 else self.shows[0]
        if isinstance(shown, Exception):
            raise shown
        return Ended(0, "".join(f"{key}={value}\n" for key, value in shown.items()), "")

    def command(self, arguments: Sequence[str], **_: Any) -> "Machine":
        self.given = tuple(arguments)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None:
        self.started.append(self.given)

    def end(self, deadline: float) -> Ended:
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(going_on, "LOOKED_AT_SECONDS", 0.02)
    monkeypatch.setattr(going_on, "_AGAIN_SECONDS", 0.005)


def judged(machine: Machine) -> Identity:
    return Reader(APP, cast("Transport", Machine(*machine.shows))).identity()


def reloaded(machine: Machine, expected: Identity | None = None) -> tuple[Identity, str]:
    changer = Changer(APP, cast("Transport", machine))
    after = changer.reload(expected or judged(machine), lambda: None)
    return after, changer.did


def test_it_is_asked_for_by_one_job_that_replaces_no_other() -> None:
    machine = Machine(RUNS, RELOADED)
    after, did = reloaded(machine)
    assert after.instance["pid"] == 41
    assert did == "systemd reloaded web-7/app.service, and process 41 goes on"
    [given] = machine.started
    assert given[given.index("systemctl") :] == (
        *("systemctl", "reload", "--job-mode=fail", "--no-pager", "--no-ask-password", "--", "app.service"),
    )


def test_a_notify_reload_unit_has_no_command_and_can_be_reloaded() -> None:
    """systemd 253: CanReload=yes is all that is asked, whatever the unit does at it."""
    assert reloaded(Machine(RUNS | {"Type": "notify-reload"}, RELOADED | {"Type": "notify-reload"}))[1]


def test_one_that_does_not_answer_its_signal_in_time_has_failed_and_goes_on() -> None:
    """tmds/Tmds.Systemd#54: a program that sends no MONOTONIC_USEC= is waited for until systemd gives it up."""
    machine = Machine(RUNS, RELOADED | {"ReloadResult": "timeout"}, ends=Ended(1, "", "Job for app.service failed.\n"))
    with pytest.raises(PermanentError, match=r"Job for app\.service failed\. \(timeout\); it is active/running now"):
        reloaded(machine)


@pytest.mark.parametrize(
    ("shown", "error", "words"),
    [
        (RUNS | {"CanReload": "no"}, PermanentError, "neither ExecReload= nor Type=notify-reload"),
        ({key: value for key, value in RUNS.items() if key != "CanReload"}, PermanentError, "cannot be reloaded"),
        (GONE, PermanentError, "inactive/dead: only a unit that runs"),
        (RUNS | {"ActiveState": "activating", "SubState": "start"}, PermanentError, "only a unit that runs"),
        (RUNS | {"ActiveState": "reloading", "SubState": "reload-notify"}, PermanentError, "only a unit that runs"),
        (RUNS | {"SubState": "exited", "MainPID": "0"}, PermanentError, "active/exited: only a unit that runs"),
        (RUNS | {"Job": "17"}, Refused, "somebody else is at work .*: systemd has job 17"),
        (AGAIN, TargetChanged, "no longer the one that was judged"),
    ],
)
def test_what_cannot_be_reloaded_is_said_and_nothing_is_started(
    shown: dict[str, str], error: type[Exception], words: str
) -> None:
    machine = Machine(shown)
    with pytest.raises(error, match=words):
        reloaded(machine, judged(Machine(RUNS)) if shown is AGAIN else None)
    assert machine.started == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (GONE, "died by its reload: it is inactive/dead now"),
        (AGAIN, "died by its reload, and systemd has started it again: it is active/running now"),
        (
            RELOADED | {"ActiveState": "deactivating", "SubState": "stop-sigterm"},
            "died by its reload: it is deactivating",
        ),
        (AGAIN | {"ActiveState": "activating", "SubState": "auto-restart", "MainPID": "0"}, "died by its reload"),
        (PermanentError("systemd has no unit app.service"), "has no unit"),
        (RUNS, "has noted no change of its state"),
    ],
)
def test_a_job_that_is_done_proves_nothing_where_the_unit_did_not_go_on(
    after: dict[str, str] | Exception, words: str
) -> None:
    with pytest.raises(PermanentError, match=words):
        reloaded(Machine(RUNS, after), judged(Machine(RUNS)))


def test_it_is_looked_at_for_longer_than_once() -> None:
    with pytest.raises(PermanentError, match="died by its reload"):
        reloaded(Machine(RUNS, RELOADED, RELOADED, GONE))


@pytest.mark.parametrize("none", ["", "0"])
def test_a_systemd_that_does_not_say_when_a_state_changed_is_taken_at_its_word(none: str) -> None:
    old = {"StateChangeTimestampMonotonic": none}
    assert reloaded(Machine(RUNS | old, RELOADED | old))[0].instance["pid"] == 41


@pytest.mark.parametrize(
    ("ends", "then"),
    [
        (Ended(1, "", "connection timed out"), RELOADED),
        (Ended(0, "", ""), TemporaryError("web-7 cannot be reached")),
        (OutOfTime(""), RELOADED),
        (OutcomeUnknown("the connection was cut"), RELOADED),
    ],
)
def test_where_nobody_says_what_came_of_it_the_outcome_is_open(
    ends: Ended | Exception, then: dict[str, str] | Exception
) -> None:
    machine = Machine(RUNS, then, ends=ends)
    with pytest.raises(OutcomeUnknown):
        reloaded(machine, judged(Machine(RUNS)))
    assert len(machine.started) == 1


@pytest.mark.parametrize(
    "words",
    [
        "app.service is not active, cannot reload.",
        "Failed to reload app.service: Job type reload is not applicable for unit app.service.",
        "Failed to reload app.service: Access denied",
        'Job for app.service canceled.\nSee "systemctl status"',
    ],
)
def test_a_no_of_systemd_is_no_open_outcome(words: str) -> None:
    with pytest.raises(PermanentError, match="systemd did not reload"):
        reloaded(Machine(RUNS, RUNS, ends=Ended(1, "", words)))


def test_who_may_not_reload_a_unit_that_cannot_is_told_the_unit_first() -> None:
    why = Reader(APP, cast("Transport", Machine(RUNS | {"CanReload": "no"}))).forbidden("reload")
    assert why == "app.service cannot be reloaded: its unit file has neither ExecReload= nor Type=notify-reload"


@pytest.mark.parametrize(("verb", "method"), [("restart", "RestartUnit"), ("reload", "ReloadUnit")])
def test_polkit_is_asked_about_the_verb_that_is_meant(verb: str, method: str) -> None:
    assert systemctl.never_done(verb, "app.service")[-4:] == (method, "ss", "app.service", "isolate")
