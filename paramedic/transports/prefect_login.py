"""The login to the Prefect server: `user:password`. The embedded server's is made at its first start, in the data folder."""

import base64
import os
import secrets
import stat
from datetime import timedelta
from pathlib import Path
from typing import IO

import httpx
from pydantic import SecretStr

from paramedic.errors import PermanentError
from paramedic.keys import BadKey, read_or_create
from paramedic.settings import Settings
from paramedic.text.redaction import remember
from paramedic.transports.prefect_http import PrefectApi

#: Where the embedded server's page is that logs a browser in.
LOGIN_PATH = "/paramedic/login"

_USER = "paramedic"


def login_file(settings: Settings) -> Path:
    """Where the embedded server's login is kept."""
    return settings.data / "prefect-login"


def embedded_login(settings: Settings) -> str:
    """The embedded server's login: the setting, else what is kept in the data folder, made at first use (0600).

    Raises OSError, of which BadKey is one.
    """
    if settings.prefect_api_auth is not None:
        return settings.prefect_api_auth.get_secret_value()
    path = login_file(settings)
    login = read_or_create(path, _made).decode(errors="replace").strip()
    if ":" not in login.strip(":") or not login.isascii() or not login.isprintable():
        raise BadKey(f"{path}: is not a login (`user:password`); remove it, and a new one is made")
    remember(login)
    remember(login.partition(":")[2])
    return login


def _made() -> bytes:
    return f"{_USER}:{secrets.token_urlsafe(32)}".encode()


def with_login_made(settings: Settings) -> Settings:
    """The settings with the embedded server's login in them, made at first use. Raises OSError, of which BadKey is one."""
    return settings.model_copy(update={"prefect_api_auth": SecretStr(embedded_login(settings))})


def with_embedded_login(settings: Settings, api_url: str) -> Settings:
    """The settings with the embedded server's address `api_url`, and its login where none is set.

    Raises OSError where the login cannot be read. Creates none.
    """
    changes: dict[str, object] = {"prefect_api_url": api_url}
    if settings.prefect_api_auth is None and login_file(settings).exists():
        changes["prefect_api_auth"] = SecretStr(embedded_login(settings))
    return settings.model_copy(update=changes)


def asks_for_login(api_url: str, *, timeout: timedelta) -> bool | None:
    """Whether the Prefect API refuses a call that shows no login; None where it does not say.

    Prefect REST API reference: "Read Version" (admin), which requires the login, and changes nothing.
    """
    try:
        with PrefectApi(api_url).client(seconds=timeout.total_seconds()) as prefect:
            answer = prefect.get("/admin/version")
    except (PermanentError, httpx.HTTPError):
        return None
    if answer.status_code in (401, 403):
        return True
    return False if answer.is_success else None


def clickable(ui_url: str, login: str) -> str:
    """The address that opens the UI logged in. The login is in the fragment, which a browser does not send."""
    return f"{ui_url.rstrip('/')}{LOGIN_PATH}#{base64.urlsafe_b64encode(login.encode()).decode()}"


def may_be_shown(stream: IO[str]) -> bool:
    """Whether only the user who started this process reads the stream: a terminal, a pipe, a private file.

    A service manager's log (a socket), a container's (a pipe, whose reader is outside its namespace), or a file that others may
    read, would show a login to everyone who reads logs.
    """
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    if stream.isatty():
        return True
    if stat.S_ISFIFO(mode):
        return os.getppid() > 1  # 0 and 1: the container's first process, or one that its `--init` started
    return stat.S_ISREG(mode) and not mode & (stat.S_IRGRP | stat.S_IROTH)
