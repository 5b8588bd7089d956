"""Each value of a host that lint calls well reaches the code that logs in there, or makes a change there."""

import base64
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)
from forms import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from well_files import AGENT_KEY, At, dumped, hosts, meanings

from paramedic.catalog.services import parse_services
from paramedic.doors.transports import transport
from paramedic.errors import PermanentError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.transports import ssh_command, ssh_connection, ssh_login
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh
from paramedic.transports.ssh_known_hosts import KnownHosts

REMOTE, LOCAL = ("gate", "web-7", "größe"), ("web-1",)

HOST_KEY = b"the key of every server"

#: The addresses and ports from server to server.
Way = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Key:
    """What offers a key to a server."""

    blob: bytes
    public_blob: Any = None

    def asbytes(self) -> bytes:
        return self.blob


@dataclass
class Servers:
    """All servers: they let everybody in, and keep who came, by which way, with which key."""

    came: dict[Way, tuple[str, Any]] = field(default_factory=dict)

    def connected(self, way: Way, _seconds: float) -> Any:
        """A connection whose handshake shows the servers' host key."""
        shown = SimpleNamespace(get_name=lambda: "ssh-ed25519", asbytes=lambda: HOST_KEY)
        return SimpleNamespace(
            prefer=lambda _kinds: None,
            start_client=lambda **_: None,
            get_remote_server_key=lambda: shown,
            auth_publickey=lambda user, key: self.came.__setitem__(way, (user, key)),
            keep_warm=lambda: None,
            is_active=lambda: True,
            close=lambda: None,
            open_port=lambda to, _seconds: (*way, to),
        )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the key, and its certificate, of each host that is reached by SSH."""
    folder = tmp_path_factory.mktemp("keys")
    signer, now = Ed25519PrivateKey.generate(), round(time.time())
    for number in range(len(REMOTE)):
        key = Ed25519PrivateKey.generate()
        file = folder / f"key-{number}"
        file.touch(0o600)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        builder = SSHCertificateBuilder().public_key(key.public_key()).serial(number).type(SSHCertificateType.USER)
        builder = builder.key_id(b"paramedic").valid_for_all_principals()
        certificate = builder.valid_after(now - 1000).valid_before(now + 10**6).sign(signer)
        (folder / f"key-{number}-cert.pub").write_bytes(certificate.public_bytes())
    return folder


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Servers:
    found = Servers()
    agent = SimpleNamespace(get_keys=lambda: [Key(b"another"), Key(b"chosen")])
    shown = ssh_login.fingerprint
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(ssh_connection, "tcp_line", lambda address, port, _seconds: ((address, port),))
    monkeypatch.setattr(ssh_connection, "SshTransport", found.connected)
    monkeypatch.setattr(ssh_login, "_Agent", lambda: agent)
    monkeypatch.setattr(ssh_login, "fingerprint", lambda key: AGENT_KEY if key == b"chosen" else shown(key))
    monkeypatch.setattr(ssh_command, "answer", lambda *_: b"")
    return found


@settings(max_examples=examples(40), derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_value_of_a_host_reaches_the_code_that_uses_it(
    data: st.DataObject, servers: Servers, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = data.draw(hosts(REMOTE, LOCAL, str(keys)))
    targets = [{"host": name, "systemd": "api.service"} for name in listed]
    services = parse_services(dumped({"hosts": listed, "services": {"api": {"targets": targets}}}), "services.yaml")
    monkeypatch.setattr(ssh_connection, "_pool", ssh_connection._Pool())
    _list_host_keys(listed, tmp_path)
    seen: dict[At, Any] = {}
    names: dict[Way, str] = {}
    for name in (*REMOTE, *LOCAL):  # who jumps comes after the one that leads there
        if "also" in listed[name]:
            seen[name, "also"] = services.names_of(name)[1:]
        if services.hosts[name].seen_from:
            seen[name, "seen_from"] = services.hosts[name].seen_from
        way = transport(next(target for target in services if target.host == name))
        if isinstance(way, Local):
            seen[name, "local"] = True
            continue
        assert isinstance(way, Ssh)
        servers.came.clear()
        ssh_connection.connection(services.hosts[name]).login(boottime() + 5)
        [*_, came] = servers.came  # whoever leads there is met before, once
        names[came] = name
        seen |= {(name, "ssh", key): value for key, value in at_server(came, names, servers, keys).items()}
        seen[name, "ssh", "known_hosts"] = asked_of_a_file(services.hosts[name], tmp_path)
        assert way.command(["systemctl"])._words() == [*(("sudo", "-n", "--") if way.by_sudo else ()), "systemctl"]
        seen[name, "ssh", "sudo"] = way.by_sudo
    defaults = {(name, "ssh", key): value for name in REMOTE for key, value in UNSAID.items()}
    told = {at: value for at, value in seen.items() if at in meanings(listed) or value != defaults.get(at)}
    assert told == meanings(listed)


#: What holds where an author writes nothing.
UNSAID = {"port": 22, "sudo": False, "known_hosts": None}


def _list_host_keys(listed: dict[str, Any], home: Path) -> None:
    """Each server's key stands in the one file that is to be asked about it, as ssh-keyscan writes it."""
    usual = home / ".ssh" / "known_hosts"
    usual.parent.mkdir(exist_ok=True)
    usual.write_text("")
    for name in REMOTE:
        said = {at[0]: means for at, means in meanings(listed[name]["ssh"]).items()}
        at = said["address"] if said.get("port", 22) == 22 else f"[{said['address']}]:{said['port']}"
        file = Path(said.get("known_hosts", usual))
        line = f"{at} ssh-ed25519 {base64.b64encode(HOST_KEY).decode()}\n"
        file.write_text(line if file != usual else usual.read_text() + line)


def asked_of_a_file(host: Host, home: Path) -> str | None:
    """The file without which its host key is not known; None for the user's own."""
    assert host.ssh is not None
    files = [home / ".ssh" / "known_hosts", *([Path(host.ssh.known_hosts)] if host.ssh.known_hosts else [])]
    found = []
    for file in files:
        text = file.read_text()
        file.write_text("")
        try:
            KnownHosts(host, host.ssh).judge("ssh-ed25519", HOST_KEY)
        except PermanentError:
            found.append(file)
        file.write_text(text)
    assert len(found) == 1
    return None if found[0] == files[0] else str(found[0])


def at_server(came: Way, names: dict[Way, str], servers: Servers, keys: Path) -> dict[str, Any]:
    """What the server at the end of this way has met."""
    *before, (address, port) = came
    user, key = servers.came[came]
    found = {"address": address, "port": port, "user": user}
    if before:
        found["jump"] = names[tuple(before)]
    if isinstance(key, Key):
        return found | {"agent": "" if key.blob == b"another" else AGENT_KEY}
    [file] = [file for file in keys.glob("key-?") if paramiko.Ed25519Key.from_path(file).asbytes() == key.asbytes()]
    if key.public_blob is not None:
        certificate = keys / f"{file.name}-cert.pub"
        assert base64.b64decode(certificate.read_text().split()[1]) == key.public_blob.key_blob
        found["certificate"] = str(certificate)
    return found | {"key": str(file)}
