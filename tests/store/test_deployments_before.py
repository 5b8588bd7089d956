"""Deployments in the store: once each, on the trail, and those of an incident's service, target and dependencies before it."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from databases import Clock
from store_states import TARGET, alert, look_at_the_trail

from paramedic.alerts.alert import Alert
from paramedic.incidents.incident import Incident, State
from paramedic.remediation.deployment import Deployment, Preceding
from paramedic.remediation.release import Release
from paramedic.remediation.service import ServiceFacts
from paramedic.store import Store, deployments, evidence, incident_alerts, lifecycle, noted_releases, trail
from paramedic.store.deployments import OtherDeployment, TooMany
from paramedic.store.preceding import RELEASES, preceding
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.tables import trail_contents

MINUTE = timedelta(minutes=1)
SERVICE = "tracking"


def one(clock: Clock, version: str = "v7", *, ago: int = 0, **fields: str | None) -> Deployment:
    given = {"id": version, "service": SERVICE, "told_by": "ci", **fields}
    return Deployment(version=version, at=clock.now() - ago * MINUTE, **given)  # type: ignore[arg-type]


def tell(store: Store, *told: Deployment) -> list[bool]:
    with store.record() as tx:
        return [deployments.tell(tx, each, actor="sender:ci") for each in told]


def opened(store: Store, about: Alert, depends_on: tuple[str, ...] = ()) -> Incident:
    """A new incident; the one before is over."""
    with store.record() as tx:
        tx.conn.execute(incident_rows.update().values(state=State.RESOLVED))
        return lifecycle.open_incident(
            tx,
            about,
            service=SERVICE,
            target=TARGET,
            policy="default",
            reason="new",
            plan=None,
            about=ServiceFacts(depends_on=depends_on),
        )


def before(store: Store, incident: Incident) -> Preceding | None:
    with store.read() as tx:
        alerts, looked = incident_alerts.of(tx, incident.number), evidence.of(tx, incident.number)
        return preceding(tx, incident, alerts, looked, list(trail.entries(tx, incident=incident.number)))


def versions(store: Store, incident: Incident) -> list[str]:
    found = before(store, incident)
    return [] if found is None else [each.version for each in found.found]


def test_told_twice_it_is_there_and_on_the_trail_once(timed: Store, clock: Clock) -> None:
    assert tell(timed, one(clock)) == [True]
    clock.advance(MINUTE)
    assert tell(timed, one(clock, by="somebody else")) == [False], "told again without its time"
    with pytest.raises(OtherDeployment, match="tracking v7 has this id already"):
        tell(timed, one(clock, "v8", id="v7"))
    with timed.read() as tx:
        assert len(deployments.listed(tx)) == 1
        [entry] = [entry for entry in trail.entries(tx) if entry.what == "deployment.told"]
        assert (entry.actor, entry.content_digest is not None) == ("sender:ci", True)
        assert len(tx.conn.execute(trail_contents.select()).all()) == 1


def test_one_sender_cannot_fill_the_trail(timed: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "MOST_AN_HOUR", 2)
    tell(timed, one(clock, "v1"), one(clock, "v2"))
    with pytest.raises(TooMany, match="ci has told of 2 deployments within an hour"):
        tell(timed, one(clock, "v3"))
    assert tell(timed, one(clock, "v3", told_by="another")) == [True]
    clock.advance(61 * MINUTE)
    assert tell(timed, one(clock, "v4")) == [True]


def test_what_came_in_the_hour_before_is_told_the_newest_first(timed: Store, clock: Clock) -> None:
    tell(timed, one(clock, "v5", ago=100), one(clock, "v6", ago=40), one(clock, "v7", ago=5))
    incident = opened(timed, alert(starts_at=clock.now() - 3 * MINUTE))
    tell(timed, one(clock, "v8", ago=2))
    assert versions(timed, incident) == ["v8", "v7", "v6"], "v8 came before it was opened"
    clock.advance(10 * MINUTE)
    tell(timed, one(clock, "v9"))
    assert versions(timed, incident) == ["v8", "v7", "v6"], "what comes while it lasts is no reason of it"


def test_it_is_counted_from_when_the_alert_began(timed: Store, clock: Clock) -> None:
    tell(timed, one(clock, "v6", ago=130))
    assert versions(timed, opened(timed, alert(starts_at=clock.now() - 90 * MINUTE))) == ["v6"]
    found = before(timed, opened(timed, replace(alert("Other"), starts_at=clock.now())))
    assert found is not None
    assert (found.found, found.last and found.last.version) == ([], "v6"), "the last one is told at least"


def test_of_whom_it_is(timed: Store, clock: Clock) -> None:
    tell(
        timed,
        one(clock, "ours", ago=1, target="web-9/another"),
        one(clock, "target", ago=2, service="x", target=TARGET),
        one(clock, "host", ago=3, service="x", target=TARGET.partition("/")[0]),
        one(clock, "database", ago=4, service="db"),
        one(clock, "stranger", ago=5, service="x", target="web-9/x"),
    )
    assert versions(timed, opened(timed, alert())) == ["ours", "target", "host"]
    assert versions(timed, opened(timed, alert("Other"), depends_on=("db",))) == ["ours", "target", "host", "database"]


@pytest.mark.parametrize(("label", "told"), [("prod", ["live", "any"]), ("staging", ["test", "any"]), ("", None)])
def test_of_another_environment_nothing_is_told(timed: Store, clock: Clock, label: str, told: list[str] | None) -> None:
    tell(
        timed,
        one(clock, "live", ago=1, environment="production"),
        one(clock, "test", ago=2, environment="staging"),
        one(clock, "any", ago=3),
    )
    labels = {"env": label} if label else {}
    assert versions(timed, opened(timed, alert(**labels))) == (told or ["live", "test", "any"])


def test_what_was_seen_at_the_target_is_there_once_however_often_it_is_seen(timed: Store, clock: Clock) -> None:
    at = clock.now() - 4 * MINUTE
    incident = opened(timed, alert())
    assert before(timed, incident) is None, "nobody tells of deployments: nothing is said of them"
    for _ in range(2):
        with timed.record() as tx:
            deployments.see(tx, SERVICE, TARGET, [Release("7", at, None, None), Release("old", None, None, None)])
    assert versions(timed, incident) == ["7"]
    tell(timed, one(clock, "v7", ago=5, by="ada"))
    found = before(timed, incident)
    assert found is not None
    assert [each.words(service=SERVICE) for each in found.found] == ["v7 (by ada, told by ci)"]


def test_what_was_noted_to_run_counts_where_it_had_run_something_else_before(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        noted_releases.note(tx, TARGET, "shop:1", well=True)
    clock.advance(200 * MINUTE)
    first = opened(timed, alert())
    with timed.record() as tx:
        noted_releases.note(tx, TARGET, "shop:2", well=True)
    clock.advance(MINUTE)
    assert versions(timed, first) == ["shop:2"]
    clock.advance(200 * MINUTE)
    assert versions(timed, opened(timed, alert("Other", starts_at=clock.now()))) == []


def test_why_the_releases_could_not_be_looked_at_is_told(timed: Store, clock: Clock) -> None:
    incident = opened(timed, alert())
    with timed.record() as tx:
        evidence.add(tx, incident.number, 1, kind=RELEASES, taken_at=tx.now, body="no answer")
    found = before(timed, incident)
    assert found is not None
    assert (found.found, found.unseen) == ([], "no answer")


def test_the_list_pages_and_says_where_it_cannot(timed: Store, clock: Clock) -> None:
    tell(timed, *(one(clock, f"v{number}", ago=number // 2) for number in range(7)))
    with timed.read() as tx:
        pages, last = [], None
        while found := deployments.listed(tx, limit=3, before=last):
            pages.append([each.id for each, _ in found])
            last = pages[-1][-1]
        assert [len(page) for page in pages] == [3, 3, 1]
        assert sorted(itertools.chain.from_iterable(pages)) == [f"v{number}" for number in range(7)]
        assert deployments.listed(tx, service="another") == []
        with pytest.raises(LookupError, match="there is no deployment v99"):
            deployments.listed(tx, before="v99")


def test_the_trails_entry_is_part_of_a_sound_chain(timed: Store, clock: Clock) -> None:
    tell(timed, one(clock, link="https://ci.example.org/1"))
    assert look_at_the_trail(timed).faults == ()
