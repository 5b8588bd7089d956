"""How a setting is written: spans, sizes, lists, addresses, secrets by name; each refused in words that say what is allowed."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    SecretStr,
)
from pydantic_settings import NoDecode

from paramedic.text.redaction import SHORTEST
from paramedic.text.units import SizeBetween, between

_SIZE = SizeBetween(0, 10**15)


def span(least: str, most: str) -> BeforeValidator:
    """A span of time, written `5s` or `1h 30m`, within these."""
    return BeforeValidator(between(least, most))


def _bytes(said: object) -> object:
    return _SIZE(said) if isinstance(said, str) and not said.isdigit() else said


def by_name(example: str) -> Callable[[object], object]:
    """A JSON object where it is one text, as in the environment; what is wrong is told with the `example`."""

    def parse(said: object) -> object:
        if not isinstance(said, str):
            return said
        try:
            return json.loads(said)
        except ValueError as error:
            raise ValueError(f"write JSON: {example}") from error

    return parse


def _listed(said: object) -> object:
    return tuple(part.strip() for part in said.split(",") if part.strip()) if isinstance(said, str) else said


def _askable(said: tuple[str, ...]) -> tuple[str, ...]:
    for one in said:
        parts = urlsplit(one)
        if (
            parts.scheme not in ("http", "https", "tcp")
            or not parts.hostname
            or (parts.scheme == "tcp" and not parts.port)
        ):
            raise ValueError(
                f"{one!r} cannot be asked; write http://HOST, https://HOST or tcp://HOST:PORT, with commas between"
            )
    return said


def _host_names(said: tuple[str, ...]) -> tuple[str, ...]:
    for one in said:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?", one):
            raise ValueError(
                f"{one!r:.80} is no host name; write NAME or NAME.DOMAIN without scheme and port, commas between"
            )
    return said


def _long_enough(said: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in said.items():
        if len(secret.get_secret_value()) < SHORTEST:
            raise ValueError(f"the secret of {name!r} is too short to be one: {SHORTEST} characters at least")
    return said


def absolute(said: Path) -> Path:
    """The path from the root on, `~` read as the home folder."""
    return Path(os.path.expanduser(said)).absolute()  # noqa: PTH111 - Path's own raises where there is no home


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _one_of(*schemes: str) -> Callable[[SecretStr | str | None], SecretStr | str | None]:
    def check(said: SecretStr | str | None) -> SecretStr | str | None:
        url = said.get_secret_value() if isinstance(said, SecretStr) else said
        if url is not None and not url.startswith(schemes):
            raise ValueError(f"it begins with {' or '.join(schemes)}")
        if url is not None and schemes[0] in ("http://", "smtp://") and not _has_host(url):
            raise ValueError("it names a host, and a port, if any, from 1 to 65535; in a password, / is written %2F")
        return said

    return check


def _placed(said: SecretStr | None) -> SecretStr | None:
    """SQLite's file by its absolute path: processes that are started elsewhere mean the same one."""
    scheme, _, path = said.get_secret_value().partition("sqlite:///") if said is not None else ("", "", "")
    if scheme or not path or path.startswith((":", "file:", "/")):
        return said
    return SecretStr(f"sqlite:///{Path(path).absolute()}")


def _login(said: SecretStr | None) -> SecretStr | None:
    if said is not None:
        user, _, password = (login := said.get_secret_value()).partition(":")
        if not user or not password or not login.isascii() or not login.isprintable():
            raise ValueError("write user:password, in ASCII, as the server's PREFECT_SERVER_API_AUTH_STRING has it")
    return said


Place = Annotated[Path, AfterValidator(absolute)]


Bytes = Annotated[int, BeforeValidator(_bytes)]


Secrets = Annotated[
    dict[str, SecretStr], NoDecode, BeforeValidator(by_name('{"sender": "its secret"}')), AfterValidator(_long_enough)
]


Web = Annotated[str | None, AfterValidator(_one_of("http://", "https://"))]


SecretWeb = Annotated[SecretStr | None, AfterValidator(_one_of("http://", "https://"))]


Login = Annotated[SecretStr | None, AfterValidator(_login)]


Mail = Annotated[SecretStr | None, AfterValidator(_one_of("smtp://", "smtps://"))]


Database = Annotated[
    SecretStr | None,
    AfterValidator(_one_of("sqlite:///", "postgresql://", "postgresql+psycopg://")),
    AfterValidator(_placed),
]


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_host_names)]


Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_askable)]
