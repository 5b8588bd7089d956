"""How git is run: by an argument list, in an environment in which nothing of the user's or the repository's own is run.

git documentation: "git", ENVIRONMENT VARIABLES; "git-config", `protocol.allow`, `http.extraHeader`; "ssh_config".
"""

import base64
import os
import shlex
from pathlib import Path

from paramedic.errors import PermanentError
from paramedic.kinds.repository import RepositoryAccess, protocol
from paramedic.text.redaction import remember
from paramedic.transports.private_file import must_be_private

#: A token is not longer. Bytes.
_LIMIT = 65_536

#: What is left of the user's variables: the way to an agent and through a proxy.
_KEPT = ("SSH_AUTH_SOCK", "HTTPS_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy")

#: Settings of git's own, which win over those of any file.
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "credential.helper": "",
    "core.askPass": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "http.followRedirects": "false",  # what is sent to one server is not sent to another
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "20",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "push.gpgSign": "false",
    "transfer.credentialsInUrl": "die",
}


def environment(access: RepositoryAccess) -> dict[str, str]:
    """The variables that git gets beside PATH. Raises PermanentError where a file of the login cannot be used."""
    try:
        way = protocol(access.url)
    except ValueError as error:
        raise PermanentError(f"the repository's address: {error}") from error
    settings = dict(_SETTINGS)
    if access.token is not None:
        if way != "https":
            raise PermanentError(f"{access.url}: a token is sent by https alone")
        settings["http.extraHeader"] = f"Authorization: Basic {_login(access.user, Path(access.token))}"
    found = {name: value for name in _KEPT if (value := os.environ.get(name))}
    found |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_ALLOW_PROTOCOL": way,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        "GIT_SSH_VARIANT": "ssh",
        "GIT_SSH_COMMAND": _ssh(access),
    }
    if access.ca is not None:
        found["GIT_SSL_CAINFO"] = access.ca
    found["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _ssh(access: RepositoryAccess) -> str:
    """Git gives this to a shell: every word of it is quoted here."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
    }
    if access.known_hosts is not None:
        options |= {"UserKnownHostsFile": _ssh_path(access.known_hosts), "GlobalKnownHostsFile": "/dev/null"}
    words = ["ssh", "-F", "/dev/null"]
    if access.key is not None:
        must_be_private(Path(access.key))
        options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none"}
        words += ["-i", access.key]
    return shlex.join([*words, *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))])


def _ssh_path(path: str) -> str:
    """A path in an option of ssh, which knows quotes and % of its own."""
    return '"' + path.replace("%", "%%") + '"'


def _login(user: str, file: Path) -> str:
    must_be_private(file)
    try:
        with file.open("rb") as opened:
            token = opened.read(_LIMIT).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"{file} cannot be read") from error
    if not token or any(ord(letter) < 33 for letter in token):
        raise PermanentError(f"{file} holds no token: one line, and nothing else")
    remember(token)
    login = base64.b64encode(f"{user}:{token}".encode()).decode()
    remember(login)
    return login
