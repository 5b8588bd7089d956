"""Each setting means what was written, in this process and in those that it starts, and some code reads it."""

import ast
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from forms import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BeforeValidator, SecretStr
from well_files import Said, sizes, spans, written

from paramedic.kinds import plugin_folder, registry
from paramedic.kinds.registry import Room
from paramedic.settings import ROOT, Settings, load_settings
from paramedic.text.units import Between

_TOKEN = {"sender": "a-token-of-the-test-that-is-long"}
_CHANNEL = {"ops": {"url": "https://hooks.example/ops", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}}

_TOPIC = {"alarms": "arn:aws-us-gov:sns:us-gov-west-1:123456789012:alarms.fifo"}

#: Of a sender that the tokens name.
_SERVICES = {name: ["tracking-api", "orders"] for name in _TOKEN}

_LOGIN = {"orders": {"url": "https://orders.example", "token": "secret-word-7"}}

#: What is neither a duration nor a number with bounds: a text, or a text and what it means.
_OTHERS: dict[str, list[Any]] = {
    "data": [Said("/srv/paramedic", Path("/srv/paramedic"))],
    "runbooks": [Said("/srv/runbooks", Path("/srv/runbooks"))],
    "flows": [Said("/srv/flows", Path("/srv/flows"))],
    "plugins": [Said("/srv/plugins", Path("/srv/plugins"))],
    "store_url": ["sqlite:////srv/p.db", "postgresql://u:secret-word-1@db/p"],
    "store_owner_url": ["postgresql://o:secret-word-2@db/p"],
    "host": ["::1", "gateway.example"],
    "gateway_url": ["http://gateway.example:8650"],
    "public_url": ["https://paramedic.example/x"],
    "gateway_hosts": [Said("a.example, b.example", ("a.example", "b.example"))],
    "gateway_tokens": [Said(json.dumps(_TOKEN), _TOKEN)],
    "gateway_users": [Said(json.dumps(_TOKEN), _TOKEN)],
    "sender_services": [Said(json.dumps(_SERVICES), dict.fromkeys(_SERVICES, ("tracking-api", "orders")))],
    "sns_topics": [Said(json.dumps(_TOPIC), _TOPIC)],
    "prefect_api_url": ["http://127.0.0.1:4200/api"],
    "prefect_api_auth": ["ada:secret-word-3"],
    "prefect_ui_url": ["https://prefect.example"],
    "prefect_shortcuts": [Said("false", False), Said("1", True)],
    "approve_by_form": [Said("no", False), Said("true", True)],
    "work_pool": ["another"],
    "work_pool_type": ["process", "paramedic"],
    "smtp_url": ["smtps://u:secret-word-4@mail.example:465"],
    "mail_from": ["Paramedic <p@example.org>"],
    "mail_helo": ["host.example"],
    "mail_ca_file": [Said("/etc/ca.pem", Path("/etc/ca.pem"))],
    "channels": [Said(json.dumps(_CHANNEL), _CHANNEL)],
    "logins": [Said(json.dumps(_LOGIN), _LOGIN)],
    "heartbeat_url": ["https://beats.example/secret-word-5"],
    "checkpoint_file": [Said("/mnt/checkpoints", Path("/mnt/checkpoints"))],
    "signing_key_file": [Said("/etc/signing", Path("/etc/signing"))],
    "link_key_file": [Said("/etc/link", Path("/etc/link"))],
    "control_probes": [Said("http://a.example,tcp://b.example:1", ("http://a.example", "tcp://b.example:1"))],
    "severities": [Said('{"sev9": "critical"}', {"sev9": "critical"})],
}  # fmt: skip


def _range(name: str) -> Between | None:
    """Of a duration."""
    found = (one.func for one in Settings.model_fields[name].metadata if isinstance(one, BeforeValidator))
    return next((one for one in found if isinstance(one, Between)), None)


def values(name: str) -> st.SearchStrategy[Any]:
    """The values of a setting: by its range, where it has one."""
    if name in _OTHERS:
        return st.sampled_from(_OTHERS[name])
    if name == "renew":  # under half of the lease
        return spans(timedelta(milliseconds=10), timedelta(seconds=3))
    if name == "lease":
        return spans(timedelta(seconds=7), timedelta(days=1))
    if (between := _range(name)) is not None:
        return spans(between.least, between.most)
    bounds = {
        key: getattr(one, key)
        for one in Settings.model_fields[name].metadata
        for key in ("ge", "le")
        if hasattr(one, key)
    }
    if name in ("body_limit", "run_memory"):
        return sizes(bounds["ge"], bounds["le"])
    return st.integers(bounds["ge"], bounds["le"]).map(lambda number: Said(str(number), number))


@settings(max_examples=examples(30), derandomize=True, suppress_health_check=list(HealthCheck))
@given(chosen=st.fixed_dictionaries({}, optional={name: values(name) for name in Settings.model_fields}))
def test_a_setting_means_what_was_written_here_and_in_child_processes(
    chosen: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if not {"gateway_tokens", "gateway_users"} & set(chosen):
        chosen.pop("sender_services", None)  # which names one of them
    environment = {f"PARAMEDIC_{name.upper()}": text for name, text in written(chosen).items()}
    try:
        for _ in ("here", "in a child"):
            with pytest.MonkeyPatch.context() as patch:
                for variable, text in environment.items():
                    patch.setenv(variable, text)
                found = load_settings()
            environment = found.as_env()
            assert {name: _plain(getattr(found, name)) for name in chosen} == {
                name: value.means if isinstance(value, Said) else value for name, value in chosen.items()
            }
            assert {name for name in Settings.model_fields if found.origin(name) == "environment"} == set(chosen)
    finally:
        plugin_folder.use(None)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value.given() if hasattr(value, "given") else value


def _read(path: Path) -> Iterator[str]:
    """The settings that a module reads: `settings.port`, and names that are asked for by their text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(("settings", "self", "chosen")):
            yield node.attr


def test_some_code_reads_each_setting() -> None:
    read = {name for room in ("paramedic", "tasks") for path in (ROOT / room).rglob("*.py") for name in _read(path)}
    channels = registry.current().usable(Room.CHANNELS).values()
    read |= {name for module in channels for name in getattr(module, "FROM_SETTINGS", ())}
    assert set(Settings.model_fields) - read == set()
