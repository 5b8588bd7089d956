"""Hours and the quorum, from the runbook's text to the judgement: what lint refuses of them, and whom they ask."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from guardrail_cases import FINE, GRANTED, HOUR, NOW, OURS, SEEN
from pydantic import TypeAdapter
from test_guardrail_list import FRONT, runbook

from paramedic.alerts.alert import Severity
from paramedic.catalog.runbook_file import parse
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import OUT_OF_HOURS, Surroundings
from paramedic.remediation.guardrail_rules import RULES, Guardrails, judge
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.text.local_span import parse as parse_span
from paramedic.text.yaml_document import BadDocument


@pytest.mark.parametrize(
    ("written", "severity", "ladder", "asks_where"),
    [
        ("out-of-hours", Severity.WARNING, RESTART, "outside"),
        ({"restart": "out-of-hours"}, Severity.CRITICAL, RESTART, "outside"),
        ({"restart": "out-of-hours"}, Severity.CRITICAL, Remedy(1, Verb.ROLL_BACK), "refuses outside"),
        ({"restart": "critical"}, Severity.WARNING, RESTART, "refuses outside"),
    ],
)
def test_out_of_hours_a_person_is_asked_where_the_author_says_so_and_else_it_refuses(
    written: object, severity: Severity, ladder: Remedy, asks_where: str
) -> None:
    hours = "Mon-Fri 08:00 to 18:00 Europe/Berlin"
    remedies = {"with": {**FRONT["with"], "remedies": ["restart", "rollback"]}, "playbook": "restore-service"}
    text = runbook({**remedies, "guardrails": {"hours": hours, "approval": written}})
    asks = parse(text, "r.md").guardrails.of(ladder)
    monday = NOW + timedelta(days=2)
    held = {**SEEN, "claim": replace(OURS, lease_until=monday + HOUR)}
    inside = judge(replace(FINE, now=monday, severity=severity), held, asks)
    outside = judge(replace(FINE, severity=severity), SEEN, asks)
    assert inside is None
    assert outside is not None
    assert outside.guardrail == ("approval" if asks_where == "outside" else "hours")
    if asks_where == "outside":
        assert judge(FINE, {**SEEN, "approval": GRANTED}, asks) is None


def test_a_release_that_nobody_marked_is_asked_about_within_the_hours_too() -> None:
    hours = (parse_span("Sat 10:00 to 18:00 Europe/Berlin"),)
    asks = Guardrails("act", {"hours": hours, "approval": OUT_OF_HOURS}).asking_from(Severity.WARNING)
    refusal = judge(FINE, SEEN, asks)
    assert refusal is not None
    assert refusal.guardrail == "approval"


@pytest.mark.parametrize(
    ("asked_for", "listed", "words"),
    [
        ({"approval": "out-of-hours"}, 4, "nothing says which hours those are; write `hours` beside it"),
        ({"approval": {"restart": "out-of-hours"}}, 4, "nothing says which hours those are"),
        ({"keep_healthy": "3 of 5"}, 4, "says 5 targets, and services.yaml lists 4 of api; write 3 of 4"),
        (
            {"keep_healthy": "4 of 4"},
            4,
            "keeps 4 of 4 targets healthy, and the one that is changed is not: nothing could",
        ),
        ({"keep_healthy": "51%"}, 2, "keeps 2 of 2 targets healthy"),
        (
            {"keep_healthy": "51%"},
            1,
            (
                "keeps 1 of 1 targets healthy, and the one that is changed is not: nothing could ever be "
                "changed; leave it out"
            ),
        ),
        ({"keep_healthy": "50%"}, 2, None),
        ({"keep_healthy": "3 of 4"}, 4, None),
        ({"hours": "Sat, Sun UTC", "approval": "out-of-hours"}, 4, None),
    ],
)
def test_lint_refuses_what_could_not_be_meant(asked_for: dict[str, Any], listed: int, words: str | None) -> None:
    found = guardrail_rules.misfits(parse_asked(asked_for), Surroundings("api", (RESTART,), listed))
    said = [f"{misfit.what}; {misfit.allowed}" for misfit in found]
    assert len(said) == (words is not None)
    assert words is None or words in said[0]


@pytest.mark.parametrize(
    ("asked_for", "words"),
    [
        ({"keep_healthy": "0%"}, "write `51%` or `3 of 4`"),
        ({"keep_healthy": "101%"}, "write `51%` or `3 of 4`"),
        ({"keep_healthy": "5 of 4"}, "write `51%` or `3 of 4`"),
        ({"keep_healthy": 3}, "write `51%` or `3 of 4`"),
        ({"freeze": "weekends"}, "'weekends' is no stretch of time; write `Mon-Fri"),
        ({"approval": {"restart": "urgent"}}, "Input should be 'warning', 'critical' or 'out-of-hours'"),
        ({"approval": "always"}, "guardrails.approval"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_key_with_what_is_allowed(asked_for: dict[str, Any], words: str) -> None:
    with pytest.raises(BadDocument, match=next(iter(asked_for))) as caught:
        parse(runbook({"guardrails": asked_for}), "r.md")
    assert words in str(caught.value)


def parse_asked(asked_for: dict[str, Any]) -> dict[str, Any]:
    """The values, as the front matter's model reads them."""
    return {
        key: TypeAdapter(next(rule.written.type for rule in RULES if rule.written and rule.written.key == key))
        .validate_python(value)
        for key, value in asked_for.items()
    }  # fmt: skip
