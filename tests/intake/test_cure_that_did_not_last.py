"""What the next attempt at a reopened incident may do, by its runbook's word."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from store_states import claimed, inbox_rows, intended

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import read_folder
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake.intake import Intake
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, acts, attempts, inbox, lifecycle

LIBRARY = read_folder(Path(__file__).parents[2] / "runbooks")
LABELS = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}


@pytest.mark.parametrize("again", [False, True])
def test_what_the_author_says_of_a_cure_that_did_not_last_decides_what_the_next_attempt_has(
    store: Store, clock: Clock, again: bool
) -> None:
    runbook = LIBRARY.runbooks["tracking-api-memory"]
    asked = Guardrails("act", {**runbook.guardrails.asked, "again": again})
    library = replace(LIBRARY, runbooks={**LIBRARY.runbooks, runbook.name: replace(runbook, guardrails=asked)})

    def say() -> str:
        known_by = fingerprint("alertmanager", LABELS)
        alert = Alert(
            "alertmanager", LABELS["alertname"], Severity.CRITICAL, Status.FIRING, clock.now(), known_by, LABELS
        )
        inbox.receive(store, [alert], source="alertmanager", sender="test")
        Intake(store, lambda: library).work()
        return str(inbox_rows(store)[-1].verdict)

    assert say() == "open"
    with store.record() as tx:
        attempts.begin_attempt(tx, 1, 1, flow_run="run-1")
        claim = claimed(tx, 1)
        acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
        lifecycle.resolve(tx, 1, Outcome(Ending.REMEDIATED, "a test"), actor=claim.holder)
    clock.advance(timedelta(minutes=5))
    assert say() == "reopen"
    with store.read() as tx:
        assert attempts.is_granted(tx, 1, 2, 1) is again
