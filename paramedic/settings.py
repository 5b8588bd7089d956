"""Every setting, from the environment (`PARAMEDIC_*`) and a TOML file; an unknown one is refused with the nearest known."""

import contextlib
import difflib
import os
import secrets
import tempfile
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from paramedic.duration import duration
from paramedic.error import Useless
from paramedic.secret import remember


class BadSettings(Useless):
    """One line a problem: which setting, what is wrong, what is allowed."""


def _span(said: object) -> object:
    return duration(said) if isinstance(said, str) else said


Span = Annotated[timedelta, BeforeValidator(_span)]

#: Names under PARAMEDIC_ that are no settings.
_OTHERS = {"PARAMEDIC_LIFELINE", "PARAMEDIC_CONFIG", "PARAMEDIC_BOUNDARIES", "PARAMEDIC_REQUIRE_REAL"}

ROOT = Path(__file__).parents[1]


class Settings(BaseSettings):
    """All of them, flat. Spans of time are written `5s`, `10m`, `1h 30m`."""

    model_config = SettingsConfigDict(env_prefix="PARAMEDIC_", extra="forbid")

    data: Path = Path.home() / ".local/share/paramedic"
    runbooks: Path = ROOT / "runbooks"
    store_url: SecretStr | None = None
    store_owner_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8650, ge=0, le=65535)
    public_url: str | None = None
    gateway_tokens: dict[str, SecretStr] = {}
    gateway_users: dict[str, SecretStr] = {}
    body_limit: int = Field(default=1024 * 1024, ge=1024)
    quarantine_limit: int = Field(default=1000, ge=1)
    prefect_api_url: str | None = None
    prefect_api_auth: SecretStr | None = None
    work_pool: str = "paramedic"
    work_pool_type: Literal["paramedic", "process"] = "paramedic"
    warm_processes: int = Field(default=2, ge=1, le=64)
    smtp_url: SecretStr | None = None
    mail_from: str = "paramedic@localhost"
    heartbeat_url: SecretStr | None = None
    heartbeat_every: Span = timedelta(seconds=60)
    checkpoint_file: Path | None = None
    signing_key_file: Path | None = None
    link_key_file: Path | None = None
    link_expires: Span = timedelta(hours=24)
    lease: Span = timedelta(seconds=10)
    renew: Span = timedelta(seconds=3)
    act_deadline: Span = timedelta(seconds=30)
    probe_timeout: Span = timedelta(seconds=2)
    watchdog_every: Span = timedelta(seconds=5)
    claim_within: Span = timedelta(seconds=30)
    silent_after: Span = timedelta(seconds=60)
    max_attempts: int = Field(default=3, ge=1)
    cures_per_day: int = Field(default=3, ge=1)

    def store(self) -> str:
        """The store's URL."""
        return self.store_url.get_secret_value() if self.store_url else f"sqlite:///{self.data}/paramedic.db"

    def checkpoints(self) -> Path:
        """Where signed checkpoints go."""
        return self.checkpoint_file or self.data / "checkpoints.jsonl"

    def links_at(self) -> str:
        """What a link in a message begins with."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load(**given: Any) -> Settings:
    """The settings, `given` before the environment before the file. Raises BadSettings with all that is wrong.

    Every secret among them is known from this moment on, and taken out of whatever leaves the process.
    """
    known = set(Settings.model_fields)
    variables = [f"PARAMEDIC_{one.upper()}" for one in sorted(known)]
    problems = [
        _unknown(name, f"environment: {name}", variables)
        for name in os.environ
        if name.startswith("PARAMEDIC_") and name not in _OTHERS and name[10:].lower() not in known
    ]
    file = Path(os.environ.get("PARAMEDIC_CONFIG", "paramedic.toml"))
    said: dict[str, Any] = {}
    if file.exists() or "PARAMEDIC_CONFIG" in os.environ:
        try:
            said = tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            problems.append(f"{file}: cannot be read: {error}")
        problems += [_unknown(name, f"{file}: {name}", sorted(known)) for name in said if name not in known]
    if problems:
        raise BadSettings("\n".join(problems))
    from_file = {name: value for name, value in said.items() if f"PARAMEDIC_{name.upper()}" not in os.environ}
    try:
        chosen = Settings(**(from_file | given))
    except SettingsError as error:
        raise BadSettings(f"{error}: write it as JSON") from error
    except ValidationError as error:
        raise BadSettings(
            "\n".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False))
        ) from error
    for value in chosen:
        _remember(value[1])
    return chosen


def _unknown(name: str, where: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{where}: no such setting" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}")


def _remember(value: object) -> None:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        remember(secret)
        if "://" in secret and "@" in secret:
            password = secret.split("://", 1)[1].rsplit("@", 1)[0].partition(":")[2]
            remember(password)
    elif isinstance(value, dict):
        for one in value.values():
            _remember(one)


def signing_key(chosen: Settings) -> Ed25519PrivateKey:
    """The key that signs checkpoints, made at first use (0600), its public half beside it."""
    path = chosen.signing_key_file or chosen.data / "signing.key"

    def make() -> bytes:
        return Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    key = serialization.load_pem_private_key(_kept(path, make), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSettings(f"{path}: not an Ed25519 key")
    public = path.with_suffix(".pub")
    if not public.exists():
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return key


def link_key(chosen: Settings) -> bytes:
    """The key that signs acknowledgement links, made at first use (0600)."""
    return _kept(chosen.link_key_file or chosen.data / "link.key", lambda: secrets.token_hex(32).encode())


#: A key file shorter than this is what a full disk left of one.
_SHORTEST_KEY = 32


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's bytes, made at first use: whole or not at all, and the same for all who ask at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = make()
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # somebody was faster: theirs is the key
                os.link(draft, path)
        finally:
            Path(draft).unlink()
    kept = path.read_bytes()
    if len(kept) < _SHORTEST_KEY:
        raise BadSettings(f"{path}: is no key: it has {len(kept)} bytes; remove it, and a new one is made")
    return kept
