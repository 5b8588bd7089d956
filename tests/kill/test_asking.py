"""A person is asked before the change: whoever comes late or comes twice, it is done once or not at all."""

import contextlib
import os
import re
import threading
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import httpx
import psutil
import pytest
from kill.driver import Driver, wait_for
from sqlalchemy import update

from paramedic.demo.world import Service, text_of
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.remediation.approval import Answer, Approval
from paramedic.store import approvals, claims, lifecycle
from paramedic.store import trail as stored_trail
from paramedic.store.claims import Claim
from paramedic.store.tables import approvals as table

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
sentinel = pytest.mark.sentinel
together = pytest.mark.together

HOST = "web-2"

STORIES = (
    "by-link",
    "by-form",
    "without-answer",
    "denied",
    "nobody-answers",
    "cancelled-while-asked",
    "acknowledged-while-asked",
    "two-people",
    "claim-taken",
)


SERVICES = [*((name, HOST, "") for name in STORIES), ("another-life", HOST, "--starts-broken")]


def _begins(up: Driver, name: str) -> Service:
    service = up.service(name)
    up.prefect_is_well()
    if not service.faults:
        up.break_it(service)
    assert up.send(up.alert(service, env="ask")).status_code == 202
    return service


def _asked(up: Driver, service: Service) -> Approval:
    """Once the question is written."""
    found: list[Approval] = []

    def written() -> bool:
        with up.store.read() as tx:
            found[:] = [approval for got in up.incidents_on(service) if (approval := approvals.asked(tx, got.number))]
        return bool(found)

    up.until(f"the question about {service.name}", written, service, seconds=150)
    return found[0]


def _waits(up: Driver, name: str) -> tuple[Service, Incident, Approval]:
    """Its run is suspended, and its person was told."""
    service = _begins(up, name)
    asked = _asked(up, service)
    incident = up.incidents_on(service)[0]
    wait_for("the suspended run", lambda: _state(up, incident) == "PAUSED", up.tick, seconds=150)
    wait_for("the message", lambda: bool(up.mailbox.about(incident.id)), up.tick, seconds=150)
    return service, incident, asked


def _state(up: Driver, incident: Incident) -> str:
    runs = up.flow_runs(incident)
    return str(runs[-1]["state_type"])


def _link(mail: EmailMessage) -> tuple[str, str]:
    text = text_of(mail).replace("\r\n", "\n")
    link, code = (
        re.search(r"^http\S+/approve/\S+$", text, re.MULTILINE),
        re.search(r"code there: (\d{8})$", text, re.MULTILINE),
    )
    assert link is not None, text
    assert code is not None, text
    return link[0], code[1]


def _decide(up: Driver, asked: Approval, *, granted: bool = True, by: str = "ada") -> Approval | str:
    with up.store.record() as tx:
        return approvals.decide(tx, asked.id, granted=granted, by=by, how="command line")


def _whats(up: Driver, incident: Incident) -> list[str]:
    with up.store.read() as tx:
        return [entry.what for entry in stored_trail.entries(tx, incident=incident.number)]


def _over(up: Driver, service: Service) -> Incident:
    """Its incident, once nobody works on it any more."""
    return up.ended(service, seconds=240)


def _ends(up: Driver, incident: Incident, *names: str) -> None:
    wait_for(
        f"a run that is {' or '.join(names)}",
        lambda: up.flow_runs(incident)[-1]["state_name"] in names,
        up.tick,
        seconds=150,
    )


@sentinel
@together
def test_approved_by_link_and_code_it_is_done_once_and_retry_does_nothing(whole: Driver) -> None:
    service, incident, asked = _waits(whole, "by-link")
    assert service.starts == 1, "it acted before anybody was asked"
    with whole.store.read() as tx:
        claim = claims.current(tx, f"{HOST}/by-link")
        assert claim is not None
    wait_for("the claim's end", lambda: not _claimed(whole, "by-link"), whole.tick)
    mail = whole.mailbox.about(incident.id)[0]
    link, code = _link(mail)
    assert "restart" in str(mail["Subject"])
    assert f"paramedic incident approve {incident.id}" in text_of(mail)
    page = httpx.get(link, timeout=10, trust_env=False)
    assert page.status_code == 200
    assert _asked(whole, service) == asked, "looking decides nothing"
    wrong = httpx.post(link, data={"decision": "approve", "code": "00000000"}, timeout=10, trust_env=False)
    assert wrong.status_code == 403
    assert service.starts == 1
    right = httpx.post(link, data={"decision": "approve", "code": code}, timeout=10, trust_env=False)
    assert (right.status_code, "ada approved" in right.text) == (200, True)
    ended = _over(whole, service)
    assert (ended.ending, ended.attempt, service.starts) == (Ending.REMEDIATED, 1, 2), ended.because
    what = _whats(whole, incident)
    assert what.index("approval.asked") < what.index("approval.granted") < what.index("restart")
    _ends(whole, incident, "Remediated")
    run = whole.flow_runs(incident)[0]["id"]
    whole.ask_prefect(
        "POST", f"/flow_runs/{run}/set_state", json={"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}}
    )
    wait_for(
        "the retried run",
        lambda: "does nothing" in str(whole.ask_prefect("GET", f"/flow_runs/{run}")["state"]["message"]),
        whole.tick,
        seconds=150,
    )
    _ends(whole, incident, "Remediated")
    assert service.starts == 2


def _claimed(up: Driver, name: str) -> bool:
    with up.store.read() as tx:
        claim = claims.current(tx, f"{HOST}/{name}")
    return claim is not None and claim[1]


def _resume(up: Driver, incident: Incident, **body: Any) -> dict[str, Any]:
    """As the Prefect UI's form does it."""
    run = up.flow_runs(incident)[0]["id"]
    answer: dict[str, Any] = up.ask_prefect("POST", f"/flow_runs/{run}/resume", json=body)
    return answer


@together
def test_approved_in_prefects_form_it_is_done_and_the_trail_says_who_they_said_to_be(whole: Driver) -> None:
    service, incident, asked = _waits(whole, "by-form")
    assert _resume(whole, incident, run_input={"decision": "approve", "by": "Bob"})["status"] == "ACCEPT"
    ended = _over(whole, service)
    assert (ended.ending, ended.attempt, service.starts) == (Ending.REMEDIATED, 1, 2), ended.because
    with whole.store.read() as tx:
        now = approvals.get(tx, asked.id)
        actors = [
            entry.actor
            for entry in stored_trail.entries(tx, incident=incident.number)
            if entry.what == "approval.granted"
        ]
    assert (now.state, now.decided_by, now.how, actors) == (Answer.GRANTED, "Bob", "prefect", ["prefect-form"])


@together
def test_resume_without_an_answer_is_no_approval(whole: Driver) -> None:
    service, incident, _ = _waits(whole, "without-answer")
    for body in (
        {},
        {"run_input": {}},
        {"run_input": {"decision": "approve"}},
        {"run_input": {"decision": "", "by": "a"}},
    ):
        assert _resume(whole, incident, **body)["status"] == "REJECT", body
    assert _state(whole, incident) == "PAUSED"
    run = whole.flow_runs(incident)[0]["id"]
    whole.ask_prefect("POST", f"/flow_runs/{run}/set_state", json={"state": {"type": "SCHEDULED", "name": "Resuming"}})
    ended = _over(whole, service)
    assert (ended.ending, service.starts) == (Ending.REFUSED, 1), whole.told_of(service)
    assert "nobody has approved the restart" in (ended.because or "")


@together
def test_denied_it_is_refused_and_says_by_whom(whole: Driver) -> None:
    service, _, asked = _waits(whole, "denied")
    assert not isinstance(_decide(whole, asked, granted=False), str)
    ended = _over(whole, service)
    assert (ended.ending, ended.attempt, service.starts) == (Ending.REFUSED, 1, 1), whole.told_of(service)
    assert "ada denied the restart of web-2/denied" in (ended.because or "")


@together
def test_where_nobody_answers_the_time_out_escalates_and_a_late_approval_says_so(whole: Driver) -> None:
    service, incident, asked = _waits(whole, "nobody-answers")
    link, code = _link(whole.mailbox.about(incident.id)[0])
    with whole.store.write() as tx:
        tx.conn.execute(
            update(table)
            .where(table.c.id == asked.id)
            .values(asked_at=tx.now - timedelta(minutes=15), expires_at=tx.now)
        )
    ended = _over(whole, service)
    assert (ended.ending, service.starts) == (Ending.HANDED_OVER, 1), whole.told_of(service)
    assert ended.because == "nobody approved the restart of web-2/nobody-answers within 15m"
    late = httpx.post(link, data={"decision": "approve", "code": code}, timeout=10, trust_env=False)
    assert (late.status_code, "within 15m" in late.text) == (409, True)
    _ends(whole, incident, "NothingToDo")
    assert service.starts == 1


@together
def test_cancelled_in_the_ui_while_it_waits_a_person_gets_it_at_once(whole: Driver) -> None:
    service, incident, asked = _waits(whole, "cancelled-while-asked")
    run = whole.flow_runs(incident)[0]["id"]
    whole.ask_prefect(
        "POST", f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING", "name": "Cancelling"}}
    )
    ended = _over(whole, service)
    assert (ended.ending, ended.attempt, service.starts) == (Ending.HANDED_OVER, 1, 1), whole.told_of(service)
    assert "an operator cancelled" in (ended.because or "")
    assert "void" in str(_decide(whole, asked))


@together
def test_acknowledged_while_it_waits_it_is_its_persons_and_the_run_ends(whole: Driver) -> None:
    service, incident, asked = _waits(whole, "acknowledged-while-asked")
    with whole.store.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="ada", reason="a test")
    assert "void" in str(_decide(whole, asked, by="bob"))
    _ends(whole, incident, "NothingToDo")
    assert (whole.incidents_on(service)[0].state, service.starts) == (State.ACKNOWLEDGED, 1), whole.told_of(service)


@together
def test_two_people_at_once_are_one_answer_and_one_act(whole: Driver) -> None:
    service, incident, asked = _waits(whole, "two-people")
    gate = threading.Barrier(2)
    answers: dict[str, Approval | str] = {}

    def answer(by: str, *, granted: bool) -> None:
        gate.wait(30)
        answers[by] = _decide(whole, asked, granted=granted, by=by)

    threads = [
        threading.Thread(target=answer, args=("ada",), kwargs={"granted": True}),
        threading.Thread(target=answer, args=("bob",), kwargs={"granted": True}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(isinstance(given, str) for given in answers.values()) == [False, True]
    ended = _over(whole, service)
    assert (ended.ending, service.starts) == (Ending.REMEDIATED, 2), ended.because
    what = _whats(whole, incident)
    assert (what.count("approval.granted"), what.count("restart")) == (1, 1)


@together
def test_approved_while_another_incident_works_on_the_target_it_waits_for_its_turn_and_no_longer(whole: Driver) -> None:
    service, _, asked = _waits(whole, "claim-taken")
    wait_for("the claim's end", lambda: not _claimed(whole, "claim-taken"), whole.tick)
    with whole.store.record() as tx:
        taken = claims.take(
            tx, target=f"{HOST}/claim-taken", incident=999, attempt=1, holder="run:other", lease=timedelta(minutes=5)
        )
    assert isinstance(taken, Claim)
    assert not isinstance(_decide(whole, asked), str)
    ended = _over(whole, service)
    assert (ended.ending, service.starts) == (Ending.REFUSED, 1), ended.because
    assert "INC-999 (attempt 1, run:other) has the claim" in (ended.because or "")


@together
def test_another_life_than_the_approved_one_is_not_touched(whole: Driver) -> None:
    service, _, asked = _waits(whole, "another-life")
    assert asked.identity.instance["pid"] is not None
    before = service.starts
    with contextlib.suppress(psutil.NoSuchProcess):
        os.kill(asked.identity.instance["pid"], 9)
    wait_for("supervisord's own restart", lambda: service.starts == before + 1, whole.tick, seconds=150)
    assert not isinstance(_decide(whole, asked), str)
    ended = _over(whole, service)
    assert (ended.ending, service.starts) == (Ending.REFUSED, before + 1), ended.because
    assert f"approved it for pid {asked.identity.instance['pid']}" in (ended.because or "")
