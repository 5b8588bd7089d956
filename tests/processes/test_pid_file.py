"""A pid file is believed only as far as the process under its pid is the one that services.yaml describes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pid_file_stage import Daemon
from waiting import until

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets.process import Reader, Words, restarted, running
from paramedic.kinds.transport import ProcessFacts, Transport
from paramedic.processes.pid_file import runs
from paramedic.transports import local_process
from paramedic.transports.local import Local


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


class Machine(Local):
    """This machine, whose processes are what a test says: by pid, what the kernel says of each."""

    def __init__(self, **known: Any) -> None:
        super().__init__()
        self.known = {int(pid.removeprefix("p")): facts for pid, facts in known.items()}
        self.processes = cast("Any", SimpleNamespace(facts=self.facts))

    def facts(self, pid: int) -> ProcessFacts | None:
        found = self.known.get(pid)
        if isinstance(found, Exception):
            raise found
        return cast("ProcessFacts | None", found)


def facts(daemon: Daemon, **other: Any) -> ProcessFacts:
    words = daemon.target().words
    known = {"pid": 4711, "boot": "b", "began": 100, "started_at": 1.0, "user": words.user}
    known |= {"arguments": (*words.command, str(daemon.folder)), "state": "S"}
    return ProcessFacts(**(known | other))


def seen(daemon: Daemon, content: str | bytes = "4711\n", **known: Any) -> Any:
    daemon.pid_file.write_bytes(content.encode() if isinstance(content, str) else content)
    return Reader(daemon.target(), cast("Transport", Machine(**known))).identity()


@pytest.mark.parametrize("content", ["4711\n", "4711", "  4711 \n", "04711\n"])
def test_an_instance_is_a_pid_and_when_it_began_after_which_boot(daemon: Daemon, content: str) -> None:
    found = seen(daemon, content, p4711=facts(daemon))
    assert running(found)
    assert found.as_json() == {"pid": 4711, "started_at": 1.0, "invocation": "b/100", "state": "running"}


@pytest.mark.parametrize("other", [{"began": 101}, {"boot": "c"}])
def test_a_pid_that_was_given_again_is_another_instance_and_a_clock_that_is_set_makes_none(
    daemon: Daemon, other: dict[str, Any]
) -> None:
    before = seen(daemon, p4711=facts(daemon))
    assert restarted(before, seen(daemon, p4711=facts(daemon, **other)))
    assert not restarted(before, seen(daemon, p4711=facts(daemon, started_at=86_400.0)))


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_an_empty_file_is_one_that_is_being_written(daemon: Daemon, content: str) -> None:
    """spring-projects/spring-boot#4923; and what stays so starts nothing (getpaseo/paseo#4803)."""
    with pytest.raises(TemporaryError, match="is empty just now"):
        seen(daemon, content)


@pytest.mark.parametrize(
    "content",
    [
        "3362\n961\n0\n",  # perfsonar/project#387
        "starting",  # vellum-ai/vellum-assistant#16859
        '{"pid": 4711}',
        "4711 app",
        "-4711",
        "-1",
        "0",
        "1",
        "4194305",
        "99999999999999999999",
        "4711\0\0\0",
        b"\xff\xfe4\x007\x00",
        "٤٧١١",
        "4711; reboot",
        "0x1267",
    ],
)
def test_what_is_no_pid_of_one_process_names_none(daemon: Daemon, content: str | bytes) -> None:
    with pytest.raises(PermanentError, match="which is not the pid of one process"):
        seen(daemon, content, p4711=facts(daemon))


def test_a_huge_file_is_not_read(daemon: Daemon) -> None:
    with pytest.raises(PermanentError, match="has 10,000,000 B: a pid file has a number in it"):
        seen(daemon, "4711\n" + " " * 9_999_995, p4711=facts(daemon))


@pytest.mark.parametrize(("what", "state"), [(None, "stale-pid-file"), ("Z", "zombie"), ("X", "zombie")])
def test_a_pid_of_nobody_is_a_process_that_does_not_run(daemon: Daemon, what: str | None, state: str) -> None:
    known = {} if what is None else {"p4711": facts(daemon, state=what)}
    found = seen(daemon, **known)
    assert not running(found)
    assert (found.state, found.instance["pid"]) == (f"stopped/{state}", None)


def test_no_pid_file_is_a_process_that_does_not_run(daemon: Daemon) -> None:
    assert daemon.identity().state == "stopped/no-pid-file"
    daemon.pid_file.parent.rmdir()  # as systemd takes away a RuntimeDirectory
    assert daemon.identity().state == "stopped/no-pid-file"


def test_a_suspended_process_is_there_and_is_not_up(daemon: Daemon) -> None:
    found = seen(daemon, p4711=facts(daemon, state="T"))
    assert (found.state, found.instance["pid"], running(found)) == ("suspended", 4711, False)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"arguments": ("sleep", "100")}, "is `sleep 100`, and not `/bin/sh "),
        ({"arguments": ("/bin/sh",)}, "is `/bin/sh`, and not"),
        ({"arguments": ("/bin/sh", "-c", "x")}, "is `/bin/sh -c x`, and not"),
        ({"arguments": ()}, "is `a thread of the kernel`, and not"),
        ({"user": "mallory"}, "is run by the user mallory, and not by"),
        ({"user": "1000 as 0"}, "is run by the user 1000 as 0, and not by"),
    ],
)
def test_another_program_under_the_pid_is_never_taken_for_it(daemon: Daemon, other: dict[str, Any], why: str) -> None:
    """MetPX/sarracenia#267, jhuckaby/Cronicle#789: after a reboot the pid was another process's, which was killed."""
    with pytest.raises(PermanentError, match=f"process 4711, which .*app.pid names, {why}") as error:
        seen(daemon, p4711=facts(daemon, **other))
    assert "the file is stale and the pid was given to another process" in str(error.value)


def test_what_a_process_calls_itself_is_data(daemon: Daemon) -> None:
    with pytest.raises(PermanentError) as error:
        seen(daemon, p4711=facts(daemon, arguments=("x\n\x1b[31mall is well" + "y" * 5_000,)))
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    ("command", "arguments", "means"),
    [
        (["nginx: master process"], ("nginx: master process /usr/sbin/nginx -g daemon on;",), True),
        (["nginx: master process"], ("nginx: worker process",), False),
        (["/usr/sbin/app"], ("/usr/sbin/app", "--port", "80"), True),
        (["/usr/sbin/app"], ("/usr/sbin/application",), False),
        (["/usr/sbin/app", "-x"], ("/usr/sbin/app -x",), False),
        (["/usr/bin/python3", "/srv/app.py"], ("/usr/bin/python3", "/srv/app.py", "-v"), True),
        (["app"], (), False),
    ],
)
def test_a_command_is_the_beginning_of_the_arguments_or_of_the_title(
    command: list[str], arguments: tuple[str, ...], means: bool
) -> None:
    assert runs(command, arguments) is means


def test_a_symlink_is_not_followed(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "other.pid").write_text(f"{os.getpid()}\n")
    daemon.pid_file.symlink_to(tmp_path / "other.pid")
    with pytest.raises(PermanentError, match="is a symlink: write the path of the pid file itself"):
        daemon.identity()


def test_the_folder_may_be_a_symlink_as_var_run_is(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "var").symlink_to(daemon.pid_file.parent)
    assert daemon.identity(pid_file=str(tmp_path / "var" / "app.pid")).state == "stopped/no-pid-file"


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_in_which_everybody_may_write_is_refused(daemon: Daemon, mode: int) -> None:
    daemon.pid_file.write_text(f"{os.getpid()}\n")
    daemon.pid_file.parent.chmod(mode)
    with pytest.raises(PermanentError, match="may be written to by everybody, who could name any process"):
        daemon.identity()
    daemon.pid_file.unlink()
    with pytest.raises(PermanentError, match="may be written to by everybody"):  # also before anybody has done so
        daemon.identity()


def test_a_file_in_which_everybody_may_write_is_refused(daemon: Daemon) -> None:
    """CVE-2018-16888's shape: a daemon with umask 0."""
    daemon.pid_file.write_text("4711\n")
    daemon.pid_file.chmod(0o666)
    with pytest.raises(PermanentError, match=r"may be written to by everybody: `chmod o-w "):
        daemon.identity()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused_and_never_waited_for(daemon: Daemon, kind: str) -> None:
    if kind == "folder":
        daemon.pid_file.mkdir()
    else:
        os.mkfifo(daemon.pid_file)
    with pytest.raises(PermanentError, match="is not a regular file"):
        daemon.identity()


def test_a_process_of_another_machine_is_not_looked_for_here(daemon: Daemon) -> None:
    daemon.pid_file.write_text(f"{os.getpid()}\n")
    with pytest.raises(PermanentError, match="is a process of web-7, and this machine is"):
        Reader(daemon.target("web-7"), Local()).identity()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process
        process.kill()


def test_the_kernel_is_asked_for_what_a_process_is(sleeper: subprocess.Popen[bytes]) -> None:
    arguments = ("sleep", "300")
    until(
        "it is what it was started as", lambda: getattr(local_process.facts(sleeper.pid), "arguments", ()) == arguments
    )
    found = local_process.facts(sleeper.pid)
    assert found is not None
    assert (found.pid, found.ended) == (sleeper.pid, False)
    again = local_process.facts(sleeper.pid)
    assert again is not None
    assert (found.began, found.boot) == (again.began, again.boot)
    assert local_process.alive(sleeper.pid, found.started_at)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    dead = local_process.facts(sleeper.pid)
    assert dead is not None
    assert dead.ended
    sleeper.wait()
    assert local_process.facts(sleeper.pid) is None


def test_a_process_that_proc_hides_is_not_taken_for_a_stale_file(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon
) -> None:
    """With `hidepid` another user's processes are not in /proc: a second one would be started beside it."""

    def denied(_pid: int, _signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", denied)
    daemon.pid_file.write_text("4194000\n")
    with pytest.raises(
        PermanentError, match="is another user's, and `/proc` shows it to nobody else: log in as its user"
    ):
        daemon.identity()


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"pid_file": "run/app.pid"}, "pid_file"),
        ({"pid_file": "/run/../etc/app.pid"}, "shortest path to it: /etc/app.pid"),
        ({"pid_file": "/app.pid"}, "pid_file"),
        ({"pid_file": "/run/{instance}.pid"}, "pid_file"),
        ({"name": "--app"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "{instance}"}, "name"),
        ({"command": []}, "command"),
        ({"command": ["/usr/bin/python3.11"]}, "runs many programs; write the next of its arguments"),
        ({"command": ["sh"]}, "runs many programs"),
        ({"user": "-1"}, "user"),
        ({"user": "a;b"}, "user"),
        ({"start": "/usr/sbin/app start"}, "there is no shell"),
        ({"start": []}, "there is no shell"),
        ({"start": ["bin/app"]}, "neither an absolute path nor a plain name"),
        ({"stop_within": "0s"}, "stop_within"),
        ({"stop_within": "1h"}, "stop_within"),
        ({"reload": "KILL"}, "'HUP', 'USR1' or 'USR2'"),
        ({"signal": "HUP"}, "signal"),
    ],
)
def test_what_no_run_could_use_is_refused_in_services_yaml(daemon: Daemon, other: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Words.model_validate(daemon.words() | other)
