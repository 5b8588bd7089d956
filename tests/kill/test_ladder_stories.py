"""Ladders of remedies: bad releases, crash loops, and targets that come back by themselves."""

import pytest
from kill.driver import Driver, wait_for
from kill.steps import has_a_bad_release, is_overtaken, on_web_2, whats

from paramedic.demo.world import Service
from paramedic.incidents.outcome import Ending
from paramedic.remediation.approval import Approval
from paramedic.store import approvals

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]
sentinel = pytest.mark.sentinel
together = pytest.mark.together

SERVICES = on_web_2(
    "bad-release",
    "crashing-release",
    "crashing",
    "crashing-for-good",
    "overtaken",
    "faster",
    "faster-than-second",
    "unmarked-release",
    "old-release",
)


@sentinel
@together
def test_where_a_restart_does_not_help_the_next_rung_goes_back_to_the_last_healthy_release(whole: Driver) -> None:
    service = has_a_bad_release(whole, "bad-release")
    whole.send(whole.alert(service, env="ladder"))
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert (service.release, service.starts) == ("v1", 4), whole.told_of(service)
    assert [(act.remedy, act.rung, act.result) for act in whole.acts_of(incident)] == [
        ("restart", 1, "done"),
        ("roll_back", 2, "cured"),
    ]


def _has_a_crashing_release(whole: Driver, name: str) -> Service:
    """v2 ends as soon as it has started; supervisord starts it again and again, or has given it up."""
    service = whole.service(name)
    service.deploy("v2", crashes=True)
    whole.world.restart(service)
    return service


#: What becomes of a restart in a crash loop: it fails, or finds another process than it had judged.
_VAIN = ("failed", "not_sent")


@together
def test_where_the_release_crashes_the_restart_is_in_vain_and_the_next_rung_goes_back(whole: Driver) -> None:
    service = _has_a_crashing_release(whole, "crashing-release")
    whole.send(whole.alert(service, env="ladder"))
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert service.release == "v1"
    first, second = whole.acts_of(incident)
    assert (first.remedy, second.remedy, second.result) == ("restart", "roll_back", "cured")
    assert first.result in _VAIN


@together
def test_where_the_only_remedy_fails_its_person_hears_why_in_words(whole: Driver) -> None:
    service = _has_a_crashing_release(whole, "crashing")
    whole.send(whole.alert(service))
    incident = whole.ended(service)
    why = {
        "failed": (Ending.HANDED_OVER, "the playbook cannot go on: supervisord"),
        "not_sent": (Ending.REFUSED, "web-2/crashing is no longer the one that was judged"),
    }
    (act,) = whole.acts_of(incident)
    ending, words = why[act.result or ""]
    assert incident.ending is ending
    assert (incident.because or "").startswith(words), incident.because


@together
def test_where_every_rung_fails_a_person_hears_of_it(whole: Driver) -> None:
    service = _has_a_crashing_release(whole, "crashing-for-good")
    (service.folder / "releases" / "v1" / "release.json").write_text('{"crashes": true}')
    whole.send(whole.alert(service, env="ladder"))
    incident = whole.ended(service)
    assert (incident.ending, service.release) == (Ending.HANDED_OVER, "v1"), incident.because
    assert (incident.because or "").startswith("no remedy of the ladder is left, still failing")
    assert {act.result for act in whole.acts_of(incident)} <= set(_VAIN)


@together
def test_where_a_crash_loop_overtakes_the_restart_the_next_rung_goes_back(whole: Driver) -> None:
    service = has_a_bad_release(whole, "overtaken")
    whole.arm("intent_written", service)
    whole.send(whole.alert(service, env="ladder"))
    whole.stands_at("intent_written", service)
    is_overtaken(whole, service)
    whole.release("intent_written", service)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert service.release == "v1"
    assert [(act.remedy, act.result) for act in whole.acts_of(incident)] == [
        ("restart", "not_sent"),
        ("roll_back", "cured"),
    ]


@together
def test_what_comes_back_by_itself_before_its_restart_has_recovered(whole: Driver) -> None:
    service = whole.service("faster")
    whole.break_it(service)
    whole.arm("intent_written", service)
    whole.send(whole.alert(service, env="ladder"))
    whole.stands_at("intent_written", service)
    is_overtaken(whole, service)
    whole.release("intent_written", service)
    wait_for("its end", lambda: whole.incidents_on(service)[0].ended_at is not None, whole.tick, seconds=90)
    incident = whole.incidents_on(service)[0]
    assert (incident.ending, service.starts) == (Ending.RECOVERED, 2), whole.told_of(service)
    assert [act.result for act in whole.acts_of(incident)] == ["not_sent"]


@together
def test_what_was_changed_before_it_came_back_by_itself_is_told_to_a_person(whole: Driver) -> None:
    service = has_a_bad_release(whole, "faster-than-second")
    before = service.folder / "releases" / "v1" / "release.json"
    before.write_text('{"errors": 1.0}')
    whole.arm("verified", service)
    whole.send(whole.alert(service, env="back-first"))
    whole.stands_at("verified", service)
    whole.arm("intent_written", service)
    whole.release("verified", service)
    whole.stands_at("intent_written", service)
    before.write_text("{}")  # somebody mends it by hand
    is_overtaken(whole, service)
    whole.release("intent_written", service)
    incident = whole.ended(service)
    assert incident.ending is Ending.REMEDIATED, incident.because
    assert [(act.remedy, act.result) for act in whole.acts_of(incident)] == [
        ("roll_back", "cured"),
        ("restart", "not_sent"),
    ]


@together
def test_a_release_that_nobody_marked_as_reversible_is_crossed_only_with_a_persons_word(whole: Driver) -> None:
    service = has_a_bad_release(whole, "unmarked-release", reversible=None)
    whole.send(whole.alert(service, env="rollback"))
    waiting: list[Approval] = []

    def asked() -> bool:
        with whole.store.read() as tx:
            waiting[:] = [
                known for incident in whole.incidents_on(service) if (known := approvals.asked(tx, incident.number))
            ]
        return bool(waiting)

    wait_for("the question", asked, whole.tick, seconds=60)
    assert service.release == "v2", "it asked, and did not wait for the answer"
    with whole.store.record() as tx:
        approvals.decide(tx, waiting[0].id, granted=True, by="ada", how="command line")
    incident = whole.ended(service)
    assert (incident.ending, service.release, service.starts) == (Ending.REMEDIATED, "v1", 3), whole.told_of(service)


@together
def test_nothing_is_rolled_back_without_a_deployment_to_blame(whole: Driver) -> None:
    service = whole.service("old-release")
    service.deploy("v2")
    whole.break_it(service)
    whole.send(whole.alert(service, env="on-cause"))
    incident = whole.ended(service)
    assert (incident.ending, service.release, service.starts) == (Ending.REMEDIATED, "v2", 2), whole.told_of(service)
    assert "rung.skipped" in whats(whole, incident.number)
