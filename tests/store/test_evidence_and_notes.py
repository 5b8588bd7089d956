"""Evidence and notes of an incident: kept in their order, and on its timeline."""

import pytest
from databases import Clock
from store_states import opened, recorded

from paramedic.store import Store, evidence, incidents
from paramedic.store.incidents import NoSuchIncident


def test_evidence_is_kept_in_the_order_it_was_taken(timed: Store, clock: Clock) -> None:
    with timed.write() as tx:
        number = opened(tx)
        for kind in ("memory", "process-tree", "log-tail"):
            evidence.add(tx, number, 1, kind=kind, taken_at=clock.now(), body=f"the {kind}")
        seen = evidence.of(tx, number)
    assert [(piece["kind"], piece["body"]) for piece in seen] == [
        ("memory", "the memory"),
        ("process-tree", "the process-tree"),
        ("log-tail", "the log-tail"),
    ]


def test_a_note_and_a_sight_stand_on_the_timeline(timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx)
        incidents.note(tx, number, by="ada", text="I am on it")
        incidents.append_to_timeline(tx, number, actor="run:1", what="health.seen", reason="answers 503")
        with pytest.raises(NoSuchIncident):
            incidents.note(tx, 99, by="ada", text="where?")
    assert recorded(timed, number)[-2:] == ["incident.note", "health.seen"]
