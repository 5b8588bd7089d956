"""The journal of a real systemd is followed: a service's lines once each, and of sshd what sshd itself has written alone."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import paramiko
import pytest
from fake_service import target
from ssh_servers import make_key
from systemd_units import Units
from waiting import until

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.demo.world import free_port
from paramedic.kinds import log_source
from paramedic.sampling import one_sample
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

Look = Callable[..., Sample]

SSHD = """
[Service]
RuntimeDirectory=sshd
ExecStart={sshd} -D -e -f {folder}/sshd_config
"""
CONFIG = (
    "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\nPermitRootLogin yes\n"
)


@pytest.fixture
def look(units: Units, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    monkeypatch.setattr(one_sample, "transport", lambda _: Local(units.via))
    log_source.forget()

    def looked(check: str, **words: Any) -> Sample:
        made = check_spec(CheckSpec)(check=check, timeout="14s", **words).build()
        return one_sample.sample(made, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None)

    yield looked
    log_source.forget()


def comes_to(seen: Callable[[], Sample], expected: object) -> None:
    found: list[Sample] = []

    def so() -> bool:
        found.append(seen())
        return ({whose: of["failures"] for whose, of in found[-1].each.items()} or found[-1].values) == expected

    until(f"the check sees {expected}", so, 30)


def test_the_lines_of_a_service_are_counted_once_each(units: Units, look: Look) -> None:
    go_on = units.systemd.folder / "go-on"
    script = f"echo ERROR one; while [ ! -e {go_on} ]; do sleep 0.1; done; echo ERROR two; printf 'a\\nERROR three\\n'"
    units.running("shop", start=f"{script}; exec sleep infinity")
    words = {"journal": "shop.service", "must_not": "ERROR"}
    comes_to(lambda: look("log_pattern", **words), {"matches": 1, "missing": 0})
    go_on.touch()
    comes_to(lambda: look("log_pattern", **words), {"matches": 3, "missing": 0})
    assert look("log_pattern", **words).values == {"matches": 3, "missing": 0}
    log_source.forget()
    assert look("log_pattern", **words).values == {"matches": 3, "missing": 0}, "a new process reads the window again"


def test_of_sshd_its_own_words_count_and_not_those_of_whoever_writes_under_its_name(
    units: Units, look: Look, require: Callable[[str], str]
) -> None:
    folder, port = units.systemd.folder, free_port()
    (folder / "host_key").unlink(missing_ok=True)
    make_key(folder / "host_key")
    (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder))
    forged = "Failed password for root from 198.51.100.1 port 22 ssh2"
    units.running("forger", start=f"echo '{forged}'; exec sleep infinity", more="SyslogIdentifier=sshd")
    units.systemd.unit("ssh.service", SSHD.format(sshd=require("sshd"), folder=folder))
    assert units.systemd.run("systemctl", "start", "ssh.service").returncode == 0

    def tried() -> bool:
        with suppress(OSError, paramiko.SSHException):
            with paramiko.Transport(("127.0.0.1", port)) as transport:
                transport.start_client(timeout=10)
                with suppress(paramiko.AuthenticationException):
                    transport.auth_password("x from 198.51.100.1 port 22 ssh2", "wrong", fallback=False)
            return True
        return False

    until("sshd answers", tried, 30)
    assert tried()
    comes_to(lambda: look("failed_logins", journal="sshd"), {"127.0.0.1": 2})
    assert forged in units.systemd.run("journalctl", "--no-pager", "-t", "sshd").stdout
    units.systemd.run("systemctl", "stop", "ssh.service", "forger.service")
