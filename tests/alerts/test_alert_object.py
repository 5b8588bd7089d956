"""One object is one place, whoever measured it; two objects are two, however alike their exporter makes them."""

import itertools
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from store_states import NINE

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.alerts.alert_object import object_of, place_of, service_of, shown_name

KSM = {"job": "kube-state-metrics", "instance": "10.1.2.3:8080", "service": "kube-state-metrics"}
NODE = {"job": "node-exporter", "instance": "10.0.0.7:9100", "namespace": "monitoring", "pod": "node-exporter-x2x4z"}


def alert(name: str = "Down", /, **labels: str) -> Alert:
    all_labels = {"alertname": name, **labels}
    known_by = fingerprint("alertmanager", all_labels)
    return Alert("alertmanager", name, Severity.WARNING, Status.FIRING, NINE, known_by, all_labels)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (alert(namespace="sandbox", pod="demo-1", **KSM), alert(node="db-7", **KSM)),
        (alert(node="db-7", **KSM), alert(namespace="checkout", deployment="payments", **KSM)),
        (alert(namespace="a", deployment="x", **KSM), alert(namespace="b", deployment="x", **KSM)),
        (alert(namespace="a", statefulset="x", **KSM), alert(namespace="a", daemonset="x", **KSM)),
        (alert(namespace="db", pod="postgres-0", **KSM), alert(namespace="db", pod="postgres-1", **KSM)),
        (alert(node="db-7", cluster="eu", **KSM), alert(node="db-7", cluster="us", **KSM)),
        (alert(node="db-7", env="prod", **KSM), alert(node="db-7", env="staging", **KSM)),
        (alert(device="sda1", mountpoint="/", **NODE), alert(device="sdb1", mountpoint="/var", **NODE)),
        (alert(**NODE), alert(**NODE | {"instance": "10.0.0.8:9100", "pod": "node-exporter-b4c5d"})),
        (alert(exported_job="backup", job="pushgateway"), alert(exported_job="billing", job="pushgateway")),
        (alert(instance="cadvisor:8080", name="shop"), alert(instance="cadvisor:8080", name="cart")),
        (alert(instance="blackbox:9115", target="https://a"), alert(instance="blackbox:9115", target="https://b")),
        (alert(instance="rabbit:9419", queue="mails"), alert(instance="rabbit:9419", queue="payments")),
        (alert(instance="unheard:1", flux="a"), alert(instance="unheard:1", flux="b")),
        (alert("Slow", zone="us-1"), alert("Slow", zone="us-2")),
        (alert("Slow", zone="us-1"), alert("Full", zone="us-1")),
        (
            alert("DatasourceNoData", rulename="Room temperature", grafana_folder="Office", ref_id="A"),
            alert("DatasourceNoData", rulename="Payments per minute", grafana_folder="Checkout", ref_id="A"),
        ),
        (
            alert("DatasourceError", rulename="Payments", grafana_folder="Office", instance="grafana:3000"),
            alert("DatasourceError", rulename="Payments", grafana_folder="Checkout", instance="grafana:3000"),
        ),
        (
            alert("DatasourceNoData", __alert_rule_uid__="a", datasource_uid="x"),
            alert("DatasourceNoData", __alert_rule_uid__="b", datasource_uid="x"),
        ),
        (alert(instance="x" * 400 + "1"), alert(instance="x" * 400 + "2")),
        (alert(instance="i", a='1", b="2'), alert(instance="i", a="1", b="2")),
    ],
)
def test_two_objects_of_one_exporter_are_two_places(one: Alert, other: Alert) -> None:
    assert place_of(one) != place_of(other)
    assert max(len(place_of(one)), len(place_of(other))) <= 256


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            alert("KubePodCrashLooping", namespace="shop", pod="cart-0", container="cart", reason="Error", **KSM),
            alert("KubePodNotReady", namespace="shop", pod="cart-0", prometheus="monitoring/k8s", **KSM),
        ),
        (  # the pods of one Deployment
            alert(namespace="shop", pod="cart-7c9d8b6f5-x2x4z", **KSM),
            alert(namespace="shop", pod="cart-7c9d8b6f5-b4c5d", uid="91e0", **KSM),
        ),
        (  # kube-state-metrics itself was started anew
            alert(node="db-7", **KSM),
            alert(node="db-7", **KSM | {"instance": "10.9.9.9:8080"}),
        ),
        (alert("Slow", instance="web-1"), alert("Full", instance="web-1", severity="critical", replica="b")),
        (alert(instance="web-1", current="93.2"), alert(instance="web-1", current="94.1")),
        (alert(instance="web-1", load="93.25"), alert(instance="web-1", load="7%")),
        (
            alert("DatasourceNoData", rulename="Payments", grafana_folder="Shop", ref_id="A"),
            alert("DatasourceError", rulename="Payments", grafana_folder="Shop", ref_id="B"),
        ),
    ],
)
def test_one_object_is_one_place_under_every_name(one: Alert, other: Alert) -> None:
    assert place_of(one) == place_of(other)


@pytest.mark.parametrize(
    ("received", "place"),
    [
        (alert(instance="web-1:9100", env="dev"), "web-1:9100"),
        (alert("Slow"), "Slow"),
        (alert("Slow", zone="us-1"), 'Slow{zone="us-1"}'),
        (alert(node="db-7", **KSM), '{node="db-7"}'),
        (alert(namespace="shop", pod="cart-7c9d8b6f5-x2x4z", **KSM), '{namespace="shop", pod="cart-*"}'),
        (alert(instance="db-7:9100", device="sda1"), 'db-7:9100{device="sda1"}'),
        (alert("DatasourceNoData", rulename="Payments", grafana_folder="Shop"), "Shop/Payments"),
        (alert("DatasourceNoData", ref_id="A"), "DatasourceNoData"),
    ],
)
def test_a_place_is_written_as_prometheus_writes_labels(received: Alert, place: str) -> None:
    assert place_of(received) == place


labels = st.dictionaries(
    st.sampled_from([*"abc", "pod", "instance", "env", "severity", "value"]), st.text(max_size=300)
)


@example({"a": "x" * 300, "service": "y" * 300}, random.Random(0))
@given(labels, st.randoms())
def test_a_place_depends_on_no_order_and_is_bounded(given_labels: dict[str, str], shuffle: Any) -> None:
    pairs = list(given_labels.items())
    shuffle.shuffle(pairs)
    one, other = alert(**given_labels), alert(**dict(pairs))
    assert (place_of(one), object_of(one)) == (place_of(other), object_of(other))
    assert 0 < len(place_of(one)) <= 256
    assert len(object_of(one)) <= 256
    assert 0 < len(service_of(one)) <= 256


def test_the_object_is_the_same_whoever_measures_it_and_however_the_alert_is_called() -> None:
    objects = {
        object_of(alert(name, instance=instance, job=job, mountpoint="/var", severity=severity))
        for name, instance, job, severity in itertools.product("ab", "cd", "ef", "gh")
    }
    assert objects == {'{mountpoint="/var"}'}


def test_grafana_speaks_for_a_rule_that_people_know_by_its_name() -> None:
    assert shown_name(alert("DatasourceNoData", rulename="Payments")) == "Payments (DatasourceNoData)"
    assert shown_name(alert("Slow", rulename="Payments")) == "Slow"
