"""An incident knows the tier of its service, and whoever is paged what customers notice."""

from dataclasses import replace
from pathlib import Path

from databases import Clock
from incident_states import on_call
from store_states import alert

from paramedic.alerts.alert import Severity
from paramedic.catalog.library import read_folder
from paramedic.catalog.services import parse_services
from paramedic.incidents.tier import Tier
from paramedic.intake.intake import Intake
from paramedic.messages.page import what_and_now
from paramedic.store import Store, inbox, incident_summary, incidents
from paramedic.text.local_time import LocalTime

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
SERVICES = (Path(__file__).parents[2] / "runbooks" / "services.yaml").read_text()


def _opened(store: Store, words: str, **labels: str) -> dict[str, str]:
    """What is said about the service of the incident that the alert opens."""
    core = parse_services(SERVICES.replace("    owner: delivery\n", f"    owner: delivery\n    {words}\n"), "s.yaml")
    inbox.receive(store, [alert(**labels)], source="alertmanager", sender="test")
    Intake(store, lambda: replace(LIBRARY, services=core)).work()
    with store.read() as tx:
        [incident] = incidents.listed(tx)
        seen = incident_summary.summary(tx, incident, oncall=on_call().oncall)
        return dict(what_and_now(seen, LocalTime("UTC"))) | {"tier": incident.tier}


def test_an_incident_of_a_core_service_says_so_and_what_customers_notice(store: Store) -> None:
    said = _opened(store, "tier: core\n    customers: No parcel is found.", env="prod", instance="web-1:9100")
    assert said["tier"] == Tier.CORE
    assert said["Service"] == "tracking-api, a core service, of delivery"
    assert said["Customers"] == "No parcel is found."


def test_an_incident_without_a_runbook_has_the_tier_of_its_labels_service_too(store: Store) -> None:
    said = _opened(store, "tier: low", service="tracking-api", instance="elsewhere")
    assert said["tier"] == Tier.LOW


def test_of_a_standard_service_nothing_more_is_said(store: Store) -> None:
    said = _opened(store, "tier: standard", env="prod", instance="web-1:9100")
    assert said["Service"] == "tracking-api, of delivery"
    assert "Customers" not in said


def test_critical_alerts_of_core_services_are_decided_first_and_alone(store: Store, clock: Clock) -> None:
    for tier in (Tier.LOW, Tier.STANDARD, Tier.CORE):
        with store.write() as tx:
            named = alert(f"Of {tier}", severity=Severity.CRITICAL, instance=tier)
            inbox.put(tx, [named], source="alertmanager", sender="a", tier=tier)
    intake = Intake(store, lambda: LIBRARY)
    for decided in (["Of core"], ["Of core", "Of standard"], ["Of core", "Of standard", "Of low"]):
        assert intake.decide_some() == 1
        with store.read() as tx:
            assert [incident.title for incident in incidents.listed(tx)][::-1] == decided
