"""Every setting, from the environment (`PARAMEDIC_*`) and a TOML file; an unknown one is refused."""

import contextlib
import difflib
import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)

from paramedic.alerts.severity_words import Meaning, of_words
from paramedic.errors import PermanentError
from paramedic.kinds import logins, plugin_folder
from paramedic.kinds.logins import Login as ProbeLogin
from paramedic.machine import file_ownership, kill_points, liveness, parent_death
from paramedic.text.names import CHANNEL_NAME
from paramedic.text.setting_fields import (
    Addresses,
    Bytes,
    Database,
    HeloName,
    Login,
    Mail,
    Names,
    Place,
    Secrets,
    SecretWeb,
    SenderServices,
    Topics,
    Web,
    absolute,
    by_name,
    must_be_senders,
)
from paramedic.text.setting_secrets import remember_all
from paramedic.text.units import duration
from paramedic.text.written_file import Unreadable, read_written


class BadSettings(PermanentError):
    """The settings are invalid; one line per problem: setting, place, what is wrong, what is allowed."""


#: The folder that `paramedic`, `flows` and `tasks` lie in: the checkout, or the site-packages that they are installed in.
ROOT = Path(__file__).parents[1]

#: The checkout; None where Paramedic is an installed package.
CHECKOUT = ROOT if (ROOT / "pyproject.toml").is_file() else None

#: What is put first on the path of our processes: nothing where they are installed, since site-packages never goes before
#: the standard library.
IMPORTED_FIRST = () if CHECKOUT is None else (str(CHECKOUT),)

_PREFIX = "PARAMEDIC_"

#: The variable that names the file with the settings, and the file that is read where it names none.
_CONFIG, _FILE = "PARAMEDIC_CONFIG", "paramedic.toml"

#: The origin of a setting that is known from the running `paramedic up` of the data folder.
RUNNING = "the running `paramedic up`"

_NONE: Mapping[str, Any] = MappingProxyType({})

#: Names under PARAMEDIC_ that are not settings: the file with the settings, and what our processes give their children.
_OTHERS = {_CONFIG, parent_death.VARIABLE, liveness.VARIABLE, kill_points.VARIABLE}


class Channel(BaseModel):
    """The settings of one channel; the model of its kind says which there are (`paramedic.kinds`)."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SecretStr] = Field(init=False)

    url: SecretStr | None = None
    secret: SecretStr | None = None

    def given(self) -> dict[str, str]:
        """The values that are set, secrets included."""
        return {name: value.get_secret_value() for name, value in self if value is not None}


def _well_named(named: dict[str, Any]) -> dict[str, Any]:
    for name in named:
        if not CHANNEL_NAME.fullmatch(name):
            raise ValueError(f"{name!r:.80} is not a name here; allowed: letters, digits, `_`, `.`, `-`")
    return named


Channels = Annotated[
    dict[str, Channel],
    BeforeValidator(by_name('{"name": {"url": "https://…"}}')),
    AfterValidator(_well_named),
]

Logins = Annotated[
    dict[str, ProbeLogin],
    BeforeValidator(by_name('{"name": {"token": "…"}}')),
    AfterValidator(_well_named),
]

Severities = Annotated[dict[str, Meaning], BeforeValidator(by_name('{"word": "critical"}')), AfterValidator(of_words)]


class Settings(BaseModel):
    """All settings, flat. Durations are written `5s`, `10m`, `1h 30m`; an empty variable counts as unset."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    data: Place = Field(default_factory=lambda: absolute(Path("~/.local/share/paramedic")))
    runbooks: Place = (CHECKOUT or Path()) / "runbooks"
    flows: Place | None = None
    plugins: Place | None = None
    store_url: Database = None
    store_owner_url: Database = None
    host: str = "127.0.0.1"
    port: int = Field(default=8650, ge=0, le=65535)
    metrics_port: Annotated[int | None, Field(ge=1, le=65533)] = None
    public_url: Web = None
    gateway_url: Web = None
    gateway_hosts: Names = ()
    gateway_tokens: Secrets = {}
    gateway_users: Secrets = {}
    sns_topics: Topics = {}
    sender_services: SenderServices = {}
    body_limit: Bytes = Field(default=16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    quarantine_limit: int = Field(default=1000, ge=1, le=1_000_000)
    prefect_api_url: Web = None
    prefect_api_auth: Login = None
    prefect_ui_url: Web = None
    prefect_shortcuts: bool = True
    work_pool: str = "paramedic"
    work_pool_type: Literal["paramedic", "process"] = "paramedic"
    warm_processes: int = Field(default=4, ge=1, le=64)
    run_memory: Bytes = Field(default=1024 * 1024 * 1024, ge=64 * 1024 * 1024, le=2**42)
    smtp_url: Mail = None
    mail_from: str = "paramedic@localhost"
    mail_helo: HeloName = None
    mail_ca_file: Place | None = None
    channels: Channels = {}
    logins: Logins = {}
    heartbeat_url: SecretWeb = None
    heartbeat_every: Annotated[timedelta, duration("1s", "1d")] = timedelta(seconds=60)
    checkpoint_file: Place | None = None
    signing_key_file: Place | None = None
    link_key_file: Place | None = None
    link_expires: Annotated[timedelta, duration("1m", "30d")] = timedelta(hours=24)
    lease: Annotated[timedelta, duration("1s", "1d")] = timedelta(seconds=10)
    renew: Annotated[timedelta, duration("10ms", "12h")] = timedelta(seconds=3)
    act_deadline: Annotated[timedelta, duration("100ms", "1h")] = timedelta(seconds=30)
    probe_timeout: Annotated[timedelta, duration("10ms", "1m")] = timedelta(seconds=2)
    evidence_within: Annotated[timedelta, duration("100ms", "1m")] = timedelta(seconds=5)
    prefect_timeout: Annotated[timedelta, duration("100ms", "5m")] = timedelta(seconds=30)
    clock_skew: Annotated[timedelta, duration("1ms", "1h")] = timedelta(seconds=5)
    watchdog_every: Annotated[timedelta, duration("50ms", "5m")] = timedelta(seconds=5)
    claim_within: Annotated[timedelta, duration("100ms", "1h")] = timedelta(seconds=30)
    silent_after: Annotated[timedelta, duration("100ms", "1h")] = timedelta(seconds=60)
    approve_within: Annotated[timedelta, duration("1s", "7d")] = timedelta(minutes=15)
    approve_by_form: bool = True
    max_attempts: int = Field(default=3, ge=1, le=1000)
    cures_per_day: int = Field(default=3, ge=1, le=1000)
    breaker_failures: int = Field(default=3, ge=1, le=1000)
    breaker_within: Annotated[timedelta, duration("1m", "30d")] = timedelta(hours=4)
    fleet_share: int = Field(default=50, ge=1, le=100)  # percent
    fleet_within: Annotated[timedelta, duration("1m", "7d")] = timedelta(hours=1)
    storm_cooldown: Annotated[timedelta, duration("0s", "1d")] = timedelta(minutes=5)
    reopen_within: Annotated[timedelta, duration("1ms", "30d")] = timedelta(minutes=30)
    flapping_times: int = Field(default=5, ge=2, le=1000)
    flapping_within: Annotated[timedelta, duration("1m", "1d")] = timedelta(minutes=30)
    flapping_quiet: Annotated[timedelta, duration("1m", "1d")] = timedelta(minutes=15)
    # a run takes seconds to begin, and samples inside at each check's own period
    checks_every: Annotated[timedelta, duration("10s", "1d")] = timedelta(seconds=60)
    control_probes: Addresses = ()
    severities: Severities = {}
    messages_a_minute: int = Field(default=5, ge=2, le=1000)
    mass_breach: int = Field(default=5, ge=2, le=1_000_000)
    keep_inbox: Annotated[timedelta, duration("1s", "10000d")] = timedelta(days=30)
    keep_evidence: Annotated[timedelta, duration("1s", "10000d")] = timedelta(days=90)
    keep_trail: Annotated[timedelta, duration("1s", "10000d")] = timedelta(days=365)
    keep_prefect_runs: Annotated[timedelta, duration("1s", "10000d")] = timedelta(days=30)

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        named = {name: os.environ.get(f"{_PREFIX}{name.upper()}") for name in cls.model_fields}
        return {name: value for name, value in named.items() if value} | given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        must_be_senders(self.sender_services, self.gateway_tokens, self.gateway_users, self.sns_topics)
        if 2 * self.renew >= self.lease:
            raise ValueError("renew must be under half of lease: a holder stops at half its lease")
        return self

    def store(self) -> str:
        """The store's URL."""
        return self.store_url.get_secret_value() if self.store_url else f"sqlite:///{self.data}/paramedic.db"

    def owner(self) -> str:
        """The store's URL for the role that owns the tables, and may remove sealed entries."""
        return self.store_owner_url.get_secret_value() if self.store_owner_url else self.store()

    def runtime_role(self) -> str | None:
        """The role that uses the tables without owning them; None where both are the same."""
        return unquote(urlsplit(self.store()).username or "") or None if self.store_owner_url else None

    def checkpoints(self) -> Path:
        """The file for signed checkpoints."""
        return self.checkpoint_file or self.data / "checkpoints.jsonl"

    def last_good(self) -> Path:
        """The folder for the last good copies of services.yaml and oncall.yaml."""
        return self.data / "last-good"

    def links_at(self) -> str:
        """The base URL of links in messages."""
        return (self.public_url or web_address(self.host, self.port)).rstrip("/")

    def prefect_ui_at(self) -> str:
        """The base URL of the Prefect UI; empty where no Prefect is named."""
        return (self.prefect_ui_url or (self.prefect_api_url or "").rstrip("/").removesuffix("/api")).rstrip("/")

    def origin(self, name: str) -> str:
        """Where the setting's value comes from: `environment`, a file, `given` (a flag), or `default`."""
        return self._origins.get(name, "given" if name in self.model_fields_set else "default")

    def as_env(self) -> dict[str, str]:
        """The settings that were set, secrets included, as the environment of a child process."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        return {f"{_PREFIX}{name.upper()}": _written(value) for name, value in named.items() if value is not None}


def web_address(host: str, port: int) -> str:
    """`http://host:port`, an IPv6 address in brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def load_settings(*, running: Mapping[str, Any] = _NONE, **given: Any) -> Settings:
    """The settings: `given`, then the environment, then `running`, then the file. Raises BadSettings with every problem.

    `running`: what a running `paramedic up` was given (`given_to`). A relative path in the file is one beside the file.
    Every secret among them is redacted in all output of the process from now on; and the plug-ins of
    this process are those of their folder.
    """
    known = set(Settings.model_fields)
    problems = []
    origins = {}
    for name in sorted(os.environ):
        if not name.upper().startswith(_PREFIX) or name in _OTHERS:
            continue
        setting = name.removeprefix(_PREFIX).lower()
        if setting not in known or name != name.upper():
            problems.append(_unknown(name, "environment", [f"{_PREFIX}{key.upper()}" for key in sorted(known)]))
        elif os.environ[name]:
            origins[setting] = "environment"
    file = Path(os.environ.get(_CONFIG) or _FILE)
    written = _file(file, problems)
    problems += [_unknown(name, str(file), sorted(known)) for name in written if name not in known]
    below = {**_beside(file.parent, written), **running}
    below = {name: value for name, value in below.items() if name in known - set(origins)}
    origins = {name: RUNNING if name in running else str(file) for name in below} | origins
    origins |= dict.fromkeys(given, "given")
    try:
        settings = Settings(**(below | given))
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            problems.append(": ".join([*_place(fault["loc"], origins), fault["msg"].removeprefix("Value error, ")]))
        raise BadSettings("\n".join(problems)) from None  # pydantic's own text would repeat the values
    if problems:
        raise BadSettings("\n".join(problems))
    settings._origins = origins  # noqa: SLF001 - its own maker
    for _, value in settings:
        remember_all(value)
    plugin_folder.use(settings.plugins)
    logins.use(settings.logins)
    return settings


def given_to(environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The settings that a process with this environment, begun in this folder, was given: its variables, then its file.

    What is unknown, or cannot be read, is left out.
    """
    named = {name: environment.get(f"{_PREFIX}{name.upper()}") for name in Settings.model_fields}
    variables = {name: value for name, value in named.items() if value}
    file = folder / (environment.get(_CONFIG) or _FILE)
    written = _beside(file.parent, _file(file, [])) if file.exists() else {}
    return {name: value for name, value in written.items() if name in named} | _beside(folder, variables)


def _beside(folder: Path, written: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are written, with each relative path, SQLite's too, as one in the folder."""
    found = dict(written)
    for name, value in written.items():
        if not isinstance(value, str):
            continue
        if "Path" in str(getattr(Settings.model_fields.get(name), "annotation", "")):
            found[name] = str(folder.absolute() / os.path.expanduser(value))  # noqa: PTH111 - as `absolute` has it
        elif re.match(r"sqlite:///(?![/:]|file:)", value):
            found[name] = f"sqlite:///{folder.absolute() / value.removeprefix('sqlite:///')}"
    return found


def authored(settings: Settings) -> list[Path]:
    """The paths of code and files that Paramedic runs or relies on: runbooks, services, playbooks, our own code."""
    ends = (("runbooks", ("*.md", "*.yaml")), ("flows", ("*.py",)), ("plugins", ("*", "*/*.py", "sources/*.yaml")))
    folders = {"runbooks": settings.runbooks, "flows": settings.flows, "plugins": settings.plugins}
    files = [file for name, globs in ends if (folder := folders[name]) for glob in globs for file in folder.glob(glob)]
    shipped = [ROOT / name for name in ("paramedic", "flows", "tasks", "prefect.yaml")]
    return [path for path in (*filter(None, folders.values()), *files, *shipped) if path.exists()]


def _place(at: tuple[int | str, ...], origins: dict[str, str]) -> list[str]:
    """The place of the problem, and the setting as it is written there."""
    if not at:
        return []
    setting = str(at[0])
    origin = origins.get(setting, "default")
    written = f"{_PREFIX}{setting.upper()}" if origin == "environment" else setting
    return [origin, ".".join([written, *map(str, at[1:3])])]


def _file(file: Path, problems: list[str]) -> dict[str, Any]:
    if not os.path.lexists(file) and not os.environ.get(_CONFIG):  # a symlink that leads nowhere is a mistake
        return {}
    with contextlib.suppress(OSError):  # one that cannot be looked at cannot be read either
        if (untrusted := file_ownership.complaint(file)) is not None:
            problems.append(f"{file}: is not read: {untrusted}")
            return {}
    try:
        import tomllib  # here: most commands find no file

        return tomllib.loads(read_written(file))
    except Unreadable as error:
        problems.append(
            f"{file}: {error}" if error.line == error.column == 1 else f"{file}:{error.line}:{error.column}: {error}"
        )
    except (ValueError, RecursionError) as error:
        problems.append(f'{file}: is not TOML: {error}; write `name = "value"` lines')
    return {}


def _unknown(name: str, where: str, known: list[str]) -> str:
    # Compared without regard to case: a variable in small letters is nearest to itself in capitals.
    near = difflib.get_close_matches(name.upper(), [candidate.upper() for candidate in known], n=1, cutoff=0.5)
    meant = [candidate for candidate in known if candidate.upper() in near]
    return f"{where}: {name}: no such setting" + (
        f"; did you mean {meant[0]}?" if meant else f"; there are {', '.join(known)}"
    )


def _written(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():f}s"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _plain(value: object) -> str | dict[str, Any] | list[Any]:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {name: _plain(item) for name, item in value if item is not None}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else str(value)
