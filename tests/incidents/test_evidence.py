"""Every kind of evidence that a runbook may ask for can be looked at, and says why where it cannot."""

from paramedic.catalog.runbook import EVIDENCE, _With
from paramedic.remediation.target import Target
from tasks import diagnose


def test_what_a_runbook_may_ask_for_is_what_can_be_looked_at() -> None:
    allowed = _With.model_json_schema()["properties"]["evidence"]["items"]["enum"]
    assert set(allowed) == set(EVIDENCE) == set(diagnose._LOOKS)


def test_a_journal_that_cannot_be_had_says_why() -> None:
    unit = Target("no-such-host/app.service", "tracking", "no-such-host", "systemd", "app.service", "")
    seen = diagnose._look("journal", unit)
    assert seen.kind == "journal"
    assert seen.body.startswith("could not be taken: no-such-host/app.service is a unit of no-such-host")
