"""Every kind of evidence that a runbook may ask for is offered by some kind of target, and says why where it cannot be had."""

from paramedic.catalog import target_kinds
from paramedic.catalog.runbook_file import _With
from paramedic.remediation.target import Target
from tasks import diagnose


def test_what_a_runbook_may_ask_for_is_what_target_kinds_offer() -> None:
    allowed = _With.model_json_schema()["properties"]["evidence"]["items"]["enum"]
    assert set(allowed) == set(target_kinds.evidence()) == {"process-tree", "memory", "log-tail", "journal"}
    assert target_kinds.evidence("supervisord") == ("process-tree", "memory", "log-tail")


def test_a_journal_that_cannot_be_had_says_why() -> None:
    unit = Target("no-such-host/app.service", "tracking", "no-such-host", "systemd", "app.service", "")
    seen = diagnose._look("journal", unit)
    assert seen.kind == "journal"
    assert seen.body.startswith("could not be taken: no-such-host/app.service is a unit of no-such-host")
