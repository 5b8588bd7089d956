"""Who is let in at a host by SSH, on real OpenSSH servers: host keys, keys, certificates, the agent, jumps."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ssh_servers import Sshd, make_key, running, said
from waiting import soon, until

from paramedic.errors import PermanentError, TemporaryError
from paramedic.remediation.host import Host
from paramedic.transports import ssh_connection

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_never_added(sshd: Sshd, tmp_path: Path) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key"], check=True, capture_output=True, text=True
    ).stdout
    empty = tmp_path / "known_hosts"
    with pytest.raises(PermanentError) as no:
        said(sshd.host(known_hosts=str(empty)), "x")
    assert shown.split()[1] in str(no.value)
    command = f"ssh-keyscan -t ed25519 -p {sshd.port} 127.0.0.1 >> {empty}"
    assert command in str(no.value)
    assert not empty.exists()
    subprocess.run(["sh", "-c", command], check=True, stderr=subprocess.DEVNULL)
    assert said(sshd.host(known_hosts=str(empty)), "in") == "in"


def test_a_changed_host_key_is_refused_and_both_are_named(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {other}\n")
    with pytest.raises(
        PermanentError, match=r"shows another host key than is listed: the ED25519 key SHA256:.*known_hosts:1\)"
    ):
        said(sshd.host(known_hosts=str(known)), "x")
    assert other in known.read_text()


def test_a_server_with_several_host_keys_is_asked_for_the_one_that_is_listed(
    require: Callable[[str], str], tmp_path: Path
) -> None:
    rsa = make_key(tmp_path / "rsa", "rsa", "-b", "2048")
    ecdsa = make_key(tmp_path / "ecdsa", "ecdsa")
    with running(require, more=f"HostKey {tmp_path}/rsa\nHostKey {tmp_path}/ecdsa\n") as server:
        for listed in (rsa, ecdsa, server.public):
            server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {listed}\n")
            assert said(server.host(), "in") == "in"
            ssh_connection.close_all()
        server.known_hosts.write_text(f"* {rsa}\n@revoked * {rsa}\n")
        with pytest.raises(PermanentError, match=r"known_hosts:2 revokes"):
            said(server.host(), "x")


def test_a_key_that_is_not_authorized_is_told_with_its_fingerprint(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(PermanentError, match=r"lets nobody in by the key SHA256:\S+ \(.*/stranger\)"):
        said(sshd.host(key=str(tmp_path / "stranger")), "x")


def test_a_key_that_others_can_read_or_with_a_passphrase_is_not_used(sshd: Sshd, tmp_path: Path) -> None:
    loose, locked = tmp_path / "loose", tmp_path / "locked"
    make_key(loose)
    loose.chmod(0o644)
    subprocess.run(["ssh-keygen", "-q", "-N", "words", "-f", locked], check=True, stdin=subprocess.DEVNULL)
    for key, why in (
        (loose, f"chmod 600 {loose}"),
        (locked, "has a passphrase"),
        (tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(PermanentError, match=why):
            said(sshd.host(key=str(key)), "x")
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(PermanentError, match="no private key that can be used"):
        said(sshd.host(key=str(tmp_path / "text")), "x")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_each_kind_of_key_logs_in(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    public = make_key(tmp_path / kind, kind)
    with (sshd.folder / "authorized_keys").open("a") as keys:
        keys.write(f"{public}\n")
    assert said(sshd.host(key=str(tmp_path / kind)), "in") == "in"


def test_a_certificate_logs_in_for_as_long_as_it_is_valid(require: Callable[[str], str], tmp_path: Path) -> None:
    make_key(tmp_path / "ca")
    make_key(tmp_path / "key")

    def sign(validity: str) -> None:
        sign = [
            "ssh-keygen",
            "-q",
            "-s",
            tmp_path / "ca",
            "-I",
            "us",
            "-n",
            server.user,
            "-V",
            validity,
            tmp_path / "key.pub",
        ]
        subprocess.run(sign, check=True)

    with running(require, more=f"TrustedUserCAKeys {tmp_path}/ca.pub\n") as server:
        signed = server.host(key=str(tmp_path / "key"), certificate=str(tmp_path / "key-cert.pub"))
        sign("-1m:+1h")
        assert said(signed, "in") == "in"
        assert "with its certificate, valid until 20" in ssh_connection.connection(signed).login(soon())
        ssh_connection.close_all()
        sign("-2h:-1h")
        with pytest.raises(PermanentError, match="key-cert.pub was valid until 20"):
            said(signed, "x")
        (tmp_path / "key-cert.pub").write_text((tmp_path / "key.pub").read_text())
        with pytest.raises(PermanentError, match="is a public key, and no OpenSSH certificate"):
            said(signed, "x")


@pytest.fixture
def agent(require: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    at = tmp_path / "agent"
    with subprocess.Popen([require("ssh-agent"), "-D", "-a", at], stdout=subprocess.DEVNULL) as process:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(at))
        until("the agent answers", lambda: subprocess.run(["ssh-add", "-l"], check=False).returncode < 2, 20)
        yield at
        process.kill()


def test_the_agents_keys_log_in_and_one_of_many_can_be_named(sshd: Sshd, agent: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="the SSH agent has not any key"):
        said(sshd.host(key=None, agent=""), "x")
    for number in range(8):
        make_key(tmp_path / f"key{number}")
        subprocess.run(["ssh-add", "-q", tmp_path / f"key{number}"], check=True)
    subprocess.run(["ssh-add", "-q", sshd.folder / "key"], check=True)
    with pytest.raises(PermanentError, match=r"ended the login after \d keys: name one of them"):
        said(sshd.host(key=None, agent=""), "x")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "key"], check=True, capture_output=True, text=True
    ).stdout
    assert said(sshd.host(key=None, agent=shown.split()[1]), "in") == "in"


def test_without_an_agent_it_is_told(sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(PermanentError, match="SSH_AUTH_SOCK is not set"):
        said(sshd.host(key=None, agent=""), "x")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(PermanentError, match="cannot be asked"):
        said(sshd.host(key=None, agent=""), "x")


def test_a_host_behind_another_is_reached_by_it(sshd: Sshd, require: Callable[[str], str]) -> None:
    with running(require, address="127.0.0.2") as behind:
        gate = sshd.host("gate")
        assert said(behind.host("web-8", jump=gate), "behind") == "behind"
        assert "Connection from 127.0.0.1" in behind.log()
        lost = Host("gate", sshd.host("gate", port=1).ssh)
        with pytest.raises(TemporaryError, match="web-8.* is behind gate: gate, .* cannot be reached"):
            said(behind.host("web-8", jump=lost), "x")
