"""What an alert said while it fired stays with its incident: its end says the value that is well again."""

from dataclasses import replace
from datetime import timedelta

from store_states import alert, opened

from paramedic.alerts.alert import Status
from paramedic.store import Store, incident_alerts


def test_the_end_of_an_alert_leaves_what_it_said_while_it_fired(timed: Store) -> None:
    fires = replace(alert("Slow"), annotations={"summary": "the error rate is 100% (critical 50%)"})
    ends = fires.starts_at + timedelta(minutes=1)
    over = replace(fires, status=Status.RESOLVED, ends_at=ends, annotations={"summary": "the error rate is 33%"})
    with timed.record() as tx:
        number = opened(tx, received=fires)
        incident_alerts.note(tx, number, over, None)
        [kept] = incident_alerts.of(tx, number)
    assert (kept["status"], kept["ends_at"]) == (Status.RESOLVED, ends)
    assert kept["annotations"] == fires.annotations
