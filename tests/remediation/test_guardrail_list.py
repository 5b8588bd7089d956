"""Every guardrail has its words, its query, its cases and its place in the docs; one more is a rule and a query."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from guardrail_cases import ALIVE, HOUR, NO, YES
from pydantic import Field
from store_states import working

from paramedic.alerts.alert import Severity
from paramedic.catalog.runbook_file import parse, schema
from paramedic.remediation import guardrail_rules
from paramedic.remediation.guardrail import About, Case, Guardrail, No, Refusal, Written
from paramedic.remediation.guardrail_rules import RULES
from paramedic.remediation.remedy import RESTART
from paramedic.store import Store, guardrail_facts, intents, trail
from paramedic.store.acts import Act
from paramedic.store.guardrail_facts import QUERIES
from paramedic.text.yaml_document import BadDocument

DOCS = Path(__file__).parents[2] / "docs"

FRONT: dict[str, Any] = {
    "runbook": "r",
    "service": "api",
    "when": [{"alert": "Slow"}],
    "mode": "act",
    "playbook": "restart-service",
    "with": {
        "target": {"supervisord": "api", "host": "web-1"},
        "verify": {"health": "ok", "stable": "1m", "within": "5m"},
    },
}


def runbook(more: Mapping[str, Any]) -> str:
    """JSON is YAML."""
    prose = "\n".join(f"## {heading}" for heading in ("Meaning", "Impact", "Diagnosis", "Mitigation"))
    return f"---\n{json.dumps({**FRONT, **more})}\n---\n{prose}\n"


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_each_has_its_words_its_query_a_case_that_refuses_and_one_that_passes(rule: Guardrail) -> None:
    refusing = [tried for name, tried, _ in NO if name == rule.name]
    assert refusing
    assert any(name == rule.name for name, _ in YES)
    by_words_alone = {"runbook", "mode", "freeze", "hours"}
    assert (rule.name in QUERIES) is (rule.name not in by_words_alone)
    assert all((rule.about.reads, rule.about.says, rule.about.go_on))
    if rule.written is not None:
        key, written = rule.written.key, {"guardrails": {rule.written.key: rule.written.example}}
        assert key in schema()["properties"]["guardrails"]["properties"]
        assert parse(runbook(written), "r.md").guardrails.asked[key] not in (None, rule.written.nothing)
        with pytest.raises(
            BadDocument, match=f"guardrails.{key}z: no such key, or one that is not enforced; did you mean"
        ):
            parse(runbook({"guardrails": {f"{key}z": rule.written.example}}), "r.md")
        assert f"| `guardrails.{key}` |" in (DOCS / "runbooks.md").read_text()


def test_no_query_is_nobody_s_and_no_two_rules_have_one_name() -> None:
    assert set(QUERIES) < {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_the_page_about_guardrails_has_each_of_them_in_the_order_of_asking() -> None:
    page = (DOCS / "guardrails.md").read_text()
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert listed == [rule.name for rule in RULES]


# --- one more ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def moonlit(monkeypatch: pytest.MonkeyPatch) -> Guardrail:
    """A guardrail that is a rule and a query, and nothing else: no change while the moon is full enough."""

    def no(_case: Case, light: int, at_most: int) -> No | None:
        return No(f"the moon is at {light}%, and {at_most}% is allowed", "wait") if light > at_most else None

    rule = Guardrail(
        "moon",
        no,
        About("the sky", "how light it is", "wait"),
        yes=lambda _case, light, at_most: f"{light}% of {at_most}%",
        written=Written("moon_below", Annotated[int, Field(ge=0, le=100)], 50),
    )
    monkeypatch.setattr(guardrail_rules, "RULES", (*RULES[:-1], rule, RULES[-1]))
    monkeypatch.setattr(guardrail_facts, "QUERIES", {**QUERIES, "moon": lambda _tx, _change, _at_most: 80})
    return rule


def test_one_more_is_a_rule_and_a_query_read_linted_judged_and_foreseen(moonlit: Guardrail, timed: Store) -> None:
    strict = parse(runbook({"guardrails": {"moon_below": 50}}), "r.md").guardrails.of(RESTART)
    loose = parse(runbook({"guardrails": {"moon_below": 90}}), "r.md").guardrails.of(RESTART)
    assert (
        strict.asked["moon_below"],
        schema()["properties"]["guardrails"]["properties"]["moon_below"]["anyOf"][0],
    ) == (
        50,
        {"maximum": 100, "minimum": 0, "type": "integer"},
    )
    with pytest.raises(BadDocument, match="guardrails.moon_below: Input should be less than or equal to 100"):
        parse(runbook({"guardrails": {"moon_below": 101}}), "r.md")
    with pytest.raises(BadDocument, match="guardrails.moon_bellow: .* did you mean moon_below?"):
        parse(runbook({"guardrails": {"moon_bellow": 50}}), "r.md")
    claim = working(timed)
    with timed.record() as tx:
        refusal = intents.intend(
            tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=HOUR, limits=loose, today=strict
        )
        foreseen = intents.foreseen(
            tx,
            service="api",
            target="web-9/api",
            runbook="r",
            severity=Severity.WARNING,
            remedy="restart",
            limits=strict,
        )
        assert isinstance(refusal, Refusal)
        assert foreseen is not None
        assert (refusal.guardrail, refusal.reason) == (
            "moon",
            "by the runbook as it is now, not as it was: the moon is at 80%, and 50% is allowed",
        )
        assert foreseen.reason == "the moon is at 80%, and 50% is allowed"
        act = intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=HOUR, limits=loose)
        assert isinstance(act, Act)
        entry = trail.head(tx)
    assert entry is not None
    assert "moon: 80% of 90%" in entry.data["guardrails"]
