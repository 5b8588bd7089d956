"""What an Alertmanager posts: its webhook format, version 4."""

from typing import Any

PATH = "/alerts/alertmanager"


def alert(labels: dict[str, str], began: str, **more: Any) -> dict[str, Any]:
    """One firing alert; `more` replaces or adds keys."""
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {},
        "startsAt": began,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "f404ecabc8dd5cd7",
    } | more


def body(alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of one POST with these alerts."""
    return {
        "version": "4",
        "groupKey": "{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "paramedic",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "alerts": alerts,
    }


def bench_alert(env: str, host: str, program: str, began: str) -> dict[str, Any]:
    """A critical alert that the benchmarks' runbook for `env` matches, about the program on the host."""
    labels = {"alertname": "Bench", "env": env, "instance": host, "program": program, "severity": "critical"}
    return alert(labels, began)
