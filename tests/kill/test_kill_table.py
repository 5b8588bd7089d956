"""SIGKILL of everybody, at every boundary: the right outcome stands in table.py."""

import psutil
import pytest
from kill.driver import Ward, kill
from kill.table import TABLE, Row

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(240)]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_killed_at_a_boundary(whole: Ward, row: Row) -> None:
    service = whole.service(row.id)
    whole.break_it(service)
    alert = whole.alert(service)
    subject = alert["labels"]["alertname"] if row.point == "alert_committed" else f"web-1/{row.id}"
    whole.boundaries.arm(row.point, subject)
    whole.send_meanwhile(alert)
    stands = whole.boundaries.wait(row.point, whole.stack.tick)

    for pid in _victims(whole, row.victim, stands):
        kill(pid)
    whole.boundaries.release(row.point)

    incident = whole.ended(service)
    assert incident.ending == row.ending, f"{incident.because} (right would be: {row.because})"
    assert service.starts == 1 + row.restarts, [act.words for act in whole.acts_of(incident)]
    assert len(whole.acts_of(incident)) <= 1
    assert whole.mailbox.about(incident.id), "nobody was told"
    whole.prefect_is_well()


def _victims(whole: Ward, victim: str, stands: int) -> list[int]:
    """The processes to kill. Before a run is claimed nobody of the responder is at work: then its idle ones go."""
    if victim != "process":
        return [whole.stack.pids()[victim]]
    engines = [
        child.pid
        for child in psutil.Process(whole.stack.pids()["responder"]).children(recursive=True)
        if "paramedic.responder.engine" in " ".join(child.cmdline())
    ]
    return [stands] if stands in engines else engines


def test_after_all_rows_the_trail_verifies_and_nothing_was_lost(whole: Ward) -> None:
    from paramedic import trail
    from paramedic.settings import load, signing_key
    from paramedic.store import trail as kept
    from paramedic.store.tables import inbox

    with whole.store.read() as tx:
        found = trail.verify(
            kept.entries(tx),
            lambda seq: kept.content(tx, seq),
            [],
            signing_key(load()).public_key(),
            tx.store,
        )
        undecided = tx.conn.execute(inbox.select().where(inbox.c.state == "new")).all()
    assert found.verified, found.faults
    assert undecided == []


