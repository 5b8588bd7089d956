"""Who is on call now: people, rotation, overrides and policies together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paramedic.alerts.alert import Severity
from paramedic.oncall.escalation import ONCALL, Policy
from paramedic.oncall.rotation import Override, Person, Rotation


@dataclass(frozen=True, slots=True)
class Oncall:
    """oncall.yaml: people, their rotation, and the escalation policies."""

    people: Mapping[str, Person]
    rotation: Rotation
    policies: Mapping[str, Mapping[Severity, Policy]]
    overrides: tuple[Override, ...] = ()  # the newest last; kept in the store, not in the file

    def policy(self, name: str, severity: Severity = Severity.CRITICAL) -> Policy:
        """The policy of this name for this severity; the default where it is gone: somebody is always paged."""
        return self.policies.get(name, self.policies["default"])[severity]

    def override(self, at: datetime) -> Override | None:
        """The override in force at this moment: the newest one whose person is in the file; None without one."""
        found = [
            override
            for override in self.overrides
            if override.begins <= at < override.ends and override.person in self.people
        ]
        return found[-1] if found else None

    def who(self, at: datetime) -> str | None:
        """The id of whoever is on call at this moment, or None."""
        override = self.override(at)
        return self.rotation.who(at) if override is None else override.person

    def person(self, tell: str, at: datetime) -> Person | None:
        """The person that `tell` of a step means at this moment; None if nobody."""
        found = self.who(at) if tell == ONCALL else tell
        return None if found is None else self.people.get(found)
