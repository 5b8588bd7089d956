"""Who is let in at a host by SSH, on real OpenSSH servers: host keys, keys, certificates, the agent, jumps."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from ssh_servers import Sshd, make_key, running, said
from waiting import soon, until

from paramedic.errors import PermanentError, TemporaryError
from paramedic.remediation.host import Host
from paramedic.transports import ssh_connection, ssh_paramiko

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


def test_a_hashed_name_is_known_and_one_of_another_host_is_not(sshd: Sshd, tmp_path: Path) -> None:
    """As `ssh-keygen -H` and `HashKnownHosts yes` write it."""
    known = tmp_path / "known_hosts"
    known.write_text(sshd.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert known.read_text().startswith("|1|")
    assert "127.0.0.1" not in known.read_text()
    assert said(sshd.host(known_hosts=str(known)), "in") == "in"
    ssh_connection.close_all()
    known.write_text(f"[127.0.0.1]:{sshd.port + 1} {sshd.public}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    with pytest.raises(PermanentError, match="does not list"):
        said(sshd.host(known_hosts=str(known)), "x")
    hashed = known.read_text()
    known.write_text(f"{sshd.known_hosts.read_text()}@revoked {hashed}")
    assert said(sshd.host(known_hosts=str(known)), "in") == "in", "revoked at another port alone"


@pytest.mark.parametrize(
    ("patterns", "is_in"),
    [
        ("[127.0.0.*]:{port}", True),
        ("[127.0.0.?]:*", True),
        ("*,![127.0.0.1]:{port}", False),
        ("![127.0.0.1]:{port},*", False),
        ("*,![127.0.0.2]:{port}", True),
        ("![127.0.0.2]:{port}", False),  # names nothing itself
        ("127.0.0.1", False),  # of port 22
    ],
)
def test_a_pattern_lists_a_host_unless_another_of_its_line_excludes_it(
    sshd: Sshd, tmp_path: Path, patterns: str, is_in: bool
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{patterns.format(port=sshd.port)} {sshd.public}\n")
    host = sshd.host(known_hosts=str(known))
    checked = ["ssh", "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null"]
    checked += ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-i", str(sshd.folder / "key")]
    theirs = subprocess.run(
        [*checked, "-p", str(sshd.port), f"{sshd.user}@127.0.0.1", "true"], check=False, capture_output=True
    )
    if is_in:
        assert theirs.returncode == 0, (
            "OpenSSH's own client reads it so too; it looks for a name without a port as well"
        )
        assert said(host, "in") == "in"
    else:
        with pytest.raises(PermanentError, match="does not list"):
            said(host, "x")


def test_a_revoked_key_lets_nobody_in_wherever_it_is_listed_too(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    revoked = f"@revoked [127.0.0.1]:{sshd.port} {sshd.public}\n"
    for text in (f"{sshd.known_hosts.read_text()}{revoked}", f"{revoked}{sshd.known_hosts.read_text()}", revoked):
        known.write_text(text)
        with pytest.raises(PermanentError, match=r"known_hosts:\d revokes: nobody logs in there"):
            said(sshd.host(known_hosts=str(known)), "x")
    known.write_text(revoked.removeprefix("@revoked "))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    known.write_text(f"{sshd.known_hosts.read_text()}@revoked {known.read_text()}")
    assert "@revoked |1|" in known.read_text()
    with pytest.raises(PermanentError, match="revokes"):
        said(sshd.host(known_hosts=str(known)), "x")
    known.write_text(f"{sshd.known_hosts.read_text()}@revoked * {make_key(tmp_path / 'other')}\n")
    assert said(sshd.host(known_hosts=str(known)), "in") == "in"


def test_the_authority_of_a_host_is_not_enough_and_with_its_key_it_is_in(
    require: Callable[[str], str], tmp_path: Path
) -> None:
    authority = make_key(tmp_path / "ca")
    with running(require) as plain:
        (tmp_path / "host_key").write_bytes((plain.folder / "host_key").read_bytes())
        (tmp_path / "host_key").chmod(0o600)
        (tmp_path / "host_key.pub").write_text(plain.public)
        public = plain.public
    signed = ("-s", tmp_path / "ca", "-I", "web-7", "-h", "-n", "127.0.0.1", "-V", "-1m:+1h", tmp_path / "host_key.pub")
    subprocess.run(["ssh-keygen", "-q", *signed], check=True)
    more = f"HostKey {tmp_path}/host_key\nHostCertificate {tmp_path}/host_key-cert.pub\n"
    with running(require, more=more) as server:
        by_authority = f"@cert-authority [127.0.0.1]:{server.port} {authority}\n"
        server.known_hosts.write_text(by_authority)
        with pytest.raises(
            PermanentError, match="a line @cert-authority is not enough, the key itself has to be listed"
        ):
            said(server.host(), "x")
        server.known_hosts.write_text(f"{by_authority}[127.0.0.1]:{server.port} {public}\n")
        assert said(server.host(), "in") == "in"


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


def sign(folder: Path, server: Sshd, validity: str) -> None:
    """A certificate for `key` of the folder, by its `ca`."""
    words = ("-s", folder / "ca", "-I", "us", "-n", server.user, "-V", validity, folder / "key.pub")
    subprocess.run(["ssh-keygen", "-q", *words], check=True)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_logs_in_for_as_long_as_it_is_valid(
    require: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    make_key(tmp_path / "ca")
    make_key(tmp_path / "key", kind)
    with running(require, more=f"TrustedUserCAKeys {tmp_path}/ca.pub\n") as server:
        signed = server.host(key=str(tmp_path / "key"), certificate=str(tmp_path / "key-cert.pub"))
        sign(tmp_path, server, "-1m:+1h")
        assert said(signed, "in") == "in"
        assert "with its certificate, valid until 20" in ssh_connection.connection(signed).login(soon())
        ssh_connection.close_all()
        sign(tmp_path, server, "-2h:-1h")
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


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_in_the_agent_logs_in_and_is_named_by_the_fingerprint_that_ssh_add_shows(
    require: Callable[[str], str], agent: Path, tmp_path: Path, kind: str
) -> None:
    """`ssh-add -l` shows of a certificate the fingerprint of its key, beside that key itself."""
    make_key(tmp_path / "ca")
    make_key(tmp_path / "key", kind)
    with running(require, more=f"TrustedUserCAKeys {tmp_path}/ca.pub\n") as server:
        sign(tmp_path, server, "-1m:+1h")
        for number in range(8):
            make_key(tmp_path / f"other{number}")
            subprocess.run(["ssh-add", "-q", tmp_path / f"other{number}"], check=True)
        subprocess.run(["ssh-add", "-q", tmp_path / "key"], check=True)
        listed = subprocess.run(["ssh-add", "-l"], check=True, capture_output=True, text=True).stdout.splitlines()
        [shown] = [line.split()[1] for line in listed if line.endswith("-CERT)")]
        assert len([line for line in listed if shown in line]) == 2
        named = server.host(key=None, agent=shown)
        assert said(named, "in") == "in"
        words = ssh_connection.connection(named).login(soon())
        assert words.startswith(f"the agent's key {shown} with its certificate, valid until 20")
        with pytest.raises(PermanentError, match="the SSH agent has not the key SHA256:AAAA"):
            said(server.host(key=None, agent=f"SHA256:{43 * 'A'}"), "x")


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


def test_the_key_of_a_host_behind_another_is_listed_by_a_command_that_asks_from_there(
    sshd: Sshd, require: Callable[[str], str], tmp_path: Path
) -> None:
    require("ssh")
    listed = tmp_path / "known_hosts"
    with running(require, address="127.0.0.2") as middle, running(require, address="127.0.0.3") as behind:
        for way in (sshd.host("gate"), middle.host("middle", jump=sshd.host("gate"))):
            listed.unlink(missing_ok=True)
            ssh_connection.close_all()
            host = behind.host("web-8", jump=way, known_hosts=str(listed))
            with pytest.raises(PermanentError, match="does not list") as no:
                said(host, "x")
            command = str(no.value).split("`")[-2]
            assert f"ssh-keyscan -t ed25519 -p {behind.port} 127.0.0.3" in command
            assert command.startswith("ssh ")
            before = len(behind.log())
            subprocess.run(["sh", "-c", command], check=True, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            assert "Connection from 127.0.0.1" in behind.log()[before:]
            assert said(host, "in") == "in"
            last = sshd if way.name == "gate" else middle
            assert f"{last.user}@{last.address}" in command


def test_a_warm_connection_sends_without_delay_is_told_dead_in_seconds_and_shows_signs_of_life(
    require: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_paramiko, "_KEEPALIVE_SECONDS", 1)
    with running(require, more="LogLevel DEBUG1\n") as server:
        host = server.host()
        assert said(host, "in") == "in"
        transport = ssh_connection.connection(host)._transport
        assert transport is not None
        line = transport.sock
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        until("the server hears of us", lambda: server.log().count("rtype keepalive@lag.net") >= 2, 30)


def test_a_connection_whose_way_is_gone_is_closed_without_an_error(
    sshd: Sshd, require: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """paramiko tells the host before it of the end, and that one may have died unnoticed."""
    with running(require, address="127.0.0.2") as behind:
        host = behind.host("web-8", jump=sshd.host("gate"))
        assert said(host, "in") == "in"

    def gone(*_: object) -> None:
        raise EOFError

    with monkeypatch.context() as patch:
        patch.setattr(paramiko.Channel, "close", gone)
        ssh_connection.connection(host).close()
