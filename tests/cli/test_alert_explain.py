"""`paramedic alert explain` and `paramedic source`: what is understood of a body, and what to paste at its sender."""

import json
from pathlib import Path

import pytest
from command_line import paramedic

from paramedic.sources import datadog

pytestmark = pytest.mark.usefixtures("_nothing_set")

RUNBOOKS = str(Path(__file__).parents[2] / "runbooks")
WARN = Path(__file__).parents[1] / "payloads" / "datadog" / "query-alert-warn.json"


def _file(folder: Path, body: str) -> str:
    (folder / "body.json").write_text(body)
    return str(folder / "body.json")


def test_each_field_is_said_and_what_would_happen() -> None:
    words = paramedic("alert", "explain", str(WARN), "--source", "datadog")
    for line in ("XYZ Dev - RDS High Write Latency", "label monitor", "266155000", "warning", "2026-03-16T13:09:06"):
        assert line in words
    assert "goes to a person at once: no runbook wants it" in words


def test_what_a_runbook_would_do_is_said(tmp_path: Path) -> None:
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100", "severity": "critical"}
    file = _file(tmp_path, json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}))
    words = paramedic("alert", "explain", file, "--source", "alertmanager", "--folder", RUNBOOKS)
    assert "web-1/tracking-api" in words
    assert "whatever is not verified well goes to a person" in words
    answer = json.loads(paramedic("alert", "explain", file, "--source", "alertmanager", "--folder", RUNBOOKS, "--json"))
    assert answer["alerts"][0]["runbook"] == "tracking-api-memory"
    assert answer["alerts"][0]["alert"]["notes"] == ["startsAt: no time, taken as the time of receipt"]


def test_an_end_an_acknowledgement_and_information_open_nothing(tmp_path: Path) -> None:
    over = {**json.loads(datadog.EXAMPLE), "alert_transition": "Recovered"}
    assert "it is over" in paramedic("alert", "explain", _file(tmp_path, json.dumps(over)), "--source", "datadog")
    info = {**json.loads(datadog.EXAMPLE), "alert_priority": "P5"}
    assert "pages nobody" in paramedic("alert", "explain", _file(tmp_path, json.dumps(info)), "--source", "datadog")


def test_a_body_without_an_alert_is_said_and_its_exit_code_is_1(tmp_path: Path) -> None:
    file = _file(tmp_path, '{"title": "Ada commented"}')
    assert "no alert: it is an event" in paramedic("alert", "explain", file, "--source", "datadog", code=1)
    assert "is no JSON" in paramedic("alert", "explain", _file(tmp_path, "{"), "--source", "datadog", code=1)


def test_a_header_is_written_as_in_a_request(tmp_path: Path) -> None:
    file = _file(tmp_path, "alert_title=Slow&alert_transition=Triggered")
    header = ("--header", "Content-Type: application/x-www-form-urlencoded")
    assert "Slow" in paramedic("alert", "explain", file, "--source", "datadog", *header)
    assert "write it as 'NAME: VALUE'" in paramedic(
        "alert", "explain", file, "--source", "datadog", "--header", "x", code=2
    )


def test_the_sources_are_listed_and_their_templates_printed_to_paste() -> None:
    assert "/alerts/datadog" in paramedic("source", "list")
    by_name = {source["name"]: source for source in json.loads(paramedic("source", "list", "--json"))}
    assert by_name["datadog"]["severities"]["P1"] == "critical"
    assert paramedic("source", "template", "datadog").strip() == datadog.TEMPLATE
    assert "takes what its vendor sends as it is" in paramedic("source", "template", "alertmanager", code=1)
    assert "there is no plug-in" in paramedic("source", "template", "nagios9", code=2)


def test_who_may_not_speak_for_its_service_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PARAMEDIC_GATEWAY_TOKENS",
        '{"orders": "token-of-one", "tracking": "token-of-two", "anybody": "token-of-three"}',
    )
    monkeypatch.setenv("PARAMEDIC_SENDER_SERVICES", '{"orders": ["order-status"], "tracking": ["tracking-api"]}')
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100", "severity": "critical"}
    file = _file(tmp_path, json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}))
    explain = ("alert", "explain", file, "--source", "alertmanager", "--folder", RUNBOOKS)
    barred = "posted by orders it would go to a person, and nothing would be changed"
    assert barred in paramedic(*explain)
    for sender in ("tracking", "anybody"):
        words = paramedic(*explain, "--sender", sender)
        assert "no guardrail would stop" in words or "would stop it" in words
        assert "sender_services" not in words
    words = paramedic(*explain, "--sender", "orders")
    assert "may speak for order-status alone, and not for tracking-api (sender_services)" in words
    assert "it would try" not in words
    assert "did you mean anybody?" in paramedic(*explain, "--sender", "nobody", code=2)
    over = json.dumps({"version": "4", "alerts": [{"status": "resolved", "labels": labels}]})
    resolved = ("alert", "explain", _file(tmp_path, over), *explain[3:])
    assert "no word of it ends or takes an incident" in paramedic(*resolved, "--sender", "orders")
