"""What is foreseen of a change is what the change itself is told, by the same rules: which guardrail, with which words."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from store_states import TARGET, claimed, intended, opened

from paramedic.change.foresight import foreseen, ladder
from paramedic.errors import Refused
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, acts, attempts, claims, kill_switch, lifecycle, maintenance, retrying, trail


def _paused(store: Store, _case: Any) -> None:
    with store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")


def _in_maintenance(store: Store, _case: Any) -> None:
    with store.record() as tx:
        ends_at = tx.now + timedelta(hours=1)
        maintenance.add(
            tx, service="tracking", target=None, starts_at=tx.now, ends_at=ends_at, by="ada", reason="a disk"
        )


def _withdrawn(_store: Store, case: Any) -> None:
    (case.settings.runbooks / "tracking-api-memory.md").unlink()


def _narrowed(_store: Store, case: Any) -> None:
    book = case.settings.runbooks / "tracking-api-memory.md"
    book.write_text(book.read_text().replace("mode: act", "mode: observe"))


def _nothing(*_: object) -> None:
    """Its runbook alone stops it."""


#: The guardrail, what stops the change from then on, what its runbook says.
STOPPED: dict[str, tuple[str, Callable[[Store, Any], None], tuple[tuple[str, str], ...]]] = {
    "paused": ("kill switch", _paused, ()),
    "in maintenance": ("maintenance", _in_maintenance, ()),
    "withdrawn": ("runbook", _withdrawn, ()),
    "lowered since": ("mode", _narrowed, ()),
    "asks a person": ("approval", _nothing, (("mode: act", "mode: ask"),)),
}


@pytest.mark.parametrize("how", STOPPED)
def test_it_is_what_the_change_is_refused_by(begin: Any, timed: Store, how: str) -> None:
    guardrail, happens, edits = STOPPED[how]
    case = begin(*edits)
    happens(timed, case)
    rungs = ladder(timed, case.settings, case.run.incident)
    with timed.read() as tx:
        [one] = foreseen(tx, case.run.incident, rungs)
        before = len(list(trail.entries(tx)))
    assert (one.guardrail, one.remedies) == (guardrail, ("restart",))
    with pytest.raises(Refused) as refused:
        case.change()
    assert one.reason in refused.value.reason.replace("by the runbook as it is now, not as it was: ", "")
    with timed.read() as tx:
        assert len(list(trail.entries(tx))) > before, "the refusal is on the trail; what was foreseen wrote nothing"


def test_of_a_change_that_nothing_stops_nothing_is_foreseen(begin: Any, timed: Store) -> None:
    case = begin()
    rungs = ladder(timed, case.settings, case.run.incident)
    assert [rung.remedy for rung in rungs] == ["restart"]
    with timed.read() as tx:
        assert foreseen(tx, case.run.incident, rungs) == []


def test_the_other_targets_count_as_healthy_but_for_what_the_store_knows_of_them(begin: Any, timed: Store) -> None:
    case = begin(("cooldown: 10m, ", "keep_healthy: 3 of 4, cooldown: 10m, "))
    rungs = ladder(timed, case.settings, case.run.incident)
    with timed.record() as tx:
        assert foreseen(tx, case.run.incident, rungs) == []
        opened(tx, target="web-2/tracking-api")
        [one] = foreseen(tx, case.run.incident, rungs)
    assert (one.guardrail, "web-2/tracking-api has an open incident" in one.reason) == ("quorum", True)


def test_a_retry_soon_after_the_last_change_meets_the_cooldown_and_not_the_spent_grant(
    begin: Any, timed: Store
) -> None:
    case = begin()
    case.change()
    number = case.run.incident.number
    with timed.record() as tx:
        lifecycle.hand_over(tx, number, Outcome(Ending.HANDED_OVER, "it did not help"), actor="run:run-1")
    rungs = ladder(timed, case.settings, case.run.incident)
    with timed.record() as tx:
        again = retrying.retry(tx, number, by="ada", because="the disk has room")
        [one] = foreseen(tx, again, rungs)
    assert one.guardrail == "cooldown"
    assert one.words.startswith("as things are now, the guardrail cooldown would refuse restart: ")


def test_what_stops_several_remedies_is_said_once_for_all(begin: Any, timed: Store) -> None:
    case = begin()
    _paused(timed, case)
    [rung] = ladder(timed, case.settings, case.run.incident)
    with timed.read() as tx:
        [one] = foreseen(tx, case.run.incident, [replace(rung, remedy="roll_back"), rung])
    assert one.words.startswith(
        "as things are now, the guardrail kill switch would refuse roll_back and restart: acting is paused"
    )


def test_a_target_that_is_no_longer_listed_and_a_folder_that_cannot_be_read_stop_it(begin: Any, timed: Store) -> None:
    case = begin()
    services = case.settings.runbooks / "services.yaml"
    services.write_text(services.read_text().replace("host: web-1", "host: web-9"))
    with timed.read() as tx:
        incident = case.run.incident
    for words in ("no longer lists web-1/tracking-api", "nothing acts until this is mended"):
        rungs = ladder(timed, case.settings, incident)
        with timed.read() as tx:
            [one] = foreseen(tx, incident, rungs)
        assert one.guardrail == "runbook"
        assert words in one.reason
        services.write_text("services: [")


def test_one_of_before_that_was_cured_counts_for_the_cooldown(begin: Any, timed: Store) -> None:
    with timed.record() as tx:
        number = opened(tx, target=TARGET)
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-0") is None
        claim = claimed(tx, number, run="run-0")
        acts.close(tx, intended(tx, claim), result="cured", why="well", actor=claim.holder)
        claims.release(tx, claim)
        lifecycle.resolve(tx, number, Outcome(Ending.REMEDIATED, "well"), actor=claim.holder)
    case = begin()
    rungs = ladder(timed, case.settings, case.run.incident)
    with timed.read() as tx:
        assert [one.guardrail for one in foreseen(tx, case.run.incident, rungs)] == ["cooldown"]
