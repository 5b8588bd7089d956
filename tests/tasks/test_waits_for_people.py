"""A change that people have to complete: the incident is handed over with its words, and the ladder ends."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from failing_shop import Shop

from paramedic.alerts.alert import Severity
from paramedic.change.limits import pinned_and_current
from paramedic.doors import reading
from paramedic.errors import WaitsForPeople
from paramedic.incidents.outcome import Ending
from tasks import act


@dataclass
class Reverts:
    """What reverts in a repository: it is told what for, and nobody deploys it."""

    incident: str = ""
    act: str = ""
    did: str = ""
    goes_on: Callable[[], object] | None = None  # the controller deploys it

    def roll_back(self, _expected: str, last_look: Callable[[], None], *, approved: bool) -> str:
        last_look()
        if self.goes_on is None:
            raise WaitsForPeople("commit abc on the branch paramedic/INC-1-x is not deployed. By hand: merge it")
        self.goes_on()
        self.did = "commit abc on the branch paramedic/INC-1-x; the controller has deployed it"
        return "7"


def test_a_change_that_waits_for_people_is_handed_over_with_its_words_and_no_other_rung_is_tried(
    shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, reverts = shop(), Reverts()
    monkeypatch.setattr(act, "releases", lambda *_, **__: reverts)
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == "commit abc on the branch paramedic/INC-1-x is not deployed. By hand: merge it"
    [done] = one.acts()
    assert (done.remedy, done.result) == ("roll_back", "failed")
    assert one.restarts == []
    assert reverts.incident == f"{one.store.uuid}/INC-1"
    assert reverts.act == done.mark(one.store.uuid)
    [failed] = one.entries("roll_back.failed")
    assert "the branch paramedic/INC-1-x" in failed.reason


def test_what_a_roll_back_tells_of_itself_is_on_the_trail(
    shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shop(remedies="[rollback]")
    monkeypatch.setattr(act, "releases", lambda *_, **__: Reverts(goes_on=lambda: one.restarts.append("by it")))
    folder = reading.releases(one.run.target)
    monkeypatch.setattr(reading, "releases", lambda _: folder)
    monkeypatch.setattr(reading, "keeps_releases", lambda _: True)
    one.play()
    [done] = one.entries("roll_back.done")
    assert "commit abc on the branch paramedic/INC-1-x; the controller has deployed it" in done.reason


def test_an_unmarked_release_needs_no_approval_where_a_person_merges_the_roll_back(
    shop: Callable[..., Shop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = shop(remedies="[rollback]")
    folder = reading.releases(one.run.target)
    unmarked = SimpleNamespace(current=lambda: replace(folder.current(), reversible=None))
    monkeypatch.setattr(reading, "releases", lambda _: unmarked)
    remedy = one.run.runbook.remedies[0]
    asked, _ = pinned_and_current(one.run, remedy)
    monkeypatch.setattr(reading, "merged_by_people", lambda _: True)
    merged, _ = pinned_and_current(one.run, remedy)
    assert asked == merged.asking_from(Severity.WARNING)
    assert asked != merged
