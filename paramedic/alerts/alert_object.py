"""The object that an alert is about, as its labels name it, separate from the exporter that measured it."""

import hashlib
import json
import re
from collections.abc import Mapping

from paramedic.alerts.alert import Alert

#: Labels that describe, route or measure, and name no object. Every other label tells two objects apart.
# fmt: off
_DESCRIPTIVE = frozenset({
    "alertname", "alertgroup", "alertstate", "severity", "level", "priority", "page", "tier", "impact", "category", "tags",
    "source", "receiver", "prometheus", "prometheus_replica", "replica", "monitor", "rule_group", "group", "job", "service",
    "endpoint", "metrics_path", "scheme", "runbook", "runbook_url", "dashboard", "summary", "description", "message",
    "title", "reason", "team", "owner", "squad", "contact", "channel", "notify", "value", "current", "threshold",
    "timeout", "le", "quantile", "code", "status", "state", "state_type", "phase", "debug", "ref_id", "datasource_uid",
    "event_type", "urgency", "policy", "id", "uid", "container_id", "image", "image_id", "image_spec", "pod_ip", "host_ip",
    "pod_uid", "version", "release", "revision",
})
# fmt: on

#: Labels that name an object's environment. They distinguish only objects that have no address of their own.
_SURROUNDINGS = frozenset({"env", "environment", "stage", "region", "zone", "dc", "datacenter", "site"})

#: An exporter whose address says nothing about the objects that it reports: they outlive it.
_REPORTER = re.compile(r"kube-?state-?metrics", re.IGNORECASE)

#: The pods of one Deployment or DaemonSet: a pod-template hash and five characters of Kubernetes' own alphabet.
_POD_OF = re.compile(r"(?P<workload>.+?)(-[bcdfghjklmnpqrstvwxz2456789]{6,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}")

#: A measurement that somebody has put into a label: another value is not another object.
_MEASURED = re.compile(r"-?\d+\.\d+(e[-+]?\d+)?%?|-?\d+%", re.IGNORECASE)

#: Grafana raises these in the name of a rule that has no data or cannot ask its data source.
_GRAFANA = frozenset({"DatasourceNoData", "DatasourceError"})

#: A place is shown in full up to this many characters; a longer one is cut, and stays unique by its digest.
_LENGTH = 256


def service_of(alert: Alert) -> str:
    """The service that the labels name, else the job that measured; at most 256 characters."""
    return _bounded(alert.labels.get("service") or alert.labels.get("job") or "unlisted")


def place_of(alert: Alert) -> str:
    """The place of an alert whose target is not in services.yaml: one text for one object, at most 256 characters.

    An exporter's address is part of it, unless the exporter only reports about objects of a cluster. Without an address
    and without an object the alert's own name stands there. Pods of one workload are one place.
    """
    rule = _grafana_rule(alert)
    if rule is not None:
        return _bounded(rule)
    instance = alert.labels.get("instance", "")
    objects = _objects(alert.labels)
    if "pod" in objects:
        objects["pod"] = _workload(objects["pod"])
        objects.pop("container", None)
    reports = any(_REPORTER.search(alert.labels.get(label, "")) for label in ("job", "service"))
    if instance and not (reports and objects):
        return _bounded(_written(instance, objects))
    objects |= {key: value for key, value in alert.labels.items() if key in _SURROUNDINGS and value}
    named = objects.keys() - _SURROUNDINGS
    return _bounded(_written("" if named else alert.name, objects))


def object_of(alert: Alert) -> str:
    """The object alone, without the alert's name and the exporter's address; at most 256 characters."""
    rule = _grafana_rule(alert)
    objects = _objects(alert.labels)
    objects |= {key: value for key, value in alert.labels.items() if key in _SURROUNDINGS and value}
    return _bounded(_written("", objects) if rule is None else rule)


def crowd_of(alert: Alert) -> str:
    """The shared place of an alert that fires for too many objects to notify people of each."""
    return _bounded(f"{shown_name(alert)}: many objects")


def shown_name(alert: Alert) -> str:
    """The alert's name for people; with the rule's name where Grafana raised it for a rule."""
    rule = alert.labels.get("rulename") if alert.name in _GRAFANA else None
    return f"{rule} ({alert.name})" if rule else alert.name


def _grafana_rule(alert: Alert) -> str | None:
    """The rule that Grafana raised the alert for, or None."""
    if alert.name not in _GRAFANA:
        return None
    labels = alert.labels
    uid = labels.get("__alert_rule_uid__") or labels.get("rule_uid") or ""
    path = [part for part in (labels.get("grafana_folder", ""), labels.get("rulename", "")) if part]
    words = [*(["/".join(path)] if path else []), *([f"rule {uid}"] if uid else [])]
    return " ".join(words) or None


def _objects(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that name the object itself: what describes, surrounds or measures it is left out."""
    return {
        key: value
        for key, value in labels.items()
        if value
        and key not in _DESCRIPTIVE
        and key not in _SURROUNDINGS
        and key != "instance"
        and not key.startswith("__")
        and not _MEASURED.fullmatch(value)
    }


def _workload(pod: str) -> str:
    match = _POD_OF.fullmatch(pod)
    return f"{match['workload']}-*" if match else pod


def _written(first: str, objects: Mapping[str, str]) -> str:
    """Labels in Prometheus's notation: `web-1:9100{device="sda"}`."""
    pairs = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(objects.items()))
    return f"{first}{{{pairs}}}" if pairs else first


def _bounded(text: str) -> str:
    if len(text) <= _LENGTH:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[: _LENGTH - 20]}… {digest}"
