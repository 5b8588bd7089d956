"""Every other kind of target on a host by SSH, by the doors that a playbook uses: supervisord, release folder, command, log."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from deployed_releases import Deployed
from ssh_servers import Sshd, relay
from supervised import Supervised, supervising
from waiting import until

from paramedic.doors import changing, reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.targets import supervisord as integration
from paramedic.kinds.transport import Mark, MarkState
from paramedic.remediation.target import Command, Target
from paramedic.transports import ssh_folder
from paramedic.transports.ssh_dialogue import Cut

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]

WITHIN = timedelta(seconds=30)


def agree() -> None:
    """A last look that sees nothing wrong."""


@pytest.fixture
def supervised(require: Callable[[str], str]) -> Iterator[Supervised]:
    with supervising(require("supervisord"), apps=1) as running:
        running.comes_to("RUNNING")
        yield running
        running.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("way", ["unix", "http"])
def test_a_program_under_supervisord_is_restarted_there(sshd: Sshd, supervised: Supervised, way: str) -> None:
    there = replace(supervised.target(), host="web-7", machine=sshd.host())
    if way == "http":
        there = replace(there, address=f"http://look:p%40ss@127.0.0.1:{supervised.port}")
    before = reading.identity(there)
    after = changing.changer(there, WITHIN, act="act-1").restart(before, agree)
    assert reading.restarted(there, before, after)
    assert supervised.comes_to("RUNNING", but=cast("int", before.instance["pid"])) == after
    assert supervised.starts() == 2
    assert "program.py" in reading.evidence(there, "process-tree").text


def test_a_restart_whose_connection_is_cut_leaves_no_program_stopped(
    sshd: Sshd, supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relay(sshd) as way:
        there = replace(supervised.target(), host="web-7", machine=sshd.through(way))
        before = reading.identity(there)

        def cut_in_mid_restart(*_: str) -> None:
            until("it is being stopped", lambda: supervised.identity().state != "RUNNING", 20)
            way.cut()

        monkeypatch.setattr(integration, "kill_point", cut_in_mid_restart)
        with pytest.raises(OutcomeUnknown, match="its outcome is open"):
            changing.changer(there, WITHIN).restart(before, agree)
        monkeypatch.undo()
        after = supervised.comes_to("RUNNING", but=cast("int", before.instance["pid"]))
    assert reading.restarted(there, before, after)
    assert supervised.starts() == 2


@pytest.fixture
def app(tmp_path: Path, sshd: Sshd) -> Deployed:
    made = Deployed(tmp_path / "app")
    made.deploy("v1", healthy=True, reversible=True)
    made.deploy("v2", reversible=True)
    made.target = replace(made.target, host="web-7", machine=sshd.host())
    return made


def test_a_release_is_rolled_back_there(app: Deployed) -> None:
    assert [release.id for release in reading.releases(app.target).all()] == ["v2", "v1"]
    assert app.roll_back("v2") == "v1"
    assert app.current() == "releases/v1"
    assert app.lines()[-1]["what"] == "rolled-back"
    assert reading.releases(app.target).current().id == "v1"
    app.refuses("v1", "a roll-back is never rolled back")
    assert not (app.folder / ".current.paramedic").is_symlink()


def test_a_deployment_that_is_faster_is_not_overwritten_there(app: Deployed) -> None:
    (app.folder / "releases" / "v3").mkdir()
    with pytest.raises(Refused, match="somebody else has just made v3 the current release"):
        app.roll_back("v2", last_look=lambda: app.point("releases/v3"))
    assert app.current() == "releases/v3"
    assert app.lines()[-1]["what"] == "deployed"


def test_a_roll_back_whose_answer_is_lost_is_unknown_and_the_release_tells(
    app: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ssh_folder.Dialogue.ask

    def lost_after(talk: ssh_folder.Dialogue, *words: str, **how: object) -> bytes:
        answer = ask(talk, *words, **how)  # type: ignore[arg-type]
        if words[0] == "rename":
            raise Cut("no answer")
        return answer

    monkeypatch.setattr(ssh_folder.Dialogue, "ask", lost_after)
    with pytest.raises(OutcomeUnknown, match="current was to be replaced on web-7, which was lost then"):
        app.roll_back("v2")
    monkeypatch.undo()
    assert reading.releases(app.target).current().id == "v1"


def listed(sshd: Sshd, *words: str, cwd: str | None = None) -> Target:
    command = Command("mend", words, timedelta(seconds=20), cwd, ("TOKEN",))
    return Target(
        "web-7/app", "x", "web-7", "systemd", "app.service", "", commands={"mend": command}, machine=sshd.host()
    )


def test_a_declared_command_runs_there_and_leaves_its_mark(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    target = listed(sshd, "sh", "-c", 'echo "$TOKEN"; pwd > done', cwd=str(tmp_path))
    reading.command_ready(target, "mend", {"TOKEN": "x"})
    assert not (tmp_path / "done").exists()
    program = changing.command(target, "mend", WITHIN, act="act-2")
    program.run(agree)
    assert program.output == "t0ken"
    assert (tmp_path / "done").read_text() == f"{tmp_path}\n"
    assert reading.mark(target, "act-2", "run") == Mark(MarkState.HAPPENED, 0)


def test_a_command_that_is_not_there_is_told_before_anything_runs(sshd: Sshd) -> None:
    with pytest.raises(PermanentError, match="web-7 has no program '/no/such'"):
        reading.command_ready(listed(sshd, "/no/such"), "mend", {"TOKEN": "x"})


def test_the_log_of_a_target_is_read_there(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("there\n")
    assert reading.log_tail(replace(listed(sshd, "true"), log=str(tmp_path / "log"))) == "there\n"
