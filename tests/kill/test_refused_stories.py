"""Changes that are not allowed: by an operator, by the runbook, by a person, or because they cannot be recorded."""

import sqlite3

import pytest
from kill.driver import Driver, wait_for
from kill.steps import on_web_2, stands, wakes_and_ends, whats

from paramedic.demo.world import text_of
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending
from paramedic.remediation.proposal import Verdict
from paramedic.store import kill_switch, lifecycle, proposals, retrying

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
sentinel = pytest.mark.sentinel
together = pytest.mark.together

SERVICES = on_web_2("paused", "tag-limit", "no-trail", "acknowledged", "observed", "lowered")


def test_while_acting_is_paused_nothing_acts_and_a_person_is_told(whole: Driver) -> None:
    service = whole.service("paused")
    whole.break_it(service)
    with whole.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a test")
    try:
        whole.send(whole.alert(service))
        incident = whole.ended(service)
    finally:
        with whole.store.record() as tx:
            kill_switch.resume(tx, by="ada", reason="the test is over")
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1), whole.told_of(service)
    assert "ada" in (incident.because or "")
    with whole.store.record() as tx:
        assert retrying.retry(tx, incident.number, by="ada", because="the test is over").attempt == 2
    ended = whole.ended(service)
    assert (ended.number, ended.ending, ended.attempt, service.starts) == (incident.number, Ending.REMEDIATED, 2, 2), (
        whole.told_of(service)
    )


def test_a_limit_of_zero_on_the_tag_is_understood_as_an_operators_stop(whole: Driver) -> None:
    service = whole.service("tag-limit")
    whole.break_it(service)
    whole.ask_prefect("POST", "/concurrency_limits/", json={"tag": "changes", "concurrency_limit": 0})
    try:
        whole.send(whole.alert(service))
        incident = whole.ended(service)
    finally:
        whole.ask_prefect("DELETE", "/concurrency_limits/tag/changes")
    assert (incident.ending, service.starts) == (Ending.REFUSED, 1), whole.told_of(service)
    assert "limit on the tag" in (incident.because or "")


@sentinel
def test_where_the_intent_cannot_be_written_nothing_is_done(whole: Driver) -> None:
    service = whole.service("no-trail")
    whole.break_it(service)
    database = sqlite3.connect(whole.folder / "data" / "paramedic.db", timeout=10)
    database.execute(
        "CREATE TRIGGER no_intent BEFORE INSERT ON trail WHEN NEW.phase = 'intent' "
        "BEGIN SELECT RAISE(ABORT, 'the test forbids it'); END"
    )
    try:
        whole.send(whole.alert(service))
        incident = whole.ended(service)
    finally:
        database.execute("DROP TRIGGER no_intent")
        database.close()
    assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 1), whole.told_of(service)
    assert whole.acts_of(incident) == []


@together
def test_an_acknowledgement_stops_the_next_change(whole: Driver) -> None:
    service = whole.service("acknowledged")
    stands(whole, service.name, "evidence_taken")
    number = whole.incidents_on(service)[0].number
    with whole.store.record() as tx:
        lifecycle.acknowledge(tx, number, by="ada", reason="she was faster")
    whole.release("evidence_taken", service)
    wait_for(
        "the run's end",
        lambda: whole.flow_runs(whole.incidents_on(service)[0])[0]["state_type"] in ("FAILED", "COMPLETED"),
        whole.tick,
    )
    assert whole.incidents_on(service)[0].state is State.ACKNOWLEDGED
    assert service.starts == 1
    assert "restart" not in whats(whole, number)


@together
def test_a_runbook_that_observes_says_what_it_would_do_and_does_nothing(whole: Driver) -> None:
    service = whole.service("observed")
    whole.break_it(service)
    whole.send(whole.alert(service, env="observe"))
    incident = whole.ended(service)
    assert (incident.ending, service.starts) == (Ending.OBSERVED, 1), whole.told_of(service)
    assert "would have restarted web-2/observed" in (incident.because or "")
    [page] = whole.mailbox.about(incident.id)
    assert "would have restarted web-2/observed" in page["Subject"]
    assert "mode is observe" in text_of(page)
    wait_for("the verdict", lambda: "proposal.judged" in whats(whole, incident.number), whole.tick)
    with whole.store.read() as tx:
        [made] = proposals.of(tx, incident.number)
    assert (made.verdict, made.refused_by) == (Verdict.NEEDED, None)
    assert "its alert still fires" in made.judged
    assert whole.acts_of(incident) == []


@sentinel
@together
def test_a_runbook_that_is_written_while_we_run_is_in_force_and_one_that_is_lowered_before_its_act_does_nothing(
    whole: Driver,
) -> None:
    service = whole.service("lowered")
    books = whole.folder / "runbooks"
    text = (books / "observed-service.md").read_text().replace("observed-service", "lowered-service")
    book = books / "lowered-service.md"
    book.write_text(text.replace('env="observe"', 'env="lowered"').replace("mode: observe", "mode: act"))
    whole.break_it(service)
    whole.arm("evidence_taken", service)
    whole.send(whole.alert(service, env="lowered"))
    pid = whole.stands_at("evidence_taken", service)
    book.write_text(book.read_text().replace("mode: act", "mode: observe"))
    wakes_and_ends(whole, service, pid, "evidence_taken")
    incident = whole.ended(service)
    assert (incident.runbook, incident.ending, service.starts) == ("lowered-service", Ending.REFUSED, 1), whole.told_of(
        service
    )
    assert "by the runbook as it is now, not as it was: the runbook's mode is observe" in (incident.because or "")
    assert whole.acts_of(incident) == []
