"""Host keys: what known_hosts files list for an address (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), and whether a key is one."""

import base64
import binascii
import hashlib
import hmac
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paramedic.errors import PermanentError
from paramedic.remediation.host import Host, SshAccess

#: Where host keys are looked for if services.yaml names no file, as OpenSSH does.
_USUAL = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is about the address."""

    where: str  # FILE:NUMBER
    marker: str  # "", "@revoked", "@cert-authority"
    kind: str
    key: bytes


class KnownHosts:
    """The host keys that are listed for one host."""

    def __init__(self, host: Host, access: SshAccess) -> None:
        """Raises PermanentError where a file cannot be read; one that is not there lists nothing."""
        self._host, self._access = host, access
        self._name = access.address if access.port == 22 else f"[{access.address}]:{access.port}"
        self.file = access.known_hosts or str(Path(_USUAL[0]).expanduser())
        files = (self.file,) if access.known_hosts else (self.file, _USUAL[1])
        self._lines = [line for file in files for line in _lines(file, self._name)]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the keys that are listed, in the order of the files: the server is asked for those first."""
        return tuple(dict.fromkeys(line.kind for line in self._lines if not line.marker))

    def judge(self, kind: str, key: bytes) -> None:
        """Raises PermanentError unless the key is listed for the host, and not revoked: it is never added here."""
        shown = f"{_short(kind)} key {fingerprint(key)}"
        listed = [line for line in self._lines if not line.marker]
        for line in self._lines:
            if line.marker == "@revoked" and line.key == key:
                raise PermanentError(
                    f"{self._host} shows the {shown}, which {line.where} revokes: nobody logs in there"
                )
        if any(line.key == key for line in listed):
            return
        if listed:
            lines = ", ".join(f"{_short(line.kind)} {fingerprint(line.key)} ({line.where})" for line in listed)
            gone = shlex.join(["ssh-keygen", "-R", self._name, "-f", listed[0].where.rpartition(":")[0]])
            raise PermanentError(
                f"{self._host} shows another host key than is listed: the {shown}, and not {lines}. Somebody else may answer "
                f"for it; if it has a new key, `{gone}` forgets the old one, and `{self._listing(kind)}` lists the new one"
            )
        signed = any(line.marker == "@cert-authority" for line in self._lines)
        raise PermanentError(
            f"{self._host} shows a host key that {self.file} does not list: the {shown}. Compare it with what "
            f"`ssh-keygen -lf /etc/ssh/ssh_host_{_short(kind).lower()}_key.pub` says on that host; "
            f"`{self._listing(kind)}` lists it"
            + ("; a line @cert-authority is not enough, the key itself has to be listed" if signed else "")
        )

    def _listing(self, kind: str) -> str:
        """The command that lists the host's key: run on the host that leads to it, where one does: only that reaches it."""
        asked = ["ssh-keyscan", "-t", _short(kind).lower(), "-p", str(self._access.port), self._access.address]
        before = self._access.jump
        if before is not None and before.ssh is not None:
            asked = [*_client(before.ssh), "--", shlex.join(asked)]
        return f"{shlex.join(asked)} >> {shlex.quote(self.file)}"


def _client(access: SshAccess, *more: str) -> list[str]:
    """The words by which OpenSSH's client logs in as we do."""
    words = ["ssh", *more, "-p", str(access.port)]
    words += ["-i", access.key] if access.key is not None else []
    words += ["-o", f"CertificateFile={access.certificate}"] if access.certificate is not None else []
    words += ["-o", f"UserKnownHostsFile={access.known_hosts}"] if access.known_hosts is not None else []
    if access.jump is not None and access.jump.ssh is not None:
        words += ["-o", f"ProxyCommand={shlex.join(_client(access.jump.ssh, '-W', '%h:%p'))}"]
    return [*words, f"{access.user}@{access.address}"]


def fingerprint(key: bytes) -> str:
    """`SHA256:…`, as OpenSSH's programs show it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _short(kind: str) -> str:
    """`ED25519` of `ssh-ed25519`, `ECDSA` of `ecdsa-sha2-nistp256`, as OpenSSH's programs call it."""
    return kind.removeprefix("sk-").removeprefix("ssh-").partition("-")[0].upper()


def _lines(file: str, name: str) -> Iterator[_Line]:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise PermanentError(f"{file} cannot be read: {error.strerror}") from error
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or not _means(words[0], name):
            continue
        try:
            yield _Line(f"{file}:{number}", marker, words[1], base64.b64decode(words[2], validate=True))
        except binascii.Error:
            continue  # as OpenSSH: such a line lists nothing


def _means(patterns: str, name: str) -> bool:
    """Whether the first field of a line is about the name: hashed, or patterns, of which none may exclude it."""
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    found = False
    for pattern in patterns.split(","):
        if _fits(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_hash_of(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in hashed.removeprefix("|1|").split("|"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.lower().encode(), hashlib.sha1).digest(), digest)


def _fits(pattern: str, name: str) -> bool:
    parts = {"*": ".*", "?": "."}
    regex = "".join(parts.get(letter) or re.escape(letter) for letter in pattern)
    return re.fullmatch(regex, name, re.IGNORECASE) is not None
