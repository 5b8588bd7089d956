"""The gateway writes each alert by the tier of its service, and learns of new tiers without a restart."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient
from store_states import alert

from paramedic.alerts.alert import Severity
from paramedic.catalog.services import parse_services
from paramedic.gateway.app import make_app
from paramedic.gateway.tiers import ServiceTiers
from paramedic.incidents.tier import Tier
from paramedic.intake.intake import Wake
from paramedic.settings import Settings
from paramedic.store import Store, inbox
from paramedic.upkeep.library_watch import LibraryWatch

SERVICES = """\
services:
  shop: {tier: core, targets: [{host: web-1, systemd: shop.service}]}
  reports: {tier: low, targets: [{host: web-1, systemd: reports.service}]}
  mail: {targets: [{host: web-1, systemd: mail.service}]}
"""


@pytest.fixture
def tiers() -> ServiceTiers:
    found = ServiceTiers()
    found.learn(parse_services(SERVICES, "services.yaml"))
    return found


@pytest.mark.parametrize(
    ("labels", "tier"),
    [
        ({"service": "shop"}, Tier.CORE),
        ({"job": "reports"}, Tier.LOW),
        ({"service": "node-exporter", "job": "shop"}, Tier.CORE),
        ({"service": "mail"}, Tier.STANDARD),
        ({"service": "unknown"}, Tier.STANDARD),
        ({}, Tier.STANDARD),
    ],
)
def test_an_alert_has_the_tier_of_the_service_that_its_labels_name(
    tiers: ServiceTiers, labels: dict[str, str], tier: Tier
) -> None:
    assert tiers.of(alert(**labels)) is tier


def test_before_anything_is_learnt_every_service_is_a_standard_one() -> None:
    assert ServiceTiers().of(alert(service="shop")) is Tier.STANDARD


def test_what_is_posted_waits_by_its_urgency(timed: Store, tiers: ServiceTiers, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, gateway_tokens={"am": SecretStr("a-token-of-this-test")})
    client = TestClient(make_app(settings, timed, wake=Wake(), alive=lambda: True, tiers=tiers))
    services = ("reports", "mail", "shop")
    posted = [
        {
            "status": "firing",
            "labels": {"alertname": "Down", "service": service, "severity": severity},
            "startsAt": "2026-01-31T09:29:00Z",
        }
        for severity in Severity
        for service in services
    ]
    headers = {"Authorization": "Bearer a-token-of-this-test"}
    answer = client.post("/alerts/alertmanager", json={"version": "4", "alerts": posted}, headers=headers)
    assert answer.status_code == 202
    with timed.read() as tx:
        waiting = [(receipt.alert.severity, receipt.alert.labels["service"]) for receipt in inbox.waiting(tx)]
    assert waiting == [
        (severity, service)
        for severity in (Severity.CRITICAL, Severity.WARNING)
        for service in ("shop", "mail", "reports")
    ]


def test_a_new_tier_is_in_force_at_the_next_look_at_the_library(timed: Store, tmp_path: Path) -> None:
    (tmp_path / "oncall.yaml").write_text((Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text())
    (tmp_path / "services.yaml").write_text(SERVICES)
    tiers = ServiceTiers()
    settings = Settings(data=tmp_path / "data", runbooks=tmp_path)
    watch = LibraryWatch(timed, settings, seen=lambda library: tiers.learn(library.services))
    watch.look()
    assert tiers.of(alert(service="mail")) is Tier.STANDARD
    (tmp_path / "services.yaml").write_text(SERVICES.replace("mail: {", "mail: {tier: core, "))
    watch.look()
    assert tiers.of(alert(service="mail")) is Tier.CORE
