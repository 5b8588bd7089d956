"""A declared command: its words as they are, its time, its end; nothing before the last look."""

import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from paramedic.doors import changing
from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.remedies import command as integration
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Command, Target
from paramedic.text import redaction
from paramedic.transports import local_command
from paramedic.transports.local import Local


def declared(*run: str, cwd: str | None = None, environment: tuple[str, ...] = ()) -> changing.Command:
    commands = {"mend": Command("mend", run, timedelta(seconds=60), cwd, environment)}
    return changing.command(
        Target("here/app", "tracking", "here", "systemd", "app.service", "", commands=commands),
        "mend",
        timedelta(seconds=90),
    )


def later(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """For this module ten minutes pass at once."""
    now = boottime()
    monkeypatch.setattr(module, "boottime", lambda: now + 600)


def agree() -> None:
    """A last look that sees nothing wrong."""


def test_it_runs_once_after_the_last_look_with_its_words_as_they_are(tmp_path: Path) -> None:
    hostile = ("; touch x", "$(touch x)", "{instance}", "two\nlines")
    script = "import sys; open('ran', 'a').write(repr(sys.argv[1:]) + '\\n')"
    seen = []
    declared(sys.executable, "-c", script, *hostile, cwd=str(tmp_path)).run(
        lambda: seen.append((tmp_path / "ran").exists())
    )
    assert seen == [False]
    assert (tmp_path / "ran").read_text() == f"{list(hostile)}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ran"]


def test_a_no_at_the_last_look_starts_nothing(tmp_path: Path) -> None:
    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        declared("touch", str(tmp_path / "ran")).run(too_late)
    assert not (tmp_path / "ran").exists()


def test_a_deadline_that_passed_during_the_last_look_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="the 1m for the command mend of here/app were over before it was started"):
        declared("touch", str(tmp_path / "ran")).run(lambda: later(monkeypatch, integration))
    assert not (tmp_path / "ran").exists()


def test_another_exit_code_than_0_is_useless_and_carries_its_words() -> None:
    with pytest.raises(PermanentError, match="the command mend of here/app ended with 3: no room left"):
        declared("sh", "-c", "echo chatter; echo no room left >&2; exit 3").run(agree)
    with pytest.raises(PermanentError, match="ended with 4: only on output"):
        declared("sh", "-c", "echo only on output; exit 4").run(agree)
    with pytest.raises(PermanentError, match="ended with 5: it said nothing"):
        declared("sh", "-c", "exit 5").run(agree)


def test_its_words_are_short_safe_and_without_secrets() -> None:
    redaction.remember("hunter2-hunter2")
    try:
        with pytest.raises(PermanentError) as failed:
            declared(
                "sh",
                "-c",
                "printf '%5000s' x | tr ' ' x; printf 'pw hunter2-hunter2 \\033[31m Bearer abc4def8ghij'; exit 1",
            ).run(agree)
    finally:
        redaction.forget_all()
    message = str(failed.value)
    assert "hunter2" not in message
    assert "abc4def8ghij" not in message
    assert "\033" not in message
    assert "\\x1b[31m" in message
    assert len(message) < 1100


def test_out_of_time_it_is_ended_and_its_outcome_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"echo half way; touch {tmp_path}/begun; sleep 600; touch {tmp_path}/done"

    def once_begun(*_: str) -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        later(monkeypatch, local_command)

    monkeypatch.setattr(integration, "kill_point", once_begun)
    with pytest.raises(OutcomeUnknown, match="was ended after 1m, and what it did by then is open: half way"):
        declared("sh", "-c", script).run(agree)
    assert not (tmp_path / "done").exists()


def test_a_guard_that_ended_it_while_we_stood_still_leaves_the_outcome_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "kill_point", lambda *_: later(monkeypatch, integration))
    with pytest.raises(OutcomeUnknown, match="was ended after 1m"):
        declared("sh", "-c", '[ "$(cat /proc/$PPID/comm)" = timeout ] && kill -9 $PPID').run(agree)


def test_whoever_starts_it_may_die_and_its_time_is_kept_all_the_same(tmp_path: Path) -> None:
    dying = textwrap.dedent(f"""
        import os, signal, time
        from datetime import timedelta
        from paramedic.integrations.remedies import command
        from paramedic.remediation.target import Command, Target
        from paramedic.transports.local import Local
        def die(*_):
            while not os.path.exists("{tmp_path}/begun"):
                time.sleep(0.01)
            os.kill(0, signal.SIGKILL)
        command.kill_point, command._GUARD_SECONDS = die, 1
        script = "touch {tmp_path}/begun; until [ -e {tmp_path}/go ]; do echo words; sleep 0.05; done; " \\
            "touch {tmp_path}/went-on; sleep 600; touch {tmp_path}/done"
        one = Command("mend", ("sh", "-c", "echo $$ > {tmp_path}/pid; " + script), timedelta(seconds=3))
        target = Target("here/app", "tracking", "here", "systemd", "app.service", "")
        command.Changer(target, one, Local(), {{}}).run(lambda: None)
    """)
    died = subprocess.run([sys.executable, "-c", dying], start_new_session=True, check=False)
    assert died.returncode == -signal.SIGKILL
    (tmp_path / "go").touch()
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until, "the command runs on without end"
        time.sleep(0.05)
    assert (tmp_path / "went-on").exists()
    assert not (tmp_path / "done").exists()


def test_the_shorter_of_two_times_counts() -> None:
    command = Command("mend", ("true",), timedelta(minutes=10))
    target = Target("here/app", "tracking", "here", "systemd", "app.service", "", commands={"mend": command})
    assert integration.Changer(target, command, Local(), {}, timedelta(seconds=7))._within == timedelta(seconds=7)
    assert integration.Changer(target, command, Local(), {}, timedelta(hours=1))._within == timedelta(minutes=10)


def test_it_gets_the_variables_that_it_names_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("PARAMEDIC_TOKEN", "a secret")
    declared("sh", "-c", f"env > {tmp_path}/env", environment=("WANTED",)).run(agree)
    seen = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert seen - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "WANTED"}


def test_what_cannot_be_run_is_told_before_the_last_look() -> None:
    looked = []
    for cannot, why in (
        (declared("no-such-program"), "no program 'no-such-program'"),
        (declared("true", cwd="/no/such/folder"), "there is no folder /no/such/folder"),
        (declared("true", environment=("NOT_SET_HERE",)), "needs NOT_SET_HERE, which is not set"),
    ):
        with pytest.raises(PermanentError, match=why):
            cannot.run(lambda: looked.append(1))
    assert not looked


def test_only_what_services_yaml_declares_is_a_command() -> None:
    target = Target("here/app", "tracking", "here", "systemd", "app.service", "")
    with pytest.raises(PermanentError, match="declares no command 'reboot' for here/app; there are: none"):
        changing.command(target, "reboot")
