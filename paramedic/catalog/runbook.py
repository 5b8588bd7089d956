"""A runbook: which alerts it matches, which playbook works on which target, within which guardrails. Data without logic."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from paramedic.alerts.alert import Alert, Severity
from paramedic.alerts.matcher import AlertMatcher
from paramedic.catalog.services import Services
from paramedic.checks.check import SOURCE, Check, CheckAtTarget, labels_of
from paramedic.oncall.contact import ContactMethod
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Target
from paramedic.text import template


class Mode(StrEnum):
    """How far the runbook may act by itself."""

    OBSERVE = "observe"
    ASK = "ask"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """The target to act on; `{label}` is filled from the alert and compared with services.yaml."""

    kind: str
    name: str
    host: str


@dataclass(frozen=True, slots=True)
class Verify:
    """The verification: what must hold, for `stable` without a break, at the latest `within` after the change."""

    health: bool
    memory_below: int | None  # bytes
    stable: timedelta
    within: timedelta
    metrics: tuple[str, ...] = ()  # of its checks


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook; `version` is the hash of its whole text."""

    name: str
    service: str
    version: str
    text: str
    matchers: tuple[AlertMatcher, ...]
    mode: Mode
    playbook: str
    target: TargetTemplate
    evidence: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    verify: Verify
    guardrails: Guardrails
    settle: timedelta
    policy: str
    prose: str
    checks: tuple[Check, ...] = ()
    group: str = "default"  # its checks are run together with those of the same group
    observed_paging: Paging = Paging.FIRST  # who is paged while the runbook only observes
    notify: tuple[ContactMethod, ...] = ()  # channels that hear of an incident's opening, hand-over and end

    def wants(self, alert: Alert) -> bool:
        """Whether any of its matchers matches this alert; the alert of a check belongs to the runbook of the check."""
        if alert.source == SOURCE:
            return alert.labels.get("runbook") == self.name
        return any(matcher.wants(alert) for matcher in self.matchers)

    def targets(self, services: Services) -> list[Target]:
        """The listed targets that its checks measure: those that an alert about them would locate."""
        return [target for target in services if self.located(labels_of(self.name, "", target), services) == target]

    def placed(self, services: Services) -> list[CheckAtTarget]:
        """Each of its checks at each target that it measures."""
        return [CheckAtTarget(self.name, check, target) for target in self.targets(services) for check in self.checks]

    def with_places(self, services: Services) -> "Runbook":
        """The runbook, whose checks know the listed hosts that they are asked from (`from`)."""
        if not any(check.asked_from for check in self.checks):
            return self
        checks = (
            replace(check, places=tuple(services.hosts[name] for name in check.asked_from if name in services.hosts))
            for check in self.checks
        )
        return replace(self, checks=tuple(checks))

    def asks_from(self, remedy: Remedy) -> Severity | None:
        """The lowest severity at which a person must approve this remedy; None: no approval is needed."""
        return self.guardrails.of(remedy).asks_from

    def locate(self, alert: Alert, services: Services) -> Target | str:
        """The listed target of the alert, or in words why there is none. Labels are compared, never trusted."""
        return self.located(alert.labels, services)

    def located(self, labels: Mapping[str, str], services: Services) -> Target | str:
        """As `locate`, from labels."""
        try:
            name, host = template.filled(self.target.name, labels), template.filled(self.target.host, labels)
        except LookupError as error:
            return f"the alert has no label {error.args[0]}, which its target needs"
        target = services.find(self.target.kind, name, host)
        if target is None:
            return f"services.yaml lists no {self.target.kind} {name!r:.80} on host {host!r:.80}"
        if target.service != self.service:
            return f"{target.id} belongs to service {target.service}, not {self.service}"
        return target
