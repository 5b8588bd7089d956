"""`paramedic incident ack · retry · resolve`: the command line says whose an incident was, and who ended it."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import paramedic
from incident_states import acting, alert, handed_over

from paramedic.alerts.alert import Alert, Status
from paramedic.checks.check import SOURCE
from paramedic.cli.aftermath import what_follows
from paramedic.settings import Settings
from paramedic.store import Store, incident_alerts, joining
from paramedic.store.tables import trail_contents


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    shutil.copyfile(sqlite_template, tmp_path / "paramedic.db")
    return tmp_path


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    opened = Store(Settings(data=data).store())
    yield opened
    opened.close()


def test_who_takes_it_over_reads_whose_it_was(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    assert paramedic("incident", "ack", "1", "--by", "ada", *where) == "INC-1 is yours, ada\n"
    output = paramedic("incident", "ack", "1", "--by", "ben", *where)
    assert output == "INC-1 is yours, ben\nada had it before, and is told that you have it now\n"
    again = json.loads(paramedic("incident", "ack", "1", "--by", "ada", "--json", *where))
    assert (again["acknowledged_by"], again["taken_over_from"]) == ("ada", "ben")


def test_what_a_person_resolved_is_listed_and_reported_as_that(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    paramedic("incident", "resolve", "1", "--by", "ada", "--because", "the disk was full", *where)
    assert "resolved by ada" in paramedic("incident", "list", *where)
    report = paramedic("incident", "report", "1", *where)
    assert "- State: resolved by ada\n- Because: the disk was full\n" in report
    assert "incident\\.resolved by ada: the disk was full" in report


def test_it_is_tried_again_by_a_named_person(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    output = paramedic("incident", "retry", "INC-1", "--by", "ada", "--because", "the disk has room", *where)
    assert "INC-1 is Paramedic's again: attempt 2 begins" in output
    assert "attempt 1 works" not in output
    assert "attempt 2 works on INC-1 already" in paramedic("incident", "retry", "1", "--by", "ada", *where, code=1)
    assert json.loads(paramedic("incident", "show", "1", "--json", *where))["state"] == "open"


def test_what_another_has_is_tried_again_only_where_that_is_said(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    paramedic("incident", "ack", "1", "--by", "ada", *where)
    refused = paramedic("incident", "retry", "1", "--by", "ben", *where, code=1)
    assert "paramedic incident retry INC-1 --by ben --take-over" in refused
    answer = json.loads(paramedic("incident", "retry", "1", "--by", "ben", "--take-over", "--json", *where))
    assert (answer["state"], answer["attempt"], answer["taken_over_from"]) == ("open", 2, "ada")


def test_what_is_not_known_to_have_happened_is_not_tried_again(data: Path, store: Store) -> None:
    incident, _ = acting(store)
    paramedic("incident", "ack", incident.id, "--by", "ada", "--data", str(data))
    refused = paramedic("incident", "retry", incident.id, "--by", "ada", "--data", str(data), code=1)
    assert "has no outcome: look at the target first" in refused


def _joined(store: Store, alert: Alert) -> None:
    with store.record() as tx:
        joining.join(tx, 1, alert, reason="the sender says so")


def test_resolve_says_what_follows_of_each_alert_that_still_fires(data: Path, store: Store) -> None:
    handed_over(store)
    _joined(store, alert("TrackingApiErrors"))
    _joined(store, dataclasses.replace(alert("TrackingApiErrors"), status=Status.RESOLVED, ends_at=datetime.now(UTC)))
    _joined(store, dataclasses.replace(alert("shop/health"), source=SOURCE, fingerprint="own"))
    with store.read() as tx:
        latest = incident_alerts.of(tx, 1)[0]["last_seen"] + timedelta(hours=4)
    lines = paramedic("incident", "resolve", "1", "--by", "ada", "--data", str(data)).splitlines()
    assert lines[0] == "INC-1 is over"
    assert lines[1].startswith("TrackingApiMemory still fires, last said ")
    assert lines[1].endswith(
        f"silence until its sender repeats it, at the latest {latest:%Y-%m-%d %H:%M} UTC by Alertmanager's default of 4h; "
        "it opens a new incident then"
    )
    assert lines[2] == "shop/health is still measured as broken: if it is by samples from now on, a new incident opens"
    assert len(lines) == 3


def test_resolve_says_nothing_of_alerts_that_are_over_or_of_before(data: Path, store: Store) -> None:
    handed_over(store)
    _joined(store, dataclasses.replace(alert(), status=Status.RESOLVED, ends_at=datetime.now(UTC)))
    answer = json.loads(paramedic("incident", "resolve", "1", "--by", "ada", "--json", "--data", str(data)))
    assert (answer["state"], answer["follows"]) == ("resolved", [])
    now = datetime.now(UTC)
    old = {"name": "X", "source": "alertmanager", "status": Status.FIRING, "last_seen": now - timedelta(hours=5)}
    assert what_follows([old], since=now - timedelta(hours=1), now=now) == []
    [late] = what_follows([old], since=now - timedelta(hours=6), now=now)
    assert "silence until its sender repeats it; it opens a new incident then" in late


def test_what_a_person_noted_is_read_in_report_and_show_until_it_is_erased(data: Path, store: Store) -> None:
    handed_over(store)
    where = ("--data", str(data))
    paramedic("incident", "note", "1", "the disk of web-1 is full", "--by", "ada", *where)
    assert "incident\\.note by ada: the disk of web-1 is full" in paramedic("incident", "report", "1", *where)
    assert "the disk of web-1 is full" in paramedic("incident", "show", "1", *where)
    for command in ("report", "show"):
        timeline = json.loads(paramedic("incident", command, "1", "--json", *where))["timeline"]
        assert [entry["note"] for entry in timeline if entry["note"] is not None] == ["the disk of web-1 is full"]
    with store.write() as tx:
        tx.conn.execute(trail_contents.delete())
    report = paramedic("incident", "report", "1", *where)
    assert "incident\\.note by ada: (erased)" in report
    assert "the disk of web-1" not in report
