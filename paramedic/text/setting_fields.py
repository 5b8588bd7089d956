"""Types of settings: durations, sizes, lists, addresses, secrets by name; each error says what is allowed."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    SecretStr,
)

from paramedic.text.redaction import SHORTEST
from paramedic.text.units import SizeBetween

_SIZE = SizeBetween(0, 10**15)


def _bytes(value: object) -> object:
    return _SIZE(value) if isinstance(value, str) and not value.isdigit() else value


def by_name(example: str) -> Callable[[object], object]:
    """A validator that parses a JSON object given as text, as in the environment; errors show the `example`."""

    def parse(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"write JSON: {example}") from error

    return parse


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _askable(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        parts = urlsplit(address)
        if (
            parts.scheme not in ("http", "https", "tcp")
            or not parts.hostname
            or (parts.scheme == "tcp" and not parts.port)
        ):
            raise ValueError(
                f"{address!r} cannot be asked; write http://HOST, https://HOST or tcp://HOST:PORT, with commas between"
            )
    return addresses


def _host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?", name):
            raise ValueError(
                f"{name!r:.80} is not a host name; write NAME or NAME.DOMAIN without scheme and port, commas between"
            )
    return names


def _helo_name(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(
        r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Za-z.:]{2,60}\]", name
    ):
        raise ValueError(f"{name!r:.80} is not a name to greet with; write NAME.DOMAIN, or an address as [192.0.2.1]")
    return name


def _long_enough(secrets: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in secrets.items():
        if len(secret.get_secret_value()) < SHORTEST:
            raise ValueError(f"the secret of {name!r} is too short to be one: {SHORTEST} characters at least")
    return secrets


def absolute(path: Path) -> Path:
    """The absolute path, with `~` as the home folder."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - Path's own raises where there is no home


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _one_of(*schemes: str) -> Callable[[SecretStr | str | None], SecretStr | str | None]:
    def check(value: SecretStr | str | None) -> SecretStr | str | None:
        url = value.get_secret_value() if isinstance(value, SecretStr) else value
        if url is not None and not url.startswith(schemes):
            raise ValueError(f"it begins with {' or '.join(schemes)}")
        if url is not None and schemes[0] in ("http://", "smtp://") and not _has_host(url):
            raise ValueError("it names a host, and a port, if any, from 1 to 65535; in a password, / is written %2F")
        return value

    return check


def _placed(url: SecretStr | None) -> SecretStr | None:
    """The URL with SQLite's file as an absolute path, so that processes started in other folders use the same one."""
    scheme, _, path = url.get_secret_value().partition("sqlite:///") if url is not None else ("", "", "")
    if scheme or not path or path.startswith((":", "file:", "/")):
        return url
    return SecretStr(f"sqlite:///{Path(path).absolute()}")


def _login(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        user, _, password = (login := value.get_secret_value()).partition(":")
        if not user or not password or not login.isascii() or not login.isprintable():
            raise ValueError("write user:password, in ASCII, as the server's PREFECT_SERVER_API_AUTH_STRING has it")
    return value


Place = Annotated[Path, AfterValidator(absolute)]


Bytes = Annotated[int, BeforeValidator(_bytes)]


Secrets = Annotated[
    dict[str, SecretStr], BeforeValidator(by_name('{"sender": "its secret"}')), AfterValidator(_long_enough)
]


def _topics(topics: dict[str, str]) -> dict[str, str]:
    for topic in topics.values():
        if not _TOPIC.fullmatch(topic):
            raise ValueError(f"{topic!r:.80} is no topic of SNS; write its ARN: arn:aws:sns:REGION:ACCOUNT:NAME")
    return topics


#: An SNS topic's ARN, in every partition of AWS's.
_TOPIC = re.compile(r"arn:aws(?:-[a-z-]{1,20})?:sns:[a-z0-9-]{2,32}:\d{12}:[A-Za-z0-9_.-]{1,256}")


def must_be_senders(named: Mapping[str, object], *known: Mapping[str, object]) -> None:
    """Raises ValueError where sender_services names a sender that no other setting does: it would restrict nobody."""
    names = sorted({name for senders in known for name in senders})
    for name in named:
        if name not in names:
            known_ones = f"there are {', '.join(names)}" if names else "there are none"
            where = "gateway_tokens, gateway_users or sns_topics"
            raise ValueError(f"sender_services: {name!r:.80} is no sender of {where}; {known_ones}")


def _not_nothing(given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for sender, services in given.items():
        if not services:
            raise ValueError(f"{sender!r:.80} may speak for no service: name them, or take its token away")
    return given


SenderServices = Annotated[
    dict[str, Annotated[tuple[str, ...], BeforeValidator(_listed)]],
    BeforeValidator(by_name('{"sender": ["tracking-api"]}')),
    AfterValidator(_not_nothing),
]

Topics = Annotated[dict[str, str], BeforeValidator(by_name('{"alarms": "arn:aws:sns:…"}')), AfterValidator(_topics)]


Web = Annotated[str | None, AfterValidator(_one_of("http://", "https://"))]


SecretWeb = Annotated[SecretStr | None, AfterValidator(_one_of("http://", "https://"))]


Login = Annotated[SecretStr | None, AfterValidator(_login)]


Mail = Annotated[SecretStr | None, AfterValidator(_one_of("smtp://", "smtps://"))]


HeloName = Annotated[str | None, AfterValidator(_helo_name)]


Database = Annotated[
    SecretStr | None,
    AfterValidator(_one_of("sqlite:///", "postgresql://", "postgresql+psycopg://")),
    AfterValidator(_placed),
]


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_host_names)]


Addresses = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_askable)]
