"""A process that ended without a word, on whichever machine, is missed; one that said that it ends is not."""

from datetime import timedelta
from pathlib import Path

import pytest
from mail_server import text_of
from waiting import until
from watchdog_harness import Harness

from paramedic.settings import Settings
from paramedic.store import Store, running_processes
from paramedic.store.running_processes import ROLES, Running
from paramedic.upkeep.attendance import Attendance

pytestmark = pytest.mark.real

LEASE = timedelta(seconds=60)


def _show(harness: Harness, *machines: str, roles: tuple[str, ...] = ROLES) -> None:
    with harness.store.write() as tx:
        for machine in machines:
            for role in roles:
                running_processes.show(tx, Running(role, f"{machine}:/srv/paramedic"), lease=LEASE)


def _told(harness: Harness) -> list[str]:
    return [text_of(letter) for letter in harness.postbox.letters if "gone" in str(letter["Subject"])]


def test_a_machine_that_is_gone_is_told_once_with_what_is_left(harness: Harness) -> None:
    _show(harness, "web-a", "web-b")
    for seconds in (30, 31, 21, 1):
        harness.after(seconds)
        _show(harness, "web-a")
    [told] = _told(harness)
    assert harness.postbox.subjects == ["[Paramedic] web-b: dispatch, gateway, responder and watchdog are gone"]
    assert "- gateway: 1" in told
    for _ in range(3):
        harness.after(50)
        _show(harness, "web-a")
    assert len(_told(harness)) == 1


def test_a_role_that_nobody_has_any_more_is_said_to_be_missing(harness: Harness) -> None:
    _show(harness, "web-a", "web-b", roles=("responder",))
    for seconds in (61, 21, 1):
        harness.after(seconds)
    assert sorted(harness.postbox.subjects) == [
        "[Paramedic] web-a: responder is gone",
        "[Paramedic] web-b: responder is gone",
    ]
    assert all("responder: NONE" in told for told in _told(harness))


def test_one_that_says_that_it_ends_is_not_missed(harness: Harness) -> None:
    _show(harness, "web-a")
    with harness.store.write() as tx:
        for role in ROLES:
            running_processes.withdraw(tx, Running(role, "web-a:/srv/paramedic"))
    for seconds in (61, 21, 1):
        harness.after(seconds)
    assert _told(harness) == []


def test_one_that_is_started_again_in_time_is_not_missed(harness: Harness) -> None:
    _show(harness, "web-a")
    harness.after(61)
    harness.after(15)
    _show(harness, "web-a")
    harness.after(10)
    harness.after(25)
    assert _told(harness) == []


def test_after_an_outage_or_a_jump_of_the_clock_who_lives_is_given_time_to_show_itself(harness: Harness) -> None:
    _show(harness, "web-a")
    harness.clock.jump(timedelta(hours=2))
    harness.watchdog.look()
    harness.after(15)
    _show(harness, "web-a")
    harness.after(10)
    harness.after(25)
    assert _told(harness) == []


def test_a_process_shows_itself_while_it_runs_and_withdraws_when_it_ends(store_url: str, tmp_path: Path) -> None:
    store, mine = Store(store_url), Attendance(Store(store_url), Settings(data=tmp_path), "dispatch")

    def count() -> int:
        with store.read() as tx:
            return running_processes.counted(tx)["dispatch"]

    mine.start()
    until("it shows itself", lambda: count() == 1)
    mine.stop()
    assert (count(), mine._thread.is_alive()) == (0, False)


def test_who_counts_them_finds_each_role(harness: Harness) -> None:
    _show(harness, "web-a", "web-b")
    _show(harness, "web-c", roles=("responder",))
    with harness.store.read() as tx:
        assert running_processes.counted(tx) == {"gateway": 2, "dispatch": 2, "responder": 3, "watchdog": 2}
