"""What lint and the settings let pass, the code can carry out: every key has bounds, and says them where it is written."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import getitem
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from ruamel.yaml import YAML

from paramedic import cli
from paramedic.alerts.alert import Severity
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import parse_services
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.oncall.shifts import shifts
from paramedic.settings import BadSettings, Settings, load_settings
from paramedic.text import yaml_document
from paramedic.text.units import Between, SizeBetween, between, moment
from paramedic.text.yaml_document import BadDocument

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

#: What somebody may write by a slip of the finger, or of the hand.
EXTREMES: tuple[Any, ...] = (
    "9999999d",
    "999999999w",
    "999999999w 999999999w 999999999w",
    "36501d",
    "0s",
    "0ms",
    "1ms",
    "999999999999GiB",
    "0B",
    "999999%",
    "9" * 30 + "%",
    "0%",
    "-1s",
    "-5%",
    "999999 per 999999999w",
    "1 per 0s",
    "3 per 9999999d",
    "999999 of 999999",
    "0001-01-01 00:00",
    "9999-12-31 23:59",
    "http://localhost:99999/",
    "http://localhost:0/",
    "tcp://localhost:0",
    "tls://localhost:65536",
    "x" * 5000,
    "",
    0,
    -1,
    10**30,
    -(10**30),
    1e308,
    float("inf"),
    float("nan"),
    True,
    None,
    [],
    {},
)

RUNBOOK: dict[str, Any] = {
    "runbook": "r",
    "service": "api",
    "when": [
        {"alert": "ApiSlow"},
        {
            "check": "health",
            "every": "15s",
            "timeout": "2s",
            "window": "30m",
            "unknown_after": "5m",
            "latency_p50": {"warning": "100ms", "critical": "200ms", "for": "1m", "hysteresis": "10%"},
            "latency_p90": {"critical": "200ms"},
            "latency_p95": {"critical": "200ms"},
            "latency_p99": {"critical": "200ms"},
            "error_rate": {"warning": "1%", "critical": "3%", "for": "0s"},
        },
        {"check": "process", "name": "p", "cpu": {"critical": "90%"}, "memory": {"critical": "1GB"}},
        {"check": "host", "name": "h", "path": "/", "disk": {"critical": "90%"}, "memory": {"critical": "90%"}},
        {"check": "tls://api:443", "name": "t", "expires_in": {"critical": "7d"}},
        {"check": "heartbeat", "name": "b", "missing_for": {"critical": "26h"}},
        {"check": "tcp://api:80", "name": "c", "error_rate": {"critical": "3%"}},
    ],
    "mode": "act",
    "playbook": "restore-service",
    "with": {
        "target": {"supervisord": "api", "host": "web-1"},
        "evidence": ["memory"],
        "remedies": ["restart", {"rollback-if-deployed-within": "30m"}, {"run": "clear"}],
        "verify": {"health": "ok", "memory_below": "1GB", "check": ["error_rate"], "stable": "1m", "within": "5m"},
    },
    "guardrails": {
        "budget": "3 per hour",
        "service_budget": "5 per 1h",
        "cooldown": "10m",
        "at_once": "1 of 4",
        "again": True,
        "approval": {"restart": "critical"},
    },
    "settle": "10m",
    "escalate": {"policy": "default"},
    "observe": {"page": "late"},
    "notify": ["webhook:ops"],
    "group": "default",
}
SERVICES: dict[str, Any] = {
    "services": {
        "api": {
            "owner": "ada",
            "targets": [
                {
                    "host": "web-1",
                    "supervisord": {"program": "api", "address": "http://127.0.0.1:9001"},
                    "health": "http://127.0.0.1:8080/health",
                    "log": "/var/log/api",
                    "releases": "/srv/api",
                    "commands": {"clear": {"run": ["clear"], "timeout": "10s", "cwd": "/", "environment": ["LANG"]}},
                    "also": ["web-1:9100"],
                },
                {"host": "web-2", "systemd": "api.service"},
            ],
        }
    }
}
ONCALL: dict[str, Any] = {
    "people": {"ada": {"name": "Ada", "email": "ada@example.org"}, "bob": {"name": "Bob", "ways": ["webhook:ops"]}},
    "rotation": {"zone": "Pacific/Kiritimati", "starts": "2026-01-05 09:00", "every": "1 day", "people": ["ada"]},
    "policies": {
        "default": {
            "rungs": [{"tell": "oncall"}, {"tell": "ada", "after": "10m"}],
            "repeat": "30m",
            "acknowledged_for": "4h",
        },
        "two": {"critical": [{"tell": "oncall", "after": "1m"}], "warning": [{"tell": "oncall"}]},
    },
}
PROSE = "\n---\n## Meaning\n## Impact\n## Diagnosis\n## Mitigation\n"


def _yaml(document: Mapping[str, Any]) -> str:
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, out)
    return out.getvalue()


def _loaded(document: Mapping[str, Any]) -> Any:
    """As the readers get it from YAML, with line and column of every key."""
    return YAML(typ="rt").load(_yaml(document))


FILES: dict[str, tuple[dict[str, Any], Callable[[str], Any]]] = {
    "runbook": (RUNBOOK, lambda text: parse(f"---\n{text}{PROSE}", "r.md")),
    "services": (SERVICES, lambda text: parse_services(text, "services.yaml")),
    "oncall": (ONCALL, lambda text: parse_oncall(text, "oncall.yaml")),
}
DOCUMENTS = {file: _loaded(document) for file, (document, _) in FILES.items()}
LOADED_EXTREMES = [_loaded({"value": value})["value"] for value in EXTREMES]


def _places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from _places(value, (*at, key))


@contextmanager
def _replaced(document: Any, at: tuple[Any, ...], value: Any) -> Iterator[None]:
    holder = reduce(getitem, at[:-1], document)
    before = holder[at[-1]]
    holder[at[-1]] = value
    try:
        yield
    finally:
        holder[at[-1]] = before


PLACES = [(file, at) for file, (document, _) in FILES.items() for at in _places(document)]


@pytest.mark.parametrize("file", FILES)
def test_what_is_tried_is_well_as_it_stands(file: str) -> None:
    document, read = FILES[file]
    _carried_out(read(_yaml(document)))


@pytest.mark.parametrize(
    ("file", "at"), PLACES, ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else value
)
def test_an_extreme_value_is_refused_by_its_key_or_can_be_carried_out(
    file: str, at: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document and each value are read from YAML once, and put together here: reading takes ten times what follows."""
    _, read = FILES[file]
    document = DOCUMENTS[file]
    monkeypatch.setattr(yaml_document, "YAML", lambda typ: SimpleNamespace(load=lambda _text: document))
    for value in LOADED_EXTREMES:
        with _replaced(document, at, value):
            try:
                found = read("its text\n")
            except BadDocument as error:
                _named(error, at)
            else:
                _carried_out(found)


def _named(error: BadDocument, at: tuple[Any, ...]) -> None:
    """Somewhere it says the key, or one that holds it or stands beside it, and never only what pydantic or Python thinks."""
    words = str(error)
    assert any(str(key) in words for key in at) or "there is no policy `default`" in words, words
    assert "Traceback" not in words
    assert "days=" not in words
    assert len(words) < 20_000


def _carried_out(found: Any) -> None:
    """Every span can be added to a moment and taken from it, every number kept; who is on call can be told."""
    for value in _values(found):
        if isinstance(value, timedelta):
            assert timedelta(0) <= value <= timedelta(days=36_500), value
            assert NOW - value < NOW + value or not value
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63, value
        elif isinstance(value, float):
            assert abs(value) < 1e16, value
        elif isinstance(value, str):
            assert len(value) < 20_000
    if isinstance(found, Oncall):
        shifts(found, NOW, NOW + timedelta(days=366))
        for severity in Severity:
            policy = found.policy("default", severity)
            assert all(policy.wait_after(number) is not None for number in range(5))


def _values(whole: Any) -> Iterator[Any]:
    if is_dataclass(whole) and not isinstance(whole, type):
        for field in fields(whole):
            yield from _values(getattr(whole, field.name))
    elif isinstance(whole, Mapping):
        for key, value in whole.items():
            yield key
            yield from _values(value)
    elif isinstance(whole, (list, tuple, set, frozenset)):
        for value in whole:
            yield from _values(value)
    else:
        yield whole


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_extreme_setting_is_refused_by_its_name_or_can_be_carried_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in EXTREMES:
        if value is None or isinstance(value, (list, dict)):
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"PARAMEDIC_{name.upper()}", text)
        try:
            found = load_settings()
        except BadSettings as error:
            assert name in str(error).lower(), error
        else:
            _carried_out([setting for _, setting in found])
            for key, kept in found.as_env().items():  # and the processes that are started with it understand it
                monkeypatch.setenv(key, kept)
            assert load_settings().model_dump() == found.model_dump()
        monkeypatch.delenv(f"PARAMEDIC_{name.upper()}")


# --- the readers ------------------------------------------------------------------------------------------------------

spans = st.timedeltas(timedelta(0), timedelta(days=36_500))
written = st.from_regex(r"(\d{1,9}(\.\d{1,6})? ?(ms|[smhdw]) ?){1,6}", fullmatch=True) | st.text(max_size=30)


@how(deadline=None)
@given(spans, spans, written)
def test_no_writing_of_a_duration_gets_past_its_range(one: timedelta, other: timedelta, text: str) -> None:
    allowed = Between(min(one, other), max(one, other))
    try:
        assert allowed.least <= allowed(text) <= allowed.most
    except ValueError as error:
        assert "allowed: from" in str(error) or "is not a duration" in str(error)


@how(deadline=None)
@given(st.from_regex(r"\d{1,12}(\.\d{1,6})? ?(B|kB|MB|GB|KiB|MiB|GiB)", fullmatch=True) | st.text(max_size=30))
def test_no_writing_of_a_size_gets_past_its_range(text: str) -> None:
    try:
        assert 1000 <= SizeBetween(1000, 10**15)(text) <= 10**15
    except ValueError as error:
        assert "allowed: from 1kB to 1000000GB" in str(error) or "is not a size" in str(error)


def test_the_range_is_said_as_people_write_it() -> None:
    with pytest.raises(ValueError, match="'3d' is too long; allowed: from 250ms to 2d"):
        between("250ms", "2d")("3d")
    with pytest.raises(ValueError, match="'1ms' is too short; allowed: from 250ms to 2d"):
        between("250ms", "2d")("1ms")


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00Z", "9999-12-31T23:59Z", "+9999999d", "-9999999d", "1969-12-31T23:59Z"]
)
def test_a_moment_that_nobody_means_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment"):
        moment(text, after=NOW)


# --- the command line -------------------------------------------------------------------------------------------------


def _numbers(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from _numbers(command.get_command(None, name), f"{path} {name}")
    for param in command.params:
        if param.bare_type() in ("int", "float"):
            yield f"{path} {param.name}", param.max


def test_every_number_of_the_command_line_has_a_largest_value() -> None:
    found = dict(_numbers(cli.app, "paramedic"))
    assert len(found) > 5
    assert [name for name, most in found.items() if most is None] == []


@pytest.mark.parametrize("at", ["0001-01-01", "9999-12-31", "9999-12-31T23:59+00:00"])
def test_nobody_is_on_call_in_a_year_that_nobody_means(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["oncall", "who", "--at", at, "--data", str(tmp_path)])
    assert ended.value.code == 2
    assert f"'{at}' is not a moment; write 2026-12-24" in capsys.readouterr().err
