"""Whether a person must be asked before a change: once, and only about what nothing else refuses."""

from datetime import timedelta
from typing import Any

import pytest
from store_states import ALIVE, TARGET

from paramedic.alerts.alert import Severity
from paramedic.change import exclusive
from paramedic.change.approval_question import open_question
from paramedic.change.limits import pinned_and_current
from paramedic.change.run import GivenUp
from paramedic.errors import Refused, TemporaryError
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.remedy import RESTART
from paramedic.store import approvals, attempts, kill_switch

ASKS = ("mode: act", "mode: ask")
FROM_CRITICAL = ("guardrails: {", "guardrails: {approval: {restart: critical}, ")


def _question(case: Any) -> Approval | None:
    with exclusive.exclusive(case.run, TARGET):
        return open_question(case.run, case.run.keeper.claim, RESTART, *pinned_and_current(case.run, RESTART))


def _asked(case: Any) -> list[Approval]:
    with case.store.read() as tx:
        return approvals.listed(tx, case.run.incident.number)


def test_where_no_person_need_be_asked_there_is_no_question(begin: Any) -> None:
    case = begin()
    case.owner.says = TemporaryError("it is not even looked at")
    assert _question(case) is None
    assert _asked(case) == []


def test_the_question_names_the_change_and_is_asked_once(begin: Any) -> None:
    case = begin(ASKS, approve_within="7m")
    asked = _question(case)
    assert asked is not None
    assert (asked.target, asked.remedy, asked.attempt, asked.rung) == (TARGET, "restart", 1, 1)
    assert (asked.identity, asked.flow_run, asked.state) == (ALIVE, "run-1", Answer.ASKED)
    assert asked.expires_at - asked.asked_at == timedelta(minutes=7)
    assert _question(case) == asked, "a run that begins again from its first line finds it"
    assert _asked(case) == [asked]
    with pytest.raises(Refused, match=r"\(approval\)"):
        case.change()
    assert case.touch.asked == []


@pytest.mark.parametrize("granted", [True, False])
def test_an_answered_question_is_waited_for_no_more_and_the_change_judges_the_answer(begin: Any, granted: bool) -> None:
    case = begin(ASKS)
    asked = _question(case)
    assert asked is not None
    with case.store.record() as tx:
        approvals.decide(tx, asked.id, granted=granted, by="ada", how="link")
    assert _question(case) is None
    assert len(_asked(case)) == 1
    if granted:
        case.change()
        assert case.results() == ["done"]
    else:
        with pytest.raises(Refused, match="ada"):
            case.change()
        assert case.touch.asked == []


def test_nobody_is_asked_about_what_another_guardrail_refuses(begin: Any) -> None:
    case = begin(ASKS)
    with case.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")
    assert _question(case) is None
    assert _asked(case) == []


@pytest.mark.parametrize(("severity", "asks"), [(Severity.CRITICAL, True), (Severity.WARNING, False)])
def test_a_person_is_asked_from_the_severity_that_the_runbook_names(begin: Any, severity: Severity, asks: bool) -> None:
    assert (_question(begin(FROM_CRITICAL, severity=severity)) is not None) is asks


def test_a_runbook_that_asks_by_now_asks_though_it_did_not_then(begin: Any) -> None:
    case = begin()
    file = case.settings.runbooks / "tracking-api-memory.md"
    file.write_text(file.read_text().replace(*ASKS))
    assert _question(case) is not None


def test_a_target_that_cannot_be_seen_is_asked_about_by_nobody(begin: Any) -> None:
    case = begin(ASKS)
    case.owner.says = TemporaryError("it does not answer")
    with pytest.raises(TemporaryError):
        _question(case)
    assert _asked(case) == []


def test_an_attempt_that_is_given_up_while_the_guardrails_are_read_asks_nobody(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = begin(ASKS)
    record = case.store.record

    def given_up_before() -> Any:
        with record() as tx:
            assert attempts.raise_attempt(tx, case.run.incident.number, after=1, rungs=1, reason="silent")
        return record()

    with exclusive.exclusive(case.run, TARGET):
        limits = pinned_and_current(case.run, RESTART)
        monkeypatch.setattr(case.store, "record", given_up_before)
        with pytest.raises(GivenUp):
            open_question(case.run, case.run.keeper.claim, RESTART, *limits)
    assert _asked(case) == []
