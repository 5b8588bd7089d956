"""The JSON Schemas of what authors write: hover help for every key, and forms that an editor refuses as lint does."""

import copy
import io
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from test_bounds import ONCALL, PROSE, RUNBOOK, SERVICES

from paramedic.catalog import runbook_file, services
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import parse_services
from paramedic.oncall import oncall_file
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.text.yaml_document import BadDocument

FILES: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, Any], Callable[[str], Any]]] = {
    "runbook": (runbook_file.schema, RUNBOOK, lambda text: parse(f"---\n{text}{PROSE}", "r.md")),
    "services": (services.schema, SERVICES, lambda text: parse_services(text, "services.yaml")),
    "oncall": (oncall_file.schema, ONCALL, lambda text: parse_oncall(text, "oncall.yaml")),
}


def written(document: dict[str, Any]) -> str:
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, out)
    return out.getvalue()


def changed(document: dict[str, Any], at: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(document)
    reduce(getitem, at[:-1], made)[at[-1]] = value
    return made


def properties(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{at}.{name}", value
        for key, value in schema.items():
            yield from properties(value, f"{at}.{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value, at)


def strings(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            yield schema
        for key, value in schema.items():
            if key not in ("propertyNames", "examples", "description"):
                yield from strings(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from strings(value)


@pytest.mark.parametrize("file", FILES)
def test_every_key_is_explained(file: str) -> None:
    found = dict(properties(FILES[file][0]()))
    assert len(found) > 10
    assert [at for at, value in found.items() if len(value.get("description", "")) < 5] == []


@pytest.mark.parametrize("file", FILES)
def test_every_text_has_a_form(file: str) -> None:
    """Metrics alone are those of any probe."""
    formless = [value for value in strings(FILES[file][0]()) if not {"pattern", "enum", "const"} & set(value)]
    assert len(formless) == {"runbook": 2, "services": 0, "oncall": 0}[file], formless


@pytest.mark.parametrize("file", FILES)
def test_what_lint_takes_the_schema_takes(file: str) -> None:
    schema, document, read = FILES[file]
    read(written(document))
    Draft202012Validator(schema()).validate(document)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("with", "verify", "stable"), "20 seconds"),
        (("with", "verify", "within"), "5 min"),
        (("with", "verify", "memory_below"), "1 gigabyte"),
        (("with", "target", "host"), "{instance"),
        (("with", "target", "host"), {"instance": None}),
        (("with", "remedies", 0), "power_off"),
        (("with", "remedies", 1), {"rollback-if-deployed-within": "soon"}),
        (("with", "evidence", 0), "everything"),
        (("guardrails", "budget"), "3/h"),
        (("guardrails", "service_budget"), "5 an hour"),
        (("guardrails", "at_once"), "1/4"),
        (("guardrails", "cooldown"), "10"),
        (("guardrails", "approval", "restart"), "high"),
        (("when", 1, "check"), "hosts"),
        (("when", 1, "check"), "htp://x"),
        (("when", 1, "check"), "http://"),
        (("when", 1, "every"), "15"),
        (("when", 1, "error_rate"), {"critical": "3 percent"}),
        (("when", 1, "error_rate", "hysteresis"), "much"),
        (("when", 2, "memory"), {"critical": "1 gig"}),
        (("when", 3, "path"), "var"),
        (("settle",), 10),
        (("mode",), "maybe"),
        (("group",), "We b"),
        (("notify", 0), "slack:ops"),
        (("service",), " "),
    ],
)
def test_a_form_that_lint_refuses_the_runbook_s_schema_refuses(at: tuple[Any, ...], value: Any) -> None:
    refused_by_both("runbook", at, value)


@pytest.mark.parametrize(
    ("file", "at", "value"),
    [
        ("services", ("services", "api", "targets", 0, "health"), "web-1:8080"),
        ("services", ("services", "api", "targets", 0, "host"), "web 1"),
        ("services", ("services", "api", "targets", 0, "log"), "var/log"),
        ("services", ("services", "api", "targets", 0, "supervisord", "address"), "localhost:9001"),
        ("services", ("services", "api", "targets", 0, "commands", "clear", "timeout"), "20 seconds"),
        ("services", ("services", "api", "targets", 0, "commands", "clear", "run"), "clear --all"),
        ("services", ("services", "api", "targets", 0, "commands", "clear", "environment"), ["A=b"]),
        ("services", ("services", "api", "targets", 0, "hots"), "web-1"),
        ("services", ("services", "api", "targets"), []),
        ("oncall", ("rotation", "starts"), "2026-11-24T17:00:00Z"),
        ("oncall", ("rotation", "every"), "2 weeks"),
        ("oncall", ("rotation", "zone"), "Europe Rome"),
        ("oncall", ("people", "ada", "email"), "ada"),
        ("oncall", ("policies", "default", "repeat"), "half an hour"),
        ("oncall", ("policies", "default", "rungs", 1, "after"), 10),
        ("oncall", ("policies", "default", "rungs"), []),
    ],
)
def test_a_form_that_lint_refuses_the_other_schemas_refuse(file: str, at: tuple[Any, ...], value: Any) -> None:
    refused_by_both(file, at, value)


def refused_by_both(file: str, at: tuple[Any, ...], value: Any) -> None:
    schema, document, read = FILES[file]
    bad = changed(document, at, value)
    with pytest.raises(BadDocument):
        read(written(bad))
    assert not Draft202012Validator(schema()).is_valid(bad)
